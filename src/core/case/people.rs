//! What people do: operators on a case, merchants to a record. Customers are in `page`.
//!
//! What must stay true: a person can move the schedule, never a network's rule; a person's action
//! is in the ledger.

use jiff::Timestamp;

use super::ending::BY_HAND;
use super::step::Stepper;
use super::{Attempt, AttemptOutcome, Next, Pending, RecoveredBy, State, Timer};
use crate::core::effect::MarkPaidOrder;
use crate::core::input::OperatorAction;
use crate::core::ledger::EntryKind;
use crate::core::schedule;

impl Stepper<'_> {
    /// Applies a person's action.
    pub(super) fn on_operator(&mut self, action: &OperatorAction) {
        if let OperatorAction::Note { text } = action {
            return self.note(EntryKind::Person, format!("A person notes: {text}"));
        }
        if self.case.state.is_ended() {
            let text = "A person asked for something after the end; it changes nothing.";
            self.note(EntryKind::Person, text);
            return self.compare_payments(action);
        }
        match action {
            OperatorAction::MarkPaid => self.mark_paid(),
            OperatorAction::MovePolicy { to } => self.move_policy(to),
            OperatorAction::Note { .. } => {}
            OperatorAction::Pause { until } => self.hold("a person paused it", *until),
            OperatorAction::Resume => self.resume("a person resumed it"),
            OperatorAction::Retry => self.retry_now(),
            OperatorAction::Stop { reason } => {
                let reason = reason.as_deref().unwrap_or("no reason given");
                self.end(State::Stopped, format!("a person stopped it: {reason}"));
            }
            OperatorAction::Write => self.write_now(),
        }
    }

    /// A person says that it was paid elsewhere, and one of our attempts was approved before.
    fn compare_payments(&mut self, action: &OperatorAction) {
        let ours = |a: &Attempt| a.outcome == AttemptOutcome::Approved && !a.refunded;
        if *action == OperatorAction::MarkPaid && self.case.attempts.iter().any(ours) {
            self.flag(
                "A person says that it was paid elsewhere, and an attempt was approved too: give \
                 one of the two back",
            );
        }
    }

    fn mark_paid(&mut self) {
        self.note(EntryKind::Person, "A person says that it was paid elsewhere.");
        let order = MarkPaidOrder {
            gateway: self.case.gateway.clone(),
            invoice: self.case.invoice.clone(),
            paid_at: None,
            charge: None,
        };
        self.case.paid_by = Some(BY_HAND.to_owned());
        self.recover(RecoveredBy::Elsewhere, "a person marked it as paid");
        self.ask_to_mark_paid(order);
    }

    /// Does nothing until a moment, or until resumed. An unknown outcome is looked up all the same.
    pub(super) fn hold(&mut self, reason: &str, until: Option<Timestamp>) {
        self.case.timers.retain(|timer, _| *timer == Timer::LookUp);
        self.case.route = None;
        self.cancel_messages();
        if let Some(until) = until {
            self.set_timer(Timer::PauseEnd, until);
        }
        self.note(EntryKind::Person, format!("Held: {reason}."));
        let next = Next { at: until, what: "wait".into(), why: reason.to_owned() };
        self.enter(State::Paused, reason, next);
    }

    /// A person holds everything. What was due is asked for again within the hour after, each case
    /// at a moment of its own: the end of the hold is no burst.
    pub(super) fn wait_for_the_hold(&mut self, timer: Timer) {
        let at = schedule::within_the_hour(self.now, self.case.id.as_str(), timer as u32);
        self.set_timer(timer, at);
        let why = "a person holds everything";
        if self.case.next.why != why {
            self.note(EntryKind::Person, "Nothing is begun: a person holds everything.");
            self.case.next = Next { at: Some(at), what: "wait".into(), why: why.into() };
        }
        self.case.next.at = Some(at);
    }

    /// Goes on after a pause.
    pub(super) fn resume(&mut self, reason: &str) {
        if self.case.state != State::Paused {
            return;
        }
        self.note(EntryKind::Person, format!("Goes on: {reason}."));
        if self.case.open_attempt().is_some() {
            let next = Next { at: Some(self.now), what: "look_up".into(), why: reason.into() };
            self.set_timer(Timer::LookUp, self.now);
            return self.enter(State::AwaitingOutcome, "an attempt's outcome is unknown", next);
        }
        self.enter(
            State::Scheduled,
            reason,
            Next { at: None, what: "wait".into(), why: reason.into() },
        );
        self.plan();
    }

    fn retry_now(&mut self) {
        if self.case.open_attempt().is_some() || self.waits_for(Pending::Check) {
            let text = "A person asked for an attempt; one is under way already.";
            return self.note(EntryKind::Person, text);
        }
        self.note(EntryKind::Person, "A person asked for an attempt now.");
        self.case.forced = true;
        self.set_timer(Timer::NextAttempt, self.now);
        let next = Next {
            at: Some(self.now),
            what: "attempt".into(),
            why: "a person asked for it".into(),
        };
        self.enter(State::Scheduled, "a person asked for an attempt now", next);
    }

    /// Sends the link outside of the campaign, within the contact policy.
    fn write_now(&mut self) {
        let under_way = self.case.open_attempt().is_some() || self.waits_for(Pending::Check);
        let channel = self.channel_or_next(None);
        let refused = if under_way {
            Some("an attempt is under way, and what it says may be wrong in a moment")
        } else if self.around.customer.reminders_stopped {
            Some("the customer wants none")
        } else if channel.is_none() {
            Some("no channel reaches the customer")
        } else if self.waits_for(Pending::Message) {
            Some("one is on its way already")
        } else {
            None
        };
        let allowed = channel.and_then(|channel| self.allowed_from(channel, self.now));
        let (Some(channel), Some((at, why)), None) = (channel, allowed, refused) else {
            let why = refused.unwrap_or("the contact policy allows no moment for it");
            let text = format!("A person asked for a message; none is sent: {why}.");
            return self.note(EntryKind::Person, text);
        };
        let held = match why.filter(|_| at > self.now) {
            Some(why) => format!("; it is held until {at}: {why}"),
            None => String::new(),
        };
        let text = format!("A person asked for a message with the link{held}.");
        self.note(EntryKind::Person, text);
        self.send(self.kind_by_hand(), channel, at);
    }

    /// The customer's record changed: exclusion, or payment methods.
    pub(super) fn on_customer_changed(&mut self) {
        if self.case.state.is_ended() {
            return;
        }
        if self.around.customer.excluded {
            return self.end(State::Stopped, "the customer is excluded from recovery");
        }
        let gateway = self.case.gateway.clone();
        let default = self.around.customer.method_at(&gateway).filter(|m| m.default);
        let token = default.map(|m| m.token().to_owned());
        match token {
            Some(token) if self.case.token.is_some() => self.take_over_method(&token),
            Some(token) => self.adopt_first_method(&token),
            None => {}
        }
        let waits = matches!(self.case.state, State::AwaitingCustomer);
        if waits && !self.waits_for(Pending::Check) && self.case.open_attempt().is_none() {
            self.plan();
        } else {
            // The record may have brought an address that a reminder waits for.
            self.plan_reminder();
        }
    }

    /// The first method that is known of this customer here: no update, only knowledge.
    fn adopt_first_method(&mut self, token: &str) {
        let gateway = self.case.gateway.clone();
        self.case.token = Some(token.to_owned());
        if self.case.moved_to.is_none() {
            self.case.card = self.around.customer.method(&gateway, token).map(|m| m.card.clone());
        }
    }
}
