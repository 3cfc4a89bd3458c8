//! Charging at Mercado Pago, and what every possible answer means for the attempt.
//!
//! Why here: this table decides whether a customer can be charged twice, so it is one file, and
//! nearly all of it is pure.
//!
//! A charge takes three calls: the account's country, since a charge names no currency and is taken
//! in the account's own; a fresh token of the saved card; the payment. Only the third charges.
//!
//! What must stay true:
//! - only a payment that says so is an approval or a decline; whatever cannot be read, breaks off
//!   or is a 5xx is [`ChargeOutcome::Unknown`];
//! - what fails before the third call is no charge, and is never `Unknown`;
//! - a charge whose outcome is unknown is never sent again: its card token is another one then, and
//!   the same key with another body answers anything.

use serde_json::{Value, json};

use super::client::{Client, WORDS};
use super::{money, objects};
use crate::core::decline::Decline;
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::facts::{id, text};
use crate::gateway::reference;
use crate::gateway::wire::{Answer, Trouble};

/// Charges a saved card.
pub(super) async fn charge(client: &Client, order: &ChargeOrder) -> ChargeOutcome {
    let body = match prepared(client, order).await {
        Ok(body) => body,
        Err(outcome) => return *outcome,
    };
    match client.post(&["v1", "payments"], &body, &order.idempotency_key).await {
        Ok(answer) => outcome_of(order, &answer),
        Err(trouble) => trouble.into_outcome(),
    }
}

/// The body of the payment, or why there is nothing to send.
async fn prepared(client: &Client, order: &ChargeOrder) -> Result<Value, Box<ChargeOutcome>> {
    let refused = |why: String| Box::new(ChargeOutcome::Refused { why });
    let (Some(card), Some(customer)) = (&order.token, &order.customer) else {
        let why = "a charge at Mercado Pago needs a saved card and the customer who has it";
        return Err(refused(why.to_owned()));
    };
    let Some(amount) = money::to_number(order.amount) else {
        return Err(refused(format!("Mercado Pago cannot charge exactly {}", order.amount)));
    };
    let account = before_the_charge(client.get(&["users", "me"], &[]).await)?;
    let currency = text(&account, "/site_id").and_then(money::currency_of_site);
    if currency != Some(order.amount.currency) {
        let theirs = currency.map_or("a currency that is not known", |c| c.code());
        let ours = order.amount.currency;
        return Err(refused(format!("the account charges in {theirs}, and {ours} is owed")));
    }
    let sent = client.card_token(customer, card, &order.idempotency_key).await;
    let Some(token) = id(&before_the_charge(sent)?, "/id") else {
        let why = "the card token cannot be read".to_owned();
        return Err(Box::new(ChargeOutcome::NotSent { why }));
    };
    Ok(json!({
        "transaction_amount": amount,
        "token": token,
        "installments": 1,
        "payer": { "type": "customer", "id": customer },
        "external_reference": reference::of_attempt(&order.invoice, &order.attempt),
    }))
}

/// The object of a call that is made before the charge. Whatever became of it, nothing is charged.
fn before_the_charge(sent: Result<Answer, Trouble>) -> Result<Value, Box<ChargeOutcome>> {
    let answer = sent.map_err(|trouble| ChargeOutcome::NotSent { why: trouble.to_string() })?;
    let why = WORDS.of(&answer);
    let outcome = match answer.status {
        200..=299 => return answer.object().ok_or(Box::new(ChargeOutcome::NotSent { why })),
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        _ if answer.is_transient() => ChargeOutcome::NotSent { why },
        _ => ChargeOutcome::Refused { why },
    };
    Err(Box::new(outcome))
}

/// What the answer to a payment means.
pub(super) fn outcome_of(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    match answer.status {
        200..=299 => {
            answer.object().and_then(|body| payment_outcome(order, &body)).unwrap_or_else(unknown)
        }
        429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        // 409, 423: the key is known, or in use: an earlier payment under it may have been taken.
        // 402: a payment that was refused, of which the body does not tell.
        402 | 408 | 409 | 423 | 424 | 425 => unknown(),
        400..=499 => ChargeOutcome::Refused { why: WORDS.of(answer) },
        // A redirect is not followed; a 5xx may have charged.
        _ => unknown(),
    }
}

/// What a payment says of itself; `None`: it says nothing that we know.
pub(super) fn payment_outcome(order: &ChargeOrder, payment: &Value) -> Option<ChargeOutcome> {
    let (told, detail) = (id(payment, "/id"), text(payment, "/status_detail"));
    match text(payment, "/status")? {
        // What was given back later was taken first: the refund's own event says what follows.
        "approved" | "refunded" | "charged_back" | "in_mediation" => {
            Some(ChargeOutcome::Approved {
                payment: told.unwrap_or_else(|| order.idempotency_key.clone()),
                amount: money::amount(payment, "/transaction_amount"),
                network_transaction_id: None,
                method: method(order, payment),
            })
        }
        "rejected" => Some(ChargeOutcome::Declined {
            payment: told,
            decline: objects::decline_of(payment).unwrap_or_else(no_reason),
            method: method(order, payment),
        }),
        // A challenge (3DS) that nobody answers is rejected by the gateway itself: until then the
        // money may still be taken.
        "pending" | "in_process" | "authorized" => Some(ChargeOutcome::Pending { payment: told }),
        "cancelled" => {
            let why = detail.unwrap_or("no reason");
            Some(ChargeOutcome::Refused { why: format!("the payment was cancelled ({why})") })
        }
        _ => None,
    }
}

fn no_reason() -> Decline {
    super::webhook::classify(&crate::core::decline::RawDecline::default())
}

/// The card is the one that we charged, whatever the payment names.
fn method(order: &ChargeOrder, payment: &Value) -> PaymentMethodFacts {
    let facts = objects::method_of(payment);
    PaymentMethodFacts { token: order.token.clone().or(facts.token.clone()), ..facts }
}
