//! The kinds of gateway that there are: one table, one row each.
//!
//! Why here: `recoup verify`, `parse` and `classify` work on captured webhooks without a merchant
//! file, a key or a network; `serve` builds clients by kind; `doctor` and the documentation list
//! what each can do. All of them read this table.
//!
//! What must stay true: one row for each kind; an unknown kind is `None`; whatever is done by kind
//! is done through a row.

use std::sync::Arc;

use secrecy::SecretString;

use super::wire::{BuildError, Timeouts};
use super::{
    Gateway, GatewaySettings, MalformedBody, Profile, Rejection, WebhookRequest, adyen, braintree,
    checkout, http, mercadopago, stripe, wompi,
};
use crate::core::decline::{Classified, RawDecline};
use crate::core::event::Event;

/// One kind of gateway.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The kind, as in the merchant file.
    pub kind: &'static str,
    /// What it is like.
    pub profile: fn() -> Profile,
    /// Whether a webhook is authentic.
    pub verify: fn(&WebhookRequest<'_>, &[SecretString]) -> Result<(), Rejection>,
    /// The events of a body.
    pub parse: fn(&WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody>,
    /// Category and advice of a refusal.
    pub classify: fn(&RawDecline) -> Classified,
    /// A client with these settings.
    pub build: fn(GatewaySettings, Timeouts) -> Result<Arc<dyn Gateway>, BuildError>,
}

/// The kinds that there are.
pub const KINDS: &[Kind] = &[
    Kind {
        kind: "stripe",
        profile: stripe::profile,
        verify: stripe::webhook::verify,
        parse: stripe::webhook::parse,
        classify: stripe::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(stripe::Stripe::new(settings, timeouts)?)),
    },
    Kind {
        kind: "adyen",
        profile: adyen::profile,
        verify: adyen::webhook::verify,
        parse: adyen::webhook::parse,
        classify: adyen::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(adyen::Adyen::new(settings, timeouts)?)),
    },
    Kind {
        kind: "braintree",
        profile: braintree::profile,
        verify: braintree::webhook::verify,
        parse: braintree::webhook::parse,
        classify: braintree::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(braintree::Braintree::new(settings, timeouts)?)),
    },
    Kind {
        kind: "mercadopago",
        profile: mercadopago::profile,
        verify: mercadopago::webhook::verify,
        parse: mercadopago::webhook::parse,
        classify: mercadopago::webhook::classified,
        build: |settings, timeouts| {
            Ok(Arc::new(mercadopago::MercadoPago::new(settings, timeouts)?))
        },
    },
    Kind {
        kind: "wompi",
        profile: wompi::profile,
        verify: wompi::webhook::verify,
        parse: wompi::webhook::parse,
        classify: wompi::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(wompi::Wompi::new(settings, timeouts)?)),
    },
    Kind {
        kind: "checkout",
        profile: checkout::profile,
        verify: checkout::webhook::verify,
        parse: checkout::webhook::parse,
        classify: checkout::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(checkout::Checkout::new(settings, timeouts)?)),
    },
    Kind {
        kind: "http",
        profile: http::profile,
        verify: http::webhook::verify,
        parse: http::webhook::parse,
        classify: http::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(http::HttpGateway::new(settings, timeouts)?)),
    },
];

/// The kind of this name; `None` where there is no such kind.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|entry| entry.kind == name)
}

/// The names of all kinds, for a person: `stripe, adyen, …`.
pub fn names() -> String {
    KINDS.iter().map(|entry| entry.kind).collect::<Vec<_>>().join(", ")
}
