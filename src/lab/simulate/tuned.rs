//! The baseline: the best fixed days found on a training world.
//!
//! Why here: a smart schedule has to beat the best that anybody could write into a file, with the
//! same window and the same number of attempts; a baseline that is poorly tuned proves nothing.
//!
//! What must stay true: found by adding the best day, then exchanging days until no exchange helps;
//! the same training data give the same days.

/// Finds the best `count` days of `1..=window`; `value` tells how good a set of days is.
pub fn best_days(count: u32, window: u32, mut value: impl FnMut(&[u32]) -> f64) -> Vec<u32> {
    let mut days: Vec<u32> = Vec::new();
    for _ in 0..count.min(window) {
        let found = best_addition(&days, window, &mut value);
        days.extend(found.map(|(day, _)| day));
    }
    let mut worth = value(&sorted(&days));
    loop {
        let mut better = false;
        for at in 0..days.len() {
            let mut others = days.clone();
            others.remove(at);
            if let Some((day, found)) = best_addition(&others, window, &mut value)
                && found > worth + 1e-9
            {
                (days[at], worth, better) = (day, found, true);
            }
        }
        if !better {
            return sorted(&days);
        }
    }
}

fn best_addition(
    days: &[u32],
    window: u32,
    value: &mut impl FnMut(&[u32]) -> f64,
) -> Option<(u32, f64)> {
    let mut best = None;
    for day in (1..=window).filter(|day| !days.contains(day)) {
        let with = sorted(&[days, &[day]].concat());
        let found = value(&with);
        if best.is_none_or(|(_, worth)| found > worth) {
            best = Some((day, found));
        }
    }
    best
}

fn sorted(days: &[u32]) -> Vec<u32> {
    let mut days = days.to_vec();
    days.sort_unstable();
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_mends_what_adding_one_by_one_got_wrong() {
        // Day 2 alone is worth most, days 1 and 3 together more than any pair with 2.
        let value = |days: &[u32]| match days {
            [2] => 3.0,
            [1 | 3] => 2.0,
            [1, 3] => 5.0,
            [1, 2] | [2, 3] => 4.0,
            _ => 0.0,
        };
        assert_eq!(best_days(2, 3, value), [1, 3]);
    }
}
