//! The kinds of gateway that there are: one table, one row each.
//!
//! Why here: `recoup verify`, `parse` and `classify` work on captured webhooks without a merchant
//! file, a key or a network; `serve` builds clients by kind; `doctor` and the documentation list
//! what each can do. All of them read this table.
//!
//! What must stay true: one row for each kind; an unknown kind is `None`; whatever is done by kind
//! is done through a row. A kind is in the build with the cargo feature of its name, and nothing
//! else depends on which are.

use std::sync::Arc;

use secrecy::SecretString;

use super::wire::{BuildError, Timeouts};
use super::{Gateway, GatewaySettings, MalformedBody, Profile, Rejection, WebhookRequest};
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

/// The kinds that there are in this build.
pub const KINDS: &[Kind] = &[
    #[cfg(feature = "stripe")]
    Kind {
        kind: "stripe",
        profile: super::stripe::profile,
        verify: super::stripe::webhook::verify,
        parse: super::stripe::webhook::parse,
        classify: super::stripe::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(super::stripe::Stripe::new(settings, timeouts)?)),
    },
    #[cfg(feature = "adyen")]
    Kind {
        kind: "adyen",
        profile: super::adyen::profile,
        verify: super::adyen::webhook::verify,
        parse: super::adyen::webhook::parse,
        classify: super::adyen::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(super::adyen::Adyen::new(settings, timeouts)?)),
    },
    #[cfg(feature = "braintree")]
    Kind {
        kind: "braintree",
        profile: super::braintree::profile,
        verify: super::braintree::webhook::verify,
        parse: super::braintree::webhook::parse,
        classify: super::braintree::webhook::classified,
        build: |settings, timeouts| {
            Ok(Arc::new(super::braintree::Braintree::new(settings, timeouts)?))
        },
    },
    #[cfg(feature = "mercadopago")]
    Kind {
        kind: "mercadopago",
        profile: super::mercadopago::profile,
        verify: super::mercadopago::webhook::verify,
        parse: super::mercadopago::webhook::parse,
        classify: super::mercadopago::webhook::classified,
        build: |settings, timeouts| {
            Ok(Arc::new(super::mercadopago::MercadoPago::new(settings, timeouts)?))
        },
    },
    #[cfg(feature = "wompi")]
    Kind {
        kind: "wompi",
        profile: super::wompi::profile,
        verify: super::wompi::webhook::verify,
        parse: super::wompi::webhook::parse,
        classify: super::wompi::webhook::classified,
        build: |settings, timeouts| Ok(Arc::new(super::wompi::Wompi::new(settings, timeouts)?)),
    },
    #[cfg(feature = "checkout")]
    Kind {
        kind: "checkout",
        profile: super::checkout::profile,
        verify: super::checkout::webhook::verify,
        parse: super::checkout::webhook::parse,
        classify: super::checkout::webhook::classified,
        build: |settings, timeouts| {
            Ok(Arc::new(super::checkout::Checkout::new(settings, timeouts)?))
        },
    },
    #[cfg(feature = "http")]
    Kind {
        kind: "http",
        profile: super::http::profile,
        verify: super::http::webhook::verify,
        parse: super::http::webhook::parse,
        classify: super::http::webhook::classified,
        build: |settings, timeouts| {
            Ok(Arc::new(super::http::HttpGateway::new(settings, timeouts)?))
        },
    },
];

/// The kind of this name; `None` where there is no such kind.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|entry| entry.kind == name)
}

/// The names of all kinds of this build, for a person: `stripe, adyen, …`.
pub fn names() -> String {
    KINDS.iter().map(|entry| entry.kind).collect::<Vec<_>>().join(", ")
}
