//! Learned numbers as text that gives back the same number.
//!
//! Why here: a JSON number may come back with another last bit, and a decision must be the same
//! before and after a restart (design I7). The shortest text of a float, read by the same language,
//! is exact.
//!
//! What must stay true: what is no finite number is refused when a record is read, so that no
//! damaged record reaches a decision.

use serde::{Deserialize as _, Deserializer, Serializer};

/// Writes the number as text.
pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// Reads a finite number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| serde::de::Error::custom("a finite number is wanted"))
}
