//! Side records over rows: how each question about them is answered.
//!
//! What must stay true: what is due is found at the cost of what is due.

use async_trait::async_trait;
use jiff::Timestamp;

use super::read::{own, page};
use super::write::Write;
use super::{Backend, Rows, Scan};
use crate::store::{Page, SideRecord, SideTable, SideWrite, Sides, StoreError, keys};

#[async_trait]
impl<B: Backend> Sides for B {
    async fn side(&self, table: SideTable, key: &str) -> Result<Option<SideRecord>, StoreError> {
        side(self.rows(), table, key)
    }

    async fn sides(
        &self,
        table: SideTable,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<SideRecord>, StoreError> {
        sides(self.rows(), table, after, limit)
    }

    async fn sides_of(&self, table: SideTable, group: &str) -> Result<Vec<SideRecord>, StoreError> {
        sides_of(self.rows(), table, group)
    }

    async fn sides_due(
        &self,
        table: SideTable,
        lane: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<SideRecord>, StoreError> {
        sides_due(self.rows(), table, (lane, now), limit)
    }

    async fn sides_before(
        &self,
        table: SideTable,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<SideRecord>, StoreError> {
        sides_before(self.rows(), table, time, limit)
    }

    async fn write_sides(&self, writes: Vec<SideWrite>) -> Result<(), StoreError> {
        self.write(Write::Side(writes)).await.map(drop)
    }
}

fn side(rows: &dyn Rows, table: SideTable, key: &str) -> Result<Option<SideRecord>, StoreError> {
    own(rows, &keys::side(table, key))
}

fn sides(
    rows: &dyn Rows,
    table: SideTable,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<SideRecord>, StoreError> {
    let list = keys::sides(table);
    let end = match after {
        None => keys::end_of(&list),
        Some(key) => match side(rows, table, key)? {
            None => return Ok(Page { data: Vec::new(), has_more: false }),
            Some(last) => keys::listed(&list, last.at, &last.key),
        },
    };
    page(rows, (list, end), limit, |key| side(rows, table, key))
}

fn sides_of(rows: &dyn Rows, table: SideTable, group: &str) -> Result<Vec<SideRecord>, StoreError> {
    let list = keys::sides_of(table, group);
    let end = keys::end_of(&list);
    sides_in(rows, table, &Scan::first(list, end, usize::MAX))
}

fn sides_due(
    rows: &dyn Rows,
    table: SideTable,
    (lane, now): (&str, Timestamp),
    limit: usize,
) -> Result<Vec<SideRecord>, StoreError> {
    let list = keys::sides_due(table, lane);
    let until = format!("{list}{}", keys::after_time(now));
    sides_in(rows, table, &Scan::first(list, until, limit))
}

fn sides_before(
    rows: &dyn Rows,
    table: SideTable,
    time: Timestamp,
    limit: usize,
) -> Result<Vec<SideRecord>, StoreError> {
    let list = keys::sides(table);
    let until = format!("{list}{}", keys::time(time));
    sides_in(rows, table, &Scan::first(list, until, limit))
}

fn sides_in(rows: &dyn Rows, table: SideTable, scan: &Scan) -> Result<Vec<SideRecord>, StoreError> {
    let found = rows.scan(scan)?;
    let mut records = Vec::with_capacity(found.len());
    for (key, _) in found {
        records.extend(side(rows, table, keys::last_part(&key))?);
    }
    Ok(records)
}
