//! The `http` gateway's webhooks: our own small protocol, signed as Standard Webhooks.
//!
//! Why here: pure, as every `webhook.rs`. A merchant's adapter in front of any payment system sends
//! these bodies; what is in them is described in docs/GATEWAYS.md.
//!
//! What must stay true: fields that are absent, null or misspelt are `None`, an unknown type is
//! `Other`; `charge.updated` goes by its status, and a status that we do not know is *unknown*,
//! never a failure.

use secrecy::SecretString;
use serde_json::Value;

use crate::core::customer::{Profile, tags_of};
use crate::core::decline::{Classified, Decline, RawDecline, bare_code};
use crate::core::event::{Contact, Event, EventKind, NativeRetry, PaymentMethodFacts};
use crate::core::money::Money;
use crate::gateway::facts::{
    self, count, currency, id, id_of, json, malformed, minor, owned, text, time,
};
use crate::gateway::stripe;
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

/// Whether the webhook is authentic, by any of the secrets.
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    super::signature::verify(request, secrets)
}

/// The events of an authentic body: always one. Its id is the message's; without the header, which
/// only an unverified request can lack, it is empty.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let body = json(request)?;
    let name = text(&body, "/type").ok_or_else(|| malformed("an event has a `type`"))?;
    let data = body.get("data").filter(|data| data.is_object());
    let data = data.ok_or_else(|| malformed("an event has `data`"))?;
    let id = super::signature::message_id(request).unwrap_or_default();
    let mut event = Event::new(id, kind(name, data));
    event.occurred_at = time(&body, "/timestamp");
    fill(&mut event, data);
    Ok(vec![event])
}

fn kind(name: &str, data: &Value) -> EventKind {
    match name {
        "invoice.payment_failed" => EventKind::PaymentFailed,
        "invoice.paid" => EventKind::PaymentSucceeded,
        "invoice.voided" => EventKind::InvoiceVoided,
        "invoice.refunded" => EventKind::Refunded,
        "subscription.cancelled" | "subscription.canceled" => EventKind::SubscriptionCancelled,
        "payment_method.updated" => EventKind::PaymentMethodUpdated,
        "payment.disputed" => EventKind::Disputed,
        "charge.updated" => match text(data, "/status") {
            Some("approved") => EventKind::PaymentSucceeded,
            Some("declined") => EventKind::PaymentFailed,
            Some("requires_action") => EventKind::ActionRequired,
            _ => EventKind::PaymentUnknown,
        },
        _ => EventKind::Other,
    }
}

fn fill(event: &mut Event, data: &Value) {
    event.invoice = id(data, "/invoice");
    event.subscription = id(data, "/subscription");
    event.customer = id(data, "/customer");
    event.payment = id(data, "/charge");
    event.amount = minor(data, "/amount")
        .zip(currency(data, "/currency"))
        .map(|(amount, currency)| Money::new(amount, currency));
    event.attempt_count = count(data, "/attempt_count");
    event.next_native_attempt_at = time(data, "/next_native_attempt_at");
    event.native_retry = event.next_native_attempt_at.map(|_| NativeRetry::Planned);
    if matches!(event.kind, EventKind::PaymentFailed | EventKind::ActionRequired) {
        event.decline = data.get("decline").filter(|d| d.is_object()).map(|_| decline_of(data));
    }
    event.payment_method = method_of(data).known();
    event.contact = contact(data.get("customer").unwrap_or(&Value::Null));
    event.profile = profile(data.get("customer").unwrap_or(&Value::Null));
    event.description = owned(data, "/description");
    event.idempotency_key = owned(data, "/idempotency_key");
}

fn contact(customer: &Value) -> Contact {
    Contact {
        name: owned(customer, "/name"),
        email: text(customer, "/email").and_then(facts::email),
        phone: text(customer, "/phone").and_then(facts::phone),
        locale: owned(customer, "/locale"),
        time_zone: owned(customer, "/time_zone"),
        country: text(customer, "/country").and_then(facts::country),
    }
}

/// What campaigns go by.
fn profile(customer: &Value) -> Profile {
    let tags = customer.get("tags").and_then(Value::as_array);
    Profile {
        tags: tags.map(|tags| tags_of(tags.iter().filter_map(Value::as_str))),
        customer_since: text(customer, "/customer_since").and_then(|day| day.parse().ok()),
        consents: Vec::new(),
    }
}

/// Category and advice of a refusal, and what they are based on. Merchants pass on the words of the
/// gateway that they know best, which is Stripe's table.
pub fn classified(raw: &RawDecline) -> Classified {
    stripe::webhook::classified(raw)
}

/// Category and advice of a refusal.
pub fn classify(raw: &RawDecline) -> Decline {
    classified(raw).decline
}

/// The refusal in an object with a `decline` field (a charge, a webhook's `data`), or in that field
/// itself. The card's network beside it decides what some codes mean.
pub(crate) fn decline_of(object: &Value) -> Decline {
    let decline = object.get("decline").unwrap_or(object);
    let (network_code, message) = (id(decline, "/network_code"), owned(decline, "/message"));
    let code = id(decline, "/code").map(|code| bare_code(&code).to_owned());
    // Where there is only text, the text is the code.
    let only = message.as_deref().filter(|_| network_code.is_none());
    let code = code.or_else(|| only.map(|text| bare_code(text).to_owned()));
    classify(&RawDecline {
        network_code,
        advice_code: id(decline, "/advice_code"),
        network_advice_code: id(decline, "/network_advice_code"),
        network: method_of(object).network,
        text: message,
        region: text(object, "/region").map(str::to_owned),
        code,
    })
}

/// The means of payment in an object with a `payment_method` field (a charge, a webhook's `data`),
/// or in that field itself; a bare text is a token.
pub(crate) fn method_of(object: &Value) -> PaymentMethodFacts {
    let method = object.get("payment_method").unwrap_or(object);
    if method.is_string() {
        return PaymentMethodFacts { token: id_of(method), ..PaymentMethodFacts::default() };
    }
    PaymentMethodFacts {
        token: id(method, "/token"),
        network: text(method, "/network").and_then(facts::network),
        last4: text(method, "/last4").and_then(facts::last4),
        exp: text(method, "/exp").and_then(facts::expiry_text),
        country: text(method, "/country").and_then(facts::country),
        funding: text(method, "/funding").and_then(facts::funding),
        fingerprint: owned(method, "/fingerprint"),
    }
}
