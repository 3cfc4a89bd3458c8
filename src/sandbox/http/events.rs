//! Events of the `http` sandbox: Standard Webhooks bodies.
//!
//! Why here: one writer for the gateway and for `recoup trigger`.
//!
//! What must stay true: what is not known is null.

use serde_json::{Value, json};

use super::charges::decline_json;
use super::model::{Charge, card_json};
use crate::sandbox::Kind;
use crate::sandbox::world::World;

/// Emits an event.
pub(crate) fn emit(world: &mut World, kind: &str, data: Value) {
    let id = world.ids.next("msg");
    let body = json!({ "type": kind, "timestamp": world.now.to_string(), "data": data });
    world.emit(Kind::Http, kind, id, body);
}

/// What is known of a customer; of an unknown one the id.
pub(crate) fn customer(world: &World, id: &str) -> Value {
    let facts = world.http.customers.get(id).map(|c| c.facts.clone()).unwrap_or_default();
    json!({
        "id": id,
        "email": facts.email,
        "phone": facts.phone,
        "locale": facts.locale,
        "time_zone": facts.time_zone,
        "country": facts.country,
    })
}

/// Emits an event about an invoice, with the charge that it is about.
pub(crate) fn emit_invoice(world: &mut World, kind: &str, id: &str, charge: Option<&Charge>) {
    let Some(invoice) = world.http.invoices.get(id).cloned() else { return };
    let method = charge.map(|charge| card_json(&charge.token, &world.http.card(&charge.token)));
    let data = json!({
        "invoice": invoice.id,
        "subscription": invoice.subscription,
        "customer": customer(world, &invoice.customer),
        "amount": invoice.amount,
        "currency": invoice.currency,
        "attempt_count": invoice.attempt_count,
        "next_native_attempt_at": null,
        "decline": charge.and_then(|charge| charge.refusal.as_ref()).map(decline_json),
        "payment_method": method,
        "charge": charge.map(|charge| &charge.id),
    });
    emit(world, kind, data);
}
