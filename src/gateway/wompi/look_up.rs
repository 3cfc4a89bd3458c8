//! Finding out at Wompi what became of an attempt. Never charges.
//!
//! Why here: every charge there is decided later, so this is asked after each of them.
//!
//! What must stay true: "not found" is said only of a list that was read, and never of a
//! transaction whose id we have.

use serde_json::Value;

use super::charge::outcome_of_transaction;
use super::client::Client;
use crate::core::effect::{AttemptRef, ChargeOutcome, LookUpAnswer};
use crate::gateway::{CallError, reference, shared};

const WHAT: &str = "search the transaction";

/// What became of `attempt`.
pub(super) async fn look_up(client: &Client, attempt: &AttemptRef) -> LookUpAnswer {
    shared::answer(found(client, attempt).await)
}

async fn found(client: &Client, attempt: &AttemptRef) -> Result<Option<ChargeOutcome>, CallError> {
    if let Some(id) = &attempt.payment {
        match client.read("read the transaction", &["v1", "transactions", id], &[]).await {
            Ok(transaction) => return judged(attempt, &transaction).map(Some),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) => {}
        }
    }
    let reference = reference::of_attempt(&attempt.charge.invoice, &attempt.charge.attempt);
    let query = [("reference", reference.as_str())];
    let list = client.read(WHAT, &["v1", "transactions"], &query).await?;
    let Some(all) = list.as_array() else {
        return Err(CallError::Transient { what: WHAT, why: "the answer is no list".to_owned() });
    };
    let ours = all.iter().find(|transaction| transaction["reference"] == reference.as_str());
    let found = ours.map(|transaction| judged(attempt, transaction)).transpose()?;
    shared::not_lost(attempt, WHAT, found)
}

/// Our own transaction is there: whatever it says, "not found" would be wrong.
fn judged(attempt: &AttemptRef, transaction: &Value) -> Result<ChargeOutcome, CallError> {
    let outcome = outcome_of_transaction(&attempt.charge, transaction);
    let why = "it has no state that is known".to_owned();
    outcome.ok_or(CallError::Transient { what: "read the transaction", why })
}
