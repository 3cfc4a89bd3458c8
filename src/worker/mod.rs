//! The worker: inbox → core → outbox, one step at a time, each as one transaction.
//!
//! Why here: a reconciler. It is woken by a signal, by the next due time, and by a slow poll; none
//! of these carries work, all work is read from the store. One code path serves the happy case and
//! the restart after a crash.
//!
//! What must stay true:
//! - only this loop writes cases, so the inputs of a case are applied in order; of several
//!   processes on one store, one has the lead and applies, and all perform effects (`lead`);
//! - an effect is claimed, durably, before it is performed, and its outcome is the case's next
//!   input; a claim of a process that died is taken up again;
//! - nobody outside is waited for in the loop: a gateway that hangs holds up its own lane;
//! - a store that refuses ends the loop: fail-stop, a restart reads the truth from disk; a database
//!   that is away is waited for, and nothing is assumed about what was under way;
//! - under a test clock time moves through every due moment in order, and stands still between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, real_now, steady};
use crate::core::ids::{EffectId, GatewayId};
use crate::gateway::Gateway;
use crate::store::{Commit, OutboxEntry, Returned, Store, StoreError};
use crate::telemetry::Scope;

mod about;
mod apply;
mod executor;
mod intake;
mod jump;
mod lanes;
mod lead;
mod outbound;
mod postman;
mod reading;
mod reconcile;
mod sending;
mod spread;

use lanes::Lanes;
use reading::{Reading, WithoutSlot};

pub use apply::{Applier, Vetted, show_reputation};
pub use executor::Executor;
pub(crate) use executor::Performed;
pub use outbound::Outbound;
pub use postman::{BrandedPost, Handed, Links, Postman};
pub use reconcile::{Mend, Reconciler};

/// How long the loop sleeps at most: the slow poll, should a signal ever be lost.
const POLL: Duration = Duration::from_secs(5);
/// How long until a database that is away is tried again.
const AWAY: Duration = Duration::from_millis(500);
/// How long it sleeps at least while a lane is full: an outcome wakes it.
const CROWDED: Duration = Duration::from_millis(50);
/// How long effects under way may take after the word to stop.
const GRACE: Duration = Duration::from_secs(8);

/// The configured gateways by their id.
#[derive(Clone, Default)]
pub struct Gateways(Arc<BTreeMap<GatewayId, Arc<dyn Gateway>>>);

impl Gateways {
    /// These gateways.
    pub fn new(gateways: impl IntoIterator<Item = Arc<dyn Gateway>>) -> Self {
        Self(Arc::new(gateways.into_iter().map(|g| (g.id().clone(), g)).collect()))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Gateway>> {
        self.0.values()
    }

    /// The gateway with this id.
    pub fn get(&self, id: &GatewayId) -> Option<&Arc<dyn Gateway>> {
        self.0.get(id)
    }
}

/// What can be asked of a running worker.
enum Command {
    Advance { to: Timestamp, done: oneshot::Sender<()> },
    Settle { done: oneshot::Sender<()> },
}

/// A hand on a running worker.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    held: watch::Receiver<bool>,
    wake: Arc<Notify>,
    /// The second, of real time, in which the last turn began.
    turned: Arc<AtomicI64>,
}

impl Handle {
    /// Whether the worker holds everything, since the clock jumped forward.
    pub fn held(&self) -> watch::Receiver<bool> {
        self.held.clone()
    }

    /// What wakes the worker: something may be there to do.
    pub fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// How long ago the last turn began. One that was never run counts from when it was made.
    pub fn idle_for(&self) -> Duration {
        // Where others do the work there is no worker to wait for.
        if self.commands.is_closed() {
            return Duration::ZERO;
        }
        let seconds = real_now().as_second() - self.turned.load(Ordering::Relaxed);
        Duration::from_secs(seconds.max(0).unsigned_abs())
    }

    /// Waits until everything in the inbox is applied. `false`: the worker has stopped.
    pub async fn settle(&self) -> bool {
        let (done, answer) = oneshot::channel();
        self.commands.send(Command::Settle { done }).await.is_ok() && answer.await.is_ok()
    }

    /// Moves the test clock and waits until everything due up to `to` is done. `false`: the worker
    /// has stopped.
    pub async fn advance(&self, to: Timestamp) -> bool {
        let (done, answer) = oneshot::channel();
        self.commands.send(Command::Advance { to, done }).await.is_ok() && answer.await.is_ok()
    }
}

/// An effect, what came of it, and when it began.
type Finished = (OutboxEntry, Performed, Instant);

/// The worker.
pub struct Worker {
    store: Arc<dyn Store>,
    clock: Clock,
    applier: Applier,
    executor: Arc<Executor>,
    wake: Arc<Notify>,
    turned: Arc<AtomicI64>,
    commands: mpsc::Receiver<Command>,
    running: JoinSet<Finished>,
    /// The effects that `running` performs.
    begun: BTreeSet<EffectId>,
    lanes: Lanes,
    reading: Reading,
    outbound: Option<Outbound>,
    /// Whose metrics count what is performed, where it is not the process's.
    scope: Option<Scope>,
    /// What came back and is not applied yet, and what is to be tried again.
    returned: Vec<Returned>,
    again: Vec<(EffectId, Timestamp)>,
    pace: jump::Watch,
    held: watch::Sender<bool>,
    /// Whether this process applied inputs when it last looked.
    leads: bool,
    /// The answer to a write may have been lost.
    in_doubt: bool,
    settling: Vec<oneshot::Sender<()>>,
    advancing: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl Worker {
    /// A worker, not running yet, and the hand on it.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        applier: Applier,
        executor: Executor,
    ) -> (Self, Handle) {
        let wake = Arc::new(Notify::new());
        let (sender, commands) = mpsc::channel(64);
        let (held, is_held) = watch::channel(false);
        let turned = Arc::new(AtomicI64::new(real_now().as_second()));
        let handle =
            Handle { commands: sender, held: is_held, wake: wake.clone(), turned: turned.clone() };
        let stays = if clock.is_test() { WithoutSlot::Stays } else { WithoutSlot::PutOff };
        let worker = Self {
            store,
            clock,
            applier,
            executor: Arc::new(executor),
            wake,
            turned,
            commands,
            running: JoinSet::new(),
            outbound: None,
            begun: BTreeSet::new(),
            lanes: Lanes::default(),
            reading: Reading::new(stays),
            leads: true,
            in_doubt: false,
            scope: None,
            returned: Vec::new(),
            again: Vec::new(),
            pace: jump::Watch::default(),
            held,
            settling: Vec::new(),
            advancing: Vec::new(),
        };
        (worker, handle)
    }

    /// With events to the merchant's own systems.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Outbound) -> Self {
        self.outbound = Some(outbound);
        self
    }

    /// Counts what it performs in this scope.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.reading.within(scope.clone());
        self.scope = Some(scope);
        self
    }

    /// Works until told to stop, then finishes what is in hand.
    ///
    /// # Errors
    /// A store that refuses ends it.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            match self.go_on(&stop).await {
                Ok(()) => {}
                Err(StoreError::Full(why)) => {
                    // Nothing was written: the same again, when there may be room.
                    tracing::error!(why, "the worker waits for room on the disk");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(POLL) => {}
                    }
                }
                Err(error) if self.can_go_on_after(&error) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(AWAY) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.finish().await
    }

    async fn go_on(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        self.find_out_who_leads().await?;
        let busy = self.turn().await?;
        if busy || (self.nothing_under_way() && self.move_time().await?) {
            return Ok(());
        }
        self.rest(stop).await
    }

    fn nothing_under_way(&self) -> bool {
        self.running.is_empty()
            && self.reading.is_empty()
            && self.outbound.as_ref().is_none_or(Outbound::is_idle)
    }

    /// Does what can be done now. `false`: there was nothing.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.turned.store(real_now().as_second(), Ordering::Relaxed);
        let now = self.clock.now();
        self.applier.read_hold().await?;
        let mut finished = Vec::new();
        while let Some(one) = self.running.try_join_next() {
            finished.extend(one.ok());
        }
        let mut busy = self.take_back(finished, now).await?;
        if self.is_held(now) {
            return Ok(busy);
        }
        if self.leads {
            self.applier.reconcile(now).await?;
            let mut applied = self.apply_given_back(now).await?
                + self.applier.inbox_beside(&mut self.reading, now).await?;
            let follows = self.lanes.can_follow(Instant::now());
            if follows {
                applied += self.applier.due(now).await?;
            }
            busy |= applied > 0;
            // By the real clock nobody waits for a gateway that is being asked.
            let all_read = self.reading.is_empty() || !self.clock.is_test();
            if applied == 0 && follows && all_read {
                self.settled();
            }
        } else if !self.settling.is_empty() && self.store.backlog().await?.inbox == 0 {
            self.settled();
        }
        // Only who leads can tell the cases; until it has, nobody begins anything.
        if self.leads || !self.applier.is_reconciling().await? {
            busy |= self.send_off(now).await?;
        }
        if let Some(outbound) = self.outbound.as_mut().filter(|_| self.leads) {
            busy |= outbound.turn(now).await?;
        }
        Ok(busy)
    }

    /// Whether the clock jumped forward: then nothing that is due is believed.
    fn is_held(&mut self, now: Timestamp) -> bool {
        if self.clock.is_test() {
            return false;
        }
        let pace = self.pace.look(now, steady());
        let held = pace != jump::Pace::Steady;
        if self.held.send_if_modified(|was| std::mem::replace(was, held) != held) {
            match pace {
                jump::Pace::Jumped(ahead) => tracing::error!(
                    ahead_s = ahead.as_secs(),
                    "the clock jumped forward: nothing is charged or sent; set it back, or restart \
                     to take the new time as right"
                ),
                jump::Pace::Steady => tracing::warn!("the clock is back: work goes on"),
            }
        }
        held
    }

    /// Answers who waits for the inbox to be applied.
    fn settled(&mut self) {
        for done in self.settling.drain(..) {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    /// Applies what finished effects came back with. What the store has no room for is kept until
    /// it has: nobody performs these effects again.
    async fn take_back(
        &mut self,
        finished: Vec<Finished>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for (entry, performed, began) in finished {
            self.begun.remove(&entry.effect.id);
            self.lanes.end(&entry.effect.order.lane(), began, Instant::now());
            match performed {
                Performed::Done(one) => self.returned.push(*one),
                Performed::Again(at) => self.again.push((entry.effect.id, at)),
            }
        }
        let idle = self.returned.is_empty() && self.again.is_empty();
        if !self.returned.is_empty() {
            match self.store.shared().filter(|_| !self.leads) {
                None => self.applier.returned(self.returned.clone(), now).await?,
                Some(shared) => shared.give_back(&self.returned).await?,
            }
            self.returned.clear();
        }
        if !self.again.is_empty() {
            let retried = self.again.clone();
            self.store.commit(Commit { retried, ..Commit::default() }).await?;
            self.again.clear();
        }
        Ok(!idle)
    }

    /// Under a test clock: goes to the next due moment, or answers who asked for the time.
    async fn move_time(&mut self) -> Result<bool, StoreError> {
        let Some(to) = self.advancing.iter().map(|(to, _)| *to).min() else { return Ok(false) };
        let next = self.next_due().await?.filter(|next| *next <= to);
        if let Some(next) = next
            && next > self.clock.now()
        {
            self.clock.advance_to(next);
            return Ok(true);
        }
        self.clock.advance_to(to);
        self.store.put_test_clock(self.clock.now()).await?;
        let asked = std::mem::take(&mut self.advancing);
        let (done, open) = asked.into_iter().partition(|(asked, _)| *asked <= to);
        self.advancing = open;
        let done: Vec<_> = done;
        for (_, answer) in done {
            let _ = answer.send(());
        }
        Ok(true)
    }

    /// Waits for a signal, an outcome, the next due time, the slow poll, or the word to stop.
    async fn rest(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        let until = self.until_due().await?;
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(until) => {}
            Some(command) = self.commands.recv() => match command {
                Command::Advance { to, done } => self.advancing.push((to, done)),
                Command::Settle { done } => self.settling.push(done),
            },
            () = joined(self.outbound.as_mut()) => {}
            () = self.reading.next() => {}
            Some(one) = self.running.join_next() => {
                let finished = one.ok().into_iter().collect();
                self.take_back(finished, self.clock.now()).await?;
            }
        }
        Ok(())
    }

    /// When anything is due next.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let next = self.store.next_due().await?;
        let outbound = self.outbound.as_ref().and_then(Outbound::next_due);
        Ok(next.into_iter().chain(outbound).min())
    }

    async fn until_due(&self) -> Result<Duration, StoreError> {
        if self.clock.is_test() {
            return Ok(POLL);
        }
        let Some(next) = self.next_due().await? else { return Ok(self.patiently(POLL)) };
        let ahead = next.duration_since(self.clock.now());
        let least = if self.lanes.is_crowded() { CROWDED } else { Duration::from_millis(1) };
        let millis = ahead.as_millis().clamp(least.as_millis() as i128, POLL.as_millis() as i128);
        Ok(self.patiently(Duration::from_millis(millis as u64)))
    }

    /// Lets effects under way come back, applies them, and makes the store durable.
    async fn finish(mut self) -> Result<(), StoreError> {
        let all = async {
            let mut finished = Vec::new();
            while let Some(one) = self.running.join_next().await {
                finished.extend(one.ok());
            }
            finished
        };
        match tokio::time::timeout(GRACE, all).await {
            Ok(finished) => {
                let now = self.clock.now();
                self.take_back(finished, now).await?;
            }
            // Their claims stand; the next run takes them up as "begun by an earlier run".
            Err(_) => tracing::warn!("effects are still under way; the next start looks them up"),
        }
        self.store.close().await
    }
}

/// Waits until an outbound call comes back, where there are any.
async fn joined(outbound: Option<&mut Outbound>) {
    match outbound {
        Some(outbound) => outbound.joined().await,
        None => std::future::pending().await,
    }
}
