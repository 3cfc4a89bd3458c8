//! `GET /messages` and `GET /reports/recovery`.
//!
//! What must stay true: amounts are summed within one currency only; every share has its
//! denominator beside it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::input::Query;
use crate::core::case::{Case, RecoveredBy, State as CaseState};
use crate::core::ids::{CaseId, MessageId};
use crate::core::money::{Currency, Money};
use crate::http::view::message_json;
use crate::http::{AppState, Problem};
use crate::store::CaseFilter;

/// Cases read at a time for the report.
const BATCH: usize = 500;

/// `GET /messages`: all, newest first, or those of one case, oldest first.
pub(super) async fn messages(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, &["case", "limit", "starting_after"])?;
    if let Some(case) = query.get("case") {
        let records = state.store.messages_of(&CaseId::from(case)).await?;
        let data: Vec<_> = records.iter().map(message_json).collect();
        return Ok(Json(json!({ "data": data, "has_more": false })));
    }
    let after = query.get("starting_after").map(MessageId::from);
    let page = state.store.list_messages(after.as_ref(), query.limit()?).await?;
    let data: Vec<_> = page.data.iter().map(message_json).collect();
    Ok(Json(json!({ "data": data, "has_more": page.has_more })))
}

/// Count and sum of some cases in one currency.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u64,
    minor: i64,
}

impl Tally {
    fn add(&mut self, amount: Money) {
        self.count += 1;
        self.minor = self.minor.saturating_add(amount.minor);
    }

    fn json(self, currency: Currency) -> Value {
        json!({ "count": self.count, "amount": Money::new(self.minor, currency) })
    }
}

/// The cases of one currency.
#[derive(Default)]
struct Report {
    failed: Tally,
    open: Tally,
    by_state: BTreeMap<CaseState, Tally>,
    by: BTreeMap<&'static str, Tally>,
}

impl Report {
    fn add(&mut self, case: &Case) {
        self.failed.add(case.amount);
        if !case.state.is_ended() {
            self.open.add(case.amount);
        }
        self.by_state.entry(case.state).or_default().add(case.amount);
        if let Some(by) = case.recovered_by {
            self.by.entry(recovered_by(by)).or_default().add(case.amount);
        }
    }

    fn json(&self, currency: Currency) -> Value {
        let states: serde_json::Map<_, _> = CaseState::ALL
            .iter()
            .map(|state| {
                let tally = self.by_state.get(state).copied().unwrap_or_default();
                (state.as_str().to_owned(), tally.json(currency))
            })
            .collect();
        let by: serde_json::Map<_, _> = ["retry", "other_gateway", "card_update", "elsewhere"]
            .iter()
            .map(|by| {
                let tally = self.by.get(by).copied().unwrap_or_default();
                ((*by).to_owned(), tally.json(currency))
            })
            .collect();
        let recovered = self.by_state.get(&CaseState::Recovered).copied().unwrap_or_default();
        json!({
            "currency": currency,
            "failed": self.failed.json(currency),
            "recovered": recovered.json(currency),
            "open": self.open.json(currency),
            "by_state": states,
            "recovered_by": by,
        })
    }
}

fn recovered_by(by: RecoveredBy) -> &'static str {
    match by {
        RecoveredBy::CardUpdate => "card_update",
        RecoveredBy::Elsewhere => "elsewhere",
        RecoveredBy::OtherGateway => "other_gateway",
        RecoveredBy::Retry => "retry",
    }
}

/// `GET /reports/recovery`: how many failed, how many came back, by what.
pub(super) async fn recovery(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let mut reports: BTreeMap<Currency, Report> = BTreeMap::new();
    let mut total: BTreeMap<CaseState, u64> = BTreeMap::new();
    let mut after: Option<CaseId> = None;
    loop {
        let filter = CaseFilter::default();
        let page = state.store.list_cases(&filter, after.as_ref(), BATCH).await?;
        for case in &page.data {
            reports.entry(case.amount.currency).or_default().add(case);
            *total.entry(case.state).or_default() += 1;
        }
        after = page.data.last().map(|case| case.id.clone());
        if !page.has_more || after.is_none() {
            break;
        }
    }
    let currencies: Vec<_> =
        reports.iter().map(|(currency, report)| report.json(*currency)).collect();
    let count: u64 = total.values().sum();
    let recovered = total.get(&CaseState::Recovered).copied().unwrap_or(0);
    Ok(Json(json!({ "cases": count, "recovered": recovered, "currencies": currencies })))
}
