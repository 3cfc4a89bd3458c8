//! Leaving: the last look at charges and messages, between the claim and the call.
//!
//! Why here: what was right when it was asked for can be wrong now (`core::case::leaving` says
//! when); this is where the outbox and the cases meet.
//!
//! What must stay true: what an earlier run had begun is not looked at, since it may have left;
//! what may not leave comes back as an outcome that says why.

use jiff::Timestamp;

use super::{Applier, Batch, Returned};
use crate::core::case::leaving::{self, Leave};
use crate::core::effect::{ChargeOutcome, Order, Outcome};
use crate::core::ids::EffectId;
use crate::store::{OutboxEntry, StoreError};
use crate::worker::executor::{dropped, returned};

/// What may leave, of what was about to.
#[derive(Debug, Default)]
pub struct Vetted {
    /// What may.
    pub leaving: Vec<OutboxEntry>,
    /// What came of those that may not, which nobody began.
    pub withdrawn: Vec<Returned>,
    /// Those that nobody began and that are to be asked again then.
    pub waiting: Vec<(EffectId, Timestamp)>,
}

impl Applier {
    /// Looks once more at charges and messages that are about to leave.
    pub async fn vet(
        &self,
        claimed: Vec<OutboxEntry>,
        now: Timestamp,
    ) -> Result<Vetted, StoreError> {
        let mut vetted = Vetted::default();
        if claimed.is_empty() {
            return Ok(vetted);
        }
        let mut batch = Batch::new(self, now);
        for mut entry in claimed {
            // What an earlier run had begun is not begun again: nothing leaves.
            let leave = match entry.claimed_by {
                None => batch.may_leave(&entry).await?,
                Some(_) => Leave::Goes,
            };
            match (leave, &entry.effect.order) {
                (Leave::Withdrawn(why), Order::Charge(_)) => {
                    let outcome = Outcome::Charge(ChargeOutcome::NotSent { why });
                    vetted.withdrawn.push(returned(&entry, outcome));
                }
                (Leave::Unsure(why), _) => {
                    let outcome = Outcome::Charge(ChargeOutcome::Unknown { why });
                    vetted.withdrawn.push(returned(&entry, outcome));
                }
                (Leave::Withdrawn(why), _) => {
                    vetted.withdrawn.push(returned(&entry, dropped(&why)));
                }
                (Leave::Waits(until), _) => vetted.waiting.push((entry.effect.id, until)),
                (Leave::Goes, _) => {
                    batch.bring_up_to_date(&mut entry).await?;
                    vetted.leaving.push(entry);
                }
            }
        }
        // Nothing was written: what was learned is as it was.
        batch.bring_back_learned();
        Ok(vetted)
    }
}

impl Batch<'_> {
    async fn may_leave(&mut self, entry: &OutboxEntry) -> Result<Leave, StoreError> {
        if !matches!(entry.effect.order, Order::Charge(_) | Order::Send(_)) {
            return Ok(Leave::Goes);
        }
        let Some(case) = self.case(&entry.effect.case).await? else { return Ok(Leave::Goes) };
        let policy = self.applier.policy(&case.policy_version).await?;
        let customer = self.customer(&case.customer_key()).await?;
        let around = self.around(customer, Some(&case)).await?;
        let when = (entry.effect.not_before, self.now);
        Ok(leaving::leave(&case, &entry.effect.order, (&around, &policy), when))
    }
}
