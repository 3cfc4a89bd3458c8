//! The forecast: what may still come of the cases that are open.
//!
//! Why here: a sum of what is owed says nothing of what will be paid. For each open case there is
//! a probability: where timing has learned enough of its kind of decline, that one of the attempts
//! that are left is approved; else the share of cases like it which, open at the same age, came
//! back later.
//!
//! What must stay true: an open case of which neither is known is counted, and not guessed; the
//! probability of a case is a number from 0 to 1; the same cases give the same forecast.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::facts::Facts;
use super::select::{came_back, length};
use crate::core::learning::timing::{Ask, Context, Group, History, Timing};
use crate::core::money::{Currency, Money};
use crate::core::policy::Policy;

/// Ended cases of its kind and age below which nothing is said of an open one.
const ENOUGH: u64 = 20;
/// Cases that opened longer ago teach nothing: cards, banks and messages were others.
const REACH: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Ages that are told apart, in days: a case of day 4 is compared with those open on day 3.
const AGES: [i64; 8] = [0, 1, 3, 5, 8, 12, 17, 23];

/// What is expected in one currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Open cases with a probability.
    pub cases: u64,
    /// Of these, those whose probability is learned timing's.
    pub by_timing: u64,
    /// What they owe.
    pub owed: Money,
    /// What of it is expected.
    pub expected: Money,
    /// Open cases of which nothing can be said yet.
    pub unknown: u64,
}

/// Of cases that were open at an age: how many, and how many came back later.
type Later = HashMap<(bool, usize), (u64, u64)>;

/// What a forecast is made with.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// The moment.
    pub now: Timestamp,
    /// Learned timing.
    pub timing: &'a Timing,
    /// The window and the number of attempts.
    pub policy: &'a Policy,
    /// The merchant's zone: a case's own is not among its facts.
    pub zone: &'a TimeZone,
}

/// What may still come, by currency.
pub fn expected<'a>(
    cases: impl Iterator<Item = &'a Facts> + Clone,
    basis: &Basis<'_>,
) -> BTreeMap<Currency, Expected> {
    let later = later(cases.clone(), basis);
    let mut known = HashMap::new();
    let mut sums: BTreeMap<Currency, (Expected, f64)> = BTreeMap::new();
    for case in cases.filter(|case| !case.state.is_ended()) {
        let currency = case.amount.currency;
        let nothing = Money::new(0, currency);
        let none =
            Expected { cases: 0, by_timing: 0, owed: nothing, expected: nothing, unknown: 0 };
        let (sum, minor) = sums.entry(currency).or_insert((none, 0.0));
        let by_timing = by_timing(case, basis, &mut known);
        let Some(p) = by_timing.or_else(|| by_likes(case, &later, basis.now)) else {
            sum.unknown += 1;
            continue;
        };
        sum.cases += 1;
        sum.by_timing += u64::from(by_timing.is_some());
        sum.owed.minor = sum.owed.minor.saturating_add(case.amount.minor);
        *minor += p.clamp(0.0, 1.0) * case.amount.minor as f64;
    }
    let whole = |(currency, (sum, minor)): (Currency, (Expected, f64))| {
        // `as` saturates, and makes nothing of what is no number.
        let expected = Money::new(minor.round() as i64, currency);
        (currency, Expected { expected, ..sum })
    };
    sums.into_iter().map(whole).collect()
}

/// What decides a probability of learned timing, as far as it is known here.
type Kind = (Group, i8, u32, u32);

/// By learned timing: that one of the attempts left is approved.
fn by_timing(
    case: &Facts,
    basis: &Basis<'_>,
    known: &mut HashMap<Kind, Option<f64>>,
) -> Option<f64> {
    if !case.retryable || basis.timing.is_empty() {
        return None;
    }
    let zone = basis.zone;
    let failed_on = case.opened_at.to_zoned(zone.clone()).date();
    let day = |at: Timestamp| {
        let days = failed_on.until(at.to_zoned(zone.clone()).date()).ok()?.get_days();
        u32::try_from(days).ok()
    };
    let made = u32::try_from(case.tried.len()).ok()?;
    let attempts = basis.policy.max_attempts.checked_sub(made).filter(|left| *left > 0)?;
    let declined = case.tried.last().map_or(Some(0), |tried| day(tried.at))?;
    let group = Group::of(case.category);
    let kind = (group, failed_on.day(), declined, attempts);
    *known.entry(kind).or_insert_with(|| {
        let context = Context { group, failed_on, history: History::Unknown, segment: 0 };
        let window = basis.policy.window_days;
        let earliest = declined + 1;
        let ask = Ask { declined, earliest, named: None, window, attempts, gap: 1 };
        basis.timing.plan(&context, &ask).map(|plan| plan.p)
    })
}

/// By those that were open at the same age.
fn by_likes(case: &Facts, later: &Later, now: Timestamp) -> Option<f64> {
    let age = age(now.duration_since(case.opened_at))?;
    let (cases, back) = *later.get(&(case.retryable, age))?;
    // A little doubt: of twenty that all came back the next one still may not.
    (cases >= ENOUGH).then(|| (back as f64 + 0.5) / (cases as f64 + 1.0))
}

/// Counts, for each age, the cases that were open at it. Only those whose window is over: of the
/// younger ones the quick have ended and the slow have not.
fn later<'a>(cases: impl Iterator<Item = &'a Facts>, basis: &Basis<'_>) -> Later {
    let mut later = Later::new();
    let window = length(basis.policy.window_days);
    let old = |case: &&Facts| {
        let age = basis.now.duration_since(case.opened_at);
        window <= age && age < REACH
    };
    for case in cases.filter(old) {
        let ended = case.ended_at.filter(|_| case.state.is_ended()).unwrap_or(basis.now);
        let Some(last) = age(ended.duration_since(case.opened_at)) else { continue };
        for at in 0..=last {
            let (cases, back) = later.entry((case.retryable, at)).or_default();
            *cases += 1;
            *back += u64::from(came_back(case).is_some());
        }
    }
    later
}

/// The last of [`AGES`] that has passed.
fn age(since: SignedDuration) -> Option<usize> {
    let days = since.as_hours() / 24;
    AGES.iter().rposition(|age| *age <= days)
}
