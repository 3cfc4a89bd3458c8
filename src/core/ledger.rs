//! The ledger: the append-only record of everything a case saw and did, in words.
//!
//! Why here: a decision is a value with its reason (design I8). `recoup explain`, the API and the
//! dashboard show these entries; nothing is ever changed or removed.
//!
//! What must stay true: `text` holds no token, secret, e-mail address or phone number.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::GatewayId;
use super::money::Money;

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
    pub considered: Vec<Considered>,
}

/// Something that was possible, with what spoke for and against it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Considered {
    /// In one plain sentence.
    pub text: String,
    /// The gateway, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayId>,
    /// The probability of an approval there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<Share>,
    /// What the attempt was expected to leave after fees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// How many attempts the network limits leave after this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<u32>,
    /// With which probability it was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propensity: Option<Share>,
    /// Why it was not taken; none for the one that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Earlier records hold the sentence alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Words(String),
    Whole(Fields),
}

#[derive(Deserialize)]
struct Fields {
    text: String,
    gateway: Option<GatewayId>,
    p: Option<Share>,
    value: Option<Money>,
    left: Option<u32>,
    propensity: Option<Share>,
    why_not: Option<String>,
}

impl From<Stored> for Considered {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Words(text) => text.into(),
            Stored::Whole(it) => {
                let Fields { text, gateway, p, value, left, propensity, why_not } = it;
                Self { text, gateway, p, value, left, propensity, why_not }
            }
        }
    }
}

impl From<String> for Considered {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<&str> for Considered {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// In words, with why it was not taken where that does not go without saying.
impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why_not = self.why_not.as_ref().filter(|why| !self.text.contains(*why));
        match why_not {
            Some(why) => write!(f, "{}; not taken: {why}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// A share of one, kept in millionths so that records compare exactly; shown as a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

/// Millionths in one.
const MILLION: f64 = 1e6;

impl Share {
    /// The nearest to this number; what is no number is nothing.
    pub fn of(share: f64) -> Self {
        // `as` saturates, and makes nothing of what is no number.
        Self((share.clamp(0.0, 1.0) * MILLION).round() as u32)
    }

    /// As a number from 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / MILLION
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        f64::deserialize(from).map(Self::of)
    }
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
    fn what_was_considered_is_read_as_it_was_and_as_it_is_kept() {
        let words: Considered = serde_json::from_str("\"stripe: open\"").unwrap();
        assert_eq!(words, "stripe: open".into());
        let whole = Considered {
            text: "stripe: open, not tried yet".into(),
            gateway: Some("stripe".into()),
            p: Some(Share::of(0.314_159_265)),
            value: Some(Money::new(841, "USD".parse().unwrap())),
            left: Some(14),
            propensity: Some(Share::of(1.0)),
            why_not: None,
        };
        let json = serde_json::to_value(&whole).unwrap();
        assert_eq!((&json["p"], &json["propensity"]), (&0.314_159.into(), &1.0.into()));
        assert_eq!(serde_json::from_value::<Considered>(json).unwrap(), whole);
        assert_eq!(Share::of(f64::NAN), Share::of(-1.0));
    }

    #[test]
    fn times_in_a_sentence_are_shown() {
        let shown = with_times("planned for 2026-01-05T13:00:00Z: soon.", |_| "Monday".into());
        assert_eq!(shown, "planned for Monday: soon.");
    }
}
