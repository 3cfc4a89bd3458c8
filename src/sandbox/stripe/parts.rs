//! Parts of Stripe's objects that several of them have: lists, the event's envelope, a card, a
//! decline.
//!
//! Why here: `objects` writes whole objects with them.
//!
//! What must stay true: 2020's version has no advice and no network codes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::Charge;
use super::shape::Shape;
use crate::sandbox::cards::Card;
use crate::sandbox::refusal::Refusal;

pub(super) fn unix(at: Timestamp) -> i64 {
    at.as_second()
}

/// A list as the API answers it.
pub(crate) fn list(url: &str, data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

/// An event around an object.
pub(crate) fn event(shape: Shape, id: &str, kind: &str, at: Timestamp, object: Value) -> Value {
    json!({
        "id": id,
        "object": "event",
        "api_version": shape.version(),
        "created": unix(at),
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    })
}

pub(super) fn card(card: &Card) -> Value {
    json!({
        "brand": card.brand,
        "checks": { "address_line1_check": null, "address_postal_code_check": null,
            "cvc_check": "pass" },
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": card.fingerprint,
        "funding": card.funding,
        "generated_from": null,
        "last4": card.last4,
        "networks": { "available": [card.brand], "preferred": null },
        "three_d_secure_usage": { "supported": true },
        "wallet": null,
    })
}

pub(super) fn details(facts: &Card, charge: &Charge) -> Value {
    let mut details = card(facts);
    details["network"] = json!(facts.brand);
    details["network_transaction_id"] =
        json!((charge.status == "succeeded").then(|| charge.id.replacen("ch_", "mti", 1)));
    json!({ "card": details, "type": "card" })
}

/// What an error body and `last_payment_error` have in common.
pub(crate) fn decline(shape: Shape, refusal: &Refusal) -> Value {
    let code = refusal.wrapper();
    let mut object = json!({
        "code": code,
        "decline_code": refusal.code,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")),
        "message": refusal.message(),
        "type": "card_error",
    });
    if shape != Shape::Legacy {
        for (field, value) in [
            ("advice_code", &refusal.advice_code),
            ("network_advice_code", &refusal.network_advice_code),
            ("network_decline_code", &refusal.network_decline_code),
        ] {
            if let Some(value) = value {
                object[field] = json!(value);
            }
        }
    }
    object
}
