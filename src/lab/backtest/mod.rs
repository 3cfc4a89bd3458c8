//! `backtest`: what would another routing have earned?
//!
//! Why here: nobody should trust a learned routing because it is learned. The first part of a
//! merchant's own log is learned from; on the rest the merchant's own routing, each gateway alone,
//! and ours are compared, with intervals and how much evidence that is.
//!
//! What must stay true: nothing after the training date is learned from; what is judged is the
//! production core (`core::learning`, `core::routing`), no copy of it; the same log and seed give
//! the same report.

use jiff::Timestamp;
use serde::Serialize;

pub mod cold;
pub mod estimate;
pub mod fees;
pub mod log;
pub mod propensity;

use estimate::{Interval, Seen, Sums, Trial};
use log::{Line, Log};
use propensity::Propensities;

use crate::core::ids::GatewayId;
use crate::core::learning::facts::Facts;
use crate::core::learning::routing::{Answer, Outcome, Routing};
use crate::core::learning::trees::Settings;
use crate::core::routing::evidence::{Evidence, Exploring, FLOOR, Weighed, weigh};
use crate::core::worth::Fees;

/// Resamples of the invoices.
const RESAMPLES: usize = 1_000;
/// Evenly weighed attempts below which nothing is concluded.
const ENOUGH: f64 = 1_000.0;

/// What to compare.
#[derive(Debug, Clone)]
pub struct BacktestOptions {
    /// What the gateways take.
    pub fees: Fees,
    /// What an approval is worth, in ten-thousandths.
    pub value: i64,
    /// Attempts before it are learned from, the others judged.
    pub train_until: Timestamp,
    /// Of the resamples.
    pub seed: u64,
}

/// Why nothing can be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BacktestError {
    /// Nothing to learn from.
    #[error("find an attempt before {0} to learn from")]
    NothingToLearn(Timestamp),
    /// Nothing to judge.
    #[error("find an attempt from {0} on to judge")]
    NothingToJudge(Timestamp),
}

/// One policy, judged. Margins are in the log's own currency, for each attempt.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// `logged`, `ours`, `ours_exploring` or the gateway that is always taken.
    pub policy: String,
    /// Margin an attempt by self-normalized inverse propensities.
    pub snips: Interval,
    /// Margin an attempt by the doubly-robust estimate.
    pub dr: Interval,
    /// The share that is approved, by the same weights as `snips`.
    pub success: Interval,
    /// Effective sample size.
    pub ess: f64,
}

/// By how much ours is above another policy; paired.
#[derive(Debug, Clone, Serialize)]
pub struct Above {
    /// Which.
    pub policy: String,
    /// By self-normalized inverse propensities.
    pub snips: Interval,
    /// By the doubly-robust estimate.
    pub dr: Interval,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct BacktestReport {
    /// Attempts that were learned from.
    pub trained: usize,
    /// Attempts that were judged.
    pub judged: usize,
    /// Invoices of those.
    pub invoices: usize,
    /// Bad lines that were left out.
    pub left_out: usize,
    /// What an approval was taken to be worth.
    pub value: f64,
    /// Every policy: the logged one, each gateway alone, ours.
    pub policies: Vec<Judged>,
    /// Ours above the best single gateway, known only afterwards, and above the logged routing.
    pub ours_above: Vec<Above>,
    /// Whether the evidence suffices to prefer ours.
    pub suffices: bool,
    /// The same in one plain sentence.
    pub verdict: String,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// Compares the policies. `progress` is told what is being done.
pub fn run(
    log: &Log,
    options: &BacktestOptions,
    mut progress: impl FnMut(&str),
) -> Result<BacktestReport, BacktestError> {
    let until = options.train_until;
    let cut = log.lines.partition_point(|line| line.outcome.at < until);
    let (train, rest) = log.lines.split_at(cut);
    if train.is_empty() {
        return Err(BacktestError::NothingToLearn(until));
    }
    progress("learning");
    let outcomes: Vec<Outcome> = train.iter().map(|line| line.outcome.clone()).collect();
    let court = Court::new(log, train, options, learn(&outcomes));
    let judged: Vec<&Line> = rest.iter().filter(|line| court.propensity(line) > 0.0).collect();
    if judged.is_empty() {
        return Err(BacktestError::NothingToJudge(until));
    }
    progress("judging");
    let names = court.names();
    let sums = court.sums(&judged);
    let invoices = sums.first().map_or(0, Vec::len);
    progress("resampling invoices");
    let trial = Trial::new(sums, RESAMPLES, &mut fastrand::Rng::with_seed(options.seed));
    progress("");
    let mut report = Reporting { trial, names }.report();
    report.notes = log.notes.clone();
    report.notes.extend(court.notes(rest.len() - judged.len()));
    (report.trained, report.judged, report.invoices) = (train.len(), judged.len(), invoices);
    (report.left_out, report.value) = (log.bad.len(), fees::shown(options.value as f64));
    Ok(report)
}

/// What production knows after these outcomes.
pub fn learn(outcomes: &[Outcome]) -> Routing {
    let mut learned = Routing::default();
    outcomes.iter().for_each(|outcome| learned.observe(outcome));
    learned.refit(outcomes, &Settings::default());
    learned
}

/// Everything that policies are judged by.
struct Court<'a> {
    log: &'a Log,
    options: &'a BacktestOptions,
    learned: Routing,
    propensities: Propensities,
    /// Gateways with outcomes to learn from.
    known: Vec<usize>,
}

impl<'a> Court<'a> {
    fn new(log: &'a Log, train: &[Line], options: &'a BacktestOptions, learned: Routing) -> Self {
        let chosen: Vec<usize> = train.iter().map(|line| place(log, line)).collect();
        let propensities = Propensities::estimate(train, &chosen, log.gateways.len());
        let known = (0..log.gateways.len()).filter(|at| chosen.contains(at)).collect();
        Self { log, options, learned, propensities, known }
    }

    /// The policies in their order: logged, each gateway, ours, ours with exploration.
    fn names(&self) -> Vec<String> {
        let mut names = vec!["logged".to_owned()];
        names.extend(self.known.iter().map(|at| self.log.gateways[*at].to_string()));
        names.extend(["ours".to_owned(), "ours_exploring".to_owned()]);
        names
    }

    fn propensity(&self, line: &Line) -> f64 {
        let own = place(self.log, line);
        if !self.known.contains(&own) {
            return 0.0;
        }
        line.propensity.unwrap_or_else(|| self.propensities.of(line, own))
    }

    /// Sums by policy and invoice.
    fn sums(&self, lines: &[&Line]) -> Vec<Vec<Sums>> {
        let mut places = vec![usize::MAX; self.log.invoices];
        let mut sums = vec![Vec::new(); self.known.len() + 3];
        for line in lines {
            let place = &mut places[line.invoice];
            if *place == usize::MAX {
                *place = sums[0].len();
                sums.iter_mut().for_each(|policy| policy.push(Sums::default()));
            }
            for (policy, seen) in sums.iter_mut().zip(self.seen(line)) {
                policy[*place].add(&seen);
            }
        }
        sums
    }

    /// One attempt, as each policy sees it.
    fn seen(&self, line: &Line) -> Vec<Seen> {
        let own = place(self.log, line);
        let own = self.known.iter().position(|at| *at == own).unwrap_or(0);
        let propensity = self.propensity(line);
        let sharp = self.weighed(line, Exploring::No);
        let exploring = self.weighed(line, Exploring::Floor(FLOOR));
        let values: Vec<f64> = sharp.iter().map(|one| one.value as f64).collect();
        let reward = reward(&self.options.fees, line, self.options.value) as f64;
        let approved = f64::from(u8::from(line.outcome.answer == Answer::Approved));
        let seen =
            |weight, expected| Seen { weight, reward, approved, expected, predicted: values[own] };
        let of = |chances: &[f64]| {
            let expected = chances.iter().zip(&values).map(|(chance, value)| chance * value).sum();
            seen(chances[own] / propensity, expected)
        };
        let mut all = vec![seen(1.0, values[own])];
        all.extend((0..self.known.len()).map(|at| {
            of(&(0..self.known.len())
                .map(|other| f64::from(u8::from(other == at)))
                .collect::<Vec<_>>())
        }));
        all.extend(
            [&sharp, &exploring]
                .map(|weighed| of(&weighed.iter().map(|one| one.propensity).collect::<Vec<_>>())),
        );
        all
    }

    /// What production makes of this attempt.
    fn weighed(&self, line: &Line, exploring: Exploring) -> Vec<Weighed> {
        let facts: Vec<Facts> = self
            .known
            .iter()
            .map(|at| Facts { tried_here: line.earlier[*at], ..line.outcome.facts.clone() })
            .collect();
        let evidence = Evidence {
            learned: &self.learned,
            facts: &line.outcome.facts,
            fees: &self.options.fees,
            worth: Some(self.options.value),
            exploring,
            draw: 0,
        };
        let gateways = self.known.iter().map(|at| &self.log.gateways[*at]).zip(&facts);
        weigh(gateways, self.options.value, line.outcome.at, &evidence)
    }

    fn notes(&self, unweighed: usize) -> Vec<String> {
        let mut notes = Vec::new();
        if unweighed > 0 {
            notes.push(format!(
                "{unweighed} attempts went through gateways that the training part does not have; \
                 they were not judged."
            ));
        }
        let silent: Vec<&str> = self.options.fees.keys().map(GatewayId::as_str).collect();
        let silent = silent
            .into_iter()
            .filter(|name| !self.known.iter().any(|at| self.log.gateways[*at].as_str() == *name));
        let silent: Vec<_> = silent.collect();
        if !silent.is_empty() {
            let names = silent.join(", ");
            notes.push(format!("Without an attempt to learn from, and not judged: {names}."));
        }
        let by = self.propensities.by();
        let by = if by.is_empty() { "nothing that the log shows".to_owned() } else { by };
        notes
            .push(format!("Propensities not in the log are shares of the training part, by {by}."));
        let grown = self.learned.grown();
        let grown: Vec<&str> = grown.iter().map(|gateway| gateway.as_str()).collect();
        notes.push(match grown.is_empty() {
            true => "No gateway has outcomes that trees predict better than counts.".to_owned(),
            false => format!("Predicted by trees, the others by counts: {}.", grown.join(", ")),
        });
        notes
    }
}

/// Which of the log's gateways an attempt went through.
fn place(log: &Log, line: &Line) -> usize {
    log.gateways.binary_search(&line.outcome.gateway).unwrap_or(usize::MAX)
}

/// What an attempt left, in ten-thousandths.
fn reward(fees: &Fees, line: &Line, value: i64) -> i64 {
    let fee = fees.get(&line.outcome.gateway).copied().unwrap_or_default();
    match line.outcome.answer {
        Answer::Approved => fee.gain(value),
        Answer::Declined | Answer::Technical => -fee.loss(),
    }
}

struct Reporting {
    trial: Trial,
    names: Vec<String>,
}

impl Reporting {
    fn report(&self) -> BacktestReport {
        let ours = self.names.len() - 2;
        let singles = 1..ours;
        let snips = |at: &usize| self.trial.total(*at).snips();
        let best = singles.max_by(|a, b| snips(a).total_cmp(&snips(b))).unwrap_or(0);
        let ours_above = vec![self.above(ours, best), self.above(ours, 0)];
        let effective = self.trial.total(ours).effective();
        let (suffices, verdict) = verdict(effective, &ours_above[0]);
        BacktestReport {
            trained: 0,
            judged: 0,
            invoices: 0,
            left_out: 0,
            value: 0.0,
            policies: (0..self.names.len()).map(|at| self.judged(at)).collect(),
            ours_above,
            suffices,
            verdict,
            notes: Vec::new(),
        }
    }

    fn judged(&self, at: usize) -> Judged {
        Judged {
            policy: self.names[at].clone(),
            snips: self.trial.figure(at, Sums::snips).map(fees::shown),
            dr: self.trial.figure(at, Sums::robust).map(fees::shown),
            success: self.trial.figure(at, Sums::success),
            ess: self.trial.total(at).effective(),
        }
    }

    fn above(&self, ours: usize, other: usize) -> Above {
        Above {
            policy: self.names[other].clone(),
            snips: self.trial.above(ours, other, Sums::snips).map(fees::shown),
            dr: self.trial.above(ours, other, Sums::robust).map(fees::shown),
        }
    }
}

/// Whether ours may be preferred to the best single gateway.
fn verdict(effective: f64, above: &Above) -> (bool, String) {
    let low = above.snips.low.min(above.dr.low);
    let (best, by) = (&above.policy, above.snips.estimate);
    if effective < ENOUGH {
        let verdict = format!(
            "The evidence does not suffice: ours would have chosen as the log did in too few \
             attempts (effectively {effective:.0}, {ENOUGH:.0} are wanted)."
        );
        return (false, verdict);
    }
    if low <= 0.0 {
        let verdict = format!(
            "The evidence does not suffice: ours is {by:.2} an attempt above always taking {best}, \
             and that may be chance."
        );
        return (false, verdict);
    }
    let verdict = format!(
        "The evidence suffices: ours leaves {by:.2} more an attempt than always taking {best}, the \
         best single gateway, and at least {low:.2} more with 97.5 % certainty."
    );
    (true, verdict)
}
