//! `GET /report`: what came back, and whether what was learned helped.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::Asked;
use super::{Person, Trouble, home, sample, shell};
use crate::http::pages::{ReportView, report_page};
use crate::http::{AppState, page};

/// `GET /report`.
pub(super) async fn show(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    let shown = sample::shown(&state, &asked).await?;
    let windows = home::windows(shown.shelf(), &state.policy, state.clock.now());
    let shell = shell(&state, &person.session, None);
    let view = ReportView { shell, windows, is_sample: asked.is_sample() };
    Ok(page(StatusCode::OK, report_page(&view)))
}
