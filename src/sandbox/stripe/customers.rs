//! Customers, payment methods and portal sessions over Stripe's API.
//!
//! Why here: a card update ends as a default of the customer or of the subscription; only the one
//! that the failed charge's field points to helps.
//!
//! What must stay true: a method belongs to one customer; detaching it takes it out of every
//! default.

use axum::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::charging::{self, emit};
use super::model::{Customer, Metadata, PaymentMethod};
use super::shape::Expand;
use super::{Answered, errors, expand, make, page, unknown, writer};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::world::{Session, World};

/// How long a portal link works; Stripe says only "short-lived".
const SESSION_LIVES: SignedDuration = SignedDuration::from_hours(1);

/// Sets the metadata of a call; an empty value removes its name.
pub(super) fn merge_metadata(metadata: &mut Metadata, call: &Call) {
    for (name, value) in
        call.params.get("metadata").and_then(Value::as_object).into_iter().flatten()
    {
        if value == "" {
            metadata.remove(name);
        } else {
            metadata.insert(name.clone(), value.clone());
        }
    }
}

pub(super) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (false, []) => Ok(list(world, call)),
        (true, []) => {
            let id = make::customer(world, make::NewCustomer::default());
            update(world, call, &id)
        }
        (false, [id]) => show(world, call, id),
        (true, [id]) => {
            find(world, id)?;
            let answered = update(world, call, id)?;
            emit_customer(world, id);
            Ok(answered)
        }
        (false, [id, "payment_methods"]) => methods_of(world, call, id),
        _ => Err(unknown(call)),
    }
}

fn find(world: &World, id: &str) -> Result<Customer, Reply> {
    world.stripe.customers.get(id).cloned().ok_or_else(|| errors::no_such("customer", id))
}

fn show(world: &World, call: &Call, id: &str) -> Answered {
    let customer = find(world, id)?;
    Ok(Reply::new(200, writer(world, call).customer(&customer, &expand(call))))
}

fn list(world: &World, call: &Call) -> Reply {
    let email = call.text("email");
    let fits = world.stripe.customers.values();
    let fits = fits.filter(|c| email.is_none_or(|email| c.email.as_deref() == Some(email)));
    let items = fits.map(|customer| {
        let object = writer(world, call).customer(customer, &Expand::default());
        (customer.id.clone(), customer.created.as_second(), object)
    });
    page(call, items.collect())
}

fn update(world: &mut World, call: &Call, id: &str) -> Answered {
    let method = call.text("invoice_settings/default_payment_method");
    if let Some(name) = method {
        let owner = world.stripe.methods.get(name).and_then(|method| method.customer.as_deref());
        if owner != Some(id) {
            return Err(errors::invalid_code(
                "resource_missing",
                &format!("The customer does not have a payment method with the ID {name}."),
                Some("invoice_settings[default_payment_method]"),
            ));
        }
    }
    let Some(customer) = world.stripe.customers.get_mut(id) else {
        return Err(errors::no_such("customer", id));
    };
    let set = |field: &mut Option<String>, value: Option<&str>| {
        if let Some(value) = value {
            *field = Some(value.to_owned());
        }
    };
    set(&mut customer.name, call.text("name"));
    set(&mut customer.email, call.text("email"));
    set(&mut customer.phone, call.text("phone"));
    set(&mut customer.locale, call.text("preferred_locales/0"));
    set(&mut customer.country, call.text("address/country"));
    set(&mut customer.default_method, method);
    merge_metadata(&mut customer.metadata, call);
    show(world, call, id)
}

pub(crate) fn emit_customer(world: &mut World, id: &str) {
    let Some(customer) = world.stripe.customers.get(id) else { return };
    let object = charging::writer(world).customer(customer, &Expand::default());
    emit(world, "customer.updated", object);
}

fn methods_of(world: &World, call: &Call, id: &str) -> Answered {
    find(world, id)?;
    let fits = world.stripe.methods.values().filter(|m| m.customer.as_deref() == Some(id));
    let items = fits.map(|method| {
        let object = writer(world, call).method(method);
        (method.id.clone(), method.created.as_second(), object)
    });
    Ok(page(call, items.collect()))
}

pub(super) fn route_methods(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (false, []) => {
            let id = call.text("customer").ok_or_else(|| errors::missing("customer"))?;
            methods_of(world, call, id)
        }
        (true, []) => {
            let number = call.text("card/number").or_else(|| call.text("card/token"));
            let number = number.ok_or_else(|| errors::missing("card[token]"))?;
            let id = make::method(world, None, number);
            show_method(world, call, &id)
        }
        (false, [id]) => show_method(world, call, id),
        (true, [id, "attach"]) => attach_called(world, call, id),
        (true, [id, "detach"]) => detach(world, call, id),
        _ => Err(unknown(call)),
    }
}

fn find_method(world: &World, id: &str) -> Result<PaymentMethod, Reply> {
    world.stripe.methods.get(id).cloned().ok_or_else(|| errors::no_such("PaymentMethod", id))
}

fn show_method(world: &World, call: &Call, id: &str) -> Answered {
    let method = find_method(world, id)?;
    Ok(Reply::new(200, writer(world, call).method(&method)))
}

fn attach_called(world: &mut World, call: &Call, id: &str) -> Answered {
    let customer = call.text("customer").ok_or_else(|| errors::missing("customer"))?;
    find(world, customer)?;
    let known = world.stripe.methods.contains_key(id);
    if !known && crate::sandbox::cards::find(Kind::Stripe, id).is_none() {
        return Err(errors::no_such("PaymentMethod", id));
    }
    let id = if known { id.to_owned() } else { make::method(world, None, id) };
    let method = find_method(world, &id)?;
    if method.customer.as_deref().is_some_and(|owner| owner != customer) {
        return Err(errors::invalid(
            "The payment method you provided has already been attached to a customer.",
            None,
        ));
    }
    attach(world, &id, customer);
    show_method(world, call, &id)
}

/// Gives a method to a customer, and tells the webhooks.
pub(crate) fn attach(world: &mut World, id: &str, customer: &str) {
    if let Some(method) = world.stripe.methods.get_mut(id) {
        method.customer = Some(customer.to_owned());
    }
    emit_method(world, "payment_method.attached", id);
}

fn emit_method(world: &mut World, kind: &str, id: &str) {
    let Some(method) = world.stripe.methods.get(id) else { return };
    let object = charging::writer(world).method(method);
    emit(world, kind, object);
}

fn detach(world: &mut World, call: &Call, id: &str) -> Answered {
    find_method(world, id)?;
    if let Some(method) = world.stripe.methods.get_mut(id) {
        method.customer = None;
    }
    let gone = |field: &mut Option<String>| {
        if field.as_deref() == Some(id) {
            *field = None;
        }
    };
    world.stripe.customers.values_mut().for_each(|customer| gone(&mut customer.default_method));
    world.stripe.subscriptions.values_mut().for_each(|sub| gone(&mut sub.default_method));
    emit_method(world, "payment_method.detached", id);
    show_method(world, call, id)
}

/// `POST /v1/billing_portal/sessions`.
pub(super) fn portal_session(world: &mut World, call: &Call) -> Answered {
    let id = call.text("customer").ok_or_else(|| errors::missing("customer"))?;
    let customer = find(world, id)?.id;
    let after = call.text("flow_data/after_completion/redirect/return_url");
    let return_url = after.or_else(|| call.text("return_url")).map(str::to_owned);
    let secret = world.open_session(Session {
        gateway: Kind::Stripe,
        customer: customer.clone(),
        return_url: return_url.clone(),
        expires: world.now + SESSION_LIVES,
    });
    Ok(Reply::new(
        200,
        json!({
            "id": world.ids.next("bps"),
            "object": "billing_portal.session",
            "configuration": "bpc_sandbox",
            "created": world.now.as_second(),
            "customer": customer,
            "flow": call.params.get("flow_data"),
            "livemode": false,
            "locale": call.text("locale"),
            "on_behalf_of": null,
            "return_url": call.text("return_url"),
            "url": format!("{}/stripe/pages/portal/{secret}", world.base),
        }),
    ))
}
