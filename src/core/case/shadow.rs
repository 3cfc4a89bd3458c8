//! Shadow: a case that is planned to its end, and for which nothing is done.
//!
//! Why here: a merchant sees what recoup would do, beside what the gateway does, before it does
//! anything. The plan is the real one, so it is made by the real code; this is all that differs.
//!
//! What must stay true: a case in shadow asks for nothing but look-ups, and for messages that are
//! written out and kept; every effect passes [`Stepper::in_shadow`]. It stays in shadow until its
//! end, whatever the merchant file says meanwhile: going live makes up for nothing. It counts on no
//! card and teaches nothing.

use super::step::Stepper;
use super::{AttemptOutcome, Timer};
use crate::core::effect::Order;
use crate::core::ledger::EntryKind;

impl Stepper<'_> {
    /// Records that the case is only planned.
    pub(super) fn note_shadow(&mut self) {
        if self.case.shadow {
            self.note(
                EntryKind::Opened,
                "Shadow mode: it is planned to its end, and nothing is charged or sent. The \
                 gateway's own retries go on; the plan is made as if they did not.",
            );
        }
    }

    /// What of an order leaves the core: all of it, but in shadow only what changes nothing.
    pub(super) fn in_shadow(&mut self, order: Order) -> Option<Order> {
        if !self.case.shadow {
            return Some(order);
        }
        let would = match order {
            Order::Check(order) => return Some(Order::Check(order)),
            Order::Send(mut message) => {
                message.withheld = true;
                return Some(Order::Send(message));
            }
            Order::AdoptMethod(_) => "the new card would be made the subscription's",
            Order::Charge(_) => "it would be charged",
            Order::Close(_) => "subscription and invoice would be closed as configured",
            Order::MarkPaid(_) => "the invoice would be marked as paid",
            Order::Refund(_) => "the charge would be given back",
        };
        self.note(EntryKind::Acted, format!("Not done, in shadow mode: {would}."));
        None
    }

    /// The attempt that would be made now. The plan goes on as if the bank had refused it for the
    /// same reason again.
    pub(super) fn withhold_attempt(&mut self) {
        let Some(attempt) = self.case.attempts.last_mut() else { return };
        attempt.sent = None;
        attempt.sends = 0;
        attempt.outcome = AttemptOutcome::Withheld;
        attempt.settled_at = Some(self.now);
        let charge = &attempt.charge;
        let text = format!(
            "Attempt {} would be made now: {} through {}. Nothing is charged in shadow mode; the \
             plan goes on as if the bank had refused it.",
            charge.number, charge.amount, charge.gateway
        );
        self.note(EntryKind::AttemptOutcome, text);
        self.case.timers.remove(&Timer::LookUp);
        self.case.card_updated = false;
        self.case.page_used = false;
        self.case.declined_at = self.now;
        self.plan();
    }
}
