//! `POST /cases/{id}/{retry|pause|resume|stop|mark-paid|link|note|policy|write}`.
//!
//! Why here: a person's action is an input with the idempotency key as its id.
//!
//! What must stay true: the same key is acted on once; the same key with another body is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::cases::load;
use super::input::{Fields, checked, json as read_json, nothing};
use super::once::{idempotency_key, reused};
use crate::clock::real_now;
use crate::core::ids::GatewayId;
use crate::core::input::OperatorAction;
use crate::http::view::case_json;
use crate::http::{AppState, Problem, link};
use crate::store::{Appended, InboxBody};

/// The inbox's name for programs.
const SOURCE: &str = "api";

/// Every action.
pub(super) const NAMES: &[&str] =
    &["link", "mark-paid", "note", "pause", "policy", "resume", "retry", "stop", "write"];

/// One action.
pub(super) async fn act(
    State(state): State<AppState>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let case = load(&state, &id).await?;
    if action == "link" {
        nothing(&body)?;
        let url = link::url(&state.brand.public_url, &state.link_key, &case.id);
        return Ok(Json(json!({ "url": url })));
    }
    let action = read_action(&action, &body)?;
    if let OperatorAction::MovePolicy { to } = &action
        && state.store.policy(to).await?.is_none()
    {
        return Err(Problem::not_found("there is no policy of this version: keep it first"));
    }
    let body = InboxBody::Operator { case: case.id.clone(), action };
    append(&state, idempotency_key(&headers)?, body).await?;
    let now = state.store.case(&case.id).await?;
    Ok(Json(case_json(&now.unwrap_or(case))))
}

fn read_action(name: &str, body: &[u8]) -> Result<OperatorAction, Problem> {
    let known: &[&str] = match name {
        "note" => &["text"],
        "pause" => &["until"],
        "stop" => &["reason"],
        "policy" => &["to"],
        "mark-paid" | "resume" | "retry" | "write" => &[],
        _ => return Err(Problem::not_found("there is no such action")),
    };
    let mut errors = Vec::new();
    let mut fields = Fields::of(read_json(body)?, String::new(), known, &mut errors);
    let action = match name {
        "mark-paid" => OperatorAction::MarkPaid,
        "note" => {
            OperatorAction::Note { text: fields.required_text("text", reason).unwrap_or_default() }
        }
        "pause" => {
            let until: Option<Timestamp> =
                fields.parsed("until", "it must be a time, e.g. 2030-01-31T09:00:00Z");
            OperatorAction::Pause { until }
        }
        "policy" => OperatorAction::MovePolicy {
            to: fields.required_text("to", reason).unwrap_or_default(),
        },
        "resume" => OperatorAction::Resume,
        "retry" => OperatorAction::Retry,
        "write" => OperatorAction::Write,
        _ => OperatorAction::Stop { reason: fields.text("reason", reason) },
    };
    checked(action, errors)
}

/// The reason goes into the ledger and in front of people.
pub(super) fn reason(text: &str) -> Result<(), &'static str> {
    if text.chars().count() <= 500 { Ok(()) } else { Err("it is longer than 500 characters") }
}

/// Appends an input and waits until it is applied.
pub(super) async fn append(
    state: &AppState,
    key: Option<String>,
    body: InboxBody,
) -> Result<(), Problem> {
    let id = key.unwrap_or_else(unique);
    if state.append(SOURCE, id.clone(), body.clone()).await? == Appended::Duplicate {
        let before = state.store.input(&GatewayId::from(SOURCE), &id).await?;
        if before.is_some_and(|record| record.body != body) {
            return Err(reused());
        }
    }
    state.settle().await;
    Ok(())
}

/// An id that no other request has: the time, and a count within this process.
pub(in crate::http) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("auto:{}:{count}", real_now().as_nanosecond())
}
