//! The gate: how much memory webhooks under way may take.
//!
//! Why here: a store that is slow, or a flood, makes requests pile up with their bodies. Gateways
//! send again for days, so a request that finds no room is told at once to come back; memory stays
//! as it is, and those inside are answered.
//!
//! What must stay true: nothing is kept of who was turned away; room is given back with the answer.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Problem;
use super::webhooks::Refusal;

/// What a request takes besides its body: the connection's buffers, headers, tasks.
const EACH_KIB: u32 = 16;
/// How often a body stands in memory on its way: as it came, as an item, as text, as a row.
const COPIES: usize = 4;
/// When to come back.
const RETRY_AFTER_S: &str = "10";

/// Room for webhooks under way. Clones share it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

/// Room that one request takes.
pub(super) struct Held(OwnedSemaphorePermit);

impl Default for Gate {
    /// 64 MiB: some 2,500 ordinary webhooks at the same time.
    fn default() -> Self {
        Self::of_mib(64)
    }
}

impl Gate {
    /// So many MiB.
    pub fn of_mib(mib: u32) -> Self {
        Self(Arc::new(Semaphore::new(mib as usize * 1024)))
    }

    /// Room for a request, without its body yet.
    pub(super) fn enter(&self) -> Result<Held, Refusal> {
        self.take(EACH_KIB).map(Held)
    }

    /// More room for a request, of which another part of the body came.
    pub(super) fn grow(&self, held: &mut Held, bytes: usize) -> Result<(), Refusal> {
        let kib = (bytes * COPIES).div_ceil(1024);
        held.0.merge(self.take(u32::try_from(kib).unwrap_or(u32::MAX))?);
        Ok(())
    }

    fn take(&self, kib: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        self.0.clone().try_acquire_many_owned(kib).map_err(|_| busy())
    }
}

fn busy() -> Refusal {
    let why = "too many webhooks at once: nothing was kept, send it again";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", why);
    Refusal { code: "busy", problem: problem.with_header(header::RETRY_AFTER, RETRY_AFTER_S) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_by_the_byte_and_given_back() {
        let gate = Gate::of_mib(1);
        let mut held = gate.enter().ok().unwrap();
        assert!(gate.grow(&mut held, 100 * 1024).is_ok());
        assert!(gate.grow(&mut held, 200 * 1024).is_err(), "more than a MiB in all");
        let others: Vec<_> = (0..100).filter_map(|_| gate.enter().ok()).collect();
        assert_eq!(others.len(), (1024 - 16 - 400) / 16);
        drop((held, others));
        assert_eq!(gate.0.available_permits(), 1024);
    }
}
