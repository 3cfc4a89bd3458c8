//! Leaving: whether a charge or message that was asked for earlier may still go out.
//!
//! Why here: between the step that asks and the moment of leaving lies a queue, and maybe a crash.
//! What was right then can be wrong now. The worker asks once more right before anything leaves.
//!
//! What must stay true: nothing leaves for a case that has ended or is held but the thank-you; no
//! charge on a card that must never be charged; no message outside the contact policy (I4, I5, I6).

use jiff::Timestamp;

use super::step::Around;
use super::{Case, State};
use crate::core::contact::{self, Ask, Place};
use crate::core::effect::{ChargeOrder, MessageOrder, Order, OwedInvoice};
use crate::core::policy::{MessageKind, Policy};

/// Why this order must not leave any more; `None` when it may.
pub fn withdrawn(
    case: &Case,
    order: &Order,
    around: &Around,
    policy: &Policy,
    now: Timestamp,
) -> Option<String> {
    match order {
        Order::Charge(charge) => charge_withdrawn(case, charge, around),
        Order::Send(message) => message_withdrawn(case, message, (around, policy), now),
        _ => None,
    }
}

fn charge_withdrawn(case: &Case, charge: &ChargeOrder, around: &Around) -> Option<String> {
    if case.state.is_ended() {
        return Some("the case ended before it was sent".into());
    }
    if case.state == State::Paused {
        return Some("the case was held before it was sent".into());
    }
    let attempt = case.attempts.iter().find(|a| a.charge.attempt == charge.attempt)?;
    let card = around.cards.get(attempt.card.as_ref()?)?;
    let (_, why) = card.never.as_ref()?;
    Some(format!("the card must not be charged any more, {why}"))
}

fn message_withdrawn(
    case: &Case,
    message: &MessageOrder,
    (around, policy): (&Around, &Policy),
    now: Timestamp,
) -> Option<String> {
    let thanks = message.kind == MessageKind::Recovered;
    let suits = if thanks { case.state == State::Recovered } else { !case.state.is_ended() };
    if !suits {
        return Some("the case ended before it was sent".into());
    }
    if case.state == State::Paused {
        return Some("the case was held before it was sent".into());
    }
    if around.customer.excluded || around.customer.reminders_stopped {
        return Some("the customer wants none".into());
    }
    if !around.customer.may_be_written_to(message.channel, &policy.contact.consent) {
        return Some("the customer did not agree to this channel".into());
    }
    let mut reached = around.customer.clone();
    reached.contact = message.contact.clone();
    if reached.suppressed_on(message.channel).is_some() {
        return Some("nothing reaches this address".into());
    }
    let place = Place::of(&around.customer, policy);
    let mut others = around.customer.contacted_at.clone();
    if let Some(noted) = case.messages.iter().find(|m| m.id == message.id) {
        // The day that it was decided for is the day that it is counted on.
        if !place.is_one_day(noted.at, now) {
            return Some("its day is over".into());
        }
        if let Some(own) = others.iter().rposition(|c| c.at == noted.at) {
            others.remove(own);
        }
    }
    let ask = Ask { channel: message.channel, place: &place, contacted: &others };
    contact::closed(&policy.contact, ask, now).map(|why| format!("not now: {why}"))
}

/// The further invoices of a message that are still owed, with what is owed of them now. The
/// case is as it stands when the message is about to leave.
pub fn still_owed(owed: &OwedInvoice, case: Option<&Case>) -> Option<OwedInvoice> {
    let case = case.filter(|case| !case.state.is_ended() && case.state != State::Paused)?;
    Some(OwedInvoice { amount: case.amount, ..owed.clone() })
}
