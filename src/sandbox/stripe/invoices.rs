//! Invoices over Stripe's API: read, pay, pay elsewhere, void, write off.
//!
//! Why here: `POST /v1/invoices/{id}/pay` is how recoup retries a charge.
//!
//! What must stay true: a call that is refused changes nothing; out-of-band takes no money.

use axum::http::Method;

use super::charging::{self, Origin, Tried, Try};
use super::model::Invoice;
use super::{Answered, catalog, errors, expand, page, parts, unknown, writer};
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::issuer::Fault;
use crate::sandbox::world::World;

pub(super) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (false, []) => Ok(list(world, call)),
        (false, [id]) => show(world, call, id),
        (true, []) => {
            let id = catalog::draft(world, call)?;
            show(world, call, &id)
        }
        (true, [id]) => update(world, call, id),
        (true, [id, "finalize"]) => {
            catalog::finalize(world, id)?;
            show(world, call, id)
        }
        (true, [id, "pay"]) => pay(world, call, id),
        (true, [id, "void"]) => close(world, call, (id, "void", "invoice.voided")),
        (true, [id, "mark_uncollectible"]) => {
            close(world, call, (id, "uncollectible", "invoice.marked_uncollectible"))
        }
        _ => Err(unknown(call)),
    }
}

fn find(world: &World, id: &str) -> Result<Invoice, Reply> {
    world.stripe.invoices.get(id).cloned().ok_or_else(|| errors::no_such("invoice", id))
}

fn show(world: &World, call: &Call, id: &str) -> Answered {
    let invoice = find(world, id)?;
    Ok(Reply::new(200, writer(world, call).invoice(&invoice, &expand(call))))
}

fn list(world: &World, call: &Call) -> Reply {
    let expand = expand(call);
    let fits = world.stripe.invoices.values().filter(|invoice| {
        call.text("customer").is_none_or(|id| id == invoice.customer)
            && call.text("status").is_none_or(|status| status == invoice.status)
            && call
                .text("subscription")
                .is_none_or(|id| Some(id) == invoice.subscription.as_deref())
    });
    let items = fits.map(|invoice| {
        let object = writer(world, call).invoice(invoice, &expand);
        (invoice.id.clone(), invoice.created.as_second(), object)
    });
    page(call, items.collect())
}

fn update(world: &mut World, call: &Call, id: &str) -> Answered {
    find(world, id)?;
    if let Some(invoice) = world.stripe.invoices.get_mut(id) {
        if let Some(advance) = call.text("auto_advance") {
            invoice.auto_advance = advance == "true";
            if !invoice.auto_advance {
                invoice.next_attempt = None;
            }
        }
        super::customers::merge_metadata(&mut invoice.metadata, call);
    }
    charging::emit_invoice(world, "invoice.updated", id);
    show(world, call, id)
}

fn pay(world: &mut World, call: &Call, id: &str) -> Answered {
    let invoice = find(world, id)?;
    if let Some(refusal) = charging::refuse_closed(&invoice) {
        return Err(refusal);
    }
    if call.flag("paid_out_of_band") {
        charging::close_paid(world, id, true);
        return show(world, call, id);
    }
    let method = method_of(world, call, &invoice)?;
    let on_session = call.text("off_session") == Some("false");
    let origin = if on_session { Origin::OnSession } else { Origin::OffSession };
    let attempt = Try { origin, method, key: call.key() };
    let (tried, step) = charging::charge_invoice(world, id, &attempt)?;
    if step.fault.is_some_and(Fault::is_before_effect) {
        return Ok(show(world, call, id)?.scripted(&step));
    }
    let invoice = find(world, id)?;
    let intent = invoice.intent.as_ref().and_then(|id| world.stripe.intents.get(id));
    let writer = writer(world, call);
    let reply = match (&tried, intent) {
        (Tried::Declined(refusal), Some(intent)) => errors::declined(writer, refusal, intent),
        (Tried::NeedsCustomer, Some(intent)) => errors::requires_action(writer, intent),
        _ => Reply::new(200, writer.invoice(&invoice, &expand(call))),
    };
    Ok(reply.scripted(&step))
}

/// The method of the call, which must be the customer's own; else the invoice's default.
fn method_of(world: &World, call: &Call, invoice: &Invoice) -> Result<String, Reply> {
    let Some(asked) = call.text("payment_method") else {
        return world.stripe.method_for(invoice).ok_or_else(|| {
            errors::invalid_code(
                "resource_missing",
                "This customer has no attached payment source or default payment method. Please \
                 consider adding a default payment method.",
                None,
            )
        });
    };
    match world.stripe.methods.get(asked) {
        None => Err(errors::invalid_code(
            "resource_missing",
            &format!("No such PaymentMethod: '{asked}'"),
            Some("payment_method"),
        )),
        Some(method) if method.customer.as_ref() != Some(&invoice.customer) => {
            Err(errors::invalid(
                "The payment method does not belong to the customer of this invoice. Please \
                 attach it to the customer first.",
                Some("payment_method"),
            ))
        }
        Some(method) => Ok(method.id.clone()),
    }
}

fn close(world: &mut World, call: &Call, to: (&str, &'static str, &str)) -> Answered {
    let (id, status, event) = to;
    let invoice = find(world, id)?;
    if !matches!(invoice.status, "open" | "uncollectible") || invoice.status == status {
        let message =
            format!("You can only pass in open invoices. This invoice is {}.", invoice.status);
        return Err(errors::invalid_code("invoice_not_editable", &message, None));
    }
    close_as(world, id, status, event);
    show(world, call, id)
}

/// Ends an invoice without a payment.
pub(crate) fn close_as(world: &mut World, id: &str, status: &'static str, event: &str) {
    let now = world.now;
    if let Some(invoice) = world.stripe.invoices.get_mut(id) {
        invoice.status = status;
        invoice.closed = Some(now);
        invoice.next_attempt = None;
    }
    charging::emit_invoice(world, event, id);
}

/// `GET /v1/invoice_payments`, by invoice or by PaymentIntent.
pub(super) fn list_payments(world: &World, call: &Call) -> Answered {
    let expand = expand(call);
    let writer = writer(world, call);
    let fits = world.stripe.invoices.values().filter(|invoice| {
        invoice.intent.is_some()
            && call.text("invoice").is_none_or(|id| id == invoice.id)
            && call
                .text("payment/payment_intent")
                .is_none_or(|id| Some(id) == invoice.intent.as_deref())
    });
    let data = fits.map(|invoice| writer.invoice_payment(invoice, &expand)).collect();
    Ok(Reply::new(200, parts::list("/v1/invoice_payments", data, false)))
}
