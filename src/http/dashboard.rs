//! The dashboard: `/`, behind a session.
//!
//! Why here: the people of the merchant see every case and its ledger, and can act on a case.
//!
//! What must stay true: nothing is shown without a session; nothing acts without the session's csrf
//! text; without an admin token the dashboard says how to set one and stays closed.

use axum::extract::{Form, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde::Deserialize;

use super::auth::{self, Session, Transport};
use super::book::BookError;
use super::pages::{Shell, login_page, problem_page};
use super::{AppState, Problem, page, see_other};
use crate::clock::real_now;
use crate::store::StoreError;

mod asked;
mod assets;
mod case;
mod cases;
mod gateways;
mod home;
mod messages;
mod report;
mod sample;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(home::show))
        .route("/cases", get(cases::list))
        .route("/cases/{id}", get(case::show))
        .route("/cases/{id}/{action}", post(case::act))
        .route("/messages", get(messages::show))
        .route("/messages/preview", get(messages::preview))
        .route("/messages/preview/{locale}/{kind}", get(messages::preview_body))
        .route("/cases/{id}/messages/{message}", get(case::message))
        .route("/gateways", get(gateways::show))
        .route("/gateways/{id}/{action}", post(gateways::act))
        .route("/report", get(report::show))
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .route("/assets/{name}", get(assets::serve))
        .layer(middleware::from_fn(assets::send_on))
}

/// A person with a session. Without one the browser is sent to `/login`.
struct Person {
    session: Session,
}

impl FromRequestParts<AppState> for Person {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        let Some(token) = &state.admin_token else { return Err(closed(state)) };
        match auth::session(token, &parts.headers, real_now()) {
            Some(session) => Ok(Self { session }),
            None => Err(see_other("/login")),
        }
    }
}

/// Why a page of the dashboard was not made, as a page.
enum Trouble {
    /// The question makes no sense.
    Asked(String),
    Csrf,
    NoCase,
    /// The cases are being counted: so many so far.
    Reading(usize),
    Store(Problem),
}

impl From<BookError> for Trouble {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Reading(cases) => Self::Reading(cases),
            BookError::Store(error) => Self::Store(error.into()),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Store(problem)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Asked(text) => (StatusCode::BAD_REQUEST, "This cannot be asked for", text),
            Self::Csrf => (
                StatusCode::FORBIDDEN,
                "Nothing was done",
                "This form was not sent from a page of your session. Go back and try again."
                    .to_owned(),
            ),
            Self::NoCase => {
                (StatusCode::NOT_FOUND, "No such case", "There is no case with this id.".to_owned())
            }
            Self::Reading(cases) => return still_reading(cases),
            Self::Store(problem) => return problem.into_response(),
        };
        page(status, problem_page(&bare_shell(""), title, &text))
    }
}

/// Looks again by itself.
fn still_reading(cases: usize) -> Response {
    let text = format!(
        "After a start the cases are counted once: {cases} so far. This page looks again by itself."
    );
    let html = problem_page(&bare_shell(""), "Counting", &text);
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, html);
    response.headers_mut().insert(header::REFRESH, HeaderValue::from_static("2"));
    response
}

fn bare_shell(brand: &str) -> Shell {
    Shell {
        brand: brand.to_owned(),
        time_zone: "UTC".to_owned(),
        now: real_now(),
        test_clock: false,
        csrf: None,
        notice: None,
    }
}

fn closed(state: &AppState) -> Response {
    let shell = bare_shell(&state.brand.name);
    let html = problem_page(&shell, "The dashboard is closed", auth::HOW_TO_SET);
    page(StatusCode::SERVICE_UNAVAILABLE, html)
}

fn shell(state: &AppState, session: &Session, notice: Option<String>) -> Shell {
    Shell {
        brand: state.brand.name.clone(),
        time_zone: state.brand.time_zone.clone(),
        now: state.clock.now(),
        test_clock: state.clock.is_test(),
        csrf: Some(session.csrf.clone()),
        notice,
    }
}

/// `GET /login`.
async fn login_form(State(state): State<AppState>) -> Response {
    match &state.admin_token {
        Some(_) => page(StatusCode::OK, login_page(&state.brand.name, None)),
        None => closed(&state),
    }
}

/// What the form at the door sends.
#[derive(Deserialize)]
struct LoginForm {
    #[serde(default)]
    token: String,
}

/// `POST /login`.
async fn login(
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Response {
    let Some(token) = &state.admin_token else { return closed(&state) };
    if !auth::is_token(token, form.token.trim()) {
        tracing::warn!("a login with a wrong admin token");
        let html = login_page(&state.brand.name, Some("This is not the admin token."));
        return page(StatusCode::UNAUTHORIZED, html);
    }
    let cookie = auth::cookie(token, real_now(), Transport::of(&headers));
    ([(header::SET_COOKIE, cookie)], see_other("/")).into_response()
}

/// `POST /logout`.
async fn logout() -> Response {
    ([(header::SET_COOKIE, auth::no_cookie())], see_other("/login")).into_response()
}
