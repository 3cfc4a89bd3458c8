//! A customer's visit: the case that the token opens, what else is owed, and what may be offered.
//!
//! Why here: every door begins by reading the same things.
//!
//! What must stay true: reading changes nothing; one customer sees what is theirs at this gateway
//! and nothing else; a token of the wrong form and one of no case look alike.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::core::case::page::{Offers, offers};
use crate::core::case::step::Around;
use crate::core::case::{AttemptOutcome, Case, State, cards_around};
use crate::core::customer::Customer;
use crate::gateway::profile::Hosted;
use crate::http::pages::{
    Door, Owed, Past, PastOutcome, PayNotice, PayState, PayView, pay_page, unknown_link_page,
};
use crate::http::{AppState, Problem, link, page};
use crate::store::{CaseFilter, StoreError};

/// Cases of a customer that a visit reads, the newest first.
const CASES: usize = 20;

/// Lines of the history.
const LINES: usize = 12;

/// After this long a new refusal is no news to the one who asked for the attempt, in seconds.
const NEWS_S: i64 = 15 * 60;

/// What the token opens.
pub(super) struct Visit {
    pub(super) token: String,
    pub(super) case: Case,
    pub(super) offers: Offers,
    /// Other open cases of the customer here, with what they offer.
    pub(super) others: Vec<(Case, Offers)>,
    pub(super) customer: Option<Customer>,
    ended: Vec<Case>,
    locale: String,
}

impl Visit {
    /// The cases that a door for all acts on, this one first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Case, &Offers)> {
        let others = self.others.iter().map(|(case, offers)| (case, offers));
        std::iter::once((&self.case, &self.offers)).chain(others)
    }

    /// Whether the gateway's page changes the card that all of them are charged to.
    pub(super) fn card_is_for_all(&self, state: &AppState) -> bool {
        let gateway = state.gateway(self.case.gateway.as_str());
        gateway.is_some_and(|gateway| gateway.profile().hosted == Hosted::CardUpdate)
    }
}

/// Every door begins with a visit; whoever comes by a link that leads nowhere is told so there.
impl FromRequestParts<AppState> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let token = Path::<String>::from_request_parts(parts, state).await;
        let Path(token) = token.map_err(IntoResponse::into_response)?;
        let visit =
            open(state, token, &parts.headers).await.map_err(IntoResponse::into_response)?;
        visit.ok_or_else(|| nowhere(state, &parts.headers))
    }
}

/// Opens a token. `None`: it leads nowhere.
async fn open(
    state: &AppState,
    token: String,
    headers: &HeaderMap,
) -> Result<Option<Visit>, Problem> {
    let Some(id) = link::case_of(&state.link_key, &token) else { return Ok(None) };
    let Some(case) = state.store.case(&id).await? else { return Ok(None) };
    let customer = state.store.customer(&case.customer_key()).await?;
    let known = customer.as_ref().and_then(|c| c.contact.locale.clone());
    let locale = known.unwrap_or_else(|| browser_locale(state, headers));
    let (mut others, mut ended) = (Vec::new(), Vec::new());
    for other in siblings(state, &case).await? {
        if other.state.is_ended() {
            ended.push(other);
        } else {
            let offers = offers_of(state, &other, customer.as_ref()).await?;
            others.push((other, offers));
        }
    }
    let offers = offers_of(state, &case, customer.as_ref()).await?;
    Ok(Some(Visit { token, case, offers, others, customer, ended, locale }))
}

/// The other cases of the customer at this gateway, the newest first.
async fn siblings(state: &AppState, case: &Case) -> Result<Vec<Case>, StoreError> {
    if case.customer.is_none() {
        return Ok(Vec::new());
    }
    let filter = CaseFilter {
        customer: case.customer.clone(),
        gateway: Some(case.gateway.clone()),
        ..CaseFilter::default()
    };
    let cases = state.store.list_cases(&filter, None, CASES).await?.data;
    let same = |other: &Case| other.customer == case.customer && other.gateway == case.gateway;
    Ok(cases.into_iter().filter(|other| other.id != case.id && same(other)).collect())
}

/// What may be offered, by the policy that the case keeps.
async fn offers_of(
    state: &AppState,
    case: &Case,
    customer: Option<&Customer>,
) -> Result<Offers, StoreError> {
    if case.state.is_ended() {
        return Ok(Offers::default());
    }
    let Some(policy) = state.store.policy(&case.policy_version).await? else {
        return Ok(Offers::default());
    };
    let customer = customer.cloned().unwrap_or_else(|| Customer::new(case.customer_key()));
    let keys: Vec<_> = cards_around(&customer, Some(case), &policy).into_iter().collect();
    let cards = state.store.cards(&keys).await?;
    let learned = state.store.learned().await?;
    // What may be offered on the page does not hang on how messages go.
    let (siblings, stopped) = Default::default();
    let around = Around { customer, cards, learned, siblings, stopped, held: false };
    Ok(offers(case, around, &policy, state.clock.now()))
}

/// The first language of the browser, else the merchant's.
pub(super) fn browser_locale(state: &AppState, headers: &HeaderMap) -> String {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let first = accepted.and_then(|text| text.split([',', ';']).next()).map(str::trim);
    match first {
        Some(tag) if !tag.is_empty() && tag != "*" => tag.to_owned(),
        _ => state.brand.locale.clone(),
    }
}

/// The page behind a token that leads nowhere.
fn nowhere(state: &AppState, headers: &HeaderMap) -> Response {
    let locale = browser_locale(state, headers);
    page(StatusCode::NOT_FOUND, unknown_link_page(&state.brand, &locale))
}

/// The page of a visit.
pub(super) fn rendered(
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
    view.more_time = visit.offers.more_time;
    view.promised = visit.case.page.promise_ahead(state.clock.now()).map(|promise| promise.day);
    view.card_is_for_all = visit.card_is_for_all(state);
    if !visit.case.state.is_ended() {
        view.others = visit.others.iter().map(|(case, _)| owed(state, case)).collect();
    }
    view.history = history(visit);
    page(status, pay_page(&view, &visit.locale))
}

fn owed(state: &AppState, case: &Case) -> Owed {
    let token = link::token_for(&state.link_key, &case.id);
    Owed {
        amount: case.amount,
        description: case.description.clone(),
        href: path(state, &token),
        token,
    }
}

/// What can be done here.
fn doors(state: &AppState, visit: &Visit) -> Vec<Door> {
    let case = &visit.case;
    if case.state.is_ended() {
        return Vec::new();
    }
    let open = PayState::of(case) != PayState::Working && case.customer.is_some();
    let gateway = state.gateway(case.gateway.as_str()).map(|gateway| gateway.profile());
    let hosted = gateway.is_some_and(|profile| profile.capabilities.hosted_update);
    let any = |offered: fn(&Offers) -> bool| visit.all().any(|(_, offers)| offered(offers));
    let wants_reminders = visit.customer.as_ref().is_some_and(|c| !c.reminders_stopped);
    let doors = [
        (Door::UpdateCard, open && hosted),
        (Door::Retry, any(|offers| offers.retry)),
        (Door::OtherWay, open && may_pay_otherwise(state, case)),
        (Door::MoreTime, visit.offers.more_time.is_some()),
        (Door::AlreadyPaid, any(|offers| offers.already_paid)),
        (Door::StopReminders, wants_reminders),
    ];
    doors.into_iter().filter(|(_, is_open)| *is_open).map(|(door, _)| door).collect()
}

/// Whether the gateway has a page on which this invoice is paid by any means that it offers.
pub(super) fn may_pay_otherwise(state: &AppState, case: &Case) -> bool {
    let profile = state.gateway(case.gateway.as_str()).map(|gateway| gateway.profile());
    !case.state.is_ended() && profile.is_some_and(|profile| profile.invoice_page)
}

/// The customer's payments here: what was tried and how it came out, the newest first.
fn history(visit: &Visit) -> Vec<Past> {
    let open = visit.all().map(|(case, _)| case);
    let mut past: Vec<Past> = open.chain(&visit.ended).flat_map(lines).collect();
    past.sort_by_key(|line| std::cmp::Reverse(line.at));
    past.truncate(LINES);
    past
}

/// The lines of one case: its first failure, each attempt of ours, and its end.
fn lines(case: &Case) -> Vec<Past> {
    let line = |at: Timestamp, outcome| Past {
        at,
        amount: case.amount,
        description: case.description.clone(),
        outcome,
    };
    let mut lines = vec![line(case.opened_at, PastOutcome::Failed)];
    for attempt in &case.attempts {
        let outcome = match attempt.outcome {
            AttemptOutcome::Declined => PastOutcome::Failed,
            AttemptOutcome::Unknown => PastOutcome::Working,
            // The end says that it was paid; what failed on our side is no news to a customer.
            AttemptOutcome::Approved | AttemptOutcome::Error | AttemptOutcome::Withheld => continue,
        };
        let amount = attempt.charge.amount;
        lines.push(Past { amount, ..line(attempt.at, outcome) });
    }
    let end = match case.state {
        State::Recovered => Some(PastOutcome::Paid),
        State::Exhausted | State::Stopped => Some(PastOutcome::Closed),
        _ => None,
    };
    lines.extend(case.ended_at.zip(end).map(|(at, end)| line(at, end)));
    lines
}

/// The page's path, also where the service is mounted below another one.
pub(super) fn path(state: &AppState, token: &str) -> String {
    let mounted = url::Url::parse(&state.brand.public_url).map(|url| url.path().to_owned());
    format!("{}/pay/{token}", mounted.unwrap_or_default().trim_end_matches('/'))
}

/// What just happened, told once: by the query, and by what came of it.
pub(super) fn notice(query: &str, visit: &Visit, now: Timestamp) -> Option<PayNotice> {
    let case = &visit.case;
    if query == "done=stop-reminders" {
        return Some(PayNotice::RemindersStopped);
    }
    if case.state.is_ended() {
        return None;
    }
    let last = case.attempts.iter().rfind(|a| a.outcome == AttemptOutcome::Declined);
    let refused = last.and_then(|a| a.settled_at).is_some_and(|at| {
        (0..NEWS_S).contains(&now.duration_since(at).as_secs()) && case.open_attempt().is_none()
    });
    match query {
        "done=card" if refused && !case.page_used && !case.card_updated => {
            Some(PayNotice::CardDeclined)
        }
        "done=card" => Some(PayNotice::CardReceived),
        "done=retry" if refused => Some(PayNotice::RetryDeclined),
        "done=retry" if PayState::of(case) == PayState::Working => Some(PayNotice::Retrying),
        "done=retry" => case
            .timers
            .values()
            .any(|at| *at <= now)
            .then_some(PayNotice::Retrying)
            .or(Some(PayNotice::NotNow)),
        "done=more-time" if visit.case.page.promise_ahead(now).is_some() => {
            Some(PayNotice::NotedMoreTime)
        }
        "done=more-time" | "no=more-time" => Some(PayNotice::NoMoreTime),
        "no=retry" | "no=other-way" => Some(PayNotice::NotNow),
        "done=already-paid" => Some(PayNotice::NotedAlreadyPaid),
        _ => None,
    }
}
