//! What only a store has that several processes share.
//!
//! Why here: sled and memory belong to one process, whose one loop applies what comes in. Over a
//! shared store every process may take webhooks and perform effects, and one of them applies.
//!
//! What must stay true:
//! - one run at a time applies; a run that another has taken over from writes nothing any more;
//! - an effect that nobody knows to be begun is performed by one run; what that came back with is
//!   durable before it is forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{MessageRecord, StoreError};
use crate::core::effect::Outcome;
use crate::core::ids::{CaseId, EffectId};

/// What an effect came back with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// Which effect.
    pub effect: EffectId,
    /// Whose.
    pub case: CaseId,
    /// What came of it.
    pub outcome: Outcome,
    /// The message as sent, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRecord>,
}

/// The part of a store that several processes share.
#[async_trait]
pub trait Shared: Send + Sync {
    /// Whether this process is the one that applies, now or from now on. Cheap while it is.
    async fn lead(&self) -> Result<bool, StoreError>;

    /// Keeps what effects came back with, for the process that applies. What this run does not hold
    /// is passed over: another has taken it up, or it is kept already.
    async fn give_back(&self, returned: &[Returned]) -> Result<(), StoreError>;

    /// What was given back and is not applied yet, oldest first.
    async fn given_back(&self, limit: usize) -> Result<Vec<Returned>, StoreError>;

    /// After a write whose answer was lost: which of the `known` effects this run still holds.
    /// Those that it claimed and never heard of are let go, as nobody began them.
    async fn reclaim(&self, known: &BTreeSet<EffectId>) -> Result<BTreeSet<EffectId>, StoreError>;

    /// Notifies `wake` from now on whenever another process has written something. It carries no
    /// work, and may be lost.
    fn wake_on(&self, wake: Arc<Notify>);
}
