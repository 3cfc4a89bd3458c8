//! Several processes on one store: who applies, and what is done after an answer was lost.
//!
//! Why here: over a shared store every process performs effects, and the one that leads applies
//! inputs and timers, and what the others gave back. Over a store of one process all of this is
//! nothing.
//!
//! What must stay true:
//! - whoever has taken the lead forgets what it had remembered of the store;
//! - a write whose answer was lost is neither repeated nor taken for done: the store says which
//!   effects this run still holds, and everything else is read anew;
//! - a process that was taken over from drops what it had in hand: another looks it up.

use std::time::Duration;

use jiff::Timestamp;

use super::apply::BATCH;
use super::{POLL, Worker};
use crate::store::StoreError;

/// How often a process that does not lead looks whether it is to, at least and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));
/// How often it looks while somebody waits for the inbox to be applied.
const SOON: Duration = Duration::from_millis(25);

impl Worker {
    /// Whether the loop goes on after this error, by reading everything anew.
    pub(super) fn can_go_on_after(&mut self, error: &StoreError) -> bool {
        if self.store.shared().is_none() {
            return false;
        }
        match error {
            StoreError::Away(_)
            | StoreError::Applied { .. }
            | StoreError::Changed { .. }
            | StoreError::Conflict { .. } => {
                if !self.in_doubt {
                    tracing::warn!(%error, "the worker reads its work anew");
                }
                self.in_doubt = true;
            }
            StoreError::Deposed => {
                tracing::warn!("the worker lets go of what it had in hand");
                self.running.abort_all();
                self.running = tokio::task::JoinSet::new();
                self.begun.clear();
                self.lanes = super::Lanes::default();
                self.reading.forget();
                self.returned.clear();
                self.again.clear();
                self.leads = false;
                self.in_doubt = false;
            }
            _ => return false,
        }
        true
    }

    /// Looks who leads, and clears up what is in doubt first.
    pub(super) async fn find_out_who_leads(&mut self) -> Result<(), StoreError> {
        let Some(shared) = self.store.shared() else { return Ok(()) };
        if self.in_doubt {
            let mut known = self.begun.clone();
            known.extend(self.returned.iter().map(|one| one.effect.clone()));
            known.extend(self.again.iter().map(|(effect, _)| effect.clone()));
            let held = shared.reclaim(&known).await?;
            self.returned.retain(|one| held.contains(&one.effect));
            self.again.retain(|(effect, _)| held.contains(effect));
            self.applier.forget_learned();
            self.reading.forget();
            self.in_doubt = false;
        }
        let leads = shared.lead().await?;
        if leads != self.leads {
            tracing::info!(leads, "this process applies inputs, or another does");
            self.applier.forget_learned();
            self.reading.forget();
            self.leads = leads;
        }
        Ok(())
    }

    /// Applies what other processes' effects came back with. Returns how many.
    pub(super) async fn apply_given_back(&self, now: Timestamp) -> Result<usize, StoreError> {
        let Some(shared) = self.store.shared() else { return Ok(0) };
        let given = shared.given_back(BATCH).await?;
        let count = given.len();
        if count > 0 {
            self.applier.returned(given, now).await?;
        }
        Ok(count)
    }

    /// How long to rest. What is due is the business of whoever leads.
    pub(super) fn patiently(&self, until_due: Duration) -> Duration {
        match (self.leads, self.settling.is_empty()) {
            (true, _) => until_due.min(POLL),
            (false, false) => SOON,
            (false, true) => until_due.clamp(LOOK.0, LOOK.1),
        }
    }
}
