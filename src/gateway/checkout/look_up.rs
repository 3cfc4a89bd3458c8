//! Finding out at Checkout.com what became of an attempt. Never charges.
//!
//! Why here: after a time-out this is the only way forward that cannot charge twice (design I2).
//! The attempt's reference finds its payments; each is read, since the list tells too little.
//!
//! What must stay true: "not found" is said only by a whole list; where one attempt has several
//! payments, one that took the money decides; nothing unreadable is passed over.

use serde_json::Value;

use super::client::Client;
use super::{naming, outcome};
use crate::core::effect::{AttemptRef, ChargeOutcome, LookUpAnswer};
use crate::gateway::facts::{owned, text};
use crate::gateway::{CallError, shared};

const SEARCH: &str = "search the payment";
const READ: &str = "read the payment";
/// How many payments one attempt may have before a person must look: it has one, or none.
const MAX_PAYMENTS: usize = 5;

/// What became of `attempt`.
pub(super) async fn look_up(client: &Client, attempt: &AttemptRef) -> LookUpAnswer {
    let found = match attempt.payment.as_deref().filter(|id| id.starts_with("pay_")) {
        Some(id) => read(client, attempt, id).await.map(Some),
        None => by_reference(client, attempt).await,
    };
    shared::answer(found)
}

async fn by_reference(
    client: &Client,
    attempt: &AttemptRef,
) -> Result<Option<ChargeOutcome>, CallError> {
    let reference = naming::of_attempt(&attempt.charge.invoice, &attempt.charge.attempt);
    let list = client.payments(SEARCH, &reference).await?;
    let unreadable = |why: &str| CallError::Transient { what: SEARCH, why: why.to_owned() };
    let data = list["data"].as_array().ok_or_else(|| unreadable("the answer is no list"))?;
    let total = list["total_count"].as_u64().unwrap_or(data.len() as u64);
    if total > data.len() as u64 {
        return Err(unreadable("the list is not whole"));
    }
    let ours: Vec<String> = data
        .iter()
        .filter(|payment| text(payment, "/reference").is_none_or(|own| own == reference))
        .map(|payment| owned(payment, "/id").unwrap_or_default())
        .collect();
    if ours.len() > MAX_PAYMENTS {
        return Err(unreadable("the attempt has several payments: look there"));
    }
    let mut heaviest: Option<ChargeOutcome> = None;
    for id in ours {
        let outcome = read(client, attempt, &id).await?;
        let heavier =
            heaviest.as_ref().is_none_or(|h| outcome::weight(h) < outcome::weight(&outcome));
        heaviest = if heavier { Some(outcome) } else { heaviest };
    }
    Ok(heaviest)
}

/// One payment. A refused one keeps its reason in its actions.
async fn read(client: &Client, attempt: &AttemptRef, id: &str) -> Result<ChargeOutcome, CallError> {
    let mut payment = client.payment(READ, id).await?;
    if payment["status"] == "Declined" && text(&payment, "/response_code").is_none() {
        match client.actions(READ, id).await {
            Ok(actions) => add_reason(&mut payment, &actions),
            // Refused it is, whatever the reason was.
            Err(CallError::Permanent { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    outcome::of_payment(&attempt.charge, &payment).ok_or_else(|| CallError::Transient {
        what: READ,
        why: "it has no readable state".to_owned(),
    })
}

/// The latest authorization comes first.
fn add_reason(payment: &mut Value, actions: &Value) {
    let mut actions = actions.as_array().into_iter().flatten();
    let Some(last) = actions.find(|action| action["type"] == "Authorization") else { return };
    for name in ["response_code", "response_summary", "processing"] {
        if let Some(told) = last.get(name) {
            payment[name] = told.clone();
        }
    }
}
