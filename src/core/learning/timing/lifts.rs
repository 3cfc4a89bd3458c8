//! Main effects: what a group of declines has in common over all bills, and how much better or
//! worse than that go a weekday, a stretch of the calendar, a history, a kind of card.
//!
//! Why here: a table by bill day and history needs many outcomes. With few, "declined on the 12th,
//! approved on the 2nd" is learned from every bill at once: what lies between two dates (a payday)
//! matters more than when the first charge failed.
//!
//! What must stay true: an effect is approved over expected, both with the same head start, so one
//! with little behind it is close to 1; it stays within bounds.

use std::sync::{Arc, OnceLock};

use jiff::ToSpan as _;
use serde::{Deserialize, Serialize};

use super::calendar::{self, Levels, PLACES};
use super::cells::{BEFORES, DAYS, PAIRS, first_day, pair, row_of};
use super::history::History;
use super::{Context, Group, Tried};

/// Expected approvals that every effect has as a head start.
const HEAD_START: f32 = 20.0;
/// Expected approvals that the curve of the group counts for in each pair and its neighbors.
const CURVE_TRIES: f32 = 40.0;
/// How far a pair's neighbors reach: rows of days before, and days. They weigh less the further
/// they are; without them the best of many days is the one that was lucky.
const NEAR: (usize, usize) = (3, 4);
/// Hopeless cases and all, as a head start: one in five, assumed.
const HOPELESS: Share = Share(10.0, 50.0);
/// No effect is stronger than this, or weaker than one over it.
const BOUND: f32 = 4.0;
/// How many segments there are.
const SEGMENTS: usize = 16;
/// Distances of two days.
const GAPS: usize = DAYS / 2 + 1;

/// Approved and expected; or approved and tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Share(pub(super) f32, pub(super) f32);

impl Share {
    pub(super) fn add(&mut self, approved: f32, of: f32) {
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

    fn ratio(self, head_start: f32) -> f32 {
        let ratio = (self.0 + head_start) / (self.1 + head_start);
        if ratio.is_finite() { ratio.clamp(1.0 / BOUND, BOUND) } else { 1.0 }
    }
}

/// A table of shares; empty until something was counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Table(Vec<Share>);

impl Table {
    fn add(&mut self, length: usize, at: usize, approved: f32, of: f32) {
        self.0.resize(length, Share::default());
        if let Some(share) = self.0.get_mut(at) {
            share.add(approved, of);
        }
    }

    fn at(&self, at: usize) -> Share {
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// The main effects of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lifts {
    /// By pair of days, over all bills.
    pairs: Table,
    /// By day of the month of the try, and days since the last refusal: see [`calendar`].
    arrivals: Table,
    /// How many tries those were.
    waits: Table,
    /// By the customer's last bill, and days since the last refusal.
    histories: Table,
    /// By weekday, from Monday.
    weekdays: Table,
    /// By network and funding.
    segments: Table,
    /// Cases that no day would have helped, of all that ended.
    hopeless: Share,
    /// What follows from the counters for every case alike.
    #[serde(skip)]
    fitted: Kept,
}

/// What is worked out once and kept until another try is counted. It is no part of the record.
#[derive(Debug, Clone, Default)]
struct Kept(OnceLock<Arc<Fitted>>);

impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Fitted {
    /// Chances by pair, by the days alone.
    chances: Vec<f32>,
    levels: Levels,
}

/// Where a pair of days stands in the calendar, and in the tables.
#[derive(Debug, Clone, Copy)]
struct Place {
    arrival: usize,
    history: usize,
    weekday: usize,
}

impl Place {
    fn of(context: &Context, before: u32, day: u32) -> Self {
        let date = |days: u32| context.failed_on.saturating_add(i64::from(days).days());
        let gap = (day.saturating_sub(before) as usize).clamp(1, DAYS);
        Self {
            arrival: calendar::place(date(day), gap),
            history: context.history as usize * GAPS + gap / 2,
            weekday: usize::from(date(day).weekday().to_monday_zero_offset().unsigned_abs()),
        }
    }
}

/// What the tables tell of one case, for all pairs at once.
pub(super) struct View {
    /// Chances by pair, with the effects of calendar, history, weekday and card.
    pub(super) chances: Vec<f32>,
    /// That no day helps.
    pub(super) hopeless: f32,
}

impl Lifts {
    /// How likely a try on this day is approved, by the days alone.
    pub(super) fn expected(&self, group: Group, row: usize, day: usize) -> f32 {
        let row = row.min(BEFORES - 1);
        let day = day.clamp(first_day(row), DAYS);
        let (rows, days) = NEAR;
        let mut near = Share::default();
        // The first refusal is a kind of its own: most of what is tried after it is not hopeless.
        let (from, to) =
            if row == 0 { (0, 0) } else { (row.saturating_sub(rows).max(1), row + rows) };
        for other in from..=to.min(BEFORES - 1) {
            for on in day.saturating_sub(days).max(first_day(other))..=(day + days).min(DAYS) {
                let far = other.abs_diff(row) as f32 / (rows + 1) as f32;
                let weight = 1.0 - far.max(on.abs_diff(day) as f32 / (days + 1) as f32);
                let Share(approved, tries) = self.pairs.at(pair(other, on));
                near.0 += weight * approved;
                near.1 += weight * tries * curve(group, gap_of(other, on));
            }
        }
        let seen = (near.0 + CURVE_TRIES) / (near.1 + CURVE_TRIES);
        let chance = curve(group, gap_of(row, day)) * seen;
        if chance.is_finite() { chance.clamp(0.002, 0.98) } else { 0.002 }
    }

    /// The chances of all pairs and the levels of the calendar.
    fn fitted(&self, group: Group) -> &Fitted {
        self.fitted.0.get_or_init(|| {
            let days =
                (0..BEFORES).flat_map(|row| (first_day(row)..=DAYS).map(move |day| (row, day)));
            let tries: Vec<_> = self.waits.0.iter().map(|share| share.1).collect();
            Arc::new(Fitted {
                chances: days.map(|(row, day)| self.expected(group, row, day)).collect(),
                levels: Levels::fit(&self.arrivals.0, &tries),
            })
        })
    }

    pub(super) fn count(&mut self, context: &Context, tried: &Tried) {
        let (row, day) = (row_of(tried.before), tried.day as usize);
        let weight = if tried.weight.is_finite() { tried.weight.clamp(0.0, 1.0) } else { 0.0 };
        let expected = weight * self.expected(context.group, row, day);
        let place = Place::of(context, tried.before, tried.day);
        let approved = if tried.approved { weight } else { 0.0 };
        let segment = usize::from(context.segment);
        self.pairs.add(PAIRS, pair(row, day), approved, weight);
        self.arrivals.add(PLACES, place.arrival, approved, expected);
        self.waits.add(PLACES, place.arrival, 0.0, weight);
        self.histories.add(History::COUNT * GAPS, place.history, approved, expected);
        self.weekdays.add(7, place.weekday, approved, expected);
        self.segments.add(SEGMENTS, segment, approved, expected);
        self.fitted = Kept::default();
    }

    /// Counts a case that ended, and how far it was hopeless.
    pub(super) fn count_case(&mut self, hopeless: f32) {
        self.hopeless.add(hopeless, 1.0);
    }

    /// The share of cases that no day helps.
    pub(super) fn hopeless(&self) -> f32 {
        let share = (self.hopeless.0 + HOPELESS.0) / (self.hopeless.1 + HOPELESS.1);
        if share.is_finite() { share.clamp(0.0, 0.95) } else { 0.2 }
    }

    /// What is known for one case.
    pub(super) fn view(&self, context: &Context) -> View {
        let segment = self.segments.at(usize::from(context.segment)).ratio(HEAD_START);
        let weekdays: [f32; 7] = std::array::from_fn(|n| self.weekdays.at(n).ratio(HEAD_START));
        let first = Place::of(context, 0, 1);
        let on = |day: usize| context.failed_on.saturating_add((day as i64).days());
        let ends: Vec<_> = (0..=DAYS).map(|day| calendar::place(on(day), 1)).collect();
        let fitted = self.fitted(context.group);
        let mut chances = Vec::with_capacity(PAIRS);
        for row in 0..BEFORES {
            for day in first_day(row)..=DAYS {
                let gap = day.saturating_sub(2 * row).max(1);
                let arrival = ends[day] + gap - 1;
                let weekday = weekdays[(first.weekday + day + 6) % 7];
                let history = self.histories.at(context.history as usize * GAPS + gap / 2);
                let lift = segment
                    * weekday
                    * history.ratio(HEAD_START)
                    * fitted.levels.at(arrival, self.arrivals.at(arrival));
                chances
                    .push(lifted(fitted.chances[pair(row, day)], lift.clamp(1.0 / BOUND, BOUND)));
            }
        }
        View { chances, hopeless: self.hopeless() }
    }

    /// All cases of the group that were learned from.
    pub(super) fn cases(&self) -> f32 {
        self.hopeless.1
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.tables().into_iter().zip(other.clone().tables()) {
            mine.0.resize(mine.0.len().max(theirs.0.len()), Share::default());
            for (mine, theirs) in mine.0.iter_mut().zip(&theirs.0) {
                mine.add(theirs.0, theirs.1);
            }
        }
        self.hopeless.add(other.hopeless.0, other.hopeless.1);
        self.fitted = Kept::default();
    }

    /// Whether it could have been learned: no table is longer than it is made, and no count is
    /// negative or no number.
    pub(super) fn is_sound(&self) -> bool {
        let lengths = [PAIRS, PLACES, PLACES, History::COUNT * GAPS, 7, SEGMENTS];
        let sound = |share: &Share| {
            let counts = |n: f32| n.is_finite() && n >= 0.0;
            counts(share.0) && counts(share.1)
        };
        let mut own = self.clone();
        let mut tables = own.tables().into_iter().zip(lengths);
        tables.all(|(table, length)| table.0.len() <= length && table.0.iter().all(sound))
            && sound(&self.hopeless)
    }

    pub(super) fn age(&mut self, part: u32, of: u32) {
        let part = part as f32 / of.max(1) as f32;
        for table in self.tables() {
            table.0.iter_mut().for_each(|share| share.scale(part));
        }
        self.hopeless.scale(part);
        self.fitted = Kept::default();
    }

    fn tables(&mut self) -> [&mut Table; 6] {
        [
            &mut self.pairs,
            &mut self.arrivals,
            &mut self.waits,
            &mut self.histories,
            &mut self.weekdays,
            &mut self.segments,
        ]
    }
}

/// Days that a try on this day waited after a refusal of this row.
fn gap_of(row: usize, day: usize) -> usize {
    if row == 0 { day } else { day.saturating_sub(2 * row) + 1 }
}

/// A chance under an effect: so many times the rate, and never above 1.
fn lifted(chance: f32, lift: f32) -> f32 {
    1.0 - (1.0 - chance.clamp(0.001, 0.999)).powf(lift)
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

    #[test]
    fn a_stretch_that_goes_well_is_lifted_and_stays_within_bounds() {
        let context = Context {
            group: Group::Funds,
            failed_on: "2026-03-10".parse().unwrap(),
            history: History::Unknown,
            segment: 0,
        };
        let mut lifts = Lifts::default();
        let tried = |day, approved| Tried { before: 0, day, approved, weight: 1.0 };
        let other = Context { failed_on: "2026-03-25".parse().unwrap(), ..context };
        for _ in 0..500 {
            lifts.count(&context, &tried(5, true));
            lifts.count(&other, &tried(5, false));
        }
        let at = |context: &Context, day| lifts.view(context).chances[pair(0, day)];
        assert!(at(&context, 5) > 0.6 && at(&other, 5) < 0.4);
        assert!((0.0..=1.0).contains(&at(&context, 29)));
    }
}
