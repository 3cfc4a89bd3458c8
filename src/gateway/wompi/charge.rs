//! Charging at Wompi, and what every possible answer means for the attempt.
//!
//! Why here: this table decides whether a customer can be charged twice, so it is one file, and
//! nearly all of it is pure.
//!
//! Wompi has no idempotency keys: the reference, which it takes once and for ever, is the guard. A
//! charge is answered before it is decided; its event or a look-up tells.
//!
//! What must stay true:
//! - only a transaction that says so is an approval or a decline; whatever cannot be read, breaks
//!   off or is a 5xx is [`ChargeOutcome::Unknown`];
//! - a complaint about the reference is `Unknown` too: it was taken, perhaps by this very attempt;
//! - the same order makes the same bytes.
//!
//! Unproven: that a payment source tells its owner's e-mail address, which a charge must name.

use serde_json::{Value, json};

use super::client::{Client, WORDS};
use super::objects;
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::amount::MAX_EXACT;
use crate::gateway::facts::{id, text};
use crate::gateway::wire::Answer;
use crate::gateway::{CallError, reference};

/// Charges a payment source.
pub(super) async fn charge(client: &Client, order: &ChargeOrder) -> ChargeOutcome {
    let body = match prepared(client, order).await {
        Ok(body) => body,
        Err(outcome) => return *outcome,
    };
    match client.post(&["v1", "transactions"], &body).await {
        Ok(answer) => outcome_of(order, &answer),
        Err(trouble) => trouble.into_outcome(),
    }
}

/// The body of the transaction, or why there is nothing to send.
async fn prepared(client: &Client, order: &ChargeOrder) -> Result<Value, Box<ChargeOutcome>> {
    let refused = |why: String| Box::new(ChargeOutcome::Refused { why });
    let Some(source) = &order.token else {
        return Err(refused("a charge at Wompi needs a payment source".to_owned()));
    };
    let payable = order.amount.is_positive() && order.amount.minor <= MAX_EXACT;
    if order.amount.currency.code() != "COP" || !payable {
        return Err(refused(format!("Wompi cannot charge {}", order.amount)));
    }
    let email = email_of(client, source).await?;
    let reference = reference::of_attempt(&order.invoice, &order.attempt);
    let mut body = json!({
        "amount_in_cents": order.amount.minor,
        "currency": "COP",
        "customer_email": email,
        "reference": reference,
        "payment_source_id": source.parse::<u64>().map_or_else(|_| json!(source), |n| json!(n)),
        "payment_method": { "installments": 1 },
        "recurrent": true,
    });
    if let Some(signature) = client.integrity(&reference, order.amount) {
        body["signature"] = json!(signature);
    }
    Ok(body)
}

/// The e-mail address of a payment source's owner. Whatever becomes of this read, nothing is
/// charged.
async fn email_of(client: &Client, source: &str) -> Result<String, Box<ChargeOutcome>> {
    let path = ["v1", "payment_sources", source];
    match client.read("read the payment source", &path, &[]).await {
        Ok(source) => text(&source, "/customer_email").map(str::to_owned).ok_or_else(|| {
            let why = "the payment source names no e-mail address".to_owned();
            Box::new(ChargeOutcome::Refused { why })
        }),
        Err(error @ CallError::Transient { .. }) => {
            Err(Box::new(ChargeOutcome::NotSent { why: error.to_string() }))
        }
        Err(error) => Err(Box::new(ChargeOutcome::Refused { why: error.to_string() })),
    }
}

/// What the answer to a transaction means.
pub(super) fn outcome_of(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    let told = answer.object();
    match answer.status {
        200..=299 => told
            .and_then(|body| outcome_of_transaction(order, body.get("data")?))
            .unwrap_or_else(unknown),
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        408 | 409 | 424 | 425 => unknown(),
        400..=499 if told.is_some_and(|body| complains_of_reference(&body)) => unknown(),
        400..=499 => ChargeOutcome::Refused { why: WORDS.of(answer) },
        // A redirect is not followed; a 5xx may have charged.
        _ => unknown(),
    }
}

/// Its words for a reference that is taken are not published: any complaint about the field counts.
fn complains_of_reference(body: &Value) -> bool {
    let field = body.pointer("/error/messages/reference").is_some();
    let words = ["/error/reason", "/error/message"].into_iter().filter_map(|at| text(body, at));
    field || words.into_iter().any(|words| words.to_lowercase().contains("referenc"))
}

/// What a transaction says of itself; `None`: it says nothing that we know.
pub(super) fn outcome_of_transaction(
    order: &ChargeOrder,
    transaction: &Value,
) -> Option<ChargeOutcome> {
    let payment = id(transaction, "/id");
    match text(transaction, "/status")? {
        // What was given back later was taken first: the event of that says what follows.
        "APPROVED" | "VOIDED" => Some(ChargeOutcome::Approved {
            payment: payment.unwrap_or_else(|| order.idempotency_key.clone()),
            amount: objects::amount(transaction),
            network_transaction_id: None,
            method: method(order, transaction),
        }),
        "DECLINED" | "ERROR" => Some(ChargeOutcome::Declined {
            payment,
            decline: objects::decline_of(transaction),
            method: method(order, transaction),
        }),
        "PENDING" => Some(ChargeOutcome::Pending { payment }),
        _ => None,
    }
}

/// The payment source is the one that we charged.
fn method(order: &ChargeOrder, transaction: &Value) -> PaymentMethodFacts {
    let facts = objects::method_of(transaction);
    PaymentMethodFacts { token: order.token.clone(), ..facts }
}
