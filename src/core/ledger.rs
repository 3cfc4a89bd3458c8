//! The ledger: the append-only record of everything a case saw and did, in words.
//!
//! Why here: a decision is a value with its reason (design I8). `recoup explain`, the API and the
//! dashboard show these entries; nothing is ever changed or removed.
//!
//! What must stay true: `text` holds no token, secret, e-mail address or phone number.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What kind of entry it is: for filters, symbols and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// An effect was asked for and its consequence came back.
    Acted,
    /// An attempt was sent.
    AttemptSent,
    /// The outcome of an attempt.
    AttemptOutcome,
    /// A decision with its reason.
    Decided,
    /// The case ended.
    Ended,
    /// A gateway event arrived.
    Event,
    /// Something that a person should look at.
    Flagged,
    /// A message was sent, held or dropped.
    Message,
    /// The case opened.
    Opened,
    /// A person acted: operator or customer.
    Person,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its number within the case, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Its kind.
    pub kind: EntryKind,
    /// What happened, in one plain sentence.
    pub text: String,
    /// The decision, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// A decision: what, when, where and why, with what was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was decided: `attempt`, `wait`, `ask_customer`, `message`, `stop` …
    pub what: String,
    /// When it is to happen.
    pub at: Option<Timestamp>,
    /// Through which gateway, or on which channel.
    pub via: Option<String>,
    /// Why, in one plain sentence.
    pub why: String,
    /// What else was possible, and why it was not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub considered: Vec<String>,
}

/// A sentence of the ledger with its times as `show` puts them: people read their own zone's.
pub fn with_times(text: &str, show: impl Fn(Timestamp) -> String) -> String {
    let words = text.split(' ').map(|word| {
        let time = word.trim_end_matches(['.', ',', ':', ';', ')']);
        match time.parse::<Timestamp>() {
            Ok(at) => format!("{}{}", show(at), &word[time.len()..]),
            Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_a_sentence_are_shown() {
        let shown = with_times("planned for 2026-01-05T13:00:00Z: soon.", |_| "Monday".into());
        assert_eq!(shown, "planned for Monday: soon.");
    }
}
