//! Health and metrics, for operators.
//!
//! What must stay true: `/livez` says only that the process answers; `/readyz` says 503 with the
//! reason while webhooks cannot be taken or nothing follows from them; metrics are behind a
//! token.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::{AppState, Problem, auth};
use crate::core::case::State as CaseState;
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
    let reason = reason.or_else(|| {
        let still = state.engine.stands_still()?;
        tracing::error!(seconds = still.as_secs(), "not ready: the worker stands still");
        Some("the worker stands still; see the log, then restart".to_owned())
    });
    match reason {
        None => {
            let mode = if state.policy.shadow { "shadow" } else { "live" };
            let held = state.store.held_since().await.ok().flatten();
            let restored = state.store.restored().await.ok().flatten();
            let restored = restored.filter(|one| !one.is_over).map(|one| one.at);
            let body = json!({
                "ready": true, "mode": mode, "held_since": held, "reconciling_since": restored,
            });
            axum::Json(body).into_response()
        }
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
    auth::scraper(&state, &headers).await?;
    if let Ok(backlog) = state.store.backlog().await {
        metrics::gauge!("recoup_inbox_waiting").set(backlog.inbox as f64);
        metrics::gauge!("recoup_outbox_waiting").set(backlog.outbox as f64);
    }
    if let Ok(cases) = state.store.count_cases().await {
        for one in CaseState::ALL {
            let count = cases.get(&one).copied().unwrap_or_default();
            metrics::gauge!("recoup_cases", "state" => one.as_str()).set(count as f64);
        }
    }
    if let Ok(due) = state.store.next_due().await {
        let now = state.clock.now();
        let late = due.map_or(0.0, |due| now.duration_since(due).as_secs_f64().max(0.0));
        metrics::gauge!("recoup_oldest_due_age_seconds").set(late);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, (state.metrics)()).into_response())
}
