//! Outcomes: what came of an attempt, and what follows from it.
//!
//! Why here: an answer, a look-up and an event all end in [`Stepper::settle`], so that whichever
//! comes second changes nothing.
//!
//! What must stay true: an outcome that nobody knows is never treated as a failure; what is refused
//! of a re-send says nothing of the first send; an order never to charge a card is kept for every
//! invoice and gateway.

use jiff::Timestamp;

use super::attempts::describe;
use super::step::Stepper;
use super::{AttemptOutcome, Next, State, Timer};
use crate::core::decline::{self, Advice, Category, Decline, RetryMode};
use crate::core::effect::{ChargeOutcome, Order};
use crate::core::event::PaymentMethodFacts;
use crate::core::fault::{Mutant, fault};
use crate::core::ids::CardKey;
use crate::core::ledger::EntryKind;
use crate::core::schedule;

/// How long an attempt waits when its gateway is too busy and does not say how long.
const BUSY_MIN_S: u64 = 30;

impl Stepper<'_> {
    /// What came of the charge that is in flight.
    pub(super) fn on_charge_outcome(&mut self, outcome: &ChargeOutcome) {
        let open = self.case.attempts.iter().position(|a| a.outcome == AttemptOutcome::Unknown);
        if let Some(index) = open {
            self.settle(index, outcome);
        }
    }

    /// Books an outcome on an attempt that was open.
    pub(super) fn settle(&mut self, index: usize, outcome: &ChargeOutcome) {
        let gateway = self.case.attempts[index].charge.gateway.clone();
        if let Some(why) = self.says_nothing_of_the_first(index, outcome) {
            return self.await_outcome(index, &why);
        }
        self.teach_routing(index, outcome);
        match outcome {
            ChargeOutcome::Approved { payment, amount, network_transaction_id, method } => {
                self.learn_of_charge(index, Some(payment), method);
                self.learn_transaction(index, network_transaction_id.as_ref());
                self.close_attempt(index, AttemptOutcome::Approved);
                let asked = self.case.attempts[index].charge.amount;
                if amount.is_some_and(|taken| taken != asked) {
                    let taken = amount.map_or_else(String::new, |taken| taken.to_string());
                    self.flag(format!("{gateway} took {taken}, and {asked} was asked for"));
                }
                self.note(EntryKind::AttemptOutcome, format!("{gateway} approved {asked}."));
                self.book_success(index);
            }
            ChargeOutcome::Declined { payment, decline, method } => {
                self.learn_of_charge(index, payment.as_ref(), method);
                self.close_attempt(index, AttemptOutcome::Declined);
                self.case.attempts[index].decline = Some(decline.clone());
                let words = describe(decline);
                self.note(EntryKind::AttemptOutcome, format!("{gateway} declined: {words}."));
                self.after_decline(index, decline);
            }
            ChargeOutcome::NotSent { why } => self.fail_technically(index, why),
            ChargeOutcome::Refused { why } => {
                self.flag(format!("{gateway} refused the request itself ({why})"));
                self.fail_technically(index, why);
            }
            ChargeOutcome::InvoiceClosed => {
                let why = "the invoice is not open any more";
                self.close_attempt(index, AttemptOutcome::Error);
                self.note(EntryKind::AttemptOutcome, format!("Not charged at {gateway}: {why}."));
                self.case.card_updated = false;
                self.on_invoice_closed(why);
            }
            ChargeOutcome::Busy { retry_after_s } => self.resend_later(index, *retry_after_s),
            ChargeOutcome::Pending { payment } => {
                self.learn_of_charge(index, payment.as_ref(), &PaymentMethodFacts::default());
                self.await_outcome(index, "the gateway has not decided yet");
            }
            ChargeOutcome::Unknown { why } if fault(Mutant::TimeOutIsFailure) => {
                self.fail_technically(index, why);
            }
            ChargeOutcome::Unknown { why } => self.await_outcome(index, why),
        }
    }

    /// Where the invoice can be read, the next look tells how it ended. Where it cannot, another
    /// try would only be told the same: a person has to look.
    fn on_invoice_closed(&mut self, why: &str) {
        if !self.goes_on() {
            return;
        }
        if self.policy.billing().is_some_and(|g| g.capabilities.read_invoice) {
            return self.schedule_at(self.now, why);
        }
        let gateway = self.case.gateway.clone();
        let flag =
            format!("{gateway} says that {why}: see how it ended there, then stop or resume");
        self.hold_for_person(&flag, why);
    }

    /// What was not taken of a re-send says nothing of the first send, whose outcome is unknown.
    fn says_nothing_of_the_first(&self, index: usize, outcome: &ChargeOutcome) -> Option<String> {
        let again = self.case.attempts[index].sends > 1;
        match outcome {
            ChargeOutcome::NotSent { why } | ChargeOutcome::Refused { why } if again => {
                Some(format!("sent again in vain, {why}"))
            }
            ChargeOutcome::InvoiceClosed if again => Some("the invoice is closed".to_owned()),
            _ => None,
        }
    }

    fn learn_of_charge(
        &mut self,
        index: usize,
        payment: Option<&String>,
        facts: &PaymentMethodFacts,
    ) {
        let charge = self.case.attempts[index].charge.clone();
        if let Some(payment) = payment {
            self.case.attempts[index].payment = Some(payment.clone());
            self.remember_payment(payment);
        }
        let mut facts = facts.clone();
        facts.token = facts.token.or(charge.token);
        // A token never moves to another card because of an answer to a charge.
        if facts
            .token
            .as_deref()
            .is_some_and(|t| self.around.customer.method(&charge.gateway, t).is_some())
        {
            return;
        }
        if facts.fingerprint.is_some() || facts.last4.is_some() {
            self.around.customer.learn_method(&charge.gateway, &facts);
        }
    }

    fn learn_transaction(&mut self, index: usize, id: Option<&String>) {
        let charge = &self.case.attempts[index].charge;
        let known = self
            .around
            .customer
            .methods
            .iter_mut()
            .find(|m| m.gateway == charge.gateway && m.facts.token == charge.token);
        if let (Some(method), Some(id)) = (known, id) {
            method.network_transaction_id.get_or_insert_with(|| id.clone());
        }
    }

    pub(super) fn remember_payment(&mut self, payment: &str) {
        if !self.case.payments.iter().any(|p| p == payment) {
            self.case.payments.push(payment.to_owned());
        }
    }

    pub(super) fn close_attempt(&mut self, index: usize, outcome: AttemptOutcome) {
        let attempt = &mut self.case.attempts[index];
        attempt.outcome = outcome;
        attempt.settled_at = Some(self.now);
        let (id, card) = (attempt.charge.attempt.clone(), attempt.card.clone());
        if let Some(card) = card {
            let card = self.around.card(&card);
            if card.in_flight.as_ref() == Some(&id) {
                card.in_flight = None;
            }
        }
        if self.case.open_attempt().is_none() && self.case.restored.is_none() {
            self.case.timers.remove(&Timer::LookUp);
        }
        if self.case.state.is_ended() {
            self.plan_last_look();
            if outcome != AttemptOutcome::Approved {
                self.mark_again();
            }
        }
    }

    fn after_decline(&mut self, index: usize, decline: &Decline) {
        let card = self.case.attempts[index].card.clone();
        self.mark_never(card.as_ref(), decline);
        // A card that was given while this attempt was under way is still to be tried.
        if self.case.attempts[index].at >= self.case.window_from {
            self.case.card_updated = false;
            self.case.page_used = false;
        }
        self.case.decline = Some(decline.clone());
        self.case.declined_at = self.now;
        if decline::policy(decline.category).retry != RetryMode::Soon {
            self.case.technical = 0;
        }
        self.plan();
    }

    /// Keeps an order never to charge the card again, for every invoice and gateway.
    pub(super) fn mark_never(&mut self, card: Option<&CardKey>, decline: &Decline) {
        if decline.advice != Advice::Never || fault(Mutant::ForgetsNever) {
            return;
        }
        let Some(card) = card else { return };
        let (now, why) = (self.now, describe(decline));
        let card = self.around.card(card);
        if card.never.is_none() {
            card.never = Some((now, why));
            self.note(EntryKind::Decided, "This card is never charged again: the bank said so.");
        }
    }

    /// Definitely not charged, for a technical reason.
    pub(super) fn fail_technically(&mut self, index: usize, why: &str) {
        let gateway = self.case.attempts[index].charge.gateway.clone();
        self.close_attempt(index, AttemptOutcome::Error);
        // An attempt that never reached the gateway uses up nothing of the schedule.
        self.case.attempts[index].on_schedule = false;
        self.note(EntryKind::AttemptOutcome, format!("Not charged at {gateway}: {why}."));
        if self.goes_on() {
            self.plan_soon(decline::policy(Category::ProcessingError), "a technical failure");
        }
    }

    /// Nothing happened at the gateway: the same attempt again, with the same key.
    fn resend_later(&mut self, index: usize, retry_after_s: u32) {
        let delay = u64::from(retry_after_s).max(BUSY_MIN_S);
        let attempt = &mut self.case.attempts[index];
        attempt.look_ups += 1;
        let (charge, tries) = (attempt.charge.clone(), attempt.look_ups);
        let at = schedule::soon(self.now, delay << tries.min(6), self.case.id.as_str(), tries);
        self.note(EntryKind::AttemptOutcome, format!("{} is busy; again at {at}.", charge.gateway));
        if !self.goes_on() || tries > 8 || self.forgets_the_key_by(index, at) {
            return self.await_outcome(index, "the gateway stays busy");
        }
        self.ask_at(Order::Charge(charge), at);
    }

    /// Whether the gateway may not know the attempt's key any more by then: sent again it would be
    /// another charge.
    fn forgets_the_key_by(&self, index: usize, at: Timestamp) -> bool {
        let attempt = &self.case.attempts[index];
        let gateway = self.policy.gateway(&attempt.charge.gateway);
        let window = gateway.map(|g| g.capabilities.key_window()).filter(|w| !w.is_zero());
        attempt.sent.zip(window).is_some_and(|((first, _), window)| at >= first + window)
    }

    /// Nobody knows: look up, charge nothing.
    fn await_outcome(&mut self, index: usize, why: &str) {
        let attempt = &mut self.case.attempts[index];
        let gateway = attempt.charge.gateway.clone();
        if let Some((_, last)) = &mut attempt.sent {
            // It may have left at any moment up to now: "not found" counts from here.
            *last = self.now;
        }
        let at = self.now + self.wait_for_news(index);
        self.set_timer(Timer::LookUp, at);
        self.note(
            EntryKind::AttemptOutcome,
            format!(
                "Nobody knows yet whether {gateway} took the money ({why}). Nothing else is \
                 charged."
            ),
        );
        if self.goes_on() {
            let reason = format!("the outcome at {gateway} is unknown: {why}");
            let next = Next { at: Some(at), what: "look_up".into(), why: reason.clone() };
            self.enter(State::AwaitingOutcome, reason, next);
        }
    }
}
