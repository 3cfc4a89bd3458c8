//! `GET /assets/{name}`: the dashboard's style and its one script, from the binary.
//!
//! Why here: no build step and no other server. The script is htmx, unchanged, with its licence
//! beside it; it asks for a page again now and then and puts in what changed. Everything works
//! without it.
//!
//! What must stay true: the addresses change with the content, so a browser may keep what it has.

use axum::extract::{Path, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::Problem;
use crate::http::pages::{DESK_STYLE, HTMX};

/// Tells that htmx asks.
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
/// Sends the whole page on, where htmx asked for a part of it.
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
/// A year.
const FOR_LONG: &str = "public, max-age=31536000, immutable";

/// `GET /assets/{name}`.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "desk.css" => ("text/css; charset=utf-8", DESK_STYLE),
        "htmx.js" => ("text/javascript; charset=utf-8", HTMX),
        _ => return Problem::not_found("there is no such file").into_response(),
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FOR_LONG)];
    (headers, text).into_response()
}

/// A page that asks for a part of itself without a session must not put the door into that part:
/// the whole page goes there.
pub(super) async fn send_on(request: Request, next: Next) -> Response {
    let is_part = request.headers().contains_key(HX_REQUEST);
    let response = next.run(request).await;
    let place = response.headers().get(header::LOCATION).cloned();
    match place {
        Some(place) if is_part && response.status() == StatusCode::SEE_OTHER => {
            let mut on = StatusCode::NO_CONTENT.into_response();
            on.headers_mut().insert(HX_REDIRECT, place);
            on
        }
        _ => response,
    }
}

/// Nothing has changed: htmx leaves the page as it is.
pub(super) fn unchanged() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Lets our own pages show what is answered here in a frame.
pub(super) fn in_own_frame(mut response: Response) -> Response {
    let own = HeaderValue::from_static("SAMEORIGIN");
    response.headers_mut().insert(header::X_FRAME_OPTIONS, own);
    response
}
