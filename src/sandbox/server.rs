//! The sandbox's HTTP server: the APIs, the hosted pages, and the control endpoints.
//!
//! Why here: one address serves everything: `/stripe/v1/…` (also `/v1/…`), `/adyen/…`, `/http/…`,
//! the pages under them, and `/_sandbox/…`.
//!
//! What must stay true: GET of a page changes nothing.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{any, get};
use serde_json::Value;

use super::api::{self, Call, Wire};
use super::line::Line;
use super::shared::Shared;
use super::{adyen, control, form, http, page, stripe};

/// The largest body that a call may have.
const BODY_LIMIT: usize = 1 << 20;

pub(crate) type SharedState = State<Arc<Shared>>;

/// All routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/stripe/v1/{*path}", any(stripe_api))
        .route("/v1/{*path}", any(stripe_api))
        .route("/stripe/pages/portal/{secret}", get(portal).post(portal_save))
        .route("/stripe/pages/invoice/{secret}", get(invoice).post(invoice_pay))
        .route("/adyen/pages/link/{secret}", get(link).post(link_pay))
        .route("/adyen/{*path}", any(adyen_api))
        .route("/checkout/{*path}", any(adyen_api))
        .route("/http/pages/card/{secret}", get(card).post(card_save))
        .route("/http/{*path}", any(http_api))
        .nest("/_sandbox", control::router())
        .with_state(shared)
}

async fn stripe_api(
    State(shared): SharedState,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    serve::<stripe::Stripe>(shared, line, ("/stripe", request)).await
}

async fn adyen_api(
    State(shared): SharedState,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    serve::<adyen::Adyen>(shared, line, ("/adyen", request)).await
}

async fn http_api(
    State(shared): SharedState,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response<Body> {
    serve::<http::Http>(shared, line, ("/http", request)).await
}

async fn serve<W: Wire>(
    shared: Arc<Shared>,
    line: Line,
    request: (&str, Request),
) -> Response<Body> {
    let (mount, request) = request;
    match read(mount, request).await {
        Some(call) => api::serve::<W>(shared, line, call).await,
        None => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// Reads query and body: a form, or JSON where the call says so.
async fn read(mount: &str, request: Request) -> Option<Call> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.ok()?;
    let json = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    let params = if json && !body.is_empty() {
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    } else {
        let query = head.uri.query().unwrap_or_default();
        form::decode(&format!("{query}&{}", String::from_utf8_lossy(&body)))
    };
    let path = head.uri.path();
    Some(Call {
        method: head.method,
        path: path.strip_prefix(mount).unwrap_or(path).to_owned(),
        params,
        headers: head.headers,
    })
}

/// What a hosted page answers.
#[derive(Debug)]
pub(crate) enum Shown {
    /// A page.
    Page(u16, String),
    /// Back to where the customer came from.
    Back(String),
}

impl Shown {
    pub(crate) fn page(status: u16, html: String) -> Self {
        Self::Page(status, html)
    }

    /// A link that does not work, or no more.
    pub(crate) fn gone() -> Self {
        Self::Page(404, page::message("Link expired", "Ask for a new link."))
    }

    /// Back to the return URL; without one a page that says `text`.
    pub(crate) fn back(return_url: Option<String>, text: &str) -> Self {
        return_url.map_or_else(|| Self::Page(200, page::message("Done", text)), Self::Back)
    }

    fn response(self) -> Response<Body> {
        match self {
            Self::Page(status, html) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                (status, axum::response::Html(html)).into_response()
            }
            Self::Back(url) => Redirect::to(&url).into_response(),
        }
    }
}

/// The chosen card of a posted form; the first that is offered where none was chosen.
async fn chosen(request: Request) -> Option<String> {
    let call = read("", request).await?;
    call.text("card").map(str::to_owned)
}

const DEFAULT_CARD: &str = "4242424242424242";

async fn portal(State(shared): SharedState, Path(secret): Path<String>) -> Response<Body> {
    shared.with(|world| stripe::pages::show_portal(world, &secret)).response()
}

async fn portal_save(
    State(shared): SharedState,
    Path(secret): Path<String>,
    request: Request,
) -> Response<Body> {
    let card = chosen(request).await.unwrap_or_else(|| DEFAULT_CARD.to_owned());
    shared.with(|world| stripe::pages::use_portal(world, &secret, &card)).response()
}

async fn invoice(State(shared): SharedState, Path(secret): Path<String>) -> Response<Body> {
    shared.with(|world| stripe::pages::show_invoice(world, &secret)).response()
}

async fn invoice_pay(
    State(shared): SharedState,
    Path(secret): Path<String>,
    request: Request,
) -> Response<Body> {
    let card = chosen(request).await;
    shared.with(|world| stripe::pages::pay_invoice(world, &secret, card.as_deref())).response()
}

async fn link(State(shared): SharedState, Path(secret): Path<String>) -> Response<Body> {
    shared.with(|world| adyen::links::show_page(world, &secret)).response()
}

async fn link_pay(
    State(shared): SharedState,
    Path(secret): Path<String>,
    request: Request,
) -> Response<Body> {
    let card = chosen(request).await.unwrap_or_else(|| DEFAULT_CARD.to_owned());
    shared.with(|world| adyen::links::pay(world, &secret, &card)).response()
}

async fn card(State(shared): SharedState, Path(secret): Path<String>) -> Response<Body> {
    shared.with(|world| http::pages::show(world, &secret)).response()
}

async fn card_save(
    State(shared): SharedState,
    Path(secret): Path<String>,
    request: Request,
) -> Response<Body> {
    let card = chosen(request).await.unwrap_or_else(|| DEFAULT_CARD.to_owned());
    shared.with(|world| http::pages::save(world, &secret, &card)).response()
}
