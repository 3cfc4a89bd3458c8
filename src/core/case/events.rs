//! What gateways tell: failures, payments, cancellations. What they tell of cards is in `cards`.
//!
//! Why here: events come twice, late, and in any order. Each handler is monotone: it takes the case
//! forward or leaves it.
//!
//! What must stay true: an event never settles an attempt of ours as failed where it can be looked
//! up, it brings the look-up forward; several events of one failure are one failure; a failure
//! never reopens a paid invoice; an amount or currency that the invoice does not have charges
//! nobody.

use super::attempts::describe;
use super::ending::{BY_HAND, CANCELLED};
use super::step::Stepper;
use super::{Attempt, AttemptOutcome, Case, Next, Pending, RecoveredBy, State, Timer};
use crate::core::card::CardAttempt;
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::ChargeOutcome;
use crate::core::event::{Event, EventKind};
use crate::core::fault::{Mutant, fault};
use crate::core::ids::{CardKey, GatewayId};
use crate::core::ledger::EntryKind;
use crate::core::money::Money;
use crate::core::trial::Refusal;

impl Stepper<'_> {
    /// Applies one gateway event.
    pub(super) fn on_event(&mut self, event: &Event) {
        match event.kind {
            EventKind::ActionRequired | EventKind::PaymentFailed => self.on_failure(event),
            EventKind::PaymentSucceeded => self.on_paid(event),
            EventKind::PaymentMethodUpdated => self.on_method_updated(event),
            EventKind::PaymentMethodRemoved => self.on_method_removed(event),
            EventKind::InvoiceVoided => self.stop_by(event, "the invoice was voided"),
            EventKind::InvoiceUncollectible => {
                self.stop_by(event, "the invoice was written off at its gateway");
            }
            EventKind::Refunded => self.stop_by(event, "the payment was refunded"),
            EventKind::Disputed => self.on_disputed(event),
            EventKind::SubscriptionCancelled => self.stop_by(event, CANCELLED),
            EventKind::SubscriptionPaused => self.on_subscription_paused(event),
            EventKind::PaymentUnknown => self.look_up_now(event),
            EventKind::Other if event.native_retry.is_some() => self.on_native_plan(event),
            EventKind::DisputeClosed
            | EventKind::Other
            | EventKind::PartiallyRefunded
            | EventKind::SubscriptionUpdated => {}
        }
    }

    // ---- failures ----

    fn on_failure(&mut self, event: &Event) {
        self.learn_never(event);
        if self.case.state.is_ended() && fault(Mutant::FailureReopens) {
            self.case.state = State::Scheduled;
            return self.plan();
        }
        if self.case.state.is_ended() {
            self.count_native_attempt(event);
            let text = "A failure was told after the end; it changes nothing.";
            self.note(EntryKind::Event, text);
            return self.doubt_what_was_approved(event);
        }
        if self.is_about_our_attempt(event) {
            return self.on_our_failure(event);
        }
        if event.customer_present {
            let text = "The customer tried to pay and it failed; the card on file was not charged.";
            return self.note(EntryKind::Event, text);
        }
        if let Some(owed) = event.amount
            && !self.take_over_amount(owed)
        {
            return;
        }
        let before = (self.case.decline.clone(), self.case.native_retry, self.case.native_next_at);
        self.learn_invoice(event);
        self.count_native_attempt(event);
        self.learn_decline(event);
        self.learn_native_plan(event);
        let after = (self.case.decline.clone(), self.case.native_retry, self.case.native_next_at);
        let fresh = self.case.reason.is_empty();
        let held = matches!(self.case.state, State::Paused);
        let news = fresh || before != after;
        if news && self.waits_for(Pending::Check) {
            // What the look-up was made for is decided anew when it is back.
            self.case.route = None;
        }
        if news && !held && !self.waits_for(Pending::Check) {
            self.plan();
        } else {
            // The event may have brought an address that a reminder waits for.
            self.plan_reminder();
        }
    }

    /// A charge that was approved may fail when it is captured or settled: then nothing was paid.
    fn doubt_what_was_approved(&mut self, event: &Event) {
        let Some(key) = event.idempotency_key.as_deref() else { return };
        let named = |a: &&Attempt| {
            a.charge.idempotency_key == key && a.outcome == AttemptOutcome::Approved && !a.refunded
        };
        let Some(attempt) = self.case.attempts.iter().find(named) else { return };
        self.flag(format!(
            "{} now says that the payment which it had approved failed: check whether the invoice \
             is paid",
            attempt.charge.gateway
        ));
    }

    /// An order never to charge a card again holds, however the case stands.
    fn learn_never(&mut self, event: &Event) {
        let (Some(decline), Some(card)) = (&event.decline, self.told_card(event)) else { return };
        self.mark_never(Some(&card), decline);
    }

    /// The card that an event names by its token at the billing gateway, where it is known.
    fn told_card(&self, event: &Event) -> Option<CardKey> {
        let token = event.payment_method.as_ref()?.token.as_deref()?;
        self.around.customer.method(&self.case.gateway, token).map(|m| m.card.clone())
    }

    /// Whether a failure is the echo of an attempt that we made.
    fn is_about_our_attempt(&self, event: &Event) -> bool {
        let same = |a: &Attempt| {
            let by_key =
                event.idempotency_key.as_deref() == Some(a.charge.idempotency_key.as_str());
            by_key || (a.charge.billing && event.payment.is_some() && event.payment == a.payment)
        };
        // A gateway does not count our attempts: a higher count is an attempt of its own, also
        // where all charges of an invoice are one payment.
        if event.attempt_count.is_some_and(|n| n > self.case.native_attempts)
            && event.idempotency_key.is_none()
        {
            return false;
        }
        let in_flight = self.case.open_attempt().is_some_and(|a| a.charge.billing);
        self.case.attempts.iter().any(same) || in_flight
    }

    fn learn_invoice(&mut self, event: &Event) {
        let case = &mut self.case;
        case.customer = case.customer.take().or_else(|| event.customer.clone());
        case.subscription = case.subscription.take().or_else(|| event.subscription.clone());
        case.description = case.description.take().or_else(|| event.description.clone());
        let known = self.told_card(event);
        if let Some(token) = event.payment_method.as_ref().and_then(|m| m.token.clone())
            && !self.case.card_updated
            && self.case.moved_to.is_none()
        {
            self.case.card = known;
            self.case.token = Some(token);
        }
    }

    /// Counts the billing gateway's own attempt on the card, once.
    fn count_native_attempt(&mut self, event: &Event) {
        let new = match (event.attempt_count, &event.payment) {
            // One that was overtaken by a later one is told by its own payment.
            (Some(count), Some(payment)) => {
                count > self.case.native_attempts || !self.case.payments.contains(payment)
            }
            (Some(count), None) => count > self.case.native_attempts,
            (None, Some(payment)) => !self.case.payments.contains(payment),
            (None, None) => self.case.native_attempts == 0,
        };
        if let Some(payment) = &event.payment {
            self.remember_payment(payment);
        }
        if !new {
            return;
        }
        let first = self.case.native_attempts == 0;
        let told = event.attempt_count.unwrap_or(self.case.native_attempts + 1);
        self.case.native_attempts = self.case.native_attempts.max(told).max(1);
        let at = event.occurred_at.unwrap_or(self.now).min(self.now);
        if !first {
            self.case.declined_at = self.case.declined_at.max(at);
        }
        let gateway = self.case.gateway.clone();
        let amount = self.case.amount;
        let facts = event.payment_method.clone().unwrap_or_default();
        // The card that was charged: the customer may have another one by now, and what the gateway
        // does after the end of a case counts on their new one.
        let key = self
            .told_card(event)
            .or_else(|| self.billing_card())
            .unwrap_or_else(|| CardKey::of_token(&gateway, &self.case.customer_key()));
        if self.case.moved_to.is_none() && self.case.card.is_none() {
            self.case.card = Some(key.clone());
        }
        let card = self.around.card(&key);
        card.network = facts.network.or(card.network.take());
        card.country = facts.country.or(card.country.take());
        card.note(CardAttempt { at, gateway, amount, approved: false, attempt: None });
    }

    fn learn_decline(&mut self, event: &Event) {
        let told = match (&event.decline, event.kind) {
            (Some(decline), _) => decline.clone(),
            (None, EventKind::ActionRequired) => authentication_required(),
            (None, _) => return,
        };
        let ours_since = self.case.attempts.iter().any(|a| a.decline.is_some());
        let vague = self.case.decline.as_ref().is_none_or(|d| d.category == Category::Unknown);
        let newer = event.occurred_at.is_none_or(|at| at >= self.case.declined_at) || !ours_since;
        let better = vague || (newer && told.category != Category::Unknown);
        if !better {
            return;
        }
        if self.case.decline.as_ref() == Some(&told) {
            return;
        }
        let card = self.case.card.clone();
        self.note(EntryKind::Event, format!("The bank's answer: {}.", describe(&told)));
        self.mark_never(card.as_ref(), &told);
        if self.case.attempts.is_empty() {
            self.case.first_refusal = Some(Refusal::of(&told));
        }
        self.case.decline = Some(told);
    }

    /// Takes over what is owed now. `false`: it contradicts the invoice; the case is held.
    pub(super) fn take_over_amount(&mut self, owed: Money) -> bool {
        let known = self.case.amount;
        if owed == known || !owed.is_positive() && owed.currency == known.currency {
            return true;
        }
        if owed.currency == known.currency && owed.minor < known.minor {
            self.case.amount = owed;
            self.note(EntryKind::Event, format!("A part was paid: {owed} is left of {known}."));
            return true;
        }
        let why = format!("the gateway now says {owed}, and the invoice was over {known}");
        self.flag(format!(
            "Held, nobody is charged: {why}. Check the invoice, then resume or stop"
        ));
        self.case.timers.retain(|timer, _| *timer == Timer::LookUp);
        self.case.route = None;
        let next = Next { at: None, what: "wait".into(), why: "a person has to look".into() };
        self.enter(State::Paused, why, next);
        false
    }

    // ---- payments ----

    fn on_paid(&mut self, event: &Event) {
        if let Some(index) = self.attempt_of(event) {
            return self.on_our_success(index, event);
        }
        if self.case.state.is_ended() && self.case.state != State::Exhausted {
            return self.on_paid_again(event);
        }
        if let Some(payment) = &event.payment {
            self.remember_payment(payment);
        }
        if event.amount.is_some_and(|paid| paid.currency != self.case.amount.currency) {
            let paid = event.amount.unwrap_or(self.case.amount);
            self.take_over_amount(paid);
            return;
        }
        if let Some(paid) = event.amount.filter(|paid| *paid != self.case.amount) {
            let owed = self.case.amount;
            self.flag(format!("The gateway says paid, by {paid}, and {owed} was owed: check it"));
        }
        if fault(Mutant::IgnoresOtherPayment) {
            return;
        }
        self.case.paid_by.clone_from(&event.payment);
        let ours = self.case.open_attempt().is_some_and(|a| a.charge.billing);
        match ours {
            // Our charge is in flight at the billing gateway: its own answer settles it.
            true if self.case.card_updated => {
                self.recover(RecoveredBy::CardUpdate, "the invoice is paid");
            }
            true => self.recover(RecoveredBy::Retry, "the invoice is paid"),
            false if self.case.card_updated || self.case.page_used => {
                let reason = "the customer updated or confirmed through the link, and it is paid";
                self.recover(RecoveredBy::CardUpdate, reason);
            }
            false => self.recover(
                RecoveredBy::Elsewhere,
                "it was paid at the billing gateway: by its own retry, or by the customer",
            ),
        }
    }

    /// Money came in at the billing gateway after the end. Ours, if there is one, is the second.
    fn on_paid_again(&mut self, event: &Event) {
        let Some(payment) = &event.payment else { return };
        if self.case.payments.contains(payment) {
            return;
        }
        self.remember_payment(payment);
        let earlier = self.case.paid_by.clone().filter(|by| by != BY_HAND);
        self.case.paid_by.get_or_insert_with(|| payment.clone());
        let kept = |a: &Attempt| a.outcome == AttemptOutcome::Approved && !a.refunded;
        let ours = self.case.attempts.iter().rposition(kept);
        let once = self.policy.billing().is_some_and(|g| g.capabilities.pays_invoice_once);
        if once && !ours.is_some_and(|index| self.is_unknown_to_billing(index)) {
            // It took no second payment; of ours elsewhere the answer to marking it paid tells.
            return;
        }
        if let Some(index) = ours {
            self.case.recovered_by = Some(RecoveredBy::Elsewhere);
            self.give_back(index, "the invoice was paid at the billing gateway too");
        } else if let Some(earlier) = earlier {
            let gateway = self.case.gateway.clone();
            self.flag(format!(
                "{gateway} took two payments of this invoice, {earlier} and {payment}, neither by \
                 recoup: give one of the two back"
            ));
        }
    }

    /// Whether an attempt took money of which the billing gateway was told nothing: elsewhere, and
    /// after the subscription was cancelled or where marking the invoice as paid failed.
    fn is_unknown_to_billing(&self, index: usize) -> bool {
        let unmarked = self.case.unmarked && !fault(Mutant::MarksOnce);
        let untold = self.case.state != State::Recovered || unmarked;
        untold && !self.case.attempts[index].charge.billing
    }

    /// The attempt of ours that an event names. A key names one attempt; a payment of the gateway
    /// may stand for several (all charges of an invoice are one PaymentIntent at Stripe), then the
    /// one that is known to have succeeded, else the one that is open, else the newest.
    fn attempt_of(&self, event: &Event) -> Option<usize> {
        let key = event.idempotency_key.as_deref();
        let attempts = self.case.attempts.iter().enumerate();
        if let Some((index, _)) =
            attempts.clone().find(|(_, a)| key == Some(a.charge.idempotency_key.as_str()))
        {
            let last = self.case.attempts.len() - 1;
            return Some(if fault(Mutant::BooksOnAnother) { last } else { index });
        }
        let payment = event.payment.as_ref()?;
        let once = self.policy.billing().is_some_and(|g| g.capabilities.pays_invoice_once);
        let rank = |outcome| match outcome {
            AttemptOutcome::Approved => 2,
            AttemptOutcome::Unknown => 1,
            AttemptOutcome::Declined | AttemptOutcome::Error | AttemptOutcome::Withheld => 0,
        };
        attempts
            .filter(|(_, a)| a.charge.billing && a.payment.as_ref() == Some(payment))
            // Where all charges are one payment, its success is not that of one that was refused.
            .filter(|(_, a)| !once || rank(a.outcome) > 0)
            .max_by_key(|(index, a)| (rank(a.outcome), *index))
            .map(|(index, _)| index)
    }

    fn on_our_success(&mut self, index: usize, event: &Event) {
        if self.case.attempts[index].outcome == AttemptOutcome::Approved {
            return;
        }
        let payment = event.payment.clone().unwrap_or_default();
        let method = event.payment_method.clone().unwrap_or_default();
        self.settle(
            index,
            &ChargeOutcome::Approved {
                payment,
                amount: event.amount,
                network_transaction_id: None,
                method,
            },
        );
    }

    /// Something is known to have happened to an attempt of ours: look it up now, not later.
    pub(super) fn look_up_now(&mut self, event: &Event) {
        if self.case.open_attempt().is_none() || self.waits_for(Pending::Charge) {
            return;
        }
        self.note(
            EntryKind::Event,
            format!("News of an attempt ({:?}): it is looked up.", event.kind),
        );
        self.set_timer(Timer::LookUp, self.now);
    }

    // ---- ends ----

    /// Whoever disputes a payment is not charged on that card again by itself, for any invoice and
    /// through any gateway.
    fn on_disputed(&mut self, event: &Event) {
        let paid = |a: &&Attempt| a.outcome == AttemptOutcome::Approved;
        let ours = self.case.attempts.iter().rfind(paid).and_then(|a| a.card.clone());
        if let Some(key) = ours.or_else(|| self.case.card.clone()) {
            let now = self.now;
            let card = self.around.card(&key);
            card.never.get_or_insert_with(|| (now, "a payment on it was disputed".to_owned()));
        }
        self.stop_by(event, "the customer disputes the payment");
    }

    fn stop_by(&mut self, event: &Event, reason: &str) {
        if self.is_of_another_subscription(event) || fault(Mutant::IgnoresStop) {
            return;
        }
        if self.case.state.is_ended() {
            if self.case.state == State::Recovered && event.kind != EventKind::SubscriptionCancelled
            {
                self.flag(format!("After the recovery: {reason}"));
            }
            return;
        }
        self.end(State::Stopped, reason);
    }

    /// News of a customer's other subscription.
    fn is_of_another_subscription(&self, event: &Event) -> bool {
        event.invoice.is_none()
            && event.subscription.is_some()
            && self.case.subscription.is_some()
            && event.subscription != self.case.subscription
    }

    fn on_subscription_paused(&mut self, event: &Event) {
        if self.case.state.is_ended() || self.is_of_another_subscription(event) {
            return;
        }
        self.hold("the subscription was paused", None);
    }
}

/// How this case sees an event of a gateway that does not own its invoice: what such a gateway
/// tells is about an attempt of ours. One that cannot be told apart is only news: it is looked up.
///
/// Ids are the gateway's own: another one's payment, or invoice, may bear the same.
pub fn from_elsewhere(case: &Case, source: &GatewayId, event: &Event) -> Event {
    let ours = |a: &&Attempt| {
        let by_key = event.idempotency_key.as_deref() == Some(a.charge.idempotency_key.as_str());
        let by_payment = event.payment.is_some() && event.payment == a.payment;
        a.charge.gateway == *source && (by_key || by_payment)
    };
    let mut seen = Event { elsewhere: Some(source.clone()), ..event.clone() };
    // Whether it tries again by itself is about its own invoices, not about this one.
    (seen.native_retry, seen.next_native_attempt_at) = (None, None);
    let told = matches!(
        event.kind,
        EventKind::ActionRequired | EventKind::PaymentFailed | EventKind::PaymentSucceeded
    );
    let about_invoice = matches!(
        event.kind,
        EventKind::Disputed
            | EventKind::InvoiceUncollectible
            | EventKind::InvoiceVoided
            | EventKind::Refunded
            | EventKind::SubscriptionCancelled
            | EventKind::SubscriptionPaused
    );
    match case.attempts.iter().rfind(ours) {
        Some(attempt) => seen.idempotency_key = Some(attempt.charge.idempotency_key.clone()),
        None if told => seen.kind = EventKind::PaymentUnknown,
        None if about_invoice => seen.kind = EventKind::Other,
        None => {}
    }
    seen
}

/// Whether a gateway's payment is this case's: it made an attempt of ours there, or, where nobody
/// else's attempt bears the id, it is the billing gateway's own.
pub fn owns_payment(case: &Case, source: &GatewayId, payment: &str) -> bool {
    let made: Vec<_> =
        case.attempts.iter().filter(|a| a.payment.as_deref() == Some(payment)).collect();
    match made.is_empty() {
        true => case.gateway == *source,
        false => made.iter().any(|a| a.charge.gateway == *source),
    }
}

fn authentication_required() -> Decline {
    Decline {
        code: Some("authentication_required".into()),
        network_code: None,
        advice_code: None,
        network_advice_code: None,
        category: Category::AuthenticationRequired,
        advice: Advice::Authenticate,
        min_delay_seconds: None,
    }
}
