//! Finding out at Mercado Pago what became of an attempt. Never charges.
//!
//! Why here: after a time-out this is the only way forward that cannot charge twice (design I2).
//! The attempt's reference is unique, and payments are found by it.
//!
//! What must stay true: "not found" is said only of a list that was read, and never of a payment
//! whose id we have; where several payments
//! carry one reference, one that took money is told before all others.

use serde_json::Value;

use super::charge::payment_outcome;
use super::client::{Client, results};
use crate::core::effect::{AttemptRef, ChargeOutcome, LookUpAnswer};
use crate::gateway::{CallError, reference, shared};

const WHAT: &str = "search the payment";

/// What became of `attempt`.
pub(super) async fn look_up(client: &Client, attempt: &AttemptRef) -> LookUpAnswer {
    shared::answer(found(client, attempt).await)
}

async fn found(client: &Client, attempt: &AttemptRef) -> Result<Option<ChargeOutcome>, CallError> {
    // A payment whose id we know is read itself: a search may lag behind it.
    if let Some(id) = &attempt.payment {
        match client.read("read the payment", &["v1", "payments", id], &[]).await {
            Ok(payment) => return judged(attempt, &payment).map(Some),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => {}
        }
    }
    let reference = reference::of_attempt(&attempt.charge.invoice, &attempt.charge.attempt);
    let mut outcomes = Vec::new();
    for payment in &by_reference(client, &reference).await? {
        outcomes.push(judged(attempt, payment)?);
    }
    shared::not_lost(attempt, WHAT, outcomes.into_iter().max_by_key(weight))
}

/// The payments that carry exactly this reference.
pub(super) async fn by_reference(
    client: &Client,
    reference: &str,
) -> Result<Vec<Value>, CallError> {
    let query = [("external_reference", reference), ("sort", "date_created"), ("criteria", "desc")];
    let list = client.read(WHAT, &["v1", "payments", "search"], &query).await?;
    let Some(all) = results(&list) else {
        return Err(CallError::Transient { what: WHAT, why: "the answer is no list".to_owned() });
    };
    Ok(all.iter().filter(|p| p["external_reference"] == reference).cloned().collect())
}

/// Our own payment is there: whatever it says, "not found" would be wrong.
fn judged(attempt: &AttemptRef, payment: &Value) -> Result<ChargeOutcome, CallError> {
    payment_outcome(&attempt.charge, payment).ok_or_else(|| CallError::Transient {
        what: "read the payment",
        why: "it has no state that is known".to_owned(),
    })
}

/// Money that was taken weighs most, then money that may be taken still.
fn weight(outcome: &ChargeOutcome) -> u8 {
    match outcome {
        ChargeOutcome::Approved { .. } => 3,
        ChargeOutcome::Pending { .. } => 2,
        ChargeOutcome::Declined { .. } => 1,
        _ => 0,
    }
}
