//! Simulation: what a schedule would have recovered, in a world that is known or made.
//!
//! Why here: a schedule that is said to be better has to show it, on data that it has not seen,
//! against the best fixed days with the same window, attempts and gateways. The days are chosen by
//! the functions that production calls.
//!
//! | file | what it does |
//! |---|---|
//! | [`world`] | reads a world file |
//! | [`issuer`] | the issuer model |
//! | [`model_file`] | its numbers, the shipped ones or a merchant's own |
//! | [`replay`] | plays one case to its end |
//! | [`tuned`] | finds the baseline's days |
//! | [`tally`] | sums, and intervals by customer |
//!
//! What must stay true: a policy sees all of a case but `opens`; the same files, options and seed
//! give the same result.

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::made::{MadeBy, Setting};
use self::tally::{Difference, Sums, Tally};
use self::world::WorldCase;
use crate::core::policy::Schedule;

mod funds;
pub mod issuer;
mod made;
pub mod model_file;
pub mod replay;
pub mod tally;
pub mod tuned;
pub mod world;

/// A schedule by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// These days.
    Days(Vec<u32>),
    /// Evenly spaced.
    Even,
    /// Moved by evidence.
    Smart,
    /// The best fixed days of the training data.
    Tuned,
}

impl Named {
    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Self::Days(days) => {
                let days: Vec<_> = days.iter().map(ToString::to_string).collect();
                format!("days={}", days.join(","))
            }
            Self::Even => "even".to_owned(),
            Self::Smart => "smart".to_owned(),
            Self::Tuned => "tuned".to_owned(),
        }
    }
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The schedule.
    pub schedule: Named,
    /// Schedules to compare it with, case by case.
    pub against: Vec<Named>,
    /// Attempts on the schedule at most.
    pub attempts: u32,
    /// Days.
    pub window: u32,
    /// What everything random follows from.
    pub seed: u64,
}

/// Sums of some cases, as they are shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// How many.
    pub cases: u64,
    /// Recovered in the window.
    pub recovered: u64,
    /// Recovered over cases.
    pub recovered_share: f64,
    /// Attempts of ours.
    pub attempts: u64,
    /// Attempts over cases.
    pub attempts_per_case: f64,
}

impl From<&Sums> for Part {
    fn from(sums: &Sums) -> Self {
        Self {
            cases: sums.cases,
            recovered: sums.recovered,
            recovered_share: sums.share(),
            attempts: sums.attempts,
            attempts_per_case: sums.attempts_per_case(),
        }
    }
}

/// Another schedule over the same cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// Which.
    pub schedule: String,
    /// What it recovered.
    #[serde(flatten)]
    pub sums: Part,
    /// How much higher the recovered share of the simulated schedule is.
    #[serde(flatten)]
    pub difference: Difference,
    /// The same by the cases' group.
    pub by_group: BTreeMap<String, AgainstGroup>,
}

/// Another schedule over the cases of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgainstGroup {
    /// What it recovered.
    #[serde(flatten)]
    pub sums: Part,
    /// How much higher the recovered share of the simulated schedule is.
    #[serde(flatten)]
    pub difference: Difference,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Which schedule.
    pub schedule: String,
    /// What it recovered.
    #[serde(flatten)]
    pub sums: Part,
    /// The 95 % interval of the recovered share, by customer.
    pub recovered_share_interval: [f64; 2],
    /// The same by the cases' group.
    pub by_group: BTreeMap<String, Part>,
    /// How many were recovered on each day.
    pub by_day: BTreeMap<u32, u64>,
    /// Attempts on the schedule at most.
    pub max_attempts: u32,
    /// Days.
    pub window_days: u32,
    /// Cases that it learned from.
    pub training_cases: u64,
    /// Lines that were left out.
    pub skipped_lines: u64,
    /// What it was compared with.
    pub against: Vec<Against>,
}

/// Simulates over a world, learning from `train`. `progress` is told what share is done.
pub fn of_world(
    world: &[WorldCase],
    train: &[WorldCase],
    options: &Options,
    mut progress: impl FnMut(f64),
) -> Report {
    let (world, train): (Vec<_>, Vec<_>) = (world.iter().collect(), train.iter().collect());
    let rounds = [(world.clone(), train.clone())];
    let mut report = of_rounds(&rounds, options, &mut progress);
    report.training_cases = train.len() as u64;
    report
}

/// Simulates over a training world alone: the customers are dealt into `folds`, and each fold is
/// played by what was learned from the others.
pub fn cross_validated(
    train: &[WorldCase],
    folds: u64,
    options: &Options,
    mut progress: impl FnMut(f64),
) -> Report {
    let seed = options.seed.to_string();
    let fold = |case: &WorldCase| crate::core::ids::pick(folds, &["fold", &seed, &case.customer]);
    let rounds: Vec<_> =
        (0..folds).map(|number| train.iter().partition(|case| fold(case) == number)).collect();
    let mut report = of_rounds(&rounds, options, &mut progress);
    report.training_cases = train.len() as u64;
    report
}

/// Simulates over issuer models, one after the other.
pub fn of_models(settings: &[Setting], options: &Options, mut progress: impl FnMut(f64)) -> Report {
    let cases: u64 = settings.iter().map(|setting| setting.cases).sum();
    let schedules = 1 + options.against.len();
    let total = (cases * schedules as u64).max(1) as f64;
    let mut done = 0;
    let mut tally_of = |named: &Named| {
        let (mut tally, mut text) = (Tally::default(), named.text());
        for setting in settings {
            let ready = made::ready(named, setting, options);
            if settings.len() == 1 {
                text = text_of(named, &ready.schedule);
            }
            let played = |n| progress((done + n) as f64 / total);
            made::play(&ready, setting, options, &mut tally, played);
            done += setting.cases;
        }
        (text, tally)
    };
    let (text, tally) = tally_of(&options.schedule);
    let others: Vec<_> = options.against.iter().map(tally_of).collect();
    let mut report = report(text, &tally, &others, options);
    report.training_cases = settings.iter().map(|setting| setting.train_cases).sum();
    report
}

/// The schedule's name, with the days that were found for it.
fn text_of(named: &Named, schedule: &Schedule) -> String {
    match (named, schedule) {
        (Named::Tuned, Schedule::Days(days)) => {
            format!("tuned ({})", Named::Days(days.clone()).text())
        }
        _ => named.text(),
    }
}

type Round<'a> = (Vec<&'a WorldCase>, Vec<&'a WorldCase>);

fn of_rounds(rounds: &[Round<'_>], options: &Options, progress: &mut impl FnMut(f64)) -> Report {
    let cases: usize = rounds.iter().map(|(world, _)| world.len()).sum();
    let schedules = 1 + options.against.len();
    let total = (cases * schedules).max(1) as f64;
    let mut done = 0.0;
    let mut tally_of = |named: &Named| {
        let mut tally = Tally::default();
        let mut text = named.text();
        for (world, train) in rounds {
            let ready = funds::ready(named, train, world, options);
            if rounds.len() == 1 {
                text = text_of(named, &ready.schedule);
            }
            funds::play(ready, world, options, &mut tally, |n| progress((done + n as f64) / total));
        }
        done += tally.all.cases as f64;
        (text, tally)
    };
    let (text, tally) = tally_of(&options.schedule);
    let others: Vec<_> = options.against.iter().map(tally_of).collect();
    report(text, &tally, &others, options)
}

fn report(text: String, tally: &Tally, others: &[(String, Tally)], options: &Options) -> Report {
    let against = others.iter().map(|(schedule, other)| {
        let of_group = |(name, sums): (&String, &Sums)| {
            let difference = tally.difference_of(other, Some(name));
            (name.clone(), AgainstGroup { sums: Part::from(sums), difference })
        };
        Against {
            schedule: schedule.clone(),
            sums: Part::from(&other.all),
            difference: tally.difference(other),
            by_group: other.groups.iter().map(of_group).collect(),
        }
    });
    Report {
        schedule: text,
        sums: Part::from(&tally.all),
        recovered_share_interval: tally.interval(),
        by_group: tally.groups.iter().map(|(name, sums)| (name.clone(), sums.into())).collect(),
        by_day: tally.days.clone(),
        max_attempts: options.attempts,
        window_days: options.window,
        training_cases: 0,
        skipped_lines: 0,
        against: against.collect(),
    }
}
