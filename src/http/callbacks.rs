//! `POST /callbacks/{channel}`: what message providers report.
//!
//! Why here: as for gateways' webhooks: limit the body, verify the raw bytes, read them, append,
//! answer. What follows is decided by the worker.
//!
//! What must stay true: 200 means durable; the same report again changes nothing; what is unsigned
//! or signed by somebody else is refused; nothing of a body, and no address, is logged.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::webhooks::{Refusal, read, text, unreadable};
use super::{AppState, Problem};
use crate::channel::callback::{Callbacks, Notice, Told, Unready};
use crate::clock::real_now;
use crate::gateway::WebhookRequest;
use crate::store::{Appended, InboxBody};

/// Receives one report, or a list of them.
pub(super) async fn receive(
    State(state): State<AppState>,
    Path(channel): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(callbacks) = of(&state, &channel) else { return unknown() };
    let url = format!("{}{uri}", state.brand.public_url);
    let mut held = None; // until the answer is made
    let outcome = match read(&state, &mut held, body).await {
        Ok(body) => {
            let request = WebhookRequest {
                body: &body,
                headers: &text(&headers),
                url: Some(&url),
                now: real_now(),
            };
            accept(&state, callbacks.as_ref(), &request).await
        }
        Err(refusal) => Err(refusal),
    };
    let channel = callbacks.channel().as_str();
    match outcome {
        Ok(word) => {
            count(channel, word);
            let (kind, answer) = callbacks.acknowledgement();
            ([(header::CONTENT_TYPE, kind)], answer).into_response()
        }
        Err(refusal) => {
            tracing::warn!(channel, code = refusal.code, "a provider's report was refused");
            count(channel, refusal.code);
            refusal.problem.into_response()
        }
    }
}

/// Verifies, reads, appends: all reports of the body, or none.
async fn accept(
    state: &AppState,
    callbacks: &dyn Callbacks,
    request: &WebhookRequest<'_>,
) -> Result<&'static str, Refusal> {
    callbacks.prepare(request).await.map_err(unready)?;
    callbacks.verify(request)?;
    callbacks.heed(request).await.map_err(unready)?;
    let notices = callbacks.read(request).map_err(unreadable)?;
    if notices.is_empty() {
        return Ok("passed_over");
    }
    // No gateway can have this name: the colon is not allowed in one.
    let source = format!("callback:{}", callbacks.channel().as_str());
    let inputs = notices.into_iter().map(|notice| input(callbacks, notice)).collect();
    let appended = state.append_all(&source, inputs).await;
    let appended =
        appended.map_err(|error| Refusal { code: "store_unavailable", problem: error.into() })?;
    let known = appended.iter().all(|one| *one == Appended::Duplicate);
    Ok(if known { "duplicate" } else { "accepted" })
}

/// The provider asks again later; nothing of it was kept.
fn unready(unready: Unready) -> Refusal {
    let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, "provider_unreachable");
    Refusal { code, problem: Problem::new(status, code, unready.0) }
}

fn input(callbacks: &dyn Callbacks, notice: Notice) -> (String, InboxBody) {
    let body = match notice.told {
        Told::Message { case, message, report } => InboxBody::Delivery { case, message, report },
        Told::Reply { address, standing, word, at } => {
            InboxBody::Reply { channel: callbacks.channel(), address, standing, word, at }
        }
    };
    (notice.id, body)
}

/// `GET /callbacks/{channel}`: how some providers check that an address is ours.
pub(super) async fn challenge(
    State(state): State<AppState>,
    Path(channel): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(callbacks) = of(&state, &channel) else { return unknown() };
    match callbacks.answer_challenge(query.as_deref().unwrap_or_default()) {
        Some(Ok(answer)) => answer.into_response(),
        Some(Err(rejection)) => Refusal::from(rejection).problem.into_response(),
        None => {
            let why = "reports are posted here; this provider checks no address";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why).into_response()
        }
    }
}

fn of<'a>(state: &'a AppState, channel: &str) -> Option<&'a Arc<dyn Callbacks>> {
    state.callbacks.iter().find(|callbacks| callbacks.channel().as_str() == channel)
}

fn unknown() -> Response {
    count("unknown", "not_found");
    Problem::not_found("no provider of this channel reports here: see docs/CHANNELS.md")
        .into_response()
}

fn count(channel: &'static str, outcome: &'static str) {
    metrics::counter!("recoup_callbacks_total", "channel" => channel, "outcome" => outcome)
        .increment(1);
}
