//! `GET /messages`.
//!
//! What must stay true: newest first, and what is left out is said.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::input::Query;
use crate::core::ids::{CaseId, MessageId};
use crate::http::view::message_json;
use crate::http::{AppState, Problem};

/// `GET /messages`: all, newest first, or those of one case, oldest first.
pub(super) async fn messages(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["case", "limit", "starting_after"])?;
    if let Some(case) = query.get("case") {
        let records = state.store.messages_of(&CaseId::from(case)).await?;
        let data: Vec<_> = records.iter().map(message_json).collect();
        return Ok(Json(json!({ "data": data, "has_more": false })));
    }
    let after = query.get("starting_after").map(MessageId::from);
    let page = state.store.list_messages(after.as_ref(), query.limit()?).await?;
    let data: Vec<_> = page.data.iter().map(message_json).collect();
    Ok(Json(json!({ "data": data, "has_more": page.has_more })))
}
