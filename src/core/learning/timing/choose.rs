//! The choice: the days of a plan together.
//!
//! Why here: a day that is good by itself is worth little behind one that is much like it. What a
//! plan gains from a day is its chance *after the refusals before it*; the newest of them tells the
//! most, so a plan is a chain, and the best chain of K days is found exactly, going through the
//! window day by day (no greedy search, no swaps needed). Ties go to the earlier day.
//!
//! What must stay true: the days are within earliest and window, ascending, a gap apart.

use super::Ask;
use super::estimate::Chances;

/// The best days; `None` when so many do not fit.
pub(super) fn best(chances: &Chances, ask: &Ask) -> Option<Vec<u32>> {
    let (first, last) = (ask.earliest.max(ask.declined + 1) as usize, ask.window as usize);
    let gap = ask.gap.max(1) as usize;
    let count = ask.attempts as usize;
    if first + (count - 1) * gap > last {
        return None;
    }
    // By day: the smallest chance that all of a chain that ends there are declined, and by which
    // day before it.
    let open = |before: usize, day: usize| 1.0 - chances.at(before, day);
    let mut ends: Vec<f64> = (0..=last)
        .map(|day| if day < first { f64::INFINITY } else { open(ask.declined as usize, day) })
        .collect();
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(count);
    for _ in 1..count {
        let mut next = vec![f64::INFINITY; last + 1];
        let mut way = vec![0; last + 1];
        for day in first + gap..=last {
            for before in first..=day - gap {
                let all = ends[before] * open(before, day);
                if all < next[day] {
                    (next[day], way[day]) = (all, before);
                }
            }
        }
        ends = next;
        ways.push(way);
    }
    let best = (first..=last).min_by(|a, b| ends[*a].total_cmp(&ends[*b]))?;
    let mut days = vec![best];
    for way in ways.iter().rev() {
        days.push(way[*days.last()?]);
    }
    days.reverse();
    Some(days.into_iter().map(|day| day as u32).collect())
}

/// The chance that one of these days is approved.
pub(super) fn success(chances: &Chances, declined: u32, days: &[u32]) -> f64 {
    let mut before = declined as usize;
    let mut open = 1.0;
    for day in days.iter().map(|day| *day as usize) {
        open *= 1.0 - chances.at(before, day);
        before = day;
    }
    1.0 - open
}

/// The same number of days, evenly spaced from the last refusal to the end of the window.
pub(super) fn even(ask: &Ask) -> Vec<u32> {
    let span = u64::from(ask.window.saturating_sub(ask.declined));
    let count = u64::from(ask.attempts.max(1));
    let days = (1..=count).map(|slot| ask.declined + (span * slot / count) as u32);
    days.map(|day| day.max(ask.earliest)).collect()
}
