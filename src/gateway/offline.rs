//! What can be done with a gateway without any IO: verify, parse, classify, by its kind.
//!
//! Why here: `recoup verify`, `parse` and `classify` work on captured webhooks, without a merchant
//! file, a key or a network.
//!
//! What must stay true: one entry for each kind; an unknown kind is `None`.

use secrecy::SecretString;

use super::{MalformedBody, Rejection, WebhookRequest, http, stripe};
use crate::core::decline::{Classified, RawDecline};
use crate::core::event::Event;

/// The pure half of one kind of gateway.
#[derive(Debug, Clone, Copy)]
pub struct WebhookOf {
    /// The kind, as in the merchant file.
    pub kind: &'static str,
    /// Whether a webhook is authentic.
    pub verify: fn(&WebhookRequest<'_>, &[SecretString]) -> Result<(), Rejection>,
    /// The events of a body.
    pub parse: fn(&WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody>,
    /// Category and advice of a refusal.
    pub classify: fn(&RawDecline) -> Classified,
}

/// The kinds that there are.
pub const KINDS: [WebhookOf; 2] = [
    WebhookOf {
        kind: "stripe",
        verify: stripe::webhook::verify,
        parse: stripe::webhook::parse,
        classify: stripe::webhook::classified,
    },
    WebhookOf {
        kind: "http",
        verify: http::webhook::verify,
        parse: http::webhook::parse,
        classify: http::webhook::classified,
    },
];

/// The pure half of a kind of gateway; `None` where there is no such kind.
pub fn webhook_of(kind: &str) -> Option<WebhookOf> {
    KINDS.into_iter().find(|entry| entry.kind == kind)
}
