//! Rows: records as JSON text, with the few columns that are looked for.
//!
//! Why here: what a record says, and which columns follow from it, in one place for steps, imports
//! and the check.
//!
//! What must stay true: the text is what every other store holds, so an export is the same from
//! anywhere; columns hold what `store::keys` makes of foreign text, so no id is too long or odd.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::case::Case;
use crate::store::rows::damaged;
use crate::store::{MessageRecord, StoreError, keys};

/// A record as text.
pub(super) fn json(key: &str, record: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| damaged(key, error.to_string()))
}

/// The record of this text.
pub(super) fn record<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(key, error.to_string()))
}

/// A count or number as the database has it.
pub(super) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit as the database has it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Case rows, column by column, as `unnest` takes them.
#[derive(Debug, Default)]
pub(super) struct CaseRows {
    pub(super) id: Vec<String>,
    pub(super) revision: Vec<i64>,
    pub(super) state: Vec<&'static str>,
    pub(super) ended: Vec<bool>,
    pub(super) customer: Vec<Option<String>>,
    pub(super) subscription: Vec<Option<String>>,
    pub(super) invoice: Vec<String>,
    pub(super) gateway: Vec<String>,
    pub(super) opened_at: Vec<i64>,
    pub(super) due_at: Vec<Option<i64>>,
    pub(super) record: Vec<String>,
    /// Payments and the cases they belong to.
    pub(super) payment: Vec<String>,
    pub(super) payment_case: Vec<String>,
}

impl CaseRows {
    pub(super) fn push(&mut self, case: &Case) -> Result<(), StoreError> {
        let id = keys::part(case.id.as_str());
        for payment in &case.payments {
            self.payment.push(keys::part(payment));
            self.payment_case.push(id.clone());
        }
        self.record.push(json(&keys::case(&case.id), case)?);
        self.id.push(id);
        self.revision.push(big(case.revision));
        self.state.push(case.state.as_str());
        self.ended.push(case.state.is_ended());
        self.customer.push(case.customer.as_deref().map(keys::part));
        self.subscription.push(case.subscription.as_deref().map(keys::part));
        self.invoice.push(keys::part(&case.invoice));
        self.gateway.push(keys::part(case.gateway.as_str()));
        self.opened_at.push(keys::millis(case.opened_at));
        self.due_at.push(case.due_at().map(keys::millis));
        Ok(())
    }
}

/// Message rows.
#[derive(Debug, Default)]
pub(super) struct MessageRows {
    pub(super) id: Vec<String>,
    pub(super) case_id: Vec<String>,
    pub(super) sent_at: Vec<i64>,
    pub(super) address: Vec<Option<String>>,
    pub(super) record: Vec<String>,
}

impl MessageRows {
    pub(super) fn push(&mut self, message: &MessageRecord) -> Result<(), StoreError> {
        self.record.push(json(&keys::message(&message.id), message)?);
        self.id.push(keys::part(message.id.as_str()));
        self.case_id.push(keys::part(message.case.as_str()));
        self.sent_at.push(keys::millis(message.at));
        self.address.push(message.address.as_deref().map(keys::part));
        Ok(())
    }
}

/// A time as it is kept beside its milliseconds.
pub(super) fn time(key: &str, text: &str) -> Result<Timestamp, StoreError> {
    text.parse().map_err(|_| damaged(key, "its time is unreadable"))
}
