//! PaymentIntents, Charges and Refunds over Stripe's API.
//!
//! Why here: a standalone PaymentIntent is how recoup charges when Stripe is not the billing
//! gateway; lists by customer and time are how a lost answer is found again.
//!
//! What must stay true: nothing is refunded twice, nor more than was taken.

use axum::http::Method;

use super::charging::{self, Origin, Tried, Try};
use super::model::{Charge, PaymentIntent, Refund};
use super::shape::Expand;
use super::{Answered, errors, expand, page, unknown, writer};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::issuer::Fault;
use crate::sandbox::world::World;

pub(super) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (false, []) => Ok(list(world, call)),
        (true, []) => create(world, call),
        (false, ["search"]) => search(world, call),
        (false, [id]) => show(world, call, id),
        (true, [id, "confirm"]) => {
            find(world, id)?;
            confirm(world, call, id)
        }
        (true, [id, "cancel"]) => cancel(world, call, id),
        _ => Err(unknown(call)),
    }
}

fn find(world: &World, id: &str) -> Result<PaymentIntent, Reply> {
    let intent = world.stripe.intents.get(id).cloned();
    intent.ok_or_else(|| errors::no_such("payment_intent", id))
}

fn show(world: &World, call: &Call, id: &str) -> Answered {
    let intent = find(world, id)?;
    Ok(Reply::new(200, writer(world, call).intent(&intent, &expand(call))))
}

fn list(world: &World, call: &Call) -> Reply {
    let expand = expand(call);
    let fits = world.stripe.intents.values().filter(|intent| {
        call.text("customer").is_none_or(|id| Some(id) == intent.customer.as_deref())
    });
    let items = fits.map(|intent| {
        let object = writer(world, call).intent(intent, &expand);
        (intent.id.clone(), intent.created.as_second(), object)
    });
    page(call, items.collect())
}

/// `GET /v1/payment_intents/search`, for one `metadata['name']:'value'`: what a client looks for
/// that lost an answer.
fn search(world: &World, call: &Call) -> Answered {
    let query = call.text("query").ok_or_else(|| errors::missing("query"))?;
    let rest = query.trim().strip_prefix("metadata[");
    let parts = rest.and_then(|rest| rest.split_once("]:"));
    let Some((name, value)) = parts else {
        let message = "The sandbox searches for one metadata['name']:'value'.";
        return Err(errors::invalid(message, Some("query")));
    };
    let bare = |text: &str| text.trim_matches(['\'', '"']).to_owned();
    let (name, value) = (bare(name), bare(value));
    let expand = expand(call);
    let fits = world.stripe.intents.values();
    let fits = fits.filter(|intent| intent.metadata.get(&name).is_some_and(|v| *v == value));
    let items = fits.map(|intent| {
        let object = writer(world, call).intent(intent, &expand);
        (intent.id.clone(), intent.created.as_second(), object)
    });
    let mut reply = page(call, items.collect());
    reply.body["object"] = "search_result".into();
    reply.body["next_page"] = serde_json::Value::Null;
    Ok(reply)
}

fn create(world: &mut World, call: &Call) -> Answered {
    let amount = call.text("amount").ok_or_else(|| errors::missing("amount"))?;
    let amount = amount.parse::<i64>().ok().filter(|amount| *amount > 0).ok_or_else(|| {
        errors::invalid_code(
            "parameter_invalid_integer",
            "Invalid positive integer",
            Some("amount"),
        )
    })?;
    let currency = call.text("currency").ok_or_else(|| errors::missing("currency"))?;
    if currency.parse::<crate::core::money::Currency>().is_err() {
        return Err(errors::invalid(&format!("Invalid currency: {currency}"), Some("currency")));
    }
    let customer = call.text("customer");
    if let Some(id) = customer.filter(|id| !world.stripe.customers.contains_key(*id)) {
        return Err(errors::invalid_code(
            "resource_missing",
            &format!("No such customer: '{id}'"),
            Some("customer"),
        ));
    }
    let method =
        call.text("payment_method").map(|name| usable(world, name, customer)).transpose()?;
    let currency = currency.to_ascii_lowercase();
    let id = charging::new_intent(world, amount, &currency, customer);
    if let Some(intent) = world.stripe.intents.get_mut(&id) {
        intent.description = call.text("description").map(str::to_owned);
        intent.method = method;
        super::customers::merge_metadata(&mut intent.metadata, call);
        if intent.method.is_some() {
            intent.status = "requires_confirmation";
        }
    }
    if !call.flag("confirm") {
        return show(world, call, &id);
    }
    let answered = confirm(world, call, &id);
    let unused = world.stripe.intents.get(&id).is_some_and(|intent| intent.charges.is_empty());
    if unused {
        world.stripe.intents.remove(&id);
    }
    answered
}

/// A stored method of this customer, or a test method, which is made on the spot.
fn usable(world: &mut World, name: &str, customer: Option<&str>) -> Result<String, Reply> {
    if let Some(method) = world.stripe.methods.get(name) {
        let owner = method.customer.as_deref();
        return if owner.is_none() || owner == customer {
            Ok(name.to_owned())
        } else {
            Err(errors::invalid(
                "The provided PaymentMethod belongs to another Customer.",
                Some("payment_method"),
            ))
        };
    }
    if crate::sandbox::cards::find(Kind::Stripe, name).is_none() {
        return Err(errors::invalid_code(
            "resource_missing",
            &format!("No such PaymentMethod: '{name}'"),
            Some("payment_method"),
        ));
    }
    Ok(super::make::method(world, None, name))
}

fn confirm(world: &mut World, call: &Call, id: &str) -> Answered {
    let intent = find(world, id)?;
    if matches!(intent.status, "succeeded" | "canceled" | "processing") {
        return Err(errors::invalid_code(
            "payment_intent_unexpected_state",
            &format!("This PaymentIntent's status is {}.", intent.status),
            None,
        ));
    }
    let method = match call.text("payment_method").filter(|_| !intent.charges.is_empty()) {
        Some(name) => Some(usable(world, name, intent.customer.as_deref())?),
        None => intent.method.clone(),
    };
    let method = method.ok_or_else(|| errors::missing("payment_method"))?;
    let present = matches!(call.text("off_session"), None | Some("false"));
    let origin = if present { Origin::OnSession } else { Origin::OffSession };
    let attempt = Try { origin, method, key: call.key() };
    let (tried, step) = charging::charge_intent(world, id, &attempt)?;
    if step.fault.is_some_and(Fault::is_before_effect) {
        return Ok(Reply::new(500, serde_json::Value::Null).scripted(&step));
    }
    let intent = find(world, id)?;
    let writer = writer(world, call);
    let reply = match tried {
        Tried::Declined(refusal) => errors::declined(writer, &refusal, &intent),
        Tried::NeedsCustomer => {
            let refusal = crate::sandbox::refusal::Refusal::of("authentication_required");
            errors::declined(writer, &refusal, &intent)
        }
        Tried::Approved | Tried::Pending => Reply::new(200, writer.intent(&intent, &expand(call))),
    };
    Ok(reply.scripted(&step))
}

fn cancel(world: &mut World, call: &Call, id: &str) -> Answered {
    let intent = find(world, id)?;
    if matches!(intent.status, "succeeded" | "canceled") || intent.invoice.is_some() {
        return Err(errors::invalid_code(
            "payment_intent_unexpected_state",
            "You cannot cancel this PaymentIntent.",
            None,
        ));
    }
    if let Some(intent) = world.stripe.intents.get_mut(id) {
        intent.status = "canceled";
        intent.pending = None;
    }
    show(world, call, id)
}

pub(super) fn route_charges(world: &World, call: &Call, rest: &[&str]) -> Answered {
    let expand = expand(call);
    match rest {
        [] => {
            let wanted = call.text("payment_intent");
            let customer = call.text("customer");
            let fits = world.stripe.charges.values().filter(|charge| {
                wanted.is_none_or(|id| id == charge.intent)
                    && customer.is_none_or(|id| Some(id) == charge.customer.as_deref())
            });
            let items = fits.map(|charge| {
                let object = writer(world, call).charge(charge, &expand);
                (charge.id.clone(), charge.created.as_second(), object)
            });
            Ok(page(call, items.collect()))
        }
        [id] => {
            let charge = world.stripe.charges.get(*id);
            let charge = charge.ok_or_else(|| errors::no_such("charge", id))?;
            Ok(Reply::new(200, writer(world, call).charge(charge, &expand)))
        }
        _ => Err(unknown(call)),
    }
}

pub(super) fn route_refunds(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (true, []) => refund(world, call),
        (false, [id]) => {
            let refund = world.stripe.refunds.get(*id);
            let refund = refund.ok_or_else(|| errors::no_such("refund", id))?;
            Ok(Reply::new(200, writer(world, call).refund(refund)))
        }
        _ => Err(unknown(call)),
    }
}

fn refund(world: &mut World, call: &Call) -> Answered {
    let charge = charge_to_refund(world, call)?;
    let left = charge.amount - charge.refunded;
    let amount = call.text("amount").and_then(|text| text.parse().ok()).unwrap_or(left);
    if charge.status != "succeeded" || left == 0 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(errors::invalid_code("charge_already_refunded", &message, None));
    }
    if amount <= 0 || amount > left {
        let message = format!("Refund amount is greater than the unrefunded amount ({left}).");
        return Err(errors::invalid(&message, Some("amount")));
    }
    let id = refund_charge(world, &charge, amount);
    let refund = world.stripe.refunds.get(&id);
    let refund = refund.ok_or_else(|| errors::no_such("refund", &id))?;
    Ok(Reply::new(200, writer(world, call).refund(refund)))
}

fn charge_to_refund(world: &World, call: &Call) -> Result<Charge, Reply> {
    if let Some(id) = call.text("charge") {
        let charge = world.stripe.charges.get(id).cloned();
        return charge.ok_or_else(|| errors::no_such("charge", id));
    }
    let id = call.text("payment_intent").ok_or_else(|| errors::missing("payment_intent"))?;
    let intent = find(world, id)?;
    let charge = intent.charges.last().and_then(|id| world.stripe.charges.get(id)).cloned();
    charge.ok_or_else(|| {
        errors::invalid("This PaymentIntent does not have a successful charge to refund.", None)
    })
}

/// Gives money back, in the books too.
pub(crate) fn refund_charge(world: &mut World, charge: &Charge, amount: i64) -> String {
    let id = world.ids.next("re");
    let refund = Refund {
        id: id.clone(),
        charge: charge.id.clone(),
        intent: charge.intent.clone(),
        amount,
        currency: charge.currency.clone(),
        created: world.now,
    };
    world.stripe.refunds.insert(id.clone(), refund);
    if let Some(charge) = world.stripe.charges.get_mut(&charge.id) {
        charge.refunded += amount;
    }
    let captured =
        world.ledger.iter_mut().find(|c| c.gateway == Kind::Stripe && c.payment == charge.intent);
    if let Some(capture) = captured {
        capture.refunded += amount;
    }
    if let Some(charge) = world.stripe.charges.get(&charge.id) {
        let object = charging::writer(world).charge(charge, &Expand::default());
        charging::emit(world, "charge.refunded", object);
    }
    id
}
