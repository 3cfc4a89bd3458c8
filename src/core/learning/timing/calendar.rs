//! The calendar: on which days of the month accounts are filled, learned from when charges go
//! through.
//!
//! Why here: "declined on the 12th, approved on the 2nd" tells of every day between the two, and
//! most of all of a payday. A counter for each pair of dates would need years to tell them apart;
//! one rate for each day of the month, fitted to all pairs at once, needs a few thousand tries. A
//! rate is how much more than usual that day brings, and what it brought is worn away by each day
//! after it. The fit is the most likely one (expectation maximization: an approval is shared out
//! among the days before it by what each is known for).
//!
//! What must stay true: no evidence gives a level of 1 everywhere; a level stays within bounds,
//! whatever was counted; the same counts give the same fit.

use jiff::civil::Date;

use super::cells::DAYS;
use super::lifts::Share;

/// Days of the month.
const DATES: usize = 31;
/// Pairs of a day of the month and the days waited until it.
pub(super) const PLACES: usize = DATES * DAYS;
/// Rounds of the fit: it is close after ten.
const ROUNDS: usize = 15;
/// What a day leaves of what the day before it brought.
const KEEP: f32 = 0.92;
/// Arrivals that every day of the month has as a head start.
const HEAD_START: f32 = 8.0;
/// Expected approvals that the fit counts for against what was seen at one place alone.
const FIT_TRIES: f32 = 200.0;
/// No level is further from 1.
const BOUND: f32 = 4.0;

/// The place of a try on this date, so many days after the refusal before it. The second half of a
/// month is counted from its end, so that its last day is one place in every month.
pub(super) fn place(date: Date, gap: usize) -> usize {
    let (day, last) = (i32::from(date.day()), i32::from(date.days_in_month()));
    let at = if day <= 15 { day - 1 } else { 30 - (last - day) };
    usize::try_from(at).unwrap_or(0).min(DATES - 1) * DAYS + gap.clamp(1, DAYS) - 1
}

/// How much likelier than usual a try is, by place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels(Vec<f32>);

impl Levels {
    /// Fits them to what was approved and expected, and how many tries that was, by place.
    pub(super) fn fit(approved: &[Share], tries: &[f32]) -> Self {
        let seen: Vec<_> =
            approved.iter().zip(tries).map(|(share, n)| Seen::of(*share, *n)).collect();
        if seen.len() < PLACES {
            return Self(vec![1.0; PLACES]);
        }
        let mut rates = [1.0; DATES];
        for _ in 0..ROUNDS {
            rates = refined(&seen, &rates);
        }
        Self(levels(&rates))
    }

    /// The level of a place of which this was seen: the fit's, moved by its own evidence.
    pub(super) fn at(&self, place: usize, Share(approved, expected): Share) -> f32 {
        let fitted = self.0.get(place).copied().unwrap_or(1.0);
        let fitted = if fitted.is_finite() { fitted.clamp(1.0 / BOUND, BOUND) } else { 1.0 };
        let level = fitted * (approved + FIT_TRIES) / (expected * fitted + FIT_TRIES);
        if level.is_finite() { level.clamp(1.0 / BOUND, BOUND) } else { 1.0 }
    }
}

/// What was seen at one place, as arrivals of money.
struct Seen {
    approved: f32,
    tries: f32,
    /// Arrivals that are usual until such a try.
    usual: f32,
}

impl Seen {
    fn of(Share(approved, expected): Share, tries: f32) -> Self {
        let p = (expected / tries.max(1e-6)).clamp(0.001, 0.97);
        let sane = [approved, expected, tries].iter().all(|n| n.is_finite() && *n >= 0.0);
        let (approved, tries) = if sane { (approved, tries) } else { (0.0, 0.0) };
        let usual = if p.is_finite() { -(1.0 - p).ln() } else { 0.0 };
        Self { approved, tries, usual }
    }

    /// The arrivals behind the approvals, at this level; an approval has at least one.
    fn arrivals(&self, level: f32) -> f32 {
        let until = (self.usual * level).max(1e-5);
        self.approved * until / (1.0 - (-until).exp())
    }
}

/// The date so many days before another.
fn back(end: usize, days: usize) -> usize {
    (end + 2 * DATES - days) % DATES
}

/// The level of each place: the mean of the rates of the days waited, the newest counting most.
fn levels(rates: &[f32; DATES]) -> Vec<f32> {
    let mut levels = Vec::with_capacity(PLACES);
    for end in 0..DATES {
        let (mut sum, mut all, mut weight) = (0.0, 0.0, 1.0);
        for days in 0..DAYS {
            sum += weight * rates[back(end, days)];
            all += weight;
            weight *= KEEP;
            levels.push(sum / all);
        }
    }
    levels
}

/// One round: arrivals are shared out by the rates, and each rate becomes arrivals over usual ones.
fn refined(seen: &[Seen], rates: &[f32; DATES]) -> [f32; DATES] {
    let levels = levels(rates);
    let (mut arrived, mut usual) = ([HEAD_START; DATES], [HEAD_START; DATES]);
    let mut weights = [(1.0, 1.0); DAYS];
    for days in 1..DAYS {
        let weight = weights[days - 1].0 * KEEP;
        weights[days] = (weight, weights[days - 1].1 + weight);
    }
    for end in 0..DATES {
        // From the longest wait down: a day is part of every wait that reaches back to it.
        let (mut shared, mut due) = (0.0, 0.0);
        for days in (0..DAYS).rev() {
            let (weight, all) = weights[days];
            let (one, level) = (&seen[end * DAYS + days], levels[end * DAYS + days].max(1e-3));
            shared += one.arrivals(level) / level / all;
            due += one.tries * one.usual / all;
            let date = back(end, days);
            arrived[date] += weight * shared * rates[date];
            usual[date] += weight * due;
        }
    }
    std::array::from_fn(|date| arrived[date] / usual[date])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_of_a_month_is_one_place() {
        let at = |date: &str| place(date.parse().unwrap(), 1) / DAYS;
        for last in ["2026-01-31", "2026-02-28", "2028-02-29", "2026-04-30"] {
            assert_eq!(at(last), 30, "{last}");
        }
        assert_eq!((at("2026-02-15"), at("2026-03-01")), (14, 0));
    }

    #[test]
    fn a_payday_is_found_from_tries_on_other_days() {
        // Usually four in ten are approved; a wait that spans the 25th is approved by eight.
        let spans = |place: usize| (0..=place % DAYS).any(|days| back(place / DAYS, days) == 24);
        let counted = |at: usize| if spans(at) { Share(8.0, 4.0) } else { Share(3.0, 4.0) };
        let approved: Vec<_> = (0..PLACES).map(counted).collect();
        let levels = Levels::fit(&approved, &[10.0; PLACES]);
        let level = |date: usize, gap: usize| levels.at(date * DAYS + gap - 1, Share::default());
        assert!(level(25, 3) > 2.0 * level(20, 3), "{} {}", level(25, 3), level(20, 3));
        assert!(level(24, 2) > level(10, 2) && level(10, 2) < 1.0);
    }

    #[test]
    fn nothing_seen_and_nonsense_move_nothing_out_of_bounds() {
        let none = Levels::fit(&[], &[]);
        assert_eq!(none.at(7, Share::default()), 1.0);
        let odd = [f32::NAN, f32::INFINITY, -1.0, 1e30];
        let shares: Vec<_> = (0..PLACES).map(|at| Share(odd[at % 4], odd[at % 3])).collect();
        let tries: Vec<_> = (0..PLACES).map(|at| odd[(at / 4) % 4]).collect();
        let levels = Levels::fit(&shares, &tries);
        for (at, share) in shares.iter().enumerate() {
            let level = levels.at(at, *share);
            assert!((1.0 / BOUND..=BOUND).contains(&level), "{level}");
        }
    }
}
