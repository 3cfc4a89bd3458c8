//! From one notification item, or one webhook about a stored card, to an event.
//!
//! Why here: `webhook` splits bodies; what an `eventCode` means is here, in one table.
//!
//! What must stay true: whether something was paid goes by the signed `success`, and a `success`
//! that is neither true nor false is *unknown*; a request that failed (a refund, a cancellation)
//! changed nothing.

use serde_json::Value;

use super::money;
use super::refusal::{self, Words, extra};
use crate::core::event::{Contact, Event, EventKind, NativeRetry, PaymentMethodFacts};
use crate::gateway::facts::{self, id, malformed, owned, text, time};
use crate::gateway::{MalformedBody, reference};

/// The event that an item tells of.
pub(super) fn of_item(item: &Value) -> Result<Event, MalformedBody> {
    let code = text(item, "/eventCode");
    let code = code.ok_or_else(|| malformed("an item has an `eventCode`"))?;
    let psp = id(item, "/pspReference");
    let psp = psp.ok_or_else(|| malformed("an item has a `pspReference`"))?;
    let success = success(item);
    let told = success.map(|yes| yes.to_string()).unwrap_or_default();
    let mut event = Event::new(format!("{psp}:{code}:{told}"), kind(code, success, item));
    event.occurred_at = time(item, "/eventDate");
    event.amount = item.get("amount").and_then(money::read);
    event.payment = Some(owned(item, "/originalReference").unwrap_or_else(|| psp.clone()));
    if let Some(named) = id(item, "/merchantReference").map(|text| reference::read(&text)) {
        event.idempotency_key = named.attempt.map(|attempt| attempt.idempotency_key());
        event.invoice = Some(named.invoice);
    }
    event.customer = refusal::shopper(item);
    // Not signed; a forger could at most keep a failure from being looked after.
    event.customer_present = extra(item, "shopperInteraction").is_some_and(|how| how != "ContAuth");
    event.native_retry = native_retry(code, success, item);
    event.attempt_count = extra(item, "retry.orderAttemptNumber").and_then(|n| n.parse().ok());
    let method = text(item, "/paymentMethod");
    let mut card = refusal::card_of(item, method);
    if matches!(code, "RECURRING_CONTRACT" | "DISABLE_RECURRING") {
        card.token = card.token.or(Some(psp));
    }
    if event.kind == EventKind::PaymentFailed {
        // Why a rescue ended is no reason of a bank's.
        let reason = text(item, "/reason").filter(|_| code != "AUTORESCUE");
        let words = Words { code: None, text: reason };
        let told = refusal::decline_of(item, &words, card.network.clone());
        let codes = [&told.code, &told.network_code, &told.network_advice_code];
        event.decline = codes.iter().any(|code| code.is_some()).then_some(told);
    }
    event.payment_method = card.known();
    event.contact = contact(item);
    Ok(event)
}

/// The event that a webhook about a stored card tells of. Others, signed in the same way, are
/// `Other`.
pub(super) fn of_token_webhook(body: &Value) -> Result<Event, MalformedBody> {
    let name = text(body, "/type");
    let name = name.ok_or_else(|| malformed("neither `notificationItems` nor a `type`"))?;
    let kind = match name {
        "recurring.token.created"
        | "recurring.token.updated"
        | "recurring.token.alreadyExisting" => EventKind::PaymentMethodUpdated,
        "recurring.token.disabled" => EventKind::PaymentMethodRemoved,
        _ => EventKind::Other,
    };
    let mut event = Event::new(id(body, "/eventId").unwrap_or_default(), kind);
    event.occurred_at = time(body, "/createdAt").or_else(|| time(body, "/timestamp"));
    event.customer = owned(body, "/data/shopperReference");
    event.payment_method = PaymentMethodFacts {
        token: owned(body, "/data/storedPaymentMethodId"),
        network: text(body, "/data/type").and_then(refusal::network),
        ..PaymentMethodFacts::default()
    }
    .known();
    Ok(event)
}

/// Adyen writes it as text.
fn success(item: &Value) -> Option<bool> {
    match item.get("success")? {
        Value::Bool(yes) => Some(*yes),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn kind(code: &str, success: Option<bool>, item: &Value) -> EventKind {
    let done = |kind| if success == Some(true) { kind } else { EventKind::Other };
    match code {
        // A card that was only checked.
        "AUTHORISATION" if is_of_zero(item) => EventKind::Other,
        "AUTHORISATION" | "AUTORESCUE" => match success {
            Some(true) => EventKind::PaymentSucceeded,
            Some(false) => EventKind::PaymentFailed,
            None => EventKind::PaymentUnknown,
        },
        "PENDING" => EventKind::PaymentUnknown,
        "CAPTURE_FAILED" => EventKind::PaymentFailed,
        // The amount of the payment is not told here: what was given back is taken as all of it.
        "REFUND" | "REFUND_WITH_DATA" | "CANCELLATION" | "CANCEL_OR_REFUND" => {
            done(EventKind::Refunded)
        }
        "NOTIFICATION_OF_CHARGEBACK"
        | "CHARGEBACK"
        | "SECOND_CHARGEBACK"
        | "REQUEST_FOR_INFORMATION" => EventKind::Disputed,
        "CHARGEBACK_REVERSED" | "PREARBITRATION_WON" | "PREARBITRATION_LOST" => {
            EventKind::DisputeClosed
        }
        "RECURRING_CONTRACT" => done(EventKind::PaymentMethodUpdated),
        "DISABLE_RECURRING" => done(EventKind::PaymentMethodRemoved),
        _ => EventKind::Other,
    }
}

fn is_of_zero(item: &Value) -> bool {
    item.pointer("/amount/value").and_then(Value::as_i64) == Some(0)
}

/// Whether Auto Rescue goes on. A refused payment says it, where Auto Rescue is switched on at all;
/// the end of it has events of its own.
fn native_retry(code: &str, success: Option<bool>, item: &Value) -> Option<NativeRetry> {
    match (code, success) {
        ("AUTORESCUE", _) | ("CANCEL_AUTORESCUE", Some(true)) => return Some(NativeRetry::None),
        ("CANCEL_AUTORESCUE", _) => return None,
        ("AUTORESCUE_NEXT_ATTEMPT", _) => return Some(NativeRetry::Planned),
        _ => {}
    }
    match extra(item, "retry.rescueScheduled")? {
        "true" => Some(NativeRetry::Planned),
        "false" => Some(NativeRetry::None),
        _ => None,
    }
}

fn contact(item: &Value) -> Contact {
    Contact {
        email: extra(item, "shopperEmail").and_then(facts::email),
        phone: extra(item, "shopperTelephone").and_then(facts::phone),
        locale: extra(item, "shopperLocale").map(|locale| locale.replace('_', "-")),
        country: extra(item, "shopperCountry").and_then(facts::country),
        ..Contact::default()
    }
}
