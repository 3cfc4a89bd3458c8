//! What recoup learns from outcomes: counters, not a model of their own.
//!
//! Why here: a decision asks "how did cases like this one go?", and the answer must be the same
//! after a restart, on another machine and in the lab. So what is learned is data: one value that
//! is versioned, serializable, mergeable, grows old, and is bounded in size by its construction.
//!
//! | file | what it learns |
//! |---|---|
//! | [`timing`] | on which days a declined charge goes through |
//! | [`routing`] | which gateway approves it, by counters and [`trees`]; [`chance`] chooses |
//! | [`health`] | whether a gateway is well |
//! | [`priors`], [`facts`], [`exact`] | where it begins, what it looks at, how it is kept |
//!
//! What must stay true: learning is a function of outcomes and their dates; nothing in here can
//! allow a charge that the rules forbid, it only chooses among days that they leave open. Nothing
//! is learned from a case that a person forced: whoever feeds this leaves those out.

use serde::{Deserialize, Serialize};

pub mod chance;
pub mod exact;
pub mod facts;
pub mod health;
pub mod priors;
pub mod routing;
pub mod timing;
pub mod trees;

/// The version of the record.
pub const VERSION: u8 = 1;

/// Everything learned, as one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The version of the record: [`VERSION`] when this program wrote it.
    pub version: u8,
    /// When declined charges go through.
    #[serde(default)]
    pub timing: timing::Timing,
}

impl Default for Learned {
    fn default() -> Self {
        Self { version: VERSION, timing: timing::Timing::default() }
    }
}

impl Learned {
    /// Takes over what another learned, as if all its outcomes had been seen here.
    pub fn merge(&mut self, other: &Self) {
        self.timing.merge(&other.timing);
    }
}
