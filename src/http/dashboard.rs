//! The dashboard: `/`, behind a session.
//!
//! Why here: the people of the merchant see every case and its ledger, and can act on a case.
//!
//! What must stay true: nothing is shown without a session; nothing acts without the session's csrf
//! text; without an admin token the dashboard says how to set one and stays closed.

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::auth::{self, Session, Transport};
use super::book::BookError;
use super::pages::{Shell, login_page, problem_page};
use super::people::Who;
use super::people::audit::Via;
use super::people::rule::{Inside, Rule};
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

/// What those who handle cases may do to a case, and to what arrived.
const DEEDS: Rule = super::api::CASE_DEEDS;

pub(super) fn routes(state: &AppState) -> Router<AppState> {
    let see = |handler| Rule::SEE.over(handler);
    let inside = Router::new()
        .route("/", see(get(home::show)))
        .route("/cases", see(get(cases::list)))
        .route("/cases/{id}", see(get(case::show)))
        .route("/cases/{id}/{action}", DEEDS.over(post(case::act)))
        .route("/messages", see(get(messages::show)))
        .route("/messages/preview", see(get(messages::preview)))
        .route("/messages/preview/{locale}/{kind}", see(get(messages::preview_body)))
        .route("/cases/{id}/messages/{message}", see(get(case::message)))
        .route("/gateways", see(get(gateways::show)))
        .route("/gateways/{id}/{action}", Rule::ACT.over(post(gateways::act)))
        .route("/report", see(get(report::show)))
        .route_layer(middleware::from_fn_with_state(state.clone(), door));
    Router::new()
        .merge(inside)
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .route("/assets/{name}", get(assets::serve))
        .layer(middleware::from_fn(assets::send_on))
}

/// Lets people with a session in; without one the browser is sent to `/login`.
async fn door(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let Some(token) = &state.admin_token else { return closed(&state) };
    let Some(session) = auth::session(token, request.headers(), real_now()) else {
        return see_other("/login");
    };
    let shell = Some(shell(&state, &session, None));
    let inside = Inside { state, who: Who::root(), via: Via::Dashboard, shell };
    let extensions = request.extensions_mut();
    extensions.insert(Person { session });
    extensions.insert(inside);
    next.run(request).await
}

/// A person with a session.
#[derive(Clone)]
struct Person {
    session: Session,
}

impl FromRequestParts<AppState> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Self::Rejection> {
        // The door puts them here: a page that is not behind it is nobody's.
        parts.extensions.get().cloned().ok_or_else(|| see_other("/login"))
    }
}

/// A form that was on a page of the person's own session.
struct Sent<F> {
    person: Person,
    form: F,
}

impl<F: DeserializeOwned> FromRequest<AppState> for Sent<F> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts.clone(), body);
        let body =
            Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let mut fields = url::form_urlencoded::parse(&body);
        if !fields.any(|(name, value)| name == "csrf" && person.session.sent(&value)) {
            return Err(Trouble::Csrf.into_response());
        }
        let request = Request::from_parts(parts, body.into());
        let Form(form) =
            Form::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        Ok(Self { person, form })
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
