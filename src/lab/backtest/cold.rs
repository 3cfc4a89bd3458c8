//! Cold start: how soon does the routing know what it should, from nothing?
//!
//! Why here: a log shows one gateway's answer to each attempt. To watch the routing learn, answers
//! of all gateways are needed, so they are made: each gateway approves as one tree grown from the
//! whole log says. Attempts come in the log's own shape, in random order; nothing of the made
//! probabilities is shown to the routing but its own outcomes.
//!
//! What must stay true: all draws come from the seed; margins are the expected ones of what was
//! chosen, so that luck of single outcomes is no result; the oracle knows every probability,
//! outages included.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::BacktestOptions;
use super::log::Log;
use crate::core::ids::GatewayId;
use crate::core::learning::chance::take;
use crate::core::learning::facts::{Cuts, Facts};
use crate::core::learning::routing::{Answer, Outcome, Routing};
use crate::core::learning::trees::{Forest, Row, Settings};
use crate::core::routing::evidence::{Evidence, Exploring, FLOOR, weigh};

/// How finely the made gateways are told apart: one tree each, as the log says, without shrinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// By two facts at once, in groups of 200 attempts and more.
    Coarse,
    /// By three facts at once, in groups of 100 and more: some of it is the log's own chance, which
    /// only the oracle knows.
    Fine,
}

impl Grain {
    fn settings(self) -> Settings {
        let (depth, leaf) = match self {
            Self::Coarse => (2, 200),
            Self::Fine => (3, 100),
        };
        Settings { trees: 1, depth, rate: 1.0, leaf, shrink: 1.0 }
    }
}

/// What an outage leaves of a gateway's approvals.
const OUTAGE: f64 = 0.3;
/// Attempts between two outages of a gateway, on average.
const UP_FOR: f64 = 3_000.0;
/// Attempts that an outage lasts, on average.
const DOWN_FOR: f64 = 300.0;
/// From how many outcomes on, and by how much more each time, the trees are grown anew.
const REFIT: (usize, f64) = (400, 1.25);
/// Time between two attempts.
const PACE: SignedDuration = SignedDuration::from_mins(2);

/// What to watch.
#[derive(Debug, Clone)]
pub struct ColdOptions {
    /// Fees, value and seed.
    pub backtest: BacktestOptions,
    /// How many made worlds.
    pub runs: u64,
    /// After how many outcomes to look, ascending.
    pub marks: Vec<usize>,
    /// Whether gateways fail at random for a while.
    pub outages: Outages,
    /// How finely the made gateways are told apart.
    pub grain: Grain,
}

/// Whether gateways fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outages {
    /// They hold still.
    None,
    /// Each at times of its own.
    Random,
}

/// Shares of the oracle's margin up to a mark.
#[derive(Debug, Clone, Serialize)]
pub struct Mark {
    /// Outcomes so far.
    pub outcomes: usize,
    /// Of the runs, over all outcomes so far.
    pub share: f64,
    /// The standard error of that over the runs.
    pub error: f64,
    /// Over the last tenth only.
    pub lately: f64,
    /// The best single gateway, known only afterwards.
    pub best_single: f64,
    /// Without the health of gateways, over all outcomes so far.
    pub without_health: f64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ColdReport {
    /// Made worlds.
    pub runs: u64,
    /// Marks, ascending.
    pub marks: Vec<Mark>,
    /// Size of what was learned at the end, as JSON, in bytes.
    pub state_bytes: usize,
}

/// Watches the routing learn. `progress` is told after each run.
pub fn run(log: &Log, options: &ColdOptions, mut progress: impl FnMut(u64)) -> ColdReport {
    let world = World::new(log, options.grain);
    let mut shares = vec![Vec::new(); options.marks.len()];
    let mut state_bytes = 0;
    for run in 0..options.runs {
        let seed = options.backtest.seed.wrapping_add(run);
        let mut own = Run::new(&world, options, seed);
        let found = own.marks(Health::Used);
        let size = serde_json::to_vec(&own.learned).map_or(0, |bytes| bytes.len());
        state_bytes = state_bytes.max(size);
        let without = Run::new(&world, options, seed).marks(Health::Ignored);
        for ((mark, own), other) in shares.iter_mut().zip(found).zip(without) {
            mark.push((own, other.share()));
        }
        progress(run + 1);
    }
    let marks = options.marks.iter().zip(&shares).map(|(at, runs)| mark(*at, runs)).collect();
    ColdReport { runs: options.runs, marks, state_bytes }
}

fn mark(outcomes: usize, runs: &[(Earned, f64)]) -> Mark {
    let mean = |of: &dyn Fn(&(Earned, f64)) -> f64| {
        runs.iter().map(of).sum::<f64>() / runs.len().max(1) as f64
    };
    let share = mean(&|run| run.0.share());
    let variance = mean(&|run| (run.0.share() - share).powi(2));
    Mark {
        outcomes,
        share,
        error: (variance / runs.len().saturating_sub(1).max(1) as f64).sqrt(),
        lately: mean(&|run| run.0.late / run.0.late_best),
        best_single: mean(&|run| {
            run.0.singles.iter().copied().fold(f64::MIN, f64::max) / run.0.best
        }),
        without_health: mean(&|run| run.1),
    }
}

/// How the made gateways answer.
struct World {
    facts: Vec<Facts>,
    cuts: Cuts,
    gateways: Vec<(GatewayId, Forest)>,
}

impl World {
    fn new(log: &Log, grain: Grain) -> Self {
        let cuts = Cuts::of(log.lines.iter().map(|line| &line.outcome.facts));
        let mut rows = BTreeMap::<&GatewayId, Vec<Row>>::new();
        for line in &log.lines {
            let approved = line.outcome.answer == Answer::Approved;
            let row = Row { bins: cuts.bin(&line.outcome.facts), approved };
            rows.entry(&line.outcome.gateway).or_default().push(row);
        }
        let grow = |(gateway, rows): (&GatewayId, Vec<Row>)| {
            (gateway.clone(), Forest::unchecked(&rows, &grain.settings()))
        };
        Self {
            gateways: rows.into_iter().map(grow).collect(),
            facts: log.lines.iter().map(|line| line.outcome.facts.clone()).collect(),
            cuts,
        }
    }
}

/// Whether the routing looks at the gateways' health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Used,
    Ignored,
}

/// What was earned so far, in ten-thousandths.
#[derive(Debug, Clone, Default)]
struct Earned {
    own: f64,
    best: f64,
    singles: Vec<f64>,
    late: f64,
    late_best: f64,
}

impl Earned {
    fn share(&self) -> f64 {
        self.own / self.best
    }
}

/// One made history.
struct Run<'a> {
    world: &'a World,
    options: &'a ColdOptions,
    rng: fastrand::Rng,
    learned: Routing,
    outcomes: Vec<Outcome>,
    /// Until which attempt each gateway stays as it is, and whether it is down.
    down: Vec<(usize, bool)>,
    refit_at: usize,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, options: &'a ColdOptions, seed: u64) -> Self {
        Self {
            world,
            options,
            rng: fastrand::Rng::with_seed(seed),
            learned: Routing::default(),
            outcomes: Vec::new(),
            down: vec![(0, true); world.gateways.len()],
            refit_at: REFIT.0,
        }
    }

    fn marks(&mut self, health: Health) -> Vec<Earned> {
        let marks = &self.options.marks;
        let mut earned =
            Earned { singles: vec![0.0; self.world.gateways.len()], ..Earned::default() };
        let mut found = Vec::new();
        for number in 1..=marks.last().copied().unwrap_or(0) {
            let (own, best) = self.attempt(number, health, &mut earned.singles);
            earned.own += own;
            earned.best += best;
            if marks.iter().any(|mark| number <= *mark && number * 10 > *mark * 9) {
                earned.late += own;
                earned.late_best += best;
            }
            if marks.contains(&number) {
                found.push(earned.clone());
                (earned.late, earned.late_best) = (0.0, 0.0);
            }
        }
        found
    }

    /// One attempt: what the choice and the best choice are expected to leave.
    fn attempt(&mut self, number: usize, health: Health, singles: &mut [f64]) -> (f64, f64) {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50);
        let at = at + PACE * i32::try_from(number).unwrap_or(i32::MAX);
        let facts = self.world.facts[self.rng.usize(..self.world.facts.len())].clone();
        let facts = Facts { tried_here: 0, ..facts };
        let truth = self.truth(number, &facts);
        let (fees, worth) = (&self.options.backtest.fees, self.options.backtest.value);
        let evidence = Evidence {
            learned: &self.learned,
            facts: &facts,
            fees,
            worth: Some(worth),
            exploring: Exploring::Floor(FLOOR),
            draw: 0,
        };
        let gateways = self.world.gateways.iter().map(|(gateway, _)| (gateway, &facts));
        let weighed = weigh(gateways, worth, at, &evidence);
        let chances: Vec<f64> = weighed.iter().map(|one| one.propensity).collect();
        let taken = take(&chances, self.rng.u64(..));
        let values: Vec<f64> = self
            .world
            .gateways
            .iter()
            .zip(&truth)
            .map(|((gateway, _), p)| {
                let fee = fees.get(gateway).copied().unwrap_or_default();
                fee.expected(worth, *p) as f64
            })
            .collect();
        singles.iter_mut().zip(&values).for_each(|(single, value)| *single += value);
        let approved = self.rng.f64() < truth[taken];
        let answer = if approved { Answer::Approved } else { Answer::Declined };
        let gateway = self.world.gateways[taken].0.clone();
        self.take_in(Outcome { at, gateway, facts, answer }, health);
        (values[taken], values.iter().copied().fold(f64::MIN, f64::max))
    }

    /// What each gateway approves now.
    fn truth(&mut self, number: usize, facts: &Facts) -> Vec<f64> {
        let bins = self.world.cuts.bin(facts);
        let mut truth = Vec::new();
        for ((_, forest), (until, down)) in self.world.gateways.iter().zip(&mut self.down) {
            if *until <= number {
                *down = !*down;
                let mean = if *down { DOWN_FOR } else { UP_FOR };
                *until = number + 1 + (-mean * (1.0 - self.rng.f64()).ln()) as usize;
            }
            let down = *down && self.options.outages == Outages::Random;
            truth.push(forest.predict(&bins).p * if down { OUTAGE } else { 1.0 });
        }
        truth
    }

    fn take_in(&mut self, outcome: Outcome, health: Health) {
        self.learned.observe(&outcome);
        if health == Health::Ignored {
            self.learned.forget_health();
        }
        self.outcomes.push(outcome);
        if self.outcomes.len() >= self.refit_at {
            self.learned.refit(&self.outcomes, &Settings::default());
            self.refit_at = (self.outcomes.len() as f64 * REFIT.1) as usize;
        }
    }
}
