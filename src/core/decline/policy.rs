//! What follows from a category, read from `data/categories.toml`.
//!
//! Why here: whether, when and where a charge may be repeated is data that a person can check; the
//! case, the CLI and the reports read the same table.
//!
//! What must stay true: every category has its row (a test holds it), and one that has none is
//! treated as the strictest: never again, nobody told.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Category;

/// How a charge of this category may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryMode {
    /// Once the customer did something.
    AfterCustomer,
    /// Not with this card and route.
    Never,
    /// On the retry schedule.
    Schedule,
    /// Technical: soon, off the schedule.
    Soon,
}

/// Whether another gateway may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherGateway {
    /// As often as the schedule tries.
    Freely,
    /// No gain, or against the rules.
    Never,
    /// Once.
    Once,
}

/// What follows from one category.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryPolicy {
    /// How it may be repeated.
    pub retry: RetryMode,
    /// Where else.
    pub other_gateway: OtherGateway,
    /// Not before, counted from the decline.
    pub first_delay_s: u64,
    /// How long we go on.
    pub window_days: u32,
    /// How many attempts of ours.
    pub max_attempts: u32,
    /// The waits of technical retries, in their order.
    #[serde(default)]
    pub soon_delays_s: Vec<u64>,
    /// The customer must act, or another card is needed.
    pub needs_customer: bool,
    /// Whether the customer is written to at all.
    pub tell_customer: bool,
    /// Which words the customer reads; neutral where the true reason must not be told.
    pub reason_key: String,
}

static POLICIES: LazyLock<HashMap<Category, CategoryPolicy>> =
    LazyLock::new(|| toml::from_str(include_str!("../data/categories.toml")).unwrap_or_default());

static STRICTEST: LazyLock<CategoryPolicy> = LazyLock::new(|| CategoryPolicy {
    retry: RetryMode::Never,
    other_gateway: OtherGateway::Never,
    first_delay_s: 0,
    window_days: 0,
    max_attempts: 0,
    soon_delays_s: Vec::new(),
    needs_customer: false,
    tell_customer: false,
    reason_key: "not_this_time".to_owned(),
});

/// What follows from `category`.
pub fn policy(category: Category) -> &'static CategoryPolicy {
    POLICIES.get(&category).unwrap_or(&STRICTEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::decline::Category;

    #[test]
    fn the_shipped_table_is_whole() {
        let table: HashMap<Category, CategoryPolicy> =
            toml::from_str(include_str!("../data/categories.toml")).unwrap();
        for category in Category::ALL {
            assert!(table.contains_key(&category), "{category:?} has no policy");
        }
    }

    #[test]
    fn technical_retries_have_a_wait_for_each_attempt() {
        for category in Category::ALL {
            let policy = policy(category);
            let waits = policy.soon_delays_s.len();
            let wanted = if policy.retry == RetryMode::Soon { policy.max_attempts } else { 0 };
            assert_eq!(waits, wanted as usize, "{category:?}");
        }
    }

    #[test]
    fn nobody_is_written_to_about_a_fault_of_ours() {
        assert!(!policy(Category::MerchantError).tell_customer);
        assert_eq!(policy(Category::LostOrStolen).reason_key, "use_another_card");
    }

    #[test]
    fn a_stop_order_is_not_walked_around() {
        for category in [
            Category::ConsentRevoked,
            Category::LostOrStolen,
            Category::AccountClosed,
            Category::OutcomeUnknown,
        ] {
            assert_eq!(policy(category).other_gateway, OtherGateway::Never);
            assert_eq!(policy(category).retry, RetryMode::Never);
        }
    }
}
