//! The hosted page: `/pay/{token}` and its doors.
//!
//! Why here: the customer's door. It shows what is owed and leads to the gateway's own page; card
//! data never comes here.
//!
//! What must stay true: `GET` and `HEAD` change nothing, whoever fetches the link (design I9); a
//! link that leads nowhere tells nothing; twenty clicks of a scanner make one gateway session; a
//! form that is sent twice does one thing.

use std::sync::Arc;

use axum::Extension;
use axum::Form;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use jiff::civil::Date;
use serde::Deserialize;

use super::pages::PayNotice;
use super::{AppState, Problem, link, see_other};
use crate::core::case::Case;
use crate::core::input::PageAction;
use crate::gateway::HostedPurpose;
use crate::store::InboxBody;

mod guard;
mod sessions;
mod verify;
mod visit;

pub(super) use guard::address_of;

use sessions::Sessions;
use visit::{Visit, path, rendered};

/// The inbox's name for customers.
pub(super) const SOURCE: &str = "page";

/// The routes of customers, with their limits.
pub(super) fn routes(state: &AppState) -> axum::Router<AppState> {
    axum::Router::new()
        .route("/pay/{token}", get(show))
        .route("/pay/{token}/update-card", post(update_card))
        .route("/pay/{token}/retry", post(retry))
        .route("/pay/{token}/more-time", post(more_time))
        .route("/pay/{token}/other-way", post(other_way))
        .route("/pay/{token}/already-paid", post(already_paid))
        .route("/pay/{token}/stop-reminders", post(stop_reminders))
        .route("/verify", get(verify::show).post(verify::judge))
        .layer(axum::middleware::from_fn_with_state(guard::Guard::new(state.clone()), guard::limit))
        .layer(Extension(Arc::<Sessions>::default()))
}

/// `GET /pay/{token}`.
async fn show(State(state): State<AppState>, visit: Visit, query: RawQuery) -> Response {
    let query = query.0.unwrap_or_default();
    let notice = visit::notice(&query, &visit, state.clock.now());
    rendered(&state, &visit, StatusCode::OK, notice)
}

/// `POST /pay/{token}/update-card`: on to a fresh page of the gateway's own.
async fn update_card(
    State(state): State<AppState>,
    Extension(sessions): Extension<Arc<Sessions>>,
    visit: Visit,
) -> Response {
    let purpose = sessions::purpose(&visit.case);
    hand_over(&state, &sessions, &visit, (purpose, PageAction::CardUpdateOpened)).await
}

/// `POST /pay/{token}/other-way`: on to the gateway's page of the invoice.
async fn other_way(
    State(state): State<AppState>,
    Extension(sessions): Extension<Arc<Sessions>>,
    visit: Visit,
) -> Response {
    if !visit::may_pay_otherwise(&state, &visit.case) {
        return back(&state, &visit, "no=other-way");
    }
    let action = (HostedPurpose::PayInvoice, PageAction::OtherWayOpened);
    hand_over(&state, &sessions, &visit, action).await
}

async fn hand_over(
    state: &AppState,
    sessions: &Sessions,
    visit: &Visit,
    (purpose, action): (HostedPurpose, PageAction),
) -> Response {
    if visit.case.state.is_ended() {
        return see_other(&path(state, &visit.token));
    }
    match sessions.url(state, visit, purpose).await {
        Ok(url) => {
            let for_all = purpose == HostedPurpose::UpdateCard && visit.card_is_for_all(state);
            let others = visit.others.iter().map(|(case, _)| case).filter(|_| for_all);
            for case in std::iter::once(&visit.case).chain(others) {
                note(state, case, &action, sessions::key(case, purpose)).await;
            }
            see_other(&url)
        }
        Err(error) => {
            tracing::warn!(case = %visit.case.id, %error, "no hosted page for a customer");
            let notice = Some(PayNotice::Unavailable);
            rendered(state, visit, StatusCode::BAD_GATEWAY, notice)
        }
    }
}

/// `POST /pay/{token}/retry`: the same card again, for everything that may be tried.
async fn retry(State(state): State<AppState>, visit: Visit) -> Result<Response, Problem> {
    let cases: Vec<&Case> = visit.all().filter(|(_, o)| o.retry).map(|(case, _)| case).collect();
    if cases.is_empty() {
        return Ok(back(&state, &visit, "no=retry"));
    }
    let wishes = cases.into_iter().map(|case| {
        let id = format!("{}:retry:{}:{}", case.id, case.attempts.len(), case.page.retries.len());
        (id, case, PageAction::Retry)
    });
    take(&state, wishes).await?;
    Ok(back(&state, &visit, "done=retry"))
}

/// The form of `more-time`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MoreTime {
    date: String,
}

/// `POST /pay/{token}/more-time`: "charge me on the 5th".
async fn more_time(
    State(state): State<AppState>,
    visit: Visit,
    form: Result<Form<MoreTime>, axum::extract::rejection::FormRejection>,
) -> Result<Response, Problem> {
    let date = form.map(|form| form.0.date).unwrap_or_default();
    let Some(day) = day_of(date.trim()) else {
        return Ok(back(&state, &visit, "no=more-time"));
    };
    let within = |(first, last): (Date, Date)| first <= day && day <= last;
    let cases = visit.all().filter(|(_, offers)| offers.more_time.is_some_and(within));
    let wishes: Vec<_> = cases
        .map(|(case, _)| {
            let id = format!("{}:more-time:{day}:{}", case.id, case.attempts.len());
            (id, case, PageAction::MoreTime { day })
        })
        .collect();
    if !wishes.iter().any(|(_, case, _)| case.id == visit.case.id) {
        // The same form, sent twice: the day is written down already.
        let noted = visit.case.page.promise_ahead(state.clock.now()).is_some_and(|p| p.day == day);
        let query = if noted { "done=more-time" } else { "no=more-time" };
        return Ok(back(&state, &visit, query));
    }
    take(&state, wishes.into_iter()).await?;
    Ok(back(&state, &visit, "done=more-time"))
}

/// A day as browsers send it, `2026-12-05`, and nothing else.
fn day_of(text: &str) -> Option<Date> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    plain.then(|| text.parse().ok()).flatten()
}

/// The form of `already-paid`: where there are several, the token of one, or `all`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AlreadyPaid {
    which: String,
}

/// `POST /pay/{token}/already-paid`: the gateway is asked.
async fn already_paid(
    State(state): State<AppState>,
    visit: Visit,
    form: Result<Form<AlreadyPaid>, axum::extract::rejection::FormRejection>,
) -> Result<Response, Problem> {
    let which = form.map(|form| form.0.which).unwrap_or_default();
    let named = match which.as_str() {
        "all" => None,
        token => Some(link::case_of(&state.link_key, token).unwrap_or(visit.case.id.clone())),
    };
    let meant = |case: &Case| named.as_ref().is_none_or(|named| case.id == *named);
    let cases = visit.all().filter(|(case, offers)| offers.already_paid && meant(case));
    let wishes: Vec<_> = cases
        .map(|(case, _)| {
            let before = case.page.says_paid_at.map_or(0, |at| at.as_second());
            (format!("{}:already-paid:{before}", case.id), case, PageAction::AlreadyPaid)
        })
        .collect();
    take(&state, wishes.into_iter()).await?;
    Ok(back(&state, &visit, "done=already-paid"))
}

/// `POST /pay/{token}/stop-reminders`: from the page, and from the one click of RFC 8058.
async fn stop_reminders(State(state): State<AppState>, visit: Visit) -> Result<Response, Problem> {
    let id = format!("{}:stop-reminders", visit.case.id);
    take(&state, [(id, &visit.case, PageAction::StopReminders)].into_iter()).await?;
    Ok(back(&state, &visit, "done=stop-reminders"))
}

/// Keeps what the customer wishes, durably, and waits until it is applied.
async fn take<'a>(
    state: &AppState,
    wishes: impl Iterator<Item = (String, &'a Case, PageAction)>,
) -> Result<(), Problem> {
    let inputs: Vec<_> = wishes
        .map(|(id, case, action)| (id, InboxBody::Page { case: case.id.clone(), action }))
        .collect();
    if !inputs.is_empty() {
        state.append_all(SOURCE, inputs).await?;
        state.settle().await;
    }
    Ok(())
}

fn back(state: &AppState, visit: &Visit, query: &str) -> Response {
    see_other(&format!("{}?{query}", path(state, &visit.token)))
}

/// Notes a customer's action. That it cannot be noted must not stop them from paying.
async fn note(state: &AppState, case: &Case, action: &PageAction, id: String) {
    let body = InboxBody::Page { case: case.id.clone(), action: action.clone() };
    if let Err(error) = state.append(SOURCE, id, body).await {
        tracing::error!(case = %case.id, %error, "a customer's action was not noted");
    }
}
