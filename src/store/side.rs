//! Side records: what must survive and is no part of a case.
//!
//! Why here: deliveries of outbound webhooks, people and their sessions, tokens, the audit list and
//! answers kept under an idempotency key need the same few things: be found by their key, listed by
//! time, found by a group, found when due, and changed only over the revision that was read. So
//! there is one kind of record for all of them; what its body means is known by whoever writes it.
//!
//! What must stay true: a record is put over the revision before its own, so of two writers one
//! loses; the bodies are JSON with defaults for what older records lack.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Page, StoreError};

/// What a side record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SideTable {
    /// What a person or a program did.
    Audit,
    /// One outbound event on its way to one endpoint; `due` is its next try.
    Delivery,
    /// What is known of an endpoint of outbound events.
    Endpoint,
    /// An outbound event, as it is sent.
    Event,
    /// A link by which somebody sets a password.
    Invitation,
    /// An answer that is kept under its idempotency key.
    Kept,
    /// A session of the dashboard.
    Session,
    /// A token of the API.
    Token,
    /// A person who signs in.
    User,
}

impl SideTable {
    /// Every table.
    pub const ALL: [Self; 9] = [
        Self::Audit,
        Self::Delivery,
        Self::Endpoint,
        Self::Event,
        Self::Invitation,
        Self::Kept,
        Self::Session,
        Self::Token,
        Self::User,
    ];

    /// The name in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Delivery => "delivery",
            Self::Endpoint => "endpoint",
            Self::Event => "event",
            Self::Invitation => "invitation",
            Self::Kept => "kept",
            Self::Session => "session",
            Self::Token => "token",
            Self::User => "user",
        }
    }
}

/// One side record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideRecord {
    /// What it is about.
    pub table: SideTable,
    /// Its id within the table: letters, digits, `_`, `-`, `.`.
    pub key: String,
    /// The store holds `revision - 1` (0: no such record), or refuses it.
    pub revision: u64,
    /// Lists are by this time.
    pub at: Timestamp,
    /// When it is to be looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Where it waits: what is due is asked for lane by lane, so that none holds up another.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lane: String,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it says.
    pub body: Value,
}

impl SideRecord {
    /// A record that is not there yet.
    pub fn new(table: SideTable, key: impl Into<String>, at: Timestamp) -> Self {
        let (key, revision) = (key.into(), 1);
        let lane = String::new();
        Self { table, key, revision, at, due: None, lane, group: None, body: Value::Null }
    }

    /// With this body.
    #[must_use]
    pub fn with(mut self, body: &impl Serialize) -> Self {
        // What is put here are plain structures: they are always JSON.
        self.body = serde_json::to_value(body).unwrap_or_default();
        self
    }

    /// To be looked at again then.
    #[must_use]
    pub fn due_at(mut self, due: Option<Timestamp>) -> Self {
        self.due = due;
        self
    }

    /// In this lane.
    #[must_use]
    pub fn in_lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
        self
    }

    /// As part of this group.
    #[must_use]
    pub fn in_group(mut self, group: Option<String>) -> Self {
        self.group = group;
        self
    }

    /// The next revision of it.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }

    /// Reads the body.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        T::deserialize(&self.body).map_err(|error| StoreError::Damaged {
            what: format!("{}/{}", self.table.as_str(), self.key),
            why: error.to_string(),
        })
    }
}

/// One change of side records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SideWrite {
    /// Puts it over the revision before.
    Put(Box<SideRecord>),
    /// Takes it away; none there is fine.
    Remove(SideTable, String),
}

impl From<SideRecord> for SideWrite {
    fn from(record: SideRecord) -> Self {
        Self::Put(Box::new(record))
    }
}

/// The part of the store that keeps side records.
#[async_trait]
pub trait Sides: Send + Sync {
    /// One side record.
    async fn side(&self, table: SideTable, key: &str) -> Result<Option<SideRecord>, StoreError>;

    /// A page of a table, newest first, behind the record `after`.
    async fn sides(
        &self,
        table: SideTable,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<SideRecord>, StoreError>;

    /// The records of a group, oldest first.
    async fn sides_of(&self, table: SideTable, group: &str) -> Result<Vec<SideRecord>, StoreError>;

    /// The records of a lane that are due at `now`, earliest first, at most `limit`.
    async fn sides_due(
        &self,
        table: SideTable,
        lane: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<SideRecord>, StoreError>;

    /// The oldest records of a table from before this time, at most `limit`: what may be forgotten.
    async fn sides_before(
        &self,
        table: SideTable,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<SideRecord>, StoreError>;

    /// Changes side records, all or none. [`StoreError::Changed`]: one has another revision.
    async fn write_sides(&self, writes: Vec<SideWrite>) -> Result<(), StoreError>;
}
