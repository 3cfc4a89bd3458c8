//! Braintree's webhooks: a form with base64 of XML, from bytes to events.
//!
//! Why here: pure, so that the same code serves the service, `recoup verify`, `recoup parse` and a
//! host application.
//!
//! What must stay true: an unknown kind is `Other`, a body that is no notification is an error, and
//! no body makes this panic. Braintree has no invoice: the merchant's order id stands for it where
//! there is one, else the subscription and its billing period ([`Event::stands_for_invoice`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::Value;

use super::kind::{is_credit, kind};
use super::{objects, signature, xml};
use crate::core::decline::{Classified, RawDecline};
use crate::core::event::Event;
use crate::gateway::facts::{id, malformed, text, time};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

/// Whether the webhook is authentic, by any of the pairs of keys (`PUBLIC:PRIVATE`).
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    signature::verify(request, secrets)
}

/// Category and advice of a refusal, and what they are based on.
pub fn classified(raw: &RawDecline) -> Classified {
    objects::classified(raw)
}

/// The events of an authentic body: always one.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let payload = signature::field(request.body, "bt_payload")
        .ok_or_else(|| malformed("a notification is a form with `bt_payload`"))?;
    let payload: String = payload.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(payload).map_err(|_| malformed("`bt_payload` is no base64"))?;
    let document = String::from_utf8(bytes).ok().and_then(|document| xml::read(&document));
    let document = document.ok_or_else(|| malformed("`bt_payload` holds no XML of Braintree's"))?;
    let notification = document.get("notification");
    let notification = notification.ok_or_else(|| malformed("this is no `notification`"))?;
    Ok(vec![event(notification)?])
}

/// What a notification is about: the element's name, and the object.
#[derive(Clone, Copy)]
struct Subject<'a> {
    name: &'a str,
    object: &'a Value,
}

fn event(notification: &Value) -> Result<Event, MalformedBody> {
    let lacks = |what: &str| MalformedBody(format!("a notification has a `{what}`"));
    let name = text(notification, "/kind").ok_or_else(|| lacks("kind"))?;
    let at = text(notification, "/timestamp").ok_or_else(|| lacks("timestamp"))?;
    let subject = subject(notification).ok_or_else(|| lacks("subject"))?;
    let transaction = transaction(subject);
    let id = format!("{name}:{}:{at}", named(subject));
    let mut event = Event::new(id, kind(name, transaction));
    event.occurred_at = time(notification, "/timestamp");
    match (subject.name, transaction) {
        ("subscription", _) => objects::fill_from_subscription(&mut event, subject.object),
        ("dispute", _) => fill_from_dispute(&mut event, subject.object),
        (_, Some(credit)) if is_credit(credit) => fill_from_credit(&mut event, credit),
        (_, Some(transaction)) => objects::fill_from_transaction(&mut event, transaction),
        (_, None) => fill_from_method(&mut event, subject.object),
    }
    Ok(event)
}

/// Errors wrap the subject once more.
fn subject(notification: &Value) -> Option<Subject<'_>> {
    let subject = notification.get("subject")?;
    let inner = subject.get("api_error_response").unwrap_or(subject);
    let (name, object) = inner.as_object()?.iter().next()?;
    Some(Subject { name, object })
}

/// The transaction that a notification is about; not those of a subscription, which has many.
fn transaction(subject: Subject<'_>) -> Option<&Value> {
    let found = match subject.name {
        "transaction" => Some(subject.object),
        "subscription" | "dispute" => None,
        _ => subject.object.get("transaction"),
    };
    found.filter(|transaction| transaction.is_object())
}

/// What names the subject; where nothing does, it is there once (a report, a check).
fn named(subject: Subject<'_>) -> String {
    const NAMES: [&str; 7] = [
        "/id",
        "/token",
        "/transaction_id",
        "/payment_id",
        "/merchant_public_id",
        "/merchant_id",
        "/partner_merchant_id",
    ];
    let found = NAMES.iter().find_map(|at| id(subject.object, at));
    found.unwrap_or_else(|| subject.name.to_owned())
}

/// The sum in dispute, and the payment that it is about.
fn fill_from_dispute(event: &mut Event, dispute: &Value) {
    event.payment = id(dispute, "/transaction/id");
    let disputed = objects::sum(dispute, "/amount_disputed");
    event.amount = disputed.or_else(|| objects::sum(dispute, "/amount"));
    if let Some(transaction) = dispute.get("transaction") {
        event.subscription = id(transaction, "/subscription_id");
        event.customer = id(transaction, "/customer/id");
        objects::name_by_order(event, transaction);
    }
}

/// What was given back, of the payment that was charged.
fn fill_from_credit(event: &mut Event, credit: &Value) {
    objects::fill_from_transaction(event, credit);
    event.payment = id(credit, "/refunded_transaction_id").or(event.payment.take());
    event.idempotency_key = None;
}

/// A means of payment that changed or went away.
fn fill_from_method(event: &mut Event, object: &Value) {
    let inner = object.get("payment_method").and_then(Value::as_object);
    let means = inner.and_then(|wrapped| wrapped.values().next()).unwrap_or(object);
    if !means.is_object() {
        return;
    }
    event.customer = id(means, "/customer_id");
    let mut facts = objects::means(means);
    facts.token = id(object, "/token").or(facts.token);
    event.payment_method = facts.known();
}
