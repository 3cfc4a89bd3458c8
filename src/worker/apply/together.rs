//! The customer's other open cases, around a step that may write to the customer.
//!
//! What must stay true: they are read through the batch, so that what this transaction changes is
//! seen; a message that leaves lists only what is owed at that moment.

use super::Batch;
use crate::core::case::together::{self, Sibling};
use crate::core::case::{Case, leaving};
use crate::core::effect::Order;
use crate::store::{OutboxEntry, StoreError};

impl Batch<'_> {
    /// The siblings of a case; none where its step cannot write.
    pub(super) async fn siblings_of(&self, case: &Case) -> Result<Vec<Sibling>, StoreError> {
        let Some(customer) = &case.customer else { return Ok(Vec::new()) };
        if !together::may_write(case, self.now) {
            return Ok(Vec::new());
        }
        let mut siblings = Vec::new();
        for id in self.open_cases_of(customer).await? {
            if id == case.id {
                continue;
            }
            let Some(other) = self.case(&id).await? else { continue };
            let policy = self.applier.policy(&other.policy_version).await?;
            siblings.extend(together::sibling(&other, &policy));
        }
        Ok(together::in_order(siblings))
    }

    /// Right before a message leaves: what it lists beside its own invoice is what is owed now.
    pub(super) async fn bring_up_to_date(&self, entry: &mut OutboxEntry) -> Result<(), StoreError> {
        let Order::Send(message) = &mut entry.effect.order else { return Ok(()) };
        let listed = std::mem::take(&mut message.also_owed);
        for owed in listed {
            let case = self.case(&owed.case).await?;
            message.also_owed.extend(leaving::still_owed(&owed, case.as_ref()));
        }
        Ok(())
    }
}
