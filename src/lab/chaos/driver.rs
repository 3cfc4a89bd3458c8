//! The driver: one process of recoup in virtual time, which dies and starts again.
//!
//! Why here: it does what `Worker::turn` does with the real applier, executor and store, one step
//! at a time, so that a death can come between any two of them.
//!
//! What must stay true: a death loses everything but the store; what had left is on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use jiff::{SignedDuration, Timestamp};

use super::gateway::{SimGateway, SimPostman};
use super::trace::{Trace, say};
use super::watch::Watched;
use super::world::{Next, Shared, World, lock};
use super::{ChaosOptions, History, StoreKind, Violation};
use crate::core::case::{Case, MessageStatus};
use crate::core::fault::{Mutant, fault};
use crate::core::ids::CaseId;
use crate::core::ledger::LedgerEntry;
use crate::gateway::Gateway;
use crate::store::memory::MemoryStore;
use crate::store::sled::{OpenOptions, SledStore};
use crate::store::{Commit, InboxRecord, OutboxEntry, Store, StoreError};
use crate::worker::{Applier, Executor, Gateways, Performed};

/// Turns of the worker at one moment, behind which it is said to find no rest.
const TURNS: u32 = 60;
/// Events of one history, behind which it is said to find no end.
const EVENTS: u32 = 60_000;
/// As [`finish`], for a future that is made where it is pinned: those of the applier are large, and
/// to move them was a tenth of a history's time.
macro_rules! wait {
    ($future:expr) => {{
        let future = pin!($future);
        finish(future)
    }};
}

/// The process ended.
struct Died;

type Task = Pin<Box<dyn Future<Output = Performed>>>;

enum Opened {
    Memory(Arc<MemoryStore>),
    Sled(Option<Arc<SledStore>>, PathBuf),
}

/// What a death takes with it.
struct Process {
    store: Arc<Watched>,
    applier: Applier,
    executor: Arc<Executor>,
    tasks: BTreeMap<u64, (OutboxEntry, Task)>,
    finished: Vec<(OutboxEntry, Performed)>,
    turn_at: Option<Timestamp>,
}

/// Whether the words of a history are kept, for its story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Dropped,
    Kept,
}

/// One history.
pub(super) struct Driver {
    world: Shared,
    opened: Opened,
    process: Option<Process>,
    gateways: Gateways,
    seed: u64,
    end: Timestamp,
    /// Lines of a story.
    story: usize,
}

impl Driver {
    /// The history of this seed, at its beginning.
    pub(super) fn new(options: &ChaosOptions, seed: u64, words: Words) -> Self {
        let mut world = World::of_seed(&options.scenario, seed, &options.without);
        if words == Words::Kept {
            world.trace = Trace::in_words();
        }
        let days = world.scenario.days + world.scenario.calm_days;
        let end = world.now + SignedDuration::from_hours(24 * days);
        let count = world.banks.len();
        let world = Arc::new(Mutex::new(world));
        let gateways = Gateways::new(
            (0..count).map(|n| Arc::new(SimGateway::new(&world, n)) as Arc<dyn Gateway>),
        );
        let opened = match options.store {
            StoreKind::Memory => Opened::Memory(Arc::new(MemoryStore::new([7; 32]))),
            StoreKind::Sled => {
                let id = std::process::id();
                let path = options.scratch.join(format!("recoup-chaos-{id}-{seed}"));
                Opened::Sled(None, path)
            }
        };
        Self { world, opened, process: None, gateways, seed, end, story: options.story }
    }

    /// Lets it happen.
    pub(super) fn run(mut self) -> History {
        if let Err(error) = self.first_start() {
            lock(&self.world).broken("store", error.to_string());
        }
        let mut events = 0;
        while let Some(next) = self.next_event() {
            events += 1;
            if events > EVENTS {
                lock(&self.world).broken("I13", "the history finds no end");
                break;
            }
            if self.handle(next).is_err() {
                self.die();
            }
        }
        self.settle_up();
        self.process = None;
        let history = self.history();
        if let Opened::Sled(store, path) = &mut self.opened {
            drop(store.take());
            // A directory that cannot be removed is no violation.
            let _ = std::fs::remove_dir_all(path);
        }
        history
    }

    fn history(&self) -> History {
        let world = lock(&self.world);
        let violations = world.violations.iter().map(|(rule, what)| {
            let words = what.split_whitespace().filter(|w| w.starts_with("in_"));
            let words: Vec<_> = words.map(|w| w.trim_end_matches([':', ',', ';'])).collect();
            Violation {
                seed: self.seed,
                rule: (*rule).to_owned(),
                what: what.clone(),
                story: world.trace.story(&words, what, self.story),
                without: BTreeSet::new(),
            }
        });
        History {
            hash: world.trace.hash(),
            violations: violations.collect(),
            counts: world.counts.clone(),
            drawn: world.drawn.clone(),
        }
    }

    fn next_event(&mut self) -> Option<Next> {
        let mut world = lock(&self.world);
        let (&(at, number), _) = world.queue.first_key_value()?;
        if at > self.end {
            return None;
        }
        world.now = at;
        world.queue.remove(&(at, number))
    }

    fn first_start(&mut self) -> Result<(), StoreError> {
        self.start()?;
        if let Some(process) = &self.process {
            let (policy, taught) = {
                let world = lock(&self.world);
                (world.policy.clone(), world.taught.clone())
            };
            wait!(process.store.inner.put_policy(&policy))?;
            if let Some(learned) = taught {
                let routing = Some(learned.routing.clone());
                let commit = Commit { learned: Some(learned), routing, ..Commit::default() };
                wait!(process.store.inner.commit(commit))?;
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), StoreError> {
        let inner: Arc<dyn Store> = match &mut self.opened {
            Opened::Memory(store) => store.clone(),
            Opened::Sled(opened, path) => {
                let options = OpenOptions { cache_bytes: 1 << 20, ..OpenOptions::default() };
                let store = Arc::new(SledStore::open_with(path, options)?);
                *opened = Some(store.clone());
                store
            }
        };
        let store = Arc::new(Watched { inner, world: self.world.clone() });
        let policy = lock(&self.world).policy.clone();
        let postman = Arc::new(SimPostman(self.world.clone()));
        self.process = Some(Process {
            applier: Applier::new(store.clone(), self.gateways.clone(), policy),
            executor: Arc::new(Executor::new(self.gateways.clone(), postman)),
            store,
            tasks: BTreeMap::new(),
            finished: Vec::new(),
            turn_at: None,
        });
        self.wake(SignedDuration::ZERO);
        Ok(())
    }

    /// The process ends; another starts after a while.
    fn die(&mut self) {
        self.process = None;
        match &mut self.opened {
            Opened::Memory(store) => store.restart(),
            Opened::Sled(store, _) => drop(store.take()),
        }
        let mut world = lock(&self.world);
        world.scenario.crashes_max = world.scenario.crashes_max.saturating_sub(1);
        world.count("crashes_injected");
        world.say("* recoup dies");
        let longest = [2_000, 2_000, 60_000, 4_000_000, 3 * 86_400_000][world.rng.usize(..5)];
        let at = world.within(500, longest);
        world.plan(at, Next::Restart);
    }

    fn handle(&mut self, next: Next) -> Result<(), Died> {
        match next {
            Next::Arrive { call, gateway, request } => {
                let mut world = lock(&self.world);
                let answer = world.arrive(gateway, *request);
                world.answers.insert(call, answer);
            }
            Next::Calm => lock(&self.world).calm_down(),
            Next::Clock(by) => lock(&self.world).set_clock(by),
            Next::Decide { gateway, charge } => lock(&self.world).decide(gateway, charge),
            Next::Flip { gateway, charge } => lock(&self.world).flip(gateway, charge),
            Next::Happen(what) => lock(&self.world).happen(what),
            Next::Native { invoice } => lock(&self.world).native_attempt(invoice),
            Next::Deliver { record, tries } => return self.deliver(*record, tries),
            Next::Poll(task) => return self.poll(task),
            Next::Restart => {
                lock(&self.world).say("* recoup starts");
                if let Err(error) = self.start() {
                    lock(&self.world).broken("store", error.to_string());
                }
            }
            Next::TakeBack => return self.take_back(),
            Next::Turn => return self.turn(),
        }
        Ok(())
    }

    /// Whether the process dies here.
    fn dies(&self) -> Result<(), Died> {
        let mut world = lock(&self.world);
        let (chance, left) = (world.scenario.crash, world.scenario.crashes_max > 0);
        if left && world.chance(chance) { Err(Died) } else { Ok(()) }
    }

    /// An error of the store ends the process. One that nobody injected is a violation.
    fn survive<T>(&self, result: Result<T, StoreError>) -> Result<T, Died> {
        result.map_err(|error| {
            if !error.to_string().contains("the power went") {
                lock(&self.world).broken("store", error.to_string());
            }
            Died
        })
    }

    /// Wakes the worker.
    fn wake(&mut self, after: SignedDuration) {
        let Some(process) = &mut self.process else { return };
        let mut world = lock(&self.world);
        let at = world.now + after;
        if process.turn_at.is_none_or(|planned| at < planned) {
            process.turn_at = Some(at);
            world.plan(at, Next::Turn);
        }
    }

    /// An input knocks. While nobody is there its sender tries again, for three days.
    fn deliver(&mut self, record: InboxRecord, tries: u32) -> Result<(), Died> {
        if self.process.is_none() {
            let mut world = lock(&self.world);
            let wait = SignedDuration::from_secs(60 << tries.min(12));
            let at = world.now + wait;
            if tries < 14 {
                world.plan(at, Next::Deliver { record: Box::new(record), tries: tries + 1 });
            }
            return Ok(());
        }
        let id = record.id.clone();
        if fault(Mutant::AcknowledgesBeforeKeeping) {
            lock(&self.world).durable.acknowledged.insert(id.clone());
            self.dies()?;
        }
        let Some(process) = &self.process else { return Ok(()) };
        let appended = wait!(process.store.append(vec![record.clone()]));
        if appended.is_err() {
            // It was not acknowledged, though it may be durable: it comes again.
            let mut world = lock(&self.world);
            let at = world.now + SignedDuration::from_secs(90);
            world.plan(at, Next::Deliver { record: Box::new(record), tries: tries + 1 });
        }
        let appended = self.survive(appended)?;
        {
            let world = &mut *lock(&self.world);
            say!(world, "{id} is appended: {appended:?}");
            world.durable.acknowledged.insert(id);
        }
        self.dies()?;
        self.wake(SignedDuration::from_millis(1));
        Ok(())
    }

    /// What `Worker::turn` does, until there is nothing more to do now.
    fn turn(&mut self) -> Result<(), Died> {
        let (moment, now) = {
            let world = lock(&self.world);
            (world.now, world.clock())
        };
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.turn_at.is_none_or(|at| at > moment) {
            return Ok(());
        }
        process.turn_at = None;
        for _ in 0..TURNS {
            self.dies()?;
            if !self.turn_once(now)? {
                return self.rest(now);
            }
        }
        lock(&self.world).broken("I13", "the worker finds no rest");
        Ok(())
    }

    fn turn_once(&mut self, now: Timestamp) -> Result<bool, Died> {
        let Some(process) = &self.process else { return Ok(false) };
        let inputs = wait!(process.applier.inbox(now));
        let mut busy = self.survive(inputs)? > 0;
        self.dies()?;
        let due = wait!(process.applier.due(now));
        busy |= self.survive(due)? > 0;
        self.dies()?;
        let claimed = self.survive(wait!(process.store.claim(now, 64)))?;
        busy |= !claimed.is_empty();
        self.dies()?;
        let vetted = self.survive(wait!(process.applier.vet(claimed, now)))?;
        self.survive(wait!(process.applier.returned(vetted.withdrawn, now)))?;
        if !vetted.waiting.is_empty() {
            let commit = Commit { retried: vetted.waiting, ..Commit::default() };
            self.survive(wait!(process.store.commit(commit)))?;
        }
        for entry in vetted.leaving {
            self.spawn(entry, now)?;
        }
        Ok(busy)
    }

    fn spawn(&mut self, entry: OutboxEntry, now: Timestamp) -> Result<(), Died> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let id = lock(&self.world).number();
        let (executor, copy) = (process.executor.clone(), entry.clone());
        let task: Task = Box::pin(async move { executor.perform(&copy, now).await });
        process.tasks.insert(id, (entry, task));
        self.poll(id)
    }

    fn poll(&mut self, id: u64) -> Result<(), Died> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let Some((entry, mut task)) = process.tasks.remove(&id) else { return Ok(()) };
        lock(&self.world).wake = None;
        let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut world = lock(&self.world);
        match polled {
            Poll::Ready(performed) => {
                process.finished.push((entry, performed));
                let at = world.within(0, 1_500);
                world.plan(at, Next::TakeBack);
            }
            Poll::Pending => {
                process.tasks.insert(id, (entry, task));
                let at = world.wake.take().unwrap_or(world.now);
                world.plan(at, Next::Poll(id));
            }
        }
        drop(world);
        self.dies()
    }

    /// What `Worker::take_back` does.
    fn take_back(&mut self) -> Result<(), Died> {
        let now = lock(&self.world).clock();
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.finished.is_empty() {
            return Ok(());
        }
        let (mut returned, mut again) = (Vec::new(), Commit::default());
        for (entry, performed) in std::mem::take(&mut process.finished) {
            match performed {
                Performed::Done(one) => returned.push(*one),
                Performed::Again(at) => again.retried.push((entry.effect.id, at)),
            }
        }
        let told: Vec<_> =
            returned.iter().map(|one| (one.case.clone(), one.outcome.clone())).collect();
        let Some(process) = &self.process else { return Ok(()) };
        self.survive(wait!(process.applier.returned(returned, now)))?;
        for (case, outcome) in told {
            lock(&self.world).learned(&case, &outcome);
        }
        if !again.retried.is_empty() {
            self.survive(wait!(process.store.commit(again)))?;
        }
        self.dies()?;
        self.wake(SignedDuration::ZERO);
        Ok(())
    }

    /// Sleeps until the next due time.
    fn rest(&mut self, now: Timestamp) -> Result<(), Died> {
        let Some(process) = &self.process else { return Ok(()) };
        let next = self.survive(wait!(process.store.next_due()))?;
        if let Some(next) = next {
            self.wake(next.duration_since(now).max(SignedDuration::from_millis(1)));
        }
        Ok(())
    }

    /// The last look at everything.
    fn settle_up(&mut self) {
        let indexes = match &self.opened {
            Opened::Memory(store) => store.check(),
            Opened::Sled(store, _) => store.as_ref().map_or(Ok(()), |store| store.check()),
        };
        if let Err(error) = indexes {
            lock(&self.world).broken("I8", error.to_string());
        }
        let Some(process) = &self.process else {
            return lock(&self.world).broken("I13", "recoup is not up at the end");
        };
        let read = wait!(read_all(&*process.store.inner, &self.world));
        match read {
            Ok((cases, messages, waiting)) => {
                let mut world = lock(&self.world);
                world.check_end(&cases, messages);
                if waiting > 0 {
                    world.broken("I3", format!("{waiting} inputs or effects wait at the end"));
                }
            }
            Err(error) => lock(&self.world).broken("store", error.to_string()),
        }
    }
}

type Cases = BTreeMap<CaseId, (Case, Vec<LedgerEntry>)>;

async fn read_all(store: &dyn Store, world: &Shared) -> Result<(Cases, usize, u64), StoreError> {
    let ids: Vec<_> = lock(world).invoices.iter().map(|i| i.case.clone()).collect();
    let (mut cases, mut messages) = (Cases::new(), 0);
    for id in ids {
        if let Some(case) = store.case(&id).await? {
            // What was refused, or may have gone out, is kept too: only what left is counted.
            let kept = store.messages_of(&id).await?;
            messages += kept.iter().filter(|m| m.status == MessageStatus::Sent).count();
            cases.insert(id.clone(), (case, store.ledger(&id).await?));
        }
    }
    let backlog = store.backlog().await?;
    Ok((cases, messages, backlog.inbox + backlog.outbox))
}

struct Thread(std::thread::Thread);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a store on this thread. The memory store never waits.
fn finish<T>(mut future: Pin<&mut impl Future<Output = T>>) -> T {
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
