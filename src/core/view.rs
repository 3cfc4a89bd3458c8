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
use super::schema::{one_of, shown};
use super::trial::Arm;

shown! {
    /// One failed invoice on its way back.
    as "Case" CaseView<'a> {
        /// Derived from gateway and invoice.
        id: &'a CaseId,
        /// Where it stands.
        state: State,
        /// Why, in one plain sentence.
        reason: &'a str,
        /// The billing gateway.
        gateway: &'a GatewayId,
        /// The billing gateway's id of the invoice.
        invoice: &'a str,
        /// Its id of the customer.
        customer: Option<&'a str>,
        /// Its id of the subscription.
        subscription: Option<&'a str>,
        /// What the customer buys, in words.
        description: Option<&'a str>,
        /// What is owed now.
        amount: Money,
        /// When the first failure became known.
        opened_at: Timestamp,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// What brought the money back.
        recovered_by: Option<RecoveredBy>,
        /// The newest refusal.
        decline: Option<DeclineView<'a>>,
        /// The card was changed since the last refusal.
        card_updated: bool,
        /// Contradictions that a person should look at.
        flags: &'a [String],
        /// How often the billing gateway itself has tried.
        native_attempts: u32,
        /// Whether it still plans to.
        native_retry: Option<NativeRetry>,
        /// When.
        next_native_attempt_at: Option<Timestamp>,
        /// Our attempts, oldest first.
        attempts: Vec<AttemptView<'a>>,
        /// The messages, oldest first.
        messages: Vec<CaseMessageView<'a>>,
        /// Messages of other cases of the customer that speak of this one too.
        went_along: Vec<AlongView<'a>>,
        /// What comes next.
        next: &'a Next,
        /// The policy that it keeps.
        policy_version: &'a str,
        /// `shadow`: it is only planned; else `live`.
        mode: &'static str,
        /// Whether it is held out of the smart schedule, or compared with those that are.
        arm: Option<Arm>,
    }
}

shown! {
    /// One attempt of ours to charge.
    as "Attempt" AttemptView<'a> {
        /// Its id; the gateway's idempotency key is made from it.
        id: &'a AttemptId,
        /// Counted from 1.
        number: u32,
        /// Through which gateway.
        gateway: &'a GatewayId,
        /// When it was sent, or decided.
        at: Timestamp,
        /// How it came out.
        outcome: AttemptOutcome,
        /// How much.
        amount: Money,
        /// The gateway's id of the charge.
        payment: Option<&'a str>,
        /// When the outcome became known.
        settled_at: Option<Timestamp>,
        /// It was given back, or is about to be.
        refunded: bool,
        /// Why it was refused.
        decline: Option<DeclineView<'a>>,
        /// What was decided, and why.
        decision: &'a Decision,
    }
}

shown! {
    /// Why a charge was refused.
    as "Decline" DeclineView<'a> {
        /// The gateway's own code.
        code: Option<&'a str>,
        /// The issuer's.
        network_code: Option<&'a str>,
        /// Our category.
        category: Category,
        /// What the network ordered.
        advice: Advice,
    }
}

shown! {
    /// One message of a case. What it said is in the list of messages.
    as "CaseMessage" CaseMessageView<'a> {
        /// Its id.
        id: &'a MessageId,
        /// What it says.
        kind: MessageKind,
        /// How it went.
        channel: Channel,
        /// In which language, once rendered.
        locale: Option<&'a str>,
        /// When it was decided, then when it was sent.
        at: Timestamp,
        /// How far it got.
        status: StatusView,
        /// Further open cases of the customer that it speaks of.
        with: &'a [CaseId],
        /// The message that did not arrive, in whose place this one went.
        in_place_of: Option<&'a MessageId>,
        /// What became of it after it was handed over.
        happened: HappenedView,
    }
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
    /// In shadow mode: it would have gone out.
    Withheld,
}

one_of! {
    "MessageStatus" StatusView { Dropped, Failed, Queued, Sent, Uncertain, Withheld }
}

impl From<MessageStatus> for StatusView {
    fn from(status: MessageStatus) -> Self {
        match status {
            MessageStatus::Dropped => Self::Dropped,
            MessageStatus::Failed => Self::Failed,
            MessageStatus::Queued => Self::Queued,
            MessageStatus::Sent => Self::Sent,
            MessageStatus::Unknown => Self::Uncertain,
            MessageStatus::Withheld => Self::Withheld,
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
            Self::Withheld => "withheld",
        }
    }
}

shown! {
    /// What became of a message after it was handed over.
    as "Happened" HappenedView {
        /// In the mailbox, or on the phone.
        delivered_at: Option<Timestamp>,
        /// First opened by a person, or by nobody knows whom.
        opened_at: Option<Timestamp>,
        /// First fetched by a machine.
        prefetched_at: Option<Timestamp>,
        /// A link was followed, as the provider tells.
        clicked_at: Option<Timestamp>,
        /// The customer did something on the page after it.
        acted_at: Option<Timestamp>,
        /// It did not arrive.
        undelivered_at: Option<Timestamp>,
        /// Reported as unwanted.
        complained_at: Option<Timestamp>,
        /// The customer stopped the reminders with it.
        unsubscribed_at: Option<Timestamp>,
    }
}

shown! {
    /// A message of another case that speaks of this one too.
    as "WentAlong" AlongView<'a> {
        /// Which message.
        message: &'a MessageId,
        /// Whose.
        case: &'a CaseId,
    }
}

shown! {
    /// One entry of a case's ledger.
    as "LedgerEntry" EntryView<'a> {
        /// Its number within the case, from 1.
        sequence: u64,
        /// When.
        at: Timestamp,
        /// Its kind.
        kind: EntryKind,
        /// What happened, in one plain sentence.
        text: &'a str,
        /// The decision, where it is one.
        decision: Option<&'a Decision>,
    }
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
            mode: if case.shadow { "shadow" } else { "live" },
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
