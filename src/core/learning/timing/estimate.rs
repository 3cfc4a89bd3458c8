//! The estimate: how likely each day is approved, given the last refusal, for one case.
//!
//! Why here: partial pooling. Three levels, each shrunk toward the one above by a number of tries
//! that it counts for: the group of declines with its main effects ([`super::lifts`]); bills of
//! about the same day of the month; of those, the bills of customers whose last bill went like this
//! one's.
//!
//! What must stay true: every estimate is a number strictly between 0 and 1.

use super::cells::{BILLS, Count, PAIRS, pair, row_of};
use super::history::History;
use super::lifts::View;
use super::{Context, Learnt, bill_of};

/// Tries that the group's estimate counts for against bills of the same day.
const BILL_TRIES: f32 = 1000.0;
/// Tries that the estimate of the bill's day counts for against the own history.
const HISTORY_TRIES: f32 = 1000.0;
/// Weights of bills so many steps of two days apart: days of the month that are close behave alike.
const NEAR: [f32; 4] = [1.0, 0.726, 0.278, 0.056];

/// Chances of approval, by pair of the last refusal and a later day.
pub(super) struct Chances(View);

impl Chances {
    /// The chance on `day` after a refusal on day `before`, of a case that some day helps.
    pub(super) fn at(&self, before: u32, day: u32) -> f64 {
        let chance = self.0.chances.get(pair(row_of(before), day as usize)).copied();
        // Counters that were tampered with must not make a plan out of what is no number.
        let chance = f64::from(chance.unwrap_or_default());
        if chance.is_finite() { chance.clamp(0.001, 0.999) } else { 0.001 }
    }

    /// That some day helps.
    pub(super) fn hope(&self) -> f64 {
        1.0 - f64::from(self.0.hopeless)
    }
}

/// The chances of one case.
pub(super) fn chances(learnt: &Learnt, context: &Context) -> Chances {
    let (of_bill, of_history) = near(learnt, context);
    let mut view = learnt.lifts.view(context);
    for (at, chance) in view.chances.iter_mut().enumerate() {
        let bill = shrunk(of_bill[at], *chance, BILL_TRIES);
        let history = shrunk(of_history[at], bill, HISTORY_TRIES);
        if history.is_finite() {
            *chance = history.clamp(0.001, 0.999);
        }
    }
    Chances(view)
}

type Counts = Vec<(f32, f32)>;

/// Tries and approvals of bills of about the same day, of all histories and of this one.
fn near(learnt: &Learnt, context: &Context) -> (Counts, Counts) {
    let mut all = vec![(0.0, 0.0); PAIRS];
    let mut own = vec![(0.0, 0.0); PAIRS];
    let bill = bill_of(context.failed_on);
    for other in 0..BILLS {
        let apart = bill.abs_diff(other);
        // The end of a month is next to the beginning of the next.
        let Some(weight) = NEAR.get(apart.min(BILLS - apart)) else { continue };
        for history in 0..History::COUNT {
            let counts = learnt.cells.of(other, history);
            add(&mut all, counts, *weight);
            if history == context.history as usize {
                add(&mut own, counts, *weight);
            }
        }
    }
    (all, own)
}

fn add(sums: &mut Counts, counts: &[Count], weight: f32) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        let (tries, approved) = count.numbers();
        sum.0 += weight * tries;
        sum.1 += weight * approved;
    }
}

fn shrunk((tries, approved): (f32, f32), toward: f32, by: f32) -> f32 {
    (approved + by * toward) / (tries + by)
}
