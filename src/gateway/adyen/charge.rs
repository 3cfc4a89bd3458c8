//! Charging at Adyen, and what every possible answer means for the attempt.
//!
//! Why here: this table decides whether a customer can be charged twice, so it is one file, and
//! nearly all of it is pure.
//!
//! What must stay true:
//! - HTTP 200 is not "paid": only `resultCode` says it, and one that we do not know is
//!   [`ChargeOutcome::Unknown`];
//! - the same order always makes the same bytes;
//! - Auto Rescue is asked to leave our charges alone: a retry of Adyen's beside ours would be a
//!   second charge.

use serde_json::{Value, json};

use super::client::{Client, WORDS};
use super::money;
use super::refusal::{self, Words};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::facts::{id, text};
use crate::gateway::reference;
use crate::gateway::wire::Answer;

/// Adyen wants an address to come back to in every payment. A charge without the customer present
/// sends nobody anywhere; `.invalid` is no host.
const RETURN_URL: &str = "https://recoup.invalid/";

/// "Request already processed or in progress".
const IN_PROGRESS: &str = "704";

/// Charges a stored card without the customer present.
pub(super) async fn charge(client: &Client, order: &ChargeOrder) -> ChargeOutcome {
    let body = match body(order) {
        Ok(body) => body,
        Err(why) => return ChargeOutcome::Refused { why },
    };
    match client.post(&["payments"], body, &order.idempotency_key).await {
        Ok(answer) => outcome_of(order, &answer),
        Err(trouble) => trouble.into_outcome(),
    }
}

/// The request; or why none can be made.
fn body(order: &ChargeOrder) -> Result<Value, String> {
    let amount = money::write(order.amount)
        .ok_or_else(|| format!("Adyen cannot charge exactly {}", order.amount))?;
    let token = order.token.as_deref();
    let token = token.ok_or("Adyen charges a stored card only: there is no token")?;
    let shopper = order.customer.as_deref();
    let shopper = shopper.ok_or("Adyen's stored cards belong to a shopperReference: none known")?;
    let mut extra = json!({ "autoRescue": "false", "retry.skipRetry": "true" });
    if let Some(id) = &order.network_transaction_id {
        extra["networkTxReference"] = json!(id);
    }
    Ok(json!({
        "amount": amount,
        "reference": reference::of_attempt(&order.invoice, &order.attempt),
        "shopperReference": shopper,
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": "Subscription",
        "paymentMethod": { "type": "scheme", "storedPaymentMethodId": token },
        "returnUrl": RETURN_URL,
        "additionalData": extra,
    }))
}

/// What an answer to a charge means.
pub(super) fn outcome_of(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    match answer.status {
        200..=299 => {
            let body = answer.object();
            body.and_then(|payment| of_payment(order, &payment)).unwrap_or_else(unknown)
        }
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        408 | 424 | 425 => unknown(),
        400..=499 => refused(answer),
        // A redirect is not followed; a 5xx may have charged.
        _ => unknown(),
    }
}

/// A request that Adyen did not carry out. `transient-error: true` says that the same key may be
/// sent again as if it were the first time; without it "in progress" stays a question.
fn refused(answer: &Answer) -> ChargeOutcome {
    let in_progress = answer.object().and_then(|body| id(&body, "/errorCode"));
    let in_progress = in_progress.as_deref() == Some(IN_PROGRESS);
    let why = WORDS.of(answer);
    match answer.should_retry {
        Some(true) => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        _ if in_progress || answer.status == 409 => ChargeOutcome::Unknown { why },
        _ => ChargeOutcome::Refused { why },
    }
}

/// What a payment says of itself; `None`: it does not say.
fn of_payment(order: &ChargeOrder, payment: &Value) -> Option<ChargeOutcome> {
    let psp = id(payment, "/pspReference");
    match text(payment, "/resultCode")? {
        // Of a partial authorisation the amount tells how much: the core compares it.
        "Authorised" | "PartiallyAuthorised" => Some(ChargeOutcome::Approved {
            payment: psp.unwrap_or_else(|| order.idempotency_key.clone()),
            amount: payment.get("amount").and_then(money::read),
            network_transaction_id: refusal::network_transaction_id(payment),
            method: method(payment, order),
        }),
        "Pending" | "Received" => Some(ChargeOutcome::Pending { payment: psp }),
        "Refused" | "Error" | "Cancelled" => Some(ChargeOutcome::Declined {
            payment: psp,
            decline: decline(payment, order),
            method: method(payment, order),
        }),
        "RedirectShopper" | "IdentifyShopper" | "ChallengeShopper" | "PresentToShopper" => {
            Some(ChargeOutcome::Declined {
                payment: psp,
                decline: needs_customer(decline(payment, order)),
                method: method(payment, order),
            })
        }
        _ => None,
    }
}

fn decline(payment: &Value, order: &ChargeOrder) -> Decline {
    let words =
        Words { code: text(payment, "/refusalReasonCode"), text: text(payment, "/refusalReason") };
    refusal::decline_of(payment, &words, method(payment, order).network)
}

/// The payment waits for a customer who is not there: it is given up, and the card is fine.
fn needs_customer(mut decline: Decline) -> Decline {
    decline.category = Category::AuthenticationRequired;
    if decline.advice != Advice::Never {
        decline.advice = Advice::Authenticate;
    }
    decline
}

/// The token is what we charged, where Adyen does not repeat it.
fn method(payment: &Value, order: &ChargeOrder) -> PaymentMethodFacts {
    let mut card = refusal::card_of(payment, refusal::method_in(payment));
    card.token = card.token.or_else(|| order.token.clone());
    card
}
