//! Look-ups: before a new attempt, after an unknown outcome, and once more before giving up.
//!
//! Why here: webhooks get lost and gateways change their mind. What is read at the gateway, by a
//! look-up that began after the question came up, is the only thing that moves a case forward; so
//! the state converges even if every webhook is lost.
//!
//! What must stay true: "not found" is final only after the gateway's horizon, counted from the
//! last send; a re-send has the same key and bytes, is inside the key window, and is never made
//! once the invoice is closed or the case ended; a look-up that did not answer moves nothing.

use jiff::{SignedDuration, Timestamp};

use super::step::Stepper;
use super::{Attempt, AttemptOutcome, Next, Pending, RecoveredBy, State, Timer};
use crate::core::effect::{
    AttemptRef, ChargeOutcome, CheckOrder, CheckPurpose, CheckReport, InvoiceStatus, InvoiceView,
    LookUpAnswer, Order,
};
use crate::core::event::{Event, NativeRetry};
use crate::core::fault::{Mutant, fault};
use crate::core::ledger::EntryKind;
use crate::core::routing::Choice;

/// Waits between two look-ups of an unknown outcome; the last goes on.
const LOOK_UP_WAITS_S: [i64; 6] = [60, 300, 1_800, 7_200, 43_200, 86_400];
/// Waits while nothing can be verified before an attempt; the last goes on.
pub(super) const VERIFY_WAITS_S: [i64; 5] = [300, 900, 3_600, 14_400, 43_200];
/// How long whatever comes due during a look-up waits for its end: there is one at a time, or the
/// answers of one would be taken for those of the other.
pub(super) const AFTER_THE_CHECK: SignedDuration = SignedDuration::from_mins(5);
/// Look-ups in vain after which a person is told.
const TELL_AFTER: u32 = 5;
/// How often one attempt is handed to its gateway at most.
pub(super) const SENDS_MAX: u32 = 3;
/// The same, where a re-send is the look-up: at the waits above this is within a day.
const SENDS_AS_LOOK_UP_MAX: u32 = 6;

impl Stepper<'_> {
    /// Looks at everything once more before a new attempt. `false`: there is nothing to look at.
    pub(super) fn start_pre_flight(&mut self) -> bool {
        let attempts = self.references(|outcome| outcome != AttemptOutcome::Unknown);
        let reads = self.policy.billing().is_some_and(|g| g.capabilities.read_invoice);
        if (attempts.is_empty() && !reads) || fault(Mutant::NoPreFlight) {
            return false;
        }
        self.start_check(CheckPurpose::PreFlight, attempts);
        let why = "everything earlier is looked up once more before the attempt";
        self.case.next = Next { at: Some(self.now), what: "attempt".into(), why: why.into() };
        true
    }

    /// Looks up the attempt whose outcome is unknown.
    pub(super) fn start_look_up(&mut self) {
        if self.case.restored.is_some() {
            return self.ask_what_came_since();
        }
        if self.waits_for(Pending::Check) || self.waits_for(Pending::Charge) {
            return;
        }
        // What it finds may let the attempt be sent again: no earlier one may have paid meanwhile.
        if !self.references(|outcome| outcome == AttemptOutcome::Unknown).is_empty() {
            return self.start_check(CheckPurpose::Resolve, self.references(|_| true));
        }
        let open = self.case.attempts.iter().position(|a| a.outcome == AttemptOutcome::Unknown);
        match open {
            Some(index) if self.resend_tells(index) => self.send_again(index),
            // Only its webhook, or a person, can tell.
            Some(index) => self.look_up_again(index, "the gateway has no look-up"),
            None => {}
        }
    }

    /// A failure of an attempt of ours. The look-up is asked, since an event may be stale; where
    /// there is none, the event that names the attempt by its key is the answer: sent again, the
    /// key would only repeat what was said before it was decided.
    pub(super) fn on_our_failure(&mut self, event: &Event) {
        if event.native_retry == Some(NativeRetry::Planned) {
            self.learn_native_plan(event);
        }
        let key = event.idempotency_key.as_deref();
        let named = self.case.attempts.iter().position(|a| {
            key == Some(a.charge.idempotency_key.as_str()) && a.outcome == AttemptOutcome::Unknown
        });
        let told = named.zip(event.decline.clone()).filter(|(index, _)| {
            let gateway = self.policy.gateway(&self.case.attempts[*index].charge.gateway);
            gateway.is_some_and(|g| g.capabilities.resend_tells)
        });
        match told {
            Some((index, decline)) if !self.waits_for(Pending::Charge) => {
                let method = event.payment_method.clone().unwrap_or_default();
                let payment = event.payment.clone();
                self.settle(index, &ChargeOutcome::Declined { payment, decline, method });
            }
            _ => self.look_up_now(event),
        }
    }

    /// How long after a send whose outcome nobody knows it is asked for. Where a re-send is the
    /// look-up there are few of them, and they are spread over the day in which the key is known.
    pub(super) fn wait_for_news(&self, index: usize) -> SignedDuration {
        let attempt = &self.case.attempts[index];
        let gateway = self.policy.gateway(&attempt.charge.gateway);
        let by_sending = gateway.is_some_and(|g| g.capabilities.resend_tells);
        wait(&LOOK_UP_WAITS_S, if by_sending { attempt.sends } else { 1 })
    }

    /// Whether the same key and bytes, sent again, are answered with what became of the first send;
    /// where they never arrived, this is the one charge that was decided.
    fn resend_tells(&self, index: usize) -> bool {
        let attempt = &self.case.attempts[index];
        let gateway = self.policy.gateway(&attempt.charge.gateway);
        gateway.is_some_and(|g| g.capabilities.resend_tells)
            && self.may_send_again(index, SENDS_AS_LOOK_UP_MAX)
    }

    /// Inside the key window, not too often, and only while the invoice is owed.
    fn may_send_again(&self, index: usize, sends_max: u32) -> bool {
        let attempt = &self.case.attempts[index];
        let gateway = self.policy.gateway(&attempt.charge.gateway);
        let inside = gateway.zip(attempt.sent).is_some_and(|(gateway, (first, _))| {
            self.now < first + gateway.capabilities.key_window() || fault(Mutant::ResendsBlindly)
        });
        let owed = self.goes_on() || fault(Mutant::ResendsAfterTheEnd);
        inside && attempt.sends < sends_max && owed
    }

    /// Looks once more before giving up.
    pub(super) fn start_closing_sweep(&mut self) {
        if self.waits_for_what_came_since(Timer::ClosingSweep) {
            return;
        }
        if self.case.open_attempt().is_some() || self.case.state == State::Paused {
            return;
        }
        if self.waits_for(Pending::Check) {
            return self.set_timer(Timer::ClosingSweep, self.now + AFTER_THE_CHECK);
        }
        let ended = self.case.state.is_ended();
        let attempts = self.references(|outcome| !ended || outcome != AttemptOutcome::Approved);
        if ended {
            return self.start_check(CheckPurpose::ClosingSweep, attempts);
        }
        let reads = self.policy.billing().is_some_and(|g| g.capabilities.read_invoice);
        if (attempts.is_empty() && !reads) || fault(Mutant::NoClosingSweep) {
            return self.exhaust();
        }
        self.start_check(CheckPurpose::ClosingSweep, attempts);
    }

    pub(super) fn references(&self, wanted: impl Fn(AttemptOutcome) -> bool) -> Vec<AttemptRef> {
        let looks_up =
            |gateway| self.policy.gateway(gateway).is_some_and(|g| g.capabilities.look_up);
        let wanted = self.case.attempts.iter().filter(|a| wanted(a.outcome));
        wanted
            .filter(|a| looks_up(&a.charge.gateway) && !a.refunded)
            .filter_map(|a| {
                Some(AttemptRef {
                    charge: a.charge.clone(),
                    payment: a.payment.clone(),
                    first_sent_at: a.sent?.0,
                })
            })
            .collect()
    }

    pub(super) fn start_check(&mut self, purpose: CheckPurpose, attempts: Vec<AttemptRef>) {
        self.case.check_began_at = Some(self.now);
        self.case.check_purpose = Some(purpose);
        self.ask(Order::Check(CheckOrder {
            purpose,
            gateway: self.case.gateway.clone(),
            invoice: self.case.invoice.clone(),
            attempts,
        }));
    }

    /// What the look-up found.
    pub(super) fn on_checked(&mut self, report: &CheckReport) {
        let purpose = self.case.check_purpose.take().unwrap_or(CheckPurpose::Resolve);
        let began = self.case.check_began_at.take().unwrap_or(self.now);
        let mut unanswered = report.invoice_error.clone();
        let restored = purpose == CheckPurpose::Restored;
        // First the invoice: when it is closed, no answer about an attempt sends anything again.
        // After a restore it comes last: an attempt that nobody remembers may have closed it.
        if let Some(view) = report.invoice.as_ref().filter(|_| !restored) {
            self.apply_invoice(view);
        }
        let marked =
            |view: &InvoiceView| view.status == InvoiceStatus::Paid && view.paid_out_of_band;
        self.seen_marked = restored && report.invoice.as_ref().is_some_and(marked);
        let mut new = false;
        for (id, answer) in &report.attempts {
            let known = self.case.attempts.iter().position(|a| a.charge.attempt == *id);
            let remembered = || self.remember_attempt(id, answer);
            let Some(index) = known.or_else(remembered) else {
                if let LookUpAnswer::Unavailable { why } = answer {
                    unanswered = Some(why.clone());
                }
                continue;
            };
            new |= known.is_none();
            if let Some(why) = self.apply_answer(index, answer, began) {
                unanswered = Some(why);
            }
        }
        if restored {
            // What marked it may be an attempt at a gateway that is still to be asked.
            let early = self.seen_marked && !self.is_last_to_tell();
            if let Some(view) = report.invoice.as_ref().filter(|_| !early) {
                self.apply_invoice(view);
            }
            return self.on_restored_checked(unanswered, new);
        }
        if self.case.open_attempt().is_some() {
            return;
        }
        if self.case.state.is_ended() {
            self.heed_invoice_after_the_end(report.invoice.as_ref());
            return self.look_again_after_the_end(purpose, &unanswered);
        }
        match (purpose, unanswered) {
            (CheckPurpose::PreFlight, None) => self.go_on_after_pre_flight(),
            _ if fault(Mutant::StaleAnswerCounts) && self.goes_on() => self.start_attempt(),
            (CheckPurpose::PreFlight, Some(why)) if self.case.state == State::Scheduled => {
                self.verify_later(&why, Timer::NextAttempt);
            }
            (CheckPurpose::ClosingSweep, _) if self.has_moved_on(began) => {}
            (CheckPurpose::ClosingSweep, None) => self.exhaust(),
            (CheckPurpose::ClosingSweep, Some(why)) => {
                self.verify_later(&why, Timer::ClosingSweep);
            }
            (CheckPurpose::SaysPaid, why) => self.on_not_paid_yet(why.as_deref()),
            (CheckPurpose::PreFlight | CheckPurpose::Resolve | CheckPurpose::Restored, _) => {}
        }
    }

    /// The last look of a case that is over was not answered: once more.
    fn look_again_after_the_end(&mut self, purpose: CheckPurpose, unanswered: &Option<String>) {
        if purpose == CheckPurpose::ClosingSweep && unanswered.is_some() {
            self.case.unverified += 1;
            let at = self.now + wait(&VERIFY_WAITS_S, self.case.unverified);
            self.set_timer(Timer::ClosingSweep, at);
        }
    }

    /// A case that was stopped kept what another gateway approved; meanwhile the invoice was paid
    /// at its own: the customer pays once.
    fn heed_invoice_after_the_end(&mut self, view: Option<&InvoiceView>) {
        let paid =
            |view: &&InvoiceView| view.status == InvoiceStatus::Paid && !view.paid_out_of_band;
        if self.case.state != State::Stopped || view.filter(paid).is_none() {
            return;
        }
        let kept = |a: &Attempt| a.outcome == AttemptOutcome::Approved && !a.refunded;
        if self.case.attempts.iter().any(|a| kept(a) && a.charge.billing) {
            return;
        }
        if let Some(index) = self.case.attempts.iter().rposition(kept) {
            self.give_back(index, "the invoice was paid at the billing gateway");
        }
    }

    /// Whether a closing sweep found, or was overtaken by, something else than the end: a hold, the
    /// gateway's own retry, a new card.
    fn has_moved_on(&mut self, began: Timestamp) -> bool {
        if self.case.state != State::AwaitingCustomer {
            return true;
        }
        let new_card = self.case.card_updated && self.case.window_from >= began;
        if new_card {
            self.plan();
        }
        new_card || self.case.timers.contains_key(&Timer::ClosingSweep)
    }

    fn go_on_after_pre_flight(&mut self) {
        self.case.unverified = 0;
        if self.case.state != State::Scheduled {
            return;
        }
        let Some(route) = self.case.route.clone() else {
            // The route was taken back meanwhile, by a new card, a decline or a pause.
            if !self.case.timers.contains_key(&Timer::NextAttempt) {
                self.plan();
            }
            return;
        };
        match self.still_open(&route) {
            Choice::Take { .. } => self.send_attempt(),
            Choice::NotBefore { at, why } => {
                self.case.route = None;
                self.schedule_at(at, &why);
            }
            Choice::NotWorth { .. } | Choice::None { .. } => {
                self.case.route = None;
                self.plan();
            }
        }
    }

    /// Books what one look-up answered; gives the reason when it gave no answer.
    fn apply_answer(
        &mut self,
        index: usize,
        answer: &LookUpAnswer,
        began: Timestamp,
    ) -> Option<String> {
        let open = self.case.attempts[index].outcome == AttemptOutcome::Unknown;
        match answer {
            LookUpAnswer::Found(ChargeOutcome::Unknown { why }) => {
                return self.unanswered(index, why);
            }
            LookUpAnswer::Found(outcome @ ChargeOutcome::Approved { .. }) => {
                if self.case.attempts[index].outcome != AttemptOutcome::Approved {
                    self.settle(index, outcome);
                }
            }
            LookUpAnswer::Found(ChargeOutcome::Pending { .. }) if open => {
                self.look_up_again(index, "the gateway has not decided yet");
            }
            LookUpAnswer::Found(outcome) if open => self.settle(index, outcome),
            LookUpAnswer::Found(_) => {}
            LookUpAnswer::NotFound if open => self.on_not_found(index, began),
            LookUpAnswer::NotFound => {}
            LookUpAnswer::Unavailable { why } => return self.unanswered(index, why),
        }
        None
    }

    fn unanswered(&mut self, index: usize, why: &str) -> Option<String> {
        if self.case.attempts[index].outcome == AttemptOutcome::Unknown {
            self.look_up_again(index, why);
        }
        Some(why.to_owned())
    }

    /// The gateway does not know the attempt (yet).
    fn on_not_found(&mut self, index: usize, began: Timestamp) {
        let attempt = &self.case.attempts[index];
        let Some((first, last)) = attempt.sent else { return };
        let last = if fault(Mutant::HorizonFromFirstSend) { first } else { last };
        let gateway = attempt.charge.gateway.clone();
        let Some(capabilities) = self.policy.gateway(&gateway).map(|g| g.capabilities.clone())
        else {
            return self.look_up_again(index, "the gateway is not configured any more");
        };
        if began >= last + capabilities.horizon() || fault(Mutant::NotFoundIsFinal) {
            return self.fail_technically(index, "the gateway never got it");
        }
        if self.may_send_again(index, SENDS_MAX) {
            return self.send_again(index);
        }
        self.look_up_again(index, "the gateway does not know it yet");
    }

    /// The same attempt with the same key and bytes: the gateway charges it once.
    fn send_again(&mut self, index: usize) {
        let now = self.now;
        let attempt = &mut self.case.attempts[index];
        attempt.sends += 1;
        attempt.sent = attempt.sent.map(|(first, _)| (first, now));
        if fault(Mutant::NewKeyOnResend) {
            attempt.charge.idempotency_key.push_str("-again");
        }
        let charge = attempt.charge.clone();
        self.note(
            EntryKind::AttemptSent,
            format!("Sent to {} again with its own key: it is charged once.", charge.gateway),
        );
        self.case.timers.remove(&Timer::LookUp);
        self.ask(Order::Charge(charge));
    }

    fn look_up_again(&mut self, index: usize, why: &str) {
        let attempt = &mut self.case.attempts[index];
        attempt.look_ups += 1;
        let tries = attempt.look_ups;
        let gateway = attempt.charge.gateway.clone();
        let at = self.now + wait(&LOOK_UP_WAITS_S, tries);
        self.set_timer(Timer::LookUp, at);
        self.note(EntryKind::AttemptOutcome, format!("Still unknown at {gateway}: {why}."));
        let told = format!("{gateway} has not told the outcome of an attempt: look there");
        if tries >= TELL_AFTER && !self.case.flags.contains(&told) {
            self.flag(told);
        }
        if self.goes_on() {
            let next = Next { at: Some(at), what: "look_up".into(), why: why.to_owned() };
            self.enter(
                State::AwaitingOutcome,
                format!("the outcome at {gateway} is unknown"),
                next,
            );
        }
    }

    /// Nothing could be verified, so nothing is charged: the same question again later.
    fn verify_later(&mut self, why: &str, timer: Timer) {
        self.case.unverified += 1;
        self.case.route = None;
        let at = self.now + wait(&VERIFY_WAITS_S, self.case.unverified);
        let promised = self.promised_until().filter(|_| timer == Timer::NextAttempt);
        let at = promised.map_or(at, |promised| promised.max(at));
        self.set_timer(timer, at);
        let text = format!("what happened before could not be looked up ({why})");
        self.note(EntryKind::Decided, format!("Nothing is charged: {text}; again at {at}."));
        if self.case.unverified == TELL_AFTER {
            self.flag(format!("Attempts wait: {text}"));
        }
        self.case.next = Next { at: Some(at), what: "attempt".into(), why: text };
    }

    /// The invoice as its gateway knows it now.
    fn apply_invoice(&mut self, view: &InvoiceView) {
        if self.case.state.is_ended() {
            return;
        }
        match view.status {
            InvoiceStatus::Paid => {
                // Our own unknown attempt at the billing gateway is the likely payer; its look-up
                // says so. Here it is only certain that nothing is owed.
                let ours = self.case.open_attempt().is_some_and(|a| a.charge.billing);
                let by = if ours { RecoveredBy::Retry } else { RecoveredBy::Elsewhere };
                self.recover(by, "the invoice is paid at its gateway");
            }
            InvoiceStatus::Void => self.end(State::Stopped, "the invoice was voided"),
            InvoiceStatus::Uncollectible => {
                self.end(State::Stopped, "the invoice was written off at its gateway");
            }
            InvoiceStatus::Draft | InvoiceStatus::Open => self.apply_open_invoice(view),
        }
    }

    fn apply_open_invoice(&mut self, view: &InvoiceView) {
        if let Some(owed) = view.amount_remaining {
            self.take_over_amount(owed);
        }
        if self.case.state == State::Paused || self.case.state.is_ended() {
            return;
        }
        if let Some(next) = view.next_native_attempt_at.filter(|at| *at > self.now) {
            self.case.native_retry = Some(NativeRetry::Planned);
            self.case.native_next_at = Some(next);
            self.case.route = None;
            if self.case.open_attempt().is_none() {
                self.plan();
            }
        }
    }
}

pub(super) fn wait(waits: &[i64], tries: u32) -> SignedDuration {
    let index = (tries.max(1) as usize - 1).min(waits.len() - 1);
    SignedDuration::from_secs(waits[index])
}
