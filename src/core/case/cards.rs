//! Cards: a new one, a renewed one, one that is gone.
//!
//! Why here: a card update is what reminders ask for; whoever gave one is charged at once, whatever
//! was refused before.
//!
//! What must stay true: an attempt in flight keeps its token; a case that ended stays ended; the
//! same news twice restarts nothing; a card of which only another gateway told is charged there and
//! nowhere else, and only as far as the customer agreed.

use serde::{Deserialize, Serialize};

use super::step::Stepper;
use super::{Pending, State, Timer};
use crate::core::customer::PaymentMethod;
use crate::core::effect::{AdoptOrder, Order};
use crate::core::event::Event;
use crate::core::ids::{CardKey, GatewayId};
use crate::core::ledger::EntryKind;

/// Where the card is that the customer gave at another gateway than the billing one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedTo {
    /// The gateway.
    pub gateway: GatewayId,
    /// The token there.
    pub token: String,
    /// The card's expiry then.
    pub exp: Option<String>,
}

impl Stepper<'_> {
    /// A payment method was added or changed at a gateway.
    pub(super) fn on_method_updated(&mut self, event: &Event) {
        let Some(token) = event.payment_method.as_ref().and_then(|m| m.token.clone()) else {
            return;
        };
        match &event.elsewhere {
            Some(gateway) => self.move_to_method(gateway, &token),
            None => self.take_over_method(&token),
        }
    }

    /// A new card at the billing gateway restarts the case at once.
    pub(super) fn take_over_method(&mut self, token: &str) {
        let gateway = self.case.gateway.clone();
        let Some(method) = self.around.customer.method(&gateway, token).cloned() else { return };
        let same_token = self.case.token.as_deref() == Some(token);
        let same = same_token && self.case.card.as_ref() == Some(&method.card);
        let renewed_to = method.facts.exp.clone().filter(|_| method.former_exp.is_some());
        // A renewed card is a new one to a bank that had refused its details; each renewal once.
        let renewed = renewed_to.is_some()
            && renewed_to != self.case.renewed_to
            && self.case.state == State::AwaitingCustomer;
        // The one on file says nothing while the case goes on with another gateway's card.
        let same = same || same_token && self.case.moved_to.is_some();
        if self.case.state.is_ended() || (same && !renewed) {
            return;
        }
        self.case.renewed_to = renewed_to.or(self.case.renewed_to.take());
        self.case.token = Some(token.to_owned());
        self.case.moved_to = None;
        self.restart_with(&method);
        if !same && self.policy.billing().is_some_and(|g| g.capabilities.subscriptions) {
            self.ask(Order::AdoptMethod(AdoptOrder {
                gateway,
                customer: self.case.customer.clone().unwrap_or_default(),
                subscription: self.case.subscription.clone(),
                token: token.to_owned(),
            }));
        }
        self.plan_restart();
    }

    /// A new card at another gateway restarts the case too, through that gateway: the card itself,
    /// or its holder's word, has to say that it may be charged.
    fn move_to_method(&mut self, gateway: &GatewayId, token: &str) {
        let Some(method) = self.around.customer.method(gateway, token).cloned() else { return };
        let exp = method.facts.exp.clone();
        let moved = MovedTo { gateway: gateway.clone(), token: token.to_owned(), exp };
        if self.case.state.is_ended() || self.case.moved_to.as_ref() == Some(&moved) {
            return;
        }
        let same_card = self.case.card.as_ref() == Some(&method.card);
        if same_card && self.case.state != State::AwaitingCustomer {
            // The schedule charges that card anyway.
            return;
        }
        if !same_card && !method.consent {
            let text = format!(
                "The customer has another card at {gateway}. Nothing says that it may be charged \
                 for this invoice: state it with the payment methods of the customer (`consent`)."
            );
            return self.note(EntryKind::Event, text);
        }
        self.case.moved_to = Some(moved);
        self.restart_with(&method);
        self.plan_restart();
    }

    fn restart_with(&mut self, method: &PaymentMethod) {
        let last4 = method.facts.last4.clone().unwrap_or_else(|| "unknown".into());
        self.case.card = Some(method.card.clone());
        self.case.card_updated = true;
        self.case.window_from = self.now;
        self.case.technical = 0;
        self.case.route = None;
        self.case.timers.remove(&Timer::ClosingSweep);
        let place = match self.case.moved_to {
            Some(_) => format!(", at {}", method.gateway),
            None => String::new(),
        };
        let text = format!("The customer's card is now the one ending {last4}{place}.");
        self.note(EntryKind::Event, text);
    }

    /// An attempt in flight keeps its own token; the new one is for the next.
    fn plan_restart(&mut self) {
        if self.case.state != State::Paused && !self.waits_for(Pending::Check) {
            self.plan();
        }
    }

    /// A payment method is gone at its gateway.
    pub(super) fn on_method_removed(&mut self, event: &Event) {
        let token = event.payment_method.as_ref().and_then(|m| m.token.clone());
        if self.case.state.is_ended() || token.is_none() {
            return;
        }
        match (&event.elsewhere, &self.case.moved_to) {
            (None, _) if token == self.case.token => self.case.token = None,
            (Some(gateway), Some(moved))
                if *gateway == moved.gateway && token.as_deref() == Some(&moved.token) =>
            {
                self.go_back_to_billing();
            }
            _ => return,
        }
        self.note(EntryKind::Event, "The payment method was removed at its gateway.");
        if self.case.state == State::Scheduled && !self.waits_for(Pending::Check) {
            self.plan();
        }
    }

    /// The card at the other gateway is gone: what the billing gateway has is what there is.
    fn go_back_to_billing(&mut self) {
        self.case.moved_to = None;
        self.case.card_updated = false;
        self.case.card = self.billing_card();
    }

    /// The card that the billing gateway has on file.
    pub(super) fn billing_card(&self) -> Option<CardKey> {
        if self.case.moved_to.is_none() {
            return self.case.card.clone();
        }
        let token = self.case.token.as_deref()?;
        self.around.customer.method(&self.case.gateway, token).map(|m| m.card.clone())
    }
}
