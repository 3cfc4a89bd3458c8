//! Wompi's webhooks: from bytes to events.
//!
//! Why here: pure, so that the same code serves the service, `recoup verify`, `recoup parse` and a
//! host application.
//!
//! What must stay true: only the fields that the checksum covers are proven, so every event asks
//! for its object; an unknown event is `Other`; a body that is no event is an error, and no body
//! makes this panic.

use std::sync::LazyLock;

use secrecy::SecretString;
use serde_json::Value;

use super::objects;
use crate::core::decline::{self, Classified, DeclineTable, RawDecline};
use crate::core::event::{Event, EventKind, NeedsFetch};
use crate::gateway::facts::{id, id_of, json, malformed, text, time};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

static TABLE: LazyLock<DeclineTable> =
    LazyLock::new(|| DeclineTable::from_csv(include_str!("declines.csv")).unwrap_or_default());

/// The object of the events that decide something.
pub(super) const TRANSACTION: &str = "transaction";

/// Whether the webhook is authentic, by any of the secrets.
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    super::signature::verify(request, secrets)
}

/// The events of an authentic body: always one.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let body = json(request)?;
    let name = text(&body, "/event").ok_or_else(|| malformed("an event has an `event`"))?;
    let data = body.get("data").and_then(Value::as_object);
    let data = data.ok_or_else(|| malformed("an event has `data`"))?;
    let (object, about) = match data.get(TRANSACTION) {
        Some(transaction) => (TRANSACTION, transaction),
        None => data.iter().next().map_or(("", &Value::Null), |(name, it)| (name.as_str(), it)),
    };
    let subject = Some(about).filter(|about| about.is_object()).and_then(id_of);
    let is_transaction = name == "transaction.updated";
    if is_transaction && (object != TRANSACTION || subject.is_none()) {
        return Err(malformed("a transaction has an `id`"));
    }
    let at = id(&body, "/timestamp").unwrap_or_default();
    let status = text(about, "/status").unwrap_or_default();
    let key = subject.as_ref().map(|subject| format!("{subject}:{status}:{at}"));
    let mut event = Event::new(key.unwrap_or_default(), EventKind::Other);
    if is_transaction {
        objects::fill(&mut event, about);
    }
    event.occurred_at = time(&body, "/timestamp").or_else(|| time(&body, "/sent_at"));
    event.needs_fetch = subject.map(|id| NeedsFetch { object: object.to_owned(), id });
    Ok(vec![event])
}

/// Category and advice of a refusal, and what they are based on. Wompi's code is mostly a text.
pub fn classified(raw: &RawDecline) -> Classified {
    let told = decline::classify(Some(&TABLE), raw);
    let Some(code) = raw.code.as_ref().filter(|_| !told.known && raw.text.is_none()) else {
        return told;
    };
    decline::classify(Some(&TABLE), &RawDecline { text: Some(code.clone()), ..raw.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(
            DeclineTable::from_csv(include_str!("declines.csv")).unwrap().codes().count(),
            5
        );
    }
}
