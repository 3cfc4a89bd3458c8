//! A restored store: every open case is told once, and waits until it knows what came since.
//!
//! Why here: `core::case::restored` asks for one case; this tells all of them before anything else
//! is done, and notices when the last one knows.
//!
//! What must stay true: until every open case has been told nothing is claimed; a process that dies
//! meanwhile begins again, and a case that was told is not told twice.

use std::sync::PoisonError;

use jiff::Timestamp;

use super::{Applier, Batch};
use crate::core::case::State;
use crate::core::event::Event;
use crate::core::ids::CaseId;
use crate::core::input::Input;
use crate::store::{CaseFilter, Restoring, StoreError};

/// Cases that are told in one transaction.
const TOLD_AT_ONCE: usize = 128;

/// How far a process is with a store that was restored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reconciling {
    /// The store was not asked yet.
    #[default]
    Unasked,
    /// So many cases do not know yet what came since it was restored.
    Waits(Timestamp, usize),
    /// It was restored, and all is known; or it never was.
    Over(Option<Timestamp>),
}

impl Applier {
    fn reconciling(&self) -> Reconciling {
        *self.reconciling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_reconciling(&self, to: Reconciling) {
        *self.reconciling.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// Whether a store that was restored is still being compared with its gateways, as the store
    /// says it: for processes that do not apply.
    pub async fn is_reconciling(&self) -> Result<bool, StoreError> {
        if self.reconciling() == Reconciling::Over(None) {
            return Ok(false);
        }
        let restoring = self.store.restored().await?;
        if restoring.is_none_or(|restoring| restoring.is_over) {
            self.set_reconciling(Reconciling::Over(None));
            return Ok(false);
        }
        Ok(true)
    }

    /// Before anything else is done: tells every open case that the store was restored, and notices
    /// when all of them know what came since.
    pub async fn reconcile(&self, now: Timestamp) -> Result<(), StoreError> {
        match self.reconciling() {
            Reconciling::Over(_) | Reconciling::Waits(_, 1..) => return Ok(()),
            Reconciling::Unasked | Reconciling::Waits(_, 0) => {}
        }
        let Some(restoring) = self.store.restored().await? else {
            self.set_reconciling(Reconciling::Over(None));
            return Ok(());
        };
        if restoring.is_over {
            self.set_reconciling(Reconciling::Over(Some(restoring.at)));
            return Ok(());
        }
        let begins = self.reconciling() == Reconciling::Unasked;
        let open = self.open_cases().await?;
        if begins {
            for some in open.chunks(TOLD_AT_ONCE) {
                let mut batch = Batch::new(self, now);
                for id in some {
                    batch.input(id, &Input::Restored(restoring.at)).await?;
                }
                batch.commit().await?;
            }
            tracing::warn!(
                cases = open.len(),
                restored_at = %restoring.at,
                "the store was restored: nothing is charged until each open case was looked up"
            );
        }
        let mut waiting = 0;
        for id in &open {
            let case = self.store.case(id).await?;
            waiting += usize::from(case.is_some_and(|case| case.restored.is_some()));
        }
        if waiting == 0 {
            self.store.put_restored(Restoring { is_over: true, ..restoring }).await?;
            tracing::warn!("what happened since the copy is known: work goes on");
            self.set_reconciling(Reconciling::Over(Some(restoring.at)));
        } else {
            self.set_reconciling(Reconciling::Waits(restoring.at, waiting));
        }
        metrics::gauge!("recoup_reconciling_cases").set(waiting as f64);
        Ok(())
    }

    async fn open_cases(&self) -> Result<Vec<CaseId>, StoreError> {
        let mut open = Vec::new();
        for state in State::ALL.into_iter().filter(|state| !state.is_ended()) {
            let filter = CaseFilter { state: Some(state), ..CaseFilter::default() };
            let mut after: Option<CaseId> = None;
            loop {
                let page = self.store.list_cases(&filter, after.as_ref(), 256).await?;
                open.extend(page.data.iter().map(|case| case.id.clone()));
                after = page.data.last().map(|case| case.id.clone());
                if !page.has_more || after.is_none() {
                    break;
                }
            }
        }
        Ok(open)
    }

    /// One case more, or one less, that waits.
    pub(super) fn note_restored(&self, was: bool, is: bool) {
        if let Reconciling::Waits(at, waiting) = self.reconciling()
            && was != is
        {
            let waiting = if is { waiting + 1 } else { waiting.saturating_sub(1) };
            metrics::gauge!("recoup_reconciling_cases").set(waiting as f64);
            self.set_reconciling(Reconciling::Waits(at, waiting));
        }
    }
}

impl Batch<'_> {
    /// A case that an event of before the restoring opens may have been there, and forgotten.
    pub(super) async fn tell_of_restoring(
        &mut self,
        id: &CaseId,
        event: &Event,
    ) -> Result<(), StoreError> {
        let at = match self.applier.reconciling() {
            Reconciling::Waits(at, _) | Reconciling::Over(Some(at)) => at,
            Reconciling::Over(None) | Reconciling::Unasked => return Ok(()),
        };
        if event.occurred_at.is_some_and(|occurred| occurred >= at) {
            return Ok(());
        }
        Box::pin(self.input(id, &Input::Restored(at))).await
    }
}
