//! Charging at Braintree: a subscription that is past due once more, or a stored card.
//!
//! Why here: which of the two it is, and with which merchant account, decides what is charged.
//!
//! What must stay true: the order id names invoice and attempt, since nothing else finds a sale
//! again; the amount is in the currency that was asked for: a sale carries no currency at
//! Braintree, the merchant account has it; nothing is sent for a sum that is not positive.

use serde_json::{Value, json};

use super::client::{Client, WORDS};
use super::{look_up, objects, outcome, xml};
use crate::core::effect::{ChargeOrder, ChargeOutcome};
use crate::core::money::Currency;
use crate::gateway::facts::{currency, id, text};
use crate::gateway::reference;
use crate::gateway::wire::Answer;

/// The longest order id that Braintree takes (91501; the length is from its documentation).
const MAX_ORDER_ID: usize = 255;

/// Charges what the order says.
pub(super) async fn charge(client: &Client, order: &ChargeOrder) -> ChargeOutcome {
    let mut sale = match sale(order) {
        Ok(sale) => sale,
        Err(why) => return ChargeOutcome::Refused { why },
    };
    match retried(order) {
        Some(subscription) => {
            if let Err(why) = charges_the_card(client, order, subscription).await {
                return ChargeOutcome::NotSent { why };
            }
        }
        None => match account_in(client, order.amount.currency).await {
            Ok(account) => sale["transaction"]["merchant_account_id"] = json!(account),
            Err(outcome) => return outcome,
        },
    }
    match client.post(&["transactions"], &sale).await {
        Ok(answer) => outcome::of_answer(order, &answer),
        Err(trouble) => trouble.into_outcome(),
    }
}

/// A subscription is charged to the card that it has, whatever the order names. The limits were
/// counted for the order's card, so another one is not charged.
async fn charges_the_card(
    client: &Client,
    order: &ChargeOrder,
    subscription: &str,
) -> Result<(), String> {
    let Some(wanted) = &order.token else { return Ok(()) };
    let read = look_up::subscription(client, "read the subscription's card", subscription).await;
    match id(&read.map_err(|error| error.to_string())?, "/payment_method_token") {
        Some(token) if token == *wanted => Ok(()),
        _ => Err("the subscription is set to another payment method than this one".to_owned()),
    }
}

/// The subscription that is charged once more; `None`: the charge is a sale of its own.
pub(super) fn retried(order: &ChargeOrder) -> Option<&str> {
    order.subscription.as_deref().filter(|_| order.billing)
}

/// The order id of an attempt.
pub(super) fn order_id(order: &ChargeOrder) -> String {
    reference::of_attempt(&order.invoice, &order.attempt)
}

/// The sale without its merchant account, or why there is none.
fn sale(order: &ChargeOrder) -> Result<Value, String> {
    let cannot = || format!("Braintree cannot charge exactly {}", order.amount);
    let order_id = order_id(order);
    if order_id.len() > MAX_ORDER_ID {
        return Err(format!("the order id would be longer than {MAX_ORDER_ID} characters"));
    }
    let mut sale = json!({
        "type": "sale",
        "amount": objects::decimal(order.amount).ok_or_else(cannot)?,
        "order_id": order_id,
        // Without it the sum is only reserved, and falls back after some days.
        "options": { "submit_for_settlement": true },
    });
    match (retried(order), &order.token) {
        // It is charged to the subscription's own card: another token beside it is refused (91527).
        (Some(subscription), _) => sale["subscription_id"] = json!(subscription),
        (None, Some(token)) => {
            sale["payment_method_token"] = json!(token);
            sale["transaction_source"] = json!("recurring");
            if let Some(first) = &order.network_transaction_id {
                sale["external_vault"] = json!({ "previous_network_transaction_id": first });
            }
        }
        (None, None) => return Err("there is no subscription and no token to charge".to_owned()),
    }
    Ok(json!({ "transaction": sale }))
}

/// The merchant account in this currency: the default one, else the first that is active. Nothing
/// was charged when there is none, or when they cannot be read.
async fn account_in(client: &Client, wanted: Currency) -> Result<String, ChargeOutcome> {
    let not_sent = |why: String| ChargeOutcome::NotSent { why };
    let answer = match client.first_page(&["merchant_accounts"]).await {
        Ok(answer) => answer,
        Err(trouble) => return Err(not_sent(trouble.to_string())),
    };
    if answer.status == 429 {
        return Err(ChargeOutcome::Busy { retry_after_s: answer.wait_s() });
    }
    let listed = answer.object().filter(|_| answer.is_success());
    let Some(listed) = listed.filter(|body| body.get("merchant_accounts").is_some()) else {
        return Err(unread(&answer));
    };
    let accounts = xml::several(listed.pointer("/merchant_accounts/merchant_account"));
    let fits = |account: &&&Value| {
        currency(account, "/currency_iso_code") == Some(wanted)
            && text(account, "/status").is_none_or(|status| status == "active")
    };
    let is_default = |account: &&&Value| account["default"] == json!(true);
    let mut fitting = accounts.iter().filter(fits);
    let chosen = fitting.clone().find(is_default).or_else(|| fitting.next());
    chosen.and_then(|account| id(account, "/id")).ok_or_else(|| ChargeOutcome::Refused {
        why: format!("there is no active merchant account in {wanted}"),
    })
}

fn unread(answer: &Answer) -> ChargeOutcome {
    let why = format!("the merchant accounts cannot be read: {}", WORDS.of(answer));
    match answer.status {
        401 | 403 | 404 => ChargeOutcome::Refused { why },
        _ => ChargeOutcome::NotSent { why },
    }
}
