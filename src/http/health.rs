//! Health and metrics, for operators.
//!
//! What must stay true: `/livez` says only that the process answers; `/readyz` says 503 with the
//! reason while webhooks cannot be taken; metrics are behind the admin token.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::{AppState, Problem, auth};
use crate::store::StoreError;

/// `GET /livez`.
pub(super) async fn live() -> Response {
    axum::Json(json!({ "live": true })).into_response()
}

/// `GET /readyz`.
pub(super) async fn ready(State(state): State<AppState>) -> Response {
    let reason = state.readiness.reason().or_else(|| {
        let error = state.store.health().err()?;
        tracing::warn!(%error, "not ready");
        Some(match error {
            StoreError::Away(why) => format!("the database cannot be reached: {why}"),
            _ => "the store cannot be written to".to_owned(),
        })
    });
    match reason {
        None => axum::Json(json!({ "ready": true })).into_response(),
        Some(reason) => {
            let body = axum::Json(json!({ "ready": false, "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// `GET /metrics`.
pub(super) async fn metrics(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    auth::bearer(&state, &headers)?;
    if let Ok(backlog) = state.store.backlog().await {
        metrics::gauge!("recoup_inbox_waiting").set(backlog.inbox as f64);
        metrics::gauge!("recoup_outbox_waiting").set(backlog.outbox as f64);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, (state.metrics)()).into_response())
}
