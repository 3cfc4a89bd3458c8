//! Choosing by what was learned: probability, value and chance of each gateway that is open.
//!
//! Why here: [`super::choose`] applies the rules; what they leave open is weighed here. The lab's
//! backtest asks [`weigh`] too, so that what it measures is what production does.
//!
//! What must stay true: the chances of one choice sum to 1; whatever is chosen had a chance; a
//! gateway that is not worth its fees has none.

use jiff::Timestamp;

use super::{Candidate, Choice, opened};
use crate::core::ids::GatewayId;
use crate::core::learning::chance::{self, Guess};
use crate::core::learning::facts::Facts;
use crate::core::learning::health::Gate;
use crate::core::learning::routing::Routing;
use crate::core::ledger::{Considered, Share};
use crate::core::money::Money;
use crate::core::worth::{Fees, PARTS};

/// How much is left to chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exploring {
    /// Nothing: the best estimate is taken. For questions of what would have been.
    No,
    /// Nothing, and no estimate is followed: of those that are worth it the least tried goes first.
    Order,
    /// Each gateway as often as it is the best by all that is known (Thompson sampling), and each
    /// at least its share of this floor.
    Floor(f64),
}

/// How often all gateways together are asked for the sake of learning.
pub const FLOOR: f64 = 0.05;
/// How often those are asked that failed until lately, where others are open: with ten attempts a
/// day one is asked every other day, and closes for hours when it fails. Assumed.
const PROBED: f64 = 0.1;
/// Outcomes of the open gateways together, below which the least tried goes first: that asks all
/// of them, and is what is known to be good when nothing else is.
const ENOUGH: f64 = 20.0;

/// What the choice may rest on besides the rules.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was learned.
    pub learned: &'a Routing,
    /// What is known of this attempt; network, country and tries are the candidates' own.
    pub facts: &'a Facts,
    /// What the gateways take. One that is not in it takes nothing.
    pub fees: &'a Fees,
    /// What an approval is worth, in hundredths of the minor unit; `None`: the amount.
    pub worth: Option<i64>,
    /// How much is left to chance.
    pub exploring: Exploring,
    /// What decides among chances: any number, drawn by the caller.
    pub draw: u64,
}

/// A gateway that was weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// Which.
    pub gateway: GatewayId,
    /// The probability of an approval, its health included.
    pub p: f64,
    /// What the attempt is expected to leave, in hundredths of the minor unit.
    pub value: i64,
    /// With which probability it is chosen.
    pub propensity: f64,
    /// How uncertain the value is, likewise.
    spread: f64,
    /// Only probed after a failure.
    probe: bool,
}

/// Weighs gateways for attempts that are worth `worth` when approved. All propensities are 0 where
/// no gateway is worth its fees.
pub fn weigh<'f>(
    gateways: impl Iterator<Item = (&'f GatewayId, &'f Facts)>,
    worth: i64,
    now: Timestamp,
    evidence: &Evidence<'_>,
) -> Vec<Weighed> {
    let mut weighed: Vec<_> = gateways
        .map(|(gateway, facts)| {
            let estimate = evidence.learned.estimate(gateway, facts, now);
            let health = evidence.learned.health(gateway);
            let p = (estimate.p * health.factor(now)).clamp(1e-3, 1.0 - 1e-3);
            let fee = evidence.fees.get(gateway).copied().unwrap_or_default();
            Weighed {
                gateway: gateway.clone(),
                p,
                value: fee.expected(worth, p),
                propensity: 0.0,
                spread: estimate.spread() * (fee.gain(worth).saturating_add(fee.loss())) as f64,
                probe: health.gate(now) == Gate::Probe,
            }
        })
        .collect();
    set_propensities(&mut weighed, evidence.exploring);
    weighed
}

fn set_propensities(weighed: &mut [Weighed], exploring: Exploring) {
    let Some(best) = best_of(weighed).filter(|best| weighed[*best].value > 0) else { return };
    let Exploring::Floor(floor) = exploring else {
        weighed[best].propensity = 1.0;
        return;
    };
    // What is likely a loss is not worth learning more about.
    let maybe = |one: &Weighed| one.value as f64 + one.spread > 0.0;
    let places: Vec<usize> = (0..weighed.len()).filter(|at| maybe(&weighed[*at])).collect();
    let all_probes = places.iter().all(|at| weighed[*at].probe);
    let guesses: Vec<Guess> = places
        .iter()
        .map(|at| Guess { mean: weighed[*at].value as f64, spread: weighed[*at].spread })
        .collect();
    let mut chances = chance::of_being_best(&guesses);
    if !all_probes {
        let probes: Vec<bool> = places.iter().map(|at| weighed[*at].probe).collect();
        set_probes(&mut chances, &probes);
    }
    for (at, propensity) in places.iter().zip(chance::with_floor(&chances, floor)) {
        weighed[*at].propensity = propensity;
    }
}

/// A gateway that failed until lately is asked for the sake of learning only; but that soon, also
/// where attempts are few. Each that fails closes it again, and for longer.
fn set_probes(chances: &mut [f64], probes: &[bool]) {
    let count = probes.iter().filter(|probe| **probe).count();
    if count == 0 {
        return;
    }
    let others: f64 = chances.iter().zip(probes).filter(|(_, p)| !**p).map(|(c, _)| *c).sum();
    for (chance, probe) in chances.iter_mut().zip(probes) {
        *chance = match probe {
            true => PROBED / count as f64,
            false => *chance / others.max(f64::MIN_POSITIVE) * (1.0 - PROBED),
        };
    }
}

/// The most valuable one; a probe only where there is nothing else, among equals the first.
fn best_of(weighed: &[Weighed]) -> Option<usize> {
    let order = |at: &usize| (!weighed[*at].probe, weighed[*at].value, std::cmp::Reverse(*at));
    (0..weighed.len()).max_by_key(order)
}

/// Chooses among the candidates that the rules leave open, with how many attempts the limits leave
/// to each. `considered` has the others.
pub(super) fn choose(
    open: &[(&Candidate<'_>, u32)],
    mut considered: Vec<Considered>,
    (amount, now): (Money, Timestamp),
    evidence: &Evidence<'_>,
) -> Choice {
    let all = open.len() + considered.len();
    // After a technical failure not the one that just failed, where there is another.
    let all_failed = open.iter().all(|(candidate, _)| candidate.failed_last);
    let (fresh, failed): (Vec<_>, Vec<_>) =
        open.iter().copied().partition(|(candidate, _)| all_failed || !candidate.failed_last);
    let facts: Vec<Facts> =
        fresh.iter().map(|(candidate, _)| facts_of(candidate, evidence.facts)).collect();
    let worth = evidence.worth.unwrap_or(amount.minor.saturating_mul(PARTS));
    let gateways = fresh.iter().map(|(candidate, _)| &candidate.route.gateway).zip(&facts);
    let mut weighed = weigh(gateways, worth, now, evidence);
    let by_order = goes_by_order(&weighed, now, evidence);
    if by_order {
        least_tried(&fresh, &mut weighed);
    }
    let best = best_of(&weighed).filter(|best| weighed[*best].value > 0);
    let propensities: Vec<f64> = weighed.iter().map(|one| one.propensity).collect();
    let taken = best.map(|_| chance::take(&propensities, evidence.draw));
    let own = fresh.iter().zip(&weighed).enumerate().map(|(at, ((candidate, left), one))| {
        let why_not = why_not(one, taken.filter(|taken| *taken != at).is_some(), by_order);
        let words = if by_order { None } else { Some(weighed_in_words(one, amount)) };
        told(opened(candidate, *left), one, (amount, words), why_not)
    });
    let just_failed = failed.iter().map(|(candidate, left)| {
        let why_not = Some("it just failed, and another is open".to_owned());
        Considered { why_not, ..opened(candidate, *left) }
    });
    let own: Vec<_> = own.chain(just_failed).collect();
    considered.splice(0..0, own);
    let (Some(best), Some(taken)) = (best, taken) else {
        let why = "no open gateway is expected to bring more than its fees".to_owned();
        return Choice::NotWorth { why, considered };
    };
    let why = match by_order {
        true => super::reason(fresh[taken].0, open.len(), all),
        false => reason(&weighed[taken], &weighed[best], amount),
    };
    Choice::Take { route: fresh[taken].0.route.clone(), why, considered }
}

/// Whether the estimates are not followed: nobody wants it, or they rest on too little.
fn goes_by_order(weighed: &[Weighed], now: Timestamp, evidence: &Evidence<'_>) -> bool {
    let known = weighed.iter().map(|one| evidence.learned.weight(&one.gateway, now)).sum::<f64>();
    evidence.exploring == Exploring::Order || known < ENOUGH
}

/// Of those that are worth it the least tried, the first among equals; a probe only where there is
/// nothing else.
fn least_tried(fresh: &[(&Candidate<'_>, u32)], weighed: &mut [Weighed]) {
    weighed.iter_mut().for_each(|one| one.propensity = 0.0);
    let worth_it = (0..weighed.len()).filter(|at| weighed[*at].value > 0);
    let first = worth_it.min_by_key(|at| (weighed[*at].probe, fresh[*at].0.tries));
    if let Some(first) = first {
        weighed[first].propensity = 1.0;
    }
}

/// Why a gateway that was open was not taken.
fn why_not(one: &Weighed, another_was: bool, by_order: bool) -> Option<String> {
    let why = match one {
        _ if one.value <= 0 => "it is not expected to bring more than its fees",
        _ if !another_was => return None,
        _ if one.probe => "it failed several times in a row, and is only probed",
        _ if by_order => "another was tried less, or is before it in order",
        _ => "another is expected to leave more, or was drawn",
    };
    Some(why.to_owned())
}

/// An open gateway with all that was weighed.
fn told(
    opened: Considered,
    one: &Weighed,
    (amount, words): (Money, Option<String>),
    why_not: Option<String>,
) -> Considered {
    let mut text = opened.text;
    text.extend(words.map(|words| format!("; {words}")));
    Considered {
        text,
        p: Some(Share::of(one.p)),
        value: Some(Money::new(one.value / PARTS, amount.currency)),
        propensity: Some(Share::of(one.propensity)),
        why_not,
        ..opened
    }
}

/// Exact enough to judge other routings by, later.
fn weighed_in_words(one: &Weighed, amount: Money) -> String {
    format!("{}, chosen with {:.2} %", in_words(one, amount), one.propensity * 100.0)
}

/// What is known of an attempt by this candidate.
fn facts_of(candidate: &Candidate<'_>, shared: &Facts) -> Facts {
    let card = candidate.card;
    let network = card.and_then(|card| card.network.clone());
    let country = card.and_then(|card| card.country.clone());
    Facts {
        network: network.or_else(|| shared.network.clone()),
        country: country.or_else(|| shared.country.clone()),
        tried_here: candidate.tries,
        ..shared.clone()
    }
}

fn reason(taken: &Weighed, best: &Weighed, amount: Money) -> String {
    let (gateway, words) = (&taken.gateway, in_words(taken, amount));
    if taken.gateway == best.gateway {
        return format!("{gateway} is expected to leave most: {words}");
    }
    let share = percent(taken.propensity);
    let best = &best.gateway;
    format!(
        "{gateway} is tried to learn more of it, as {share} of such attempts are: {words}; {best} \
         is expected to leave most"
    )
}

fn in_words(weighed: &Weighed, amount: Money) -> String {
    let value = Money::new(weighed.value / PARTS, amount.currency);
    format!("{} to be approved, {value} to be expected after fees", percent(weighed.p))
}

/// Whole percents; what is not quite nothing is not shown as nothing.
fn percent(share: f64) -> String {
    match (share * 100.0).round() {
        _ if share <= 0.0 => "0 %".to_owned(),
        small if small < 1.0 => "under 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
