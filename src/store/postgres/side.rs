//! Side records: how they are put, and how each question about them is answered.
//!
//! What must stay true: a record is put over the revision before its own, decided by the database;
//! what is due is found at the cost of what is due.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::connect::Conn;
use super::rows::{big, json, limit, record};
use super::work::Work;
use super::{PostgresStore, until};
use crate::store::{Page, SideRecord, SideTable, SideWrite, Sides, StoreError, keys};

/// Changes side records, within a transaction.
pub(super) async fn put(conn: &Conn, writes: &[SideWrite]) -> Result<(), StoreError> {
    for write in writes {
        match write {
            SideWrite::Put(record) => put_one(conn, record).await?,
            SideWrite::Remove(table, key) => {
                let sql = "DELETE FROM sides WHERE side = $1 AND key = $2";
                conn.execute(sql, &[&table.as_str(), &keys::part(key)]).await?;
            }
        }
    }
    Ok(())
}

/// Takes over records that were exported, at whatever revision they are.
pub(super) async fn import(conn: &Conn, records: &[SideRecord]) -> Result<(), StoreError> {
    for record in records {
        write(conn, record, INSERT).await?;
    }
    Ok(())
}

const INSERT: &str = "INSERT INTO sides (side, key, revision, at, due, lane, belongs_to, record)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE sides
    SET revision = $3, at = $4, due = $5, lane = $6, belongs_to = $7, record = $8
    WHERE side = $1 AND key = $2 AND revision = $3::bigint - 1";

async fn put_one(conn: &Conn, one: &SideRecord) -> Result<(), StoreError> {
    write(conn, one, if one.revision == 1 { INSERT } else { UPDATE }).await
}

async fn write(conn: &Conn, one: &SideRecord, sql: &'static str) -> Result<(), StoreError> {
    let what = keys::side(one.table, &one.key);
    let (key, text, revision) = (keys::part(&one.key), json(&what, one)?, big(one.revision));
    let (at, due) = (keys::millis(one.at), one.due.map(keys::millis));
    let (lane, group) = (keys::part(&one.lane), one.group.as_deref().map(keys::part));
    let table = one.table.as_str();
    let written =
        conn.execute(sql, &[&table, &key, &revision, &at, &due, &lane, &group, &text]).await?;
    if written == 1 { Ok(()) } else { Err(StoreError::Changed { what }) }
}

fn records(rows: &[Row]) -> Result<Vec<SideRecord>, StoreError> {
    rows.iter().map(|row| record("side/", row.get(0))).collect()
}

#[async_trait]
impl Sides for PostgresStore {
    async fn side(&self, table: SideTable, key: &str) -> Result<Option<SideRecord>, StoreError> {
        let sql = "SELECT record FROM sides WHERE side = $1 AND key = $2";
        let conn = self.inner.reader().await?;
        let rows = conn.query(sql, &[&table.as_str(), &keys::part(key)]).await?;
        Ok(records(&rows)?.pop())
    }

    async fn sides(
        &self,
        table: SideTable,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Page<SideRecord>, StoreError> {
        let more = limit(at_most).saturating_add(1);
        let conn = self.inner.reader().await?;
        let rows = match after.map(keys::part) {
            None => {
                let sql = "SELECT record FROM sides WHERE side = $1
                    ORDER BY at DESC, key DESC LIMIT $2";
                conn.query(sql, &[&table.as_str(), &more]).await?
            }
            Some(key) => {
                let sql = "SELECT record FROM sides WHERE side = $1 AND (at, key) <
                    (SELECT at, key FROM sides WHERE side = $1 AND key = $3)
                    ORDER BY at DESC, key DESC LIMIT $2";
                conn.query(sql, &[&table.as_str(), &more, &key]).await?
            }
        };
        let mut data = records(&rows)?;
        let has_more = data.len() > at_most;
        data.truncate(at_most);
        Ok(Page { data, has_more })
    }

    async fn sides_of(&self, table: SideTable, group: &str) -> Result<Vec<SideRecord>, StoreError> {
        let sql = "SELECT record FROM sides WHERE side = $1 AND belongs_to = $2
            AND belongs_to IS NOT NULL ORDER BY at, key";
        let conn = self.inner.reader().await?;
        records(&conn.query(sql, &[&table.as_str(), &keys::part(group)]).await?)
    }

    async fn sides_due(
        &self,
        table: SideTable,
        lane: &str,
        now: Timestamp,
        at_most: usize,
    ) -> Result<Vec<SideRecord>, StoreError> {
        let sql = "SELECT record FROM sides WHERE side = $1 AND lane = $2 AND due <= $3
            ORDER BY due, key LIMIT $4";
        let conn = self.inner.reader().await?;
        let (lane, until) = (keys::part(lane), until(now));
        records(&conn.query(sql, &[&table.as_str(), &lane, &until, &limit(at_most)]).await?)
    }

    async fn sides_before(
        &self,
        table: SideTable,
        time: Timestamp,
        at_most: usize,
    ) -> Result<Vec<SideRecord>, StoreError> {
        let sql = "SELECT record FROM sides WHERE side = $1 AND at < $2 ORDER BY at, key LIMIT $3";
        let conn = self.inner.reader().await?;
        records(&conn.query(sql, &[&table.as_str(), &keys::millis(time), &limit(at_most)]).await?)
    }

    async fn write_sides(&self, writes: Vec<SideWrite>) -> Result<(), StoreError> {
        self.inner.work(Work::Side(&writes)).await.map(drop)
    }
}
