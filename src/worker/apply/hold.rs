//! The hold: a person stopped everything, and what of the store says so.
//!
//! What must stay true: it is read anew in every turn, so that what one process sets holds for all
//! that work on the store; a change is in the log.

use std::sync::atomic::Ordering;

use super::Applier;
use crate::store::StoreError;

impl Applier {
    /// Whether a person held everything when it was last read.
    pub(in crate::worker) fn is_on_hold(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Reads whether a person holds everything. A change is logged.
    pub async fn read_hold(&self) -> Result<(), StoreError> {
        let since = self.store.held_since().await?;
        let (held, was) = (since.is_some(), self.held.load(Ordering::Relaxed));
        match since {
            Some(since) if !was => {
                tracing::warn!(%since, "everything is held: no charge, no message");
            }
            None if was => tracing::warn!("the hold is over: cases go on within the hour"),
            _ => {}
        }
        metrics::gauge!("recoup_held").set(if held { 1.0 } else { 0.0 });
        self.held.store(held, Ordering::Relaxed);
        Ok(())
    }
}
