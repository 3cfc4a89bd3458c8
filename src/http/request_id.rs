//! The id of a request: in every line that is logged on its behalf, and in the answer.
//!
//! Why here: who reports "it said 503 at ten" has an id in the answer's `x-request-id`, and whoever
//! reads the log finds its lines. A proxy in front may give the id.
//!
//! What must stay true: an id from outside is taken only in the form of a UUID or of hex digits, so
//! that nothing else gets into the log that way; of the path only the route's pattern is logged,
//! since paths hold link tokens.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::api::unique;

/// The header, in the request and in the answer.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a request under its id.
pub(super) async fn with_id(request: Request, next: Next) -> Response {
    let given = request.headers().get(&HEADER).and_then(|id| id.to_str().ok());
    let id = match given.filter(|id| is_an_id(id)) {
        Some(id) => id.to_owned(),
        None => unique().replace("auto:", "").replace(':', "-"),
    };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "request",
        id = %id,
        method = %request.method(),
        route = route.as_deref().unwrap_or("none"),
    );
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// A UUID, or 16 to 64 hex digits.
fn is_an_id(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let uuid = || {
        let parts: Vec<_> = text.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|p| hex(p))
    };
    ((16..=64).contains(&text.len()) && hex(text)) || uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_get_into_the_log() {
        for id in ["4bf92f3577b34da6a3ce929d0e0e4736", "a1a2a3a4-b1b2-c1c2-d1d2-e1e2e3e4e5e6"] {
            assert!(is_an_id(id), "{id}");
        }
        for text in ["", "ana@customer.example", "+573005550100", "3005550100", "a b", "x-y-z"] {
            assert!(!is_an_id(text), "{text}");
        }
    }
}
