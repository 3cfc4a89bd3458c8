//! What is shown of a case: in the API, and in the events that leave for the merchant's systems.
//!
//! Why here: the stored values may change their form; what programs read may not (additions are
//! welcome). So nothing stored is serialized to the outside as it is. The types say it twice: they
//! are what is serialized, and what the API's description is made from.
//!
//! What must stay true: no token of a payment method and no link is in a case.

use jiff::Timestamp;
use serde::Serialize;

use super::case::together::Along;
use super::case::{
    Attempt, AttemptOutcome, Case, Message, MessageStatus, Next, RecoveredBy, State,
};
use super::customer::Channel;
use super::decline::{Advice, Category, Decline};
use super::delivery::Track;
use super::event::NativeRetry;
use super::ids::{AttemptId, CaseId, GatewayId, MessageId};
use super::ledger::{Decision, EntryKind, LedgerEntry};
use super::money::Money;
use super::policy::MessageKind;
use super::trial::Arm;

/// One failed invoice on its way back.
#[derive(Debug, Serialize)]
pub struct CaseView<'a> {
    /// Derived from gateway and invoice.
    pub id: &'a CaseId,
    /// Where it stands.
    pub state: State,
    /// Why, in one plain sentence.
    pub reason: &'a str,
    /// The billing gateway.
    pub gateway: &'a GatewayId,
    /// The billing gateway's id of the invoice.
    pub invoice: &'a str,
    /// Its id of the customer.
    pub customer: Option<&'a str>,
    /// Its id of the subscription.
    pub subscription: Option<&'a str>,
    /// What the customer buys, in words.
    pub description: Option<&'a str>,
    /// What is owed now.
    pub amount: Money,
    /// When the first failure became known.
    pub opened_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What brought the money back.
    pub recovered_by: Option<RecoveredBy>,
    /// The newest refusal.
    pub decline: Option<DeclineView<'a>>,
    /// The card was changed since the last refusal.
    pub card_updated: bool,
    /// Contradictions that a person should look at.
    pub flags: &'a [String],
    /// How often the billing gateway itself has tried.
    pub native_attempts: u32,
    /// Whether it still plans to.
    pub native_retry: Option<NativeRetry>,
    /// When.
    pub next_native_attempt_at: Option<Timestamp>,
    /// Our attempts, oldest first.
    pub attempts: Vec<AttemptView<'a>>,
    /// The messages, oldest first.
    pub messages: Vec<CaseMessageView<'a>>,
    /// Messages of other cases of the customer that speak of this one too.
    pub went_along: Vec<AlongView<'a>>,
    /// What comes next.
    pub next: &'a Next,
    /// The policy that it keeps.
    pub policy_version: &'a str,
    /// Whether it is held out of the smart schedule, or compared with those that are.
    pub arm: Option<Arm>,
}

/// One attempt of ours to charge.
#[derive(Debug, Serialize)]
pub struct AttemptView<'a> {
    /// Its id; the gateway's idempotency key is made from it.
    pub id: &'a AttemptId,
    /// Counted from 1.
    pub number: u32,
    /// Through which gateway.
    pub gateway: &'a GatewayId,
    /// When it was sent, or decided.
    pub at: Timestamp,
    /// How it came out.
    pub outcome: AttemptOutcome,
    /// How much.
    pub amount: Money,
    /// The gateway's id of the charge.
    pub payment: Option<&'a str>,
    /// When the outcome became known.
    pub settled_at: Option<Timestamp>,
    /// It was given back, or is about to be.
    pub refunded: bool,
    /// Why it was refused.
    pub decline: Option<DeclineView<'a>>,
    /// What was decided, and why.
    pub decision: &'a Decision,
}

/// Why a charge was refused.
#[derive(Debug, Serialize)]
pub struct DeclineView<'a> {
    /// The gateway's own code.
    pub code: Option<&'a str>,
    /// The issuer's.
    pub network_code: Option<&'a str>,
    /// Our category.
    pub category: Category,
    /// What the network ordered.
    pub advice: Advice,
}

/// One message of a case. What it said is in the list of messages.
#[derive(Debug, Serialize)]
pub struct CaseMessageView<'a> {
    /// Its id.
    pub id: &'a MessageId,
    /// What it says.
    pub kind: MessageKind,
    /// How it went.
    pub channel: Channel,
    /// In which language, once rendered.
    pub locale: Option<&'a str>,
    /// When it was decided, then when it was sent.
    pub at: Timestamp,
    /// How far it got.
    pub status: StatusView,
    /// Further open cases of the customer that it speaks of.
    pub with: &'a [CaseId],
    /// The message that did not arrive, in whose place this one went.
    pub in_place_of: Option<&'a MessageId>,
    /// What became of it after it was handed over.
    pub happened: HappenedView,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusView {
    /// The case ended before it went out.
    Dropped,
    /// Not accepted.
    Failed,
    /// In the outbox.
    Queued,
    /// Accepted by the provider.
    Sent,
    /// The process ended while sending; not sent again.
    Uncertain,
}

impl From<MessageStatus> for StatusView {
    fn from(status: MessageStatus) -> Self {
        match status {
            MessageStatus::Dropped => Self::Dropped,
            MessageStatus::Failed => Self::Failed,
            MessageStatus::Queued => Self::Queued,
            MessageStatus::Sent => Self::Sent,
            MessageStatus::Unknown => Self::Uncertain,
        }
    }
}

impl StatusView {
    /// The name as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Uncertain => "uncertain",
        }
    }
}

/// What became of a message after it was handed over.
#[derive(Debug, Serialize)]
pub struct HappenedView {
    /// In the mailbox, or on the phone.
    pub delivered_at: Option<Timestamp>,
    /// First opened by a person, or by nobody knows whom.
    pub opened_at: Option<Timestamp>,
    /// First fetched by a machine.
    pub prefetched_at: Option<Timestamp>,
    /// A link was followed, as the provider tells.
    pub clicked_at: Option<Timestamp>,
    /// The customer did something on the page after it.
    pub acted_at: Option<Timestamp>,
    /// It did not arrive.
    pub undelivered_at: Option<Timestamp>,
    /// Reported as unwanted.
    pub complained_at: Option<Timestamp>,
    /// The customer stopped the reminders with it.
    pub unsubscribed_at: Option<Timestamp>,
}

/// A message of another case that speaks of this one too.
#[derive(Debug, Serialize)]
pub struct AlongView<'a> {
    /// Which message.
    pub message: &'a MessageId,
    /// Whose.
    pub case: &'a CaseId,
}

/// One entry of a case's ledger.
#[derive(Debug, Serialize)]
pub struct EntryView<'a> {
    /// Its number within the case, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Its kind.
    pub kind: EntryKind,
    /// What happened, in one plain sentence.
    pub text: &'a str,
    /// The decision, where it is one.
    pub decision: Option<&'a Decision>,
}

impl<'a> From<&'a Case> for CaseView<'a> {
    fn from(case: &'a Case) -> Self {
        Self {
            id: &case.id,
            state: case.state,
            reason: &case.reason,
            gateway: &case.gateway,
            invoice: &case.invoice,
            customer: case.customer.as_deref(),
            subscription: case.subscription.as_deref(),
            description: case.description.as_deref(),
            amount: case.amount,
            opened_at: case.opened_at,
            ended_at: case.ended_at,
            recovered_by: case.recovered_by,
            decline: case.decline.as_ref().map(Into::into),
            card_updated: case.card_updated,
            flags: &case.flags,
            native_attempts: case.native_attempts,
            native_retry: case.native_retry,
            next_native_attempt_at: case.native_next_at,
            attempts: case.attempts.iter().map(Into::into).collect(),
            messages: case.messages.iter().map(Into::into).collect(),
            went_along: case.along.iter().map(Into::into).collect(),
            next: &case.next,
            policy_version: &case.policy_version,
            arm: case.arm,
        }
    }
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            id: &attempt.charge.attempt,
            number: attempt.charge.number,
            gateway: &attempt.charge.gateway,
            at: attempt.sent.map_or(attempt.at, |(first, _)| first),
            outcome: attempt.outcome,
            amount: attempt.charge.amount,
            payment: attempt.payment.as_deref(),
            settled_at: attempt.settled_at,
            refunded: attempt.refunded,
            decline: attempt.decline.as_ref().map(Into::into),
            decision: &attempt.decision,
        }
    }
}

impl<'a> From<&'a Decline> for DeclineView<'a> {
    fn from(decline: &'a Decline) -> Self {
        Self {
            code: decline.code.as_deref(),
            network_code: decline.network_code.as_deref(),
            category: decline.category,
            advice: decline.advice,
        }
    }
}

impl<'a> From<&'a Message> for CaseMessageView<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: &message.id,
            kind: message.kind,
            channel: message.channel,
            locale: message.locale.as_deref(),
            at: message.at,
            status: message.status.into(),
            with: &message.with,
            in_place_of: message.track.in_place_of.as_ref(),
            happened: (&message.track).into(),
        }
    }
}

impl From<&Track> for HappenedView {
    fn from(track: &Track) -> Self {
        Self {
            delivered_at: track.delivered_at,
            opened_at: track.opened_at,
            prefetched_at: track.prefetched_at,
            clicked_at: track.clicked_at,
            acted_at: track.acted_at,
            undelivered_at: track.undelivered_at,
            complained_at: track.complained_at,
            unsubscribed_at: track.unsubscribed_at,
        }
    }
}

impl<'a> From<&'a Along> for AlongView<'a> {
    fn from(along: &'a Along) -> Self {
        Self { message: &along.message, case: &along.lead }
    }
}

impl<'a> From<&'a LedgerEntry> for EntryView<'a> {
    fn from(entry: &'a LedgerEntry) -> Self {
        Self {
            sequence: entry.sequence,
            at: entry.at,
            kind: entry.kind,
            text: &entry.text,
            decision: entry.decision.as_ref(),
        }
    }
}
