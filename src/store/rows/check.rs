//! The check: every index row and count compared with the records.
//!
//! Why here: index rows are written with each step and never looked at as a whole. This reads all
//! records, derives the rows that they should have, and compares: tests run it after everything
//! that they do to a store.
//!
//! What must stay true: a store that passes has exactly one due row for every case with a timer.

use std::collections::BTreeMap;

use super::value::Value;
use super::{Rows, Scan, damaged};
use crate::store::{StoreError, keys};

/// How many rows are read at once.
const CHUNK: usize = 1_024;

/// Compares all derived rows with the records; the error names the first that differs.
pub(crate) fn check(rows: &dyn Rows) -> Result<(), StoreError> {
    let mut expected: BTreeMap<String, Value> = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for_each(rows, "", keys::DERIVED, |key, value| {
        expected.extend(value.index(&key));
        if let Some(count) = value.counted() {
            *counts.entry(count.to_owned()).or_default() += 1;
        }
        Ok(())
    })?;
    expected.extend(counts.into_iter().map(|(key, count)| (key, Value::Number(count))));
    for_each(rows, keys::DERIVED, &keys::end_of(keys::DERIVED), |key, value| {
        match expected.remove(&key) {
            Some(right) if right == value => Ok(()),
            Some(_) => Err(damaged(&key, "it differs from what its record says")),
            None => Err(damaged(&key, "no record says so")),
        }
    })?;
    match expected.into_keys().next() {
        None => Ok(()),
        Some(missing) => Err(damaged(&missing, "it is not there, and a record says so")),
    }
}

fn for_each(
    rows: &dyn Rows,
    begin: &str,
    end: &str,
    mut visit: impl FnMut(String, Value) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut begin = begin.to_owned();
    loop {
        let found = rows.scan(&Scan::first(begin, end, CHUNK))?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        begin = format!("{last}\0");
        for (key, value) in found {
            visit(key, value)?;
        }
    }
}
