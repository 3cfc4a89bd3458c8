//! `/test-clock`: time that moves only when told to.
//!
//! What must stay true: it never goes back; the answer comes when everything due up to then is
//! done, also when `to` is now; the machine's clock cannot be moved.

use axum::Extension;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::input::{Fields, checked, json as read_json};
use super::once::Once;
use crate::http::problem::FieldError;
use crate::http::{AppState, Problem};

/// `GET /test-clock`.
pub(super) async fn show(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    if state.clock.is_test() {
        Ok(Json(json!({ "now": state.clock.now() })))
    } else {
        Err(Problem::not_found(NO_TEST_CLOCK))
    }
}

/// What to do when there is none.
const NO_TEST_CLOCK: &str =
    "the service runs on the machine's clock; start it with `recoup serve --test-clock TIME`";

/// `POST /test-clock/advance`.
pub(super) async fn advance(
    State(state): State<AppState>,
    once: Option<Extension<Once>>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    if !state.clock.is_test() {
        return Err(Problem::new(StatusCode::CONFLICT, "no_test_clock", NO_TEST_CLOCK));
    }
    // Begun again after a crash, time moves to where it was to move then, and not further.
    let to = match once {
        Some(Extension(once)) if once.is_again => {
            read_target(once.begun_at, &body)?.max(state.clock.now())
        }
        _ => read_target(state.clock.now(), &body)?,
    };
    // A request that is given up must not leave the clock half moved: the work goes on by itself.
    let engine = state.engine.clone();
    let work = tokio::spawn(async move { engine.advance(to).await });
    match work.await {
        Ok(Ok(())) => Ok(Json(json!({ "now": state.clock.now() }))),
        Ok(Err(error)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "advance_failed", error.0))
        }
        Err(_) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(status, "internal", "the worker broke while time moved"))
        }
    }
}

fn read_target(now: Timestamp, body: &[u8]) -> Result<Timestamp, Problem> {
    let mut errors = Vec::new();
    let mut fields =
        Fields::of(read_json(body)?, String::new(), &["to", "by_seconds"], &mut errors);
    let to: Option<Timestamp> = fields.parsed("to", "it must be a time, e.g. 2030-01-31T09:00:00Z");
    let by: Option<i64> = fields.parsed("by_seconds", "it must be a whole number of seconds");
    checked((), errors)?;
    let wrong = |field: &str, detail: &str| {
        let pointer = format!("/{field}");
        Err(Problem::fields(vec![FieldError { pointer, detail: detail.to_owned() }]))
    };
    match (to, by) {
        (Some(to), None) if to >= now => Ok(to),
        (Some(_), None) => wrong("to", &format!("it is before now, which is {now}")),
        (None, Some(by)) if by >= 0 => match now.checked_add(SignedDuration::from_secs(by)) {
            Ok(to) => Ok(to),
            Err(_) => wrong("by_seconds", "it leads out of the calendar"),
        },
        (None, Some(_)) => wrong("by_seconds", "the clock does not go back"),
        _ => wrong("to", "give either `to` or `by_seconds`"),
    }
}
