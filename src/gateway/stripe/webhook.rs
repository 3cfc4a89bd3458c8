//! Stripe's webhooks: from bytes to events.
//!
//! Why here: pure, so that the same code serves the service, `recoup verify`, `recoup parse` and a
//! host application.
//!
//! Stripe has two families under one signature: snapshots (`object: event`) carry the object as it
//! was, in the shape of the endpoint's API version; thin events (`v2.core.event`) carry only its
//! id. The shapes of 2020 to today are all read: where a field moved, both places are looked at.
//!
//! What must stay true: an unknown type is `Other`, a body that is no event is an error, and no
//! body makes this panic.

use secrecy::SecretString;
use serde_json::Value;

use super::kind::{Change, kind};
use super::objects;
use crate::core::event::{Event, EventKind, NeedsFetch};
use crate::gateway::facts::{json, malformed, owned, text, time};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

pub(crate) use super::refusal::{card_facts, decline_of_charge, decline_of_error};
pub use super::refusal::{classified, classify};

/// Whether the webhook is authentic, by any of the secrets.
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    super::signature::verify(request, secrets)
}

/// The events of an authentic body: always one.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let body = json(request)?;
    let id = text(&body, "/id").ok_or_else(|| malformed("an event has an `id`"))?;
    let name = text(&body, "/type").ok_or_else(|| malformed("an event has a `type`"))?;
    let event = match text(&body, "/object") {
        Some("v2.core.event") => thin(id, name, &body),
        Some("event") | None => snapshot(id, name, &body)?,
        Some(_) => return Err(malformed("this is some other object of Stripe's, not an event")),
    };
    Ok(vec![event])
}

/// An event with its object inside.
fn snapshot(id: &str, name: &str, body: &Value) -> Result<Event, MalformedBody> {
    let object = body.pointer("/data/object").filter(|object| object.is_object());
    let object = object.ok_or_else(|| malformed("an event has `data.object`"))?;
    let previous = body.pointer("/data/previous_attributes").unwrap_or(&Value::Null);
    let change = Change { object, previous };
    let mut event = Event::new(id, kind(name, change));
    event.occurred_at = time(body, "/created");
    event.idempotency_key = owned(body, "/request/idempotency_key");
    objects::fill(&mut event, name, change);
    Ok(event)
}

/// An event with only a pointer to its object.
fn thin(id: &str, name: &str, body: &Value) -> Event {
    let nothing = Change { object: &Value::Null, previous: &Value::Null };
    let mut event =
        Event::new(id, name.strip_prefix("v1.").map_or(EventKind::Other, |n| kind(n, nothing)));
    event.occurred_at = time(body, "/created");
    let (Some(object), Some(related)) =
        (text(body, "/related_object/type"), owned(body, "/related_object/id"))
    else {
        return event;
    };
    let object = object.strip_prefix("v1.").unwrap_or(object);
    let fetched = match object {
        "invoice" => event.invoice.insert(related.clone()) as &str,
        "payment_intent" | "charge" => event.payment.insert(related.clone()),
        "subscription" | "customer.subscription" => event.subscription.insert(related.clone()),
        "customer" => event.customer.insert(related.clone()),
        _ => &related,
    };
    // A payment is asked for by the invoice that it pays.
    let asked = if event_is_of_a_payment(object) { "invoice_payment" } else { object };
    let needs = NeedsFetch { object: asked.to_owned(), id: fetched.to_owned() };
    event.needs_fetch = Some(needs).filter(|_| event.kind != EventKind::Other);
    event
}

fn event_is_of_a_payment(object: &str) -> bool {
    matches!(object, "payment_intent" | "charge")
}
