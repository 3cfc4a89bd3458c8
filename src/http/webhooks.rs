//! `POST /webhooks/{gateway}`: what gateways tell us.
//!
//! Why here: limit the body, verify the raw bytes, read them, append, answer. The receiver decides
//! nothing; the worker reads the same bytes again.
//!
//! What must stay true: 200 means durable (design I3), a duplicate too; what is refused is told
//! with the check that failed and never with a secret; nothing of the body is logged; a card
//! number in it is not kept.

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::gate::Held;
use super::refused::{Arrived, Refused};
use super::{AppState, Problem};
use crate::clock::real_now;
use crate::core::card_number;
use crate::gateway::profile::{Acknowledgement, Profile};
use crate::gateway::{
    Gateway, KEPT_QUERY, MalformedBody, Rejection, RejectionCode, WebhookRequest,
};
use crate::store::{Appended, InboxBody};

/// Longest body of a webhook.
const MAX_WEBHOOK: usize = 1024 * 1024;

/// How much of a body that is too long is read and thrown away, so that the sender gets to read
/// the answer.
const MAX_DISCARDED: usize = 8 * MAX_WEBHOOK;

/// The headers that parsers need. A signature never stands here: it is checked once, on arrival.
const KEPT_HEADERS: [&str; 4] = ["webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"];

/// Receives one webhook.
pub(super) async fn receive(
    State(state): State<AppState>,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(gateway) = state.gateway(&id) else { return unknown() };
    // Held until the answer is made.
    let mut held = None;
    let outcome = match read(&state, &mut held, body).await {
        Ok(body) => {
            let url = format!("{}{uri}", state.brand.public_url);
            let arrived = Arrived { body, headers: text(&headers), url };
            // Senders sign in real time, even when the service runs on a test clock.
            let at = real_now();
            let outcome = accept(&state, gateway.as_ref(), &arrived, at).await;
            if let Err(refusal) = &outcome {
                note(&state, gateway.as_ref(), refusal, (arrived, at));
            }
            outcome
        }
        Err(refusal) => Err(refusal),
    };
    answer(gateway.as_ref(), outcome)
}

/// Keeps what was refused for a person to look at.
fn note(
    state: &AppState,
    gateway: &dyn Gateway,
    refusal: &Refusal,
    (arrived, at): (Arrived, Timestamp),
) {
    state.refused.keep(Refused {
        number: 0,
        gateway: gateway.id().to_string(),
        at,
        code: refusal.code,
        hint: refusal.problem.detail().to_owned(),
        arrived: Some(arrived),
    });
}

/// Takes a webhook that was refused, if it is authentic by what is configured now: its time is
/// judged as of its arrival.
pub(super) async fn take_again(state: &AppState, refused: &Refused) -> Result<bool, Refusal> {
    let gone = "it is not kept any more";
    let lost = || Refusal::new(StatusCode::NOT_FOUND, "not_found", gone);
    let gateway = state.gateway(&refused.gateway).ok_or_else(lost)?;
    let arrived = refused.arrived.as_ref().ok_or_else(lost)?;
    let duplicate = accept(state, gateway.as_ref(), arrived, refused.at).await?;
    state.refused.remove(refused.number);
    Ok(duplicate)
}

/// Why a webhook was not taken, with the word that counts it.
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) problem: Problem,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, detail: &str) -> Self {
        Self { code, problem: Problem::new(status, code, detail) }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let status = match rejection.code {
            RejectionCode::MalformedBody | RejectionCode::MalformedHeader => {
                StatusCode::BAD_REQUEST
            }
            _ => StatusCode::UNAUTHORIZED,
        };
        let code = rejection.code.as_str();
        let problem = Problem::new(status, code, rejection.hint).with_item(rejection.item);
        Self { code, problem }
    }
}

/// Reads the body up to its limit, where there is room for it.
pub(super) async fn read(
    state: &AppState,
    held: &mut Option<Held>,
    body: Body,
) -> Result<Bytes, Refusal> {
    let held = held.insert(state.gate.enter()?);
    let mut kept = Vec::new();
    let mut length = 0;
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let Ok(part) = part else {
            let why = "the body broke off";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed_body", why));
        };
        length += part.len();
        if length <= MAX_WEBHOOK {
            state.gate.grow(held, part.len())?;
            kept.extend_from_slice(&part);
        } else if length > MAX_DISCARDED {
            break;
        }
    }
    if length > MAX_WEBHOOK {
        let why = "the body is longer than 1 MiB";
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", why));
    }
    Ok(kept.into())
}

pub(super) fn text(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).collect()
}

/// Verifies, reads, appends: all items of the body, or none. Whether all were known already.
async fn accept(
    state: &AppState,
    gateway: &dyn Gateway,
    arrived: &Arrived,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let request = WebhookRequest {
        body: &arrived.body,
        headers: &arrived.headers,
        url: Some(&arrived.url),
        now,
    };
    gateway.verify(&request)?;
    // No card number is kept. The event is: a failure or a payment must not be lost with it.
    let zeroed = card_number::zeroed(&arrived.body);
    if zeroed.is_some() {
        tracing::warn!(
            gateway = gateway.id().as_str(),
            "a webhook held a card number; zeros stand for it"
        );
        metrics::counter!("recoup_card_numbers_total", "where" => "webhook").increment(1);
    }
    let request = WebhookRequest { body: zeroed.as_deref().unwrap_or(&arrived.body), ..request };
    let items = gateway.items(&request).map_err(unreadable)?;
    let headers = kept(gateway.profile(), &request);
    let mut records = Vec::with_capacity(items.len());
    for body in items {
        let events =
            gateway.parse(&WebhookRequest { body: &body, ..request }).map_err(unreadable)?;
        let first = events.first().map(|event| event.id.as_str()).filter(|id| !id.is_empty());
        let id = first.map_or_else(|| digest(&body), str::to_owned);
        records.push((id, InboxBody::Webhook { body, headers: headers.clone() }));
    }
    let taken = |(event, _): &(String, _)| {
        tracing::debug_span!("webhook", gateway = gateway.id().as_str(), event = event.as_str())
    };
    let _taken: Vec<_> = records.iter().map(taken).collect();
    let appended = state.append_all(gateway.id().as_str(), records).await;
    let appended =
        appended.map_err(|error| Refusal { code: "store_unavailable", problem: error.into() })?;
    Ok(appended.iter().all(|one| *one == Appended::Duplicate))
}

pub(super) fn unreadable(malformed: MalformedBody) -> Refusal {
    Refusal::from(Rejection::new(RejectionCode::MalformedBody, malformed.0))
}

/// What is kept of headers and address.
fn kept(profile: &Profile, request: &WebhookRequest<'_>) -> Vec<(String, String)> {
    let keep = |(name, _): &&(String, String)| KEPT_HEADERS.contains(&name.as_str());
    let mut kept: Vec<_> = request.headers.iter().filter(keep).cloned().collect();
    let query = request.url.and_then(|url| url.split_once('?')).map(|(_, query)| query);
    if let Some(query) = query.filter(|_| profile.query_is_signed) {
        kept.push((KEPT_QUERY.to_owned(), query.to_owned()));
    }
    kept
}

/// The id of a body that has none: the same body is the same event.
fn digest(body: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(body)))
}

fn answer(gateway: &dyn Gateway, outcome: Result<bool, Refusal>) -> Response {
    let id = gateway.id().as_str();
    let duplicate = match outcome {
        Ok(duplicate) => duplicate,
        Err(refusal) => {
            tracing::warn!(gateway = id, code = refusal.code, "webhook refused");
            count(id, refusal.code);
            return refusal.problem.into_response();
        }
    };
    count(id, if duplicate { "duplicate" } else { "accepted" });
    match gateway.profile().acknowledgement {
        Acknowledgement::Json => {
            axum::Json(json!({ "received": true, "duplicate": duplicate })).into_response()
        }
        Acknowledgement::Text(text) => text.into_response(),
    }
}

/// `GET /webhooks/{gateway}`: how some gateways check that an address is ours.
pub(super) async fn challenge(
    State(state): State<AppState>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(gateway) = state.gateway(&id) else { return unknown() };
    match gateway.answer_challenge(query.as_deref().unwrap_or_default()) {
        Some(Ok(answer)) => answer.into_response(),
        Some(Err(rejection)) => Refusal::from(rejection).problem.into_response(),
        None => {
            let why = "this gateway's webhooks are posted; it checks no address";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", why).into_response()
        }
    }
}

fn unknown() -> Response {
    count("unknown", "not_found");
    Problem::not_found("there is no gateway with this id in the merchant file").into_response()
}

fn count(gateway: &str, outcome: &'static str) {
    metrics::counter!(
        "recoup_webhooks_total",
        "gateway" => gateway.to_owned(),
        "outcome" => outcome
    )
    .increment(1);
}
