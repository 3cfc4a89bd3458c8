//! Routes: through which gateway an attempt may go, which one it takes, and what it taught of it.
//!
//! Why here: the bridge between the case, which has cards, declines and a policy, and
//! `core::routing`, which weighs gateways. What is told of an attempt that is ahead and of one that
//! was made are the same facts, so that a lesson is about what was asked.
//!
//! What must stay true: the choice is a function of the case, what surrounds it and the number of
//! the attempt (I7); a bank's answer teaches once, when it becomes known; that there was none says
//! something of the gateway's health at once. One that a person asked for, that we took back, or
//! that the invoice was closed for teaches nothing.

use jiff::Timestamp;

use super::attempts::stated_delay;
use super::step::Stepper;
use super::{AttemptOutcome, leaving};
use crate::core::card::CardAttempt;
use crate::core::decline::{self, Category, OtherGateway, RetryMode};
use crate::core::effect::{ChargeOutcome, Order};
use crate::core::ids::{AttemptId, CardKey, GatewayId, pick};
use crate::core::learning::facts::Facts;
use crate::core::learning::outcome::{Answer, Outcome};
use crate::core::limits;
use crate::core::policy::GatewayPolicy;
use crate::core::routing::evidence::{Evidence, Exploring, FLOOR};
use crate::core::routing::{self, Candidate, Choice, Route};
use crate::core::trial::Arm;
use crate::core::worth::{Fee, Fees};

impl Stepper<'_> {
    pub(super) fn has_route(&self) -> bool {
        !self.candidates().is_empty()
    }

    /// Whether the category leaves any route open.
    pub(super) fn has_open_route(&self) -> bool {
        self.candidates().iter().any(|candidate| candidate.closed.is_none())
    }

    /// Which route the next attempt takes, by the rules and by what was learned.
    pub(super) fn choose_route(&self) -> Choice {
        self.choose_among(&self.candidates())
    }

    fn choose_among(&self, candidates: &[Candidate<'_>]) -> Choice {
        let (facts, fees) = (self.facts_ahead(), self.fees(candidates));
        let evidence = self.exploring().map(|exploring| Evidence {
            learned: &self.around.learned.routing,
            facts: &facts,
            fees: &fees,
            worth: None,
            exploring,
            draw: self.draw(),
        });
        routing::choose(candidates, self.case.amount, self.now, evidence.as_ref())
    }

    /// How far the choice follows what was learned; `None`: not at all. What a person asked for,
    /// and a card that the customer just gave, is charged whatever is expected of it; a case that
    /// is held out knows nothing of evidence.
    fn exploring(&self) -> Option<Exploring> {
        if self.case.forced || self.case.card_updated || self.case.arm == Some(Arm::Holdout) {
            return None;
        }
        Some(match self.case.follows_evidence(self.policy) {
            true => Exploring::Floor(FLOOR),
            false => Exploring::Order,
        })
    }

    /// What decides among chances: the same for one attempt of one case, wherever it is asked.
    fn draw(&self) -> u64 {
        let number = self.case.attempts.len().to_string();
        pick(u64::MAX, &["route", self.case.id.as_str(), &number])
    }

    /// What each gateway takes for this attempt, as far as the merchant stated it in its currency.
    fn fees(&self, candidates: &[Candidate<'_>]) -> Fees {
        let currency = self.case.amount.currency;
        let fees = candidates.iter().filter_map(|candidate| {
            let gateway = self.policy.gateway(&candidate.route.gateway)?;
            let stated = gateway.fees.get(&currency)?;
            let network = candidate.card.and_then(|card| card.network.as_deref());
            let network_risk = limits::fee_risk(network, currency);
            Some((gateway.id.clone(), Fee { network_risk, ..*stated }))
        });
        fees.collect()
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let last = self.case.attempts.last();
        let last_gateway = last.map_or(&self.case.gateway, |a| &a.charge.gateway);
        let category = self.case.decline.as_ref().map_or(Category::Unknown, |d| d.category);
        let policy = decline::policy(category);
        let free = self.case.card_updated || self.case.forced;
        let elsewhere =
            self.case.attempts.iter().filter(|a| !a.charge.billing && a.sent.is_some()).count();
        let routes = self.policy.gateways.iter().filter_map(|g| self.route_at(&g.id));
        routes
            .map(|route| {
                let moved = self.case.moved_to.as_ref().map(|moved| &moved.gateway);
                let home = route.gateway == *moved.unwrap_or(&self.case.gateway);
                let left = moved.is_some() && !home && self.is_left_behind(&route);
                let old_card = self.case.card_updated
                    && self.case.card.as_ref().is_some_and(|card| *card != route.card);
                let charges = |g: &GatewayPolicy| g.capabilities.charges(self.case.amount.currency);
                let foreign = self.policy.gateway(&route.gateway).is_some_and(|g| !charges(g));
                let closed = match policy.other_gateway {
                    _ if foreign => Some("it does not charge this currency"),
                    _ if left => Some("the customer gave a new card at another gateway"),
                    _ if !home && old_card => Some("the customer just gave another card"),
                    _ if free => None,
                    _ if home && policy.retry == RetryMode::Never => Some("it was refused there"),
                    _ if home => None,
                    OtherGateway::Freely => None,
                    OtherGateway::Once if elsewhere == 0 => None,
                    OtherGateway::Once => Some("another gateway was tried once already"),
                    OtherGateway::Never => Some("no gain expected there for this decline"),
                };
                Candidate {
                    card: self.around.cards.get(&route.card),
                    tries: self.tries_at(&route.gateway, usize::MAX),
                    failed_last: policy.retry == RetryMode::Soon && route.gateway == *last_gateway,
                    closed,
                    stated: self.stated_until(&route.card),
                    route,
                }
            })
            .collect()
    }

    /// Whether a route is of before the customer gave a card elsewhere: another card, or one that
    /// is new there only.
    fn is_left_behind(&self, route: &Route) -> bool {
        self.case.card_updated || self.case.card.as_ref() != Some(&route.card)
    }

    /// Until when the network ordered to wait with this invoice on this card. It holds for every
    /// attempt, whoever asks for it.
    pub(super) fn stated_until(&self, card: &CardKey) -> Option<Timestamp> {
        let ours = self.case.attempts.iter().filter(|a| a.card.as_ref() == Some(card));
        ours.filter_map(|a| Some(a.settled_at? + stated_delay(a.decline.as_ref()?)?)).max()
    }

    /// The look-ups took their time: another invoice may have used the card meanwhile.
    pub(super) fn still_open(&self, route: &Route) -> Choice {
        let mut candidates = self.candidates();
        candidates.retain(|candidate| candidate.route == *route);
        self.choose_among(&candidates)
    }

    fn route_at(&self, gateway: &GatewayId) -> Option<Route> {
        let customer = &self.around.customer;
        let billing = *gateway == self.case.gateway;
        let own = self.case.token.as_deref().filter(|_| billing);
        let method = own
            .and_then(|token| customer.method(gateway, token))
            .or_else(|| customer.method_at(gateway));
        let Some(method) = method else {
            // The billing gateway may know by itself what the invoice is charged to.
            let can = self.policy.gateway(gateway).map(|g| &g.capabilities);
            let knows = can.is_some_and(|c| c.read_invoice && !c.token_only);
            let named = own.map(ToOwned::to_owned);
            let card =
                CardKey::of_token(gateway, named.as_deref().unwrap_or(&self.case.customer_key()));
            return (billing && (knows || named.is_some())).then_some(Route {
                gateway: gateway.clone(),
                token: named,
                card,
                customer: None,
                network_transaction_id: None,
            });
        };
        let same_card = self.case.card.as_ref().is_none_or(|card| *card == method.card);
        (billing || same_card || method.consent).then(|| Route {
            gateway: gateway.clone(),
            token: Some(method.token().to_owned()),
            card: method.card.clone(),
            customer: method.gateway_customer.clone(),
            network_transaction_id: method.network_transaction_id.clone(),
        })
    }

    /// Counts the attempt on its card before it leaves, and keeps others off the card.
    pub(super) fn hold_card(&mut self, route: &Route, id: &AttemptId) {
        let network = self
            .around
            .customer
            .methods
            .iter()
            .find(|m| m.card == route.card)
            .map(|m| (m.facts.network.clone(), m.facts.country.clone()));
        let noted = CardAttempt {
            at: self.now,
            gateway: route.gateway.clone(),
            amount: self.case.amount,
            approved: false,
            attempt: Some(id.clone()),
        };
        let card = self.around.card(&route.card);
        if let Some((network, country)) = network {
            card.network = network.or(card.network.take());
            card.country = country.or(card.country.take());
        }
        card.in_flight = Some(id.clone());
        card.note(noted);
    }

    // ---- what is known of an attempt, and what it taught ----

    /// What is known of the next attempt, but for what differs between gateways.
    fn facts_ahead(&self) -> Facts {
        self.facts(self.case.attempts.len(), self.now, self.case.card.as_ref())
    }

    fn facts(&self, index: usize, at: Timestamp, card: Option<&CardKey>) -> Facts {
        let record = card.and_then(|card| self.around.cards.get(card));
        let method = card.and_then(|card| {
            self.around.customer.methods.iter().find(|method| method.card == *card)
        });
        let network = record.and_then(|record| record.network.clone());
        let country = record.and_then(|record| record.country.clone());
        // Of a card that the customer just gave nothing was refused yet.
        let decline = self.case.decline.as_ref().filter(|_| !self.case.card_updated);
        let facts = Facts {
            network: network.or_else(|| method?.facts.network.clone()),
            country: country.or_else(|| method?.facts.country.clone()),
            category: decline.map(|decline| decline.category),
            amount: self.case.amount.minor,
            attempt: self.case.native_attempts + index as u32 + 1,
            ..Facts::default()
        };
        facts.at(at, &self.zone)
    }

    fn tries_at(&self, gateway: &GatewayId, before: usize) -> u32 {
        let made = self.case.attempts.iter().take(before);
        let ours = made.filter(|attempt| attempt.charge.gateway == *gateway).count() as u32;
        ours + if *gateway == self.case.gateway { self.case.native_attempts } else { 0 }
    }

    /// Keeps what the outcome of an attempt says of its gateway. Called before it is booked.
    pub(super) fn teach_routing(&mut self, index: usize, outcome: &ChargeOutcome) {
        let answer = match outcome {
            ChargeOutcome::Approved { .. } => Some(Answer::Approved),
            ChargeOutcome::Declined { decline, .. } => answer_of(decline.category),
            ChargeOutcome::NotSent { .. } if self.was_withdrawn(index) => None,
            ChargeOutcome::NotSent { .. } | ChargeOutcome::Refused { .. } => {
                Some(Answer::Technical)
            }
            // No answer is none of the bank; but five in a row are an outage, and the next customer
            // should not have to wait until the first attempts are known to have failed.
            ChargeOutcome::Unknown { .. } if self.case.attempts[index].sends == 1 => {
                Some(Answer::Technical)
            }
            ChargeOutcome::Busy { .. }
            | ChargeOutcome::InvoiceClosed
            | ChargeOutcome::Pending { .. }
            | ChargeOutcome::Unknown { .. } => None,
        };
        if let Some(answer) = answer {
            self.teach_answer(index, answer);
        }
    }

    /// Keeps that an attempt was answered so.
    pub(super) fn teach_answer(&mut self, index: usize, answer: Answer) {
        let attempt = &self.case.attempts[index];
        if attempt.forced || attempt.outcome != AttemptOutcome::Unknown {
            return;
        }
        let gateway = attempt.charge.gateway.clone();
        let mut facts = self.facts(index, attempt.at, attempt.card.as_ref());
        facts.amount = attempt.charge.amount.minor;
        facts.tried_here = self.tries_at(&gateway, index);
        let at = attempt.at;
        self.teach(Outcome { at, gateway, facts, answer });
    }

    /// Whether we took it back ourselves: its gateway was never asked.
    fn was_withdrawn(&self, index: usize) -> bool {
        let charge = Order::Charge(self.case.attempts[index].charge.clone());
        leaving::withdrawn(&self.case, &charge, self.around, self.policy, self.now).is_some()
    }
}

/// What a refusal says of the gateway: of the bank behind it, or of the way there; nothing where
/// nobody knows what it means.
fn answer_of(category: Category) -> Option<Answer> {
    match category {
        Category::IssuerUnavailable | Category::MerchantError | Category::ProcessingError => {
            Some(Answer::Technical)
        }
        Category::NotADecline | Category::OutcomeUnknown => None,
        _ => Some(Answer::Declined),
    }
}
