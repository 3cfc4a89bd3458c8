//! Lists: what they can be asked for, and one page of an answer.

use jiff::Timestamp;
use serde::Serialize;

use crate::core::case::State;
use crate::core::ids::GatewayId;

/// Which cases to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// In this state.
    pub state: Option<State>,
    /// Of this customer.
    pub customer: Option<String>,
    /// Of this invoice.
    pub invoice: Option<String>,
    /// Of this billing gateway.
    pub gateway: Option<GatewayId>,
    /// Opened at this moment or later.
    pub since: Option<Timestamp>,
    /// Opened before this moment.
    pub until: Option<Timestamp>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether there are more behind the last.
    pub has_more: bool,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Inputs not applied yet.
    pub inbox: u64,
    /// Effects not performed yet, or under way.
    pub outbox: u64,
}

/// A store that was made of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoring {
    /// When.
    pub at: Timestamp,
    /// Every open case knows by now what happened between the copy and then.
    pub is_over: bool,
}

impl Restoring {
    /// Of when it was restored, and up to when what came is known.
    pub(crate) fn of(at: Option<Timestamp>, reconciled: Option<Timestamp>) -> Option<Self> {
        at.map(|at| Self { at, is_over: reconciled.is_some_and(|known| known >= at) })
    }
}
