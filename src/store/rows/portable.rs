//! Export and import: the records of a store, without what is derived from them.
//!
//! Why here: a store is moved, compacted and backed up as JSON lines. Index rows and counts are
//! left out and made anew, so a file can be imported by code that indexes otherwise.
//!
//! What must stay true: exporting an imported store gives the same bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::overlay::Overlay;
use super::value::{EffectRow, Stored as _, Value};
use super::write::Session;
use super::{Rows, Scan, damaged};
use crate::store::{StoreError, keys};

/// One record of an export: a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The key, printable.
    pub key: String,
    /// The value as JSON.
    pub value: Json,
}

/// An effect that was claimed in the store that it came from: by no run of this one.
const CLAIMED_ELSEWHERE: u64 = 0;

/// What belongs to one place only: the marker, the number of the run, and whence it was restored.
pub(crate) const LOCAL: [&str; 4] = [keys::MARKER, keys::RECONCILED, keys::RESTORED, keys::RUN];

/// What every store has from the beginning, and an import may replace.
pub(crate) const META: &str = "meta/";

pub(crate) fn export(
    rows: &dyn Rows,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ExportRecord>, StoreError> {
    let begin = after.map_or_else(String::new, |last| format!("{last}\0"));
    let scan = Scan::first(begin, keys::DERIVED, limit.saturating_add(LOCAL.len()));
    let found = rows.scan(&scan)?;
    let records = found.into_iter().filter(|(key, _)| !LOCAL.contains(&key.as_str()));
    records.take(limit).map(|(key, value)| record(key, value)).collect()
}

/// The record of an export for the value under `key`.
pub(crate) fn record(key: String, value: Value) -> Result<ExportRecord, StoreError> {
    match serde_json::to_value(portable(value)) {
        Ok(value) => Ok(ExportRecord { key, value }),
        Err(error) => Err(damaged(&key, error.to_string())),
    }
}

/// As it is in any store.
pub(crate) fn portable(value: Value) -> Value {
    match value {
        Value::Effect(row) => {
            let claimed_by = row.claimed_by.map(|_| CLAIMED_ELSEWHERE);
            EffectRow { claimed_by, ..EffectRow::clone(&row) }.value()
        }
        other => other,
    }
}

/// Takes over records. The store must be empty, or hold these records already, or be in the middle
/// of an import, so that one that was interrupted can be repeated.
pub(crate) fn import(
    over: &mut Overlay<'_>,
    session: &mut Session,
    records: Vec<ExportRecord>,
) -> Result<(), StoreError> {
    let open = session.importing || is_empty(over)?;
    let mut fresh = Vec::new();
    for ExportRecord { key, value } in records {
        let value = read(&key, value)?;
        match over.get(&key)? {
            Some(held) if portable(held.clone()) == value => {}
            Some(_) if !key.starts_with(META) => {
                return Err(refused(format!("it holds another record under {key}")));
            }
            _ => fresh.push((key, value)),
        }
    }
    if !open && !fresh.is_empty() {
        return Err(refused("it is not empty".to_owned()));
    }
    for (key, value) in fresh {
        over.put_value(key, value)?;
    }
    session.importing = true;
    Ok(())
}

pub(crate) fn refused(why: String) -> StoreError {
    StoreError::Refused(format!("nothing is imported into this store: {why}"))
}

/// A record as any store of this version exports it, whatever version wrote it.
///
/// # Errors
/// What does not belong into an export.
pub fn canonical(one: ExportRecord) -> Result<ExportRecord, StoreError> {
    let value = read(&one.key, one.value)?;
    record(one.key, value)
}

/// The value of a record that may stand in an export.
pub(crate) fn read(key: &str, json: Json) -> Result<Value, StoreError> {
    if key >= keys::DERIVED || LOCAL.contains(&key) {
        return Err(damaged(key, "it does not belong into an export"));
    }
    Value::read(key, json).map(portable).map_err(|error| damaged(key, error.to_string()))
}

/// Whether the store holds nothing but what it was made with.
pub(crate) fn is_empty(rows: &dyn Rows) -> Result<bool, StoreError> {
    let before = rows.scan(&Scan::first("", META, 1))?;
    let behind = rows.scan(&Scan::first(keys::end_of(META), keys::DERIVED, 1))?;
    Ok(before.is_empty() && behind.is_empty())
}
