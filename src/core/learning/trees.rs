//! Trees: what a gateway approves, by all facts at once.
//!
//! Why here: in a log of several gateways each has its own liking (small amounts, the afternoon,
//! confirmed first attempts), and likings combine. Counters over fixed cells miss cuts that nobody
//! thought of; these trees find them: Newton boosting of shallow trees whose splits are intervals
//! (13 to 18 o'clock) or sets (of networks), one forest a gateway. How many trees a forest has is
//! decided by the last fifth of the outcomes, which the trial has not seen: where the facts say
//! nothing, it has none.
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
    /// Trees at most.
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
        Self { trees: 40, depth: 3, rate: 0.15, leaf: 40, shrink: 10.0 }
    }
}

/// Outcomes of a gateway below which no forest is grown.
const ROWS_AT_LEAST: usize = 400;
/// Log-odds never leave ±this, so that no probability becomes 0 or 1.
const FAR: f64 = 7.0;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Node {
    /// Facts whose bin is in the set go to the first node, others to the second.
    Split { fact: u8, set: u32, then: u16, other: u16 },
    /// What is added to the log-odds, and how many outcomes say so.
    Leaf { add: f64, rows: u32 },
}

/// Trees over one gateway's outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// Log-odds of all outcomes together.
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
        let trees = Self::useful_trees(past, ahead, settings);
        (trees > 0).then(|| Self::of_size(rows, Settings { trees, ..*settings }))
    }

    /// As many trees as the settings say, whatever they are good for.
    pub fn of_size(rows: &[Row], settings: Settings) -> Self {
        let mut forest = Self::bare(rows);
        let mut grower = Grower::new(rows, &forest, settings);
        forest.trees = (0..settings.trees).map(|_| grower.tree()).collect();
        forest
    }

    fn bare(rows: &[Row]) -> Self {
        let approved = rows.iter().filter(|row| row.approved).count() as f64;
        let p = (approved + 1.0) / (rows.len() as f64 + 2.0);
        Self { base: (p / (1.0 - p)).ln(), rows: rows.len() as u32, trees: Vec::new() }
    }

    /// How many trees, grown from `past`, predict `ahead` best.
    fn useful_trees(past: &[Row], ahead: &[Row], settings: &Settings) -> usize {
        let bare = Self::bare(past);
        let mut grower = Grower::new(past, &bare, *settings);
        let mut odds = vec![bare.base; ahead.len()];
        let mut best = (loss(ahead, &odds), 0);
        for count in 1..=settings.trees {
            let tree = grower.tree();
            for (odds, row) in odds.iter_mut().zip(ahead) {
                *odds += follow(&tree, &row.bins).0;
            }
            let now = loss(ahead, &odds);
            if now < best.0 {
                best = (now, count);
            }
        }
        best.1
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
            trees => trees as f64 / inverse,
        };
        Estimate { p: probability(odds), weight }
    }

    /// How many trees it has.
    pub fn size(&self) -> usize {
        self.trees.len()
    }
}

/// The probability of these log-odds, strictly between 0 and 1.
fn probability(odds: f64) -> f64 {
    let odds = if odds.is_finite() { odds.clamp(-FAR, FAR) } else { -FAR };
    1.0 / (1.0 + (-odds).exp())
}

/// Mean log-loss.
fn loss(rows: &[Row], odds: &[f64]) -> f64 {
    let of = |(row, odds): (&Row, &f64)| {
        let p = probability(*odds);
        -(if row.approved { p } else { 1.0 - p }).ln()
    };
    rows.iter().zip(odds).map(of).sum::<f64>() / rows.len().max(1) as f64
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
