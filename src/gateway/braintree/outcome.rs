//! What an answer about a transaction means for the attempt.
//!
//! Why here: pure, and small enough to read whole: this table decides whether a customer can be
//! charged twice.
//!
//! What must stay true: only a transaction with a known status is an approval or a decline; a
//! refusal that holds a transaction that cannot be read is unknown; a rejected duplicate says that
//! an earlier send may have charged, so nothing is known until it is looked up.

use serde_json::Value;

use super::client::{WORDS, names_error};
use super::objects::{self, Status};
use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::facts::{id, owned};
use crate::gateway::wire::Answer;

/// A subscription can only be charged again while it is past due: it was paid or ended meanwhile.
const NOT_PAST_DUE: &str = "91531";

/// What the answer to a sale means.
pub(super) fn of_answer(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    match answer.status {
        200..=299 => {
            let body = answer.object().unwrap_or_default();
            let transaction = body.get("transaction");
            transaction.and_then(|t| of_sale(order, t)).unwrap_or_else(unknown)
        }
        422 => of_refusal(order, answer),
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        408 | 409 | 424 | 425 => unknown(),
        400..=499 => ChargeOutcome::Refused { why: WORDS.of(answer) },
        _ => unknown(),
    }
}

/// 422 is a refusal of the bank or of the gateway's rules, then there is a transaction; or of the
/// request itself, then there is none and nothing was charged. An answer that is not Braintree's
/// refusal says neither.
fn of_refusal(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let why = || WORDS.of(answer);
    let body = answer.object().filter(|body| body.get("api_error_response").is_some());
    let Some(body) = body else {
        return ChargeOutcome::Unknown { why: why() };
    };
    match body.pointer("/api_error_response/transaction").filter(|t| !t.is_null()) {
        Some(transaction) => {
            of_sale(order, transaction).unwrap_or_else(|| ChargeOutcome::Unknown { why: why() })
        }
        None if names_error(answer, &[NOT_PAST_DUE]) => ChargeOutcome::InvoiceClosed,
        None => ChargeOutcome::Refused { why: why() },
    }
}

/// What the transaction that a sale made says of itself.
fn of_sale(order: &ChargeOrder, transaction: &Value) -> Option<ChargeOutcome> {
    if objects::is_duplicate(transaction) {
        let why = "rejected as a duplicate: the same was charged a moment before".to_owned();
        return Some(ChargeOutcome::Unknown { why });
    }
    of_transaction(order, transaction)
}

/// What a transaction says of itself; `None`: nothing that is known.
pub(super) fn of_transaction(order: &ChargeOrder, transaction: &Value) -> Option<ChargeOutcome> {
    let payment = id(transaction, "/id");
    Some(match objects::status(transaction)? {
        Status::Approved => ChargeOutcome::Approved {
            payment: payment.unwrap_or_else(|| order.idempotency_key.clone()),
            amount: objects::sum(transaction, "/amount"),
            network_transaction_id: owned(transaction, "/network_transaction_id"),
            method: method(order, transaction),
        },
        Status::Pending => ChargeOutcome::Pending { payment },
        Status::Declined => ChargeOutcome::Declined {
            payment,
            decline: objects::decline_of(transaction).unwrap_or_else(no_reason),
            method: method(order, transaction),
        },
        Status::Void => {
            ChargeOutcome::Refused { why: "the transaction was voided or has expired".to_owned() }
        }
    })
}

fn no_reason() -> Decline {
    objects::classified(&RawDecline::default()).decline
}

/// The token is what we charged, where the answer does not repeat it.
fn method(order: &ChargeOrder, transaction: &Value) -> PaymentMethodFacts {
    let mut facts = objects::method_of(transaction);
    facts.token = facts.token.or_else(|| order.token.clone());
    facts
}
