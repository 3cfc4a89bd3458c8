//! Checkout.com's webhooks: from bytes to events.
//!
//! Why here: pure, so that the same code serves the service, `recoup verify`, `recoup parse` and a
//! host application.
//!
//! Checkout.com has no invoices: the merchant's reference stands for one. The body is signed whole,
//! so nothing has to be read again. The names and fields of `payment_retry_scheduled`, refunds,
//! disputes and the card updater were read in public integrations, not in a body of theirs.
//!
//! What must stay true: an unknown type is `Other`, a body that is no event is an error, and no
//! body makes this panic; `payment_approved` is no payment yet, `payment_captured` is.

use secrecy::SecretString;
use serde_json::Value;

use super::{money, naming, objects};
use crate::core::decline::{Classified, RawDecline};
use crate::core::event::{Event, EventKind, NativeRetry};
use crate::gateway::facts::{id, json, malformed, minor, owned, text, time};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

/// Whether the webhook is authentic, by any of the secrets.
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    super::signature::verify(request, secrets)
}

/// Category and advice of a refusal, and what they are based on.
pub fn classified(raw: &RawDecline) -> Classified {
    objects::classified(raw)
}

/// The events of an authentic body: always one.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let body = json(request)?;
    let own_id = text(&body, "/id").ok_or_else(|| malformed("an event has an `id`"))?;
    let name = text(&body, "/type").ok_or_else(|| malformed("an event has a `type`"))?;
    let data = body.get("data").filter(|data| data.is_object());
    let data = data.ok_or_else(|| malformed("an event has `data`"))?;
    let mut event = Event::new(own_id, kind(name, &body, data));
    event.occurred_at = time(&body, "/created_on").or_else(|| time(data, "/processed_on"));
    fill(&mut event, name, data);
    Ok(vec![event])
}

fn kind(name: &str, body: &Value, data: &Value) -> EventKind {
    use EventKind as K;
    match name {
        "payment_declined"
        | "payment_retry_scheduled"
        | "payment_authentication_failed"
        | "payment_capture_declined"
        | "payment_canceled"
        | "payment_expired"
        | "payment_returned" => K::PaymentFailed,
        "payment_captured" => K::PaymentSucceeded,
        "payment_pending" => pending(body, data),
        "payment_refunded" => refunded(data),
        // Given back before it was captured: the same to the customer.
        "payment_voided" => K::Refunded,
        "payment_chargeback" => K::Disputed,
        "source_updated" => K::PaymentMethodUpdated,
        _ if is_card_updaters(name) => K::PaymentMethodUpdated,
        _ => name.strip_prefix("dispute_").map_or(K::Other, dispute),
    }
}

/// A customer is to be sent somewhere, or an authentication has begun: the customer must act.
/// Otherwise somebody else has not decided yet.
fn pending(body: &Value, data: &Value) -> EventKind {
    let redirect = [body, data].into_iter().any(|at| at.pointer("/_links/redirect").is_some());
    let authenticates = data.get("3ds").is_some_and(Value::is_object);
    if redirect || authenticates { EventKind::ActionRequired } else { EventKind::PaymentUnknown }
}

/// Whole, unless the balances or the amounts say that something is left.
fn refunded(data: &Value) -> EventKind {
    let left = minor(data, "/balances/available_to_refund");
    let back = minor(data, "/balances/total_refunded");
    let captured = minor(data, "/balances/total_captured");
    let part = left.is_some_and(|left| left > 0)
        || back.zip(captured).is_some_and(|(back, captured)| back < captured);
    if part { EventKind::PartiallyRefunded } else { EventKind::Refunded }
}

fn is_card_updaters(name: &str) -> bool {
    let updater = ["card_", "instrument_", "account_updater_", "vault_"];
    updater.iter().any(|start| name.starts_with(start)) && name.contains("updated")
}

fn dispute(name: &str) -> EventKind {
    match name {
        "accepted" | "arbitration_lost" | "arbitration_won" | "canceled" | "cancelled"
        | "expired" | "lost" | "resolved" | "won" => EventKind::DisputeClosed,
        "received"
        | "evidence_required"
        | "evidence_submitted"
        | "evidence_acknowledged_by_scheme"
        | "arbitration_sent_to_scheme" => EventKind::Disputed,
        _ => EventKind::Other,
    }
}

fn fill(event: &mut Event, name: &str, data: &Value) {
    if let Some(named) = naming::of_object(data) {
        event.idempotency_key = named.attempt.map(|attempt| attempt.idempotency_key());
        event.invoice = Some(named.invoice);
    }
    event.customer = id(data, "/customer");
    let agreed = ["Recurring", "Unscheduled", "Installment"];
    event.customer_present = text(data, "/payment_type").is_some_and(|how| !agreed.contains(&how));
    event.payment = payment(name, data);
    event.amount = money::read(data, "/amount", "/currency");
    if matches!(event.kind, EventKind::PaymentFailed | EventKind::ActionRequired) {
        let told =
            ["/response_code", "/response_summary"].into_iter().any(|at| id(data, at).is_some());
        event.decline = told.then(|| objects::decline_of(data));
    }
    event.native_retry = match name {
        "payment_retry_scheduled" => Some(NativeRetry::Planned),
        "payment_canceled" => Some(NativeRetry::None),
        _ => None,
    };
    if event.native_retry == Some(NativeRetry::Planned) {
        event.next_native_attempt_at = NEXT_RETRY.into_iter().find_map(|at| time(data, at));
    }
    event.payment_method = match objects::card_facts(data).known() {
        None if event.kind == EventKind::PaymentMethodUpdated => {
            objects::instrument_facts(data).known()
        }
        known => known,
    };
    event.contact = objects::contact(data);
    event.description = owned(data, "/description");
}

/// Where a scheduled retry may say when: no body of that type was read.
const NEXT_RETRY: [&str; 4] = [
    "/retry/next_attempt_on",
    "/retry/dunning/next_attempt_on",
    "/next_attempt_on",
    "/next_retry_on",
];

/// A payment event is about itself; a dispute names its payment.
fn payment(name: &str, data: &Value) -> Option<String> {
    let own = if name.starts_with("payment_") { id(data, "/id") } else { None };
    own.or_else(|| id(data, "/payment_id"))
}
