//! One step of a case: an input in; the changed case, ledger entries and effects out.
//!
//! Why here: the dispatcher, and what every handler shares. The handlers are in the files beside:
//! `events` (gateways), `attempts` (deciding), `outcomes`, `checks` (look-ups), `reminders`,
//! `people` (operators), `page` (customers), `ending`.
//!
//! What must stay true: a step is a function of its arguments. It takes one input, and asks for all
//! effects of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::together::Sibling;
use super::{Case, MessageStatus, Next, Pending, State, Timer};
use crate::core::card::{Card, CardAttempt};
use crate::core::customer::{Channel, Customer};
use crate::core::decline::Advice;
use crate::core::effect::{Effect, Order, Outcome};
use crate::core::event::{Event, EventKind};
use crate::core::fault::{Mutant, fault};
use crate::core::ids::{CardKey, CaseId, EffectId, GatewayId};
use crate::core::input::Input;
use crate::core::learning::{Learned, outcome as learning};
use crate::core::ledger::{Decision, EntryKind, LedgerEntry};
use crate::core::policy::Policy;
use crate::core::trial::Arm;

/// What surrounds a case and may change with it: its customer and the cards it touches.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// The customer.
    pub customer: Customer,
    /// The cards of the customer's methods, and the case's own.
    pub cards: BTreeMap<CardKey, Card>,
    /// What was learned from all cases; read by a step, never changed by it.
    pub learned: Arc<Learned>,
    /// The other open cases of the customer, where the step may write; read, never changed.
    pub siblings: Vec<Sibling>,
    /// The channels by which nothing goes, for all customers; read, never changed.
    pub stopped: BTreeSet<Channel>,
    /// A person holds everything: no attempt is begun, no message, no end.
    pub held: bool,
}

impl Around {
    /// The channels by which something may go to the customer, in their order.
    pub fn open_channels(&self, policy: &Policy) -> Vec<Channel> {
        let open = self.channels_but_for_stops(policy).into_iter();
        open.filter(|channel| !self.stopped.contains(channel)).collect()
    }

    /// The same, as if no channel were stopped.
    pub(super) fn channels_but_for_stops(&self, policy: &Policy) -> Vec<Channel> {
        let customer = &self.customer;
        let wanted = customer.channels.as_ref().unwrap_or(&policy.channels).iter().copied();
        wanted
            .filter(|channel| {
                policy.channels.contains(channel)
                    && customer.may_be_written_to(*channel, &policy.contact.consent)
                    && customer.reached_on(*channel)
            })
            .collect()
    }

    /// What was noted under a token alone counts on the card that it turned out to be.
    fn unite(&mut self) {
        for (former, now) in self.customer.former_cards() {
            if let Some(former) = self.cards.get(&former).cloned() {
                self.card(&now).take_over(&former);
            }
        }
    }

    /// The card's record, made when there is none yet.
    pub fn card(&mut self, key: &CardKey) -> &mut Card {
        self.cards.entry(key.clone()).or_insert_with(|| Card::new(key.clone()))
    }
}

/// What one step gives: everything that one transaction writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The case after it.
    pub case: Case,
    /// Entries to append.
    pub ledger: Vec<LedgerEntry>,
    /// Effects to ask for.
    pub effects: Vec<Effect>,
    /// Effects that are taken back if nobody has begun them.
    pub cancelled: Vec<EffectId>,
    /// What attempts taught about their gateways.
    pub outcomes: Vec<learning::Outcome>,
}

/// Takes over what an event tells of the customer and their payment methods. The worker calls this
/// before it loads the cards, since a new method may be a card that others have used.
pub fn learn(customer: &mut Customer, gateway: &GatewayId, event: &Event) {
    customer.learn_contact(&event.contact);
    customer.learn_from_gateway(&event.profile);
    let Some(facts) = &event.payment_method else { return };
    let Some(token) = &facts.token else { return };
    match event.kind {
        EventKind::PaymentMethodRemoved => customer.forget_method(gateway, token),
        EventKind::PaymentMethodUpdated => customer.replace_method(gateway, facts),
        _ => {
            customer.learn_method(gateway, facts);
        }
    }
}

/// Counts a failed attempt of the billing gateway on its card, where no case does.
pub fn count_refused(gateway: &GatewayId, event: &Event, around: &mut Around, now: Timestamp) {
    let token = event.payment_method.as_ref().and_then(|facts| facts.token.as_deref());
    let method = token.and_then(|token| around.customer.method(gateway, token));
    let (Some(method), Some(amount)) = (method.cloned(), event.amount) else { return };
    if event.kind != EventKind::PaymentFailed {
        return;
    }
    let at = event.occurred_at.unwrap_or(now).min(now);
    let gateway = gateway.clone();
    let card = around.card(&method.card);
    card.network = method.facts.network.or(card.network.take());
    card.country = method.facts.country.or(card.country.take());
    card.note(CardAttempt { at, gateway, amount, approved: false, attempt: None });
    if let Some(decline) = event.decline.as_ref().filter(|d| d.advice == Advice::Never) {
        card.never.get_or_insert_with(|| (now, super::attempts::describe(decline)));
    }
}

/// The case that this failure opens; `None` when it opens none: nothing is owed, or the event does
/// not say what.
pub fn open(event: &Event, around: &mut Around, policy: &Policy, now: Timestamp) -> Option<Step> {
    let billing = policy.billing()?;
    let invoice = event.invoice.clone()?;
    let amount = event.amount.filter(|amount| amount.is_positive())?;
    if !matches!(event.kind, EventKind::PaymentFailed | EventKind::ActionRequired) {
        return None;
    }
    let id = CaseId::of(&billing.id, &invoice);
    let case = Case {
        arm: Arm::draw(&id, policy),
        policy_version: policy.version(),
        shadow: policy.shadow,
        customer: event.customer.clone(),
        subscription: event.subscription.clone(),
        description: event.description.clone(),
        ..Case::blank(id, billing.id.clone(), invoice, amount, now)
    };
    let mut stepper = Stepper::new(case, around, policy, now);
    stepper.note(EntryKind::Opened, format!("The payment of {amount} did not go through."));
    stepper.note_shadow();
    stepper.note_arm();
    stepper.on_event(event);
    Some(stepper.finish())
}

/// Applies one input to a case.
pub fn step(
    case: Case,
    input: &Input,
    around: &mut Around,
    policy: &Policy,
    now: Timestamp,
) -> Step {
    let mut stepper = Stepper::new(case, around, policy, now);
    match input {
        Input::CustomerChanged => stepper.on_customer_changed(),
        Input::Delivery(message, report) => stepper.on_delivery(message, report),
        Input::Due => stepper.on_due(),
        Input::Event(event) => stepper.on_event(event),
        Input::Operator(action) => stepper.on_operator(action),
        Input::Outcome(effect, outcome) => stepper.on_outcome(effect, outcome),
        Input::Page(action) => stepper.on_page(action),
        Input::Restored(at) => stepper.on_restored(*at),
        Input::Together(together) => stepper.on_together(together),
    }
    stepper.finish()
}

/// The customer's time zone; the merchant's where it is not known.
pub fn zone_of(customer: &Customer, policy: &Policy) -> TimeZone {
    let zone = customer.contact.time_zone.as_deref().unwrap_or(&policy.time_zone);
    TimeZone::get(zone).or_else(|_| TimeZone::get(&policy.time_zone)).unwrap_or(TimeZone::UTC)
}

/// A step under way.
pub(super) struct Stepper<'a> {
    pub(super) case: Case,
    pub(super) around: &'a mut Around,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) zone: TimeZone,
    /// The billing gateway was seen to have the invoice marked as paid elsewhere.
    pub(super) seen_marked: bool,
    ledger: Vec<LedgerEntry>,
    effects: Vec<Effect>,
    cancelled: Vec<EffectId>,
    outcomes: Vec<learning::Outcome>,
}

impl<'a> Stepper<'a> {
    pub(super) fn new(
        case: Case,
        around: &'a mut Around,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        around.unite();
        let zone = zone_of(&around.customer, policy);
        Self {
            case,
            around,
            policy,
            now,
            zone,
            seen_marked: false,
            ledger: Vec::new(),
            effects: Vec::new(),
            cancelled: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// Records to which side of the comparison the case was drawn.
    fn note_arm(&mut self) {
        let Some(arm) = self.case.arm else { return };
        let percent = f64::from(self.policy.holdout_ppm) / 10_000.0;
        let (text, why) = match arm {
            Arm::Holdout => (
                "Held out of the smart schedule, to measure what it adds: even spacing, and the \
                 gateways in their order.",
                format!("{percent} % of the cases are held out, drawn by their id"),
            ),
            Arm::Smart => (
                "Follows the smart schedule, and is compared with the cases that are held out.",
                format!("{percent} % of the cases are held out; by its id this one is not"),
            ),
        };
        let via = Some(arm.as_str().to_owned());
        self.decide(text, Decision { what: "arm".into(), at: None, via, why, considered: vec![] });
    }

    fn finish(mut self) -> Step {
        self.case.revision += 1;
        Step {
            case: self.case,
            ledger: self.ledger,
            effects: self.effects,
            cancelled: self.cancelled,
            outcomes: self.outcomes,
        }
    }

    /// Handles every timer that is due, in their order.
    fn on_due(&mut self) {
        let due: Vec<Timer> = self
            .case
            .timers
            .iter()
            .filter(|(_, at)| **at <= self.now)
            .map(|(timer, _)| *timer)
            .collect();
        for timer in due {
            // An earlier timer of this step may have ended the case or moved this one.
            if self.case.timers.get(&timer).is_some_and(|at| *at <= self.now) {
                self.case.timers.remove(&timer);
                self.on_timer(timer);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::ClosingSweep | Timer::NextAttempt | Timer::Reminder if self.is_held() => {
                self.wait_for_the_hold(timer);
            }
            Timer::ClosingSweep => self.start_closing_sweep(),
            Timer::LookUp => self.start_look_up(),
            Timer::NativeRetry => self.take_over(),
            Timer::NextAttempt => self.start_attempt(),
            Timer::PauseEnd => self.resume("the pause is over"),
            Timer::Reminder => self.on_reminder_due(),
        }
    }

    /// Whether a person holds everything; a last look behind the end begins nothing.
    fn is_held(&self) -> bool {
        self.around.held && !self.case.state.is_ended()
    }

    /// Applies what came of an effect. An outcome of an effect that is not waited for is stale.
    fn on_outcome(&mut self, effect: &EffectId, outcome: &Outcome) {
        let Some(pending) = self.case.pending.remove(effect) else {
            if let Outcome::Sent(outcome) = outcome {
                // A message that was taken back too late.
                return self.on_sent(effect, outcome);
            }
            self.note(
                EntryKind::Acted,
                "An answer came that nobody waits for; it changes nothing.",
            );
            return;
        };
        match outcome {
            Outcome::Acted(result) => self.on_acted(pending, result),
            Outcome::Charge(outcome) => self.on_charge_outcome(outcome),
            Outcome::Checked(report) => self.on_checked(report),
            Outcome::MarkedPaid(outcome) => self.on_marked_paid(outcome),
            Outcome::Refunded(result) => self.on_refunded(result),
            Outcome::Sent(outcome) => self.on_sent(effect, outcome),
        }
    }

    // ---- what every handler shares ----

    /// Keeps what an attempt told of its gateway.
    pub(super) fn teach(&mut self, outcome: learning::Outcome) {
        self.outcomes.push(outcome);
    }

    /// Appends to the ledger.
    pub(super) fn note(&mut self, kind: EntryKind, text: impl Into<String>) {
        self.record(kind, text.into(), None);
    }

    /// Appends a decision to the ledger.
    pub(super) fn decide(&mut self, text: impl Into<String>, decision: Decision) {
        self.record(EntryKind::Decided, text.into(), Some(decision));
    }

    fn record(&mut self, kind: EntryKind, text: String, decision: Option<Decision>) {
        self.case.ledger_sequence += 1;
        let sequence = self.case.ledger_sequence;
        self.ledger.push(LedgerEntry { sequence, at: self.now, kind, text, decision });
    }

    /// Something that a person should look at.
    pub(super) fn flag(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.note(EntryKind::Flagged, text.clone());
        self.case.flags.push(text);
    }

    /// Asks for an effect at once.
    pub(super) fn ask(&mut self, order: Order) {
        self.ask_at(order, self.now);
    }

    /// Asks for an effect that must not be performed before `not_before`.
    pub(super) fn ask_at(&mut self, order: Order, not_before: Timestamp) -> EffectId {
        self.case.effect_sequence += 1;
        let id = EffectId::of(&self.case.id, self.case.effect_sequence);
        let Some(order) = self.in_shadow(order) else { return id };
        self.case.pending.insert(id.clone(), pending_of(&order));
        let case = self.case.id.clone();
        self.effects.push(Effect { id: id.clone(), case, not_before, order });
        id
    }

    /// Takes back the messages that nobody has begun to send.
    pub(super) fn cancel_messages(&mut self) {
        let queued: Vec<_> = self
            .case
            .pending
            .iter()
            .filter(|(_, pending)| **pending == Pending::Message)
            .map(|(id, _)| id.clone())
            .collect();
        for id in queued {
            self.case.pending.remove(&id);
            let message = self.case.messages.iter_mut().find(|m| m.effect == id);
            if let Some(message) = message {
                message.status = MessageStatus::Dropped;
                // Somebody may have begun it: then it leaves all the same.
                message.at = self.around.customer.close_contact(message.at, self.now);
            }
            self.cancelled.push(id);
        }
    }

    /// Moves to a state that is not an end, and says why and what comes next.
    pub(super) fn enter(&mut self, state: State, reason: impl Into<String>, next: Next) {
        self.case.state = state;
        self.case.reason = reason.into();
        self.case.next = next;
    }

    /// Sets a timer.
    pub(super) fn set_timer(&mut self, timer: Timer, at: Timestamp) {
        self.case.timers.insert(timer, at);
    }

    /// Whether the case may go on by itself: it has not ended, and nobody holds it.
    pub(super) fn goes_on(&self) -> bool {
        let held = self.case.state == State::Paused && !fault(Mutant::ChargesWhileHeld);
        !self.case.state.is_ended() && !held
    }

    /// Whether the case waits for an effect of this kind.
    pub(super) fn waits_for(&self, pending: Pending) -> bool {
        self.case.pending.values().any(|p| *p == pending)
    }
}

fn pending_of(order: &Order) -> Pending {
    match order {
        Order::AdoptMethod(_) => Pending::Adopt,
        Order::Charge(_) => Pending::Charge,
        Order::Check(_) => Pending::Check,
        Order::Close(_) => Pending::Close,
        Order::MarkPaid(_) => Pending::MarkPaid,
        Order::Refund(_) => Pending::Refund,
        Order::Send(_) => Pending::Message,
    }
}
