//! Overlay: changes that are not written yet, over the rows below them.
//!
//! Why here: every write works on an overlay and is taken over whole or not at all; several writes
//! of one group stand on top of each other and become one batch.
//!
//! What must stay true: a record is put and removed only through [`Overlay::put`] and
//! [`Overlay::remove`], which keep its index rows and counts in step.

use std::collections::{BTreeMap, btree_map};

use super::value::{Stored, Value};
use super::{From, Rows, Scan, number};
use crate::store::StoreError;

/// What becomes of each key; `None`: it goes.
pub(crate) type Changes = BTreeMap<String, Option<Value>>;

/// Changes over rows.
pub(crate) struct Overlay<'a> {
    below: &'a dyn Rows,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    pub(crate) fn new(below: &'a dyn Rows) -> Self {
        Self { below, changes: Changes::new() }
    }

    /// The changes.
    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    /// Takes over the changes of an overlay that stood on this one.
    pub(crate) fn extend(&mut self, changes: Changes) {
        self.changes.extend(changes);
    }

    /// Whether nothing changes.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }

    /// Puts a record, with its index rows and its count.
    pub(crate) fn put(&mut self, key: String, record: impl Stored) -> Result<(), StoreError> {
        self.put_value(key, record.value())
    }

    /// As [`Overlay::put`], for a value of any kind.
    pub(crate) fn put_value(&mut self, key: String, value: Value) -> Result<(), StoreError> {
        if value.has_index() {
            let old = self.get(&key)?;
            self.reindex(&key, old.as_ref(), Some(&value))?;
        }
        self.changes.insert(key, Some(value));
        Ok(())
    }

    /// Removes a record, with its index rows and its count.
    pub(crate) fn remove(&mut self, key: String) -> Result<(), StoreError> {
        let old = self.get(&key)?;
        self.reindex(&key, old.as_ref(), None)?;
        self.changes.insert(key, None);
        Ok(())
    }

    /// Takes the next number of a sequence, counted from 1.
    pub(crate) fn next_number(&mut self, sequence: &str) -> Result<u64, StoreError> {
        let next = number(self, sequence)?.max(1);
        self.changes.insert(sequence.to_owned(), Some(Value::Number(next + 1)));
        Ok(next)
    }

    fn reindex(
        &mut self,
        key: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), StoreError> {
        let (gone, come) = Value::moved(key, old, new);
        self.changes.extend(gone.into_iter().map(|row| (row, None)));
        self.changes.extend(come.into_iter().map(|(row, value)| (row, Some(value))));
        let (before, after) = (old.and_then(Value::counted), new.and_then(Value::counted));
        if before != after {
            self.count(before, |count| count.saturating_sub(1))?;
            self.count(after, |count| count + 1)?;
        }
        Ok(())
    }

    fn count(&mut self, key: Option<&str>, by: fn(u64) -> u64) -> Result<(), StoreError> {
        let Some(key) = key else { return Ok(()) };
        let count = by(number(self, key)?);
        self.changes.insert(key.to_owned(), (count > 0).then_some(Value::Number(count)));
        Ok(())
    }

    fn changed(&self, scan: &Scan) -> btree_map::Range<'_, String, Option<Value>> {
        self.changes.range(scan.begin.clone()..scan.end.clone())
    }
}

impl Rows for Overlay<'_> {
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.below.get(key),
        }
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(String, Value)>, StoreError> {
        if scan.is_void() {
            return Ok(Vec::new());
        }
        // At most so many rows of those below can be hidden by a change.
        let hidden = self.changed(scan).count();
        let below = Scan { limit: scan.limit.saturating_add(hidden), ..scan.clone() };
        let rows = self.below.scan(&below)?;
        if hidden == 0 {
            return Ok(rows);
        }
        let mut merged: BTreeMap<String, Value> = rows.into_iter().collect();
        for (key, change) in self.changed(scan) {
            match change {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(match scan.from {
            From::Start => merged.into_iter().take(scan.limit).collect(),
            From::End => merged.into_iter().rev().take(scan.limit).collect(),
        })
    }
}
