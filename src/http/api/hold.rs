//! `/hold`: the switch that stops everything at once.
//!
//! What must stay true: when the answer is there, nothing more is begun; the hold is durable, so a
//! restart does not end it; what settles money that was taken goes on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::input::nothing;
use crate::http::{AppState, Problem};

/// `GET /hold`.
pub(super) async fn show(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    told(&state).await
}

/// `POST /hold`: nothing is charged and nobody is written to from here on.
pub(super) async fn hold(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    nothing(&body)?;
    if state.store.held_since().await?.is_none() {
        state.store.hold(Some(state.clock.now())).await?;
    }
    settled(&state).await
}

/// `DELETE /hold`: cases go on, each at a moment of its own within the hour.
pub(super) async fn end(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    state.store.hold(None).await?;
    settled(&state).await
}

/// A turn of the worker that began before the switch was set is over when this answers.
async fn settled(state: &AppState) -> Result<Json<Value>, Problem> {
    state.wake.notify_one();
    state.settle().await;
    told(state).await
}

async fn told(state: &AppState) -> Result<Json<Value>, Problem> {
    let since = state.store.held_since().await?;
    let mode = if state.policy.shadow { "shadow" } else { "live" };
    Ok(Json(json!({ "held": since.is_some(), "since": since, "mode": mode })))
}
