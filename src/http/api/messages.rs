//! `GET /messages` and `GET /reports/messages`: what went out, and what became of it.
//!
//! Why here: the report itself is `http::messages`, which the dashboard shows as well.
//!
//! What must stay true: a filter leaves out, and changes nothing else.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::input::Query;
use crate::core::case::Case;
use crate::core::ids::{CaseId, MessageId};
use crate::http::messages::Messages;
use crate::http::report::Span;
use crate::http::view::message_json;
use crate::http::{AppState, Problem};
use crate::store::MessageRecord;

/// Messages that one call looks through at most; a rare filter is continued from the last row.
const LOOKED_AT: usize = 5_000;

const FILTERS: &[&str] =
    &["case", "customer", "channel", "kind", "locale", "status", "limit", "starting_after"];

/// `GET /messages`: newest first.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, FILTERS)?;
    let mut cases = HashMap::new();
    if let Some(case) = query.get("case") {
        let records = state.store.messages_of(&CaseId::from(case)).await?;
        let mut data = Vec::new();
        for record in &records {
            data.extend(shown(&state, &mut cases, &query, record).await?);
        }
        return Ok(Json(json!({ "data": data, "has_more": false })));
    }
    let limit = query.limit()?;
    let mut after = query.get("starting_after").map(MessageId::from);
    let (mut data, mut looked_at) = (Vec::new(), 0);
    loop {
        let page = state.store.list_messages(after.as_ref(), limit).await?;
        for (index, record) in page.data.iter().enumerate() {
            looked_at += 1;
            data.extend(shown(&state, &mut cases, &query, record).await?);
            if data.len() == limit {
                let has_more = page.has_more || index + 1 < page.data.len();
                return Ok(Json(json!({ "data": data, "has_more": has_more })));
            }
        }
        after = page.data.last().map(|record| record.id.clone());
        if !page.has_more || looked_at >= LOOKED_AT || after.is_none() {
            return Ok(Json(json!({ "data": data, "has_more": page.has_more })));
        }
    }
}

/// A message, if the filters let it pass.
async fn shown(
    state: &AppState,
    cases: &mut HashMap<CaseId, Option<Case>>,
    query: &Query,
    record: &MessageRecord,
) -> Result<Option<Value>, Problem> {
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let passes = is("channel", record.channel.as_str())
        && is("kind", record.kind.as_str())
        && is("locale", &record.locale);
    if !passes {
        return Ok(None);
    }
    if !cases.contains_key(&record.case) {
        cases.insert(record.case.clone(), state.store.case(&record.case).await?);
    }
    let case = cases.get(&record.case).and_then(Option::as_ref);
    let customer = case.and_then(|case| case.customer.as_deref()).unwrap_or_default();
    let json = message_json(record, case);
    let status = json.get("status").and_then(Value::as_str).unwrap_or_default();
    let passes = is("customer", customer) && is("status", status);
    Ok(passes.then_some(json))
}

/// `GET /reports/messages?since=&until=`: by step, number in the case, kind, channel and locale.
pub(super) async fn report(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["since", "until"])?;
    let span = Span { since: query.time("since")?, until: query.time("until")? };
    let mut report = Messages::of(&state, span).await?.json();
    report["channels"] = super::channels::all(&state).await?.into();
    Ok(Json(report))
}
