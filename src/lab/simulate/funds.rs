//! A simulation over a world file.
//!
//! Why here: what a world tells, and what a schedule may learn from it. A training world is known
//! in full, as a merchant knows cases that ended: which days opened, after which refusals. Without
//! one, only the customers' earlier charges teach, each once its day has come.
//!
//! What must stay true: nothing of a case's own `opens` reaches the choice of its days.

use std::collections::BTreeSet;

use super::replay::{self, Answer, Bank, Charging, Layout, Replay, Subject};
use super::tally::Tally;
use super::tuned;
use super::world::WorldCase;
use super::{Named, Options};
use crate::core::decline::Category;
use crate::core::learning::timing::{Context, End, Episode, Group, History, Timing, episodes};
use crate::core::policy::Schedule;
use jiff::ToSpan as _;
use jiff::civil::Date;

impl WorldCase {
    fn subject(&self) -> Subject<'_> {
        Subject {
            failed_on: self.failed_on,
            category: self.category,
            wait: None,
            past: &self.past,
            segment: 0,
        }
    }
}

/// The days of a world, as a bank.
struct Opens<'a>(&'a WorldCase);

impl Bank for Opens<'_> {
    fn charge(&mut self, ask: Charging) -> Answer {
        let opens = self.0.opens.get(ask.gateway).copied().unwrap_or_default();
        let open = ask.day < 64 && opens >> ask.day & 1 == 1;
        if open { Answer::Approved } else { Answer::Declined(self.0.category, None) }
    }

    fn card_changed_after(&self, _: u32) -> Option<u32> {
        None
    }
}

/// A schedule made ready: with its days found, or its counters filled.
pub(super) struct Ready {
    /// The schedule as the core knows it.
    pub(super) schedule: Schedule,
    timing: Timing,
    /// Without a training world: outcomes of the cases' own past, in the order of their dates.
    past: Vec<Ended>,
}

/// A declined bill of the past with its retries.
struct Ended {
    on: Date,
    tries: Vec<(Context, u32)>,
    end: End,
}

/// Learns what a schedule needs to know.
pub(super) fn ready(
    named: &Named,
    train: &[&WorldCase],
    world: &[&WorldCase],
    options: &Options,
) -> Ready {
    let mut ready = Ready { schedule: Schedule::Even, timing: Timing::default(), past: Vec::new() };
    match named {
        Named::Even => {}
        Named::Days(days) => ready.schedule = Schedule::Days(days.clone()),
        Named::Tuned => ready.schedule = Schedule::Days(tuned_days(train, options)),
        Named::Smart => {
            ready.schedule = Schedule::Smart;
            train.iter().for_each(|case| learn(&mut ready.timing, case));
            if train.is_empty() {
                ready.past = past_of(world);
            }
        }
    }
    ready
}

/// Plays all cases. `progress` is told how many are done.
pub(super) fn play(
    mut ready: Ready,
    world: &[&WorldCase],
    options: &Options,
    tally: &mut Tally,
    mut progress: impl FnMut(u64),
) {
    let mut order: Vec<_> = world.to_vec();
    order.sort_by(|a, b| (a.failed_on, &a.case).cmp(&(b.failed_on, &b.case)));
    let mut known = 0;
    for case in order {
        while let Some(ended) = ready.past.get(known).filter(|ended| ended.on < case.failed_on) {
            ready.timing.learn_case(&ended.tries, ended.end);
            known += 1;
        }
        let replay = play_one(case, &ready.schedule, &ready.timing, options);
        tally.add(&case.group, &case.customer, &replay);
        progress(tally.all.cases);
    }
}

fn play_one(case: &WorldCase, schedule: &Schedule, timing: &Timing, options: &Options) -> Replay {
    let layout = Layout {
        schedule,
        timing,
        attempts: options.attempts,
        window: options.window,
        gateways: case.opens.len(),
    };
    replay::replay(&case.subject(), &mut Opens(case), &layout)
}

/// What a case that has ended teaches: after a refusal on any day, which later days opened.
fn learn(timing: &mut Timing, case: &WorldCase) {
    let context = case.subject().context(case.category);
    // With several gateways in turn a day counts as open when the first that is tried opens.
    let first = 1 % case.opens.len().max(1);
    let opens = case.opens.get(first).copied().unwrap_or_default();
    timing.learn_known(&context, |day| opens >> day & 1 == 1);
}

/// What the customers' earlier charges teach, by date. Charges that several cases tell count once.
fn past_of(world: &[&WorldCase]) -> Vec<Ended> {
    let mut seen = BTreeSet::new();
    let mut ended = Vec::new();
    for case in world {
        for Episode { failed_on, tries } in episodes(&case.past) {
            if tries.is_empty() || !seen.insert((&case.customer, failed_on, tries.clone())) {
                continue;
            }
            let history = History::of(&case.past, failed_on);
            let group = Group::of(case.category);
            let context = Context { group, failed_on, history, segment: 0 };
            let last = tries.last().copied().unwrap_or_default();
            ended.push(Ended {
                on: failed_on.saturating_add(i64::from(last.0).days()),
                tries: tries.iter().map(|(day, _)| (context, *day)).collect(),
                end: if last.1 { End::Approved } else { End::Declined },
            });
        }
    }
    ended.sort_by_key(|ended| ended.on);
    ended
}

fn tuned_days(train: &[&WorldCase], options: &Options) -> Vec<u32> {
    let retried = |case: &&&WorldCase| may_be_retried(case.category);
    let train: Vec<_> = train.iter().filter(retried).map(|case| &case.opens).collect();
    tuned::best_days(options.attempts, options.window, |days| {
        let opens = |opens: &[u64]| {
            let gateways = opens.len().max(1);
            let tries = days.iter().enumerate();
            tries.into_iter().any(|(n, day)| {
                opens.get((n + 1) % gateways).is_some_and(|opens| opens >> day & 1 == 1)
            })
        };
        train.iter().filter(|case| opens(case)).count() as f64
    })
}

fn may_be_retried(category: Category) -> bool {
    use crate::core::decline::{RetryMode, policy};
    matches!(policy(category).retry, RetryMode::Schedule | RetryMode::Soon)
}
