//! What an answer of the `http` protocol means for an attempt.
//!
//! Why here: pure, and small enough to read whole: this table decides whether a customer can be
//! charged twice.
//!
//! What must stay true: only a readable charge with a known status is an approval or a decline.

use serde_json::Value;

use super::webhook;
use crate::core::decline::{Advice, Category};
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::event::PaymentMethodFacts;
use crate::core::money::Money;
use crate::gateway::wire::{Answer, Words};

/// What an error may tell, at the top or below `error`.
pub(super) const WORDS: Words = Words(&[
    "/type",
    "/code",
    "/title",
    "/message",
    "/detail",
    "/error",
    "/error/type",
    "/error/code",
    "/error/title",
    "/error/message",
    "/error/detail",
]);

/// What the answer to `POST /charges` means.
pub(super) fn of_answer(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    match answer.status {
        200..=299 => {
            answer.object().and_then(|charge| of_charge(order, &charge)).unwrap_or_else(unknown)
        }
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        409 if is_in_progress(answer) => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        // The key is taken by another body: this call charged nothing, but an earlier one with this
        // key, whose answer we never had, may have. The look-up by key tells.
        409 => unknown(),
        408 | 424 | 425 => unknown(),
        400..=499 => ChargeOutcome::Refused { why: WORDS.of(answer) },
        _ => unknown(),
    }
}

fn is_in_progress(answer: &Answer) -> bool {
    let body = String::from_utf8_lossy(&answer.body).to_lowercase();
    answer.retry_after_s.is_some()
        || ["in progress", "in_progress", "in use", "in_use"].iter().any(|mark| body.contains(mark))
}

/// What a charge says of itself; `None`: it says nothing that the protocol knows.
pub(super) fn of_charge(order: &ChargeOrder, charge: &Value) -> Option<ChargeOutcome> {
    let text = |name: &str| charge[name].as_str().filter(|text| !text.is_empty());
    let id = text("id").map(str::to_owned);
    match text("status")? {
        "approved" => Some(ChargeOutcome::Approved {
            payment: id.unwrap_or_else(|| order.idempotency_key.clone()),
            amount: amount(order, charge),
            network_transaction_id: text("network_transaction_id").map(str::to_owned),
            method: method(order, charge),
        }),
        "pending" => Some(ChargeOutcome::Pending { payment: id }),
        "declined" => Some(ChargeOutcome::Declined {
            payment: id,
            decline: webhook::decline_of(charge),
            method: method(order, charge),
        }),
        "requires_action" => {
            let mut decline = webhook::decline_of(charge);
            decline.category = Category::AuthenticationRequired;
            decline.advice = Advice::Authenticate;
            Some(ChargeOutcome::Declined { payment: id, decline, method: method(order, charge) })
        }
        _ => None,
    }
}

/// What was taken, where it is told. Without a currency it is in the one that was asked for.
fn amount(order: &ChargeOrder, charge: &Value) -> Option<Money> {
    let minor = charge["amount"].as_i64()?;
    let currency = match charge["currency"].as_str() {
        Some(code) => code.parse().ok()?,
        None => order.amount.currency,
    };
    Some(Money::new(minor, currency))
}

/// The token is what we charged, where the answer does not repeat it.
fn method(order: &ChargeOrder, charge: &Value) -> PaymentMethodFacts {
    let mut facts = webhook::method_of(charge);
    facts.token = facts.token.or_else(|| order.token.clone());
    facts
}
