//! Completing an event that only points at what happened.
//!
//! Why here: since 2025-03-31 an invoice carries no decline code and a PaymentIntent no invoice,
//! and a thin event carries nothing. What is fetched is read by the parser of webhooks itself, so
//! that one object means the same however it came.
//!
//! What must stay true: what the event itself told stays; what cannot be found stays unknown; a
//! completed event asks for nothing more.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::charge::{META_ATTEMPT, META_INVOICE};
use super::client::Client;
use super::{look_up, objects, view, webhook};
use crate::core::event::{Event, EventKind};
use crate::core::ids::AttemptId;
use crate::gateway::{CallError, WebhookRequest};

/// The event with everything that Stripe still knows of it.
pub(super) async fn complete(client: &Client, mut event: Event) -> Result<Event, CallError> {
    let Some(wanted) = event.needs_fetch.take() else { return Ok(event) };
    match wanted.object.as_str() {
        "invoice" => from_invoice(client, &mut event, &wanted.id).await?,
        "invoice_payment" | "payment_intent" | "charge" => {
            from_payment(client, &mut event, &wanted.id).await?;
        }
        other => from_object(client, &mut event, other, &wanted.id).await?,
    }
    if matches!(event.kind, EventKind::PaymentFailed | EventKind::ActionRequired) {
        add_contact(client, &mut event).await;
    }
    Ok(event)
}

/// An invoice: amounts, attempts and customer from itself, the decline and the card from the
/// payment that it points to.
async fn from_invoice(client: &Client, event: &mut Event, id: &str) -> Result<(), CallError> {
    fill_from_invoice(client, event, id).await?;
    if let Some(payment) = event.payment.clone().filter(|id| id.starts_with("pi_")) {
        let payment = look_up::read_payment(client, &payment).await?;
        fill_from_payment(event, &payment);
    }
    Ok(())
}

async fn fill_from_invoice(client: &Client, event: &mut Event, id: &str) -> Result<(), CallError> {
    let invoice = look_up::read_invoice(client, id).await?;
    fill(event, read_as(invoice_type(event.kind), event, &invoice));
    event.invoice.get_or_insert_with(|| id.to_owned());
    let payment = view::payments_of(&invoice).first().and_then(|p| p.id()).map(str::to_owned);
    event.payment = event.payment.take().or(payment);
    Ok(())
}

/// A PaymentIntent or a charge: the invoice is found through it. A payment without an invoice is
/// no recurring payment, and stays without.
async fn from_payment(client: &Client, event: &mut Event, id: &str) -> Result<(), CallError> {
    let (mut invoice, payment) = match id.starts_with("pi_") {
        true => (None, Some(id.to_owned())),
        false => of_charge(client, event, id).await?,
    };
    if let Some(payment) = payment {
        let object = look_up::read_payment(client, &payment).await?;
        fill_from_payment(event, &object);
        event.payment = Some(payment.clone());
        if event.idempotency_key.is_some() {
            return Ok(());
        }
        invoice = match invoice.or_else(|| view::id_at(&object, "/invoice").map(str::to_owned)) {
            Some(known) => Some(known),
            None => invoice_of(client, &payment).await?,
        };
    }
    event.invoice = event.invoice.take().or(invoice);
    match event.invoice.clone() {
        Some(invoice) => fill_from_invoice(client, event, &invoice).await,
        None => Ok(()),
    }
}

type InvoiceAndPayment = (Option<String>, Option<String>);

/// The invoice (old shape) and PaymentIntent of a charge.
async fn of_charge(
    client: &Client,
    event: &mut Event,
    id: &str,
) -> Result<InvoiceAndPayment, CallError> {
    let charge = client.read("read the charge", &["v1", "charges", id], &[]).await?;
    let known = |pointer: &str| view::id_at(&charge, pointer).map(str::to_owned);
    let found = (known("/invoice"), known("/payment_intent"));
    if event.kind != EventKind::PaymentSucceeded {
        fill(event, read_as("charge.failed", event, &charge));
    }
    Ok(found)
}

/// The invoice that a PaymentIntent is to pay, in shapes since 2025-03-31.
async fn invoice_of(client: &Client, payment: &str) -> Result<Option<String>, CallError> {
    let query = [("payment[type]", "payment_intent"), ("payment[payment_intent]", payment)];
    let path = ["v1", "invoice_payments"];
    let list = client.read("read the payment's invoice", &path, &query).await?;
    Ok(view::data(&list).iter().find_map(|item| view::id_at(item, "/invoice").map(str::to_owned)))
}

/// What a PaymentIntent tells: the decline, the card, the customer; and whether it is our own.
fn fill_from_payment(event: &mut Event, payment: &Value) {
    if event.kind != EventKind::PaymentSucceeded && payment["last_payment_error"].is_object() {
        fill(event, read_as("payment_intent.payment_failed", event, payment));
    }
    let customer = view::id_at(payment, "/customer").map(str::to_owned);
    event.customer = event.customer.take().or(customer);
    event.payment_method = event.payment_method.take().or(view::method_of(payment).known());
    let metadata = &payment["metadata"];
    if let Some(attempt) = metadata[META_ATTEMPT].as_str() {
        event.idempotency_key = Some(AttemptId::from(attempt).idempotency_key());
        event.invoice = event.invoice.take().or(view::owned(metadata, &format!("/{META_INVOICE}")));
    }
}

/// Any other object that a thin event may be about.
async fn from_object(
    client: &Client,
    event: &mut Event,
    object: &str,
    id: &str,
) -> Result<(), CallError> {
    let (path, kind) = match object {
        "subscription" | "customer.subscription" => {
            ("subscriptions", "customer.subscription.updated")
        }
        "payment_method" => ("payment_methods", "payment_method.updated"),
        "customer" => ("customers", "customer.updated"),
        "dispute" => ("disputes", "charge.dispute.created"),
        "refund" => ("refunds", "refund.created"),
        "setup_intent" => ("setup_intents", "setup_intent.succeeded"),
        _ => return Ok(()),
    };
    let found = client.read("read what the event is about", &["v1", path, id], &[]).await?;
    fill(event, read_as(kind, event, &found));
    Ok(())
}

fn invoice_type(kind: EventKind) -> &'static str {
    match kind {
        EventKind::PaymentSucceeded => "invoice.paid",
        EventKind::ActionRequired => "invoice.payment_action_required",
        EventKind::InvoiceVoided => "invoice.voided",
        EventKind::InvoiceUncollectible => "invoice.marked_uncollectible",
        _ => "invoice.payment_failed",
    }
}

/// A fetched object, read as the webhook that would have carried it.
fn read_as(kind: &str, event: &Event, object: &Value) -> Option<Event> {
    let created = event.occurred_at.unwrap_or(Timestamp::UNIX_EPOCH).as_second();
    let body = json!({
        "id": event.id, "object": "event", "type": kind, "created": created,
        "data": { "object": object },
    });
    let body = body.to_string();
    let request = WebhookRequest {
        body: body.as_bytes(),
        headers: &[],
        url: None,
        now: Timestamp::UNIX_EPOCH,
    };
    webhook::parse(&request).ok()?.into_iter().next()
}

/// Takes over what the event did not tell itself.
fn fill(event: &mut Event, told: Option<Event>) {
    let Some(told) = told else { return };
    keep(&mut event.invoice, told.invoice);
    keep(&mut event.subscription, told.subscription);
    keep(&mut event.customer, told.customer);
    keep(&mut event.payment, told.payment);
    keep(&mut event.amount, told.amount);
    keep(&mut event.attempt_count, told.attempt_count);
    keep(&mut event.native_retry, told.native_retry);
    keep(&mut event.next_native_attempt_at, told.next_native_attempt_at);
    keep(&mut event.decline, told.decline);
    keep(&mut event.payment_method, told.payment_method);
    keep(&mut event.description, told.description);
    keep(&mut event.idempotency_key, told.idempotency_key);
    keep(&mut event.contact.name, told.contact.name);
    keep(&mut event.contact.email, told.contact.email);
    keep(&mut event.contact.phone, told.contact.phone);
    keep(&mut event.contact.locale, told.contact.locale);
    keep(&mut event.contact.time_zone, told.contact.time_zone);
    keep(&mut event.contact.country, told.contact.country);
}

fn keep<T>(known: &mut Option<T>, told: Option<T>) {
    if known.is_none() {
        *known = told;
    }
}

/// The customer's language is on no invoice. A key without the right to read customers must not
/// stop a case, so an error here only means: not known.
async fn add_contact(client: &Client, event: &mut Event) {
    let Some(id) = event.customer.clone().filter(|_| event.contact.locale.is_none()) else {
        return;
    };
    let path = ["v1", "customers", &id];
    let Ok(customer) = client.read("read the customer", &path, &[]).await else { return };
    let contact = &mut event.contact;
    keep(&mut contact.locale, view::owned(&customer, "/preferred_locales/0"));
    keep(&mut contact.name, view::owned(&customer, "/name"));
    keep(&mut contact.email, view::owned(&customer, "/email"));
    keep(&mut contact.phone, view::owned(&customer, "/phone"));
    keep(&mut contact.country, view::owned(&customer, "/address/country"));
    let told = objects::profile(&customer);
    keep(&mut event.profile.tags, told.tags);
    keep(&mut event.profile.customer_since, told.customer_since);
}
