//! The end of a case, and what follows from money that came in.
//!
//! Why here: there are many ways to end and one way to do it: no charge, no message but the
//! thank-you, and an attempt whose outcome is unknown is still looked up, since a late success
//! after the end is money that must be given back (design I2, I5).
//!
//! What must stay true: an ended case never opens again; two captures of one invoice leave one.

use super::step::Stepper;
use super::{AttemptOutcome, Case, Next, Pending, RecoveredBy, State, Timer};
use crate::core::effect::{CloseOrder, MarkPaidOrder, MarkPaidOutcome, Order, RefundOrder};
use crate::core::fault::{Mutant, fault};
use crate::core::ledger::{Decision, EntryKind};
use crate::core::policy::{InvoiceAction, SubscriptionAction};

impl Stepper<'_> {
    /// Ends the case.
    pub(super) fn end(&mut self, state: State, reason: impl Into<String>) {
        let reason = reason.into();
        let unresolved = self.case.open_attempt().is_some();
        self.case.timers.retain(|timer, _| unresolved && *timer == Timer::LookUp);
        if unresolved && !self.waits_for(Pending::Charge) && !self.waits_for(Pending::Check) {
            self.case.timers.entry(Timer::LookUp).or_insert(self.now);
        }
        self.cancel_messages();
        self.case.ended_at = Some(self.now);
        self.case.restored = None;
        self.case.route = None;
        let next = Next { at: None, what: "none".into(), why: "the case is over".into() };
        self.note(EntryKind::Ended, format!("{}: {reason}.", title(state)));
        self.enter(state, reason, next);
        self.plan_last_look();
    }

    /// A gateway may change its mind about a refusal until its horizon. One look behind it finds a
    /// late success even if its webhook is lost.
    pub(super) fn plan_last_look(&mut self) {
        let refused = self.case.attempts.iter().filter_map(|a| {
            let gateway = self.policy.gateway(&a.charge.gateway)?;
            let known = [AttemptOutcome::Approved, AttemptOutcome::Withheld].contains(&a.outcome);
            let open = known || !gateway.capabilities.look_up;
            let until = a.settled_at? + gateway.capabilities.horizon();
            (!open).then_some(until)
        });
        let Some(until) = refused.max().filter(|_| !fault(Mutant::NoClosingSweep)) else { return };
        // Only who gives up has just looked at everything.
        if until > self.now || self.case.state != State::Exhausted {
            self.set_timer(Timer::ClosingSweep, until.max(self.now));
        }
    }

    /// Ends the case as paid, and thanks the customer if they had been written to.
    pub(super) fn recover(&mut self, by: RecoveredBy, reason: impl Into<String>) {
        self.case.recovered_by = Some(by);
        self.end(State::Recovered, reason);
        self.thank();
    }

    /// Books the success of one of our attempts: ends the case, or gives the money back when the
    /// invoice was settled otherwise meanwhile.
    pub(super) fn book_success(&mut self, index: usize) {
        let attempt = &self.case.attempts[index];
        let (id, gateway) = (attempt.charge.attempt.clone(), attempt.charge.gateway.clone());
        let billing = attempt.charge.billing;
        if let Some(key) = attempt.card.clone() {
            self.around.card(&key).approve(&id);
        }
        if !self.case.state.is_ended() || self.case.state == State::Exhausted {
            let by = recovered_by(&self.case, index);
            let amount = self.case.attempts[index].charge.amount;
            self.recover(by, format!("{amount} was approved by {gateway}"));
            if !billing {
                self.record_at_billing(index);
            }
            return;
        }
        if self.is_the_same_capture(index) {
            if self.case.recovered_by == Some(RecoveredBy::Elsewhere) {
                self.case.recovered_by = Some(recovered_by(&self.case, index));
            }
            self.note(EntryKind::AttemptOutcome, format!("{gateway} confirms the payment."));
            return;
        }
        match self.case.state {
            State::Recovered => self.give_back(index, "the invoice was paid otherwise meanwhile"),
            _ if self.case.reason.contains(CANCELLED) && !self.paid_otherwise(index) => {
                self.flag(format!(
                    "{gateway} approved an attempt after the subscription was cancelled: decide \
                     whether to give it back"
                ));
                // Its customer may have paid at the billing gateway, and the word of it be lost.
                if !billing && self.policy.billing().is_some_and(|g| g.capabilities.read_invoice) {
                    self.start_closing_sweep();
                }
            }
            _ => self.give_back(index, "the case had been stopped"),
        }
    }

    /// Whether another payment than this attempt's is known to have paid the invoice.
    fn paid_otherwise(&self, index: usize) -> bool {
        let own = &self.case.attempts[index];
        let told = self.case.paid_by.is_some() && self.case.paid_by != own.payment;
        let once = self.policy.billing().is_some_and(|g| g.capabilities.pays_invoice_once);
        let another = |(i, a): (usize, &super::Attempt)| {
            let there = a.charge.gateway == own.charge.gateway;
            let same = there && (a.payment == own.payment || (own.charge.billing && once));
            i != index && a.outcome == AttemptOutcome::Approved && !a.refunded && !same
        };
        told || self.case.attempts.iter().enumerate().any(another)
    }

    /// Whether this success is what the case was already counted as paid by.
    fn is_the_same_capture(&self, index: usize) -> bool {
        let attempt = &self.case.attempts[index];
        if self.case.state != State::Recovered {
            return false;
        }
        let others =
            self.case.attempts.iter().enumerate().filter(|(i, a)| {
                *i != index && a.outcome == AttemptOutcome::Approved && !a.refunded
            });
        let same_payment = |a: &super::Attempt| {
            a.payment.is_some()
                && a.payment == attempt.payment
                && a.charge.gateway == attempt.charge.gateway
        };
        if others.clone().any(|(_, a)| same_payment(a)) {
            return true;
        }
        let by_hand = self.case.paid_by.as_deref() == Some(BY_HAND);
        if !attempt.charge.billing || by_hand || others.clone().any(|(_, a)| !a.charge.billing) {
            return false;
        }
        let capabilities = self.policy.billing().map(|g| &g.capabilities);
        let once = capabilities.is_some_and(|c| c.pays_invoice_once);
        // Where nobody told which payment it was, ours was in flight, or it is the only one.
        let known = self.case.paid_by.is_none() || self.case.paid_by == attempt.payment;
        once || (known && others.count() == 0)
    }

    /// Asks for a refund of one of our attempts.
    pub(super) fn give_back(&mut self, index: usize, why: &str) {
        let attempt = &mut self.case.attempts[index];
        if attempt.refunded || fault(Mutant::ForgetsSecondPayment) {
            return;
        }
        attempt.refunded = true;
        let charge = &attempt.charge;
        let order = RefundOrder {
            gateway: charge.gateway.clone(),
            attempt: charge.attempt.clone(),
            charge: attempt.payment.clone().unwrap_or_default(),
            amount: charge.amount,
        };
        let text =
            format!("Two captures: {} at {} is given back, {why}", order.amount, order.gateway);
        self.flag(text.clone());
        self.decide(
            format!("{text}."),
            Decision {
                what: "refund".into(),
                at: Some(self.now),
                via: Some(order.gateway.to_string()),
                why: why.to_owned(),
                considered: Vec::new(),
            },
        );
        self.ask(Order::Refund(order));
    }

    /// Records at the billing gateway that the invoice was paid elsewhere.
    fn record_at_billing(&mut self, index: usize) {
        let attempt = &self.case.attempts[index];
        let order = MarkPaidOrder {
            gateway: self.case.gateway.clone(),
            invoice: self.case.invoice.clone(),
            paid_at: Some(attempt.charge.gateway.clone()),
            charge: attempt.payment.clone(),
        };
        self.ask_to_mark_paid(order);
    }

    /// Asks to mark the invoice as paid, where the billing gateway can.
    pub(super) fn ask_to_mark_paid(&mut self, order: MarkPaidOrder) {
        if self.seen_marked {
            return self.note(EntryKind::Acted, "The invoice is marked as paid already.");
        }
        let can = self.policy.billing().is_some_and(|g| g.capabilities.paid_out_of_band);
        if can {
            self.ask(Order::MarkPaid(order));
        } else {
            let gateway = &order.gateway;
            self.flag(format!(
                "Mark the invoice as paid at {gateway} by hand: it has no call for it"
            ));
        }
    }

    /// What came of recording the payment at the billing gateway.
    pub(super) fn on_marked_paid(&mut self, outcome: &MarkPaidOutcome) {
        match outcome {
            MarkPaidOutcome::Done => {
                let gateway = self.case.gateway.clone();
                self.case.flags.retain(|flag| !flag.starts_with(UNMARKED));
                self.note(EntryKind::Acted, format!("The invoice is marked as paid at {gateway}."));
            }
            MarkPaidOutcome::AlreadyPaid => self.on_paid_twice(),
            MarkPaidOutcome::Failed { why } => {
                self.case.unmarked = true;
                self.flag(format!("{UNMARKED} at {} ({why}): do it by hand", self.case.gateway));
            }
        }
    }

    /// What may have stood against marking it as paid, an attempt that was undecided, took no
    /// money. As long as the invoice is open there, its customer may pay it again.
    pub(super) fn mark_again(&mut self) {
        let marked = !self.case.unmarked || fault(Mutant::MarksOnce);
        if marked || self.case.open_attempt().is_some() {
            return;
        }
        let ours = self.case.attempts.iter().rposition(|a| {
            a.outcome == AttemptOutcome::Approved && !a.charge.billing && !a.refunded
        });
        if let Some(index) = ours {
            self.case.unmarked = false;
            self.record_at_billing(index);
        }
    }

    /// The billing gateway had it paid already: our own capture elsewhere is the second one.
    fn on_paid_twice(&mut self) {
        let back = |a: &super::Attempt| {
            a.charge.billing && a.refunded && a.outcome == AttemptOutcome::Approved
        };
        // What paid it there was ours, and is given back already: the other one stays.
        if self.case.attempts.iter().any(back) {
            let gateway = self.case.gateway.clone();
            let text = format!("The invoice stays as paid at {gateway}, by what was given back.");
            return self.note(EntryKind::Acted, text);
        }
        let ours = self.case.attempts.iter().rposition(|a| {
            a.outcome == AttemptOutcome::Approved && !a.charge.billing && !a.refunded
        });
        if let Some(index) = ours {
            self.case.recovered_by = Some(RecoveredBy::Elsewhere);
            self.give_back(index, "the invoice had been paid at the billing gateway already");
        }
    }

    /// What came of a refund.
    pub(super) fn on_refunded(&mut self, result: &Result<(), String>) {
        match result {
            Ok(()) => self.note(EntryKind::Acted, "The refund is made."),
            Err(why) => self.flag(format!("The refund was refused ({why}): make it by hand")),
        }
    }

    /// What came of adopting a method, or of the final actions.
    pub(super) fn on_acted(&mut self, pending: Pending, result: &Result<(), String>) {
        let what = match pending {
            Pending::Adopt => "The new card is now the one that the subscription is charged by",
            _ => "Subscription and invoice are closed as configured",
        };
        match result {
            Ok(()) => self.note(EntryKind::Acted, format!("{what}.")),
            Err(why) => self.flag(format!("Not done ({why}): {}", what.to_lowercase())),
        }
    }

    /// Gives up: nothing helped.
    pub(super) fn exhaust(&mut self) {
        self.end(State::Exhausted, "no attempt and no reminder brought the payment back");
        let keep = self.policy.subscription_action == SubscriptionAction::Keep
            && self.policy.invoice_action == InvoiceAction::Keep;
        if !keep {
            self.ask(Order::Close(CloseOrder {
                gateway: self.case.gateway.clone(),
                subscription: self.case.subscription.clone(),
                subscription_action: self.policy.subscription_action,
                invoice: self.case.invoice.clone(),
                invoice_action: self.policy.invoice_action,
            }));
        }
    }
}

/// Stands for the payment that a person says came in outside any gateway.
pub(super) const BY_HAND: &str = "by hand";

/// How the flag begins that asks a person to mark the invoice as paid.
const UNMARKED: &str = "The invoice could not be marked as paid";

/// How the reason of a case begins that was stopped because its subscription ended.
pub(super) const CANCELLED: &str = "the subscription was cancelled";

fn recovered_by(case: &Case, index: usize) -> RecoveredBy {
    if case.card_updated {
        RecoveredBy::CardUpdate
    } else if case.attempts[index].charge.billing {
        RecoveredBy::Retry
    } else {
        RecoveredBy::OtherGateway
    }
}

fn title(state: State) -> &'static str {
    match state {
        State::Exhausted => "Exhausted",
        State::Recovered => "Recovered",
        _ => "Stopped",
    }
}
