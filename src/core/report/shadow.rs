//! What shadow mode would have done, beside what the gateway did.
//!
//! Why here: cases in shadow are in no other number of the report; what became of them was the
//! gateway's doing. Nobody can say what an attempt that was not made would have brought, so nothing
//! here claims it: what is told is who paid, when, and what recoup had planned until then.
//!
//! What must stay true: amounts are summed within one currency only.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Serialize;

use super::facts::Facts;
use super::stats::Sums;
use crate::core::case::{MessageStatus, State};
use crate::core::money::{Currency, Money};

/// Cases in shadow being counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counting {
    counts: Counts,
    waits: Vec<SignedDuration>,
    money: BTreeMap<Currency, Sums>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Cases that were only planned.
    pub cases: u64,
    /// Of these: paid, by the gateway's own retries or by the customer.
    pub paid: u64,
    /// Paid after at least one attempt that recoup would have made.
    pub paid_after_an_attempt: u64,
    /// Paid before recoup would have made one.
    pub paid_before_an_attempt: u64,
    /// Still open.
    pub open: u64,
    /// Ended unpaid.
    pub unpaid: u64,
    /// Attempts that would have been made.
    pub attempts: u64,
    /// Messages that would have been sent.
    pub messages: u64,
}

/// What shadow mode saw and planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shadow {
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Hours from the failure until it was paid: half of the paid cases took at most so long.
    pub median_hours_until_paid: Option<i64>,
    /// The money, each currency by itself.
    pub money: Vec<Owed>,
    /// The same in plain words.
    pub in_words: String,
}

/// What was owed in one currency, and what of it was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// What was owed.
    pub owed: Money,
    /// What of it was paid without recoup.
    pub paid: Money,
}

impl Counting {
    pub(super) fn add(&mut self, case: &Facts) {
        let counts = &mut self.counts;
        counts.cases += 1;
        let attempts = case.withheld.unwrap_or_default();
        let messages = case.messages.iter().filter(|m| m.status == MessageStatus::Withheld);
        counts.attempts += attempts;
        counts.messages += messages.count() as u64;
        let paid = case.state == State::Recovered;
        match (paid, case.state.is_ended(), attempts) {
            (true, _, 0) => counts.paid_before_an_attempt += 1,
            (true, ..) => counts.paid_after_an_attempt += 1,
            (false, true, _) => counts.unpaid += 1,
            (false, false, _) => counts.open += 1,
        }
        if paid {
            counts.paid += 1;
            self.waits.extend(case.ended_at.map(|at| at.duration_since(case.opened_at)));
        }
        self.money.entry(case.amount.currency).or_default().add(case.amount.minor, paid);
    }

    pub(super) fn finish(&self) -> Option<Shadow> {
        if self.counts.cases == 0 {
            return None;
        }
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let median = waits.get(waits.len().saturating_sub(1) / 2).map(|wait| wait.as_hours());
        let minor = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
        let owed = |(currency, sums): (&Currency, &Sums)| Owed {
            owed: Money::new(minor(sums.owed), *currency),
            paid: Money::new(minor(sums.recovered), *currency),
        };
        Some(Shadow {
            counts: self.counts,
            median_hours_until_paid: median,
            money: self.money.iter().map(owed).collect(),
            in_words: in_words(self.counts, median),
        })
    }
}

fn in_words(counts: Counts, median: Option<i64>) -> String {
    let Counts { cases, paid, open, unpaid, attempts, messages, .. } = counts;
    let after = match median {
        Some(hours) if hours >= 48 => {
            format!(", half of them within {} days", (hours + 23) / 24)
        }
        Some(hours) => format!(", half of them within {} hours", hours.max(1)),
        None => String::new(),
    };
    format!(
        "In shadow mode {cases} payments failed. Without recoup {paid} were paid{after}; {unpaid} \
         ended unpaid and {open} are open. Recoup would have made {attempts} attempts and sent \
         {messages} messages; of the paid ones {} were paid before its first attempt.",
        counts.paid_before_an_attempt
    )
}
