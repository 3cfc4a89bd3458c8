//! The recovery report over a store, for the API.
//!
//! Why here: programs and people see the same numbers. `core::report` counts what the book keeps.
//!
//! What must stay true: amounts are summed within one currency only; every share has its
//! denominator beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::AppState;
use crate::core::case::{RecoveredBy, State as CaseState};
use crate::core::money::{Currency, Money};
use crate::core::report::facts::Facts;
use crate::core::report::select::Span;
use crate::core::report::shadow::Shadow;
use crate::core::report::{Counting, Window};
use crate::core::trial::MILLION;
use crate::store::StoreError;

/// What came back.
pub(super) struct Recovery {
    span: Span,
    now: Timestamp,
    states: BTreeMap<CaseState, u64>,
    currencies: BTreeMap<Currency, Report>,
    /// By the days after the failure, and smart against held out.
    pub(super) windows: Vec<Window>,
    /// What was only planned.
    pub(super) shadow: Option<Shadow>,
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
    fn add(&mut self, case: &Facts) {
        self.failed.add(case.amount);
        if !case.state.is_ended() {
            self.open.add(case.amount);
        }
        self.by_state.entry(case.state).or_default().add(case.amount);
        if let Some(by) = case.by {
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

impl Recovery {
    /// Reads the cases and counts them.
    pub(super) async fn of(state: &AppState, span: Span) -> Result<Self, StoreError> {
        let now = state.clock.now();
        let held_out = f64::from(state.policy.holdout_ppm) / f64::from(MILLION);
        let mut counting = Counting::new(now, held_out).at_the_fees_of(&state.policy);
        let (states, currencies, windows, shadow) = Default::default();
        let mut recovery = Self { span, now, states, currencies, windows, shadow };
        let shelf = state.book.look_patiently(&state.store).await?;
        for case in shelf.cases().filter(|case| span.holds(case.opened_at)) {
            counting.add(case);
            if case.withheld.is_some() {
                continue;
            }
            *recovery.states.entry(case.state).or_default() += 1;
            recovery.currencies.entry(case.amount.currency).or_default().add(case);
        }
        recovery.windows = counting.finish();
        recovery.shadow = counting.shadow();
        Ok(recovery)
    }

    /// As the API answers it.
    pub(super) fn json(&self) -> Value {
        let currencies = self.currencies.iter();
        let currencies: Vec<_> = currencies.map(|(code, report)| report.json(*code)).collect();
        json!({
            "now": self.now,
            "since": self.span.since,
            "until": self.span.until,
            "cases": self.states.values().sum::<u64>(),
            "recovered": self.states.get(&CaseState::Recovered).copied().unwrap_or(0),
            "currencies": currencies,
            "windows": self.windows,
            "shadow": self.shadow,
        })
    }
}
