//! The issuer: what becomes of a charge.
//!
//! Why here: both gateways ask the same one, so a story can be written once ("declined until
//! Friday, then approved; Stripe is down on Wednesday") and plays the same on each.
//!
//! What must stay true: the order in which the answer is looked for is: a gateway's outage · the
//! customer's queue · the card's queue · a rule of the customer · a rule of the card · a rule of
//! the whole gateway · the test card's own outcome · the seeded issuer. A fault that strikes
//! before the effect charges nothing.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::{Kind, ids};

/// What the bank says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    /// The money is taken.
    Approve,
    /// Refused.
    Decline(Refusal),
    /// The customer must confirm; without the customer present this is a refusal.
    RequireAuthentication,
    /// Nobody knows for `seconds` of the sandbox's clock; then `then`.
    Pending {
        /// How long.
        seconds: i64,
        /// What it turns out to be.
        then: Box<Answer>,
    },
}

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing happened, and no answer comes.
    TimeoutBefore,
    /// It was done, and no answer comes.
    TimeoutAfter,
    /// Nothing happened, and the answer is 500.
    ErrorBefore,
    /// It was done, and the answer is 500.
    ErrorAfter,
    /// Nothing happened, and the connection breaks.
    DroppedBefore,
    /// It was done, and the connection breaks.
    DroppedAfter,
    /// Nothing happened, and the answer is 429.
    RateLimited,
}

impl Fault {
    /// Whether it strikes before anything is done.
    pub fn is_before_effect(self) -> bool {
        matches!(
            self,
            Self::TimeoutBefore | Self::ErrorBefore | Self::DroppedBefore | Self::RateLimited
        )
    }
}

/// One scripted outcome: an answer, and what goes wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the bank says.
    #[serde(flatten)]
    pub answer: Answer,
    /// What goes wrong on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// How long the answer takes, in real milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self { answer, fault: None, latency_ms: 0 }
    }
}

impl Step {
    /// The money is taken.
    pub fn approve() -> Self {
        Answer::Approve.into()
    }

    /// Refused with a gateway's code and what usually comes with it.
    pub fn decline(code: &str) -> Self {
        Answer::Decline(Refusal::of(code)).into()
    }

    /// The customer must confirm.
    pub fn require_authentication() -> Self {
        Answer::RequireAuthentication.into()
    }

    /// Unknown for `seconds`, then `then`.
    pub fn pending(seconds: i64, then: Answer) -> Self {
        Answer::Pending { seconds, then: Box::new(then) }.into()
    }

    /// With something going wrong.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Slowly.
    #[must_use]
    pub fn with_latency(mut self, milliseconds: u64) -> Self {
        self.latency_ms = milliseconds;
        self
    }
}

/// What a queue or a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Calls whose `METHOD /path` contains this text; only its faults and latency matter.
    Call(String),
    /// A card: its token, or its fingerprint.
    Card(String),
    /// A customer's charges.
    Customer(String),
    /// Everything at one gateway. With a fault it is an outage, of every call.
    Gateway(Kind),
}

/// A behavior between two times of the sandbox's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// For whom.
    pub target: Target,
    /// From when on; absent: always.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Until when, exclusively; absent: for ever.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// What happens.
    #[serde(flatten)]
    pub step: Step,
}

impl Rule {
    fn holds(&self, target: &Target, now: Timestamp) -> bool {
        self.target == *target
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

/// One question to the issuer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) gateway: Kind,
    pub(crate) customer: Option<&'a str>,
    pub(crate) token: &'a str,
    pub(crate) fingerprint: &'a str,
    pub(crate) own: Option<&'a Answer>,
    pub(crate) now: Timestamp,
}

/// The queues, the rules and the seed.
#[derive(Debug)]
pub(crate) struct Issuer {
    seed: u64,
    approve_share: f64,
    queues: BTreeMap<Target, VecDeque<Step>>,
    rules: Vec<Rule>,
    draws: BTreeMap<String, u64>,
}

/// What the seeded issuer says when it refuses, with weights as seen in the wild.
const REFUSALS: [(&str, u64); 6] = [
    ("insufficient_funds", 45),
    ("generic_decline", 20),
    ("do_not_honor", 15),
    ("expired_card", 8),
    ("processing_error", 7),
    ("lost_card", 5),
];

impl Issuer {
    pub(crate) fn new(seed: u64, approve_share: f64) -> Self {
        Self {
            seed,
            approve_share,
            queues: BTreeMap::new(),
            rules: Vec::new(),
            draws: BTreeMap::new(),
        }
    }

    pub(crate) fn queue(&mut self, target: Target, steps: Vec<Step>) {
        self.queues.entry(target).or_default().extend(steps);
    }

    pub(crate) fn add_rule(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.rules.clear();
    }

    /// What goes wrong with a call as such, whatever it is about.
    pub(crate) fn call(&mut self, gateway: Kind, call: &str, now: Timestamp) -> Option<Step> {
        let queued = self.queues.iter_mut().find_map(|(target, queue)| match target {
            Target::Call(text) if call.contains(text.as_str()) => queue.pop_front(),
            _ => None,
        });
        queued.or_else(|| {
            let rule = self.rules.iter().rev().find(|rule| match &rule.target {
                Target::Call(text) => call.contains(text.as_str()) && rule.holds(&rule.target, now),
                target => {
                    rule.step.fault.is_some()
                        && rule.holds(target, now)
                        && *target == Target::Gateway(gateway)
                }
            });
            rule.map(|rule| rule.step.clone())
        })
    }

    /// What becomes of a charge.
    pub(crate) fn decide(&mut self, asked: Asked<'_>) -> Step {
        let customer = asked.customer.map(|id| Target::Customer(id.to_owned()));
        let cards = [asked.token, asked.fingerprint].map(|id| Target::Card(id.to_owned()));
        let targets: Vec<Target> = customer.into_iter().chain(cards).collect();
        if let Some(step) = targets.iter().find_map(|target| self.pop(target)) {
            return step;
        }
        let whole = Target::Gateway(asked.gateway);
        if let Some(step) =
            targets.iter().chain([&whole]).find_map(|target| self.rule(target, asked.now))
        {
            return step;
        }
        asked.own.cloned().unwrap_or_else(|| self.draw(asked)).into()
    }

    fn pop(&mut self, target: &Target) -> Option<Step> {
        self.queues.get_mut(target).and_then(VecDeque::pop_front)
    }

    /// The rule that was added last wins.
    fn rule(&self, target: &Target, now: Timestamp) -> Option<Step> {
        self.rules.iter().rev().find(|rule| rule.holds(target, now)).map(|rule| rule.step.clone())
    }

    /// Drawn from the seed, the card and how often it was asked: other cards do not shift it.
    fn draw(&mut self, asked: Asked<'_>) -> Answer {
        let count = self.draws.entry(asked.fingerprint.to_owned()).or_insert(0);
        *count += 1;
        let text =
            ids::derived(&[&self.seed.to_string(), asked.fingerprint, &count.to_string()], 16);
        let mut rng = fastrand::Rng::with_seed(u64::from_str_radix(&text, 16).unwrap_or_default());
        if rng.f64() < self.approve_share {
            return Answer::Approve;
        }
        let mut left = rng.u64(0..REFUSALS.iter().map(|(_, weight)| weight).sum());
        for (code, weight) in REFUSALS {
            if left < weight {
                return Answer::Decline(Refusal::of(code));
            }
            left -= weight;
        }
        Answer::Decline(Refusal::of("generic_decline"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(now: i64) -> Asked<'static> {
        Asked {
            gateway: Kind::Stripe,
            customer: Some("cus_1"),
            token: "pm_1",
            fingerprint: "print",
            own: Some(&Answer::RequireAuthentication),
            now: Timestamp::from_second(now).unwrap(),
        }
    }

    #[test]
    fn the_nearest_word_wins() {
        let mut issuer = Issuer::new(1, 1.0);
        assert_eq!(issuer.decide(asked(0)), Step::require_authentication());
        issuer.add_rule(Rule {
            target: Target::Card("print".into()),
            from: Some(Timestamp::from_second(100).unwrap()),
            until: Some(Timestamp::from_second(200).unwrap()),
            step: Step::approve(),
        });
        assert_eq!(issuer.decide(asked(99)), Step::require_authentication());
        assert_eq!(issuer.decide(asked(100)), Step::approve());
        assert_eq!(issuer.decide(asked(200)), Step::require_authentication());
        issuer.queue(Target::Card("pm_1".into()), vec![Step::decline("lost_card")]);
        issuer.queue(Target::Customer("cus_1".into()), vec![Step::decline("do_not_honor")]);
        assert_eq!(issuer.decide(asked(100)), Step::decline("do_not_honor"));
        assert_eq!(issuer.decide(asked(100)), Step::decline("lost_card"));
        assert_eq!(issuer.decide(asked(100)), Step::approve());
    }

    #[test]
    fn an_outage_ends() {
        let mut issuer = Issuer::new(1, 1.0);
        issuer.add_rule(Rule {
            target: Target::Gateway(Kind::Stripe),
            from: None,
            until: Some(Timestamp::from_second(10).unwrap()),
            step: Step::approve().with_fault(Fault::ErrorBefore),
        });
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(issuer.call(Kind::Stripe, "GET /v1/x", at(9)).is_some());
        assert!(issuer.call(Kind::Http, "GET /charges", at(9)).is_none());
        assert!(issuer.call(Kind::Stripe, "GET /v1/x", at(10)).is_none());
    }

    #[test]
    fn the_seed_decides_the_rest() {
        let ask = |seed| {
            let mut issuer = Issuer::new(seed, 0.5);
            (0..20).map(|_| issuer.decide(Asked { own: None, ..asked(0) })).collect::<Vec<_>>()
        };
        assert_eq!(ask(7), ask(7));
        assert_ne!(ask(7), ask(8));
    }

    #[test]
    fn steps_are_read_from_json() {
        let read = |text: &str| serde_json::from_str::<Step>(text).unwrap();
        assert_eq!(read(r#"{"result":"approve"}"#), Step::approve());
        assert_eq!(
            read(r#"{"result":"decline","code":"insufficient_funds","fault":"timeout_after"}"#),
            Step::decline("insufficient_funds").with_fault(Fault::TimeoutAfter)
        );
        assert_eq!(
            read(r#"{"result":"pending","seconds":60,"then":{"result":"approve"}}"#),
            Step::pending(60, Answer::Approve)
        );
    }
}
