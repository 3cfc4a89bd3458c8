//! A simulation over the issuer model.
//!
//! Why here: the training history, the baseline's search and the cases that are judged are drawn
//! from the same model by seeds of their own. The history is what a merchant has: outcomes of
//! attempts, never the bank's state.
//!
//! What must stay true: the result is the same on any number of threads.

use fastrand::Rng;

use super::issuer::Model;
use super::replay::{Layout, Replay, replay};
use super::tally::Tally;
use super::{Named, Options, tuned};
use crate::core::learning::timing::{End, Timing};
use crate::core::policy::Schedule;

/// A simulation over a model.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The model.
    pub model: Model,
    /// Gateways, used in turn.
    pub gateways: usize,
    /// Cases to play.
    pub cases: u64,
    /// Cases of the history that the smart schedule learns from.
    pub train_cases: u64,
    /// How the attempts of that history were made.
    pub history: MadeBy,
    /// What the cases are called in the result.
    pub group: String,
}

/// How a history's attempts were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeBy {
    /// Evenly spaced.
    Even,
    /// By the smart schedule itself, from nothing, learning from each case that ended.
    Itself,
    /// On days that were spread at random over the window.
    Spread,
}

/// Cases that the baseline's days are searched on.
const TUNING_CASES: u64 = 6_000;
/// Cases that are played between two reports of progress.
const BLOCK: u64 = 4_096;

/// A schedule made ready.
pub(super) struct Ready {
    pub(super) schedule: Schedule,
    timing: Timing,
}

pub(super) fn ready(named: &Named, setting: &Setting, options: &Options) -> Ready {
    let mut timing = Timing::default();
    let schedule = match named {
        Named::Even => Schedule::Even,
        Named::Days(days) => Schedule::Days(days.clone()),
        Named::Tuned => Schedule::Days(tuned_days(setting, options)),
        Named::Smart => {
            timing = learned(setting, options);
            Schedule::Smart
        }
    };
    Ready { schedule, timing }
}

/// Plays all cases, on all processors.
pub(super) fn play(
    ready: &Ready,
    setting: &Setting,
    options: &Options,
    tally: &mut Tally,
    mut progress: impl FnMut(u64),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut from = 0;
    while from < setting.cases {
        let parts: Vec<_> = (0..threads)
            .map(|part| from + part * BLOCK)
            .map(|start| start..(start + BLOCK).min(setting.cases))
            .collect();
        let played = std::thread::scope(|scope| {
            let play = |part: &std::ops::Range<u64>| {
                let part = part.clone();
                scope.spawn(move || part.map(|n| play_one(ready, setting, options, n)).collect())
            };
            let running: Vec<_> = parts.iter().map(play).collect();
            running.into_iter().map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
        });
        for (part, replays) in parts.iter().zip(played) {
            let replays: Vec<Replay> = replays;
            for (number, replay) in part.clone().zip(replays) {
                // Independent cases in bundles: as many as an interval needs.
                let bundle = format!("{} {}", setting.group, number % 2_000);
                tally.add(&setting.group, &bundle, &replay);
            }
        }
        from += threads * BLOCK;
        progress(from.min(setting.cases));
    }
}

fn play_one(ready: &Ready, setting: &Setting, options: &Options, number: u64) -> Replay {
    let layout = Layout {
        schedule: &ready.schedule,
        timing: &ready.timing,
        attempts: options.attempts,
        window: options.window,
        gateways: setting.gateways,
    };
    let mut case = setting.model.case(options.seed, number);
    let known = case.clone();
    let mut replay = replay(&known.subject(), &mut case, &layout);
    replay.tried = Vec::new();
    replay
}

/// Seeds of the history and of the search, away from those of the cases.
fn seed_of(purpose: u64, options: &Options) -> u64 {
    options.seed.wrapping_mul(31).wrapping_add(purpose << 40)
}

fn learned(setting: &Setting, options: &Options) -> Timing {
    let mut timing = Timing::default();
    let seed = seed_of(1, options);
    let mut rng = Rng::with_seed(seed);
    for number in 0..setting.train_cases {
        let schedule = match setting.history {
            MadeBy::Even => Schedule::Even,
            MadeBy::Itself => Schedule::Smart,
            MadeBy::Spread => Schedule::Days(spread_days(&mut rng, options)),
        };
        let layout = Layout {
            schedule: &schedule,
            timing: &timing,
            attempts: options.attempts,
            window: options.window,
            gateways: setting.gateways,
        };
        let mut case = setting.model.case(seed, number);
        let known = case.clone();
        let subject = known.subject();
        let replay = replay(&subject, &mut case, &layout);
        let tries: Vec<_> =
            replay.tried.iter().map(|(category, day)| (subject.context(*category), *day)).collect();
        timing.learn_case(&tries, replay.end.unwrap_or(End::Barred));
    }
    timing
}

/// The days of a merchant that spreads its attempts at random over the window.
fn spread_days(rng: &mut Rng, options: &Options) -> Vec<u32> {
    let mut days: Vec<u32> = (1..=options.window).collect();
    rng.shuffle(&mut days);
    days.truncate(options.attempts as usize);
    days.sort_unstable();
    days
}

fn tuned_days(setting: &Setting, options: &Options) -> Vec<u32> {
    let seed = seed_of(2, options);
    let cases: Vec<_> = (0..TUNING_CASES).map(|n| setting.model.case(seed, n)).collect();
    tuned::best_days(options.attempts, options.window, |days| {
        let schedule = Schedule::Days(days.to_vec());
        let layout = Layout {
            schedule: &schedule,
            timing: &Timing::default(),
            attempts: options.attempts,
            window: options.window,
            gateways: setting.gateways,
        };
        let recovered = cases.iter().filter(|case| {
            replay(&case.subject(), &mut (*case).clone(), &layout).recovered.is_some()
        });
        recovered.count() as f64
    })
}
