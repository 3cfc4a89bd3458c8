//! What a case knows when its days are chosen, and what it teaches when it has ended.
//!
//! Why here: the bridge between the case, which has moments, cards and declines, and
//! `learning::timing`, which has days of the customer's own calendar and counters.
//!
//! What must stay true: days are chosen only for the smart schedule; a case in which a person or a
//! changed card had a hand teaches nothing, since its days were not the schedule's.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::step::{Around, Stepper};
use super::{Attempt, AttemptOutcome, Case, RecoveredBy, State};
use crate::core::decline::{self, Category, RetryMode};
use crate::core::learning::timing::{self, Ask, Charge, Context, End, Group, History, Plan};
use crate::core::ledger::Considered;
use crate::core::schedule::Frame;

/// What a case that has ended teaches about days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// Its tries in their order: what was known before each, and days after the failure.
    pub tries: Vec<(Context, u32)>,
    /// How it ended.
    pub end: End,
}

impl Stepper<'_> {
    /// The days of the attempts that are left, by what was learned; `None`: the schedule's own.
    pub(super) fn learned_plan(
        &self,
        frame: &Frame<'_>,
        stated: Option<SignedDuration>,
        gap: SignedDuration,
    ) -> Option<Plan> {
        if !self.case.follows_evidence(self.policy) || self.around.learned.timing.is_empty() {
            return None;
        }
        let category = self.case.decline.as_ref().map_or(Category::Unknown, |d| d.category);
        let context = context(&self.case, &*self.around, &self.zone, category);
        let day = |at: Timestamp| days_between(context.failed_on, date(at, &self.zone));
        let earliest = day(frame.earliest);
        let ask = Ask {
            declined: day(self.case.declined_at),
            earliest,
            named: stated.map(|_| earliest),
            window: frame.window_days,
            attempts: frame.max_attempts.saturating_sub(frame.made),
            gap: u32::try_from(gap.as_hours() / 24).unwrap_or(1),
        };
        self.around.learned.timing.plan(&context, &ask)
    }
}

/// The plan in one plain sentence, for the ledger.
pub(super) fn in_words(plan: &Plan) -> Option<String> {
    plan.moved.then(|| {
        let percent = |p: f64| (p * 100.0).round();
        format!(
            ", on the day that {:.0} cases of this kind speak for: {:.0} % are expected to be \
             recovered by the attempts left, by even spacing {:.0} %",
            plan.cases,
            percent(plan.p),
            percent(plan.even)
        )
    })
}

/// What was considered, for the decision.
pub(super) fn considered(plan: &Plan) -> Vec<Considered> {
    let days: Vec<_> = plan.days.iter().map(|day| format!("day {day}")).collect();
    let first = (plan.first * 100.0).round();
    let text = format!("planned together: {}; the first alone: {first:.0} %", days.join(", "));
    vec![text.into()]
}

/// What this case teaches about days, once it has ended; `None` where it teaches nothing.
pub fn lesson(case: &Case, around: &Around, zone: &TimeZone) -> Option<Lesson> {
    let by_schedule = |attempt: &Attempt| attempt.on_schedule && attempt.at >= case.window_from;
    let attempts = case.attempts.as_slice();
    if case.shadow
        || case.forced
        || case.card_updated
        || attempts.is_empty()
        || !attempts.iter().all(by_schedule)
    {
        return None;
    }
    let last = attempts.last()?;
    let end = match (case.state, case.recovered_by, last.outcome) {
        (
            State::Recovered,
            Some(RecoveredBy::Retry | RecoveredBy::OtherGateway),
            AttemptOutcome::Approved,
        ) => End::Approved,
        (State::Exhausted, _, AttemptOutcome::Declined) if barred(last) => End::Barred,
        (State::Exhausted, _, AttemptOutcome::Declined) => End::Declined,
        _ => return None,
    };
    // The category before a try is that of the decline before it; of the first decline only the
    // newest word is known.
    let first =
        attempts.first().and_then(category).or_else(|| Some(case.decline.as_ref()?.category));
    let before = std::iter::once(first).chain(attempts.iter().map(category));
    let tries = attempts.iter().zip(before).map(|(attempt, category)| {
        let context = context(case, around, zone, category.unwrap_or(Category::Unknown));
        (context, days_between(context.failed_on, date(attempt.at, zone)))
    });
    Some(Lesson { tries: tries.collect(), end })
}

fn barred(attempt: &Attempt) -> bool {
    let policy = decline::policy(category(attempt).unwrap_or(Category::Unknown));
    matches!(policy.retry, RetryMode::AfterCustomer | RetryMode::Never)
}

fn category(attempt: &Attempt) -> Option<Category> {
    attempt.decline.as_ref().map(|decline| decline.category)
}

fn context(case: &Case, around: &Around, zone: &TimeZone, category: Category) -> Context {
    let failed_on = date(case.window_from, zone);
    let card = case.card.as_ref().and_then(|key| around.cards.get(key));
    let attempts = card.map(|card| card.attempts.as_slice()).unwrap_or_default();
    let past = attempts.iter().map(|a| Charge { on: date(a.at, zone), approved: a.approved });
    let past: Vec<_> = past.filter(|charge| charge.on < failed_on).collect();
    let facts = case.card.as_ref().and_then(|key| {
        around.customer.methods.iter().find(|method| method.card == *key).map(|m| &m.facts)
    });
    let network = card.and_then(|card| card.network.as_deref());
    let network = network.or_else(|| facts?.network.as_deref());
    let funding = facts.and_then(|facts| facts.funding.as_deref());
    Context {
        group: Group::of(category),
        failed_on,
        history: History::of(&past, failed_on),
        segment: timing::segment(network, funding),
    }
}

fn date(at: Timestamp, zone: &TimeZone) -> Date {
    at.to_zoned(zone.clone()).date()
}

fn days_between(from: Date, to: Date) -> u32 {
    u32::try_from((to - from).get_days()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::learning::Learned;

    #[test]
    fn days_are_of_the_customers_own_calendar() {
        let bogota = TimeZone::get("America/Bogota").unwrap();
        let late: Timestamp = "2026-03-02T03:00:00Z".parse().unwrap();
        assert_eq!(date(late, &bogota).to_string(), "2026-03-01");
        assert_eq!(days_between(date(late, &bogota), date(late, &TimeZone::UTC)), 1);
        assert_eq!(days_between(date(late, &TimeZone::UTC), date(late, &bogota)), 0);
    }

    #[test]
    fn a_plan_that_moves_nothing_says_nothing() {
        let plan =
            Plan { days: vec![9, 28], p: 0.61, first: 0.4, even: 0.6, moved: false, cases: 200.0 };
        assert_eq!(in_words(&plan), None);
        let moved = in_words(&Plan { moved: true, ..plan.clone() }).unwrap();
        assert!(moved.contains("200 cases") && moved.contains("61 %"), "{moved}");
        let words: Vec<_> = considered(&plan).iter().map(ToString::to_string).collect();
        assert_eq!(words, ["planned together: day 9, day 28; the first alone: 40 %"]);
        assert!(Learned::default().timing.is_empty());
    }
}
