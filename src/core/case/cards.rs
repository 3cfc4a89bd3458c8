//! Cards: a new one, a renewed one, one that is gone.
//!
//! Why here: a card update is what reminders ask for; whoever gave one is charged at once, whatever
//! was refused before.
//!
//! What must stay true: an attempt in flight keeps its token; a case that ended stays ended; the
//! same news twice restarts nothing.

use super::step::Stepper;
use super::{Pending, State, Timer};
use crate::core::effect::{AdoptOrder, Order};
use crate::core::event::Event;
use crate::core::ledger::EntryKind;

impl Stepper<'_> {
    /// A payment method was added or changed at the billing gateway.
    pub(super) fn on_method_updated(&mut self, event: &Event) {
        let token = event.payment_method.as_ref().and_then(|m| m.token.clone());
        let gateway = self.case.gateway.clone();
        if let Some(token) = token
            && self.around.customer.method(&gateway, &token).is_some()
        {
            self.take_over_method(&token);
        }
    }

    /// A new card at the billing gateway restarts the case at once.
    pub(super) fn take_over_method(&mut self, token: &str) {
        let gateway = self.case.gateway.clone();
        let Some(method) = self.around.customer.method(&gateway, token) else { return };
        let card = method.card.clone();
        let same_token = self.case.token.as_deref() == Some(token);
        let same = same_token && self.case.card.as_ref() == Some(&card);
        let renewed_to = method.facts.exp.clone().filter(|_| method.former_exp.is_some());
        // A renewed card is a new one to a bank that had refused its details; each renewal once.
        let renewed = renewed_to.is_some()
            && renewed_to != self.case.renewed_to
            && self.case.state == State::AwaitingCustomer;
        if self.case.state.is_ended() || (same && !renewed) {
            return;
        }
        self.case.renewed_to = renewed_to.or(self.case.renewed_to.take());
        let last4 = method.facts.last4.clone().unwrap_or_else(|| "unknown".into());
        self.case.token = Some(token.to_owned());
        self.case.card = Some(card);
        self.case.card_updated = true;
        self.case.window_from = self.now;
        self.case.technical = 0;
        self.case.route = None;
        self.case.timers.remove(&Timer::ClosingSweep);
        self.note(EntryKind::Event, format!("The customer's card is now the one ending {last4}."));
        if !same && self.policy.billing().is_some_and(|g| g.capabilities.subscriptions) {
            self.ask(Order::AdoptMethod(AdoptOrder {
                gateway,
                customer: self.case.customer.clone().unwrap_or_default(),
                subscription: self.case.subscription.clone(),
                token: token.to_owned(),
            }));
        }
        // An attempt in flight keeps its own token; the new one is for the next.
        if self.case.state != State::Paused && !self.waits_for(Pending::Check) {
            self.plan();
        }
    }

    /// A payment method is gone at its gateway.
    pub(super) fn on_method_removed(&mut self, event: &Event) {
        let token = event.payment_method.as_ref().and_then(|m| m.token.clone());
        if token.is_some() && token == self.case.token && !self.case.state.is_ended() {
            self.case.token = None;
            self.note(EntryKind::Event, "The payment method was removed at its gateway.");
            if self.case.state == State::Scheduled && !self.waits_for(Pending::Check) {
                self.plan();
            }
        }
    }
}
