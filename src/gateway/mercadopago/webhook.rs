//! Mercado Pago's webhooks: from bytes to events.
//!
//! Why here: pure, so that the same code serves the service, `recoup verify`, `recoup parse` and a
//! host application.
//!
//! A webhook carries an id and no more, and only the id in the query of its address is signed. So
//! every event is a pointer: what it is about is read again before anything is decided.
//!
//! What must stay true: the query's id is believed before the body's; an unknown topic is `Other`;
//! a body that is no event is an error, and no body makes this panic.

use std::sync::LazyLock;

use secrecy::SecretString;
use serde_json::Value;

use crate::core::decline::{self, Classified, Decline, DeclineTable, RawDecline};
use crate::core::event::{Event, EventKind, NeedsFetch};
use crate::gateway::facts::{id, json, malformed, text, time};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

static TABLE: LazyLock<DeclineTable> =
    LazyLock::new(|| DeclineTable::from_csv(include_str!("declines.csv")).unwrap_or_default());

/// The objects that events point at, by the names of the API's paths.
pub(super) const PAYMENT: &str = "payment";
pub(super) const INSTALMENT: &str = "authorized_payment";
pub(super) const PREAPPROVAL: &str = "preapproval";
pub(super) const CHARGEBACK: &str = "chargeback";
pub(super) const CARD: &str = "card";

/// Whether the webhook is authentic, by any of the secrets.
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    super::signature::verify(request, secrets)
}

/// The events of an authentic body: always one. A body without an id of its own gives an event
/// without one: the same body is then the same event.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let body = json(request)?;
    if !body.is_object() {
        return Err(malformed("an event is a JSON object"));
    }
    let query = request.query().unwrap_or_default();
    let asked = query_value(query, "type").or_else(|| query_value(query, "topic"));
    let topic = text(&body, "/type").or_else(|| text(&body, "/topic")).or(asked.as_deref());
    let topic = topic.ok_or_else(|| malformed("an event has a `type`"))?;
    let subject = query_value(query, "data.id").or_else(|| id(&body, "/data/id"));
    let mut event = Event::new(id(&body, "/id").unwrap_or_default(), EventKind::Other);
    event.occurred_at = time(&body, "/date_created");
    point(&mut event, topic, subject, &body);
    if event.needs_fetch.is_none() && is_known(topic) {
        return Err(malformed("an event names its object, in `data.id`"));
    }
    Ok(vec![event])
}

/// A value of a query, decoded as a form is; of several the first; an empty one is absent.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn is_known(topic: &str) -> bool {
    matches!(
        topic,
        "payment"
            | "subscription_authorized_payment"
            | "subscription_preapproval"
            | "topic_chargebacks_wh"
    )
}

/// What the topic says happened, and to what.
fn point(event: &mut Event, topic: &str, subject: Option<String>, body: &Value) {
    let (kind, object, subject) = match topic {
        "payment" => (EventKind::PaymentUnknown, PAYMENT, subject),
        "subscription_authorized_payment" => (EventKind::PaymentUnknown, INSTALMENT, subject),
        "subscription_preapproval" => (EventKind::SubscriptionUpdated, PREAPPROVAL, subject),
        "subscription_preapproval_plan" => (EventKind::Other, "preapproval_plan", subject),
        "topic_chargebacks_wh" => (EventKind::Disputed, CHARGEBACK, subject),
        _ if text(body, "/action") == Some("card.updated") => {
            event.customer = id(body, "/data/customer_id");
            let card = id(body, "/data/new_card_id").or(subject);
            (EventKind::PaymentMethodUpdated, CARD, card)
        }
        other => (EventKind::Other, other, subject),
    };
    event.kind = kind;
    match object {
        PAYMENT => event.payment.clone_from(&subject),
        INSTALMENT => event.invoice.clone_from(&subject),
        PREAPPROVAL => event.subscription.clone_from(&subject),
        CHARGEBACK => event.payment = id(body, "/data/payment_id"),
        _ => {}
    }
    event.needs_fetch = subject.map(|id| NeedsFetch { object: object.to_owned(), id });
}

/// Category and advice of a refusal, and what they are based on.
pub fn classified(raw: &RawDecline) -> Classified {
    decline::classify(Some(&TABLE), raw)
}

/// Category and advice of a refusal.
pub fn classify(raw: &RawDecline) -> Decline {
    classified(raw).decline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert!(DeclineTable::from_csv(include_str!("declines.csv")).unwrap().codes().count() > 40);
    }

    #[test]
    fn a_query_is_read_as_a_form() {
        let query = "type=payment&data.id=ORD%2001+x&data.id=2&empty=&plus=%2B";
        assert_eq!(query_value(query, "data.id").as_deref(), Some("ORD 01 x"));
        assert_eq!(query_value(query, "plus").as_deref(), Some("+"));
        for nothing in ["empty", "id", "DATA.ID", ""] {
            assert_eq!(query_value(query, nothing), None, "{nothing}");
        }
    }
}
