//! What one attempt taught about its gateway, as it is kept until it is counted in for good.
//!
//! Why here: counts are kept whole only now and then, since they are large; what came in between is
//! kept outcome by outcome, each in a few bytes. The newest are kept longer: trees grow from them.
//!
//! What must stay true: no customer, card or case is in it; what is written is what is read back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::core::decline::Category;
use crate::core::ids::GatewayId;

/// What came of an attempt, as far as routing learns from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Approved.
    Approved,
    /// Declined by the bank.
    Declined,
    /// No bank was reached.
    Technical,
}

/// One outcome to learn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Outcome {
    /// When the attempt was made.
    pub at: Timestamp,
    /// Through which gateway.
    pub gateway: GatewayId,
    /// What was known before.
    pub facts: Facts,
    /// What came of it.
    pub answer: Answer,
}

/// As it is kept: one list, in this order for ever. A new field goes to the end.
#[derive(Serialize, Deserialize)]
struct Row(
    i64,
    GatewayId,
    Answer,
    Option<String>,
    Option<String>,
    Option<Category>,
    i64,
    (u8, u8),
    Option<bool>,
    (u32, u32),
);

impl From<Outcome> for Row {
    fn from(outcome: Outcome) -> Self {
        let Outcome { at, gateway, facts, answer } = outcome;
        Self(
            at.as_second(),
            gateway,
            answer,
            facts.network,
            facts.country,
            facts.category,
            facts.amount,
            (facts.hour, facts.weekday),
            facts.three_ds,
            (facts.attempt, facts.tried_here),
        )
    }
}

impl From<Row> for Outcome {
    fn from(row: Row) -> Self {
        let Row(at, gateway, answer, network, country, category, amount, when, three_ds, tries) =
            row;
        let ((hour, weekday), (attempt, tried_here)) = (when, tries);
        let facts = Facts {
            network,
            country,
            category,
            amount,
            hour,
            weekday,
            three_ds,
            attempt,
            tried_here,
        };
        // A second that is none is a damaged record; it is as old as can be.
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { at, gateway, facts, answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_kept_in_a_few_bytes_that_never_change() {
        let outcome = Outcome {
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            gateway: "stripe".into(),
            facts: Facts {
                network: Some("visa".into()),
                country: Some("US".into()),
                category: Some(Category::InsufficientFunds),
                amount: 2_900,
                hour: 9,
                weekday: 4,
                three_ds: None,
                attempt: 2,
                tried_here: 1,
            },
            answer: Answer::Declined,
        };
        let text = serde_json::to_string(&outcome).unwrap();
        let kept = concat!(
            r#"[1800000000,"stripe","declined","visa","US","insufficient_funds","#,
            "2900,[9,4],null,[2,1]]"
        );
        assert_eq!(text, kept);
        assert_eq!(serde_json::from_str::<Outcome>(kept).unwrap(), outcome);
    }
}
