//! Effects: claimed by one run, given back, taken up again after a run that ended.
//!
//! Why here: any number of workers take what is ready, each something else, without waiting for one
//! another (`SKIP LOCKED`).
//!
//! What must stay true: a claim is committed before the effect is performed; what a run that has
//! ended held comes back with the doubt kept (`claimed_by`).

use std::collections::BTreeSet;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::connect::Conn;
use super::rows::{json, limit, record};
use super::until;
use crate::core::ids::EffectId;
use crate::store::{OutboxEntry, Returned, StoreError, keys};

/// Of runs that have ended, and that nobody has given back.
const ABANDONED: &str = "e.claimed_by IS NOT NULL AND e.returned IS NULL";

const ANY: &str =
    "SELECT EXISTS (SELECT 1 FROM effects WHERE claimed_by IS NULL AND ready_at <= $1)
    OR EXISTS (SELECT 1 FROM effects e WHERE e.claimed_by IS NOT NULL AND e.returned IS NULL
        AND e.claimed_by <> $2 AND NOT EXISTS
            (SELECT 1 FROM runs r WHERE r.run = e.claimed_by AND r.ended_at IS NULL))";

const TAKE_UP: &str = "WITH picked AS (
        SELECT e.id, e.claimed_by FROM effects e
        WHERE e.claimed_by IS NOT NULL AND e.returned IS NULL AND e.claimed_by <> $1
            AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.run = e.claimed_by AND r.ended_at IS NULL)
        ORDER BY e.ready_at, e.place LIMIT $2 FOR UPDATE OF e SKIP LOCKED
    ) UPDATE effects e SET claimed_by = $1, begun_by = picked.claimed_by
    FROM picked WHERE e.id = picked.id
    RETURNING e.record, e.tries, e.begun_by, e.ready_at, e.place";

const TAKE: &str = "WITH picked AS (
        SELECT id FROM effects WHERE claimed_by IS NULL AND ready_at <= $3
        ORDER BY ready_at, place LIMIT $2 FOR UPDATE SKIP LOCKED
    ) UPDATE effects e SET claimed_by = $1 FROM picked WHERE e.id = picked.id
    RETURNING e.record, e.tries, NULL::bigint, e.ready_at, e.place";

/// Whether a claim would find anything: asked first, since an idle worker asks often.
pub(super) async fn is_there_any(
    conn: &Conn,
    run: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    debug_assert!(ANY.contains(ABANDONED), "one idea of what is abandoned");
    let rows = conn.query(ANY, &[&until(now), &run]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// What ended runs had begun, and what is ready and nobody has begun, by time.
pub(super) async fn claim(
    conn: &Conn,
    run: i64,
    now: Timestamp,
    at_most: usize,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let mut rows = conn.query(TAKE_UP, &[&run, &limit(at_most)]).await?;
    if rows.len() < at_most {
        let room = limit(at_most - rows.len());
        rows.extend(conn.query(TAKE, &[&run, &room, &until(now)]).await?);
    }
    rows.sort_by_key(|row| (row.get::<_, i64>(3), row.get::<_, i64>(4)));
    rows.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<OutboxEntry, StoreError> {
    let claimed_by = row.get::<_, Option<i64>>(2).map(i64::unsigned_abs);
    let tries = row.get::<_, i32>(1).unsigned_abs();
    Ok(OutboxEntry { effect: record("effect/", row.get(0))?, tries, claimed_by })
}

/// Keeps what came of effects that this run holds.
pub(super) async fn give_back(
    conn: &Conn,
    run: i64,
    returned: &[Returned],
) -> Result<(), StoreError> {
    let (mut ids, mut texts) = (Vec::new(), Vec::new());
    for one in returned {
        let key = keys::effect(&one.effect);
        texts.push(json(&key, one)?);
        ids.push(keys::part(one.effect.as_str()));
    }
    let count = limit(ids.len());
    let rows = conn
        .query(
            "UPDATE counters SET next = next + $1 WHERE name = 'returned' RETURNING next - $1",
            &[&count],
        )
        .await?;
    let first: i64 = rows.first().map_or(1, |row| row.get(0));
    conn.execute(
        "UPDATE effects e SET returned = g.text, returned_place = $3 + g.place
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (id, text, place)
         WHERE e.id = g.id AND e.claimed_by = $4 AND e.returned IS NULL",
        &[&ids, &texts, &first, &run],
    )
    .await
    .map(drop)
}

/// Which of `known` this run holds. What else it holds is let go: this run began none of it, and
/// what an earlier one may have begun keeps that doubt.
pub(super) async fn reclaim(
    conn: &Conn,
    run: i64,
    known: &BTreeSet<EffectId>,
) -> Result<BTreeSet<EffectId>, StoreError> {
    let ids: Vec<String> = known.iter().map(|id| keys::part(id.as_str())).collect();
    conn.execute(
        "UPDATE effects SET claimed_by = begun_by
         WHERE claimed_by = $1 AND returned IS NULL AND id <> ALL ($2)",
        &[&run, &ids],
    )
    .await?;
    let held = conn
        .query("SELECT id FROM effects WHERE claimed_by = $1 AND returned IS NULL", &[&run])
        .await?;
    let held: BTreeSet<String> = held.iter().map(|row| row.get(0)).collect();
    Ok(known.iter().filter(|id| held.contains(&keys::part(id.as_str()))).cloned().collect())
}
