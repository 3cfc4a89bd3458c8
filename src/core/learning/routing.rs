//! What was learned about gateways: counters that shrink to their parents, the trees, the health.
//!
//! Why here: where the next attempt goes is decided by what past outcomes say, and this is all that
//! is kept of them: counts by gateway, gateway × network, gateway × network × country and category;
//! a forest for each gateway with enough outcomes; and each gateway's health. No customer, no card
//! and no case is in it.
//!
//! What must stay true: a record carries its version; merging two records of counts is adding; a
//! count loses half its weight in [`HALF_LIFE`]; estimates are finite and strictly between 0 and 1;
//! the record stays below a mebibyte, whatever is learned.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::facts::{Cuts, Facts};
use super::health::Health;
pub use super::outcome::{Answer, Outcome};
use super::trees::{Forest, Row, Settings};
use super::{Relearn, priors};
use crate::core::ids::GatewayId;

/// The version of [`Routing`].
pub const VERSION: u32 = 1;
/// After how long a count weighs half: what holds still is worth remembering.
pub const HALF_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Groups by country and category at most; beyond it the lightest goes.
const GROUPS: usize = 6_000;
/// Groups by network of a gateway at most, and gateways.
const BROAD_GROUPS: usize = 32;
/// The newest outcomes, which the trees are grown from: so many are kept one by one.
pub const RECENT: u64 = 5_000;
/// After how many outcomes the record is kept whole; between, each outcome is kept by itself.
const KEPT_EVERY: u64 = 256;
/// After how many outcomes the trees are grown anew: a tenth of all, within these bounds.
const GROWN_EVERY: (u64, u64) = (256, 2_000);
/// Below this health an outcome teaches less of the gateway's lasting rate.
const UNWELL: f64 = 0.8;

/// What an attempt is expected to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The probability of an approval, strictly between 0 and 1.
    pub p: f64,
    /// How many outcomes that rests on.
    pub weight: f64,
}

impl Estimate {
    /// The standard deviation of the probability.
    pub fn spread(self) -> f64 {
        (self.p * (1.0 - self.p) / (self.weight.max(0.0) + 1.0)).sqrt()
    }
}

/// Approvals and declines. Their weights grow with the moment they are of, so that adding needs no
/// clock and old counts need no sweep.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Cell {
    #[serde(with = "super::exact")]
    approved: f64,
    #[serde(with = "super::exact")]
    declined: f64,
}

impl Cell {
    fn add(&mut self, other: Self) {
        self.approved += other.approved;
        self.declined += other.declined;
    }

    fn total(self) -> f64 {
        self.approved + self.declined
    }

    /// The estimate of a group whose parent is estimated as `parent`.
    fn under(self, parent: Estimate, scale: f64) -> Estimate {
        let borrowed = parent.weight.min(priors::level());
        let (approved, total) = (self.approved / scale, self.total() / scale);
        let weight = total + borrowed;
        let p = (approved + borrowed * parent.p) / weight;
        // Counts from a damaged record teach nothing.
        if p.is_finite() && weight.is_finite() { Estimate { p, weight } } else { parent }
    }
}

/// How much a count of this moment weighs, in the units that counts are kept in.
fn scale(at: Timestamp) -> f64 {
    /// 2020-01-01: no outcome is older.
    const FROM: i64 = 1_577_836_800;
    let age = (at.as_second() - FROM) as f64 / HALF_LIFE.as_secs_f64();
    2.0_f64.powf(age.clamp(-60.0, 500.0))
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct OfNetwork {
    all: Cell,
    /// By country and category.
    groups: BTreeMap<String, Cell>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct OfGateway {
    all: Cell,
    networks: BTreeMap<String, OfNetwork>,
}

/// The trees, and where they cut the facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Model {
    /// The newest outcome that it was grown from.
    until: Timestamp,
    /// How many it was grown from.
    outcomes: u64,
    cuts: Cuts,
    forests: BTreeMap<GatewayId, Forest>,
}

/// Everything that was learned about gateways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// [`VERSION`].
    version: u32,
    gateways: BTreeMap<GatewayId, OfGateway>,
    health: BTreeMap<GatewayId, Health>,
    model: Option<Model>,
    /// How many outcomes taught it, one by one: the number of the next.
    #[serde(default)]
    taught: u64,
    /// How many of them it held when it was last kept whole.
    #[serde(default)]
    kept: u64,
    /// How many of them there were when the trees were last grown.
    #[serde(default)]
    grown_at: u64,
    /// The first outcome that the trees may grow from: those before were told to be forgotten.
    #[serde(default)]
    since: u64,
}

impl Default for Routing {
    fn default() -> Self {
        let (gateways, health) = (BTreeMap::new(), BTreeMap::new());
        let (taught, kept, grown_at, since) = (0, 0, 0, 0);
        Self { version: VERSION, gateways, health, model: None, taught, kept, grown_at, since }
    }
}

impl Routing {
    /// Learns from the next outcome; gives its number.
    pub fn teach(&mut self, outcome: &Outcome) -> u64 {
        self.observe(outcome);
        self.taught += 1;
        self.taught - 1
    }

    /// How many outcomes taught it, one by one.
    pub fn taught(&self) -> u64 {
        self.taught
    }

    /// Whether nothing is in it.
    pub fn is_untaught(&self) -> bool {
        *self == Self::default()
    }

    /// Whether so many outcomes came since it was last kept whole that it is to be kept again.
    pub fn is_to_be_kept(&self) -> bool {
        self.taught - self.kept.min(self.taught) >= KEPT_EVERY
    }

    /// Whether so many outcomes came since the trees were grown that they are to be grown anew.
    fn is_to_be_grown(&self) -> bool {
        let every = (self.grown_at / 10).clamp(GROWN_EVERY.0, GROWN_EVERY.1);
        self.taught - self.grown_at.min(self.taught) >= every
    }

    /// Makes it ready to be kept whole. `recent` are the newest outcomes, oldest first, up to
    /// [`RECENT`] of them; the trees are grown from these where it is time.
    pub fn keep(&mut self, recent: &[Outcome]) {
        self.kept = self.taught;
        if self.is_to_be_grown() {
            self.grown_at = self.taught;
            let from = recent.len().saturating_sub(RECENT as usize);
            self.refit(&recent[from..], &Settings::default());
        }
    }

    /// The number of the oldest outcome that is still needed.
    pub fn oldest_needed(&self) -> u64 {
        self.taught.saturating_sub(RECENT).max(self.since)
    }

    /// Goes on with the numbers of the record whose place it takes: outcomes are kept by them.
    pub fn go_on_from(&mut self, own: &Self, change: &Relearn) {
        (self.taught, self.kept, self.grown_at) = (own.taught, own.taught, own.taught);
        self.since = match change {
            Relearn::Merge(_) => own.since,
            Relearn::Replace(_) | Relearn::Reset => own.taught,
        };
    }

    /// Whether it could have been learned: a record from elsewhere may say anything.
    pub fn is_sound(&self) -> bool {
        let count = |cell: &Cell| {
            [cell.approved, cell.declined].iter().all(|count| count.is_finite() && *count >= 0.0)
        };
        let of_network =
            |network: &OfNetwork| count(&network.all) && network.groups.values().all(count);
        let of_gateway = |own: &OfGateway| count(&own.all) && own.networks.values().all(of_network);
        self.is_understood() && self.gateways.values().all(of_gateway)
    }

    /// Learns from one outcome.
    pub fn observe(&mut self, outcome: &Outcome) {
        let known = self.gateways.contains_key(&outcome.gateway);
        if !known && self.gateways.len() >= BROAD_GROUPS {
            return;
        }
        let expected = self.estimate(&outcome.gateway, &outcome.facts, outcome.at).p;
        let health = self.health.entry(outcome.gateway.clone()).or_default();
        let factor = health.factor(outcome.at);
        // During an outage a decline says little of what the gateway approves afterwards.
        let share = if factor < UNWELL { factor * factor } else { 1.0 };
        let weight = scale(outcome.at) * share;
        let cell = match outcome.answer {
            Answer::Technical => return health.failed(expected, outcome.at),
            Answer::Approved => Cell { approved: weight, declined: 0.0 },
            Answer::Declined => Cell { approved: 0.0, declined: weight },
        };
        health.answered(outcome.answer == Answer::Approved, expected, outcome.at);
        self.count(&outcome.gateway, &outcome.facts, cell);
    }

    fn count(&mut self, gateway: &GatewayId, facts: &Facts, cell: Cell) {
        let own = self.gateways.entry(gateway.clone()).or_default();
        own.all.add(cell);
        let network = facts.network.as_deref().unwrap_or_default();
        if own.networks.len() >= BROAD_GROUPS && !own.networks.contains_key(network) {
            return;
        }
        let of_network = own.networks.entry(network.to_owned()).or_default();
        of_network.all.add(cell);
        let group = of_network.groups.entry(group(facts)).or_default();
        let is_new = group.total() == 0.0;
        group.add(cell);
        if is_new {
            self.drop_the_lightest();
        }
    }

    fn drop_the_lightest(&mut self) {
        while self.groups() > GROUPS {
            let all = self.gateways.values_mut().flat_map(|own| own.networks.values_mut());
            let by_weight =
                |a: &(&String, &Cell), b: &(&String, &Cell)| a.1.total().total_cmp(&b.1.total());
            let lightest = all.filter_map(|network| {
                let (name, cell) = network.groups.iter().min_by(by_weight)?;
                Some((cell.total(), name.clone(), network))
            });
            let lightest = lightest.min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((_, name, network)) = lightest else { return };
            network.groups.remove(&name);
        }
    }

    fn groups(&self) -> usize {
        let networks = self.gateways.values().flat_map(|own| own.networks.values());
        networks.map(|network| network.groups.len()).sum()
    }

    /// What an attempt with these facts is expected to do at this gateway, its health aside.
    pub fn estimate(&self, gateway: &GatewayId, facts: &Facts, now: Timestamp) -> Estimate {
        let forest = self.model.as_ref().and_then(|m| Some((m, m.forests.get(gateway)?)));
        match forest {
            Some((model, forest)) => forest.predict(&model.cuts.bin(facts)),
            None => self.by_counts(gateway, facts, now),
        }
    }

    /// The same by the counters alone.
    fn by_counts(&self, gateway: &GatewayId, facts: &Facts, now: Timestamp) -> Estimate {
        let scale = scale(now);
        let root = Estimate { p: priors::approval(facts), weight: priors::weight() };
        let mut estimate = root;
        if let Some(own) = self.gateways.get(gateway) {
            estimate = own.all.under(estimate, scale);
            let network = own.networks.get(facts.network.as_deref().unwrap_or_default());
            if let Some(network) = network {
                estimate = network.all.under(estimate, scale);
                if let Some(cell) = network.groups.get(&group(facts)) {
                    estimate = cell.under(estimate, scale);
                }
            }
        }
        let p = estimate.p * priors::tried_here(facts.tried_here);
        Estimate { p: p.clamp(1e-3, 1.0 - 1e-3), ..estimate }
    }

    /// How a gateway does lately.
    pub fn health(&self, gateway: &GatewayId) -> Health {
        self.health.get(gateway).copied().unwrap_or_default()
    }

    /// Forgets how the gateways did lately. What is learned of them stays.
    pub fn forget_health(&mut self) {
        self.health.clear();
    }

    /// Grows the trees anew from these outcomes, which are in the order of their time. Gateways
    /// whose outcomes are few, or where the facts say nothing, are left to the counters.
    pub fn refit(&mut self, outcomes: &[Outcome], settings: &Settings) {
        let answered = outcomes.iter().filter(|outcome| outcome.answer != Answer::Technical);
        let cuts = Cuts::of(answered.clone().map(|outcome| &outcome.facts));
        let mut rows = BTreeMap::<&GatewayId, Vec<Row>>::new();
        for outcome in answered {
            let approved = outcome.answer == Answer::Approved;
            let row = Row { bins: cuts.bin(&outcome.facts), approved };
            rows.entry(&outcome.gateway).or_default().push(row);
        }
        let grown = rows.into_iter().take(BROAD_GROUPS);
        let forests: BTreeMap<_, _> = grown
            .filter_map(|(gateway, rows)| Some((gateway.clone(), Forest::grow(&rows, settings)?)))
            .collect();
        let until = outcomes.iter().map(|outcome| outcome.at).max();
        self.model = until.filter(|_| !forests.is_empty()).map(|until| Model {
            until,
            outcomes: outcomes.len() as u64,
            cuts,
            forests,
        });
    }

    /// The gateways that have trees.
    pub fn grown(&self) -> Vec<&GatewayId> {
        self.model.iter().flat_map(|model| model.forests.keys()).collect()
    }

    /// Takes in what another record learned: counts are added, of the rest the later one holds.
    pub fn merge(&mut self, other: &Self) {
        for (gateway, theirs) in &other.gateways {
            let own = self.gateways.entry(gateway.clone()).or_default();
            own.all.add(theirs.all);
            for (network, theirs) in &theirs.networks {
                let own = own.networks.entry(network.clone()).or_default();
                own.all.add(theirs.all);
                for (group, theirs) in &theirs.groups {
                    own.groups.entry(group.clone()).or_default().add(*theirs);
                }
            }
        }
        self.drop_the_lightest();
        for (gateway, theirs) in &other.health {
            let own = self.health.entry(gateway.clone()).or_default();
            *own = own.merged(*theirs);
        }
        let order = |model: &Option<Model>| {
            let text = serde_json::to_string(model).unwrap_or_default();
            (model.as_ref().map(|model| (model.until, model.outcomes)), text)
        };
        if other.model != self.model && order(&other.model) > order(&self.model) {
            self.model.clone_from(&other.model);
        }
    }

    /// How many outcomes are counted at this gateway, the older the less.
    pub fn weight(&self, gateway: &GatewayId, now: Timestamp) -> f64 {
        self.gateways.get(gateway).map_or(0.0, |own| own.all.total() / scale(now))
    }

    /// Whether this program understands the record.
    pub fn is_understood(&self) -> bool {
        self.version == VERSION
    }
}

/// The narrowest group of an outcome within its gateway and network.
fn group(facts: &Facts) -> String {
    let country = facts.country.as_deref().unwrap_or_default();
    let category = facts.category.and_then(|own| serde_json::to_value(own).ok());
    let category = category.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
    format!("{country} {category}")
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
