//! The hosted page: `/pay/{token}`.
//!
//! Why here: the customer's door. It shows what is owed and leads to the gateway's own page; card
//! data never comes here.
//!
//! What must stay true: `GET` and `HEAD` change nothing, whoever fetches the link (design I9); a
//! link that leads nowhere tells nothing; twenty clicks of a scanner make one gateway session.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::pages::{Door, PayNotice, PayState, PayView, pay_page, unknown_link_page};
use super::{AppState, Problem, link, page, see_other};
use crate::clock::real_now;
use crate::core::case::Case;
use crate::core::customer::Customer;
use crate::core::decline::{Advice, Category};
use crate::core::ids::pick;
use crate::core::input::PageAction;
use crate::gateway::{CallError, HostedPurpose, HostedRequest, HostedSession};
use crate::store::InboxBody;

/// The inbox's name for customers.
const SOURCE: &str = "page";

/// Clicks within this time share one gateway session, in seconds.
const SESSION_S: i64 = 30 * 60;

/// Longest token that is looked at.
const MAX_TOKEN: usize = 64;

/// A customer's visit: the case that the token opens.
struct Visit {
    token: String,
    case: Case,
    customer: Option<Customer>,
    locale: String,
}

/// `GET /pay/{token}`.
pub(super) async fn show(
    State(state): State<AppState>,
    Path(token): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(visit) = open(&state, token, &headers).await? else {
        return Ok(nowhere(&state, &headers));
    };
    let notice = notice(query.0.as_deref().unwrap_or_default());
    Ok(rendered(&state, &visit, StatusCode::OK, notice))
}

/// `POST /pay/{token}/update-card`: on to a fresh page of the gateway's own.
pub(super) async fn update_card(
    State(state): State<AppState>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(visit) = open(&state, token, &headers).await? else {
        return Ok(nowhere(&state, &headers));
    };
    if visit.case.state.is_ended() {
        return Ok(see_other(&path(&state, &visit.token)));
    }
    let key = session_key(&visit.case);
    match session(&state, &visit, &key).await {
        Ok(session) => {
            note(&state, &visit.case, PageAction::CardUpdateOpened, key).await;
            Ok(see_other(&session.url))
        }
        Err(error) => {
            tracing::warn!(case = %visit.case.id, %error, "no hosted page for a customer");
            let notice = Some(PayNotice::Unavailable);
            Ok(rendered(&state, &visit, StatusCode::BAD_GATEWAY, notice))
        }
    }
}

/// `POST /pay/{token}/stop-reminders`.
pub(super) async fn stop_reminders(
    State(state): State<AppState>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(visit) = open(&state, token, &headers).await? else {
        return Ok(nowhere(&state, &headers));
    };
    let (case, action) = (visit.case.id.clone(), PageAction::StopReminders);
    let id = format!("{case}:stop-reminders");
    state.append(SOURCE, id, InboxBody::Page { case, action }).await?;
    state.settle().await;
    Ok(see_other(&format!("{}?done=stop-reminders", path(&state, &visit.token))))
}

async fn open(
    state: &AppState,
    token: String,
    headers: &HeaderMap,
) -> Result<Option<Visit>, Problem> {
    let short = if token.len() <= MAX_TOKEN { token.as_str() } else { "" };
    let Some(id) = link::case_of(&state.link_key, short) else { return Ok(None) };
    let Some(case) = state.store.case(&id).await? else { return Ok(None) };
    let customer = state.store.customer(&case.customer_key()).await?;
    let known = customer.as_ref().and_then(|c| c.contact.locale.clone());
    let locale = known.unwrap_or_else(|| browser_locale(state, headers));
    Ok(Some(Visit { token, case, customer, locale }))
}

/// The first language of the browser, else the merchant's.
fn browser_locale(state: &AppState, headers: &HeaderMap) -> String {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let first = accepted.and_then(|text| text.split([',', ';']).next()).map(str::trim);
    match first {
        Some(tag) if !tag.is_empty() && tag != "*" => tag.to_owned(),
        _ => state.brand.locale.clone(),
    }
}

fn nowhere(state: &AppState, headers: &HeaderMap) -> Response {
    let locale = browser_locale(state, headers);
    page(StatusCode::NOT_FOUND, unknown_link_page(&state.brand, &locale))
}

fn rendered(
    state: &AppState,
    visit: &Visit,
    status: StatusCode,
    notice: Option<PayNotice>,
) -> Response {
    let brand = (*state.brand).clone();
    let action = path(state, &visit.token);
    let mut view = PayView::of(brand, &visit.case, visit.customer.as_ref(), action);
    view.doors = doors(state, visit);
    view.notice = notice;
    page(status, pay_page(&view, &visit.locale))
}

/// What can be done here.
fn doors(state: &AppState, visit: &Visit) -> Vec<Door> {
    let case = &visit.case;
    if case.state.is_ended() {
        return Vec::new();
    }
    let gateway = state.gateway(case.gateway.as_str());
    let hosted = gateway.is_some_and(|gateway| gateway.capabilities().hosted_update);
    let mut doors = Vec::new();
    if hosted && case.customer.is_some() && PayState::of(case) != PayState::Working {
        doors.push(Door::UpdateCard);
    }
    if visit.customer.as_ref().is_some_and(|customer| !customer.reminders_stopped) {
        doors.push(Door::StopReminders);
    }
    doors
}

/// The page's path, also where the service is mounted below another one.
fn path(state: &AppState, token: &str) -> String {
    let mounted = url::Url::parse(&state.brand.public_url).map(|url| url.path().to_owned());
    format!("{}/pay/{token}", mounted.unwrap_or_default().trim_end_matches('/'))
}

fn notice(query: &str) -> Option<PayNotice> {
    match query {
        "done=card" => Some(PayNotice::CardReceived),
        "done=stop-reminders" => Some(PayNotice::RemindersStopped),
        _ => None,
    }
}

/// The same for all clicks of half an hour; another one after another refusal.
fn session_key(case: &Case) -> String {
    let half_hour = real_now().as_second().div_euclid(SESSION_S).to_string();
    let parts = [
        case.id.as_str(),
        &case.declined_at.to_string(),
        &half_hour,
        &case.attempts.len().to_string(),
    ];
    format!("recoup-page-{}-{:016x}", case.id, pick(u64::MAX, &parts))
}

async fn session(state: &AppState, visit: &Visit, key: &str) -> Result<HostedSession, CallError> {
    let case = &visit.case;
    let permanent =
        |why: &str| CallError::Permanent { what: "open a hosted page", why: why.into() };
    let gateway = state.gateway(case.gateway.as_str());
    let gateway = gateway.ok_or_else(|| permanent("the gateway is not in the merchant file"))?;
    let customer = case.customer.clone().ok_or_else(|| permanent("the customer is not known"))?;
    let back = link::url(&state.brand.public_url, &state.link_key, &case.id);
    let purpose = purpose(case);
    let mut request = HostedRequest {
        purpose,
        customer,
        subscription: case.subscription.clone(),
        invoice: case.invoice.clone(),
        amount: case.amount,
        description: case.description.clone(),
        return_url: format!("{back}?done=card"),
        idempotency_key: key.to_owned(),
    };
    match gateway.hosted_session(&request).await {
        // Where the gateway has no page to confirm on, a new card helps too.
        Err(CallError::Permanent { .. }) if purpose == HostedPurpose::Authenticate => {
            request.purpose = HostedPurpose::UpdateCard;
            request.idempotency_key.push_str("-card");
            gateway.hosted_session(&request).await
        }
        answer => answer,
    }
}

fn purpose(case: &Case) -> HostedPurpose {
    let wants_bank = case.decline.as_ref().is_some_and(|decline| {
        decline.category == Category::AuthenticationRequired
            || decline.advice == Advice::Authenticate
    });
    if wants_bank { HostedPurpose::Authenticate } else { HostedPurpose::UpdateCard }
}

/// Notes a customer's action. That it cannot be noted must not stop them from paying.
async fn note(state: &AppState, case: &Case, action: PageAction, id: String) {
    let body = InboxBody::Page { case: case.id.clone(), action };
    if let Err(error) = state.append(SOURCE, id, body).await {
        tracing::error!(case = %case.id, %error, "a customer's action was not noted");
    }
}
