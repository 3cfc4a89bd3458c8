//! Chaos: the real core, applier, executor and stores in a made world that goes wrong.
//!
//! Why here: "never twice" is a claim about every order of crash, time-out, duplicate and late
//! event. One seed is one history: gateways with ledgers of their own, a network that loses,
//! delays and repeats, people who pay and cancel at the worst moment, a process that dies between
//! any two steps. The rules are checked where the money is: at the gateways' ledgers.
//!
//! What must stay true: time is virtual and every draw comes from the seed, so a history is
//! repeated by its number alone, byte for byte, over any store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use serde::Serialize;

mod bank;
mod driver;
mod gateway;
mod messages;
mod people;
mod rules;
mod scenario;
mod setting;
mod shorten;
mod trace;
mod watch;
mod world;

use driver::{Driver, Words};
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
    /// What the histories go without, by the number of its draw: a story that was shortened.
    pub without: BTreeSet<u64>,
    /// How many lines of its story a violation is told with at most.
    pub story: usize,
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
            without: BTreeSet::new(),
            story: 90,
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
    /// What the history was told without, by the number of its draw: what the breaking does not
    /// need.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<u64>,
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
    /// The draws that came true, by their number: what can be left out.
    pub drawn: Vec<u64>,
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
        // A sum: whoever runs them, in whichever order.
        let mixed = (history.hash ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = self.hash.wrapping_add(mixed.rotate_left(29));
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

    /// Takes over what another thread has run.
    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.hash = self.hash.wrapping_add(other.hash);
        self.trace_hash = format!("{:016x}", self.hash);
        self.violations += other.violations;
        self.violating_runs += other.violating_runs;
        let first = [self.first_violating_seed, other.first_violating_seed];
        self.first_violating_seed = first.into_iter().flatten().min();
        for (rule, count) in other.by_rule {
            *self.by_rule.entry(rule).or_default() += count;
        }
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.found.extend(other.found);
        self.found.sort_by_key(|violation| violation.seed);
        self.found.truncate(Self::STORIES);
    }
}

/// Runs histories one after the other.
pub fn run(options: &ChaosOptions) -> ChaosReport {
    finish(options, run_part(options, options.seed..options.seed.saturating_add(options.runs)))
}

/// Runs histories on so many threads, and tells now and then how it goes. The first that breaks a
/// rule is shortened.
pub fn run_on(
    options: &ChaosOptions,
    threads: usize,
    mut progress: impl FnMut(&ChaosReport),
) -> ChaosReport {
    /// Histories that are run before they are told of.
    const CHUNK: u64 = 50;
    let mut report = empty(options);
    let (next, end) = (AtomicU64::new(options.seed), options.seed.saturating_add(options.runs));
    let (sender, done) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                    let part = from..from.saturating_add(CHUNK).min(end);
                    // Who listens goes on until all have hung up.
                    if part.is_empty() || sender.send(run_part(options, part)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for part in done {
            report.merge(part);
            progress(&report);
        }
    });
    finish(options, report)
}

fn empty(options: &ChaosOptions) -> ChaosReport {
    ChaosReport { seed: options.seed, ..ChaosReport::default() }
}

fn run_part(options: &ChaosOptions, seeds: Range<u64>) -> ChaosReport {
    let mut report = empty(options);
    for seed in seeds {
        report.add(seed, one(options, seed));
    }
    report
}

/// Shortens the story of the first history that broke a rule.
fn finish(options: &ChaosOptions, mut report: ChaosReport) -> ChaosReport {
    report.trace_hash = format!("{:016x}", report.hash);
    let Some(seed) = report.first_violating_seed else { return report };
    let (without, history) = shorten::shorten(options, seed);
    let rule = report.found.iter().find(|told| told.seed == seed).map(|told| told.rule.clone());
    let shorter = history.violations.into_iter().find(|told| Some(&told.rule) == rule.as_ref());
    if let Some(shorter) = shorter {
        let first = report.found.iter_mut().find(|told| told.seed == seed);
        first.into_iter().for_each(|told| {
            *told = Violation { without: without.clone(), ..shorter.clone() };
        });
    }
    report
}

/// Runs one history; one that breaks a rule is run once more, for its story.
pub fn one(options: &ChaosOptions, seed: u64) -> History {
    let history = Driver::new(options, seed, Words::Dropped).run();
    match history.violations.is_empty() {
        true => history,
        false => Driver::new(options, seed, Words::Kept).run(),
    }
}
