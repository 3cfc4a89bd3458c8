//! Effects: claimed by one run, given back, taken up again after a run that ended.
//!
//! Why here: any number of workers take what is ready, each something else, without waiting for one
//! another (`SKIP LOCKED`).
//!
//! What must stay true: a claim is committed before the effect is performed; what a run that has
//! ended held comes back with the doubt kept (`claimed_by`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio_postgres::Row;

use super::connect::Conn;
use super::rows::{json, limit, record};
use super::until;
use crate::core::ids::EffectId;
use crate::core::lane::Lane;
use crate::store::{Claimed, OutboxEntry, Returned, Room, StoreError, keys};

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

/// Of each lane what there is room for ($4, $5; of another $6), of all together $2.
const TAKE: &str = "WITH RECURSIVE lanes (lane) AS (
        SELECT min(lane) FROM effects WHERE claimed_by IS NULL
        UNION ALL SELECT (SELECT min(e.lane) FROM effects e
            WHERE e.claimed_by IS NULL AND e.lane > l.lane) FROM lanes l WHERE l.lane IS NOT NULL
    ), picked AS MATERIALIZED (
        SELECT e.id FROM lanes l
        LEFT JOIN unnest($4::text[], $5::bigint[]) AS r (name, room) ON r.name = l.lane
        CROSS JOIN LATERAL (SELECT f.id, f.ready_at, f.place FROM effects f
            WHERE f.lane = l.lane AND f.claimed_by IS NULL AND f.ready_at <= $3
            ORDER BY f.ready_at, f.place LIMIT coalesce(r.room, $6) FOR UPDATE SKIP LOCKED) e
        ORDER BY e.ready_at, e.place LIMIT $2
    ) UPDATE effects e SET claimed_by = $1 FROM picked WHERE e.id = picked.id
    RETURNING e.record, e.tries, NULL::bigint, e.ready_at, e.place";

/// Of which something is ready at $1.
const READY: &str = "WITH RECURSIVE lanes (lane) AS (
        SELECT min(lane) FROM effects WHERE claimed_by IS NULL
        UNION ALL SELECT (SELECT min(e.lane) FROM effects e
            WHERE e.claimed_by IS NULL AND e.lane > l.lane) FROM lanes l WHERE l.lane IS NOT NULL
    ) SELECT l.lane FROM lanes l WHERE EXISTS (SELECT 1 FROM effects e
        WHERE e.lane = l.lane AND e.claimed_by IS NULL AND e.ready_at <= $1)";

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
    room: &Room,
) -> Result<Claimed, StoreError> {
    let mut rows = conn.query(TAKE_UP, &[&run, &limit(room.total)]).await?;
    let left = room.total.saturating_sub(rows.len());
    if left > 0 {
        rows.extend(take(conn, run, now, (room, left)).await?);
    }
    rows.sort_by_key(|row| (row.get::<_, i64>(3), row.get::<_, i64>(4)));
    let entries: Vec<OutboxEntry> = rows.iter().map(entry).collect::<Result<_, _>>()?;
    let crowded = match is_full(room, &entries) {
        true => lanes_of(&conn.query(READY, &[&until(now)]).await?),
        false => BTreeSet::new(),
    };
    Ok(Claimed { entries, crowded })
}

async fn take(
    conn: &Conn,
    run: i64,
    now: Timestamp,
    (room, left): (&Room, usize),
) -> Result<Vec<Row>, StoreError> {
    let names: Vec<&str> = room.of.keys().map(Lane::as_str).collect();
    let places: Vec<i64> = room.of.keys().map(|lane| limit(room.of(lane))).collect();
    let each = limit(room.each);
    conn.query(TAKE, &[&run, &limit(left), &until(now), &names, &places, &each]).await
}

/// Whether any lane may have been left with more.
fn is_full(room: &Room, entries: &[OutboxEntry]) -> bool {
    let mut of: BTreeMap<Lane, usize> = BTreeMap::new();
    for entry in entries {
        *of.entry(entry.effect.order.lane()).or_default() += 1;
    }
    let has_none = room.of.keys().any(|lane| room.of(lane) == 0);
    has_none || entries.len() >= room.total || of.iter().any(|(lane, &n)| n >= room.of(lane))
}

fn lanes_of(rows: &[Row]) -> BTreeSet<Lane> {
    rows.iter().map(|row| Lane::from(row.get::<_, &str>(0))).collect()
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
