//! The chance that each of several uncertain values is the largest.
//!
//! Why here: Thompson sampling takes a gateway as often as it is, by all that is known, the best
//! one. Drawing once per gateway gives a choice but not its probability, and without the
//! probability nobody can learn later what another choice would have earned. So the chances are
//! computed, and the choice is one draw from them: each propensity is exact.
//!
//! What must stay true: chances are finite, none is negative, they sum to 1, and with a floor none
//! is below its share of it; nothing is drawn in here.

/// What is known of a value: about so much, and how uncertain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guess {
    /// The most likely value.
    pub mean: f64,
    /// Its standard deviation.
    pub spread: f64,
}

/// Where the normal curve is looked at, in standard deviations from the middle: every quarter from
/// −4 to 4.
const STEPS: i32 = 16;
const STEP: f64 = 0.25;

/// The chance of each guess to be the largest.
pub fn of_being_best(guesses: &[Guess]) -> Vec<f64> {
    let sane = guesses.iter().all(|g| g.mean.is_finite() && g.spread.is_finite());
    let mut chances: Vec<f64> = match sane {
        true => (0..guesses.len()).map(|own| beats_all(guesses, own)).collect(),
        false => vec![1.0; guesses.len()],
    };
    let sum: f64 = chances.iter().sum();
    if sum.is_finite() && sum > 0.0 {
        chances.iter_mut().for_each(|chance| *chance /= sum);
        chances
    } else {
        vec![1.0 / guesses.len().max(1) as f64; guesses.len()]
    }
}

fn beats_all(guesses: &[Guess], own: usize) -> f64 {
    let spread = |guess: &Guess| guess.spread.max(1e-9);
    let at = |step: i32| {
        let z = f64::from(step) * STEP;
        let value = guesses[own].mean + z * spread(&guesses[own]);
        let others = guesses.iter().enumerate().filter(|(index, _)| *index != own);
        let below = others.map(|(_, other)| below((value - other.mean) / spread(other)));
        (-0.5 * z * z).exp() * below.product::<f64>()
    };
    (-STEPS..=STEPS).map(at).sum()
}

/// The chances with exploration: each is at least its share of `floor`. What is lifted to it is
/// taken from the others by what they have above it, so that chances which explore anyway stay as
/// they are.
pub fn with_floor(chances: &[f64], floor: f64) -> Vec<f64> {
    let floor = if floor.is_finite() { floor.clamp(0.0, 1.0) } else { 0.0 };
    let share = floor / chances.len().max(1) as f64;
    let above: f64 = chances.iter().map(|chance| (chance - share).max(0.0)).sum();
    let kept = if above > 0.0 { (1.0 - floor) / above } else { 0.0 };
    chances.iter().map(|chance| share + (chance - share).max(0.0) * kept).collect()
}

/// The index that `draw`, any number, takes from these chances.
pub fn take(chances: &[f64], draw: u64) -> usize {
    // The upper 53 bits: a number from 0 to just below 1.
    let mut left = (draw >> 11) as f64 / (1_u64 << 53) as f64;
    for (index, chance) in chances.iter().enumerate() {
        if left < *chance {
            return index;
        }
        left -= chance;
    }
    // Only rounding leads here: the last that has a chance.
    chances.iter().rposition(|chance| *chance > 0.0).unwrap_or(0)
}

/// The standard normal distribution below `x`; Abramowitz and Stegun 26.2.17, to 1e-7.
pub fn below(x: f64) -> f64 {
    const B: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let tail = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let upper = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * tail;
    if x < 0.0 { upper } else { 1.0 - upper }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_normal_curve_is_right() {
        for (x, p) in [(0.0, 0.5), (1.0, 0.841_345), (-1.96, 0.024_998), (8.0, 1.0)] {
            assert!((below(x) - p).abs() < 1e-6, "{x}: {}", below(x));
        }
    }

    #[test]
    fn two_guesses_have_the_chance_of_their_difference() {
        let chances =
            of_being_best(&[Guess { mean: 1.0, spread: 3.0 }, Guess { mean: 0.0, spread: 4.0 }]);
        // The difference is normal with mean 1 and deviation 5.
        assert!((chances[0] - below(0.2)).abs() < 2e-3, "{chances:?}");
    }

    #[test]
    fn certain_guesses_leave_no_chance() {
        let chances =
            of_being_best(&[Guess { mean: 2.0, spread: 0.0 }, Guess { mean: 1.0, spread: 0.0 }]);
        assert_eq!(chances, [1.0, 0.0]);
        assert_eq!(of_being_best(&[]), Vec::<f64>::new());
    }

    #[test]
    fn a_draw_takes_each_by_its_chance() {
        let chances = [0.2, 0.0, 0.8];
        let step = u64::MAX / 1000;
        let mut taken = [0; 3];
        for draw in 0..1000 {
            taken[take(&chances, draw * step)] += 1;
        }
        assert_eq!(taken[1], 0);
        assert!((199..=201).contains(&taken[0]), "{taken:?}");
        assert_eq!(take(&chances, u64::MAX), 2);
    }

    proptest! {
        #[test]
        fn chances_are_chances(
            guesses in proptest::collection::vec((any::<f64>(), any::<f64>()), 1..6),
            floor in 0.0_f64..0.5,
            draw in any::<u64>(),
        ) {
            let guesses: Vec<_> =
                guesses.into_iter().map(|(mean, spread)| Guess { mean, spread }).collect();
            let chances = with_floor(&of_being_best(&guesses), floor);
            prop_assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let least = floor / guesses.len() as f64;
            prop_assert!(chances.iter().all(|c| c.is_finite() && *c >= least - 1e-12));
            prop_assert!(chances[take(&chances, draw)] > 0.0);
        }
    }
}
