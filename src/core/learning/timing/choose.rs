//! The choice: the days of a plan together.
//!
//! Why here: a day that is good by itself is worth little behind one that is much like it. What a
//! plan gains from a day is its chance *after the refusals before it*, of which the newest tells
//! the most; so a plan is a chain, and the best chain of K days is found exactly, from the last day
//! of the window back (no greedy search, no swaps needed). Ties go to the later day.
//!
//! What must stay true: the days are within earliest and window, ascending, a gap apart.

use super::Ask;
use super::cells::DAYS;
use super::estimate::Chances;

/// What an attempt costs, as a share of what it may bring in: fees, the bank's patience, and the
/// refusal that bars the card. It decides between plans that are about as good.
const TRY: f64 = 0.01;

/// The best days; fewer than asked for where no more fit, none where none does.
pub(super) fn best(chances: &Chances, ask: &Ask) -> Vec<u32> {
    let last = ask.window.min(DAYS as u32);
    // By the day of the last refusal: what the attempts after it are worth, and when the next is.
    let mut worth = vec![0.0; DAYS + 1];
    let mut ways: Vec<Vec<u32>> = Vec::with_capacity(ask.attempts as usize);
    for left in 1..=ask.attempts {
        let first_left = left == ask.attempts;
        let mut next = vec![0.0; DAYS + 1];
        let mut way = vec![0; DAYS + 1];
        let befores = if first_left { ask.declined..=ask.declined } else { ask.declined..=last };
        for before in befores {
            let gap = if first_left { 1 } else { ask.gap.max(1) };
            for day in before.saturating_add(gap).max(ask.earliest).max(1)..=last {
                let chance = chances.at(before, day);
                let value = chance - TRY + (1.0 - chance) * worth[day as usize];
                if value >= next[before as usize] {
                    (next[before as usize], way[before as usize]) = (value, day);
                }
            }
        }
        worth = next;
        ways.push(way);
    }
    let mut days = Vec::with_capacity(ways.len());
    let mut before = ask.declined;
    for way in ways.iter().rev() {
        match way.get(before as usize) {
            Some(0) | None => break,
            Some(day) => {
                days.push(*day);
                before = *day;
            }
        }
    }
    days
}

/// The best days of which the first is `day`.
pub(super) fn best_after(chances: &Chances, ask: &Ask, day: u32) -> Vec<u32> {
    let day = day.max(ask.declined + 1);
    if day > ask.window.min(DAYS as u32) {
        return Vec::new();
    }
    let attempts = ask.attempts.saturating_sub(1);
    let earliest = day.saturating_add(ask.gap.max(1));
    let rest = best(chances, &Ask { declined: day, earliest, attempts, ..*ask });
    [vec![day], rest].concat()
}

/// The chance that one of these days is approved.
pub(super) fn success(chances: &Chances, ask: &Ask, days: &[u32]) -> f64 {
    let (mut before, mut open) = (ask.declined, 1.0);
    for day in days {
        open *= 1.0 - chances.at(before, *day);
        before = *day;
    }
    chances.hope() * (1.0 - open)
}

/// The same number of days, evenly spaced from the last refusal to the end of the window.
pub(super) fn even(ask: &Ask) -> Vec<u32> {
    let span = u64::from(ask.window.saturating_sub(ask.declined));
    let count = u64::from(ask.attempts.max(1));
    // To the nearest whole day.
    let days = (1..=count).map(|slot| ask.declined + ((span * slot + count / 2) / count) as u32);
    let mut days: Vec<_> = days.filter(|day| *day > ask.declined && *day >= ask.earliest).collect();
    days.dedup();
    days
}
