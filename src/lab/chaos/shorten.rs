//! Shortening: a history that breaks a rule, without all that the breaking does not need.
//!
//! Why here: what goes wrong after two hundred things have happened is understood by nobody. A
//! draw that came true is left out, or many at once, and what still breaks the same rule is kept.
//!
//! What must stay true: what comes out breaks the same rule; the same history is shortened alike.

use std::collections::BTreeSet;

use super::driver::{Driver, Words};
use super::{ChaosOptions, History};

/// Histories that are tried for one story at most.
const TRIES: u32 = 1_500;

/// The history of `seed` without what the breaking of its first rule does not need, and what was
/// left out.
pub(super) fn shorten(options: &ChaosOptions, seed: u64) -> (BTreeSet<u64>, History) {
    let mut without = options.without.clone();
    let mut best = told(options, seed, &without);
    let Some(rule) = best.violations.first().map(|violation| violation.rule.clone()) else {
        return (without, best);
    };
    let mut tries = 0;
    let mut size = best.drawn.len();
    while size > 0 && tries < TRIES {
        let mut left_out = false;
        let drawn = best.drawn.clone();
        for some in drawn.chunks(size).rev() {
            tries += 1;
            let mut more = without.clone();
            more.extend(some);
            let history = told(options, seed, &more);
            if history.violations.iter().any(|violation| violation.rule == rule) {
                (without, best, left_out) = (more, history, true);
                break;
            }
        }
        // The numbers behind what was left out are others now: the same size again.
        if !left_out {
            size /= 2;
        }
    }
    (without, best)
}

fn told(options: &ChaosOptions, seed: u64, without: &BTreeSet<u64>) -> History {
    let options = ChaosOptions { without: without.clone(), ..options.clone() };
    Driver::new(&options, seed, Words::Kept).run()
}
