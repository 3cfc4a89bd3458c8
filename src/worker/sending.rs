//! Sending off: from the outbox to effects under way.
//!
//! Why here: the half of a turn that lets something leave. It claims what has room in its lane,
//! takes the last look, and begins; while everything is held, it puts back.
//!
//! What must stay true: nothing begins that was not claimed and looked at in the same turn; who
//! counts in a lane when it begins counts out of it when it comes back.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Executor, Worker};
use crate::core::effect::Order;
use crate::store::{OutboxEntry, StoreError};
use crate::telemetry::Scope;

/// When what is held back is looked at again.
const HELD_BACK: SignedDuration = SignedDuration::from_hours(1);

impl Worker {
    /// Claims what is ready and has room in its lane, and begins it. `false`: there was nothing.
    pub(super) async fn send_off(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let claimed = self.store.claim_within(now, &self.lanes.room()).await?;
        self.lanes.note_crowded(claimed.crowded);
        let busy = !claimed.entries.is_empty();
        let entries = match self.applier.is_on_hold() {
            true => self.put_back(claimed.entries, now),
            false => claimed.entries,
        };
        let vetted = self.applier.vet(entries, now).await?;
        // Applied by the next turn: first what may leave is under way.
        self.returned.extend(vetted.withdrawn);
        self.again.extend(vetted.waiting);
        for entry in vetted.leaving {
            self.begin(entry, now);
        }
        Ok(busy)
    }

    fn begin(&mut self, entry: OutboxEntry, now: Timestamp) {
        let executor = self.executor.clone();
        let began = Instant::now();
        self.lanes.begin(entry.effect.order.lane(), began);
        self.begun.insert(entry.effect.id.clone());
        let effect = &entry.effect;
        let span = tracing::info_span!(
            "effect",
            case = %effect.case,
            effect = %effect.id,
            kind = effect.order.name(),
        );
        let work = async move {
            let performing = AssertUnwindSafe(executor.perform(&entry, now));
            let performed = performing.catch_unwind().await;
            let performed = performed.unwrap_or_else(|_| Executor::broken(&entry, now));
            (entry, performed, began)
        };
        spawn_within(self.scope.as_ref(), &mut self.running, work.instrument(span));
    }

    /// While everything is held, messages and what would change a subscription wait in the outbox
    /// (a charge is withdrawn: its case decides anew). What
    /// settles money that was taken (a look-up, a refund, the mark that it is paid) goes on.
    fn put_back(&mut self, claimed: Vec<OutboxEntry>, now: Timestamp) -> Vec<OutboxEntry> {
        let waits = |e: &OutboxEntry| match e.effect.order {
            Order::AdoptMethod(_) | Order::Close(_) => true,
            // One that an earlier run had begun may have gone out: that is to be told.
            Order::Send(_) => e.claimed_by.is_none(),
            Order::Charge(_) | Order::Check(_) | Order::MarkPaid(_) | Order::Refund(_) => false,
        };
        let (waiting, going): (Vec<_>, _) = claimed.into_iter().partition(waits);
        let later = now + HELD_BACK;
        self.again.extend(waiting.into_iter().map(|entry| (entry.effect.id, later)));
        going
    }
}

/// Begins work beside the loop, counted in this scope.
pub(super) fn spawn_within<T: Send + 'static>(
    scope: Option<&Scope>,
    tasks: &mut JoinSet<T>,
    work: impl Future<Output = T> + Send + 'static,
) {
    match scope {
        Some(scope) => tasks.spawn(scope.around(Box::pin(work))),
        None => tasks.spawn(work),
    };
}
