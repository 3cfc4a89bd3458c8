//! Reading: what inputs point to is read beside the worker's loop.
//!
//! Why here: a webhook that only says "something happened to X" waits for a read at its gateway.
//! In the loop, one gateway that hangs would keep every other event, timer and outcome waiting.
//!
//! What must stay true: an input stays in the inbox until what came of it is committed, so a crash
//! only reads again; no gateway has more reads under way than its slots; who finds none is put off,
//! durably and in order, and not counted as tried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::intake::{Taken, read_safely};
use super::sending::spawn_within;
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::gateway::Gateway;
use crate::store::InboxEntry;
use crate::telemetry::Scope;

/// Reads under way at one gateway.
const SLOTS: u32 = 64;
/// Between two inputs that are put off, at least, and at most and before any was read.
const APART: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(40));

/// An input, what became of it, and how long it took.
type Read = (InboxEntry, Taken, Duration);

/// The reads under way.
#[derive(Default)]
pub(super) struct Reading {
    tasks: JoinSet<Read>,
    finished: Vec<Read>,
    /// The inputs that are being read, or whose reading is not applied yet.
    numbers: BTreeSet<u64>,
    gateways: BTreeMap<GatewayId, Slots>,
    without_slot: WithoutSlot,
    scope: Option<Scope>,
}

/// What becomes of an input whose gateway has no slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum WithoutSlot {
    /// It is put off.
    #[default]
    PutOff,
    /// It stays where it is. Under a test clock time stands still, and nobody would come back.
    Stays,
}

/// What became of the wish to read an input.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is being read.
    Yes,
    /// There is no slot: it is to be put off to this moment.
    PutOff(Box<InboxEntry>, Timestamp),
    /// There is no slot: it waits.
    Waits,
}

struct Slots {
    taken: u32,
    /// Between two that are put off: what the slots let through, as it went last.
    apart: Duration,
    /// When the last one that was put off comes back.
    last: Option<Timestamp>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { taken: 0, apart: APART.1, last: None }
    }
}

impl Reading {
    /// Nothing is being read yet.
    pub(super) fn new(without_slot: WithoutSlot) -> Self {
        Self { without_slot, ..Self::default() }
    }

    /// Counts what it reads in this scope.
    pub(super) fn within(&mut self, scope: Scope) {
        self.scope = Some(scope);
    }

    /// Lets go of everything: another process applies it.
    pub(super) fn forget(&mut self) {
        let (without_slot, scope) = (self.without_slot, self.scope.take());
        *self = Self { without_slot, scope, ..Self::default() };
    }

    /// How many inputs are being read.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether none is.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether this input is.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// Begins to read what an input points to, where its gateway has a slot.
    pub(super) fn begin(
        &mut self,
        entry: InboxEntry,
        (gateway, events): (Arc<dyn Gateway>, Vec<Event>),
        now: Timestamp,
    ) -> Begun {
        let slots = self.gateways.entry(entry.record.source.clone()).or_default();
        if slots.taken >= SLOTS && self.without_slot == WithoutSlot::Stays {
            return Begun::Waits;
        }
        if slots.taken >= SLOTS {
            let next = slots.last.map_or(now, |last| last.max(now)) + slots.apart;
            slots.last = Some(next);
            return Begun::PutOff(Box::new(entry), next);
        }
        slots.taken += 1;
        self.numbers.insert(entry.number);
        let work = async move {
            let began = Instant::now();
            let taken = read_safely(gateway, events, &entry, now).await;
            (entry, taken, began.elapsed())
        };
        spawn_within(self.scope.as_ref(), &mut self.tasks, work);
        Begun::Yes
    }

    /// Waits for the next one that is read. Never comes true where none is being read.
    pub(super) async fn next(&mut self) {
        match self.tasks.join_next().await {
            Some(one) => self.finished.extend(one.ok()),
            None => std::future::pending().await,
        }
    }

    /// What has been read, in the order of arrival.
    pub(super) fn finished(&mut self) -> Vec<(InboxEntry, Taken)> {
        while let Some(one) = self.tasks.try_join_next() {
            self.finished.extend(one.ok());
        }
        let mut finished = std::mem::take(&mut self.finished);
        finished.sort_by_key(|(entry, _, _)| entry.number);
        for (entry, _, took) in &finished {
            self.numbers.remove(&entry.number);
            if let Some(slots) = self.gateways.get_mut(&entry.record.source) {
                slots.taken = slots.taken.saturating_sub(1);
                slots.apart = (*took / SLOTS).clamp(APART.0, APART.1);
            }
        }
        finished.into_iter().map(|(entry, taken, _)| (entry, taken)).collect()
    }
}
