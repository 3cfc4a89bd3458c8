//! Taking over an event that a host application has already verified with `async-stripe-webhook`.
//!
//! Why here: an application that mounts recoup may have its own Stripe endpoint, and Stripe need
//! not be asked to send everything twice. The crate's event is written back to JSON and read by our
//! own parser, so that it means the same as one that came to recoup directly.
//!
//! What must stay true:
//! - the caller has verified the event; nothing is verified here, the signed bytes are gone;
//! - only what that crate's types know survives: it refuses (before it comes to us) an event whose
//!   object lacks a field that its pinned API version has, drops fields that it does not know, and
//!   does not read thin events. The raw bytes, given to
//!   [`Gateway::parse`](crate::gateway::Gateway::parse), have none of these limits: prefer them.

use jiff::Timestamp;
use stripe_webhook::Event as VerifiedEvent;

use super::webhook;
use crate::core::event::Event;
use crate::gateway::{MalformedBody, WebhookRequest};

/// The normalised events of an event that was verified with `async-stripe-webhook`.
pub fn events_from(verified: &VerifiedEvent) -> Result<Vec<Event>, MalformedBody> {
    let body = serde_json::to_vec(verified)
        .map_err(|error| MalformedBody(format!("write the verified event as JSON: {error}")))?;
    let now = Timestamp::from_second(verified.created).unwrap_or(Timestamp::UNIX_EPOCH);
    webhook::parse(&WebhookRequest { body: &body, headers: &[], url: None, now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use stripe_webhook::Webhook;

    const SECRET: &str = "whsec_made_up";
    const AT: i64 = 1_795_200_000;

    fn envelope(kind: &str, object: Value) -> String {
        json!({
            "id": "evt_1", "object": "event", "api_version": "2025-09-30.clover", "created": AT,
            "livemode": false, "pending_webhooks": 0, "type": kind, "request": null,
            "data": { "object": object },
        })
        .to_string()
    }

    fn verified(body: &str) -> VerifiedEvent {
        let signature = Webhook::generate_test_header(body, SECRET, Some(AT));
        Webhook::construct_event_with_timestamp(body, &signature, SECRET, AT).unwrap()
    }

    fn directly(body: &str) -> Vec<Event> {
        let now = Timestamp::from_second(AT).unwrap();
        let request = WebhookRequest { body: body.as_bytes(), headers: &[], url: None, now };
        webhook::parse(&request).unwrap()
    }

    fn card() -> Value {
        json!({
            "id": "pm_1", "object": "payment_method", "type": "card", "created": AT,
            "livemode": false, "customer": "cus_1", "billing_details": {},
            "card": {
                "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2030,
                "funding": "credit", "country": "CO", "fingerprint": "fp_1",
            },
        })
    }

    #[test]
    fn an_event_means_the_same_as_when_it_comes_directly() {
        let body = envelope("payment_method.automatically_updated", card());
        let events = events_from(&verified(&body)).unwrap();
        assert_eq!(events, directly(&body));
        let event = &events[0];
        assert_eq!((event.id.as_str(), event.customer.as_deref()), ("evt_1", Some("cus_1")));
        assert_eq!(event.kind, crate::core::event::EventKind::PaymentMethodUpdated);
        let method = event.payment_method.as_ref().unwrap();
        assert_eq!(method.last4.as_deref(), Some("4242"));
        assert_eq!(method.exp.as_deref(), Some("2030-03"));
    }

    #[test]
    fn a_type_that_the_crate_does_not_know_comes_through_whole() {
        let body = envelope("something.brand_new", json!({ "id": "x_1", "object": "x", "n": 7 }));
        let events = events_from(&verified(&body)).unwrap();
        assert_eq!(events, directly(&body));
        assert_eq!(events[0].kind, crate::core::event::EventKind::Other);
    }

    /// The limit that the module's documentation states: if this fails, it can be lifted.
    #[test]
    fn the_crate_refuses_an_object_that_lacks_a_field_of_its_version() {
        let invoice = json!({ "id": "in_1", "object": "invoice", "status": "open" });
        let body = envelope("invoice.payment_failed", invoice);
        let signature = Webhook::generate_test_header(&body, SECRET, Some(AT));
        let refused = Webhook::construct_event_with_timestamp(&body, &signature, SECRET, AT);
        assert!(refused.is_err());
        assert_eq!(directly(&body)[0].invoice.as_deref(), Some("in_1"));
    }
}
