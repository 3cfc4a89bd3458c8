//! Inputs: all that can happen to a case.
//!
//! Why here: one closed list of what triggers a step. Whatever comes from outside (events, a
//! person's action, a customer's click) is in the inbox first, so that it is applied exactly once.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::delivery::Report;
use super::effect::Outcome;
use super::event::Event;
use super::ids::{CaseId, EffectId, MessageId};
use super::policy::MessageKind;

/// What happened to the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The customer's record changed: reachability, exclusion or payment methods.
    CustomerChanged,
    /// A timer of the case is due.
    Due,
    /// A gateway told us something.
    Event(Box<Event>),
    /// A person did something on the dashboard, by the API or the command line.
    Operator(OperatorAction),
    /// A provider told what became of a message.
    Delivery(MessageId, Report),
    /// An effect came back.
    Outcome(EffectId, Box<Outcome>),
    /// The customer did something on the hosted page.
    Page(PageAction),
    /// The store is a copy of before, since that moment.
    Restored(Timestamp),
    /// Another case of the customer wrote to them of this one too.
    Together(Together),
}

/// What a message of one case means to another case of the same customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Together {
    /// It lists this case's invoice.
    Joined {
        /// Which message.
        message: MessageId,
        /// Whose.
        lead: CaseId,
        /// What it says.
        kind: MessageKind,
        /// For when it was decided.
        at: Timestamp,
    },
    /// It never left.
    Left {
        /// Which message.
        message: MessageId,
    },
}

/// What a person of the merchant can do to a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum OperatorAction {
    /// It was paid elsewhere: record it and end the case.
    MarkPaid,
    /// Go on under another policy.
    MovePolicy {
        /// The version of the policy, which is in the store.
        to: String,
    },
    /// Write something down; nothing else happens.
    Note {
        /// In the person's words.
        text: String,
    },
    /// Do nothing until `until`, or until resumed.
    Pause {
        /// When to go on by itself.
        until: Option<Timestamp>,
    },
    /// Go on.
    Resume,
    /// Try now, as far as the networks allow.
    Retry,
    /// End the case.
    Stop {
        /// Why, in the person's words.
        reason: Option<String>,
    },
    /// Send the customer the link, on the channel that reaches them, as soon as the contact policy
    /// allows.
    Write,
}

/// What a customer can do on the hosted page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum PageAction {
    /// Says that it is paid.
    AlreadyPaid,
    /// Went to the gateway's page to change the card.
    CardUpdateOpened,
    /// Asked to be charged on this day.
    MoreTime {
        /// The day, in the customer's zone.
        day: Date,
    },
    /// Went to the gateway's page where the invoice is paid by any means.
    OtherWayOpened,
    /// Asked to try the same card again.
    Retry,
    /// Asked for no more reminders.
    StopReminders,
}
