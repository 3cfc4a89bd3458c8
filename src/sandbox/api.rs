//! One way in for every API call of every gateway: faults, keys, the handler, the answer.
//!
//! Why here: outages, idempotency and answers that never come are the same for all gateways; what
//! differs is in each gateway's [`Wire`].
//!
//! What must stay true: the effect happens under the lock before anything is awaited, so a client
//! that goes away changes nothing; a fault before the effect keeps no key.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::Value;

use super::Kind;
use super::idempotency::Known;
use super::issuer::{Fault, Step};
use super::line::Line;
use super::shared::Shared;
use super::world::World;

/// One API call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// After the mount point, e.g. `/v1/invoices/in_1/pay`.
    pub(crate) path: String,
    /// Query and body, decoded.
    pub(crate) params: Value,
    pub(crate) headers: HeaderMap,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
    }

    pub(crate) fn key(&self) -> Option<String> {
        let writes = self.method == Method::POST || self.method == Method::DELETE;
        self.header("idempotency-key").filter(|_| writes).map(str::to_owned)
    }

    /// A text parameter, by its path (`flow_data/type`).
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.params.pointer(&format!("/{path}")).and_then(Value::as_str).filter(|s| !s.is_empty())
    }

    /// Whether a parameter says yes.
    pub(crate) fn flag(&self, path: &str) -> bool {
        self.params
            .pointer(&format!("/{path}"))
            .is_some_and(|value| value == "true" || value == &Value::Bool(true))
    }

    /// The path's parts.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.path.trim_matches('/').split('/').collect()
    }

    fn named(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn request(&self) -> String {
        format!("{} {}", self.named(), self.params)
    }
}

/// An answer, and what goes wrong with it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) fault: Option<Fault>,
    pub(crate) latency_ms: u64,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body, headers: Vec::new(), fault: None, latency_ms: 0 }
    }

    /// The answer to a scripted step.
    pub(crate) fn scripted(mut self, step: &Step) -> Self {
        self.fault = step.fault;
        self.latency_ms = step.latency_ms;
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What is a gateway's own about its calls.
pub(crate) trait Wire {
    const KIND: Kind;
    /// Refuses a call without the right key.
    fn authorize(shared: &Shared, call: &Call) -> Option<Reply>;
    /// Does the call.
    fn handle(world: &mut World, call: &Call) -> Reply;
    /// The first call with this key still runs.
    fn key_in_use() -> Reply;
    /// The key was used for another request.
    fn key_conflict(key: &str) -> Reply;
    /// The body of a 500 or 429.
    fn broken(status: u16) -> Value;
    /// Whether a 500 that came after the effect is kept and given again.
    const KEEPS_BROKEN: bool;
}

/// Marks a key as answered, also when the client goes away before.
struct Running {
    shared: Arc<Shared>,
    key: (Kind, String),
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.finish_key(&self.key);
    }
}

/// Performs a call and everything that goes wrong with it.
pub(crate) async fn serve<W: Wire>(shared: Arc<Shared>, line: Line, call: Call) -> Response<Body> {
    let (reply, request) = shared.with(|world| {
        let request = world.ids.next("req");
        (enter::<W>(&shared, world, &call), request)
    });
    let (first, reply) = reply;
    // A replay, and a refusal for a running key, must not end the first call.
    let running = call
        .key()
        .filter(|_| first)
        .map(|key| Running { shared: shared.clone(), key: (W::KIND, key) });
    let reply = reply.header("request-id", request);
    if reply.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.latency_ms)).await;
    }
    match reply.fault {
        Some(Fault::TimeoutBefore | Fault::TimeoutAfter) => {
            tokio::time::sleep(shared.hold).await;
            hang_up(&line).await;
        }
        Some(Fault::DroppedBefore | Fault::DroppedAfter) => hang_up(&line).await,
        _ => {}
    }
    drop(running);
    response(reply)
}

async fn hang_up(line: &Line) {
    line.cut();
    std::future::pending::<()>().await;
}

/// Whether this call is the first with its key, and its answer.
fn enter<W: Wire>(shared: &Shared, world: &mut World, call: &Call) -> (bool, Reply) {
    let now = world.now;
    let step = world.issuer.call(W::KIND, &call.named(), now);
    if let Some(step) = step.as_ref().filter(|s| s.fault.is_some_and(Fault::is_before_effect)) {
        return (false, broken::<W>(Reply::new(500, Value::Null).scripted(step)));
    }
    if let Some(refusal) = W::authorize(shared, call) {
        return (false, refusal);
    }
    let key = call.key().map(|key| (W::KIND, key));
    if let Some(known) = key.as_ref().and_then(|key| replay::<W>(world, key, call)) {
        return (false, known);
    }
    let mut reply = W::handle(world, call);
    if let Some(step) = step {
        reply = reply.scripted(&step);
    }
    let full = reply.body.clone();
    let status = reply.status;
    let executed = matches!(status, 200..300 | 402);
    let reply = broken::<W>(reply);
    let before = reply.fault.is_some_and(Fault::is_before_effect);
    match key {
        Some(key) if executed && !before => {
            let kept = if W::KEEPS_BROKEN && reply.fault == Some(Fault::ErrorAfter) {
                (reply.status, reply.body.clone())
            } else {
                (status, full)
            };
            world.keys.keep(key, call.request(), now, kept);
            (true, reply)
        }
        _ => (false, reply),
    }
}

fn replay<W: Wire>(world: &mut World, key: &(Kind, String), call: &Call) -> Option<Reply> {
    match world.keys.look(key, &call.request(), world.now) {
        Known::New => None,
        Known::Running => Some(W::key_in_use()),
        Known::Conflict => Some(W::key_conflict(&key.1)),
        Known::Replay(status, body) => {
            Some(Reply::new(status, body).header("idempotent-replayed", "true"))
        }
    }
}

/// Puts the words of a technical failure in the place of an answer.
fn broken<W: Wire>(mut reply: Reply) -> Reply {
    let status = match reply.fault {
        Some(Fault::ErrorBefore | Fault::ErrorAfter) => 500,
        Some(Fault::RateLimited) => 429,
        _ => return reply,
    };
    reply.status = status;
    reply.body = W::broken(status);
    if status == 429 { reply.header("retry-after", "1") } else { reply }
}

/// Writes an answer down.
pub(crate) fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}
