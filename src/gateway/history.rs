//! What a gateway knows and we may not: the values of the gap finder.
//!
//! Why here: a webhook that never arrived is the commonest complaint of this field. The worker
//! compares what a gateway tells with the store; API and command line show the result.
//!
//! What must stay true: what is missing is told by an id under which the webhook itself would be
//! kept, so that a repair and a late webhook are one event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::ids::GatewayId;

/// Something that a gateway knows: an event that it sent or should have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The id under which the event is in the inbox, if it arrived.
    pub id: String,
    /// What it is about, for a person: `invoice.payment_failed of in_1`.
    pub what: String,
    /// The invoice, where it is known.
    pub invoice: Option<String>,
    /// It is known by its case alone: there was no event, or it is too old to be told.
    pub by_case: bool,
    /// The body, as a webhook would have brought it.
    pub body: Vec<u8>,
}

/// One thing that a gateway knows and the store does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The event's id.
    pub id: String,
    /// What it is about, for a person.
    pub what: String,
    /// The invoice, where it is known.
    pub invoice: Option<String>,
    /// It was put into the inbox now, as its webhook would have been.
    pub repaired: bool,
}

/// How complete the store is, as far as one gateway can tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completeness {
    /// The gateway.
    pub gateway: GatewayId,
    /// Since when it was asked.
    pub since: Timestamp,
    /// How many events and open invoices it told of.
    pub known: usize,
    /// Those that the store did not have.
    pub missing: Vec<Gap>,
    /// Share of what it told of that the store had, from 0 to 1; `None`: it told of nothing, or
    /// could not be asked.
    pub completeness: Option<f64>,
    /// Why it could not be asked, where it could not.
    pub error: Option<String>,
}

impl Completeness {
    /// The figure for what was found.
    pub fn of(gateway: GatewayId, since: Timestamp, known: usize, missing: Vec<Gap>) -> Self {
        let had = known.saturating_sub(missing.len());
        let completeness = (known > 0).then(|| had as f64 / known as f64);
        Self { gateway, since, known, missing, completeness, error: None }
    }

    /// The gateway did not answer, or has no such read.
    pub fn unknown(gateway: GatewayId, since: Timestamp, error: String) -> Self {
        let nothing = Self::of(gateway, since, 0, Vec::new());
        Self { error: Some(error), ..nothing }
    }
}
