//! `POST /customers/{id}/forget` and `POST /retention`: a person's data goes, the books stay.
//!
//! Why here: what a raw event is about, only its gateway can read; the store takes it out.
//!
//! What must stay true: nobody is forgotten while a case of theirs is open or an outcome unknown.

use axum::Extension;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::actions::{append, unique};
use super::customers::check_id;
use super::input::{Fields, checked, json as read_json, nothing};
use super::once::Once;
use crate::core::input::OperatorAction;
use crate::gateway::WebhookRequest;
use crate::http::{AppState, Problem};
use crate::store::erase::{self, EraseError, Erased};
use crate::store::{InboxBody, InboxRecord};

/// Why their cases end, for the ledger.
const REASON: &str = "the customer is forgotten";

/// Forgets one customer; with `stop`, their open cases end first.
pub(super) async fn forget(
    State(state): State<AppState>,
    Path(id): Path<String>,
    once: Option<Extension<Once>>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    check_id(&id)?;
    let mut errors = Vec::new();
    let mut fields = Fields::of(read_json(&body)?, String::new(), &["stop"], &mut errors);
    let stop = fields.flag("stop").unwrap_or(false);
    checked((), errors)?;
    if stop {
        for case in state.store.open_cases_of(&id).await? {
            let action = OperatorAction::Stop { reason: Some(REASON.to_owned()) };
            append(&state, Some(unique()), InboxBody::Operator { case, action }).await?;
        }
    }
    let about = |record: &InboxRecord| about(&state, record);
    let erased = match erase::forget(&*state.store, &id, &about, state.clock.now()).await {
        // It was done, and the answer was lost in a crash.
        Err(EraseError::Unknown) if once.is_some_and(|once| once.is_again) => Erased::default(),
        done => done?,
    };
    Ok(Json(json!({ "reference": erase::reference(&id), "erased": erased })))
}

/// Erases what is older than the merchant file allows, now.
pub(super) async fn run(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    Ok(Json(json!({ "erased": expire(&state).await? })))
}

/// Erases what is older than the merchant file allows.
pub async fn expire(state: &AppState) -> Result<Erased, EraseError> {
    let about = |record: &InboxRecord| about(state, record);
    erase::expire(&*state.store, state.retention, &about, state.clock.now()).await
}

/// Whom a raw event is about, as its gateway reads it.
fn about(state: &AppState, record: &InboxRecord) -> Vec<String> {
    let InboxBody::Webhook { body, headers } = &record.body else { return Vec::new() };
    let Some(gateway) = state.gateway(record.source.as_str()) else { return Vec::new() };
    let request = WebhookRequest { body, headers, url: None, now: record.received_at };
    let events = gateway.parse(&request).unwrap_or_default();
    let named = events.into_iter().flat_map(|event| {
        let ids = [event.customer, event.invoice, event.subscription, event.payment];
        ids.into_iter().chain([event.contact.email, event.contact.phone])
    });
    named.flatten().collect()
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Open(case) => {
                let detail = format!(
                    "case {case} is open, or an outcome of it is unknown: send {{\"stop\": true}}, \
                     or wait until it has settled"
                );
                Self::new(StatusCode::CONFLICT, "case_open", detail)
            }
            EraseError::Unknown => Self::not_found("nothing is known of a customer with this id"),
            EraseError::Store(error) => error.into(),
        }
    }
}
