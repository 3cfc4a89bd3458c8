//! Answers that are kept under an idempotency key.
//!
//! Why here: a program that did not hear the answer asks again, maybe of another process or after
//! a crash; so the key is durable before anything is done under it, and the answer after.
//!
//! What must stay true: of two requests under one key only one is done at a time; what was
//! answered is not done again for as long as it is kept; a request whose process died is done
//! again from its start, under the same key and as of the same moment.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{SideRecord, SideTable, SideWrite, Store, StoreError};

/// How long an answer is kept, by the real clock: clients repeat themselves in real time.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(48);

/// So long a process that shares its store is waited for. It says in between that it lives.
pub const HOLDS_FOR: SignedDuration = SignedDuration::from_secs(60);

/// Longest answer that is kept.
pub const LONGEST: usize = 256 * 1024;

/// How often a record that changes meanwhile is looked at again.
const TRIES: usize = 5;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub kind: String,
    /// The body.
    pub body: String,
}

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The digest of the request.
    asked: String,
    /// When it was first begun, by the service's clock.
    begun_at: Timestamp,
    /// Which process does it.
    owner: String,
    /// It lives until then at least, by the real clock.
    held_until: Timestamp,
    /// `None`: it is under way, or its process died.
    answer: Option<Answer>,
}

/// A request that asks to be done under a key.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The digest of the key.
    pub key: String,
    /// The digest of the request.
    pub asked: String,
    /// The process that would do it.
    pub owner: String,
    /// The service's clock.
    pub now: Timestamp,
}

/// What is to be done with it.
#[derive(Debug)]
pub enum Begin {
    /// It was answered before.
    Answered(Answer),
    /// Do it: nobody else does.
    Do(Box<Ticket>),
    /// The key belongs to another request.
    Other,
    /// Somebody does it at this moment.
    UnderWay,
}

/// The right to do a request.
#[derive(Debug)]
pub struct Ticket {
    record: SideRecord,
    kept: Kept,
    is_again: bool,
}

/// Takes the key for this request, durably.
pub async fn begin(
    store: &dyn Store,
    asked: &Asked,
    real_now: Timestamp,
) -> Result<Begin, StoreError> {
    let fresh = Kept {
        asked: asked.asked.clone(),
        begun_at: asked.now,
        owner: asked.owner.clone(),
        held_until: real_now + HOLDS_FOR,
        answer: None,
    };
    for _ in 0..TRIES {
        let found = store.side(SideTable::Kept, &asked.key).await?;
        let ticket = match found {
            None => {
                let record = SideRecord::new(SideTable::Kept, asked.key.as_str(), real_now);
                Ticket { record, kept: fresh.clone(), is_again: false }
            }
            Some(record) => {
                let kept: Kept = record.read()?;
                if kept.asked != asked.asked {
                    return Ok(Begin::Other);
                }
                let elsewhere = kept.owner != asked.owner && store.shared().is_some();
                match kept.answer {
                    Some(answer) => return Ok(Begin::Answered(answer)),
                    None if elsewhere && real_now < kept.held_until => {
                        return Ok(Begin::UnderWay);
                    }
                    None => {
                        let kept = Kept { begun_at: kept.begun_at, ..fresh.clone() };
                        Ticket { record: record.next(), kept, is_again: true }
                    }
                }
            }
        };
        match ticket.write(store).await {
            Ok(()) => return Ok(Begin::Do(Box::new(ticket))),
            Err(StoreError::Changed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Begin::UnderWay)
}

impl Ticket {
    /// When the request was first begun, by the service's clock.
    pub fn begun_at(&self) -> Timestamp {
        self.kept.begun_at
    }

    /// Whether a process that died may have done it, or a part.
    pub fn is_again(&self) -> bool {
        self.is_again
    }

    async fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        store.write_sides(vec![self.record.clone().with(&self.kept).into()]).await
    }

    /// Says that its process lives.
    pub async fn hold(&mut self, store: &dyn Store, real_now: Timestamp) -> Result<(), StoreError> {
        self.kept.held_until = real_now + HOLDS_FOR;
        self.record = self.record.next();
        self.write(store).await
    }

    /// It is done.
    pub async fn keep(mut self, store: &dyn Store, answer: Answer) -> Result<(), StoreError> {
        self.kept.answer = Some(answer);
        self.record = self.record.next();
        self.write(store).await
    }

    /// Nothing was done: it may be asked for again as if it had never been.
    pub async fn give_back(self, store: &dyn Store) -> Result<(), StoreError> {
        store.write_sides(vec![SideWrite::Remove(SideTable::Kept, self.record.key)]).await
    }
}
