//! The dashboard: `/`, behind a session.
//!
//! Why here: the people of the merchant see every case and its ledger, and can act on a case.
//!
//! What must stay true: nothing is shown without a session; nothing acts without the session's csrf
//! text, or against its person's role; where nobody could sign in, the dashboard says what to do.

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde::de::DeserializeOwned;

use super::auth;
use super::book::BookError;
use super::pages::{Shell, problem_page};
use super::people::audit::Via;
use super::people::rule::{Inside, Rule};
use super::people::{sessions, users};
use super::{AppState, Problem, page, see_other};
use crate::clock::real_now;
use crate::core::access::Role;
use crate::gateway::signature::is_same;
use crate::store::StoreError;

mod asked;
mod assets;
mod case;
mod cases;
mod door;
mod gateways;
mod home;
mod messages;
mod people;
mod provider;
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
        .route("/users", Rule::INSPECT.over(get(people::users)))
        .route("/users", Rule::RULE.over(post(people::add_user)))
        .route("/users/{id}/{action}", Rule::RULE.over(post(people::act_on_user)))
        .route("/tokens", Rule::INSPECT.over(get(people::tokens)))
        .route("/tokens", Rule::RULE.over(post(people::add_token)))
        .route("/tokens/{id}/{action}", Rule::RULE.over(post(people::act_on_token)))
        .route("/audit", Rule::INSPECT.over(get(people::audit)))
        .route_layer(middleware::from_fn_with_state(state.clone(), with_session));
    Router::new()
        .merge(inside)
        .merge(door::routes(state))
        .merge(provider::routes())
        .route("/assets/{name}", get(assets::serve))
        .layer(middleware::from_fn(assets::send_on))
}

/// Lets people with a session in; without one the browser is sent to `/login`.
async fn with_session(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Trouble> {
    let token = auth::cookie_of(request.headers(), auth::SESSION).unwrap_or_default().to_owned();
    let admin = state.admin_token.as_ref();
    let Some(who) = sessions::holder(&*state.store, admin, &token, real_now()).await? else {
        return Ok(if is_open(&state).await? { see_other("/login") } else { closed(&state) });
    };
    let session = Session { csrf: sessions::csrf(&token), name: who.name.clone(), role: who.role };
    let shell = Some(shell(&state, &session, None));
    let inside = Inside { state, who, via: Via::Dashboard, shell };
    let extensions = request.extensions_mut();
    extensions.insert(Person { session });
    extensions.insert(inside);
    Ok(next.run(request).await)
}

/// Whether anybody could sign in.
async fn is_open(state: &AppState) -> Result<bool, StoreError> {
    let otherwise = state.admin_token.is_some() || state.oidc.is_some();
    Ok(otherwise || users::any(&*state.store).await?)
}

/// A session of the dashboard, as its pages need it.
#[derive(Debug, Clone)]
struct Session {
    csrf: String,
    name: String,
    role: Option<Role>,
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

impl Person {
    /// Whether a form was on one of this session's pages.
    fn sent(&self, csrf: &str) -> bool {
        is_same(self.session.csrf.as_bytes(), csrf.as_bytes())
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
        if !fields.any(|(name, value)| name == "csrf" && person.sent(&value)) {
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
        who: None,
        role: None,
        notice: None,
    }
}

fn closed(state: &AppState) -> Response {
    // Nobody has signed in yet: it says how to.
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
        who: Some(session.name.clone()),
        role: session.role,
        notice,
    }
}
