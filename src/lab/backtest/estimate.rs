//! Off-policy estimates: what another routing would have earned, from the log of one that was used.
//!
//! Why here: each attempt of the log shows one gateway's answer only. Attempts are weighed by how
//! much more often the other routing would have chosen as the log did (SNIPS: the weighted mean),
//! or a model's prediction is mended by those attempts (doubly robust). Both are given, since they
//! fail in different ways: when they disagree, neither is to be believed.
//!
//! What must stay true: intervals come from resampling whole invoices, since attempts on one
//! invoice are no independent evidence; all policies are resampled together, so that differences
//! are paired; the same seed gives the same interval.

pub use crate::core::report::stats::Interval;

/// One logged attempt, as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How much more often the policy chooses what was chosen: π / propensity.
    pub weight: f64,
    /// What the attempt left, in ten-thousandths.
    pub reward: f64,
    /// 1 when it was approved.
    pub approved: f64,
    /// What the model predicts of the policy's own choice, in ten-thousandths.
    pub expected: f64,
    /// What the model predicts of the logged choice, in ten-thousandths.
    pub predicted: f64,
}

/// Sums over attempts; those of one invoice are resampled together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    weight: f64,
    squares: f64,
    reward: f64,
    approved: f64,
    robust: f64,
    attempts: f64,
}

impl Sums {
    /// Adds an attempt.
    pub fn add(&mut self, seen: &Seen) {
        self.weight += seen.weight;
        self.squares += seen.weight * seen.weight;
        self.reward += seen.weight * seen.reward;
        self.approved += seen.weight * seen.approved;
        self.robust += seen.expected + seen.weight * (seen.reward - seen.predicted);
        self.attempts += 1.0;
    }

    fn join(&mut self, other: &Self) {
        self.weight += other.weight;
        self.squares += other.squares;
        self.reward += other.reward;
        self.approved += other.approved;
        self.robust += other.robust;
        self.attempts += other.attempts;
    }

    /// Self-normalized inverse propensity: the weighted mean, in ten-thousandths an attempt.
    pub fn snips(&self) -> f64 {
        ratio(self.reward, self.weight)
    }

    /// Doubly robust, in ten-thousandths an attempt.
    pub fn robust(&self) -> f64 {
        ratio(self.robust, self.attempts)
    }

    /// The share of approvals.
    pub fn success(&self) -> f64 {
        ratio(self.approved, self.weight)
    }

    /// How many evenly weighed attempts the estimate is worth.
    pub fn effective(&self) -> f64 {
        ratio(self.weight * self.weight, self.squares)
    }
}

/// What nothing speaks for is 0, and its sample size says so.
fn ratio(above: f64, below: f64) -> f64 {
    let ratio = above / below;
    if ratio.is_finite() { ratio } else { 0.0 }
}

impl Interval {
    /// Between 2.5 % of the resamples and 97.5 % of them.
    fn of(estimate: f64, mut resamples: Vec<f64>) -> Self {
        resamples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * resamples.len().saturating_sub(1) as f64;
            resamples.get(place.round() as usize).copied().unwrap_or(estimate)
        };
        Self { estimate, low: at(0.025), high: at(0.975) }
    }

    /// The same in another unit.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let Self { estimate, low, high } = self;
        Self { estimate: change(estimate), low: change(low), high: change(high) }
    }
}

/// What all policies earn, attempt by attempt.
#[derive(Debug, Clone)]
pub struct Trial {
    /// By policy, then by invoice.
    sums: Vec<Vec<Sums>>,
    /// By policy: totals of each resample.
    resampled: Vec<Vec<Sums>>,
}

impl Trial {
    /// Resamples the invoices `times` times. `sums` has, for each policy, each invoice's sums, in
    /// one order of invoices.
    pub fn new(sums: Vec<Vec<Sums>>, times: usize, rng: &mut fastrand::Rng) -> Self {
        let invoices = sums.first().map_or(0, Vec::len);
        let mut resampled = vec![Vec::with_capacity(times); sums.len()];
        for _ in 0..times {
            let drawn: Vec<usize> = (0..invoices).map(|_| rng.usize(..invoices)).collect();
            for (policy, out) in sums.iter().zip(&mut resampled) {
                out.push(total(drawn.iter().map(|invoice| &policy[*invoice])));
            }
        }
        Self { sums, resampled }
    }

    /// The totals of a policy.
    pub fn total(&self, policy: usize) -> Sums {
        total(self.sums[policy].iter())
    }

    /// A figure of one policy.
    pub fn figure(&self, policy: usize, of: fn(&Sums) -> f64) -> Interval {
        Interval::of(of(&self.total(policy)), self.resampled[policy].iter().map(of).collect())
    }

    /// By how much a figure of one policy is above that of another.
    pub fn above(&self, policy: usize, other: usize, of: fn(&Sums) -> f64) -> Interval {
        let pairs = self.resampled[policy].iter().zip(&self.resampled[other]);
        let differences = pairs.map(|(own, other)| of(own) - of(other)).collect();
        Interval::of(of(&self.total(policy)) - of(&self.total(other)), differences)
    }
}

fn total<'a>(sums: impl Iterator<Item = &'a Sums>) -> Sums {
    sums.fold(Sums::default(), |mut all, one| {
        all.join(one);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(weight: f64, reward: f64, expected: f64, predicted: f64) -> Seen {
        let approved = f64::from(u8::from(reward > 0.0));
        Seen { weight, reward, approved, expected, predicted }
    }

    #[test]
    fn by_hand() {
        // Three attempts: the policy chooses as the log did twice, once at half the propensity.
        let mut sums = Sums::default();
        sums.add(&seen(2.0, 10.0, 6.0, 6.0));
        sums.add(&seen(4.0, -1.0, 5.0, 3.0));
        sums.add(&seen(0.0, 10.0, 4.0, 2.0));
        assert_eq!(sums.snips(), (2.0 * 10.0 - 4.0) / 6.0);
        // 6 + 2 × (10 − 6) = 14; 5 + 4 × (−1 − 3) = −11; 4.
        assert_eq!(sums.robust(), (14.0 - 11.0 + 4.0) / 3.0);
        assert_eq!(sums.success(), 2.0 / 6.0);
        assert_eq!(sums.effective(), 36.0 / 20.0);
        assert_eq!(Sums::default().snips(), 0.0, "nothing seen is no division by zero");
    }

    /// A made log with a known truth: two gateways, A approves 0.3 and is chosen with 0.8, B 0.5
    /// with 0.2. The policy always takes B; the model is wrong by 0.1 throughout.
    fn made(rng: &mut fastrand::Rng) -> Trial {
        let mut invoices = vec![Sums::default(); 300];
        for invoice in &mut invoices {
            for _ in 0..rng.usize(1..4) {
                let is_b = rng.f64() < 0.2;
                let approved = rng.f64() < if is_b { 0.5 } else { 0.3 };
                let predicted = if is_b { 0.6 } else { 0.4 };
                invoice.add(&Seen {
                    weight: if is_b { 5.0 } else { 0.0 },
                    reward: f64::from(u8::from(approved)),
                    approved: f64::from(u8::from(approved)),
                    expected: 0.6,
                    predicted,
                });
            }
        }
        Trial::new(vec![invoices], 200, rng)
    }

    #[test]
    fn intervals_cover_the_truth_about_as_often_as_they_say() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut snips, mut robust) = (0, 0);
        const WORLDS: usize = 400;
        for _ in 0..WORLDS {
            let trial = made(&mut rng);
            let covers = |interval: Interval| interval.low <= 0.5 && 0.5 <= interval.high;
            snips += usize::from(covers(trial.figure(0, Sums::snips)));
            robust += usize::from(covers(trial.figure(0, Sums::robust)));
        }
        for covered in [snips, robust] {
            let share = covered as f64 / WORLDS as f64;
            assert!((0.91..=0.98).contains(&share), "{share}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let figure = |seed| made(&mut fastrand::Rng::with_seed(seed)).figure(0, Sums::robust);
        assert_eq!(figure(3), figure(3));
        assert_ne!(figure(3), figure(4));
    }
}
