//! What Wompi's transactions tell.
//!
//! Why here: webhooks, look-ups, charges and completed events carry the same object.
//!
//! What must stay true: only a known status is an approval or a refusal; amounts are whole cents;
//! of a card never more than the last four digits.

use serde_json::Value;

use super::webhook::classified;
use crate::core::decline::{Decline, RawDecline};
use crate::core::event::{Event, EventKind, PaymentMethodFacts};
use crate::core::money::Money;
use crate::gateway::facts::{self, currency, id, minor, owned, text};
use crate::gateway::{amount::Exponents, reference};

/// What a transaction's state means.
pub(super) fn kind(status: Option<&str>) -> EventKind {
    match status {
        Some("APPROVED") => EventKind::PaymentSucceeded,
        Some("DECLINED" | "ERROR") => EventKind::PaymentFailed,
        Some("VOIDED") => EventKind::Refunded,
        _ => EventKind::PaymentUnknown,
    }
}

/// Fills the event from a transaction.
pub(super) fn fill(event: &mut Event, transaction: &Value) {
    event.kind = kind(text(transaction, "/status"));
    event.payment = id(transaction, "/id");
    let named = text(transaction, "/reference").map(reference::read);
    event.idempotency_key =
        named.as_ref().and_then(|named| named.attempt.as_ref()).map(|a| a.idempotency_key());
    event.invoice = named.map(|named| named.invoice);
    event.amount = amount(transaction);
    let failed = event.kind == EventKind::PaymentFailed;
    event.decline = failed.then(|| decline_of(transaction));
    event.payment_method = method_of(transaction).known();
    // Without a stored source it was a checkout: nobody agreed to be charged again.
    event.customer_present = id(transaction, "/payment_source_id").is_none();
    event.contact.email = text(transaction, "/customer_email").and_then(facts::email);
    event.contact.name = owned(transaction, "/customer_data/full_name");
}

/// The amount, in cents: what ISO 4217 calls minor units of the peso.
pub(super) fn amount(transaction: &Value) -> Option<Money> {
    let cents = minor(transaction, "/amount_in_cents")?;
    Exponents::ISO.read(cents, currency(transaction, "/currency")?)
}

/// The refusal. Wompi gives free text; where a phrase of it is known that decides, else the status.
pub(super) fn decline_of(transaction: &Value) -> Decline {
    let status = owned(transaction, "/status");
    let message = owned(transaction, "/status_message");
    let issuers = id(transaction, "/payment_method/extra/processor_response_code");
    let raw = RawDecline {
        code: message.clone().or_else(|| status.clone()),
        network_code: issuers.filter(|code| code != "00"),
        network: method_of(transaction).network,
        text: message.clone(),
        ..RawDecline::default()
    };
    let by_text = classified(&raw);
    if by_text.known {
        return by_text.decline;
    }
    let by_status = classified(&RawDecline { code: status, text: None, ..raw }).decline;
    Decline { code: by_text.decline.code, ..by_status }
}

/// The means of payment.
pub(super) fn method_of(transaction: &Value) -> PaymentMethodFacts {
    let is_card = text(transaction, "/payment_method_type") == Some("CARD")
        || text(transaction, "/payment_method/type") == Some("CARD");
    let extra = |name: &str| {
        text(transaction, &format!("/payment_method/extra/{name}")).filter(|_| is_card)
    };
    PaymentMethodFacts {
        token: id(transaction, "/payment_source_id"),
        network: extra("brand").and_then(facts::network),
        last4: extra("last_four").and_then(facts::last4),
        exp: None,
        country: None,
        funding: extra("card_type").and_then(facts::funding),
        fingerprint: None,
    }
}
