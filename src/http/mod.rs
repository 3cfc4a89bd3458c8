//! HTTP: webhooks, hosted page, API, dashboard, health, metrics.
//!
//! Why here: everything that arrives over HTTP is checked, written to the inbox and answered. The
//! rooms below decide nothing: what follows from an input is the business of worker and core.
//!
//! What must stay true: a webhook is acknowledged only when it is durable (design I3); `GET`
//! changes nothing (I9); no card number gets in; no route of a person or a program opens without
//! a session or a token; no concrete store and no gateway is named here.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Notify;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::channel::callback::Callbacks;
use crate::clock::Clock;
use crate::core::case::Case;
use crate::core::ids::{CaseId, GatewayId};
use crate::core::policy::Policy;
use crate::core::reputation::Ceilings;
use crate::gateway::Gateway;
use crate::gateway::history::Completeness;
use crate::message::Brand;
use crate::store::erase::Retention;
use crate::store::outbound::Endpoint;
use crate::store::{CaseFilter, InboxBody, InboxRecord, Store, StoreError};

mod api;
mod auth;
mod book;
mod callbacks;
mod card_numbers;
pub mod csv;
mod dashboard;
mod errors;
mod gate;
mod health;
pub mod link;
mod messages;
mod mounted;
pub mod pages;
mod pay;
mod people;
mod problem;
mod refused;
mod report;
mod request_id;
mod unsubscribe;
mod view;
mod webhooks;

pub use api::{Access, Keys, expire, openapi};
pub use axum::http::HeaderName;
pub use book::Book;
pub use gate::Gate;
pub use people::oidc::{Oidc, OidcSettings};
pub use people::scope::Scope;
pub use people::sessions::first_link;
pub use problem::Problem;
pub use refused::Refusals;
pub use view::case_json;

/// Longest body of anything but a webhook.
const MAX_BODY: usize = 256 * 1024;

/// Longest time for one request, except for moving the test clock.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Longest wait until an appended input is applied; then the answer is given without it.
const SETTLE_TIME: Duration = Duration::from_secs(10);

/// What HTTP asks of the worker.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Waits until everything that was appended before is applied, with its consequences of now.
    async fn settle(&self);

    /// Moves the test clock through every due moment in order, and answers when everything that
    /// was due up to `to` is done.
    async fn advance(&self, to: Timestamp) -> Result<(), AdvanceError>;

    /// For how long the worker has not begun a turn, where that is too long.
    fn stands_still(&self) -> Option<Duration> {
        None
    }

    /// Compares what the gateways know since then with the store; takes in what is missing where
    /// `repair` is asked for.
    async fn reconcile(
        &self,
        since: Timestamp,
        repair: bool,
    ) -> Result<Vec<Completeness>, StoreError>;
}

/// Why the test clock was not moved as far as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("advance the test clock: {0}")]
pub struct AdvanceError(pub String);

/// Whether the service can take webhooks; the reason when not.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<RwLock<Option<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Some("starting".to_owned()))))
    }
}

impl Readiness {
    /// From now on it can.
    pub fn ready(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// From now on it cannot.
    pub fn unready(&self, reason: impl Into<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    /// Why it cannot.
    pub fn reason(&self) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that the routes need.
#[derive(Clone)]
pub struct AppState {
    /// Everything that survives.
    pub store: Arc<dyn Store>,
    /// The configured gateways.
    pub gateways: Arc<[Arc<dyn Gateway>]>,
    /// Reads what message providers report.
    pub callbacks: Arc<[Arc<dyn Callbacks>]>,
    /// The service's time.
    pub clock: Clock,
    /// What reports count, kept in memory.
    pub book: Book,
    /// Webhooks that were refused lately.
    pub refused: Refusals,
    /// Idempotency keys under which something is done at this moment.
    pub keys: Keys,
    /// Wakes the worker after each append.
    pub wake: Arc<Notify>,
    /// The worker.
    pub engine: Arc<dyn Engine>,
    /// Opens API, dashboard and metrics.
    pub admin_token: Option<SecretString>,
    /// Opens the metrics, and nothing else.
    pub metrics_token: Option<SecretString>,
    /// Where else people sign in.
    pub oidc: Option<Arc<Oidc>>,
    /// Whose service this is.
    pub brand: Arc<Brand>,
    /// Whether webhooks can be taken.
    pub readiness: Readiness,
    /// The metrics as Prometheus reads them.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The policy of new cases.
    pub policy: Arc<Policy>,
    /// Above which a channel is stopped.
    pub ceilings: Ceilings,
    /// What a merchant's own front end is told of customers who owe.
    pub access: Access,
    /// How long what is kept.
    pub retention: Retention,
    /// Signs card-update links: [`Store::link_key`].
    pub link_key: [u8; 32],
    /// The header in which a proxy in front names the caller's address; `None`: the connection's
    /// counts, where the server tells it.
    pub client_address_header: Option<HeaderName>,
    /// Where events go.
    pub endpoints: Arc<[Endpoint]>,
    /// Room for webhooks and callbacks under way.
    pub gate: Gate,
}

/// Cases that are read at a time.
const CASES_AT_A_TIME: usize = 500;

impl AppState {
    /// The configured gateway with this id.
    fn gateway(&self, id: &str) -> Option<&Arc<dyn Gateway>> {
        self.gateways.iter().find(|gateway| gateway.id().as_str() == id)
    }

    /// Hands over every case that passes, newest first; no further page is read when `at_most`
    /// were. Others are answered between two pages.
    async fn each_case(
        &self,
        filter: &CaseFilter,
        at_most: usize,
        mut each: impl FnMut(&Case) + Send,
    ) -> Result<(), StoreError> {
        let (mut after, mut read): (Option<CaseId>, usize) = (None, 0);
        while read < at_most {
            let page = self.store.list_cases(filter, after.as_ref(), CASES_AT_A_TIME).await?;
            page.data.iter().for_each(&mut each);
            read += page.data.len();
            after = page.data.last().map(|case| case.id.clone());
            if !page.has_more || after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Appends one input, durably, and wakes the worker.
    async fn append(
        &self,
        source: &str,
        id: String,
        body: InboxBody,
    ) -> Result<crate::store::Appended, StoreError> {
        let appended = self.append_all(source, vec![(id, body)]).await?;
        let first = appended.into_iter().next();
        first.ok_or_else(|| StoreError::Refused("it answered for no record".to_owned()))
    }

    /// Appends inputs, durably, all or none, and wakes the worker.
    async fn append_all(
        &self,
        source: &str,
        inputs: Vec<(String, InboxBody)>,
    ) -> Result<Vec<crate::store::Appended>, StoreError> {
        let (source, received_at) = (GatewayId::from(source), self.clock.now());
        let record = |(id, body)| InboxRecord { source: source.clone(), id, received_at, body };
        let appended = self.store.append(inputs.into_iter().map(record).collect()).await?;
        self.wake.notify_one();
        Ok(appended)
    }

    /// Waits until what was appended is applied, within reason.
    async fn settle(&self) {
        if tokio::time::timeout(SETTLE_TIME, self.engine.settle()).await.is_err() {
            tracing::warn!("the worker has not applied an input in time; answering without it");
        }
    }
}

/// Health and metrics alone: of a process that no traffic is meant for.
pub fn health_router(state: AppState) -> Router {
    health_routes().with_state(state)
}

fn health_routes() -> Router<AppState> {
    Router::new()
        .route("/livez", get(health::live))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
}

/// Every route.
pub fn router(state: AppState) -> Router {
    let people = Router::new()
        .route("/unsubscribe/{token}", post(unsubscribe::stop).get(unsubscribe::show))
        .merge(pay::routes(&state))
        .merge(dashboard::routes(&state))
        .merge(api::routes(&state))
        .layer(middleware::from_fn(card_numbers::refuse));
    let quick = Router::new()
        .route("/webhooks/{gateway}", post(webhooks::receive).get(webhooks::challenge))
        .route("/callbacks/{channel}", post(callbacks::receive).get(callbacks::challenge))
        .merge(health_routes())
        .route("/errors/{code}", get(errors::show))
        .route("/api/v1/openapi.json", get(api::show_openapi))
        .merge(people)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIME));
    let slow = api::slow_routes(&state).layer(middleware::from_fn(card_numbers::refuse));
    quick
        .merge(slow)
        .fallback(async || Problem::not_found("there is no such route"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "wrong method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(mounted::lead_here))
        .layer(middleware::from_fn(request_id::with_id))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(default_header(header::CACHE_CONTROL, "no-store"))
        .layer(default_header(header::REFERRER_POLICY, "no-referrer"))
        .layer(default_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(default_header(header::X_FRAME_OPTIONS, "DENY"))
        .layer(default_header(HeaderName::from_static("x-robots-tag"), "noindex, nofollow"))
        .layer(default_header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(default_header(HeaderName::from_static("permissions-policy"), NO_PERMISSIONS))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::STRICT_TRANSPORT_SECURITY,
            only_by_tls(&state.brand.public_url),
        ))
        .layer(default_header(header::CONTENT_SECURITY_POLICY, CLOSED_POLICY))
        .with_state(state)
}

/// A year; only where the world reaches us by TLS, since a browser would believe it elsewhere too.
fn only_by_tls(public_url: &str) -> Option<HeaderValue> {
    let year = HeaderValue::from_static("max-age=31536000");
    public_url.starts_with("https://").then_some(year)
}

/// No page of ours asks a browser for anything.
const NO_PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=()";

/// For answers that are no pages: they may do nothing at all in a browser.
const CLOSED_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

fn default_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// A handler that panicked takes no other request with it. What it says may hold anything, so it is
/// not logged.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke on our side")
        .into_response()
}

/// An HTML page with the headers of a page.
fn page(status: StatusCode, html: String) -> Response {
    let policy = pages::content_security_policy(&html);
    let mut response = (status, axum::response::Html(html)).into_response();
    if let Ok(value) = HeaderValue::from_str(&policy)
        && !policy.is_empty()
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, value);
    }
    response
}

/// Sends the browser on with a `GET`.
fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(value) => (StatusCode::SEE_OTHER, [(header::LOCATION, value)]).into_response(),
        Err(_) => {
            Problem::new(StatusCode::BAD_GATEWAY, "bad_location", "the address is no address")
                .into_response()
        }
    }
}
