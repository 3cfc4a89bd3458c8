//! Room: how many effects of each lane may be claimed.
//!
//! Why here: what is claimed is under way, and what hangs must not take the room of the others.
//!
//! What must stay true: within a lane effects are claimed in the order of their time.

use std::collections::{BTreeMap, BTreeSet};

use super::OutboxEntry;
use crate::core::lane::Lane;

/// Room for effects under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Of all lanes together.
    pub total: usize,
    /// Of each lane that stands nowhere below.
    pub each: usize,
    /// Of these lanes.
    pub of: BTreeMap<Lane, usize>,
}

impl Room {
    /// So many, of whatever lane.
    pub fn any(total: usize) -> Self {
        Self { total, each: total, of: BTreeMap::new() }
    }

    /// How many of this lane, at most.
    pub fn of(&self, lane: &Lane) -> usize {
        self.of.get(lane).copied().unwrap_or(self.each).min(self.total)
    }
}

/// What was claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The effects, in the order of their time.
    pub entries: Vec<OutboxEntry>,
    /// Lanes of which more is ready than there was room for.
    pub crowded: BTreeSet<Lane>,
}
