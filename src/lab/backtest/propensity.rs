//! How the merchant's own routing chose, estimated from the log where the log does not say.
//!
//! Why here: without propensities no other routing can be judged. They are shares of gateways among
//! attempts that are alike in what the routing visibly went by; which facts those are is tested,
//! not assumed.
//!
//! What must stay true: learned from the training part only; no propensity of a gateway that occurs
//! in it is 0.

use std::collections::BTreeMap;

use super::log::Line;
use crate::core::learning::facts::{Cuts, Fact};

/// So many standard deviations above what chance gives: the routing went by this fact.
const CLEAR: f64 = 5.0;
/// Facts that groups are made by at most.
const FACTS: usize = 2;
/// How many attempts of all the log a group borrows.
const BORROWED: f64 = 10.0;

/// Shares of gateways by group.
#[derive(Debug, Clone)]
pub struct Propensities {
    cuts: Cuts,
    by: Vec<Fact>,
    overall: Vec<f64>,
    groups: BTreeMap<Vec<u8>, Vec<f64>>,
}

impl Propensities {
    /// Estimates from these lines, with the gateway of each as a number below `gateways`.
    pub fn estimate(lines: &[Line], chosen: &[usize], gateways: usize) -> Self {
        let cuts = Cuts::of(lines.iter().map(|line| &line.outcome.facts));
        let mut overall = vec![0.0; gateways];
        for gateway in chosen {
            overall[*gateway] += 1.0;
        }
        // What was tried at a gateway is a fact of the choice itself, not of the attempt.
        let facts = Fact::ALL.into_iter().filter(|fact| *fact != Fact::TriedHere);
        let tested = facts.map(|fact| {
            let tables =
                counts(lines, chosen, &|line| vec![cuts.bin(&line.outcome.facts)[fact as usize]]);
            (excess(&tables, &overall), fact)
        });
        let mut clear: Vec<_> = tested.filter(|(excess, _)| *excess > CLEAR).collect();
        clear.sort_by(|a, b| b.0.total_cmp(&a.0));
        let by: Vec<Fact> = clear.into_iter().take(FACTS).map(|(_, fact)| fact).collect();
        let groups = counts(lines, chosen, &|line| key(&cuts, &by, line));
        Self { cuts, by, overall, groups }
    }

    /// The probability of this gateway for an attempt like this one; 0: it never occurred.
    pub fn of(&self, line: &Line, gateway: usize) -> f64 {
        let all: f64 = self.overall.iter().sum();
        let overall = self.overall.get(gateway).copied().unwrap_or(0.0) / all.max(1.0);
        let Some(group) = self.groups.get(&key(&self.cuts, &self.by, line)) else {
            return overall;
        };
        let count = group.get(gateway).copied().unwrap_or(0.0);
        (count + BORROWED * overall) / (group.iter().sum::<f64>() + BORROWED)
    }

    /// By which facts the routing visibly chose.
    pub fn by(&self) -> String {
        let names = self.by.iter().map(|fact| match fact {
            Fact::Amount => "the amount",
            Fact::Hour => "the hour",
            Fact::Weekday => "the day of the week",
            Fact::Network => "the network",
            Fact::Country => "the country",
            Fact::Category => "the category",
            Fact::ThreeDs => "3-D Secure",
            Fact::Attempt => "the number of the attempt",
            Fact::TriedHere => "earlier declines",
        });
        names.collect::<Vec<_>>().join(" and ")
    }
}

fn key(cuts: &Cuts, by: &[Fact], line: &Line) -> Vec<u8> {
    let bins = cuts.bin(&line.outcome.facts);
    by.iter().map(|fact| bins[*fact as usize]).collect()
}

fn counts(
    lines: &[Line],
    chosen: &[usize],
    key: &dyn Fn(&Line) -> Vec<u8>,
) -> BTreeMap<Vec<u8>, Vec<f64>> {
    let gateways = chosen.iter().max().map_or(0, |max| max + 1);
    let mut groups = BTreeMap::new();
    for (line, gateway) in lines.iter().zip(chosen) {
        groups.entry(key(line)).or_insert_with(|| vec![0.0; gateways])[*gateway] += 1.0;
    }
    groups
}

/// Pearson's χ² of a table against the overall shares, in standard deviations above its mean.
fn excess(groups: &BTreeMap<Vec<u8>, Vec<f64>>, overall: &[f64]) -> f64 {
    let all: f64 = overall.iter().sum();
    let used = overall.iter().filter(|count| **count > 0.0).count();
    let freedom = (groups.len().saturating_sub(1) * used.saturating_sub(1)) as f64;
    let mut squares = 0.0;
    for group in groups.values() {
        let size: f64 = group.iter().sum();
        for (count, overall) in group.iter().zip(overall) {
            let expected = size * overall / all;
            if expected > 0.0 {
                squares += (count - expected).powi(2) / expected;
            }
        }
    }
    if freedom > 0.0 { (squares - freedom) / (2.0 * freedom).sqrt() } else { 0.0 }
}
