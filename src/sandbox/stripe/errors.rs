//! Stripe's error bodies.
//!
//! Why here: a client decides by them whether a charge was refused, never happened, or is unknown.
//!
//! What must stay true: only a refusal by the bank is a `card_error` with status 402.

use serde_json::{Value, json};

use super::model::PaymentIntent;
use super::objects::Writer;
use super::parts;
use super::shape::Expand;
use crate::sandbox::api::Reply;
use crate::sandbox::refusal::Refusal;

fn body(kind: &str, code: Option<&str>, message: &str, param: Option<&str>) -> Value {
    let mut error = json!({ "message": message, "type": kind,
        "request_log_url": "https://dashboard.stripe.com/test/logs" });
    if let Some(code) = code {
        error["code"] = json!(code);
        error["doc_url"] =
            json!(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")));
    }
    if let Some(param) = param {
        error["param"] = json!(param);
    }
    json!({ "error": error })
}

/// A request that makes no sense in the present state.
pub(crate) fn invalid(message: &str, param: Option<&str>) -> Reply {
    Reply::new(400, body("invalid_request_error", None, message, param))
}

/// As [`invalid`], with a code.
pub(crate) fn invalid_code(code: &str, message: &str, param: Option<&str>) -> Reply {
    Reply::new(400, body("invalid_request_error", Some(code), message, param))
}

/// A parameter that has to be there.
pub(crate) fn missing(param: &str) -> Reply {
    invalid_code("parameter_missing", &format!("Missing required param: {param}."), Some(param))
}

/// An object that does not exist.
pub(crate) fn no_such(object: &str, id: &str) -> Reply {
    let message = format!("No such {object}: '{id}'");
    Reply::new(404, body("invalid_request_error", Some("resource_missing"), &message, Some("id")))
}

/// A URL that does not exist.
pub(crate) fn no_such_url(method: &str, path: &str) -> Reply {
    let message = format!(
        "Unrecognized request URL ({method}: {path}). The sandbox answers a part of the API."
    );
    Reply::new(404, body("invalid_request_error", None, &message, None))
}

/// No key, or the wrong one.
pub(crate) fn unauthorized() -> Reply {
    let message = "Invalid API Key provided. Use the key that `recoup sandbox` printed, as \
                   'Authorization: Bearer KEY'.";
    Reply::new(401, body("invalid_request_error", None, message, None))
}

/// The key was used for another request.
pub(crate) fn key_conflict(key: &str) -> Reply {
    let message = format!(
        "Keys for idempotent requests can only be used with the same parameters they were first \
         used with. Try using a key other than '{key}' if you meant to execute a different request."
    );
    Reply::new(400, body("idempotency_error", None, &message, None))
}

/// The first call with this key still runs.
pub(crate) fn key_in_use() -> Reply {
    let message = "There is currently another in-progress request using this idempotent key. \
                   Please try again later.";
    Reply::new(409, body("invalid_request_error", Some("idempotency_key_in_use"), message, None))
}

/// Stripe's own trouble.
pub(crate) fn broken(status: u16) -> Value {
    if status == 429 {
        return body("invalid_request_error", Some("rate_limit"), "Too many requests.", None);
    }
    body("api_error", None, "An unknown error occurred.", None)
}

/// A refusal by the bank.
pub(crate) fn declined(writer: Writer<'_>, refusal: &Refusal, intent: &PaymentIntent) -> Reply {
    card_error(writer, intent, parts::decline(writer.shape, refusal))
}

/// An invoice whose customer has to confirm.
pub(crate) fn requires_action(writer: Writer<'_>, intent: &PaymentIntent) -> Reply {
    let mut error = parts::decline(writer.shape, &Refusal::of("authentication_required"));
    error["code"] = json!("invoice_payment_intent_requires_action");
    error["message"] = json!(
        "This payment requires additional user action before it can be completed successfully."
    );
    card_error(writer, intent, error)
}

fn card_error(writer: Writer<'_>, intent: &PaymentIntent, mut error: Value) -> Reply {
    error["charge"] = json!(intent.charges.last());
    error["payment_intent"] = writer.intent(intent, &Expand::default());
    error["request_log_url"] = json!("https://dashboard.stripe.com/test/logs");
    let method = intent.last_error.as_ref().map(|error| &error.method);
    if let Some(method) = method.and_then(|id| writer.account.methods.get(id)) {
        error["payment_method"] = writer.method(method);
    }
    Reply::new(402, json!({ "error": error }))
}
