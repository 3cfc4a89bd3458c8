//! The lane of a worker: its writes, one after the other, each a transaction behind the fence.
//!
//! Why here: what a worker writes must stop at once when another process has taken over, and must
//! never be half seen. One session does all of it, so the order is the order of asking.
//!
//! What must stay true:
//! - every transaction first locks this run's row, which nobody can end meanwhile;
//! - a new session waits for whatever the lost one had under way, before anything is read or
//!   written: it takes the same lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::connect::{Conn, Slot, away};
use super::{Inner, NONE, claim, closed, commit, portable, run, side};
use crate::core::ids::EffectId;
use crate::store::{Claimed, Commit, ExportRecord, Returned, Room, SideWrite, StoreError};

/// One write of a worker.
pub(super) enum Work<'a> {
    Claim { now: Timestamp, room: &'a Room },
    Commit(Box<Commit>),
    GiveBack(&'a [Returned]),
    Import(Vec<ExportRecord>),
    Lead,
    Reclaim(&'a BTreeSet<EffectId>),
    Side(&'a [SideWrite]),
}

impl Work<'_> {
    /// Whether only the process that applies may do it.
    fn is_for_the_leader(&self) -> bool {
        match self {
            Self::Commit(commit) => {
                let rest = Commit { retried: commit.retried.clone(), ..Commit::default() };
                **commit != rest
            }
            Self::Import(_) => true,
            Self::Claim { .. }
            | Self::GiveBack(_)
            | Self::Lead
            | Self::Reclaim(_)
            | Self::Side(_) => false,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) claimed: Claimed,
    pub(super) held: BTreeSet<EffectId>,
}

/// The session of the lane.
pub(super) struct Lane {
    slot: Slot,
    /// The session that was used last: another one has to wait for its end first.
    last: Option<Arc<Conn>>,
}

impl Lane {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, last: None }
    }
}

impl Inner {
    /// Does one write of a worker.
    pub(super) async fn work(&self, work: Work<'_>) -> Result<Done, StoreError> {
        let mut lane = self.lane.lock().await;
        if self.is_closed() {
            return Err(closed());
        }
        if self.untold.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Deposed);
        }
        let done = self.in_lane(&mut lane, work).await;
        match &done {
            Err(StoreError::Deposed) => {
                if let Some(run) = self.run() {
                    self.deposed(run);
                }
            }
            other => self.note(other.as_ref().err().filter(|e| matches!(e, StoreError::Away(_)))),
        }
        done
    }

    /// Ends the run in good order, and takes no more writes.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let lane = self.lane.lock().await;
        self.closed.store(true, Ordering::Relaxed);
        if let Some(run) = self.run() {
            run::end(&*lane.slot.get().await?, run).await?;
        }
        Ok(())
    }

    async fn in_lane(&self, lane: &mut Lane, work: Work<'_>) -> Result<Done, StoreError> {
        let conn = lane.slot.get().await?;
        let run = self.begun(&conn).await?;
        if !lane.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &conn)) {
            // One statement by itself: it waits for the lost session's transaction.
            run::fence(&conn, run).await?;
            lane.last = Some(conn.clone());
        }
        let done = self.transaction(&conn, run, work).await;
        if let Err(error) = &done {
            // An answer in words leaves the session as it was; anything else ends it.
            let is_well = conn.is_well() && conn.batch("ROLLBACK").await.is_ok();
            if !is_well {
                conn.give_up();
                tracing::debug!(%error, "a session of the worker ended");
            }
        }
        done
    }

    /// The run of this process, begun if there is none.
    async fn begun(&self, conn: &Conn) -> Result<i64, StoreError> {
        if let Some(run) = self.run() {
            return Ok(run);
        }
        let run = run::begin(conn, self.place.options.lease).await?;
        let begun = self.run.compare_exchange(NONE, run, Ordering::SeqCst, Ordering::SeqCst);
        Ok(begun.err().unwrap_or(run))
    }

    async fn transaction(&self, conn: &Conn, run: i64, work: Work<'_>) -> Result<Done, StoreError> {
        if let Work::Claim { now, .. } = work
            && !claim::is_there_any(conn, run, now).await?
        {
            return Ok(Done::default());
        }
        conn.batch("BEGIN").await?;
        let mut leads = run::fence(conn, run).await?;
        let wants = work.is_for_the_leader();
        if !leads && (wants || matches!(work, Work::Lead)) {
            leads = run::take_lead(conn, run).await?;
            if wants && !leads {
                return Err(away("another process has the lead, and writes this"));
            }
        }
        let mut done = Done::default();
        let mut importing = false;
        match work {
            Work::Claim { now, room } => {
                done.claimed = claim::claim(conn, run, now, room).await?;
            }
            Work::Commit(commit) => commit::commit(conn, run, *commit).await?,
            Work::GiveBack(returned) => claim::give_back(conn, run, returned).await?,
            Work::Import(records) => {
                let goes_on = self.importing.load(Ordering::SeqCst);
                portable::import(conn, goes_on, records).await?;
                importing = true;
            }
            Work::Lead => importing = self.importing.load(Ordering::SeqCst),
            Work::Side(writes) => side::put(conn, writes).await?,
            Work::Reclaim(known) => done.held = claim::reclaim(conn, run, known).await?,
        }
        conn.batch("COMMIT").await?;
        self.importing.store(importing, Ordering::SeqCst);
        self.leading.store(leads, Ordering::SeqCst);
        Ok(done)
    }
}
