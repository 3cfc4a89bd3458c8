//! Routing: through which gateway, with which token, the next attempt goes, and whether it is worth
//! it.
//!
//! Why here: one gateway's refusal is often another's approval, and often it is not: the category
//! of the decline says which. The hard rules come first. Among what they leave open the choice is
//! by order (the least tried) without evidence, and with it by what was learned: Thompson sampling
//! over the margin that each gateway is expected to leave.
//!
//! What must stay true: a gateway without a token of this customer is no route; a card that must
//! never be charged, is over a network limit, or has an attempt in flight, is no route now. No
//! evidence opens what a rule closed. The chance of every choice is kept with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::card::Card;
use super::fault::{Mutant, fault};
use super::ids::{CardKey, GatewayId};
use super::learning::health::Gate;
use super::ledger::Considered;
use super::limits::{self, Verdict};
use super::money::Money;

pub mod evidence;

use evidence::Evidence;

/// A way to charge: a gateway and a token there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The gateway.
    pub gateway: GatewayId,
    /// The token there; `None`: what the billing gateway itself uses for the invoice.
    pub token: Option<String>,
    /// The card behind it.
    pub card: CardKey,
    /// The gateway's own id of the customer, where it is another than the billing gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The scheme's id of the agreement's first payment.
    pub network_transaction_id: Option<String>,
}

/// A route with what speaks for and against it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// The route.
    pub route: Route,
    /// The card's record, where it has one.
    pub card: Option<&'a Card>,
    /// How often this invoice was tried there already.
    pub tries: u32,
    /// The last try failed there.
    pub failed_last: bool,
    /// Why the decline's category closes it.
    pub closed: Option<&'static str>,
    /// Not before: a delay that the network stated for this invoice on this card.
    pub stated: Option<Timestamp>,
}

/// The choice among candidates.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// No route at all, and why.
    None {
        /// What was considered.
        considered: Vec<Considered>,
    },
    /// There are routes, and none is worth its fees.
    NotWorth {
        /// Why, in one plain sentence.
        why: String,
        /// What was considered.
        considered: Vec<Considered>,
    },
    /// Not yet.
    NotBefore {
        /// The first moment at which one opens.
        at: Timestamp,
        /// Which rule.
        why: String,
    },
    /// This one.
    Take {
        /// The route.
        route: Route,
        /// Why, in one plain sentence.
        why: String,
        /// What was considered.
        considered: Vec<Considered>,
    },
}

/// How soon a card is looked at again while another attempt on it is in flight.
const CARD_BUSY: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// Over how many seconds those who wait for a gateway that was closed are spread.
const PROBES_SPREAD_S: u64 = 600;

/// Chooses among `candidates`, which are in the merchant's order: by the evidence, or, where there
/// is none, those that were tried least first.
pub fn choose(
    candidates: &[Candidate<'_>],
    amount: Money,
    now: Timestamp,
    evidence: Option<&Evidence<'_>>,
) -> Choice {
    let mut considered = Vec::new();
    let mut waits: Vec<(Timestamp, String)> = Vec::new();
    let mut open: Vec<(&Candidate<'_>, u32)> = Vec::new();
    for candidate in candidates {
        match judge(candidate, amount, now, evidence) {
            Judged::Closed(why) => considered.push(closed(candidate, why)),
            Judged::Wait(at, why) => {
                considered.push(closed(candidate, format!("not before {at}, {why}")));
                waits.push((at, why));
            }
            Judged::Open(left) => open.push((candidate, left)),
        }
    }
    if let (Some(evidence), false) = (evidence, open.is_empty()) {
        return evidence::choose(&open, considered, (amount, now), evidence);
    }
    let known = open.iter().map(|(candidate, left)| opened(candidate, *left));
    considered.splice(0..0, known.collect::<Vec<_>>());
    // A stable sort keeps the merchant's order among equals.
    open.sort_by_key(|(candidate, _)| (candidate.failed_last, candidate.tries));
    match (open.first(), waits.into_iter().min()) {
        (Some((best, _)), _) => Choice::Take {
            route: best.route.clone(),
            why: reason(best, open.len(), candidates.len()),
            considered,
        },
        (None, Some((at, why))) => Choice::NotBefore { at, why },
        (None, None) => Choice::None { considered },
    }
}

enum Judged {
    Closed(String),
    Open(u32),
    Wait(Timestamp, String),
}

fn judge(
    candidate: &Candidate<'_>,
    amount: Money,
    now: Timestamp,
    evidence: Option<&Evidence<'_>>,
) -> Judged {
    if let Some(why) = candidate.closed {
        return Judged::Closed(why.to_owned());
    }
    if let Some(at) = candidate.stated.filter(|at| *at > now) {
        return Judged::Wait(at, "the delay that the network stated".into());
    }
    let gate = evidence.map(|known| known.learned.health(&candidate.route.gateway).gate(now));
    if let Some(Gate::Closed(at)) = gate {
        // Not everybody who waits for it asks at the moment in which it opens.
        let spread = evidence.map_or(0, |known| known.draw % PROBES_SPREAD_S);
        let at = at + jiff::SignedDuration::from_secs(spread as i64);
        return Judged::Wait(at, "the gateway failed several times in a row".into());
    }
    let Some(card) = candidate.card else { return Judged::Open(u32::MAX) };
    if card.in_flight.is_some() && !fault(Mutant::CardTwiceAtOnce) {
        return Judged::Wait(now + CARD_BUSY, "another attempt on this card is in flight".into());
    }
    match limits::check(card, amount, now) {
        Verdict::Allowed { left } => Judged::Open(left),
        Verdict::Never { why } => Judged::Closed(format!("this card must not be charged, {why}")),
        Verdict::NotBefore { at, why } => Judged::Wait(at, why),
    }
}

/// A gateway that is no route now.
fn closed(candidate: &Candidate<'_>, why: String) -> Considered {
    let gateway = candidate.route.gateway.clone();
    Considered {
        text: format!("{gateway}: {why}"),
        gateway: Some(gateway),
        why_not: Some(why),
        ..Considered::default()
    }
}

/// A gateway that is open to the attempt.
fn opened(candidate: &Candidate<'_>, left: u32) -> Considered {
    let gateway = candidate.route.gateway.clone();
    let (tries, words) = (times(candidate.tries), left_in_words(left));
    Considered {
        text: format!("{gateway}: open, {tries}, {words}"),
        gateway: Some(gateway),
        // A card without a record has no count.
        left: (left != u32::MAX).then_some(left),
        ..Considered::default()
    }
}

fn reason(best: &Candidate<'_>, open: usize, all: usize) -> String {
    let gateway = &best.route.gateway;
    match (open, all) {
        (_, 1) => format!("{gateway} is the only gateway that holds a token of this customer"),
        (1, _) => format!("{gateway} is the only gateway that is open to this attempt"),
        _ => format!("{gateway} was tried least, and is the first in order"),
    }
}

fn times(tries: u32) -> String {
    match tries {
        0 => "not tried yet".to_owned(),
        1 => "tried once".to_owned(),
        tries => format!("tried {tries} times"),
    }
}

/// A card without a record has no count.
fn left_in_words(left: u32) -> String {
    match left {
        u32::MAX => "no network limit counts yet".to_owned(),
        1 => "1 attempt left under the network limits".to_owned(),
        left => format!("{left} attempts left under the network limits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(gateway: &str, tries: u32, failed_last: bool) -> Candidate<'static> {
        Candidate {
            route: Route {
                gateway: gateway.into(),
                token: Some("t".into()),
                card: CardKey::from("card_1"),
                customer: None,
                network_transaction_id: None,
            },
            card: None,
            tries,
            failed_last,
            closed: None,
            stated: None,
        }
    }

    fn taken(candidates: &[Candidate<'_>]) -> String {
        let amount = Money::new(1, "USD".parse().unwrap());
        match choose(candidates, amount, Timestamp::UNIX_EPOCH, None) {
            Choice::Take { route, .. } => route.gateway.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_least_tried_then_the_first() {
        assert_eq!(taken(&[candidate("a", 1, true), candidate("b", 0, false)]), "b");
        assert_eq!(taken(&[candidate("a", 1, false), candidate("b", 1, true)]), "a");
        assert_eq!(taken(&[candidate("a", 0, false), candidate("b", 0, false)]), "a");
        let mut closed = candidate("b", 0, false);
        closed.closed = Some("no gain");
        assert_eq!(taken(&[candidate("a", 3, true), closed]), "a");
    }
}
