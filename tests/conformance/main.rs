//! Conformance: one suite a trait, run over every implementation of it.
//!
//! Why here: what the worker relies on is tested once, against each store and each gateway, so that
//! a second one cannot be almost like the first.
//!
//! What must stay true: a new gateway or store is added to the list of its suite, and passes it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test stops at the first thing that is not as expected"
)]

mod adyen_api;
mod braintree_api;
mod checkout_api;
#[path = "../database/mod.rs"]
mod database;
mod dialect;
mod double;
mod gateways;
mod http_protocol;
mod mercadopago_api;
#[expect(dead_code, reason = "what the tests of the service use, too")]
#[path = "../support/mounts.rs"]
mod mounts;
mod openapi;
mod stores;
mod stripe_api;
mod stripe_events;
mod stripe_history;
mod stripe_manage;
mod wompi_api;
