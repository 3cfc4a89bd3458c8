//! `GET /messages` and `GET /reports/messages`: what went out, and what became of it.
//!
//! Why here: the report itself is `http::messages`, which the dashboard shows as well.
//!
//! What must stay true: a filter leaves out, and changes nothing else.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::cases::is_csv;
use super::input::Query;
use crate::core::case::Case;
use crate::core::ids::{CaseId, MessageId};
use crate::core::report::select::Span;
use crate::http::csv::{self, Table};
use crate::http::view::message_json;
use crate::http::{AppState, Problem, messages};
use crate::store::MessageRecord;

/// Messages that one call looks through at most; a rare filter is continued from the last row.
const LOOKED_AT: usize = 5_000;

const FILTERS: &[&str] = &[
    "case",
    "customer",
    "channel",
    "kind",
    "locale",
    "status",
    "limit",
    "starting_after",
    "format",
];

/// `GET /messages`: newest first.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let query = Query::read(query, FILTERS)?;
    let as_file = is_csv(&query)?;
    let form = if as_file { Form::Csv } else { Form::Json };
    let found = look(&state, &query, form).await?;
    Ok(match as_file {
        true => csv::answer(Table::Messages, found.rows),
        false => Json(json!({ "data": found.data, "has_more": found.has_more })).into_response(),
    })
}

/// How a list is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All that pass, in one file.
    Csv,
    /// A page.
    Json,
}

/// Messages that passed, in the one form or the other.
struct Found {
    form: Form,
    data: Vec<Value>,
    rows: Vec<csv::Row>,
    has_more: bool,
}

impl Found {
    fn add(&mut self, shown: Option<(Value, csv::Row)>) {
        match (shown, self.form) {
            (None, _) => {}
            (Some((_, row)), Form::Csv) => self.rows.push(row),
            (Some((json, _)), Form::Json) => self.data.push(json),
        }
    }
}

async fn look(state: &AppState, query: &Query, form: Form) -> Result<Found, Problem> {
    let mut found = Found { form, data: Vec::new(), rows: Vec::new(), has_more: false };
    let mut cases = HashMap::new();
    if let Some(case) = query.get("case") {
        for record in &state.store.messages_of(&CaseId::from(case)).await? {
            found.add(shown(state, &mut cases, query, record).await?);
        }
        return Ok(found);
    }
    let limit = query.limit()?;
    let at_most = if form == Form::Csv { usize::MAX } else { LOOKED_AT };
    let mut after = query.get("starting_after").map(MessageId::from);
    let mut looked_at = 0;
    loop {
        let page = state.store.list_messages(after.as_ref(), limit).await?;
        for (index, record) in page.data.iter().enumerate() {
            looked_at += 1;
            found.add(shown(state, &mut cases, query, record).await?);
            if found.data.len() == limit {
                found.has_more = page.has_more || index + 1 < page.data.len();
                return Ok(found);
            }
        }
        after = page.data.last().map(|record| record.id.clone());
        if !page.has_more || looked_at >= at_most || after.is_none() {
            return Ok(Found { has_more: page.has_more, ..found });
        }
    }
}

/// A message, if the filters let it pass.
async fn shown(
    state: &AppState,
    cases: &mut HashMap<CaseId, Option<Case>>,
    query: &Query,
    record: &MessageRecord,
) -> Result<Option<(Value, csv::Row)>, Problem> {
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
    Ok(passes.then(|| (json, csv::message(record, case))))
}

/// `GET /reports/messages?since=&until=`: by step, number in the case, kind, channel and locale.
pub(super) async fn report(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["since", "until"])?;
    let span = Span { since: query.time("since")?, until: query.time("until")? };
    let mut report = messages::report(&state, span).await?;
    report["channels"] = super::channels::all(&state).await?.into();
    Ok(Json(report))
}
