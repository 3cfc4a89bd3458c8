//! The recovery report: what came back, of what, by what, and whether what was learned helped.
//!
//! Why here: counting is a function of cases and a moment, so it is tested without a store and is
//! the same in the API, on the dashboard and on the command line. Cases are handed over one by one.
//!
//! What must stay true: a case younger than the window is in none of its denominators, however it
//! went, or the quick ones would count and the slow ones not; money is summed within one currency
//! only; a case is counted in the arm that it was drawn into, whatever happened to it since.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::case::{AttemptOutcome, RecoveredBy};
use super::ids::GatewayId;
use super::money::{Currency, Money};
use super::policy::Policy;
use super::trial::Arm;
use super::worth::{Fee, PARTS};

pub mod captures;
pub mod facts;
pub mod forecast;
pub mod messages;
pub mod overview;
pub mod payments;
pub mod select;
pub mod shadow;
pub mod stats;
mod words;

use facts::{Facts, Tried};
use select::length;
use stats::{Interval, Sums, Tally, cases_to_tell};

/// The windows, in days: a payment is back before the end of so many-th day after its failure, or
/// it is not.
pub const WINDOWS: [u32; 2] = [14, 28];
/// Differences, in points, for which the report says how many cases it takes to tell them.
const POINTS: [u32; 3] = [1, 2, 5];

/// What gateways take, by currency.
type FeeTable = BTreeMap<(GatewayId, Currency), Fee>;

/// A report being counted.
#[derive(Debug, Clone)]
pub struct Counting {
    now: Timestamp,
    held_out: f64,
    fees: FeeTable,
    windows: [Counts; WINDOWS.len()],
    shadow: shadow::Counting,
}

/// What attempts cost, in hundredths of the minor unit, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    parts: i128,
    /// Attempts through gateways whose fees nobody stated.
    unknown: u64,
}

impl Spent {
    fn add(&mut self, fee: Option<&Fee>, attempt: &Tried) {
        let Some(fee) = fee else {
            self.unknown += 1;
            return;
        };
        self.parts += match attempt.outcome {
            AttemptOutcome::Approved => {
                let worth = attempt.amount.minor.saturating_mul(PARTS);
                i128::from(worth) - i128::from(fee.gain(worth))
            }
            AttemptOutcome::Declined => i128::from(fee.loss()),
            AttemptOutcome::Error | AttemptOutcome::Unknown | AttemptOutcome::Withheld => 0,
        };
    }

    /// In minor units, rounded; `None` where some of it is not known.
    fn known(self, among: u64, currency: Currency) -> Option<Money> {
        if self.unknown > 0 || among == 0 {
            return None;
        }
        let whole = i128::from(PARTS) * i128::from(among);
        let minor = (self.parts + whole / 2).div_euclid(whole);
        Some(Money::new(i64::try_from(minor).ok()?, currency))
    }
}

/// What is counted within one window.
#[derive(Debug, Clone, Default)]
struct Counts {
    young: u64,
    whole: Side,
    smart: Side,
    holdout: Side,
}

/// What is counted of some cases.
#[derive(Debug, Clone, Default)]
struct Side {
    all: Tally,
    retryable: Tally,
    attempted: Tally,
    attempts: u64,
    by: RecoveredHow,
    money: BTreeMap<Currency, Sums>,
    spent: BTreeMap<Currency, Spent>,
}

/// What brought the recovered cases back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecoveredHow {
    /// A retry through the billing gateway.
    pub retry: u64,
    /// A retry through another gateway.
    pub other_gateway: u64,
    /// The customer changed the card.
    pub card_update: u64,
    /// The customer by themselves, the billing gateway's own retry, or a person.
    pub elsewhere: u64,
}

impl RecoveredHow {
    fn add(&mut self, by: RecoveredBy) {
        *match by {
            RecoveredBy::CardUpdate => &mut self.card_update,
            RecoveredBy::Elsewhere => &mut self.elsewhere,
            RecoveredBy::OtherGateway => &mut self.other_gateway,
            RecoveredBy::Retry => &mut self.retry,
        } += 1;
    }
}

impl Side {
    fn add(&mut self, case: &Facts, fees: &FeeTable, within: impl Fn(Timestamp) -> bool) {
        let recovered = case.is_back() && case.ended_at.is_some_and(&within);
        let made = |attempt: &&Tried| within(attempt.at);
        let spent = self.spent.entry(case.amount.currency).or_default();
        for attempt in case.tried.iter().filter(made) {
            let fee = fees.get(&(attempt.gateway.clone(), attempt.amount.currency));
            spent.add(fee, attempt);
        }
        let attempts = case.tried.iter().filter(made).count();
        self.all.add(recovered);
        if case.retryable {
            self.retryable.add(recovered);
        }
        if attempts > 0 {
            self.attempted.add(recovered);
        }
        self.attempts += attempts as u64;
        if let Some(by) = case.by.filter(|_| recovered) {
            self.by.add(by);
        }
        let money = self.money.entry(case.amount.currency).or_default();
        money.add(case.amount.minor, recovered);
    }
}

impl Counting {
    /// Nothing counted yet, at this moment. `held_out` is the share that is held out by today's
    /// policy: what more cases are reckoned with where none was held out yet.
    pub fn new(now: Timestamp, held_out: f64) -> Self {
        let (fees, windows, shadow) = Default::default();
        Self { now, held_out, fees, windows, shadow }
    }

    /// Attempts cost what the gateways take by this policy: what they took then is not kept.
    pub fn at_the_fees_of(mut self, policy: &Policy) -> Self {
        for gateway in &policy.gateways {
            let stated = gateway.fees.iter();
            let stated = stated.map(|(currency, fee)| ((gateway.id.clone(), *currency), *fee));
            self.fees.extend(stated);
        }
        self
    }

    /// Counts a case.
    pub fn add(&mut self, case: &Facts) {
        if case.withheld.is_some() {
            return self.shadow.add(case);
        }
        for (counts, days) in self.windows.iter_mut().zip(WINDOWS) {
            let length = length(days);
            let within = |at: Timestamp| at.duration_since(case.opened_at) < length;
            if self.now.duration_since(case.opened_at) < length {
                counts.young += 1;
                continue;
            }
            counts.whole.add(case, &self.fees, within);
            match case.arm {
                Some(Arm::Holdout) => counts.holdout.add(case, &self.fees, within),
                Some(Arm::Smart) => counts.smart.add(case, &self.fees, within),
                None => {}
            }
        }
    }

    /// What was only planned, beside what the gateway did; `None` where nothing was.
    pub fn shadow(&self) -> Option<shadow::Shadow> {
        self.shadow.finish()
    }

    /// The report.
    pub fn finish(&self) -> Vec<Window> {
        let windows = self.windows.iter().zip(WINDOWS);
        windows.map(|(counts, days)| counts.window(days, self.held_out)).collect()
    }
}

/// What happened within so many days after the failure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// The days.
    pub days: u32,
    /// Cases that are not as old yet: they are in no number below.
    pub too_young: u64,
    /// All cases that are.
    #[serde(flatten)]
    pub cases: Group,
    /// Those that follow what was learned against those that are held out; `None` where nobody is
    /// compared.
    pub comparison: Option<Comparison>,
}

/// Some cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Recovered of all cases.
    pub all: Share,
    /// Recovered of those that began with a refusal which may be charged again.
    pub retryable: Share,
    /// Recovered of those that were charged again at all.
    pub attempted: Share,
    /// What brought them back.
    pub recovered_by: RecoveredHow,
    /// Attempts of ours.
    pub attempts: u64,
    /// Attempts for each recovered case.
    pub attempts_per_recovery: Option<f64>,
    /// The money, each currency by itself.
    pub money: Vec<MoneyShare>,
}

/// A recovered share by count, with its denominator and interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// The denominator.
    pub cases: u64,
    /// The numerator.
    pub recovered: u64,
    /// The share with its interval at 95 %; `None` of no case.
    pub share: Option<Interval>,
}

/// A recovered share by amount.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MoneyShare {
    /// What was owed.
    pub owed: Money,
    /// What of it was recovered.
    pub recovered: Money,
    /// The share.
    pub share: Option<f64>,
    /// What the gateways took for our attempts, recovered or not; `None` where the fees of a
    /// gateway that was charged through are not stated.
    pub fees: Option<Money>,
    /// The same for each recovered case.
    pub fees_per_recovery: Option<Money>,
}

/// Those that follow what was learned against those that are held out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Those that follow what was learned.
    pub smart: Group,
    /// Those that are held out.
    pub holdout: Group,
    /// The recovered shares' differences, smart less held out, with their intervals at 95 %.
    pub difference: Differences,
    /// Whether the difference of all cases is told: zero is outside its interval.
    pub told: bool,
    /// How many cases it takes to tell a difference of so many points.
    pub needed: Vec<Needed>,
    /// The result in plain words.
    pub in_words: String,
}

/// Differences of shares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    /// Of all cases: the one to go by.
    pub all: Option<Interval>,
    /// Of those that began with a refusal which may be charged again.
    pub retryable: Option<Interval>,
    /// Of those that were charged at all. Which those are depends on the arm: to look at only.
    pub attempted: Option<Interval>,
    /// Of the money, by currency; where there are enough cases.
    pub money: BTreeMap<&'static str, Option<Interval>>,
}

/// How many cases it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// To tell a difference of so many points.
    pub points: u32,
    /// Cases on both sides together.
    pub cases: u64,
    /// How many more than there are.
    pub more: u64,
}

impl Counts {
    fn window(&self, days: u32, held_out: f64) -> Window {
        Window {
            days,
            too_young: self.young,
            cases: self.whole.group(),
            comparison: self.comparison(days, held_out),
        }
    }

    fn comparison(&self, days: u32, held_out: f64) -> Option<Comparison> {
        let (smart, holdout) = (&self.smart, &self.holdout);
        let compared = smart.all.cases + holdout.all.cases;
        if compared == 0 {
            return None;
        }
        let currencies = smart.money.keys().chain(holdout.money.keys());
        let of = |side: &Side, currency| side.money.get(&currency).copied().unwrap_or_default();
        let money = |currency| of(smart, currency).less(&of(holdout, currency));
        let difference = Differences {
            all: smart.all.less(holdout.all),
            retryable: smart.retryable.less(holdout.retryable),
            attempted: smart.attempted.less(holdout.attempted),
            money: currencies.map(|currency| (currency.code(), money(*currency))).collect(),
        };
        let mut comparison = Comparison {
            smart: smart.group(),
            holdout: holdout.group(),
            told: difference.all.is_some_and(|interval| interval.tells()),
            difference,
            needed: self.needed(compared, held_out),
            in_words: String::new(),
        };
        comparison.in_words = words::of(&comparison, days);
        Some(comparison)
    }

    /// Reckoned with the share that was held out, and how the held-out cases went, as far as known.
    fn needed(&self, compared: u64, held_out: f64) -> Vec<Needed> {
        let both = self.smart.all.cases > 0 && self.holdout.all.cases > 0;
        let drawn = self.holdout.all.cases as f64 / compared as f64;
        let held_out = if both { drawn } else { held_out };
        let base = self.holdout.all.share().or_else(|| self.whole.all.share());
        let base = base.map_or(0.5, |share| share.estimate);
        let needed = |points: u32| {
            let cases = cases_to_tell(f64::from(points) / 100.0, base, held_out)?;
            Some(Needed { points, cases, more: cases.saturating_sub(compared) })
        };
        POINTS.into_iter().filter_map(needed).collect()
    }
}

impl Side {
    fn group(&self) -> Group {
        let share = |tally: Tally| {
            let Tally { cases, recovered } = tally;
            Share { cases, recovered, share: tally.share() }
        };
        let money = |(currency, sums): (&Currency, &Sums)| {
            let minor = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
            let spent = self.spent.get(currency).copied().unwrap_or_default();
            MoneyShare {
                owed: Money::new(minor(sums.owed), *currency),
                recovered: Money::new(minor(sums.recovered), *currency),
                share: sums.share(),
                fees: spent.known(1, *currency),
                fees_per_recovery: spent.known(sums.recovered_cases, *currency),
            }
        };
        let recovered = self.all.recovered;
        Group {
            all: share(self.all),
            retryable: share(self.retryable),
            attempted: share(self.attempted),
            recovered_by: self.by,
            attempts: self.attempts,
            attempts_per_recovery: (recovered > 0).then(|| self.attempts as f64 / recovered as f64),
            money: self.money.iter().map(money).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(outcome: AttemptOutcome) -> Tried {
        Tried {
            at: Timestamp::UNIX_EPOCH,
            gateway: GatewayId::from("first"),
            amount: Money::new(2900, "USD".parse().unwrap()),
            outcome,
        }
    }

    #[test]
    fn what_attempts_cost_by_hand() {
        // 30 cents and 2.9 % of 29.00 are 1.141 when approved; 10 cents each time it is declined.
        let fee = Fee { approved: 3_000, approved_bps: 290, declined: 1_000, network_risk: 0 };
        let usd = "USD".parse().unwrap();
        let mut spent = Spent::default();
        for outcome in [
            AttemptOutcome::Declined,
            AttemptOutcome::Error,
            AttemptOutcome::Declined,
            AttemptOutcome::Approved,
        ] {
            spent.add(Some(&fee), &attempt(outcome));
        }
        assert_eq!(spent.parts, 2 * 1_000 + 3_000 + 8_410);
        assert_eq!(spent.known(1, usd), Some(Money::new(134, usd)));
        assert_eq!(spent.known(2, usd), Some(Money::new(67, usd)), "for each of two");
        assert_eq!(spent.known(0, usd), None, "nothing was recovered");
        spent.add(None, &attempt(AttemptOutcome::Declined));
        assert_eq!(spent.known(1, usd), None, "nobody said what this gateway takes");
    }
}
