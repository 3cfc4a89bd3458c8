//! Sections of a few keys.
//!
//! What must stay true: as in `schema`: every key here stands in `keys.rs` too.

use std::path::PathBuf;

use serde::Deserialize;

use super::secret::Secret;

/// `[access]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Days after the failure from which access should be limited; absent: never.
    pub grace_days: Option<u32>,
    /// Signs the banner; without it there is none.
    pub banner_secret: Option<Secret>,
}

/// `[backup]`: copies of the store while the service runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The folder that they go to.
    pub dir: PathBuf,
    /// Hours between two.
    #[serde(default = "daily")]
    pub every_hours: u32,
    /// How many are kept.
    #[serde(default = "a_week")]
    pub keep: u32,
}

fn daily() -> u32 {
    24
}

fn a_week() -> u32 {
    7
}
