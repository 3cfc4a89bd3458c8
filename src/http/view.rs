//! What the API shows of a case, a message, a customer.
//!
//! Why here: the stored values may change their form; what programs read may not (additions are
//! welcome). So nothing stored is serialized to the outside as it is.
//!
//! What must stay true: no token of a payment method and no link is in a case.

use serde_json::{Value, json};

use crate::core::case::together::Along;
use crate::core::case::{Attempt, Case, Message, MessageStatus};
use crate::core::customer::{Channel, Customer, PaymentMethod};
use crate::core::decline::Decline;
use crate::core::delivery::Track;
use crate::core::ledger::LedgerEntry;
use crate::store::MessageRecord;

/// A case as the API shows it.
pub fn case_json(case: &Case) -> Value {
    json!({
        "id": case.id,
        "state": case.state,
        "reason": case.reason,
        "gateway": case.gateway,
        "invoice": case.invoice,
        "customer": case.customer,
        "subscription": case.subscription,
        "description": case.description,
        "amount": case.amount,
        "opened_at": case.opened_at,
        "ended_at": case.ended_at,
        "recovered_by": case.recovered_by,
        "decline": decline(case.decline.as_ref()),
        "card_updated": case.card_updated,
        "flags": case.flags,
        "native_attempts": case.native_attempts,
        "native_retry": case.native_retry,
        "next_native_attempt_at": case.native_next_at,
        "attempts": case.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "messages": case.messages.iter().map(message).collect::<Vec<_>>(),
        "went_along": case.along.iter().map(along).collect::<Vec<_>>(),
        "next": { "at": case.next.at, "what": case.next.what, "why": case.next.why },
        "policy_version": case.policy_version,
        "arm": case.arm,
    })
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "id": attempt.charge.attempt,
        "number": attempt.charge.number,
        "gateway": attempt.charge.gateway,
        "at": attempt.sent.map_or(attempt.at, |(first, _)| first),
        "outcome": attempt.outcome,
        "amount": attempt.charge.amount,
        "payment": attempt.payment,
        "settled_at": attempt.settled_at,
        "refunded": attempt.refunded,
        "decline": decline(attempt.decline.as_ref()),
        "decision": attempt.decision,
    })
}

fn decline(decline: Option<&Decline>) -> Value {
    let Some(decline) = decline else { return Value::Null };
    json!({
        "code": decline.code,
        "network_code": decline.network_code,
        "category": decline.category,
        "advice": decline.advice,
    })
}

fn message(message: &Message) -> Value {
    json!({
        "id": message.id,
        "kind": message.kind,
        "channel": message.channel,
        "locale": message.locale,
        "at": message.at,
        "status": status(message.status),
        "with": message.with,
        "in_place_of": message.track.in_place_of,
        "happened": happened(&message.track),
    })
}

/// The status of a message, as the API names it.
pub(super) fn status(status: MessageStatus) -> &'static str {
    match status {
        MessageStatus::Dropped => "dropped",
        MessageStatus::Failed => "failed",
        MessageStatus::Queued => "queued",
        MessageStatus::Sent => "sent",
        MessageStatus::Unknown => "uncertain",
    }
}

/// What became of a message after it was handed over.
fn happened(track: &Track) -> Value {
    json!({
        "delivered_at": track.delivered_at,
        "opened_at": track.opened_at,
        "prefetched_at": track.prefetched_at,
        "clicked_at": track.clicked_at,
        "acted_at": track.acted_at,
        "undelivered_at": track.undelivered_at,
        "complained_at": track.complained_at,
        "unsubscribed_at": track.unsubscribed_at,
    })
}

fn along(along: &Along) -> Value {
    json!({ "message": along.message, "case": along.lead })
}

/// A ledger entry.
pub(super) fn entry_json(entry: &LedgerEntry) -> Value {
    json!({
        "sequence": entry.sequence,
        "at": entry.at,
        "kind": entry.kind,
        "text": entry.text,
        "decision": entry.decision,
    })
}

/// A message exactly as sent, with what its case knows of it since.
pub(super) fn message_json(record: &MessageRecord, case: Option<&Case>) -> Value {
    let known = case.and_then(|case| case.messages.iter().find(|m| m.id == record.id));
    json!({
        "status": status(known.map_or(record.status, |known| known.status)),
        "happened": known.map(|known| happened(&known.track)),
        "id": record.id,
        "case": record.case,
        "kind": record.kind,
        "channel": record.channel,
        "to": record.to,
        "at": record.at,
        "locale": record.locale,
        "subject": record.subject,
        "text": record.text,
        "html": record.html,
        "answer": record.answer,
    })
}

/// A customer.
pub(super) fn customer_json(customer: &Customer) -> Value {
    let contact = &customer.contact;
    let suppressed: Vec<_> = [Channel::Email, Channel::Sms, Channel::Whatsapp]
        .into_iter()
        .filter_map(|channel| customer.suppressed_on(channel))
        .map(|s| json!({ "channel": s.channel, "at": s.at, "why": s.why }))
        .collect();
    json!({
        "id": customer.id,
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "locale": contact.locale,
        "time_zone": contact.time_zone,
        "country": contact.country,
        "channels": customer.channels,
        "excluded": customer.excluded,
        "reminders_stopped": customer.reminders_stopped,
        "tags": customer.tags,
        "customer_since": customer.customer_since,
        "consents": customer.consents,
        "suppressed": suppressed,
    })
}

/// A payment method, in the form that it is given in.
pub(super) fn method_json(method: &PaymentMethod) -> Value {
    let facts = &method.facts;
    json!({
        "gateway": method.gateway,
        "token": facts.token,
        "network": facts.network,
        "last4": facts.last4,
        "exp": facts.exp,
        "fingerprint": facts.fingerprint,
        "country": facts.country,
        "funding": facts.funding,
        "gateway_customer": method.gateway_customer,
        "network_transaction_id": method.network_transaction_id,
        "default": method.default,
        "consent": method.consent,
        "card": method.card,
    })
}
