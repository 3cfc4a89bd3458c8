//! `/learning`: what was learned, as one record that can be taken elsewhere.
//!
//! Why here: another machine, or another merchant who agrees, may begin with it. A change is an
//! input of the inbox, so that it stands in one order with the cases that teach meanwhile.
//!
//! What must stay true: a record that could not have been learned is refused before it is kept.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::actions::append;
use super::once::idempotency_key;
use crate::core::learning::{Learned, Relearn};
use crate::http::{AppState, Problem};
use crate::store::InboxBody;

/// Longest record; one that a merchant with 100,000 outcomes has is shorter than a quarter of it.
pub(super) const MAX_RECORD: usize = 4 * 1024 * 1024;

/// `GET /learning`: the record.
pub(super) async fn show(State(state): State<AppState>) -> Result<Json<Learned>, Problem> {
    Ok(Json(Learned::clone(&*state.store.learned().await?)))
}

/// `PUT /learning`: begin with this record.
pub(super) async fn replace(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<Value>, Problem> {
    change(&state, &headers, Relearn::Replace(checked(body)?)).await
}

/// `POST /learning/merge`: add this record.
pub(super) async fn merge(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<Value>, Problem> {
    change(&state, &headers, Relearn::Merge(checked(body)?)).await
}

/// `DELETE /learning`: begin with nothing.
pub(super) async fn reset(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    change(&state, &headers, Relearn::Reset).await
}

fn checked(text: String) -> Result<String, Problem> {
    match Learned::read(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Err(Problem::new(status, "invalid_learning", error.to_string()))
        }
    }
}

async fn change(
    state: &AppState,
    headers: &HeaderMap,
    change: Relearn,
) -> Result<Json<Value>, Problem> {
    append(state, idempotency_key(headers)?, InboxBody::Learning(change)).await?;
    Ok(Json(json!({ "accepted": true })))
}
