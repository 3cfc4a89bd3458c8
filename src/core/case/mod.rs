//! The recovery case: one failed invoice on its way back, as a state machine.
//!
//! Why here: this is what recoup is. [`step`](step::step) takes one input and the time, changes the
//! case, and returns the effects to ask for and the ledger entries to keep. No clock, no IO, no
//! randomness: the same inputs give the same steps, byte for byte (design I7).
//!
//! What must stay true:
//! - at most one attempt is in flight or unknown, and nothing is charged meanwhile (I2);
//! - an ended case asks for no charge, and for no message but the thank-you (I5);
//! - a failure never reopens a case that was paid.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::customer::{Channel, Customer, PaymentMethod};
use super::decline::Decline;
use super::delivery::Track;
use super::effect::{ChargeOrder, CheckPurpose};
use super::event::NativeRetry;
use super::ids::{CardKey, CaseId, EffectId, GatewayId, MessageId};
use super::ledger::Decision;
use super::money::Money;
use super::policy::{MessageKind, Policy};
use super::routing::Route;
use super::trial::{Arm, Refusal};
use together::Along;

mod attempts;
mod blank;
mod cards;
mod checks;
mod delivery;
mod ending;
pub mod events;
pub mod evidence;
pub mod leaving;
mod moving;
mod native;
pub mod news;
mod outcomes;
pub mod page;
mod people;
mod reminders;
mod restored;
mod routes;
mod shadow;
pub mod step;
#[cfg(test)]
mod tests;
pub mod together;

#[cfg(test)]
pub(crate) use tests::{a_case as tests_case, policy as tests_policy};

pub use cards::MovedTo;
use page::PageRecord;
pub use restored::Restored;

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// One attempt is in flight.
    Attempting,
    /// Card update or authentication is needed; reminders run.
    AwaitingCustomer,
    /// An outcome is unknown: look up, charge nothing.
    AwaitingOutcome,
    /// Ended: nothing helped.
    Exhausted,
    /// The billing gateway's own retries still run.
    Monitoring,
    /// A person, or a contradiction, holds it.
    Paused,
    /// Ended: paid.
    Recovered,
    /// The next attempt is due at a known time.
    Scheduled,
    /// Ended: cancelled, voided, refunded, disputed, excluded or stopped by a person.
    Stopped,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Monitoring,
        Self::Scheduled,
        Self::Attempting,
        Self::AwaitingOutcome,
        Self::AwaitingCustomer,
        Self::Paused,
        Self::Recovered,
        Self::Exhausted,
        Self::Stopped,
    ];

    /// Whether the case is over.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Exhausted | Self::Recovered | Self::Stopped)
    }

    /// The name as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempting => "attempting",
            Self::AwaitingCustomer => "awaiting_customer",
            Self::AwaitingOutcome => "awaiting_outcome",
            Self::Exhausted => "exhausted",
            Self::Monitoring => "monitoring",
            Self::Paused => "paused",
            Self::Recovered => "recovered",
            Self::Scheduled => "scheduled",
            Self::Stopped => "stopped",
        }
    }
}

/// What brought the money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveredBy {
    /// The customer changed the card (or confirmed with the bank), and it was charged.
    CardUpdate,
    /// The customer, the billing gateway's own retry, or a person: not our doing.
    Elsewhere,
    /// A retry through another gateway than the billing gateway.
    OtherGateway,
    /// A retry through the billing gateway.
    Retry,
}

/// How an attempt came out, as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Paid.
    Approved,
    /// Refused.
    Declined,
    /// Definitely not charged, for a technical reason.
    Error,
    /// Nobody knows yet, also while it is in flight.
    Unknown,
    /// In shadow mode: it would have been made now; nothing was sent.
    Withheld,
}

/// One attempt of ours to charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The charge, exactly as it is sent each time.
    pub charge: ChargeOrder,
    /// The card it is counted on, where one is known.
    pub card: Option<CardKey>,
    /// When it was decided.
    pub at: Timestamp,
    /// When it was first and last handed to the gateway.
    pub sent: Option<(Timestamp, Timestamp)>,
    /// How often it was handed over.
    pub sends: u32,
    /// How often its outcome was looked up in vain.
    pub look_ups: u32,
    /// How it came out.
    pub outcome: AttemptOutcome,
    /// When that became known.
    pub settled_at: Option<Timestamp>,
    /// The gateway's id of the charge, once known.
    pub payment: Option<String>,
    /// Why it was refused.
    pub decline: Option<Decline>,
    /// Whether it used up one of the schedule's attempts.
    pub on_schedule: bool,
    /// A person asked for it: nothing is learned from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// It was given back, or is about to be.
    pub refunded: bool,
    /// What was decided, and why.
    pub decision: Decision,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// The case ended before it went out.
    Dropped,
    /// Not accepted.
    Failed,
    /// In the outbox.
    Queued,
    /// Accepted by the provider.
    Sent,
    /// We died while sending; not sent again.
    Unknown,
    /// In shadow mode: it would have gone out now; nothing was sent.
    Withheld,
}

/// One message of a case. What it said is in the store's message record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The effect that sends it.
    pub effect: EffectId,
    /// What it says.
    pub kind: MessageKind,
    /// How it went.
    pub channel: Channel,
    /// Which step of the campaign it is of, from 1; none: it is the thank-you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// In which language, once rendered.
    pub locale: Option<String>,
    /// When it was decided, then when it was sent.
    pub at: Timestamp,
    /// How far it got.
    pub status: MessageStatus,
    /// Further open cases of the customer that it speaks of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<CaseId>,
    /// What became of it after it was handed over.
    #[serde(default, skip_serializing_if = "Track::is_empty")]
    pub track: Track,
}

/// The timers of a case, as data. The store indexes the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// Look once more before giving up.
    ClosingSweep,
    /// Look up the unknown attempt.
    LookUp,
    /// The billing gateway's own retry should be over.
    NativeRetry,
    /// The next attempt.
    NextAttempt,
    /// A pause ends.
    PauseEnd,
    /// The next step of the campaign.
    Reminder,
}

/// What an effect that has not come back was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// Adopting a payment method.
    Adopt,
    /// A charge.
    Charge,
    /// A look-up.
    Check,
    /// The final actions.
    Close,
    /// Recording the payment.
    MarkPaid,
    /// A message that can still be taken back.
    Message,
    /// A refund.
    Refund,
}

/// The next step, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// When.
    pub at: Option<Timestamp>,
    /// What: `attempt`, `look_up`, `reminder`, `wait` …
    pub what: String,
    /// Why, in one plain sentence.
    pub why: String,
}

/// One failed invoice on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Derived from gateway and invoice.
    pub id: CaseId,
    /// Counts the steps; the store refuses a commit over another revision.
    pub revision: u64,
    /// The policy that it began with, and keeps.
    pub policy_version: String,
    /// It is only planned, for good: nothing is charged for it and nobody is written to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Whether it is held out of the smart schedule, or compared with those that are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// The billing gateway.
    pub gateway: GatewayId,
    /// The invoice.
    pub invoice: String,
    /// The billing gateway's id of the customer.
    pub customer: Option<String>,
    /// The subscription.
    pub subscription: Option<String>,
    /// What the customer buys, in words.
    pub description: Option<String>,
    /// What is owed now.
    pub amount: Money,
    /// When the first failure became known.
    pub opened_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// Why, in one plain sentence.
    pub reason: String,
    /// The newest refusal.
    pub decline: Option<Decline>,
    /// The refusal that was known before our first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_refusal: Option<Refusal>,
    /// When that was.
    pub declined_at: Timestamp,
    /// The card that was refused, by the billing gateway's token.
    pub token: Option<String>,
    /// Its key.
    pub card: Option<CardKey>,
    /// From when the schedule and the campaign count: the opening, or the last card update.
    pub window_from: Timestamp,
    /// The billing gateway's own attempts.
    pub native_attempts: u32,
    /// Whether it still plans one.
    pub native_retry: Option<NativeRetry>,
    /// When.
    pub native_next_at: Option<Timestamp>,
    /// Our attempts.
    pub attempts: Vec<Attempt>,
    /// Technical retries in a row.
    pub technical: u32,
    /// The attempt that is planned is a technical retry: it uses up nothing of the schedule.
    pub off_schedule: bool,
    /// How often in a row nothing could be verified before an attempt.
    pub unverified: u32,
    /// The store was restored, and what happened since is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// Steps of the campaign that are done or skipped.
    pub steps_done: u32,
    /// The messages.
    pub messages: Vec<Message>,
    /// Messages of other cases of the customer that it went along in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<Along>,
    /// Why the next message waits, as it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_because: Option<String>,
    /// What is waited for.
    pub timers: BTreeMap<Timer, Timestamp>,
    /// Effects that have not come back.
    pub pending: BTreeMap<EffectId, Pending>,
    /// Ids of payments that are known to be this case's.
    pub payments: Vec<String>,
    /// The billing gateway's payment that an event named as the one that paid the invoice.
    pub paid_by: Option<String>,
    /// The invoice could not be marked as paid: the billing gateway may take money for it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmarked: bool,
    /// What the customer asked for on our page.
    #[serde(default, skip_serializing_if = "PageRecord::is_empty")]
    pub page: PageRecord,
    /// The customer went through our page to the gateway's since the last refusal.
    pub page_used: bool,
    /// The expiry of the renewed card that the case was restarted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_to: Option<String>,
    /// The card of the case is one that the customer gave at another gateway than the billing one,
    /// and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<MovedTo>,
    /// The card was changed since the last refusal.
    pub card_updated: bool,
    /// A person asked for the next attempt: the schedule does not hold it, the networks do.
    pub forced: bool,
    /// When the look-up that is under way began: an older answer proves nothing.
    pub check_began_at: Option<Timestamp>,
    /// What it is for.
    pub check_purpose: Option<CheckPurpose>,
    /// The route that waits for its pre-flight look-up.
    pub route: Option<Route>,
    /// Why that route, and what else there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<Decision>,
    /// What brought the money back.
    pub recovered_by: Option<RecoveredBy>,
    /// When nobody verified it; contradictions that a person should look at.
    pub flags: Vec<String>,
    /// The next step, for people.
    pub next: Next,
    /// The last ledger sequence.
    pub ledger_sequence: u64,
    /// The last effect sequence.
    pub effect_sequence: u64,
}

impl Case {
    /// Under which id the customer's record is kept. A failure that names no customer has a record
    /// of its own.
    pub fn customer_key(&self) -> String {
        customer_key(self.customer.as_deref(), &self.invoice)
    }

    /// The payment method that the case is charged to, as far as it is known.
    pub fn method<'a>(&self, customer: &'a Customer) -> Option<&'a PaymentMethod> {
        match &self.moved_to {
            Some(moved) => customer.method(&moved.gateway, &moved.token),
            None => customer.method(&self.gateway, self.token.as_deref()?),
        }
    }

    /// When the case is to be looked at next without anything happening.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.timers.values().min().copied()
    }

    /// The attempt that is in flight or whose outcome is unknown.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|a| a.outcome == AttemptOutcome::Unknown)
    }
}

/// Under which id the record of an invoice's customer is kept.
pub fn customer_key(customer: Option<&str>, invoice: &str) -> String {
    customer.map_or_else(|| format!("invoice:{invoice}"), ToOwned::to_owned)
}

/// The cards whose records a step may need: those of the customer's methods and the case's own.
pub fn cards_around(
    customer: &Customer,
    case: Option<&Case>,
    policy: &Policy,
) -> BTreeSet<CardKey> {
    let mut cards = customer.cards();
    cards.extend(customer.former_cards().into_iter().map(|(former, _)| former));
    if let Some(case) = case {
        cards.extend(case.card.clone());
        cards.extend(case.attempts.iter().filter_map(|a| a.card.clone()));
        cards.extend(case.route.as_ref().map(|route| route.card.clone()));
    }
    // The card that stands for "whatever the billing gateway charges the invoice to".
    if let Some(billing) = policy.billing() {
        cards.insert(CardKey::of_token(&billing.id, &customer.id));
    }
    cards
}
