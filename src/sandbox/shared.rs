//! What the server, the deliverer and the handle share: the world's lock, the clock, the post.
//!
//! Why here: there is one way into the world, which first does what is due and then hands the new
//! events to the post.
//!
//! What must stay true: nothing waits while it holds the lock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Kind;
use super::Secrets;
use super::deliver::Post;
use super::world::World;
use crate::clock::Clock;

/// See above.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    clock: Clock,
    pub(crate) post: Post,
    pub(crate) secrets: Secrets,
    /// How long a call that never answers is held before its connection is cut.
    pub(crate) hold: Duration,
}

impl Shared {
    pub(crate) fn new(world: World, clock: Clock, post: Post, ends: (Secrets, Duration)) -> Self {
        Self { world: Mutex::new(world), clock, post, secrets: ends.0, hold: ends.1 }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Does what is due, then `work`, then queues the events of both.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let now = self.clock.now();
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.catch_up(now);
        let done = work(&mut world);
        // Still under the lock, so that events leave in the order in which they happened.
        self.post.send(std::mem::take(&mut world.outgoing));
        done
    }

    /// Does what is due.
    pub(crate) fn tick(&self) {
        self.with(|_| ());
        self.post.release(self.clock.now());
    }

    pub(crate) fn mark_delivered(&self, event: &str) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = world.events.iter_mut().find(|record| record.id == event) {
            record.delivered = true;
        }
    }

    pub(crate) fn finish_key(&self, key: &(Kind, String)) {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).keys.finish(key);
    }
}
