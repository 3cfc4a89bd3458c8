//! Disk: typed rows as framed bytes in one sled tree.
//!
//! Why here: the only place that knows both the values and sled.
//!
//! What must stay true: everything is in sled's default tree, since only batches on one tree are
//! atomic; nothing is read that does not pass its checksum.

use std::ops::Bound;

use crate::store::record::{self, Parts, Row};
use crate::store::rows::overlay::Changes;
use crate::store::rows::value::Value;
use crate::store::rows::{From, Rows, Scan, damaged};
use crate::store::{StoreError, keys};

/// How often a record is read anew that was replaced while its parts were read.
const REREADS: usize = 100;

/// The rows of one database.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    db: sled::Db,
}

impl Disk {
    pub(super) fn new(db: sled::Db) -> Self {
        Self { db }
    }

    /// Whether there is no row at all.
    pub(super) fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// Writes changes as one batch, and hands them to the operating system. What is still missing
    /// then is `fdatasync`: see [`super::committer`].
    pub(super) fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, change) in changes {
            self.remove_parts(&mut batch, key)?;
            match change {
                None => batch.remove(key.as_bytes()),
                Some(value) => insert(&mut batch, key, value)?,
            }
        }
        self.db.apply_batch(batch).map_err(|error| refused(&error))?;
        self.db.flush().map(drop).map_err(|error| refused(&error))
    }

    fn remove_parts(&self, batch: &mut sled::Batch, key: &str) -> Result<(), StoreError> {
        if key >= keys::DERIVED {
            return Ok(()); // index rows are short
        }
        let Some(row) = self.raw(key)? else { return Ok(()) };
        if let Row::Parts(parts) = unframe(key, &row)? {
            for part in 0..parts.count {
                batch.remove(keys::part_of(key, part).as_bytes());
            }
        }
        Ok(())
    }

    fn raw(&self, key: &str) -> Result<Option<sled::IVec>, StoreError> {
        self.db.get(key).map_err(|error| unreadable(key, &error))
    }

    fn decode(&self, key: &str, mut row: sled::IVec) -> Result<Option<Value>, StoreError> {
        for _ in 0..REREADS {
            let parts = match unframe(key, &row)? {
                Row::Whole(payload) => return parse(key, payload).map(Some),
                Row::Parts(parts) => parts,
            };
            let whole = self.join(key, parts);
            if let Ok(payload) = &whole
                && parts.make(payload)
            {
                return parse(key, payload).map(Some);
            }
            match self.raw(key)? {
                None => return Ok(None),
                Some(now) if now == row => {
                    return Err(whole.err().unwrap_or_else(|| damaged(key, "its parts differ")));
                }
                Some(now) => row = now,
            }
        }
        Err(damaged(key, "it is replaced faster than it can be read"))
    }

    fn join(&self, key: &str, parts: Parts) -> Result<Vec<u8>, StoreError> {
        let mut payload = Vec::new();
        for part in 0..parts.count {
            let part_key = keys::part_of(key, part);
            let Some(row) = self.raw(&part_key)? else {
                return Err(damaged(key, format!("part {part} of {} is missing", parts.count)));
            };
            match unframe(&part_key, &row)? {
                Row::Whole(bytes) => payload.extend_from_slice(bytes),
                Row::Parts(_) => return Err(damaged(&part_key, "it is a part in parts")),
            }
        }
        Ok(payload)
    }
}

fn insert(batch: &mut sled::Batch, key: &str, value: &Value) -> Result<(), StoreError> {
    let payload = serde_json::to_vec(value).map_err(|error| damaged(key, error.to_string()))?;
    let framed = record::frame(&payload);
    batch.insert(key.as_bytes(), framed.row);
    for (number, part) in (0..).zip(framed.parts) {
        batch.insert(keys::part_of(key, number).as_bytes(), part);
    }
    Ok(())
}

fn unframe<'a>(key: &str, row: &'a [u8]) -> Result<Row<'a>, StoreError> {
    record::unframe(row).map_err(|why| damaged(key, why))
}

fn parse(key: &str, payload: &[u8]) -> Result<Value, StoreError> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    Value::read(key, &mut json).map_err(|error| damaged(key, error.to_string()))
}

fn unreadable(key: &str, error: &sled::Error) -> StoreError {
    damaged(key, error.to_string())
}

fn refused(error: &sled::Error) -> StoreError {
    StoreError::Refused(error.to_string())
}

impl Rows for Disk {
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError> {
        match self.raw(key)? {
            None => Ok(None),
            Some(row) => self.decode(key, row),
        }
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(String, Value)>, StoreError> {
        if scan.is_void() {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(scan.begin.as_bytes()), Bound::Excluded(scan.end.as_bytes()));
        let mut found = self.db.range::<&[u8], _>(range);
        let mut rows = Vec::new();
        while rows.len() < scan.limit {
            let next = if scan.from == From::Start { found.next() } else { found.next_back() };
            let Some(next) = next else { break };
            let (key, row) = next.map_err(|error| unreadable(&scan.begin, &error))?;
            let key = String::from_utf8_lossy(&key).into_owned();
            if let Some(value) = self.decode(&key, row)? {
                rows.push((key, value));
            }
        }
        Ok(rows)
    }
}
