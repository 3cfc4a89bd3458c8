//! Limits for strangers: how often one link and one address may come.
//!
//! Why here: these routes are open to everybody. Who guesses links, or asks `/verify` about many,
//! is slowed down long before a guess could hit.
//!
//! What must stay true: the address of a proxy's header counts only where the merchant said so; a
//! clock that jumps back gives nothing and takes nothing; memory is bounded.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::visit::browser_locale;
use crate::clock::real_now;
use crate::http::pages::busy_page;
use crate::http::{AppState, page};

/// Requests that one link may have at once, and how many come back each second.
/// A mail scanner may fetch it and press every button fifty times before its owner comes.
const LINK: Rate = Rate { burst: 600.0, per_second: 2.0 };
/// The same for one address.
const ADDRESS: Rate = Rate { burst: 900.0, per_second: 4.0 };
/// What a link that leads nowhere costs its address.
const GUESS: f64 = 45.0;
/// What a question to `/verify` costs.
const QUESTION: f64 = 45.0;
/// Links and addresses that are remembered at most.
const MAX_BUCKETS: usize = 50_000;

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    per_second: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at_ms: i64,
}

/// The limits, and what they need.
#[derive(Clone)]
pub(super) struct Guard {
    state: AppState,
    buckets: Arc<Mutex<HashMap<String, Bucket>>>,
}

impl Guard {
    pub(super) fn new(state: AppState) -> Self {
        Self { state, buckets: Arc::default() }
    }

    /// Takes `cost`; `false` when there is not enough left.
    fn take(&self, name: String, rate: Rate, cost: f64) -> bool {
        let now = real_now().as_millisecond();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS {
            // Who has not come for two minutes has everything back.
            buckets.retain(|_, bucket| (0..120_000).contains(&(now - bucket.at_ms)));
            if buckets.len() >= MAX_BUCKETS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(name).or_insert(Bucket { left: rate.burst, at_ms: now });
        let seconds = (now - bucket.at_ms).max(0) as f64 / 1000.0;
        bucket.left = (bucket.left + seconds * rate.per_second).min(rate.burst);
        bucket.at_ms = now;
        let enough = bucket.left >= cost;
        bucket.left = (bucket.left - cost).max(0.0);
        enough
    }
}

/// The caller's address: the proxy's word where it is asked for, else the connection's.
pub(in crate::http) fn address_of(state: &AppState, request: &Request) -> Option<String> {
    let address = match &state.client_address_header {
        Some(name) => {
            let values = request.headers().get_all(name).iter();
            // The proxy in front adds the last one; what is before it anybody may have written.
            let last = values.filter_map(|value| value.to_str().ok()).next_back()?;
            parse(last.rsplit(',').next()?.trim())
        }
        None => {
            let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
            connected.map(|ConnectInfo(address)| address.ip())
        }
    };
    Some(match address?.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        // One household has a whole /64.
        IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
    })
}

fn parse(text: &str) -> Option<IpAddr> {
    let alone = text.trim_start_matches('[').trim_end_matches(']');
    alone.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Lets a request through, or asks to come back later.
pub(super) async fn limit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let link = path.strip_prefix("/pay/").and_then(|rest| rest.split('/').next());
    let link = link.map(|token| format!("link {}", token.chars().take(64).collect::<String>()));
    let asks = path == "/verify" && request.method() == Method::POST;
    let address = address_of(&guard.state, &request).map(|address| format!("from {address}"));
    let cost = if asks { QUESTION } else { 1.0 };
    let enough = address.clone().is_none_or(|name| guard.take(name, ADDRESS, cost))
        && link.clone().is_none_or(|name| guard.take(name, LINK, 1.0));
    if !enough {
        return busy(&guard.state, request.headers());
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND
        && let Some(name) = address
    {
        guard.take(name, ADDRESS, GUESS);
    }
    response
}

fn busy(state: &AppState, headers: &axum::http::HeaderMap) -> Response {
    let html = busy_page(&state.brand, &browser_locale(state, headers));
    let mut response = page(StatusCode::TOO_MANY_REQUESTS, html);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    response
}
