//! Rows: what the embedded stores share.
//!
//! Why here: sled and memory differ only in where their rows stand. Everything else (what a commit
//! checks, which index rows follow from a record, how a page is read) is written once, over
//! [`Rows`], an ordered map from printable keys to typed values. So the two agree by construction.
//!
//! What must stay true:
//! - writes run one after the other ([`write::apply`] sees all earlier ones);
//! - a write that fails has changed nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::feed::{Changes, Feed};
use super::{
    Appended, Backlog, CaseFilter, Claimed, Commit, ExportRecord, Freeze, InboxEntry, InboxRecord,
    MessageRecord, OutboxEntry, Page, Restoring, Room, Store, StoreError,
};
use crate::core::card::Card;
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
use crate::core::ids::{CardKey, CaseId, GatewayId, MessageId};
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::Reputation;

pub(crate) mod check;
pub(crate) mod overlay;
pub(crate) mod portable;
pub(crate) mod read;
mod side;
pub(crate) mod upgrade;
pub(crate) mod value;
pub(crate) mod write;

use value::{Stored, Value};
use write::{Done, Write};

/// From which end a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// Lowest key first.
    Start,
    /// Highest key first.
    End,
}

/// A part of a range of keys.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// The first key.
    pub(crate) begin: String,
    /// The first key behind the range.
    pub(crate) end: String,
    /// Where to begin.
    pub(crate) from: From,
    /// How many rows at the most.
    pub(crate) limit: usize,
}

impl Scan {
    /// The first rows of `begin..end`.
    pub(crate) fn first(begin: impl Into<String>, end: impl Into<String>, limit: usize) -> Self {
        Self { begin: begin.into(), end: end.into(), from: From::Start, limit }
    }

    /// The last rows of `begin..end`, the last first.
    pub(crate) fn last(begin: impl Into<String>, end: impl Into<String>, limit: usize) -> Self {
        Self { begin: begin.into(), end: end.into(), from: From::End, limit }
    }

    /// Whether there can be any row.
    pub(crate) fn is_void(&self) -> bool {
        self.limit == 0 || self.begin >= self.end
    }
}

/// An ordered map of rows.
pub(crate) trait Rows: Send + Sync {
    /// The row under a key.
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError>;

    /// Rows of a range.
    fn scan(&self, scan: &Scan) -> Result<Vec<(String, Value)>, StoreError>;
}

/// The record under a key.
pub(crate) fn get<T: Stored>(rows: &dyn Rows, key: &str) -> Result<Option<Arc<T>>, StoreError> {
    let Some(value) = rows.get(key)? else { return Ok(None) };
    T::of(value).map(Some).ok_or_else(|| damaged(key, "it is a record of another kind"))
}

/// The number under a key, 0 where there is none.
pub(crate) fn number(rows: &dyn Rows, key: &str) -> Result<u64, StoreError> {
    match rows.get(key)? {
        None => Ok(0),
        Some(Value::Number(number)) => Ok(number),
        Some(_) => Err(damaged(key, "it is not a number")),
    }
}

/// A row that is not what it should be.
pub(crate) fn damaged(key: &str, why: impl Into<String>) -> StoreError {
    StoreError::Damaged { what: key.to_owned(), why: why.into() }
}

/// What an embedded store has to bring along.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Its rows, as of now.
    fn rows(&self) -> &dyn Rows;

    /// Does one write, after all earlier ones; returns when it is durable.
    async fn write(&self, write: Write) -> Result<Done, StoreError>;

    /// What was written lately.
    fn feed(&self) -> &Feed;

    /// Whether it can write.
    fn state(&self) -> Result<(), StoreError>;

    /// Holds back all writes; what keeps nothing has no need to.
    async fn freeze(&self) -> Result<Freeze, StoreError> {
        Err(StoreError::Refused("it is in memory only".to_owned()))
    }

    /// Stops writing.
    async fn shut(&self) -> Result<(), StoreError>;
}

#[async_trait]
impl<B: Backend> Store for B {
    fn health(&self) -> Result<(), StoreError> {
        self.state()
    }

    async fn append(&self, records: Vec<InboxRecord>) -> Result<Vec<Appended>, StoreError> {
        Ok(self.write(Write::Append(records)).await?.appended)
    }

    async fn inbox(&self, now: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        read::inbox(self.rows(), now, limit)
    }

    async fn input(&self, source: &GatewayId, id: &str) -> Result<Option<InboxRecord>, StoreError> {
        read::input(self.rows(), source, id)
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError> {
        read::case(self.rows(), id)
    }

    async fn is_closed(&self, id: &CaseId) -> Result<bool, StoreError> {
        read::is_closed(self.rows(), id)
    }

    async fn open_cases_of(&self, customer: &str) -> Result<Vec<CaseId>, StoreError> {
        read::open_cases_of(self.rows(), customer)
    }

    async fn open_cases_of_subscription(
        &self,
        subscription: &str,
    ) -> Result<Vec<CaseId>, StoreError> {
        read::open_cases_of_subscription(self.rows(), subscription)
    }

    async fn case_of_payment(&self, payment: &str) -> Result<Option<CaseId>, StoreError> {
        read::case_of_payment(self.rows(), payment)
    }

    async fn customer(&self, id: &str) -> Result<Option<Customer>, StoreError> {
        read::customer(self.rows(), id)
    }

    async fn cards(&self, keys: &[CardKey]) -> Result<BTreeMap<CardKey, Card>, StoreError> {
        read::cards(self.rows(), keys)
    }

    async fn learned(&self) -> Result<Arc<Learned>, StoreError> {
        read::learned(self.rows())
    }

    async fn reputation(&self) -> Result<Reputation, StoreError> {
        read::reputation(self.rows())
    }

    async fn outcomes(&self, from: u64) -> Result<Vec<Outcome>, StoreError> {
        read::outcomes(self.rows(), from)
    }

    async fn policy(&self, version: &str) -> Result<Option<Policy>, StoreError> {
        read::policy(self.rows(), version)
    }

    async fn policies(&self) -> Result<BTreeMap<String, Policy>, StoreError> {
        read::policies(self.rows())
    }

    async fn put_policy(&self, policy: &Policy) -> Result<(), StoreError> {
        self.write(Write::Policy(Box::new(policy.clone()))).await.map(drop)
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let touched = Feed::of(&commit);
        self.write(Write::Commit(Box::new(commit))).await?;
        self.feed().note(touched);
        Ok(())
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<CaseId>, StoreError> {
        read::due(self.rows(), now, limit)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        read::next_due(self.rows())
    }

    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        Ok(self.claim_within(now, &Room::any(limit)).await?.entries)
    }

    async fn claim_within(&self, now: Timestamp, room: &Room) -> Result<Claimed, StoreError> {
        Ok(self.write(Write::Claim { now, room: room.clone() }).await?.claimed)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        read::backlog(self.rows())
    }

    async fn list_cases(
        &self,
        filter: &CaseFilter,
        after: Option<&CaseId>,
        limit: usize,
    ) -> Result<Page<Case>, StoreError> {
        read::list_cases(self.rows(), filter, after, limit)
    }

    async fn changes(&self, mark: Option<u64>) -> Result<Changes, StoreError> {
        Ok(self.feed().since(mark))
    }

    async fn count_cases(&self) -> Result<BTreeMap<State, u64>, StoreError> {
        read::count_cases(self.rows())
    }

    async fn ledger(&self, case: &CaseId) -> Result<Vec<LedgerEntry>, StoreError> {
        read::ledger(self.rows(), case)
    }

    async fn messages_of(&self, case: &CaseId) -> Result<Vec<MessageRecord>, StoreError> {
        read::messages_of(self.rows(), case)
    }

    async fn cases_written_to(&self, address: &str) -> Result<Vec<CaseId>, StoreError> {
        read::cases_written_to(self.rows(), address)
    }

    async fn list_messages(
        &self,
        after: Option<&MessageId>,
        limit: usize,
    ) -> Result<Page<MessageRecord>, StoreError> {
        read::list_messages(self.rows(), after, limit)
    }

    async fn link_key(&self) -> Result<[u8; 32], StoreError> {
        read::link_key(self.rows())
    }

    async fn test_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        read::test_clock(self.rows())
    }

    async fn put_test_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(Write::TestClock(now)).await.map(drop)
    }

    async fn held_since(&self) -> Result<Option<Timestamp>, StoreError> {
        read::held_since(self.rows())
    }

    async fn hold(&self, since: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(Write::Hold(since)).await.map(drop)
    }

    async fn restored(&self) -> Result<Option<Restoring>, StoreError> {
        read::restored(self.rows())
    }

    async fn put_restored(&self, restoring: Restoring) -> Result<(), StoreError> {
        self.write(Write::Restored(restoring)).await.map(drop)
    }

    async fn export(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ExportRecord>, StoreError> {
        portable::export(self.rows(), after, limit)
    }

    async fn freeze(&self) -> Result<Freeze, StoreError> {
        Backend::freeze(self).await
    }

    async fn import(&self, records: Vec<ExportRecord>) -> Result<(), StoreError> {
        let done = self.write(Write::Import(records)).await.map(drop);
        self.feed().forget();
        done
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.shut().await
    }
}
