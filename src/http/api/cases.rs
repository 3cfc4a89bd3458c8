//! `GET /cases …`.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::input::Query;
use crate::core::case::{Case, State as CaseState};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::report::facts::Facts;
use crate::http::csv::{self, Table};
use crate::http::view::{case_json, entry_json, whole};
use crate::http::{AppState, Problem};
use crate::store::CaseFilter;

/// What the list can be asked for.
const PARAMETERS: &[&str] =
    &["state", "customer", "invoice", "gateway", "limit", "starting_after", "format"];

/// `GET /cases`.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let query = Query::read(query, PARAMETERS)?;
    let filter = CaseFilter {
        state: query.get("state").map(case_state).transpose()?,
        customer: query.get("customer").map(str::to_owned),
        invoice: query.get("invoice").map(str::to_owned),
        gateway: query.get("gateway").map(GatewayId::from),
        ..CaseFilter::default()
    };
    if is_csv(&query)? {
        return file(&state, &filter).await;
    }
    let limit = query.limit()?;
    let after = query.get("starting_after").map(CaseId::from);
    if let Some(after) = &after
        && state.store.case(after).await?.is_none()
    {
        return Err(Problem::query("starting_after", "there is no such case"));
    }
    let page = state.store.list_cases(&filter, after.as_ref(), limit).await?;
    let data: Vec<_> = page.data.iter().map(case_json).collect();
    Ok(Json(json!({ "data": data, "has_more": page.has_more })).into_response())
}

/// Every case that passes, as one file.
async fn file(state: &AppState, filter: &CaseFilter) -> Result<Response, Problem> {
    fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none_or(|wanted| found == Some(wanted))
    }
    let shelf = state.book.look_patiently(&state.store).await?;
    let passes = |case: &&Facts| {
        is(filter.state.as_ref(), Some(&case.state))
            && is(filter.customer.as_ref(), case.customer.as_ref())
            && is(filter.invoice.as_ref(), Some(&case.invoice))
            && is(filter.gateway.as_ref(), Some(&case.gateway))
    };
    Ok(csv::answer(Table::Cases, csv::cases(shelf.cases().rev().filter(passes))))
}

/// `GET /attempts?format=csv`: every attempt that was sent, the newest cases first.
pub(super) async fn attempts(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let query = Query::read(query, &["format"])?;
    if !is_csv(&query)? {
        let detail = "this list is a file: ask for `csv`; a case has its attempts with it";
        return Err(Problem::query("format", detail));
    }
    let shelf = state.book.look_patiently(&state.store).await?;
    Ok(csv::answer(Table::Attempts, csv::attempts(shelf.cases().rev())))
}

/// Whether a file is asked for.
pub(super) fn is_csv(query: &Query) -> Result<bool, Problem> {
    match query.get("format") {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Problem::query("format", "it must be csv or json")),
    }
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
    Ok(whole(data))
}

/// The case, or 404.
pub(super) async fn load(state: &AppState, id: &str) -> Result<Case, Problem> {
    let case = state.store.case(&CaseId::from(id)).await?;
    case.ok_or_else(|| Problem::not_found("there is no case with this id"))
}
