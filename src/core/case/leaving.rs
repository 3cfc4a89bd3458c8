//! Leaving: whether a charge or message that was asked for earlier may still go out.
//!
//! Why here: between the step that asks and the moment of leaving lies a queue, and maybe a crash.
//! What was right then can be wrong now. The worker asks once more right before anything leaves.
//!
//! What must stay true: nothing leaves for a case that has ended or is held but the thank-you; no
//! charge on a card that must never be charged; no message outside the contact policy (I4, I5, I6).

use jiff::{SignedDuration, Timestamp};

use super::step::Around;
use super::{Case, State};
use crate::core::consent::Contacted;
use crate::core::contact::{self, Ask, Place};
use crate::core::effect::{ChargeOrder, MessageOrder, Order, OwedInvoice};
use crate::core::fault::{Mutant, fault};
use crate::core::policy::{MessageKind, Policy};

/// A message that is so late says nothing any more.
pub const STALE_MESSAGE: SignedDuration = SignedDuration::from_hours(48);
/// How long a message waits before it is asked again whether its channel is open.
const ASK_AGAIN: SignedDuration = SignedDuration::from_hours(6);

/// Whether an order may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// It may.
    Goes,
    /// To be asked again then: its channel is stopped for all customers, and no other one reaches
    /// this one.
    Waits(Timestamp),
    /// It must not any more, and nobody knows what became of what left before.
    Unsure(String),
    /// It must not any more, and why.
    Withdrawn(String),
}

impl Leave {
    fn unless(why: Option<String>) -> Self {
        why.map_or(Self::Goes, Self::Withdrawn)
    }
}

/// Whether this order, which was to go at `wanted`, may leave.
pub fn leave(
    case: &Case,
    order: &Order,
    (around, policy): (&Around, &Policy),
    (wanted, now): (Timestamp, Timestamp),
) -> Leave {
    let message = match order {
        Order::Charge(charge) => {
            let late = comes_too_late(case, charge, policy, now).map(Leave::Unsure);
            return late.unwrap_or_else(|| Leave::unless(charge_withdrawn(case, charge, around)));
        }
        Order::Send(message) => message,
        _ => return Leave::Goes,
    };
    if let Some(why) = unwanted(case, message, (around, policy)) {
        return Leave::Withdrawn(why);
    }
    if around.stopped.contains(&message.channel) {
        let stopped = format!("{} is stopped for all customers", message.channel.as_str());
        let too_late = wanted + STALE_MESSAGE + SignedDuration::from_secs(1);
        return match around.open_channels(policy).is_empty() {
            true if now < too_late => Leave::Waits(too_late.min(now + ASK_AGAIN)),
            true => Leave::Withdrawn(format!("{stopped}, and now it would come too late")),
            false => Leave::Withdrawn(stopped),
        };
    }
    Leave::unless(not_now(case, message, (around, policy), now))
}

/// Why this order must not leave any more; `None` when it may, or may wait.
pub fn withdrawn(
    case: &Case,
    order: &Order,
    around: &Around,
    policy: &Policy,
    now: Timestamp,
) -> Option<String> {
    match leave(case, order, (around, policy), (now, now)) {
        Leave::Withdrawn(why) => Some(why),
        Leave::Goes | Leave::Unsure(_) | Leave::Waits(_) => None,
    }
}

/// What left before leaves again only while its gateway is sure to know its key: it was asked for
/// inside that window, and may have waited since.
fn comes_too_late(
    case: &Case,
    charge: &ChargeOrder,
    policy: &Policy,
    now: Timestamp,
) -> Option<String> {
    let attempt = case.attempts.iter().find(|a| a.charge.attempt == charge.attempt)?;
    let (first, _) = attempt.sent.filter(|_| attempt.sends > 1 || attempt.look_ups > 0)?;
    let window = policy.gateway(&charge.gateway)?.capabilities.key_window();
    // Where there are no keys, what is sent again was never taken.
    let late = !window.is_zero() && now >= first + window && !fault(Mutant::ResendsBlindly);
    late.then(|| "its gateway may have forgotten the key by now".to_owned())
}

fn charge_withdrawn(case: &Case, charge: &ChargeOrder, around: &Around) -> Option<String> {
    if fault(Mutant::ChargesAfterTheEnd) {
        return None;
    }
    if around.held {
        return Some("a person holds everything".into());
    }
    if case.state.is_ended() {
        return Some("the case ended before it was sent".into());
    }
    if case.restored.is_some() {
        return Some("the store was restored: what happened since is looked up first".into());
    }
    if case.state == State::Paused {
        return Some("the case was held before it was sent".into());
    }
    let attempt = case.attempts.iter().find(|a| a.charge.attempt == charge.attempt)?;
    // What may have left before leaves again as it is, or not at all.
    let first = attempt.sends == 1 && attempt.look_ups == 0;
    if first && charge.amount.minor > case.amount.minor {
        return Some("less is owed by now".into());
    }
    let card = around.cards.get(attempt.card.as_ref()?)?;
    let (_, why) = card.never.as_ref()?;
    Some(format!("the card must not be charged any more, {why}"))
}

/// Why nobody is to get the message any more.
fn unwanted(
    case: &Case,
    message: &MessageOrder,
    (around, policy): (&Around, &Policy),
) -> Option<String> {
    if fault(Mutant::MessageAfterTheEnd) {
        return None;
    }
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
    let gone = reached.suppressed_on(message.channel).is_some();
    gone.then(|| "nothing reaches this address".into())
}

/// Why it must not go at this moment.
fn not_now(
    case: &Case,
    message: &MessageOrder,
    (around, policy): (&Around, &Policy),
    now: Timestamp,
) -> Option<String> {
    let place = Place::of(&around.customer, policy);
    let mut others = around.customer.contacted_by(case.shadow);
    let mut planned = now;
    if let Some(noted) = case.messages.iter().find(|m| m.id == message.id) {
        // The day that it was decided for is the day that it is counted on.
        if !place.is_one_day(noted.at, now) {
            return Some("its day is over".into());
        }
        if let Some(own) = others.iter().rposition(|c| c.at == noted.at) {
            planned = others.remove(own).at;
        }
    }
    // Of two that come too late together the first one goes: what was to go before may be leaving.
    let first = |one: Contacted| if one.at <= planned { one.as_of(now) } else { one };
    let others: Vec<_> = others.into_iter().map(first).collect();
    let ask = Ask { channel: message.channel, place: &place, contacted: &others };
    contact::closed(&policy.contact, ask, now).map(|why| format!("not now: {why}"))
}

/// The further invoices of a message that are still owed, with what is owed of them now. The
/// case is as it stands when the message is about to leave.
pub fn still_owed(owed: &OwedInvoice, case: Option<&Case>) -> Option<OwedInvoice> {
    let case = case.filter(|case| !case.state.is_ended() && case.state != State::Paused)?;
    Some(OwedInvoice { amount: case.amount, ..owed.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::case::{tests_case, tests_policy};
    use crate::core::customer::{Channel, Customer};
    use crate::core::decline::Category;
    use crate::core::event::Contact;
    use crate::core::ids::MessageId;
    use crate::core::policy::SubscriptionAction;

    fn order(case: &Case, contact: &Contact) -> Order {
        Order::Send(MessageOrder {
            id: MessageId::of(&case.id, 1),
            kind: MessageKind::CardUpdate,
            channel: Channel::Email,
            contact: contact.clone(),
            amount: case.amount,
            description: None,
            last4: None,
            category: Category::CredentialOutdated,
            retry_at: None,
            ends_at: None,
            subscription_action: SubscriptionAction::Keep,
            also_owed: Vec::new(),
            withheld: false,
        })
    }

    #[test]
    fn what_a_stopped_channel_would_have_carried_waits_or_goes_by_another_one() {
        let (case, mut policy) = (tests_case(), tests_policy());
        policy.channels = vec![Channel::Email, Channel::Sms];
        let contact = Contact { email: Some("ana@example.com".into()), ..Contact::default() };
        let customer = Customer { contact: contact.clone(), ..Customer::new("cus_1") };
        let mut around = Around {
            customer,
            cards: Default::default(),
            learned: Default::default(),
            siblings: Vec::new(),
            stopped: [Channel::Email].into(),
            held: false,
        };
        let order = order(&case, &contact);
        // Noon in Bogotá.
        let wanted: Timestamp = "2026-11-21T17:00:00Z".parse().unwrap();
        let hours = |hours| wanted + SignedDuration::from_hours(hours);
        let leave = |around: &Around, now| leave(&case, &order, (around, &policy), (wanted, now));
        assert_eq!(leave(&around, wanted), Leave::Waits(hours(6)));
        // Nobody stops asking because a day is over; the last question is after two days.
        let last = hours(48) + SignedDuration::from_secs(1);
        assert_eq!(leave(&around, hours(30)), Leave::Waits(hours(36)));
        assert_eq!(leave(&around, hours(47)), Leave::Waits(last));
        let Leave::Withdrawn(why) = leave(&around, last) else { panic!("it would come too late") };
        assert!(why.contains("too late"), "{why}");
        // With a phone it goes there.
        around.customer.contact.phone = Some("+573001234567".into());
        let stopped = "email is stopped for all customers".to_owned();
        assert_eq!(leave(&around, wanted), Leave::Withdrawn(stopped));
        around.stopped.clear();
        assert_eq!(leave(&around, wanted), Leave::Goes);
        // Whoever wants none gets none, and nothing waits for them.
        (around.customer.reminders_stopped, around.stopped) = (true, [Channel::Email].into());
        assert_eq!(leave(&around, wanted), Leave::Withdrawn("the customer wants none".into()));
    }
}
