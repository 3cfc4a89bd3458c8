//! Trees: what a gateway approves, by all facts at once.
//!
//! Why here: in a log of several gateways each has its own liking (small amounts, the afternoon,
//! confirmed first attempts), and likings combine. Counters over fixed cells miss cuts that nobody
//! thought of; these trees find them: Newton boosting of shallow trees whose splits are intervals
//! (13 to 18 o'clock) or sets (of networks), one forest a gateway. Whether a gateway gets a forest
//! at all is decided by the last fifth of its outcomes, which the trial has not seen: where it
//! predicts them clearly worse than their mean does, the counters go on.
//!
//! What must stay true: the same rows give the same forest, byte for byte; every prediction is
//! finite and strictly between 0 and 1.

use serde::{Deserialize, Serialize};

use super::facts::{Binned, Fact, MAX_BINS};
use super::routing::Estimate;

/// One outcome at one gateway.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The facts.
    pub bins: Binned,
    /// Whether it was approved.
    pub approved: bool,
}

/// How a forest is grown. The shipped values were chosen by forward validation (docs/POLICY.md).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Trees.
    pub trees: usize,
    /// Splits from the root to a leaf at most.
    pub depth: usize,
    /// How much of a leaf's correction is taken.
    pub rate: f64,
    /// Outcomes in a leaf at least.
    pub leaf: usize,
    /// Shrinks a leaf's correction: so much information must speak against none.
    pub shrink: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { trees: 24, depth: 3, rate: 0.15, leaf: 60, shrink: 20.0 }
    }
}

/// Outcomes of a gateway below which no forest is grown.
const ROWS_AT_LEAST: usize = 400;
/// The trees of a forest look at the same outcomes in different ways; together they are surer than
/// one leaf's count says (chosen by cold starts, docs/POLICY.md).
const MEANS: f64 = 3.0;
/// Log-odds never leave ±this, so that no probability becomes 0 or 1.
const FAR: f64 = 7.0;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Node {
    /// Facts whose bin is in the set go to the first node, others to the second.
    Split { fact: u8, set: u32, then: u16, other: u16 },
    /// What is added to the log-odds, and how many outcomes say so.
    Leaf {
        #[serde(with = "super::exact")]
        add: f64,
        rows: u32,
    },
}

/// Trees over one gateway's outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// Log-odds of all outcomes together.
    #[serde(with = "super::exact")]
    base: f64,
    /// How many outcomes it was grown from.
    rows: u32,
    /// Each tree's nodes; the first is the root.
    trees: Vec<Vec<Node>>,
}

impl Forest {
    /// Grows a forest from outcomes in the order of their time; `None` where there are too few, or
    /// the facts say nothing.
    pub fn grow(rows: &[Row], settings: &Settings) -> Option<Self> {
        if rows.len() < ROWS_AT_LEAST {
            return None;
        }
        let (past, ahead) = rows.split_at(rows.len() - rows.len() / 5);
        let (bare, grown) = (Self::bare(past), Self::unchecked(past, settings));
        let worse = ahead.iter().map(|row| grown.loss(row) - bare.loss(row));
        (!is_clearly_positive(worse)).then(|| Self::unchecked(rows, settings))
    }

    /// Grows a forest whatever it is good for.
    pub fn unchecked(rows: &[Row], settings: &Settings) -> Self {
        let mut forest = Self::bare(rows);
        let mut grower = Grower::new(rows, &forest, *settings);
        forest.trees = (0..settings.trees).map(|_| grower.tree()).collect();
        forest
    }

    fn bare(rows: &[Row]) -> Self {
        let approved = rows.iter().filter(|row| row.approved).count() as f64;
        let p = (approved + 1.0) / (rows.len() as f64 + 2.0);
        Self { base: (p / (1.0 - p)).ln(), rows: rows.len() as u32, trees: Vec::new() }
    }

    fn loss(&self, row: &Row) -> f64 {
        let p = self.predict(&row.bins).p;
        -(if row.approved { p } else { 1.0 - p }).ln()
    }

    /// What these facts make of an attempt, and how many outcomes of their like speak for it.
    pub fn predict(&self, bins: &Binned) -> Estimate {
        let mut odds = self.base;
        let mut inverse = 0.0;
        for tree in &self.trees {
            let (add, rows) = follow(tree, bins);
            odds += add;
            inverse += 1.0 / f64::from(rows.max(1));
        }
        let weight = match self.trees.len() {
            0 => f64::from(self.rows),
            trees => MEANS * trees as f64 / inverse,
        };
        Estimate { p: probability(odds), weight }
    }
}

/// The probability of these log-odds, strictly between 0 and 1.
fn probability(odds: f64) -> f64 {
    let odds = if odds.is_finite() { odds.clamp(-FAR, FAR) } else { -FAR };
    1.0 / (1.0 + (-odds).exp())
}

/// Whether the mean is more than one standard error above 0.
fn is_clearly_positive(values: impl Iterator<Item = f64>) -> bool {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    // The mean over its standard error is about the sum over the root of the sum of squares.
    count > 0.0 && sum > f64::sqrt(squares)
}

fn follow(tree: &[Node], bins: &Binned) -> (f64, u32) {
    let mut at = 0;
    // A tree has no more levels than nodes, so that not even a spoiled one goes round for ever.
    for _ in 0..tree.len() {
        match tree.get(at) {
            Some(Node::Split { fact, set, then, other }) => {
                let bin = bins.get(usize::from(*fact)).copied().unwrap_or(0);
                at = usize::from(if set >> bin & 1 == 1 { *then } else { *other });
            }
            Some(Node::Leaf { add, rows }) => return (*add, *rows),
            None => break,
        }
    }
    (0.0, 0)
}

/// Grows tree after tree, each on what the ones before left unexplained.
struct Grower<'a> {
    rows: &'a [Row],
    settings: Settings,
    odds: Vec<f64>,
    /// What is unexplained of each row, and its weight.
    slopes: Vec<(f64, f64)>,
}

/// Sums over the rows of a bin or a node.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    slope: f64,
    weight: f64,
    rows: usize,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            slope: self.slope + other.slope,
            weight: self.weight + other.weight,
            rows: self.rows + other.rows,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            slope: self.slope - other.slope,
            weight: self.weight - other.weight,
            rows: self.rows - other.rows,
        }
    }

    fn gain(self, shrink: f64) -> f64 {
        self.slope * self.slope / (self.weight + shrink)
    }
}

/// A way to split a node.
#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f64,
    fact: Fact,
    set: u32,
}

impl<'a> Grower<'a> {
    fn new(rows: &'a [Row], start: &Forest, settings: Settings) -> Self {
        let odds = vec![start.base; rows.len()];
        Self { rows, settings, odds, slopes: vec![(0.0, 0.0); rows.len()] }
    }

    fn tree(&mut self) -> Vec<Node> {
        for ((slope, odds), row) in self.slopes.iter_mut().zip(&self.odds).zip(self.rows) {
            let p = probability(*odds);
            *slope = (f64::from(u8::from(row.approved)) - p, p * (1.0 - p));
        }
        let mut nodes = Vec::new();
        let mut all: Vec<u32> = (0..self.rows.len() as u32).collect();
        self.node(&mut nodes, &mut all, self.settings.depth);
        nodes
    }

    fn node(&mut self, nodes: &mut Vec<Node>, rows: &mut [u32], depth: usize) -> u16 {
        let at = nodes.len();
        let split = if depth == 0 { None } else { self.best_split(rows) };
        let Some(split) = split else {
            let sums = self.sums(rows);
            let add = self.settings.rate * sums.slope / (sums.weight + self.settings.shrink);
            for row in rows.iter() {
                self.odds[*row as usize] += add;
            }
            nodes.push(Node::Leaf { add, rows: rows.len() as u32 });
            return at as u16;
        };
        nodes.push(Node::Leaf { add: 0.0, rows: 0 });
        let inside = partition(rows, |row| {
            let bin = self.rows[row as usize].bins[split.fact as usize];
            split.set >> bin & 1 == 1
        });
        let (then_rows, other_rows) = rows.split_at_mut(inside);
        let then = self.node(nodes, then_rows, depth - 1);
        let other = self.node(nodes, other_rows, depth - 1);
        nodes[at] = Node::Split { fact: split.fact as u8, set: split.set, then, other };
        at as u16
    }

    fn sums(&self, rows: &[u32]) -> Sums {
        rows.iter().fold(Sums::default(), |sums, row| sums.plus(self.of(*row)))
    }

    fn of(&self, row: u32) -> Sums {
        let (slope, weight) = self.slopes[row as usize];
        Sums { slope, weight, rows: 1 }
    }

    fn best_split(&self, rows: &[u32]) -> Option<Split> {
        if rows.len() < 2 * self.settings.leaf {
            return None;
        }
        let mut best: Option<Split> = None;
        for fact in Fact::ALL {
            let mut bins = [Sums::default(); MAX_BINS];
            for row in rows {
                let bin = &mut bins[usize::from(self.rows[*row as usize].bins[fact as usize])];
                *bin = bin.plus(self.of(*row));
            }
            let found = if fact.is_ordered() { self.interval(&bins) } else { self.subset(&bins) };
            let Some((gain, set)) = found else { continue };
            if best.is_none_or(|best| gain > best.gain) {
                best = Some(Split { gain, fact, set });
            }
        }
        best.filter(|split| split.gain > 1e-6)
    }

    /// The interval of neighboring bins that differs most from the rest.
    fn interval(&self, bins: &[Sums; MAX_BINS]) -> Option<(f64, u32)> {
        let all = bins.iter().fold(Sums::default(), |all, bin| all.plus(*bin));
        let mut best: Option<(f64, u32)> = None;
        for from in 0..MAX_BINS {
            let (mut inside, mut set) = (Sums::default(), 0_u32);
            for (to, bin) in bins.iter().enumerate().skip(from) {
                inside = inside.plus(*bin);
                set |= 1 << to;
                self.keep_better(&mut best, all, (inside, set));
            }
        }
        best
    }

    /// The set of bins that differs most from the rest: a head of them in the order of their mean.
    fn subset(&self, bins: &[Sums; MAX_BINS]) -> Option<(f64, u32)> {
        let mean = |bin: &Sums| bin.slope / (bin.weight + 1e-9);
        let mut order: Vec<usize> = (0..MAX_BINS).filter(|at| bins[*at].rows > 0).collect();
        order.sort_by(|a, b| mean(&bins[*a]).total_cmp(&mean(&bins[*b])).then(a.cmp(b)));
        let all = bins.iter().fold(Sums::default(), |all, bin| all.plus(*bin));
        let (mut inside, mut set, mut best) = (Sums::default(), 0_u32, None);
        for at in order {
            inside = inside.plus(bins[at]);
            set |= 1 << at;
            self.keep_better(&mut best, all, (inside, set));
        }
        best
    }

    fn keep_better(&self, best: &mut Option<(f64, u32)>, all: Sums, part: (Sums, u32)) {
        let (inside, set) = part;
        let rest = all.minus(inside);
        if inside.rows < self.settings.leaf || rest.rows < self.settings.leaf {
            return;
        }
        let shrink = self.settings.shrink;
        let gain = inside.gain(shrink) + rest.gain(shrink) - all.gain(shrink);
        if gain.is_finite() && best.is_none_or(|(known, _)| gain > known) {
            *best = Some((gain, set));
        }
    }
}

/// Brings the rows that are `inside` to the front; gives how many they are. Stable, so that the
/// order of sums, and with it the last bit of every figure, is always the same.
fn partition(rows: &mut [u32], inside: impl Fn(u32) -> bool) -> usize {
    let (front, back): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| inside(**row));
    let count = front.len();
    for (place, row) in rows.iter_mut().zip(front.into_iter().chain(back)) {
        *place = row;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Approved with 0.7 in bins 13 to 18 of the hour when the network is 1, else with 0.2.
    fn made(count: usize, seed: u64) -> Vec<Row> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let row = |_| {
            let mut bins = Binned::default();
            bins[Fact::Hour as usize] = rng.u8(..24);
            bins[Fact::Network as usize] = rng.u8(1..4);
            bins[Fact::Amount as usize] = rng.u8(..16);
            Row { approved: rng.f64() < truth(&bins), bins }
        };
        (0..count).map(row).collect()
    }

    fn truth(bins: &Binned) -> f64 {
        let hour = (13..=18).contains(&bins[Fact::Hour as usize]);
        if hour && bins[Fact::Network as usize] == 1 { 0.7 } else { 0.2 }
    }

    #[test]
    fn an_interval_within_a_set_is_found() {
        let forest = Forest::grow(&made(4_000, 1), &Settings::default()).unwrap();
        for row in made(200, 2) {
            let estimate = forest.predict(&row.bins);
            assert!((estimate.p - truth(&row.bins)).abs() < 0.15, "{:?}: {estimate:?}", row.bins);
            assert!(estimate.weight > 60.0, "{estimate:?}");
        }
    }

    #[test]
    fn few_outcomes_grow_nothing_and_the_same_outcomes_the_same() {
        assert_eq!(Forest::grow(&made(ROWS_AT_LEAST - 1, 1), &Settings::default()), None);
        let text = |forest| serde_json::to_string(&forest).unwrap();
        let grow = || Forest::grow(&made(1_000, 3), &Settings::default());
        assert_eq!(text(grow()), text(grow()));
        let forest: Forest = serde_json::from_str(&text(grow())).unwrap();
        assert_eq!(Some(forest), grow(), "a stored forest is the same forest");
    }

    #[test]
    fn a_forest_that_predicts_worse_than_the_mean_is_dropped() {
        // What holds in the first four fifths is turned around in the last.
        let mut rows = made(4_000, 4);
        let turned = rows.len() - rows.len() / 5;
        for row in &mut rows[turned..] {
            row.approved = truth(&row.bins) < 0.5;
        }
        assert_eq!(Forest::grow(&rows, &Settings::default()), None);
    }

    #[test]
    fn a_spoiled_tree_ends() {
        let split = Node::Split { fact: 200, set: u32::MAX, then: 0, other: 9 };
        let spoiled = Forest { base: f64::NAN, rows: 1, trees: vec![vec![split], vec![]] };
        let p = spoiled.predict(&Binned::default()).p;
        assert!(p > 0.0 && p < 1.0, "{p}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn predictions_are_probabilities(
            outcomes in proptest::collection::vec((any::<[u8; 9]>(), any::<bool>()), 400..500),
            asked in any::<[u8; 9]>(),
        ) {
            let bins = |bins: [u8; 9]| bins.map(|bin| bin % MAX_BINS as u8);
            let row = |(all, approved)| Row { bins: bins(all), approved };
            let rows: Vec<_> = outcomes.into_iter().map(row).collect();
            let forest = Forest::unchecked(&rows, &Settings::default());
            let estimate = forest.predict(&bins(asked));
            prop_assert!(estimate.p > 0.0 && estimate.p < 1.0);
            prop_assert!(estimate.weight.is_finite() && estimate.weight > 0.0);
        }
    }
}
