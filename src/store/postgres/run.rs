//! Runs: which processes work on the store, and which one applies.
//!
//! Why here: a process that works on a shared store begins a run, a row with a time until which it
//! counts as alive. It says so every few seconds. When it falls silent, another ends its run: from
//! then on it can write nothing, since every write of a worker first locks its own run's row and
//! looks whether it has ended. So the number of the run is the fencing token.
//!
//! What must stay true:
//! - times are the database's, never a process's own;
//! - a run that has ended stays ended;
//! - only who has seen the database all the time judges others: after an outage everybody was
//!   silent.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::connect::{Conn, away};
use super::{Inner, PostgresStore};
use crate::store::StoreError;

/// Ended runs that hold nothing are forgotten after this time.
const FORGET: &str = "DELETE FROM runs r WHERE r.ended_at < clock_timestamp() - interval '7 days'
    AND NOT EXISTS (SELECT 1 FROM effects e WHERE e.claimed_by = r.run)
    AND NOT EXISTS (SELECT 1 FROM leader l WHERE l.run = r.run)";

/// Begins a run.
pub(super) async fn begin(conn: &Conn, lease: Duration) -> Result<i64, StoreError> {
    let rows = conn
        .query(
            "INSERT INTO runs (until) VALUES (clock_timestamp() + $1 * interval '1 second')
             RETURNING run",
            &[&lease.as_secs_f64()],
        )
        .await?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| away("it gave no number to this run"))
}

/// Locks the run's row until the end of the transaction; whether the run leads. Nobody can end the
/// run meanwhile.
pub(super) async fn fence(conn: &Conn, run: i64) -> Result<bool, StoreError> {
    let rows = conn
        .query(
            "SELECT (SELECT l.run IS NOT DISTINCT FROM r.run FROM leader l) FROM runs r
             WHERE r.run = $1 AND r.ended_at IS NULL FOR UPDATE OF r",
            &[&run],
        )
        .await?;
    rows.first().map(|row| row.get(0)).ok_or(StoreError::Deposed)
}

/// Takes the lead if nobody alive has it; within a transaction behind [`fence`].
pub(super) async fn take_lead(conn: &Conn, run: i64) -> Result<bool, StoreError> {
    let taken = conn
        .execute(
            "UPDATE leader l SET run = $1 WHERE NOT EXISTS
                 (SELECT 1 FROM runs r WHERE r.run = l.run AND r.ended_at IS NULL)",
            &[&run],
        )
        .await?;
    Ok(taken == 1)
}

/// Ends a run in good order.
pub(super) async fn end(conn: &Conn, run: i64) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET ended_at = clock_timestamp() WHERE run = $1 AND ended_at IS NULL";
    conn.execute(sql, &[&run]).await.map(drop)
}

/// Says now and then that this process is alive, ends those that are silent, and keeps in mind
/// whether the database answers.
pub(super) fn keep_alive(store: &PostgresStore) {
    let inner = Arc::downgrade(&store.inner);
    let lease = store.inner.place.options.lease;
    tokio::spawn(async move {
        let mut beats = tokio::time::interval(lease / 5);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut steady_since: Option<Instant> = None;
        loop {
            beats.tick().await;
            let Some(inner) = Weak::upgrade(&inner) else { return };
            if inner.is_closed() {
                return;
            }
            match beat(&inner, steady_since.is_some_and(|since| since.elapsed() > lease)).await {
                Ok(()) => {
                    steady_since.get_or_insert_with(Instant::now);
                }
                Err(error) => {
                    steady_since = None;
                    inner.note(Some(&error));
                }
            }
        }
    });
}

async fn beat(inner: &Inner, may_judge: bool) -> Result<(), StoreError> {
    let conn = inner.beat.get().await?;
    let Some(run) = inner.run() else {
        conn.query("SELECT 1", &[]).await?;
        inner.note(None);
        return Ok(());
    };
    let lease = inner.place.options.lease.as_secs_f64();
    let alive = conn
        .execute(
            "UPDATE runs SET until = clock_timestamp() + $2 * interval '1 second'
             WHERE run = $1 AND ended_at IS NULL",
            &[&run, &lease],
        )
        .await?;
    inner.note(None);
    if alive == 0 {
        if inner.deposed(run) {
            // What the worker has in hand was read under the run that ended: it is to let go.
            inner.untold.store(true, Ordering::SeqCst);
            inner.wake_all();
        }
        return Ok(());
    }
    if may_judge {
        let ended = conn
            .execute(
                "UPDATE runs SET ended_at = clock_timestamp()
                 WHERE ended_at IS NULL AND until < clock_timestamp() AND run <> $1",
                &[&run],
            )
            .await?;
        if ended > 0 {
            tracing::warn!(ended, "processes that fell silent are taken over from");
            inner.wake_all();
        }
        conn.execute(FORGET, &[]).await?;
    }
    Ok(())
}
