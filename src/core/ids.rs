//! Ids: derived, never drawn.
//!
//! Why here: an id that is computed from what it names cannot differ between two runs, two
//! processes or a crash and its restart. That is what makes an effect's id fit to be its
//! idempotency key (design I1, I7).
//!
//! What must stay true: the same parts always give the same id, on every version. Stored data and
//! the gateways' idempotency keys depend on it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The first ten bytes of SHA-256 over length-prefixed parts, as 20 hex digits.
pub(crate) fn digest(parts: &[&str]) -> String {
    marked("", parts)
}

/// The digest of these parts behind a mark that says of what.
fn marked(mark: &str, parts: &[&str]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = String::with_capacity(mark.len() + 20);
    text.push_str(mark);
    for byte in &hasher.finalize()[..10] {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_id!(
    /// A gateway's id in the merchant file; its webhooks arrive at `/webhooks/{id}`.
    GatewayId
);
text_id!(
    /// A recovery case: `case_` and 20 hex digits, derived from (billing gateway, invoice).
    CaseId
);
text_id!(
    /// A payment attempt of ours: `att_…`, derived from (case, number).
    AttemptId
);
text_id!(
    /// An effect, and its idempotency key: `eff_…`, derived from (case, sequence).
    EffectId
);
text_id!(
    /// One card (or other means), whatever tokens it has: the key of its limits.
    CardKey
);
text_id!(
    /// A message to a customer: `msg_…`, derived from (case, number).
    MessageId
);

impl CaseId {
    /// The one case of this invoice at this billing gateway.
    pub fn of(gateway: &GatewayId, invoice: &str) -> Self {
        Self(marked("case_", &["case", gateway.as_str(), invoice]))
    }
}

impl AttemptId {
    /// Our `number`-th attempt for `case`, counted from 1.
    pub fn of(case: &CaseId, number: u32) -> Self {
        Self(marked("att_", &["attempt", case.as_str(), &number.to_string()]))
    }

    /// The idempotency key that every send of this attempt carries. Never random, never timed.
    pub fn idempotency_key(&self) -> String {
        format!("recoup-{}", self.0)
    }
}

impl EffectId {
    /// The `sequence`-th effect of `case`, counted from 1.
    pub fn of(case: &CaseId, sequence: u64) -> Self {
        Self(marked("eff_", &["effect", case.as_str(), &sequence.to_string()]))
    }
}

impl MessageId {
    /// The `number`-th message of `case`, counted from 1.
    pub fn of(case: &CaseId, number: u32) -> Self {
        Self(marked("msg_", &["message", case.as_str(), &number.to_string()]))
    }
}

impl CardKey {
    /// A card known by its fingerprint: the same for every customer who uses it.
    pub fn of_fingerprint(fingerprint: &str) -> Self {
        Self(marked("card_", &["fingerprint", fingerprint]))
    }

    /// A card known only by one gateway's token.
    pub fn of_token(gateway: &GatewayId, token: &str) -> Self {
        Self(marked("card_", &["token", gateway.as_str(), token]))
    }
}

/// A number in `0..bound`, the same for the same parts: the pure core's jitter.
pub fn pick(bound: u64, parts: &[&str]) -> u64 {
    let hash = digest(parts);
    let number = u64::from_str_radix(&hash[..16], 16).unwrap_or(0);
    if bound == 0 { 0 } else { number % bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_ever() {
        let case = CaseId::of(&GatewayId::from("stripe"), "in_1");
        assert_eq!(case, CaseId::of(&GatewayId::from("stripe"), "in_1"));
        assert_ne!(case, CaseId::of(&GatewayId::from("stripe2"), "in_1"));
        assert_ne!(AttemptId::of(&case, 1), AttemptId::of(&case, 2));
        // A golden value: changing it would change every idempotency key in flight.
        assert_eq!(case.as_str(), "case_b3ba9a0e05554a3c7fe2");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
