//! `GET /payments`, `GET /reports/captures` and `GET /reports/monthly`: for accounting.
//!
//! Why here: an accountant asks which money came in where, and whether the gateways say the same.
//!
//! What must stay true: all three read, here and at the gateways, and write nothing; a gateway that
//! cannot list what it captured is said to be one, and never counted as agreeing.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::cases::is_csv;
use super::input::Query;
use crate::core::case::{AttemptOutcome, Case};
use crate::core::ids::CaseId;
use crate::core::report::captures::{self, Booked, Capture};
use crate::core::report::facts::Facts;
use crate::core::report::overview::Overview;
use crate::core::report::payments::{self, Payment, Recorded};
use crate::core::report::select::{Selection, Span};
use crate::gateway::Gateway;
use crate::http::csv::{self, Row, Table};
use crate::http::pages::{MonthlyView, monthly_page};
use crate::http::{AppState, Problem};

/// How far back, where the request does not say.
const REACH: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How much further both lists reach on either side.
const EDGE: SignedDuration = SignedDuration::from_hours(48);

/// Cases that money came in for, with what the store has of them.
async fn paid(state: &AppState) -> Result<Vec<Case>, Problem> {
    let has = |case: &&Facts| {
        case.is_back() || case.tried.iter().any(|tried| tried.outcome == AttemptOutcome::Approved)
    };
    let ids: Vec<CaseId> = {
        let shelf = state.book.look_patiently(&state.store).await?;
        shelf.cases().filter(has).map(|case| case.id.clone()).collect()
    };
    let mut cases = Vec::with_capacity(ids.len());
    for id in &ids {
        cases.extend(state.store.case(id).await?);
    }
    Ok(cases)
}

fn span(query: &Query) -> Result<Span, Problem> {
    Ok(Span { since: query.time("since")?, until: query.time("until")? })
}

/// `GET /payments?format=csv&since=&until=`: what was captured in that time, oldest first.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let query = Query::read(query, &["format", "since", "until"])?;
    if !is_csv(&query)? {
        return Err(Problem::query("format", "this list is a file: ask for `csv`"));
    }
    let span = span(&query)?;
    let cases = paid(&state).await?;
    let all = cases.iter().flat_map(|case| payments::payments(case, &state.policy));
    let mut all: Vec<_> = all.filter(|payment| span.holds(payment.at)).collect();
    all.sort_by(|a, b| (a.at, &a.case).cmp(&(b.at, &b.case)));
    Ok(csv::answer(Table::Payments, all.iter().map(row).collect()))
}

fn row(payment: &Payment) -> Row {
    let [amount, currency] = csv::money(payment.amount);
    let fee = payment.fee.map(|fee| csv::money(fee)[0].clone());
    let recorded = match payment.recorded {
        Recorded::OwnGateway => "not needed",
        Recorded::Pending => "pending",
        Recorded::Told => "yes",
    };
    vec![
        payment.at.to_string(),
        payment.gateway.to_string(),
        csv::text(payment.payment.as_ref()),
        payment.invoice.clone(),
        payment.case.to_string(),
        csv::text(payment.customer.as_ref()),
        amount,
        currency,
        fee.unwrap_or_default(),
        recorded.to_owned(),
        if payment.refunded { "yes" } else { "no" }.to_owned(),
        if payment.ours { "attempt" } else { "by itself" }.to_owned(),
    ]
}

/// `GET /reports/captures?since=&until=`.
pub(super) async fn captures(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["since", "until"])?;
    let now = state.clock.now();
    let asked = span(&query)?;
    let until = asked.until.unwrap_or(now);
    let since = asked.since.unwrap_or(until - REACH);
    if since >= until {
        return Err(Problem::query("until", "it is before `since`"));
    }
    let span = Span { since: Some(since), until: Some(until) };
    let cases = paid(&state).await?;
    let mut data = Vec::new();
    for gateway in state.gateways.iter() {
        let here = cases.iter().flat_map(|case| captures::booked(case, gateway.id())).collect();
        data.push(one(&state, gateway.as_ref(), here, span).await?);
    }
    Ok(Json(json!({ "since": since, "until": until, "data": data })))
}

async fn one(
    state: &AppState,
    gateway: &dyn Gateway,
    here: Vec<Booked>,
    span: Span,
) -> Result<Value, Problem> {
    let (since, until) = (span.since.unwrap_or_default(), span.until.unwrap_or_default());
    let there = match gateway.captures(since - EDGE, until + EDGE).await {
        Ok(there) => there,
        Err(error) => {
            return Ok(json!({
                "gateway": gateway.id(), "compared": false, "why_not": error.to_string(),
            }));
        }
    };
    let mut about = Vec::with_capacity(there.len());
    for capture in there {
        let case = case_of(state, &capture).await?;
        about.push((capture, case));
    }
    let zone = TimeZone::get(&state.brand.time_zone).unwrap_or(TimeZone::UTC);
    let found = captures::compare(&about, &here, span, &zone);
    Ok(json!({
        "gateway": gateway.id(),
        "compared": true,
        "days": found.days,
        "differences": found.differences,
        "others": found.others,
    }))
}

/// The case that a capture is about, where it was taken after that case had opened.
async fn case_of(state: &AppState, capture: &Capture) -> Result<Option<CaseId>, Problem> {
    for id in &capture.ids {
        if let Some(case) = state.store.case_of_payment(id).await? {
            return Ok(Some(case));
        }
    }
    let billing = state.gateways.first().map(|gateway| gateway.id().clone());
    let (Some(billing), Some(invoice)) = (billing, capture.invoice.as_deref()) else {
        return Ok(None);
    };
    let case = state.store.case(&CaseId::of(&billing, invoice)).await?;
    Ok(case.filter(|case| capture.at >= case.opened_at).map(|case| case.id))
}

/// `GET /reports/monthly?month=2026-11`: a month to be printed.
pub(super) async fn monthly(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let query = Query::read(query, &["month"])?;
    let zone = TimeZone::get(&state.brand.time_zone).unwrap_or(TimeZone::UTC);
    let today = state.clock.now().to_zoned(zone.clone()).date();
    let month = match query.get("month") {
        None => today.first_of_month().checked_sub(1.month()).unwrap_or(today),
        Some(text) => format!("{text}-01")
            .parse::<Date>()
            .map_err(|_| Problem::query("month", "it reads 2026-11"))?,
    };
    Ok(Html(month_of(&state, &zone, month).await?).into_response())
}

/// The month that begins on this day, as a page.
pub(in crate::http) async fn month_of(
    state: &AppState,
    zone: &TimeZone,
    month: Date,
) -> Result<String, Problem> {
    let midnight = |date: Date| date.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    let next = month.checked_add(1.month()).unwrap_or(Date::MAX);
    let opened = Span { since: midnight(month), until: midnight(next) };
    let selection = Selection { opened, ..Selection::default() };
    let came_in = came_in(state, opened).await?;
    let shelf = state.book.look_patiently(&state.store).await?;
    let view = MonthlyView {
        brand: state.brand.name.clone(),
        time_zone: state.brand.time_zone.clone(),
        month: month.strftime("%B %Y").to_string(),
        made_at: state.clock.now(),
        is_over: opened.until.is_some_and(|until: Timestamp| until <= state.clock.now()),
        overview: Overview::of(shelf.cases(), &selection, zone),
        came_in,
    };
    Ok(monthly_page(&view))
}

/// What was captured in that time, whenever it had failed.
async fn came_in(state: &AppState, span: Span) -> Result<Vec<Payment>, Problem> {
    let cases = paid(state).await?;
    let all = cases.iter().flat_map(|case| payments::payments(case, &state.policy));
    Ok(all.filter(|payment| span.holds(payment.at)).collect())
}
