//! `GET /reports/recovery`.
//!
//! What must stay true: it reads, and writes nothing.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::Value;

use super::input::Query;
use crate::core::report::select::Span;
use crate::http::report::Recovery;
use crate::http::{AppState, Problem};

/// `GET /reports/recovery?since=&until=`: how many failed, how many came back, by what, and whether
/// what was learned helped.
pub(super) async fn recovery(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["since", "until"])?;
    let span = Span { since: query.time("since")?, until: query.time("until")? };
    Ok(Json(Recovery::of(&state, span).await?.json()))
}
