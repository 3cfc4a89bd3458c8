//! Chaos: the real core, applier, executor and stores in a made world that goes wrong.
//!
//! Why here: "never twice" is a claim about every order of crash, time-out, duplicate and late
//! event. One seed is one history: gateways with ledgers of their own, a network that loses,
//! delays and repeats, people who pay and cancel at the worst moment, a process that dies between
//! any two steps. The rules are checked where the money is: at the gateways' ledgers.
//!
//! What must stay true: time is virtual and every draw comes from the seed, so a history is
//! repeated by its number alone, byte for byte, over any store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

mod bank;
mod driver;
mod gateway;
mod people;
mod rules;
mod scenario;
mod setting;
mod trace;
mod watch;
mod world;

pub use scenario::Scenario;

/// Over which store the histories run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// In memory: fast.
    Memory,
    /// The embedded default, in a directory of its own that is removed afterwards.
    Sled,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct ChaosOptions {
    /// The first history.
    pub seed: u64,
    /// How many, by consecutive seeds.
    pub runs: u64,
    /// Over which store.
    pub store: StoreKind,
    /// How rough the world is.
    pub scenario: Scenario,
    /// Where stores with files put them.
    pub scratch: PathBuf,
}

impl ChaosOptions {
    /// `runs` histories from `seed` on in memory, in the default world.
    pub fn new(seed: u64, runs: u64) -> Self {
        Self {
            seed,
            runs,
            store: StoreKind::Memory,
            scenario: Scenario::default(),
            scratch: std::env::temp_dir(),
        }
    }
}

/// One broken rule in one history.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// The history.
    pub seed: u64,
    /// Which rule, e.g. `I1`.
    pub rule: String,
    /// What happened.
    pub what: String,
    /// The history's last lines.
    pub story: Vec<String>,
}

/// What came of one history.
#[derive(Debug, Clone)]
pub struct History {
    /// Over everything that happened, in order.
    pub hash: u64,
    /// Broken rules.
    pub violations: Vec<Violation>,
    /// What was done and injected, by name.
    pub counts: BTreeMap<&'static str, u64>,
}

/// What came of all histories.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChaosReport {
    /// The first seed.
    pub seed: u64,
    /// Histories.
    pub runs: u64,
    /// Broken rules; at most [`ChaosReport::STORIES`] with their stories in `found`.
    pub violations: u64,
    /// Histories with a broken rule.
    pub violating_runs: u64,
    /// The first such seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_violating_seed: Option<u64>,
    /// How often each rule was broken.
    pub by_rule: BTreeMap<String, u64>,
    /// What was done and injected.
    #[serde(flatten)]
    pub counts: BTreeMap<&'static str, u64>,
    /// Over all histories' hashes, in order.
    pub trace_hash: String,
    /// The first violations.
    pub found: Vec<Violation>,
    #[serde(skip)]
    hash: u64,
}

impl ChaosReport {
    /// How many violations are kept with their story.
    pub const STORIES: usize = 20;

    fn add(&mut self, seed: u64, history: History) {
        self.runs += 1;
        self.hash = self.hash.rotate_left(5) ^ history.hash;
        self.trace_hash = format!("{:016x}", self.hash);
        if !history.violations.is_empty() {
            self.violating_runs += 1;
            self.first_violating_seed.get_or_insert(seed);
        }
        self.violations += history.violations.len() as u64;
        for violation in &history.violations {
            *self.by_rule.entry(violation.rule.clone()).or_default() += 1;
        }
        let room = Self::STORIES.saturating_sub(self.found.len());
        self.found.extend(history.violations.into_iter().take(room));
        for (name, count) in history.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }
}

/// Runs histories one after the other.
pub fn run(options: &ChaosOptions) -> ChaosReport {
    run_with(options, |_| {})
}

/// Runs histories one after the other, and tells how it goes after each.
pub fn run_with(options: &ChaosOptions, mut progress: impl FnMut(&ChaosReport)) -> ChaosReport {
    let mut report = ChaosReport { seed: options.seed, ..ChaosReport::default() };
    for seed in options.seed..options.seed.saturating_add(options.runs) {
        report.add(seed, one(options, seed));
        progress(&report);
    }
    report
}

/// Runs one history.
pub fn one(options: &ChaosOptions, seed: u64) -> History {
    driver::Driver::new(options, seed).run()
}
