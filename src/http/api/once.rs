//! `Idempotency-Key`: whatever is posted is done once, and answered the same again.
//!
//! Why here: one layer around every route that is posted to, so that no route can forget it. The
//! key is durable before the route begins, the answer when it has ended.
//!
//! What must stay true: what was begun goes on when the caller hangs up; an answer is kept only
//! when something was done (2xx) and no secret is in it: what was refused may be mended and sent
//! again under its key; a route that is begun again after a crash finds its key in [`Once`] and
//! does nothing twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::actions::unique;
use super::learning::MAX_RECORD;
use crate::clock::real_now;
use crate::http::people::rule::Inside;
use crate::http::{AppState, Problem};
use crate::store::Store;
use crate::store::kept::{self, Answer, Asked, Begin, Ticket};

/// Longest idempotency key.
const MAX_KEY: usize = 255;

/// Longest answer of any route.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How often it is told that a long request is still under way: a third of what it holds for.
const TELL_EVERY: Duration = Duration::from_secs(20);

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The keys under which this process does something at this moment.
#[derive(Debug, Clone)]
pub struct Keys {
    process: Arc<str>,
    flying: Arc<Mutex<BTreeSet<String>>>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { process: unique().into(), flying: Arc::default() }
    }
}

impl Keys {
    fn take(&self, key: &str) -> Option<Flight> {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = || Flight { keys: self.clone(), key: key.to_owned() };
        flying.insert(key.to_owned()).then(flight)
    }
}

/// A key is in use until this is dropped.
struct Flight {
    keys: Keys,
    key: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flying = self.keys.flying.lock().unwrap_or_else(PoisonError::into_inner);
        flying.remove(&self.key);
    }
}

/// Under which key a route is called, for those that are not idempotent by themselves.
#[derive(Debug, Clone)]
pub(super) struct Once {
    /// The digest of the key.
    pub(super) key: String,
    /// When the request was first begun, by the service's clock.
    pub(super) begun_at: Timestamp,
    /// Whether it was begun before, and maybe done.
    pub(super) is_again: bool,
}

/// Comes with an answer that holds a secret: it is given once and not kept. Asked again under its
/// key, the route says itself that it was done.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Unkept;

/// Does what is posted under a key once.
pub(super) async fn once(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let Some(key) = idempotency_key(request.headers())? else { return Ok(next.run(request).await) };
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, MAX_RECORD).await.map_err(|_| too_long())?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    // A key is its caller's own: nobody is answered what somebody else was.
    let who = head.extensions.get::<Inside>().map(|inside| inside.who.clone());
    let caller = who.map_or_else(String::new, |who| format!("{:?} {}", who.kind, who.name));
    let asked = Asked {
        key: digest(&[b"key", caller.as_bytes(), key.as_bytes()]),
        asked: digest(&[path.as_bytes(), &body]),
        owner: state.keys.process.to_string(),
        now: state.clock.now(),
    };
    let flight = state.keys.take(&asked.key).ok_or_else(under_way)?;
    let ticket = match kept::begin(&*state.store, &asked, real_now()).await? {
        Begin::Answered(answer) => return Ok(again(answer)),
        Begin::Other => return Err(reused()),
        Begin::UnderWay => return Err(under_way()),
        Begin::Do(ticket) => ticket,
    };
    let (begun_at, is_again) = (ticket.begun_at(), ticket.is_again());
    head.extensions.insert(Once { key: asked.key, begun_at, is_again });
    let request = Request::from_parts(head, Body::from(body));
    // It goes on when the caller hangs up: what was begun under a key is finished under it.
    let work = tokio::spawn(async move {
        let answer = finish(&*state.store, ticket, next.run(request)).await;
        drop(flight);
        answer
    });
    work.await.map_err(|_| {
        let detail = "something broke on our side: ask again with the same key";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    })
}

/// Waits for the answer, keeps it, gives it.
async fn finish(
    store: &dyn Store,
    mut ticket: Box<Ticket>,
    work: impl Future<Output = Response>,
) -> Response {
    let mut work = std::pin::pin!(work);
    let response = loop {
        match tokio::time::timeout(TELL_EVERY, &mut work).await {
            Ok(response) => break response,
            // Where nobody else could take it over there is nobody to tell.
            Err(_) if store.shared().is_none() => {}
            Err(_) => {
                if let Err(error) = ticket.hold(store, real_now()).await {
                    tracing::warn!(%error, "a long request could not say that it is under way");
                }
            }
        }
    };
    let (head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_ANSWER).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer broke off")
            .into_response();
    };
    let is_secret = head.extensions.get::<Unkept>().is_some();
    let answer = kept_answer(head.status, &head.headers, &body).filter(|_| !is_secret);
    let kept = match answer {
        Some(answer) => ticket.keep(store, answer).await,
        None => ticket.give_back(store).await,
    };
    if let Err(error) = kept {
        // It was done: asked again, the route finds what it did by its key.
        tracing::warn!(%error, "an answer could not be kept under its idempotency key");
    }
    Response::from_parts(head, Body::from(body))
}

/// Only what was done is kept. A very long answer is one of those that change nothing.
fn kept_answer(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Option<Answer> {
    if !status.is_success() || body.len() > kept::LONGEST {
        return None;
    }
    let body = String::from_utf8(body.to_vec()).ok()?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    Some(Answer { status: status.as_u16(), kind: kind.unwrap_or_default().to_owned(), body })
}

fn again(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Ok(kind) = HeaderValue::from_str(&answer.kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The `Idempotency-Key` of a request.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|t| !t.is_empty() && t.len() <= MAX_KEY);
    text.map(|text| Some(format!("key:{text}"))).ok_or_else(|| {
        let detail = format!("`Idempotency-Key` must be 1 to {MAX_KEY} ASCII characters");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail)
    })
}

/// 409: the key belongs to another request.
pub(super) fn reused() -> Problem {
    let detail = "this `Idempotency-Key` was used for another request: take a new one";
    Problem::new(StatusCode::CONFLICT, "idempotency_key_reused", detail)
}

fn under_way() -> Problem {
    let detail = "a request with this `Idempotency-Key` is under way: ask again in a second";
    Problem::new(StatusCode::CONFLICT, "idempotency_key_in_use", detail)
        .with_header(header::RETRY_AFTER, "1")
}

fn too_long() -> Problem {
    let detail = "the body broke off, or is too long";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
