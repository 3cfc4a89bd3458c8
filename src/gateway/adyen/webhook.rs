//! Adyen's webhooks: standard notifications, and the webhooks about stored cards.
//!
//! Why here: pure, so that the same code serves the service, `recoup verify`, `recoup parse` and a
//! host application.
//!
//! Of an item Adyen signs eight fields: the references, the amount, `eventCode` and `success`. They
//! are what says that something was paid, and how much. `additionalData` and `reason` are not
//! signed: from them come only the reason of a refusal and facts of the card, which make us more
//! or less careful, and whether Auto Rescue goes on, which makes us wait.
//!
//! What must stay true: an unknown event is `Other`, a body that is none is an error, no body makes
//! this panic; what was paid is read from signed fields alone.

use secrecy::SecretString;
use serde_json::json;

use super::signature::{inner, items_of};
use super::{event, refusal};
use crate::core::decline::{Classified, RawDecline};
use crate::core::event::Event;
use crate::gateway::facts::{json, malformed};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

/// Whether the webhook is authentic, by any of the keys.
pub fn verify(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    super::signature::verify(request, secrets)
}

/// The items of a notification, each a notification of its own; any other webhook as it is.
pub fn items(request: &WebhookRequest<'_>) -> Result<Vec<Vec<u8>>, MalformedBody> {
    let body = json(request)?;
    if body.get("notificationItems").is_none() {
        return Ok(vec![request.body.to_vec()]);
    }
    let items = items_of(&body).ok_or_else(no_items)?;
    if items.len() == 1 {
        return Ok(vec![request.body.to_vec()]);
    }
    let alone = |item| json!({ "live": body["live"], "notificationItems": [item] }).to_string();
    Ok(items.iter().map(|item| alone(item).into_bytes()).collect())
}

/// The events of an authentic body: one for each item.
pub fn parse(request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
    let body = json(request)?;
    if body.get("notificationItems").is_none() {
        return Ok(vec![event::of_token_webhook(&body)?]);
    }
    let items = items_of(&body).ok_or_else(no_items)?;
    let one = |item| {
        let item =
            inner(item).ok_or_else(|| malformed("an item has no NotificationRequestItem"))?;
        event::of_item(item)
    };
    items.iter().map(one).collect()
}

/// Category and advice of a refusal, and what they are based on.
pub fn classified(raw: &RawDecline) -> Classified {
    refusal::classified(raw)
}

fn no_items() -> MalformedBody {
    malformed("`notificationItems` has no items")
}
