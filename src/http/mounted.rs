//! Mounted under a path: pages and redirects lead to where the routes are.
//!
//! Why here: pages say `/cases`, and a host may have nested the router at `/recoup`. One layer
//! knows the path from the request itself, so no page and no setting has to.
//!
//! What must stay true: at the root nothing is touched; only addresses that begin with one slash
//! are moved, and only in redirects, in the attributes of HTML pages and in the paths of cookies.

use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Where htmx is sent on to: what `Location` is to a browser.
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Longest page that is moved; there is none near it.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// Attributes of HTML that hold an address.
const ATTRIBUTES: [&str; 9] = [
    "href",
    "src",
    "action",
    "formaction",
    "hx-get",
    "hx-post",
    "hx-put",
    "hx-delete",
    "sse-connect",
];

/// Moves what the answer says to where the routes are mounted.
pub(super) async fn lead_here(request: Request, next: Next) -> Response {
    let whole = request.extensions().get::<OriginalUri>().map(|uri| uri.0.path().to_owned());
    let inner = request.uri().path();
    let prefix = whole.as_deref().and_then(|whole| prefix_of(whole, inner)).map(str::to_owned);
    let response = next.run(request).await;
    match prefix {
        Some(prefix) => moved(response, &prefix).await,
        None => response,
    }
}

/// The path that was taken off; `None` at the root.
fn prefix_of<'a>(whole: &'a str, inner: &str) -> Option<&'a str> {
    let prefix = match inner {
        // The mount point itself may stand without its slash.
        "/" => whole.strip_suffix('/').unwrap_or(whole),
        inner => whole.strip_suffix(inner)?,
    };
    (!prefix.is_empty()).then_some(prefix)
}

async fn moved(mut response: Response, prefix: &str) -> Response {
    for name in [header::LOCATION, HX_REDIRECT] {
        if let Some(place) = response.headers().get(&name).and_then(|place| place.to_str().ok())
            && is_ours(place)
            && !place.starts_with(&format!("{prefix}/"))
            && let Ok(value) = HeaderValue::from_str(&format!("{prefix}{place}"))
        {
            response.headers_mut().insert(name, value);
        }
    }
    let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
    response.headers_mut().remove(header::SET_COOKIE);
    for cookie in cookies {
        let here = cookie.to_str().ok().map(|text| in_cookie(text, prefix));
        let here = here.and_then(|text| HeaderValue::from_str(&text).ok()).unwrap_or(cookie);
        response.headers_mut().append(header::SET_COOKIE, here);
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    match to_bytes(body, MAX_PAGE).await {
        Ok(bytes) => {
            let page = in_page(&String::from_utf8_lossy(&bytes), prefix);
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(page))
        }
        Err(_) => Response::from_parts(parts, Body::empty()),
    }
}

/// A cookie is for the routes here, not for whatever else the host has.
fn in_cookie(cookie: &str, prefix: &str) -> String {
    cookie.replacen("; Path=/;", &format!("; Path={prefix};"), 1)
}

/// Begins with one slash: `//host` leads elsewhere.
fn is_ours(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//")
}

fn in_page(page: &str, prefix: &str) -> String {
    let mut moved = page.to_owned();
    for attribute in ATTRIBUTES {
        let opening = format!(" {attribute}=\"/");
        let here = format!("{prefix}/");
        let mut out = String::with_capacity(moved.len());
        let mut rest = moved.as_str();
        while let Some((before, behind)) = rest.split_once(&opening) {
            out.push_str(before);
            let there = behind.starts_with(here.trim_start_matches('/')) || behind.starts_with('/');
            out.push_str(&if there {
                opening.clone()
            } else {
                format!(" {attribute}=\"{prefix}/")
            });
            rest = behind;
        }
        out.push_str(rest);
        moved = out;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_moved() {
        let page = "<a href=\"/cases/1\">x</a><form action=\"/login\"><a href=\"//cdn/x\">\
                    <a href=\"https://x/\"><a href=\"/recoup/pay/t\"><b>href=/x</b>";
        let wanted = "<a href=\"/recoup/cases/1\">x</a><form action=\"/recoup/login\">\
                      <a href=\"//cdn/x\"><a href=\"https://x/\"><a href=\"/recoup/pay/t\">\
                      <b>href=/x</b>";
        assert_eq!(in_page(page, "/recoup"), wanted);
        assert!(is_ours("/login") && !is_ours("//evil.example") && !is_ours("https://a.example"));
    }

    #[test]
    fn two_merchants_of_one_host_have_two_cookies() {
        let moved = in_cookie("recoup_session=a; Path=/; HttpOnly", "/b");
        assert_eq!(moved, "recoup_session=a; Path=/b; HttpOnly");
    }

    #[test]
    fn the_path_is_read_off_the_request() {
        assert_eq!(prefix_of("/recoup/cases/1", "/cases/1"), Some("/recoup"));
        assert_eq!(prefix_of("/recoup", "/"), Some("/recoup"));
        assert_eq!(prefix_of("/a/b/", "/"), Some("/a/b"));
        assert_eq!(prefix_of("/cases/1", "/cases/1"), None);
        assert_eq!(prefix_of("/", "/"), None);
    }
}
