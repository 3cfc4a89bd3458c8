//! What an answer of Checkout.com's means for an attempt.
//!
//! Why here: pure, and small enough to read whole: this table decides whether a customer can be
//! charged twice.
//!
//! What must stay true: only a readable payment with a known status is an approval or a decline; an
//! answer that speaks of a duplicate may hide a charge, and is unknown.

use serde_json::Value;

use super::{money, objects};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::facts::owned;
use crate::gateway::wire::{Answer, Words};

/// What an error of Checkout.com's tells.
pub(super) const WORDS: Words =
    Words(&["/error_type", "/error_codes", "/response_code", "/response_summary"]);

/// What the answer to `POST /payments` means.
pub(super) fn of_answer(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    match answer.status {
        200..=299 => {
            let payment = answer.object();
            payment.and_then(|payment| of_payment(order, &payment)).unwrap_or_else(unknown)
        }
        // Known already, by its key or as a whole: an earlier send may have charged.
        400..=499 if speaks_of_a_duplicate(answer) => unknown(),
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        408 | 409 | 424 | 425 => unknown(),
        400..=499 => ChargeOutcome::Refused { why: WORDS.of(answer) },
        _ => unknown(),
    }
}

fn speaks_of_a_duplicate(answer: &Answer) -> bool {
    let body = String::from_utf8_lossy(&answer.body).to_lowercase();
    ["duplicate", "idempot"].iter().any(|mark| body.contains(mark))
}

/// What a payment says of itself; `None`: it says nothing that we know.
pub(super) fn of_payment(order: &ChargeOrder, payment: &Value) -> Option<ChargeOutcome> {
    let id = owned(payment, "/id");
    match payment["status"].as_str()? {
        "Authorized" | "Captured" | "Paid" | "Partially Captured" | "Partially Refunded"
        | "Refunded" => {
            // Both words must say so.
            (payment["approved"] != false).then(|| approved(order, payment))
        }
        "Declined" => Some(declined(order, payment, objects::decline_of(payment))),
        "Pending" if wants_the_customer(payment) => {
            let mut decline = objects::decline_of(payment);
            decline.category = Category::AuthenticationRequired;
            decline.advice = Advice::Authenticate;
            Some(declined(order, payment, decline))
        }
        // A retry that the account itself plans is the same payment, still undecided.
        "Pending" | "Retry Scheduled" => Some(ChargeOutcome::Pending { payment: id }),
        status @ ("Canceled" | "Cancelled" | "Expired" | "Voided") => {
            Some(ChargeOutcome::Refused {
                why: format!("the payment is {}", status.to_lowercase()),
            })
        }
        _ => None,
    }
}

fn wants_the_customer(payment: &Value) -> bool {
    payment.pointer("/_links/redirect").is_some()
}

fn approved(order: &ChargeOrder, payment: &Value) -> ChargeOutcome {
    ChargeOutcome::Approved {
        payment: owned(payment, "/id").unwrap_or_else(|| order.idempotency_key.clone()),
        amount: money::read(payment, "/amount", "/currency"),
        network_transaction_id: owned(payment, "/scheme_id"),
        method: method(order, payment),
    }
}

fn declined(order: &ChargeOrder, payment: &Value, decline: Decline) -> ChargeOutcome {
    ChargeOutcome::Declined {
        payment: owned(payment, "/id"),
        decline,
        method: method(order, payment),
    }
}

/// The token is what we charged: a declined answer leaves it out, and an approved one may name a
/// fresh one.
fn method(order: &ChargeOrder, payment: &Value) -> PaymentMethodFacts {
    let mut facts = objects::card_facts(payment);
    facts.token = order.token.clone().or(facts.token);
    facts
}

/// How much an answer about one of several payments of one attempt counts.
pub(super) fn weight(outcome: &ChargeOutcome) -> u8 {
    match outcome {
        ChargeOutcome::Approved { .. } => 3,
        ChargeOutcome::Pending { .. } => 2,
        ChargeOutcome::Declined { .. } => 1,
        _ => 0,
    }
}
