//! Subscriptions over Stripe's API: read, change, pause, cancel.
//!
//! Why here: the end of a case may pause or cancel; a card update may set the subscription's own
//! default method.
//!
//! What must stay true: a canceled subscription stays canceled.

use axum::http::Method;

use super::charging::emit_subscription;
use super::model::Subscription;
use super::{Answered, catalog, errors, expand, page, unknown, writer};
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::world::World;

pub(super) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method.clone(), rest) {
        (Method::GET, []) => Ok(list(world, call)),
        (Method::POST, []) => {
            let id = catalog::subscribe(world, call)?;
            show(world, call, &id)
        }
        (Method::GET, [id]) => show(world, call, id),
        (Method::POST, [id]) => update(world, call, id),
        (Method::DELETE, [id]) => {
            let subscription = find(world, id)?;
            if subscription.ended.is_some() {
                return Err(errors::no_such("subscription", id));
            }
            cancel(world, id);
            show(world, call, id)
        }
        _ => Err(unknown(call)),
    }
}

fn find(world: &World, id: &str) -> Result<Subscription, Reply> {
    let found = world.stripe.subscriptions.get(id).cloned();
    found.ok_or_else(|| errors::no_such("subscription", id))
}

fn show(world: &World, call: &Call, id: &str) -> Answered {
    let subscription = find(world, id)?;
    Ok(Reply::new(200, writer(world, call).subscription(&subscription, &expand(call))))
}

fn list(world: &World, call: &Call) -> Reply {
    let expand = expand(call);
    let fits = world.stripe.subscriptions.values().filter(|subscription| {
        call.text("customer").is_none_or(|id| id == subscription.customer)
            && call.text("status").is_none_or(|s| s == "all" || s == subscription.status)
    });
    let items = fits.map(|subscription| {
        let object = writer(world, call).subscription(subscription, &expand);
        (subscription.id.clone(), subscription.created.as_second(), object)
    });
    page(call, items.collect())
}

fn update(world: &mut World, call: &Call, id: &str) -> Answered {
    let subscription = find(world, id)?;
    if subscription.ended.is_some() {
        let message =
            "A canceled subscription can only update its cancellation_details and metadata.";
        return Err(errors::invalid(message, None));
    }
    let method = call.text("default_payment_method");
    if let Some(name) = method {
        let owner = world.stripe.methods.get(name).and_then(|method| method.customer.as_ref());
        if owner != Some(&subscription.customer) {
            return Err(errors::invalid_code(
                "resource_missing",
                &format!("The customer does not have a payment method with the ID {name}."),
                Some("default_payment_method"),
            ));
        }
    }
    if let Some(subscription) = world.stripe.subscriptions.get_mut(id) {
        if method.is_some() {
            subscription.default_method = method.map(str::to_owned);
        }
        match call.params.get("pause_collection") {
            Some(value) if value == "" => subscription.paused = None,
            Some(value) if !value.is_null() => {
                let behavior = call.text("pause_collection/behavior").unwrap_or("void");
                subscription.paused = Some(behavior.to_owned());
            }
            _ => {}
        }
        super::customers::merge_metadata(&mut subscription.metadata, call);
    }
    emit_subscription(world, "customer.subscription.updated", id);
    show(world, call, id)
}

/// Ends a subscription, and tells the webhooks. Its open invoices stay open, and are not retried.
pub(crate) fn cancel(world: &mut World, id: &str) {
    let now = world.now;
    let Some(subscription) = world.stripe.subscriptions.get_mut(id) else { return };
    subscription.status = "canceled";
    subscription.ended = Some(now);
    let invoices = world.stripe.invoices.values_mut();
    for invoice in invoices.filter(|invoice| invoice.subscription.as_deref() == Some(id)) {
        invoice.next_attempt = None;
        invoice.auto_advance = false;
    }
    emit_subscription(world, "customer.subscription.deleted", id);
}
