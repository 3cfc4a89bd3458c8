//! What routing believes before any outcome, read from `data/routing_priors.toml`.
//!
//! Why here: a cold start is the common case; its guesses are data with sources, for a person to
//! check and change.
//!
//! What must stay true: every probability is strictly between 0 and 1 (a test holds it).

use std::sync::LazyLock;

use serde::Deserialize;

use super::facts::Facts;
use crate::core::decline::Category;

#[derive(Debug, Deserialize)]
struct Stated {
    value: f64,
}

#[derive(Debug, Deserialize)]
struct OfCategory {
    category: Category,
    value: f64,
}

#[derive(Debug, Deserialize)]
struct File {
    weight: f64,
    level: f64,
    approval: Stated,
    tried_here: Stated,
    category: Vec<OfCategory>,
}

#[expect(clippy::expect_used, reason = "a file of the program itself; a test parses it")]
static PRIORS: LazyLock<File> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/routing_priors.toml"))
        .expect("the shipped routing priors are well-formed")
});

/// How many outcomes the prior counts as.
pub fn weight() -> f64 {
    PRIORS.weight
}

/// How many outcomes a narrower group borrows from the broader one.
pub fn level() -> f64 {
    PRIORS.level
}

/// The probability of an approval where nothing is known but the category.
pub fn approval(facts: &Facts) -> f64 {
    let own = PRIORS.category.iter().find(|prior| Some(prior.category) == facts.category);
    own.map_or(PRIORS.approval.value, |prior| prior.value)
}

/// What the declines of this invoice at the same gateway so far leave of a probability.
pub fn tried_here(times: u32) -> f64 {
    PRIORS.tried_here.value.powi(times.min(10) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_priors_are_probabilities_with_a_source() {
        let values = PRIORS.category.iter().map(|prior| prior.value);
        for value in values.chain([PRIORS.approval.value, PRIORS.tried_here.value]) {
            assert!(value > 0.0 && value < 1.0, "{value}");
        }
        let text = include_str!("../data/routing_priors.toml");
        let file: toml::Table = toml::from_str(text).unwrap();
        let rows = file["category"].as_array().unwrap().iter().filter_map(toml::Value::as_table);
        let single = ["approval", "tried_here"].map(|key| file[key].as_table().unwrap());
        for row in rows.chain(single) {
            assert!(row.contains_key("source") != row.contains_key("assumed"), "{row:?}");
        }
    }
}
