//! The sandbox of the `http` gateway: the small protocol that a merchant implements in front of a
//! payment system of their own.
//!
//! Why here: it is recoup's second gateway in the demo, the model for a merchant's own adapter,
//! and a billing gateway that can be driven without Stripe.
//!
//! What must stay true: the same key answers the same, another body with it is 409; every final
//! outcome of a charge is also told by a `charge.updated`.

use axum::http::Method;
use serde_json::{Value, json};

use super::Kind;
use super::api::{Call, Reply, Wire};
use super::shared::Shared;
use super::world::World;

mod charges;
pub(crate) mod events;
mod model;
pub(crate) mod pages;

pub(crate) use charges::{native_attempt, perform_due};
pub(crate) use model::{
    Account, card_json, make_card, make_customer, make_invoice, make_subscription,
};
pub use model::{NewHttpCustomer, NewHttpInvoice};

/// The wire of the `http` gateway.
#[derive(Debug)]
pub(crate) struct Http;

/// `{"error":{"code","message"}}`.
fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::new(status, json!({ "error": { "code": code, "message": message } }))
}

impl Wire for Http {
    const KIND: Kind = Kind::Http;
    const KEEPS_BROKEN: bool = false;

    fn authorize(shared: &Shared, call: &Call) -> Option<Reply> {
        let given = call.header("authorization").unwrap_or_default();
        let expected = format!("Bearer {}", shared.secrets.http_api_key);
        (given != expected)
            .then(|| error(401, "unauthorized", "use the key that `recoup sandbox` printed"))
    }

    fn handle(world: &mut World, call: &Call) -> Reply {
        route(world, call).unwrap_or_else(|error| error)
    }

    fn key_in_use() -> Reply {
        error(409, "idempotency_key_in_use", "the first call with this key still runs")
    }

    fn key_conflict(_key: &str) -> Reply {
        error(409, "idempotency_conflict", "this key was used with another body")
    }

    fn broken(status: u16) -> Value {
        json!({ "error": { "code": if status == 429 { "rate_limited" } else { "internal" },
            "message": "the sandbox was told to fail" } })
    }
}

fn route(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let parts = call.parts();
    match (call.method == Method::POST, parts.as_slice()) {
        (true, ["charges"]) => charges::create(world, call),
        (false, ["charges"]) => charges::find_by_key(world, call),
        (false, ["charges", id]) => charges::show(world, id),
        (true, ["charges", id, "refund"]) => charges::refund(world, call, id),
        (true, ["card-update-sessions"]) => pages::open(world, call),
        (true, ["invoices", id, "paid"]) => model::mark_paid(world, call, id),
        (true, ["subscriptions", id, "pause"]) => model::move_subscription(world, id, "paused"),
        (true, ["subscriptions", id, "cancel"]) => model::move_subscription(world, id, "cancelled"),
        _ => Err(error(404, "not_found", "the protocol has no such address")),
    }
}
