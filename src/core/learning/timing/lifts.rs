//! Main effects: what a group of declines has in common over all bills, and how much better than
//! that a day of the month, a weekday or a kind of card is.
//!
//! Why here: a table by bill day and history needs many outcomes. With few, "the 1st is twice as
//! good as its distance from the failure lets expect" is learned from every bill at once.
//!
//! What must stay true: an effect is approved over expected, both with the same head start, so one
//! with little behind it is close to 1; it stays within bounds.

use serde::{Deserialize, Serialize};

use super::cells::{DAYS, PAIRS, pair};
use super::{Context, Group, Tried};
use jiff::ToSpan as _;

/// Expected approvals that every effect has as a head start.
const HEAD_START: f32 = 20.0;
/// Tries that the curve of the group counts for in each pair.
const CURVE_TRIES: f32 = 10.0;
/// No effect is stronger than this, or weaker than one over it.
const BOUND: f32 = 4.0;

/// Approved and expected; or approved and tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Share(f32, f32);

impl Share {
    fn add(&mut self, approved: f32, of: f32) {
        // Far beyond what any merchant has, and far below where adding one is lost.
        const FULL: f32 = 4_000_000.0;
        if self.1 > FULL {
            self.scale(0.5);
        }
        if approved.is_finite() && of.is_finite() {
            self.0 += approved.max(0.0);
            self.1 += of.max(0.0);
        }
    }

    fn scale(&mut self, part: f32) {
        self.0 *= part;
        self.1 *= part;
    }
}

/// The main effects of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lifts {
    /// By pair of days, over all bills.
    pairs: Vec<Share>,
    /// By day of the month.
    month_days: Vec<Share>,
    /// By weekday, from Monday.
    weekdays: Vec<Share>,
    /// By network and funding.
    segments: Vec<Share>,
}

/// How many segments there are.
const SEGMENTS: usize = 16;

impl Lifts {
    /// How likely a try on this day is approved, by the days alone.
    pub(super) fn expected(&self, group: Group, row: usize, day: usize) -> f32 {
        let Share(approved, tries) = self.pairs.get(pair(row, day)).copied().unwrap_or_default();
        let gap = if row == 0 { day } else { day.saturating_sub(2 * row) + 1 };
        (approved + CURVE_TRIES * curve(group, gap)) / (tries + CURVE_TRIES)
    }

    pub(super) fn count(&mut self, context: &Context, tried: &Tried, expected: f32) {
        self.pairs.resize(PAIRS, Share::default());
        self.month_days.resize(31, Share::default());
        self.weekdays.resize(7, Share::default());
        self.segments.resize(SEGMENTS, Share::default());
        let approved = if tried.approved { 1.0 } else { 0.0 };
        let row = super::cells::row_of(tried.before);
        let at = Place::of(context, tried.day);
        let shares = [
            (self.pairs.get_mut(pair(row, tried.day as usize)), 1.0),
            (self.month_days.get_mut(at.month_day), expected),
            (self.weekdays.get_mut(at.weekday), expected),
            (self.segments.get_mut(usize::from(context.segment)), expected),
        ];
        for (share, of) in shares {
            if let Some(share) = share {
                share.add(approved, of);
            }
        }
    }

    /// How much better a try on this day is than its distance from the failure tells.
    pub(super) fn lift(&self, context: &Context, day: u32) -> f32 {
        let at = Place::of(context, day);
        let effects = [
            self.month_days.get(at.month_day),
            self.weekdays.get(at.weekday),
            self.segments.get(usize::from(context.segment)),
        ];
        let lift: f32 = effects
            .into_iter()
            .map(|share| {
                let Share(approved, expected) = share.copied().unwrap_or_default();
                (approved + HEAD_START) / (expected + HEAD_START)
            })
            .product();
        if lift.is_finite() { lift.clamp(1.0 / BOUND, BOUND) } else { 1.0 }
    }

    /// All tries of the group.
    pub(super) fn tries(&self) -> f32 {
        self.pairs.iter().map(|share| share.1).sum()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.pairs, &other.pairs),
            (&mut self.month_days, &other.month_days),
            (&mut self.weekdays, &other.weekdays),
            (&mut self.segments, &other.segments),
        ];
        for (mine, theirs) in pairs {
            mine.resize(mine.len().max(theirs.len()), Share::default());
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                mine.add(theirs.0, theirs.1);
            }
        }
    }

    pub(super) fn age(&mut self, part: u32, of: u32) {
        let part = part as f32 / of.max(1) as f32;
        let all = [&mut self.pairs, &mut self.month_days, &mut self.weekdays, &mut self.segments];
        for shares in all {
            shares.iter_mut().for_each(|share| share.scale(part));
        }
    }
}

/// Where a day stands in the calendar.
struct Place {
    month_day: usize,
    weekday: usize,
}

impl Place {
    fn of(context: &Context, day: u32) -> Self {
        let days = i64::from(day.min(DAYS as u32));
        let date = context.failed_on.saturating_add(days.days());
        Self {
            month_day: usize::from(date.day().unsigned_abs()).saturating_sub(1),
            weekday: usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()),
        }
    }
}

/// How likely a charge is approved so many days after a refusal, before anything was learned.
///
/// The shape is that of replayed bank balances (.25, .50, .78 of the accounts that had run dry are
/// funded 3, 7 and 14 days later); the level of each group is assumed. What matters of it: a longer
/// wait adds less and less, so the best days by it are evenly spaced and end with the window.
pub(super) fn curve(group: Group, gap: usize) -> f32 {
    let level = match group {
        Group::Funds => 0.9,
        Group::Generic | Group::Other => 0.6,
        Group::Limit => 0.8,
    };
    level * (1.0 - (-(gap as f32) / 10.0).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::learning::timing::History;

    #[test]
    fn a_day_that_goes_well_is_lifted_and_stays_within_bounds() {
        let context = Context {
            group: Group::Funds,
            failed_on: "2026-03-10".parse().unwrap(),
            history: History::Unknown,
            segment: 0,
        };
        let mut lifts = Lifts::default();
        assert!((lifts.lift(&context, 5) - 1.0).abs() < 1e-6);
        for _ in 0..500 {
            lifts.count(&context, &Tried { before: 0, day: 5, approved: true }, 0.2);
            lifts.count(&context, &Tried { before: 0, day: 9, approved: false }, 0.3);
        }
        assert!(lifts.lift(&context, 5) > 2.0);
        assert!(lifts.lift(&context, 9) < 1.0);
        assert!(lifts.lift(&context, 5) <= BOUND);
    }
}
