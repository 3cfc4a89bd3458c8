//! Charges of the `http` sandbox: create, find by key, refund, settle.
//!
//! Why here: a gateway must answer "what became of key K?" with certainty; this is how that looks.
//!
//! What must stay true: `GET /charges?idempotency_key=K` is 404 exactly while no call with K had
//! an effect.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::model::{Charge, card_json};
use super::{error, events};
use crate::core::money::{Currency, Money};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::issuer::{Answer, Fault};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{self, Capture, World};

/// What the protocol answers about a charge.
fn charge_json(world: &World, charge: &Charge) -> Value {
    let card = world.http.card(&charge.token);
    let approved = charge.status == "approved";
    json!({
        "id": charge.id,
        "status": charge.status,
        "amount": charge.amount,
        "currency": charge.currency,
        "decline": charge.refusal.as_ref().map(decline_json),
        "network_transaction_id": approved.then(|| charge.id.replacen("hch_", "mti", 1)),
        "payment_method": card_json(&charge.token, &card),
        "invoice": charge.invoice,
        "customer": charge.customer,
        "idempotency_key": charge.key,
        "refunded": charge.refunded,
    })
}

/// A refusal as the protocol tells it.
pub(super) fn decline_json(refusal: &Refusal) -> Value {
    json!({
        "code": refusal.code,
        "network_code": refusal.network_decline_code,
        "advice_code": refusal.advice_code,
        "network_advice_code": refusal.network_advice_code,
        "message": refusal.message(),
    })
}

/// `POST /charges`.
pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let mut charge = read(call)?;
    let open = charge.invoice.as_ref().and_then(|id| world.http.invoices.get(id));
    if open.is_some_and(|invoice| invoice.status != "open") {
        return Err(error(422, "invoice_closed", "the invoice is not open"));
    }
    let card = world.http.card(&charge.token);
    let step = world.decide(Kind::Http, charge.customer.as_deref(), &charge.token, &card);
    if step.fault.is_some_and(Fault::is_before_effect) {
        return Ok(Reply::new(500, Value::Null).scripted(&step));
    }
    charge.id = world.ids.next("hch");
    let id = charge.id.clone();
    if let Answer::Pending { seconds, then } = &step.answer {
        let due = world.now + SignedDuration::from_secs((*seconds).max(1));
        charge.due = Some((due, world::settled(then).clone()));
        world.http.charges.insert(id.clone(), charge);
    } else {
        world.http.charges.insert(id.clone(), charge);
        settle(world, &id, &step.answer);
    }
    Ok(show(world, &id)?.scripted(&step))
}

fn read(call: &Call) -> Result<Charge, Reply> {
    let bad =
        |field: &str| error(400, "invalid_field", &format!("`{field}` is missing or unreadable"));
    let amount = call.params.get("amount").and_then(Value::as_i64).filter(|amount| *amount > 0);
    let currency = call.text("currency").and_then(|code| code.parse::<Currency>().ok());
    let token = call.text("payment_method").ok_or_else(|| bad("payment_method"))?;
    let key = call.key().ok_or_else(|| error(400, "missing_key", "send an Idempotency-Key"))?;
    Ok(Charge {
        id: String::new(),
        amount: amount.ok_or_else(|| bad("amount"))?,
        currency: currency.ok_or_else(|| bad("currency"))?,
        token: token.to_owned(),
        customer: call.text("customer").map(str::to_owned),
        invoice: call.text("invoice").map(str::to_owned),
        status: "pending",
        refusal: None,
        refunded: 0,
        key: Some(key),
        due: None,
    })
}

/// Writes a final outcome down and tells it.
fn settle(world: &mut World, id: &str, answer: &Answer) {
    let Some(charge) = world.http.charges.get_mut(id) else { return };
    charge.due = None;
    let (status, refusal) = match answer {
        Answer::Approve => ("approved", None),
        Answer::Decline(refusal) => ("declined", Some(refusal.clone())),
        Answer::RequireAuthentication => {
            ("requires_action", Some(Refusal::of("authentication_required")))
        }
        Answer::Pending { .. } => return,
    };
    charge.status = status;
    charge.refusal = refusal;
    let charge = charge.clone();
    if status == "approved" {
        capture(world, &charge);
    }
    tell(world, &charge);
    let known = charge.invoice.as_ref().filter(|id| world.http.invoices.contains_key(*id)).cloned();
    if let Some(invoice) = known {
        settle_invoice(world, &invoice, &charge);
    }
}

fn capture(world: &mut World, charge: &Charge) {
    world.ledger.push(Capture {
        gateway: Kind::Http,
        invoice: charge.invoice.clone(),
        customer: charge.customer.clone(),
        payment: charge.id.clone(),
        amount: Money::new(charge.amount, charge.currency),
        at: world.now,
        idempotency_key: charge.key.clone(),
        refunded: 0,
    });
}

fn tell(world: &mut World, charge: &Charge) {
    let card = world.http.card(&charge.token);
    let data = json!({
        "charge": charge.id,
        "status": charge.status,
        "idempotency_key": charge.key,
        "invoice": charge.invoice,
        "customer": charge.customer.as_ref().map(|id| events::customer(world, id)),
        "amount": charge.amount,
        "currency": charge.currency,
        "decline": charge.refusal.as_ref().map(decline_json),
        "payment_method": card_json(&charge.token, &card),
    });
    events::emit(world, "charge.updated", data);
}

fn settle_invoice(world: &mut World, id: &str, charge: &Charge) {
    let Some(invoice) = world.http.invoices.get_mut(id).filter(|i| i.status == "open") else {
        return;
    };
    invoice.attempt_count += 1;
    if charge.status == "approved" {
        invoice.status = "paid";
        events::emit_invoice(world, "invoice.paid", id, Some(charge));
    } else {
        events::emit_invoice(world, "invoice.payment_failed", id, Some(charge));
    }
}

/// `GET /charges?idempotency_key=K`.
pub(super) fn find_by_key(world: &World, call: &Call) -> Result<Reply, Reply> {
    let wanted = call.text("idempotency_key");
    let wanted = wanted.ok_or_else(|| error(400, "missing_field", "give `idempotency_key`"))?;
    let mut charges = world.http.charges.values();
    let found = charges.find(|charge| charge.key.as_deref() == Some(wanted));
    found
        .map(|charge| Reply::new(200, charge_json(world, charge)))
        .ok_or_else(|| error(404, "not_found", "no charge with this key"))
}

pub(super) fn show(world: &World, id: &str) -> Result<Reply, Reply> {
    let charge = world.http.charges.get(id);
    let charge = charge.ok_or_else(|| error(404, "not_found", "no such charge"))?;
    Ok(Reply::new(200, charge_json(world, charge)))
}

/// `POST /charges/{id}/refund`: all of it, or `amount`.
pub(super) fn refund(world: &mut World, call: &Call, id: &str) -> Result<Reply, Reply> {
    let Some(charge) = world.http.charges.get_mut(id) else {
        return Err(error(404, "not_found", "no such charge"));
    };
    let left = charge.amount - charge.refunded;
    let amount = call.params.get("amount").and_then(Value::as_i64).unwrap_or(left);
    if charge.status != "approved" || left == 0 {
        return Err(error(409, "already_refunded", "there is nothing left to give back"));
    }
    if amount <= 0 || amount > left {
        return Err(error(400, "invalid_field", "`amount` is more than what is left"));
    }
    charge.refunded += amount;
    let charge = charge.clone();
    let captured =
        world.ledger.iter_mut().find(|c| c.gateway == Kind::Http && c.payment == charge.id);
    if let Some(capture) = captured {
        capture.refunded += amount;
    }
    let data = json!({
        "charge": charge.id,
        "invoice": charge.invoice,
        "customer": charge.customer.as_ref().map(|id| events::customer(world, id)),
        "amount": amount,
        "currency": charge.currency,
    });
    events::emit(world, "invoice.refunded", data);
    show(world, id)
}

/// Pending charges whose time has come.
pub(crate) fn perform_due(world: &mut World) {
    let now = world.now;
    let due: Vec<(String, Answer)> = world
        .http
        .charges
        .values()
        .filter_map(|charge| {
            let (at, answer) = charge.due.as_ref()?;
            (*at <= now).then(|| (charge.id.clone(), answer.clone()))
        })
        .collect();
    for (id, answer) in due {
        settle(world, &id, &answer);
    }
}

/// The `http` gateway's own try at one of its invoices, which starts a story.
pub(crate) fn native_attempt(world: &mut World, invoice: &str) {
    let Some(of) = world.http.invoices.get(invoice).filter(|i| i.status == "open").cloned() else {
        return;
    };
    let customer = world.http.customers.get(&of.customer);
    let token =
        customer.and_then(|c| c.default_token.clone()).unwrap_or_else(|| "tok_declined".into());
    let card = world.http.card(&token);
    let step = world.decide(Kind::Http, Some(&of.customer), &token, &card);
    let id = world.ids.next("hch");
    let charge = Charge {
        id: id.clone(),
        amount: of.amount,
        currency: of.currency,
        token,
        customer: Some(of.customer),
        invoice: Some(of.id),
        status: "pending",
        refusal: None,
        refunded: 0,
        key: None,
        due: None,
    };
    world.http.charges.insert(id.clone(), charge);
    settle(world, &id, world::settled(&step.answer));
}
