//! The dashboard: `/`, behind a session.
//!
//! Why here: the people of the merchant see every case and its ledger, and can act on a case.
//!
//! What must stay true: nothing is shown without a session; nothing acts without the session's csrf
//! text; without an admin token the dashboard says how to set one and stays closed.

use std::collections::BTreeMap;

use axum::Form;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::api::unique;
use super::auth::{self, Session, Transport};
use super::pages::{
    CaseView, CasesView, ReportView, Shell, case_page, cases_page, login_page, problem_page,
    report_page,
};
use super::report::{Recovery, Span};
use super::{AppState, Problem, link, page, see_other};
use crate::clock::real_now;
use crate::core::case::{Case, State as CaseState};
use crate::core::ids::CaseId;
use crate::core::input::OperatorAction;
use crate::store::{CaseFilter, InboxBody, Page};

/// The inbox's name for people.
const SOURCE: &str = "api";

/// Rows of the list.
const ROWS: usize = 50;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list))
        .route("/cases/{id}", get(one))
        .route("/cases/{id}/{action}", post(act))
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
}

/// Pages that take as long as every case takes to read.
pub(super) fn slow_routes() -> Router<AppState> {
    Router::new().route("/report", get(report))
}

/// `GET /report`.
async fn report(State(state): State<AppState>, person: Person) -> Result<Response, Trouble> {
    let recovery = Recovery::of(&state, Span::default()).await?;
    let shell = shell(&state, &person.session, None);
    Ok(page(StatusCode::OK, report_page(&ReportView { shell, windows: recovery.windows })))
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
    Csrf,
    NoCase,
    Store(Problem),
}

impl<E: Into<Problem>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Csrf => (
                StatusCode::FORBIDDEN,
                "Nothing was done",
                "This form was not sent from a page of your session. Go back and try again.",
            ),
            Self::NoCase => {
                (StatusCode::NOT_FOUND, "No such case", "There is no case with this id.")
            }
            Self::Store(problem) => return problem.into_response(),
        };
        page(status, problem_page(&bare_shell(""), title, text))
    }
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

/// What the list can be asked for.
#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
}

/// `GET /`.
async fn list(
    State(state): State<AppState>,
    person: Person,
    Query(query): Query<ListQuery>,
) -> Result<Response, Trouble> {
    let wanted = CaseState::ALL.into_iter().find(|known| known.as_str() == query.state);
    let after = Some(CaseId::from(query.after.as_str())).filter(|id| !id.as_str().is_empty());
    let found = search(&state, wanted, query.q.trim(), after.as_ref()).await?;
    let next = found.data.last().filter(|_| found.has_more).map(|case| case.id.to_string());
    let view = CasesView {
        shell: shell(&state, &person.session, None),
        names: names(&state, &found.data).await?,
        cases: found.data,
        counts: state.store.count_cases().await?,
        state: wanted,
        query: query.q.trim().to_owned(),
        next_after: next,
        trigger_command: "recoup trigger payment_failed".to_owned(),
    };
    Ok(page(StatusCode::OK, cases_page(&view)))
}

/// Cases by invoice, else by customer.
async fn search(
    state: &AppState,
    wanted: Option<CaseState>,
    text: &str,
    after: Option<&CaseId>,
) -> Result<Page<Case>, Problem> {
    let mut filter = CaseFilter { state: wanted, ..CaseFilter::default() };
    if !text.is_empty() {
        filter.invoice = Some(text.to_owned());
        let by_invoice = state.store.list_cases(&filter, after, ROWS).await?;
        if !by_invoice.data.is_empty() {
            return Ok(by_invoice);
        }
        filter.invoice = None;
        filter.customer = Some(text.to_owned());
    }
    Ok(state.store.list_cases(&filter, after, ROWS).await?)
}

async fn names(state: &AppState, cases: &[Case]) -> Result<BTreeMap<String, String>, Problem> {
    let mut names = BTreeMap::new();
    for id in cases.iter().filter_map(|case| case.customer.as_ref()) {
        if !names.contains_key(id)
            && let Some(name) = state.store.customer(id).await?.and_then(|c| c.contact.name)
        {
            names.insert(id.clone(), name);
        }
    }
    Ok(names)
}

/// What is told at the top of a case.
#[derive(Debug, Default, Deserialize)]
struct CaseQuery {
    #[serde(default)]
    done: String,
}

/// `GET /cases/{id}`.
async fn one(
    State(state): State<AppState>,
    person: Person,
    Path(id): Path<String>,
    Query(query): Query<CaseQuery>,
) -> Result<Response, Trouble> {
    let told = match query.done.as_str() {
        "pause" => Some("Paused. Nothing happens until it is resumed."),
        "resume" => Some("Resumed."),
        "retry" => Some("Asked for a try now, as far as the networks allow."),
        "stop" => Some("Stopped."),
        _ => None,
    };
    let shell = shell(&state, &person.session, told.map(str::to_owned));
    case(&state, &id, shell, None).await
}

async fn case(
    state: &AppState,
    id: &str,
    shell: Shell,
    link: Option<String>,
) -> Result<Response, Trouble> {
    let Some(case) = state.store.case(&CaseId::from(id)).await? else {
        return Err(Trouble::NoCase);
    };
    let customer = state.store.customer(&case.customer_key()).await?;
    let view = CaseView {
        shell,
        customer,
        ledger: state.store.ledger(&case.id).await?,
        messages: state.store.messages_of(&case.id).await?,
        case,
        link,
    };
    Ok(page(StatusCode::OK, case_page(&view)))
}

/// What a form on a case sends.
#[derive(Debug, Default, Deserialize)]
struct ActionForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    reason: String,
}

/// `POST /cases/{id}/{action}`.
async fn act(
    State(state): State<AppState>,
    person: Person,
    Path((id, action)): Path<(String, String)>,
    Form(form): Form<ActionForm>,
) -> Result<Response, Trouble> {
    if !person.session.sent(&form.csrf) {
        return Err(Trouble::Csrf);
    }
    let found = state.store.case(&CaseId::from(id.as_str())).await?;
    let found = found.ok_or(Trouble::NoCase)?;
    if action == "link" {
        let url = link::url(&state.brand.public_url, &state.link_key, &found.id);
        return case(&state, &id, shell(&state, &person.session, None), Some(url)).await;
    }
    let order = match action.as_str() {
        "mark-paid" => OperatorAction::MarkPaid,
        "pause" => OperatorAction::Pause { until: None },
        "resume" => OperatorAction::Resume,
        "retry" => OperatorAction::Retry,
        "stop" => {
            let reason = Some(form.reason.trim().chars().take(500).collect::<String>());
            OperatorAction::Stop { reason: reason.filter(|text| !text.is_empty()) }
        }
        _ => return Err(Trouble::NoCase),
    };
    let body = InboxBody::Operator { case: found.id.clone(), action: order };
    state.append(SOURCE, unique(), body).await?;
    state.settle().await;
    Ok(see_other(&format!("/cases/{}?done={action}", found.id)))
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
