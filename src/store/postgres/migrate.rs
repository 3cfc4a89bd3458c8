//! Migrations: the schema, forward only, embedded.
//!
//! Why here: every process that opens the store brings the schema to what it knows, one at a time
//! and in one transaction each; there is no separate step to forget.
//!
//! What must stay true: a migration that was released is never changed, a new one is appended; a
//! schema that is later than ours is not touched.

use crate::store::StoreError;
use crate::store::postgres::connect::{Conn, Place};

/// In order; the version of a schema is how many of them it has seen.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_records.sql"),
    include_str!("migrations/0002_given_back.sql"),
    include_str!("migrations/0003_side_records.sql"),
    include_str!("migrations/0004_lanes.sql"),
];

/// Keeps other processes out meanwhile: `recoup` as a number.
const LOCK: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';
    SELECT pg_advisory_xact_lock(125780101035376)";

/// Brings the schema up to date. `draw` gives a new store its link key.
pub(super) async fn migrate(
    conn: &Conn,
    place: &Place,
    draw: impl Fn() -> Result<String, StoreError>,
) -> Result<(), StoreError> {
    let unusable = |why: String| StoreError::Unusable { path: place.shown().to_owned(), why };
    if version(conn).await? == Some(MIGRATIONS.len()) {
        return Ok(());
    }
    conn.batch("BEGIN").await?;
    conn.batch(LOCK).await?;
    conn.batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (version bigint PRIMARY KEY,
             applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
    )
    .await?;
    let found = version(conn).await?.unwrap_or_default();
    if found > MIGRATIONS.len() {
        conn.give_up();
        return Err(unusable(format!(
            "a later recoup has brought its schema to version {found}, this one knows {}; start \
             that one",
            MIGRATIONS.len()
        )));
    }
    for (number, migration) in (1_i64..).zip(MIGRATIONS).skip(found) {
        conn.batch(migration).await?;
        conn.execute("INSERT INTO schema_versions (version) VALUES ($1)", &[&number]).await?;
    }
    if found == 0 {
        let key = draw()?;
        conn.execute("INSERT INTO records VALUES ('meta/link_key', $1)", &[&key]).await?;
    }
    conn.batch("COMMIT").await
}

/// How many migrations the schema has seen; none: there is no schema.
async fn version(conn: &Conn) -> Result<Option<usize>, StoreError> {
    let there = conn.query("SELECT to_regclass('schema_versions') IS NOT NULL", &[]).await?;
    if !there.first().is_some_and(|row| row.get::<_, bool>(0)) {
        return Ok(None);
    }
    let rows = conn
        .limited(conn.client().query("SELECT coalesce(max(version), 0) FROM schema_versions", &[]))
        .await?;
    let version: i64 = rows.first().map_or(0, |row| row.get(0));
    Ok(Some(usize::try_from(version).unwrap_or_default()))
}
