//! Shares, their differences, and how many cases it takes to tell one.
//!
//! Why here: a share without its interval invites a story about luck. Counts have Wilson's
//! interval, and their difference Newcombe's (method 10 of his comparison of 1998): both hold for
//! few cases and for shares close to nothing or all, where the usual plus-minus does not. A share
//! of money is a ratio of two sums over cases that differ in size; its variance is that of the
//! linearized ratio.
//!
//! What must stay true: everything is computed from sums, so a million cases take as much memory as
//! one; nothing here gives a number that is not finite.

use serde::Serialize;

/// The quantile of the normal distribution for 95 %, both sides.
const Z95: f64 = 1.959_963_984_540_054;
/// The quantile for finding a difference that is there four times in five.
const Z80: f64 = 0.841_621_233_572_914_3;
/// Cases on each side below which nothing is said about shares of money: amounts differ too much.
const ENOUGH: u64 = 30;

/// An estimate between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower bound, at 95 %: 2.5 % lie below it.
    pub low: f64,
    /// The upper bound: 2.5 % lie above it.
    pub high: f64,
}

impl Interval {
    /// Whether zero is outside.
    pub fn tells(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// So many cases, and so many of them recovered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The denominator.
    pub cases: u64,
    /// How many of them were recovered.
    pub recovered: u64,
}

impl Tally {
    /// Counts a case.
    pub fn add(&mut self, recovered: bool) {
        self.cases += 1;
        self.recovered += u64::from(recovered);
    }

    /// The recovered share with Wilson's interval; `None` of no case.
    pub fn share(self) -> Option<Interval> {
        if self.cases == 0 {
            return None;
        }
        let n = self.cases as f64;
        let p = self.recovered as f64 / n;
        let z2 = Z95 * Z95;
        let center = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let reach = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        Some(Interval {
            estimate: p,
            low: (center - reach).clamp(0.0, p),
            high: (center + reach).clamp(p, 1.0),
        })
    }

    /// This share less another's, with Newcombe's interval.
    pub fn less(self, other: Self) -> Option<Interval> {
        let (a, b) = (self.share()?, other.share()?);
        let estimate = a.estimate - b.estimate;
        let reach = |mine: f64, theirs: f64| mine.hypot(theirs);
        Some(Interval {
            estimate,
            low: estimate - reach(a.estimate - a.low, b.high - b.estimate),
            high: estimate + reach(a.high - a.estimate, b.estimate - b.low),
        })
    }
}

/// Sums over the amounts of cases in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Cases.
    pub cases: u64,
    /// Cases that were recovered.
    pub recovered_cases: u64,
    /// What was owed.
    pub owed: i128,
    /// What of it was recovered.
    pub recovered: i128,
    owed_squared: f64,
    recovered_squared: f64,
}

impl Sums {
    /// Counts a case.
    pub fn add(&mut self, minor: i64, recovered: bool) {
        let squared = (minor as f64).powi(2);
        self.cases += 1;
        self.owed += i128::from(minor);
        self.owed_squared += squared;
        if recovered {
            self.recovered_cases += 1;
            self.recovered += i128::from(minor);
            self.recovered_squared += squared;
        }
    }

    /// The recovered share of the money.
    pub fn share(&self) -> Option<f64> {
        (self.owed > 0).then(|| self.recovered as f64 / self.owed as f64)
    }

    /// The variance of that share: of a ratio of sums over cases, linearized. `None` with so few
    /// cases, or so few of either outcome, that it would be a guess.
    fn variance(&self) -> Option<f64> {
        const OF_EITHER: u64 = 5;
        let failed = self.cases - self.recovered_cases;
        if self.cases < ENOUGH || self.recovered_cases < OF_EITHER || failed < OF_EITHER {
            return None;
        }
        let (n, r) = (self.cases as f64, self.share()?);
        // Of a case that was recovered, what came back is what was owed.
        let squares = self.recovered_squared * (1.0 - 2.0 * r) + r * r * self.owed_squared;
        let mean = self.owed as f64 / n;
        let variance = squares.max(0.0) / (n - 1.0) / (n * mean * mean);
        variance.is_finite().then_some(variance)
    }

    /// This share of the money less another's, with its interval.
    pub fn less(&self, other: &Self) -> Option<Interval> {
        let estimate = self.share()? - other.share()?;
        let reach = Z95 * (self.variance()? + other.variance()?).sqrt();
        let (low, high) = ((estimate - reach).max(-1.0), (estimate + reach).min(1.0));
        Some(Interval { estimate, low, high })
    }
}

/// How many cases in all it takes to tell a `difference` of shares four times in five, with 95 %
/// confidence, when `held_out` of them are held out and `base` is the share without what was
/// learned. `None` where no number does.
pub fn cases_to_tell(difference: f64, base: f64, held_out: f64) -> Option<u64> {
    let open = |share: f64| share > 0.0 && share < 1.0;
    if difference <= 0.0 || !open(held_out) || !(0.0..=1.0).contains(&base) {
        return None;
    }
    let with = (base + difference).min(1.0);
    let spread = with * (1.0 - with) / (1.0 - held_out) + base * (1.0 - base) / held_out;
    let cases = ((Z95 + Z80) / difference).powi(2) * spread;
    cases.is_finite().then_some(cases.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(recovered: u64, cases: u64) -> Tally {
        Tally { cases, recovered }
    }

    fn close(interval: Interval, low: f64, high: f64) {
        let near = |a: f64, b: f64| (a - b).abs() < 5e-5;
        assert!(near(interval.low, low) && near(interval.high, high), "{interval:?}");
    }

    #[test]
    fn wilson_is_as_published() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
        close(tally(81, 263).share().unwrap(), 0.2553, 0.3662);
        close(tally(15, 148).share().unwrap(), 0.0624, 0.1605);
        close(tally(0, 20).share().unwrap(), 0.0, 0.1611);
        close(tally(1, 29).share().unwrap(), 0.0061, 0.1718);
        assert_eq!(tally(0, 0).share(), None);
    }

    #[test]
    fn newcombe_is_as_published() {
        // Newcombe 1998, "Interval estimation for the difference between independent proportions",
        // table II, method 10, cases a to h.
        for ((a, n), (b, m), low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((0, 10), (0, 10), -0.2775, 0.2775),
            ((10, 10), (0, 20), 0.6791, 1.0),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            close(tally(a, n).less(tally(b, m)).unwrap(), low, high);
        }
    }

    #[test]
    fn a_share_of_money_is_a_ratio_of_sums() {
        // By hand: ten of 1, ten of 3 on each side; recovered here all of 3, there all of 1.
        let mut here = Sums::default();
        let mut there = Sums::default();
        for n in 0..40 {
            let minor = if n % 2 == 0 { 1 } else { 3 };
            here.add(minor, minor == 3);
            there.add(minor, minor == 1);
        }
        assert_eq!((here.owed, here.recovered, there.recovered), (80, 60, 20));
        // r = 0.75: deviations are -0.75 (20 times) and +0.75 (20 times), so the sum of squares is
        // 22.5, the variance 22.5 / 39 / (40 * 4) = 0.00360577; the other side's is the same.
        let found = here.less(&there).unwrap();
        assert!((found.estimate - 0.5).abs() < 1e-12);
        let reach = Z95 * (2.0_f64 * 22.5 / 39.0 / 160.0).sqrt();
        assert!((found.low - (0.5 - reach)).abs() < 1e-12, "{found:?} {reach}");
        assert!((found.high - (0.5 + reach)).abs() < 1e-12, "{found:?} {reach}");
    }

    #[test]
    fn of_equal_amounts_the_money_is_as_sure_as_the_count() {
        let mut sums = Sums::default();
        (0..1_000).for_each(|n| sums.add(2_900, n % 5 < 2));
        let variance = sums.variance().unwrap();
        assert!((variance - 0.4 * 0.6 / 999.0).abs() < 1e-12, "{variance}");
    }

    #[test]
    fn little_money_says_nothing_and_huge_amounts_break_nothing() {
        let mut few = Sums::default();
        (0..29).for_each(|n| few.add(100, n % 2 == 0));
        assert_eq!(few.less(&few), None, "29 cases");
        let mut lucky = Sums::default();
        (0..100).for_each(|_| lucky.add(100, true));
        assert_eq!(lucky.less(&lucky), None, "no spread is no certainty");
        let mut huge = Sums::default();
        (0..100).for_each(|n| huge.add(i64::MAX, n % 2 == 0));
        let found = huge.less(&huge).unwrap();
        assert!(found.estimate.abs() < 1e-9 && found.low.is_finite(), "{found:?}");
    }

    #[test]
    fn how_many_cases_it_takes() {
        // By hand: (1.95996 + 0.84162)^2 = 7.8489; halves of 50 % and 60 %:
        // 7.8489 / 0.01 * (0.24 / 0.5 + 0.25 / 0.5) = 769.2.
        assert_eq!(cases_to_tell(0.1, 0.5, 0.5), Some(770));
        let (equal, small) = (cases_to_tell(0.02, 0.5, 0.5), cases_to_tell(0.02, 0.5, 0.05));
        assert!(small > equal.map(|n| n * 5), "{equal:?} {small:?}");
        for (difference, base, held_out) in [
            (0.0, 0.5, 0.5),
            (0.1, 0.5, 0.0),
            (0.1, 0.5, 1.0),
            (f64::NAN, 0.5, 0.5),
            (0.1, 2.0, 0.5),
        ] {
            assert_eq!(cases_to_tell(difference, base, held_out), None);
        }
    }
}
