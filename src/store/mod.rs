//! The store: everything that must survive, behind one small trait of use cases.
//!
//! Why here: http and worker name no concrete store. One conformance suite
//! (`tests/conformance`) runs over every implementation.
//!
//! What must stay true:
//! - a method that writes returns only when the write is durable (design I3);
//! - [`Store::commit`] is one transaction: case, timers, ledger, outbox, cards, customers, or none;
//! - an input of the inbox is applied by the commit that names it, and by no other;
//! - after any sync error the store refuses every write: fail-stop, the gateway sends again.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::card::Card;
use crate::core::case::{Case, State};
use crate::core::consent::{Consent, Standing};
use crate::core::customer::{Channel, Customer, PaymentMethod, Profile};
use crate::core::delivery::Report;
use crate::core::effect::Effect;
use crate::core::event::Contact;
use crate::core::ids::{CardKey, CaseId, EffectId, GatewayId, MessageId};
use crate::core::input::{OperatorAction, PageAction};
use crate::core::learning::outcome::Outcome;
use crate::core::learning::routing::Routing;
use crate::core::learning::{Learned, Relearn};
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::{ChannelOrder, Reputation};

use feed::Changes;
pub use list::{Backlog, CaseFilter, Page, Restoring};
pub use message::MessageRecord;

pub mod erase;
pub mod feed;
mod freeze;
pub mod kept;
mod keys;
mod list;
pub mod memory;
mod message;
pub mod outbound;
pub mod postgres;
pub(crate) mod record;
mod room;
mod rows;
mod shared;
mod side;
pub mod sled;
pub use freeze::Freeze;
use record::CURE;
pub use room::{Claimed, Room};
pub use rows::portable::{ExportRecord, canonical};
pub use shared::{Returned, Shared};
pub use side::{SideRecord, SideTable, SideWrite, Sides};

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The input, or the outcome of the effect, was applied by an earlier commit, or was never
    /// there. Nothing was written: load everything again and see what is still to do.
    #[error("apply {what}: it is applied already, or was never there")]
    Applied {
        /// Which one.
        what: String,
    },
    /// It cannot be reached now. What was being written may be there or not: read it again.
    #[error("reach the database: {0}")]
    Away(String),
    /// Somebody else changed the case meanwhile: load it again and repeat the step.
    #[error("commit case {case}: it was changed meanwhile")]
    Conflict {
        /// Which case.
        case: CaseId,
    },
    /// Somebody else changed the record meanwhile: nothing was written; read it again.
    #[error("write {what}: it was changed meanwhile")]
    Changed {
        /// Which record.
        what: String,
    },
    /// The bytes are not what was written.
    #[error("read {what}: {why}; the store is damaged: {CURE}")]
    Damaged {
        /// Which record.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has taken over what this one was doing. Nothing was written.
    #[error("go on with this process's work: another process has taken it over")]
    Deposed,
    /// Nearly full, or its files were removed: nothing was written; it goes on when mended.
    #[error("write to the store: {0}")]
    Full(String),
    /// Another process has it.
    #[error("open the store at {path}: another process holds it")]
    Locked {
        /// Where.
        path: String,
    },
    /// It cannot be opened as it is; the text says what to do.
    #[error("open the store at {path}: {why}")]
    Unusable {
        /// Where.
        path: String,
        /// What is wrong, and the cure.
        why: String,
    },
    /// Full, read-only or failed: nothing was kept.
    #[error("write to the store: {0}")]
    Refused(String),
}

/// What comes from outside, before it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxBody {
    /// A customer's record is set by the merchant: reachability, channels, exclusion.
    Customer {
        /// The billing gateway's id of the customer.
        customer: String,
        /// Reachability; what is absent stays.
        contact: Contact,
        /// Channels that the customer may be contacted on.
        channels: Option<Vec<Channel>>,
        /// Never charged and never contacted.
        excluded: Option<bool>,
        /// What campaigns go by.
        #[serde(default, skip_serializing_if = "Profile::is_empty")]
        profile: Profile,
    },
    /// A customer said yes or no to a channel: a reply, a one-click link, a provider's callback.
    Consent {
        /// The key of the customer's record (`Case::customer_key`).
        customer: String,
        /// What they said.
        said: Consent,
    },
    /// What it was is erased; that it came is not.
    Emptied,
    /// A person changes what was learned.
    Learning(Relearn),
    /// A person's action on a case.
    Operator {
        /// Which case.
        case: CaseId,
        /// What to do.
        action: OperatorAction,
    },
    /// A customer's action on the hosted page.
    Page {
        /// Which case.
        case: CaseId,
        /// What they did.
        action: PageAction,
    },
    /// A customer's payment methods at the gateways, as the merchant knows them.
    PaymentMethods {
        /// The billing gateway's id of the customer.
        customer: String,
        /// The methods; those of the gateways named replace what was known there.
        methods: Vec<PaymentMethod>,
    },
    /// A provider told what became of a message.
    Delivery {
        /// Whose message.
        case: CaseId,
        /// Which.
        message: MessageId,
        /// What became of it.
        report: Report,
    },
    /// A person stops a channel for all customers, or lifts a stop.
    Channel {
        /// Which.
        channel: Channel,
        /// What they order.
        order: ChannelOrder,
    },
    /// Somebody answered a message with a word that means yes or no to further ones.
    Reply {
        /// On which channel.
        channel: Channel,
        /// The digest of the address that the answer came from.
        address: String,
        /// What they said.
        standing: Standing,
        /// The word, one of a list.
        word: String,
        /// When.
        at: Timestamp,
    },
    /// An authentic webhook, with its raw bytes.
    Webhook {
        /// The raw body.
        #[serde(with = "record::base64_bytes")]
        body: Vec<u8>,
        /// The headers that its parser needs (never the signature).
        headers: Vec<(String, String)>,
    },
}

/// One input from outside. Its key is (source, id).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxRecord {
    /// The gateway's id; `api`, `page` or `cli` for people.
    pub source: GatewayId,
    /// The event id, or the idempotency key.
    pub id: String,
    /// When it arrived, by the service's clock.
    pub received_at: Timestamp,
    /// What it is.
    pub body: InboxBody,
}

/// Whether an input was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Seen before: nothing was written.
    Duplicate,
    /// New, under this number.
    New(u64),
}

/// An input that waits to be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxEntry {
    /// Its number: inputs are applied in this order.
    pub number: u64,
    /// The input.
    pub record: InboxRecord,
    /// How often it was taken up in vain.
    pub tries: u32,
    /// Not to be taken up before.
    pub not_before: Option<Timestamp>,
}

/// An effect in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The effect.
    pub effect: Effect,
    /// How often it was tried in vain and may be tried again.
    pub tries: u32,
    /// The run of the process that claimed it; `None`: nobody has begun it.
    pub claimed_by: Option<u64>,
}

/// A step's new case with its ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseWrite {
    /// The case; `revision` is the new one, and the store holds `revision - 1` (0: no such case).
    pub case: Case,
    /// Entries to append.
    pub ledger: Vec<LedgerEntry>,
}

/// One transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// Inputs of the inbox that are applied herewith.
    pub applied: Vec<u64>,
    /// Inputs to take up again later: (number, not before).
    pub deferred: Vec<(u64, Timestamp)>,
    /// Inputs that nobody took up, since others were before them: (number, not before). Their
    /// tries are not counted.
    pub postponed: Vec<(u64, Timestamp)>,
    /// Cases with their ledgers; a case stands here once at the most.
    pub cases: Vec<CaseWrite>,
    /// Invoices without a case that are known to be settled, by the case they would have.
    pub closed: Vec<(CaseId, Timestamp)>,
    /// Cards.
    pub cards: Vec<Card>,
    /// Customers.
    pub customers: Vec<Customer>,
    /// New effects. One whose id is in the outbox refuses the commit as a conflict of its case.
    pub effects: Vec<Effect>,
    /// Effects whose outcome is applied herewith. One that is not in the outbox refuses the commit.
    pub done: Vec<EffectId>,
    /// Effects that are taken back if no run has claimed them. One that is claimed, also by an
    /// earlier run, stays: it may have been performed, and its outcome will tell. One that has gone
    /// is passed over.
    pub cancelled: Vec<EffectId>,
    /// Effects to try again: (id, not before). Their claim is released, their tries are counted.
    pub retried: Vec<(EffectId, Timestamp)>,
    /// Messages as sent.
    pub messages: Vec<MessageRecord>,
    /// Customers whose record is removed: they are forgotten.
    pub forgotten: Vec<String>,
    /// Applied inputs whose content is removed; one that waits, or never was, is passed over.
    pub emptied: Vec<u64>,
    /// What was learned of days up to now, where a case taught something. What it says of gateways
    /// is passed over: that stands in the next two.
    pub learned: Option<Arc<Learned>>,
    /// How the messages of each channel were received up to now, where that changed.
    pub reputation: Option<Reputation>,
    /// What attempts taught about their gateways, each under its number. A number that is taken
    /// refuses the commit as applied before.
    pub outcomes: Vec<(u64, Outcome)>,
    /// Everything that was learned about gateways, those outcomes included: kept whole now and
    /// then, since it is large. Outcomes that nothing needs any more go with it.
    pub routing: Option<Arc<Routing>>,
    /// Side records that come with it: outbound events.
    pub side: Vec<SideWrite>,
}

/// Everything that must survive.
#[async_trait]
pub trait Store: Sides {
    /// Whether it can be written to; the reason when not. Cheap: for `/readyz`.
    fn health(&self) -> Result<(), StoreError>;

    /// Appends inputs durably, in order; those seen before are not written again. Concurrent calls
    /// share one flush.
    async fn append(&self, records: Vec<InboxRecord>) -> Result<Vec<Appended>, StoreError>;

    /// Inputs not applied yet and ready at `now`, by number, at most `limit`. Where more are ready
    /// than `limit`, those that were deferred are taken by their time.
    async fn inbox(&self, now: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, StoreError>;

    /// One applied or waiting input as it arrived, by (source, id).
    async fn input(&self, source: &GatewayId, id: &str) -> Result<Option<InboxRecord>, StoreError>;

    /// One case.
    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError>;

    /// Whether the invoice of this case is known to be settled, though it never had a case: a
    /// failure that is told late opens none.
    async fn is_closed(&self, id: &CaseId) -> Result<bool, StoreError>;

    /// The cases of a customer that have not ended.
    async fn open_cases_of(&self, customer: &str) -> Result<Vec<CaseId>, StoreError>;

    /// The cases of a subscription that have not ended: a gateway may tell its end and no customer.
    async fn open_cases_of_subscription(
        &self,
        subscription: &str,
    ) -> Result<Vec<CaseId>, StoreError>;

    /// The case that a gateway's payment id belongs to (from [`Case::payments`]).
    async fn case_of_payment(&self, payment: &str) -> Result<Option<CaseId>, StoreError>;

    /// One customer.
    async fn customer(&self, id: &str) -> Result<Option<Customer>, StoreError>;

    /// Cards; those that nobody has noted are absent.
    async fn cards(&self, keys: &[CardKey]) -> Result<BTreeMap<CardKey, Card>, StoreError>;

    /// What was learned, from cases that ended and from attempts; empty where there were none.
    async fn learned(&self) -> Result<Arc<Learned>, StoreError>;

    /// How the messages of each channel were received; nothing where none went out.
    async fn reputation(&self) -> Result<Reputation, StoreError>;

    /// The outcomes of attempts from this number on that are still kept, oldest first.
    async fn outcomes(&self, from: u64) -> Result<Vec<Outcome>, StoreError>;

    /// The policy of this version.
    async fn policy(&self, version: &str) -> Result<Option<Policy>, StoreError>;

    /// All policies by their versions.
    async fn policies(&self) -> Result<BTreeMap<String, Policy>, StoreError>;

    /// Keeps a policy under its version.
    async fn put_policy(&self, policy: &Policy) -> Result<(), StoreError>;

    /// Applies one step, or a batch of steps over different cases, as one transaction.
    ///
    /// [`StoreError::Conflict`]: a case has another revision, or a ledger number or effect id is
    /// taken. [`StoreError::Applied`]: an input or outcome named here was applied before. In both
    /// cases nothing was written, and the step is to be computed anew.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// Cases with a timer due at `now`, earliest first, at most `limit`. Costs what is due, not
    /// what is open.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<CaseId>, StoreError>;

    /// When the next timer of any case, unclaimed effect or deferred input is due: maybe a time
    /// that has passed. Inputs that wait for their first step are not counted.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Claims effects that are ready at `now` for this run of the process, durably, before they are
    /// performed; at most `limit`, in the order of their time. An effect that an earlier run had
    /// claimed comes back once with that run in `claimed_by`: it may have been performed. What this
    /// run has claimed does not come back unless [`Commit::retried`] releases it.
    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>, StoreError>;

    /// As [`Store::claim`], but of each lane at most what there is room for, however many stand in
    /// another: costs what is claimed, not what waits. What earlier runs had claimed counts only
    /// toward the total.
    async fn claim_within(&self, now: Timestamp, room: &Room) -> Result<Claimed, StoreError> {
        let entries = self.claim(now, room.total).await?;
        Ok(Claimed { entries, ..Claimed::default() })
    }

    /// How many effects wait or are under way, and how many inputs wait; for health and metrics.
    async fn backlog(&self) -> Result<Backlog, StoreError>;

    /// A page of cases, newest first, behind the case `after`.
    async fn list_cases(
        &self,
        filter: &CaseFilter,
        after: Option<&CaseId>,
        limit: usize,
    ) -> Result<Page<Case>, StoreError>;

    /// Which cases and customers were written since `mark`, an earlier answer's; nothing but the
    /// mark of now where that is not known.
    async fn changes(&self, _mark: Option<u64>) -> Result<Changes, StoreError> {
        Ok(Changes::default())
    }

    /// How many cases are in each state.
    async fn count_cases(&self) -> Result<BTreeMap<State, u64>, StoreError>;

    /// The ledger of a case, oldest first.
    async fn ledger(&self, case: &CaseId) -> Result<Vec<LedgerEntry>, StoreError>;

    /// The messages of a case exactly as sent, oldest first.
    async fn messages_of(&self, case: &CaseId) -> Result<Vec<MessageRecord>, StoreError>;

    /// The cases of which a message went to the address with this digest.
    async fn cases_written_to(&self, address: &str) -> Result<Vec<CaseId>, StoreError>;

    /// A page of all messages, newest first, behind `after`.
    async fn list_messages(
        &self,
        after: Option<&MessageId>,
        limit: usize,
    ) -> Result<Page<MessageRecord>, StoreError>;

    /// The key that signs card-update links: 32 random bytes, drawn when the store was made.
    async fn link_key(&self) -> Result<[u8; 32], StoreError>;

    /// The test clock that the store remembers.
    async fn test_clock(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Remembers the test clock.
    async fn put_test_clock(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Since when a person holds everything; `None` while nobody does.
    async fn held_since(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Holds everything from that moment on, or lets everything go on.
    async fn hold(&self, since: Option<Timestamp>) -> Result<(), StoreError>;

    /// When the store was made of a copy, where it was.
    async fn restored(&self) -> Result<Option<Restoring>, StoreError>;

    /// Notes that the store is a copy of before, or that what came since is known.
    async fn put_restored(&self, restoring: Restoring) -> Result<(), StoreError>;

    /// Everything, in the order of keys, as records of `recoup export`; at most `limit` behind
    /// `after`, none at the end. With the link key and personal data: a secret.
    async fn export(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ExportRecord>, StoreError>;

    /// Holds back all writes of this process until what is given back is dropped, so that an export
    /// of many pages is of one moment. Reads go on. A store that has its own way of being copied
    /// refuses.
    async fn freeze(&self) -> Result<Freeze, StoreError> {
        Err(StoreError::Refused("it has no copies of one moment: use its database's own".into()))
    }

    /// Takes over exported records. Refused unless the store is empty or holds the same records.
    /// Further pages may follow; the first other write ends the import.
    async fn import(&self, records: Vec<ExportRecord>) -> Result<(), StoreError>;

    /// Makes everything durable and stops writing.
    async fn close(&self) -> Result<(), StoreError>;

    /// What several processes share, where they can. Else one process has the store to itself.
    fn shared(&self) -> Option<&dyn Shared> {
        None
    }
}
