//! `GET /reports/recovery`.
//!
//! What must stay true: it reads, and writes nothing.

use axum::Json;
use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use serde_json::Value;

use super::input::Query;
use crate::http::report::{Recovery, Span};
use crate::http::{AppState, Problem};

/// `GET /reports/recovery?since=&until=`: how many failed, how many came back, by what, and whether
/// what was learned helped.
pub(super) async fn recovery(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["since", "until"])?;
    let span = Span { since: time(&query, "since")?, until: time(&query, "until")? };
    Ok(Json(Recovery::of(&state, span).await?.json()))
}

fn time(query: &Query, name: &str) -> Result<Option<Timestamp>, Problem> {
    let read = |text: &str| text.parse().ok();
    query.get(name).map(|text| read(text).ok_or_else(|| wrong(name))).transpose()
}

fn wrong(name: &str) -> Problem {
    Problem::query(name, "it must be a time, e.g. 2030-01-31T09:00:00Z")
}
