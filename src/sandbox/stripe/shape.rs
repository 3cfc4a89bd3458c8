//! API versions: which shape an object is written in, and which fields are read expanded.
//!
//! Why here: since `2025-03-31.basil` an invoice no longer names its PaymentIntent, and merchants'
//! webhooks stay on the version that they were created with. All three shapes are met in life.
//!
//! What must stay true: an event is written in the account's version, an answer in the version
//! that the call asked for.

use serde::{Deserialize, Serialize};

/// A family of API versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `2025-03-31.basil` and later.
    #[default]
    Basil,
    /// `2024-09-30.acacia`: the invoice names its PaymentIntent, Charge and subscription.
    Acacia,
    /// `2020-03-02`: as Acacia, and a PaymentIntent lists its charges.
    Legacy,
}

impl Shape {
    /// The version as events name it.
    pub fn version(self) -> &'static str {
        match self {
            Self::Basil => "2025-03-31.basil",
            Self::Acacia => "2024-09-30.acacia",
            Self::Legacy => "2020-03-02",
        }
    }

    /// The shape of a `Stripe-Version` header. Versions are dates, so they compare as text.
    pub fn of_version(version: &str) -> Self {
        if version >= "2025-03-31" {
            Self::Basil
        } else if version >= "2022-11-15" {
            Self::Acacia
        } else {
            Self::Legacy
        }
    }
}

/// Which fields are written as whole objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expand(Vec<String>);

impl Expand {
    pub(crate) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        Self(paths.into_iter().collect())
    }

    /// Whether `field` itself is to be written as an object.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.iter().any(|path| path == field || path.starts_with(&format!("{field}.")))
    }

    /// What is to be expanded inside `field`.
    pub(crate) fn under(&self, field: &str) -> Self {
        let prefix = format!("{field}.");
        Self(self.0.iter().filter_map(|p| p.strip_prefix(&prefix)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart_by_their_date() {
        for (version, shape) in [
            ("2026-09-30.endive", Shape::Basil),
            ("2025-03-31.basil", Shape::Basil),
            ("2025-02-24.acacia", Shape::Acacia),
            ("2022-11-15", Shape::Acacia),
            ("2020-08-27", Shape::Legacy),
        ] {
            assert_eq!(Shape::of_version(version), shape, "{version}");
        }
    }

    #[test]
    fn expansion_goes_down_the_path() {
        let expand = Expand::new(["payments.data.payment.payment_intent".to_owned()]);
        assert!(expand.has("payments"));
        assert!(!expand.has("pay"));
        assert!(expand.under("payments.data").has("payment.payment_intent"));
    }
}
