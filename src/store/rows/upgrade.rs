//! Upgrade: index rows of an older format become those of this one.
//!
//! Why here: records are read as they are, for ever; how they are found may change. The rows
//! change in the transaction that writes the new format's number, so a crash leaves the old store.
//!
//! What must stay true: no record changes; a store of this format is left alone.

use super::overlay::Changes;
use super::value::{EffectRow, Value};
use super::{Rows, Scan, get};
use crate::core::ids::EffectId;
use crate::store::{StoreError, keys};

/// What has to change in a store of `format`.
pub(crate) fn changes(rows: &dyn Rows, format: u32) -> Result<Changes, StoreError> {
    let mut changes = Changes::new();
    if format >= 2 {
        return Ok(changes);
    }
    let old = Scan::first(keys::OUTBOX_V1, keys::end_of(keys::OUTBOX_V1), usize::MAX);
    for (key, _) in rows.scan(&old)? {
        let record = keys::effect(&EffectId::from(keys::last_part(&key)));
        if let Some(row) = get::<EffectRow>(rows, &record)? {
            let index = Value::Effect(row).index(&record);
            changes.extend(index.into_iter().map(|(key, value)| (key, Some(value))));
        }
        changes.insert(key, None);
    }
    Ok(changes)
}
