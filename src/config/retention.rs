//! `[retention]`: how long what is kept.
//!
//! Why here: the numbers alone; what they mean for which records is the business of the store.

use serde::Deserialize;

/// `[retention]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days after which the content of raw events is erased; 0: never.
    pub raw_events_days: u32,
    /// Days after the end of a customer's last case after which they are forgotten; 0: never.
    pub customers_days: u32,
}
