//! `POST /webhooks/{gateway}`: what gateways tell us.
//!
//! Why here: limit the body, verify the raw bytes, read them, append, answer. The receiver decides
//! nothing; the worker reads the same bytes again.
//!
//! What must stay true: 200 means durable (design I3), a duplicate too; what is refused is told
//! with the check that failed and never with a secret; nothing of the body is logged.

use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{AppState, Problem};
use crate::clock::real_now;
use crate::gateway::{Gateway, Rejection, RejectionCode, WebhookRequest};
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
    let Some(gateway) = state.gateway(&id) else {
        count("unknown", "not_found");
        return Problem::not_found("there is no gateway with this id in the merchant file")
            .into_response();
    };
    let outcome = match read(body).await {
        Ok(body) => {
            let url = format!("{}{uri}", state.brand.public_url);
            accept(&state, gateway.as_ref(), Arrived { body, headers: text(&headers), url }).await
        }
        Err(refusal) => Err(refusal),
    };
    answer(&id, outcome)
}

/// A webhook as it arrived.
struct Arrived {
    body: Bytes,
    headers: Vec<(String, String)>,
    url: String,
}

/// Why a webhook was not taken, with the word that counts it.
struct Refusal {
    code: &'static str,
    problem: Problem,
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

/// Reads the body up to its limit.
async fn read(body: Body) -> Result<Bytes, Refusal> {
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

fn text(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(pair).collect()
}

/// Verifies, reads, appends.
async fn accept(
    state: &AppState,
    gateway: &dyn Gateway,
    arrived: Arrived,
) -> Result<Appended, Refusal> {
    let request = WebhookRequest {
        body: &arrived.body,
        headers: &arrived.headers,
        url: Some(&arrived.url),
        // Senders sign in real time, even when the service runs on a test clock.
        now: real_now(),
    };
    gateway.verify(&request)?;
    let events = gateway.parse(&request).map_err(|malformed| {
        Refusal::from(Rejection::new(RejectionCode::MalformedBody, malformed.0))
    })?;
    let first = events.first().map(|event| event.id.as_str()).filter(|id| !id.is_empty());
    let id = first.map_or_else(|| digest(&arrived.body), str::to_owned);
    let keep = |(name, _): &(String, String)| KEPT_HEADERS.contains(&name.as_str());
    let headers = arrived.headers.into_iter().filter(keep).collect();
    let body = InboxBody::Webhook { body: arrived.body.to_vec(), headers };
    state
        .append(gateway.id().as_str(), id, body)
        .await
        .map_err(|error| Refusal { code: "store_unavailable", problem: error.into() })
}

/// The id of a body that has none: the same body is the same event.
fn digest(body: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(body)))
}

fn answer(gateway: &str, outcome: Result<Appended, Refusal>) -> Response {
    let duplicate = match outcome {
        Ok(appended) => appended == Appended::Duplicate,
        Err(refusal) => {
            tracing::warn!(gateway, code = refusal.code, "webhook refused");
            count(gateway, refusal.code);
            return refusal.problem.into_response();
        }
    };
    count(gateway, if duplicate { "duplicate" } else { "accepted" });
    axum::Json(json!({ "received": true, "duplicate": duplicate })).into_response()
}

fn count(gateway: &str, outcome: &'static str) {
    metrics::counter!(
        "recoup_webhooks_total",
        "gateway" => gateway.to_owned(),
        "outcome" => outcome
    )
    .increment(1);
}
