//! Running a service: the worker, and what is done beside it now and then.
//!
//! Why here: `recoup serve`, the demo and a host application run the same service in the same way.
//!
//! What must stay true: everything that runs, runs inside the future that is given back, and ends
//! with it; a store that refuses ends it with an error.

use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::compose::Service;
use super::keep;
use super::serve::Role;
use crate::clock::real_now;
use crate::http::{self, Readiness};
use crate::store::erase::Erased;
use crate::store::{Store, StoreError};
use crate::worker::{Handle, Mend, Reconciler, Worker};

/// How often the gateways are asked what they know.
const COMPARE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How far back: Stripe tries a webhook for three days.
const COMPARE_REACH: SignedDuration = SignedDuration::from_hours(4 * 24);

impl Service {
    /// Works until told to stop, then finishes what is in hand and makes the store durable.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        let Self { state, worker, handle, reconciler, role, backup } = self;
        let store = state.store.clone();
        if let Some(shared) = store.shared() {
            shared.wake_on(handle.wake());
        }
        let by_day = role != Role::Receiver && !state.clock.is_test();
        let beside = async {
            let daily = async {
                if by_day {
                    tokio::join!(compare_daily(reconciler, &*store), erase_daily(&state));
                }
            };
            let backups = async {
                if let Some(settings) = backup.filter(|_| role != Role::Receiver) {
                    keep::run(store.clone(), settings).await;
                }
            };
            let watching = tell_when_held(handle, state.readiness.clone());
            tokio::join!(daily, backups, watching);
            std::future::pending::<()>().await;
        };
        state.readiness.ready();
        let mut work = std::pin::pin!(work(role, worker, &*store, stop.clone()));
        let worked = tokio::select! {
            worked = &mut work => Some(worked),
            () = stop.cancelled() => None,
            () = beside => None,
        };
        match worked {
            Some(worked) => {
                state.readiness.unready("the store refused a write; restart");
                worked
            }
            None => {
                state.readiness.unready("stopping");
                work.await
            }
        }
    }
}

/// While the worker holds everything, since the clock jumped, the service is not ready.
async fn tell_when_held(handle: Handle, readiness: Readiness) {
    let mut held = handle.held();
    while held.changed().await.is_ok() {
        match *held.borrow() {
            true => readiness.unready("the clock jumped forward: set it back, or restart"),
            false => readiness.ready(),
        }
    }
}

/// Works, or leaves it to others and only closes the store in the end.
async fn work(
    role: Role,
    worker: Worker,
    store: &dyn Store,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    if role != Role::Receiver {
        return worker.run(stop).await;
    }
    drop(worker);
    stop.cancelled().await;
    store.close().await
}

/// Once a day: what the gateways know of the last days and we do not is taken in, as its webhook
/// would have been. Nothing runs under a test clock, whose days are no days of the gateways.
async fn compare_daily(reconciler: Reconciler, store: &dyn Store) {
    if !reconciler.can_ask() {
        return;
    }
    let mut days = tokio::time::interval(COMPARE_EVERY);
    // The first tick is now: the gap of the time in which nothing ran.
    loop {
        days.tick().await;
        if !is_the_one(store).await {
            continue;
        }
        let since = real_now() - COMPARE_REACH;
        if let Err(error) = reconciler.compare(since, Mend::Repair).await {
            tracing::warn!(%error, "could not compare with the gateways; again in a day");
        }
    }
}

/// Of several processes one does what is done once a day.
async fn is_the_one(store: &dyn Store) -> bool {
    match store.shared() {
        None => true,
        Some(shared) => shared.lead().await.unwrap_or(false),
    }
}

/// Once a day: what is older than the merchant file allows is erased.
async fn erase_daily(state: &http::AppState) {
    let mut days = tokio::time::interval(COMPARE_EVERY);
    loop {
        days.tick().await;
        if !is_the_one(&*state.store).await {
            continue;
        }
        match http::expire(state).await {
            Ok(erased) if erased == Erased::default() => {}
            Ok(erased) => tracing::info!(?erased, "erased what was old"),
            Err(error) => tracing::warn!(%error, "could not erase what is old; again in a day"),
        }
    }
}
