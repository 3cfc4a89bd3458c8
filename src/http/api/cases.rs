//! `GET /cases …`.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde_json::{Value, json};

use super::input::Query;
use crate::core::case::{Case, State as CaseState};
use crate::core::ids::{CaseId, GatewayId};
use crate::http::view::{case_json, entry_json};
use crate::http::{AppState, Problem};
use crate::store::CaseFilter;

/// What the list can be asked for.
const PARAMETERS: &[&str] = &["state", "customer", "invoice", "gateway", "limit", "starting_after"];

/// `GET /cases`.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, PARAMETERS)?;
    let filter = CaseFilter {
        state: query.get("state").map(case_state).transpose()?,
        customer: query.get("customer").map(str::to_owned),
        invoice: query.get("invoice").map(str::to_owned),
        gateway: query.get("gateway").map(GatewayId::from),
        ..CaseFilter::default()
    };
    let limit = query.limit()?;
    let after = query.get("starting_after").map(CaseId::from);
    if let Some(after) = &after
        && state.store.case(after).await?.is_none()
    {
        return Err(Problem::query("starting_after", "there is no such case"));
    }
    let page = state.store.list_cases(&filter, after.as_ref(), limit).await?;
    let data: Vec<_> = page.data.iter().map(case_json).collect();
    Ok(Json(json!({ "data": data, "has_more": page.has_more })))
}

/// The state of this name.
pub(super) fn case_state(name: &str) -> Result<CaseState, Problem> {
    CaseState::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
        let names = CaseState::ALL.map(CaseState::as_str).join(", ");
        Problem::query("state", format!("it must be one of: {names}"))
    })
}

/// `GET /cases/{id}`.
pub(super) async fn one(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(case_json(&load(&state, &id).await?)))
}

/// `GET /cases/{id}/ledger`.
pub(super) async fn ledger(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let case = load(&state, &id).await?;
    let entries = state.store.ledger(&case.id).await?;
    let data: Vec<_> = entries.iter().map(entry_json).collect();
    Ok(Json(json!({ "data": data, "has_more": false })))
}

/// The case, or 404.
pub(super) async fn load(state: &AppState, id: &str) -> Result<Case, Problem> {
    let case = state.store.case(&CaseId::from(id)).await?;
    case.ok_or_else(|| Problem::not_found("there is no case with this id"))
}
