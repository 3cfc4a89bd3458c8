//! The sandbox of Adyen: the part of the Checkout API that charges stored cards, in its own words.
//!
//! Why here: it is recoup's second gateway in the demo, and it can be the billing gateway of a
//! merchant who bills by themselves; a developer points Adyen's own library at it.
//!
//! | call | |
//! |---|---|
//! | `POST /v{NN}/payments` | with a stored card, or with a test card's number |
//! | `POST /v{NN}/payments/{psp}/{refunds,reversals,cancels}` | |
//! | `POST /v{NN}/paymentLinks`, `GET …/{id}` | a page where the amount is paid |
//! | `GET /v{NN}/storedPaymentMethods`, `DELETE …/{id}` | |
//! | `POST /v{NN}/paymentMethods` | |
//!
//! All of it also under `/checkout/v{NN}/…`, as the live environment has it.
//!
//! What must stay true: HTTP 200 says nothing of the money, `resultCode` does; every outcome is
//! also told by a notification whose items are signed each.

use axum::http::Method;
use serde_json::{Value, json};

use super::Kind;
use super::api::{Call, Reply, Wire};
use super::shared::Shared;
use super::world::World;

pub(crate) mod links;
pub(crate) mod model;
pub(crate) mod modify;
pub(crate) mod notify;
pub(crate) mod payments;
mod rescue;
pub(crate) mod words;

pub(crate) use model::Account;
pub use model::NewAdyenPayment;

/// The merchant account of every sandbox.
pub const MERCHANT_ACCOUNT: &str = "RecoupSandboxECOM";

/// The wire of Adyen.
#[derive(Debug)]
pub(crate) struct Adyen;

/// Adyen's form of an error.
fn error(status: u16, code: &str, message: &str) -> Reply {
    let kind = match status {
        401 | 403 => "security",
        500 => "internal",
        _ => "validation",
    };
    let body = json!({
        "status": status, "errorCode": code, "message": message, "errorType": kind,
    });
    Reply::new(status, body)
}

fn lacks(code: &str, field: &str) -> Reply {
    error(422, code, &format!("Required field '{field}' is not provided."))
}

impl Wire for Adyen {
    const KIND: Kind = Kind::Adyen;
    const KEEPS_BROKEN: bool = false;

    fn authorize(shared: &Shared, call: &Call) -> Option<Reply> {
        let given = call.header("x-api-key").unwrap_or_default();
        if given != shared.secrets.adyen_api_key {
            return Some(error(401, "000", "HTTP Status Response - Unauthorized"));
        }
        match call.text("merchantAccount") {
            Some(MERCHANT_ACCOUNT) => None,
            // A link is read by its id alone.
            None if call.method == Method::GET => None,
            None => Some(lacks("901", "merchantAccount")),
            Some(_) => Some(error(403, "901", "Invalid Merchant Account")),
        }
    }

    fn handle(world: &mut World, call: &Call) -> Reply {
        route(world, call).unwrap_or_else(|error| error)
    }

    fn key_in_use() -> Reply {
        let mut reply = in_progress();
        reply.headers.push(("transient-error", "true".to_owned()));
        reply
    }

    /// Adyen does not say what it does with another body under a used key: here it is refused.
    fn key_conflict(_key: &str) -> Reply {
        in_progress()
    }

    fn broken(status: u16) -> Value {
        let (code, words) = match status {
            429 => ("429", "Too many requests"),
            _ => ("905", "Payment details are not supported: the sandbox was told to fail"),
        };
        error(status, code, words).body
    }
}

fn in_progress() -> Reply {
    error(422, "704", "request already processed or in progress")
}

fn route(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let parts = call.parts();
    let parts = parts.strip_prefix(&["checkout"]).unwrap_or(&parts);
    let [version, parts @ ..] = parts else { return Err(no_such_call()) };
    let number = version.strip_prefix('v').unwrap_or_default();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(no_such_call());
    }
    match (call.method.as_str(), parts) {
        ("POST", ["payments"]) => payments::create(world, call),
        ("POST", ["payments", psp, "refunds"]) => modify::refund(world, call, psp),
        ("POST", ["payments", psp, "reversals" | "cancels"]) => modify::reverse(world, psp),
        ("POST", ["paymentLinks"]) => links::create(world, call),
        ("GET", ["paymentLinks", id]) => links::show(world, id),
        ("POST", ["paymentMethods"]) => Ok(payments::methods(world, call)),
        ("GET", ["storedPaymentMethods"]) => Ok(model::list(world, call)),
        ("DELETE", ["storedPaymentMethods", id]) => model::disable(world, call, id),
        _ => Err(no_such_call()),
    }
}

fn no_such_call() -> Reply {
    error(404, "000", "the sandbox has no such call")
}
