//! Ids of the sandbox's objects: counted, never drawn.
//!
//! Why here: the same seed and the same calls must give the same ids, so that a story told twice
//! reads the same. Another seed gives other ids, so that two sandboxes do not get mixed up in one
//! store.
//!
//! What must stay true: each kind of object counts by itself; an id of one kind does not shift
//! when more objects of another kind are made.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// Text that follows from `parts` alone, as `length` hex digits (at most 64).
pub(crate) fn derived(parts: &[&str], length: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = hex::encode(hasher.finalize());
    text.truncate(length);
    text
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: String,
    tag: String,
    counters: BTreeMap<&'static str, u64>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        let seed = seed.to_string();
        let tag = derived(&["ids", &seed], 8);
        Self { seed, tag, counters: BTreeMap::new() }
    }

    /// The next id of this kind, e.g. `in_5feceb660001`.
    pub(crate) fn next(&mut self, prefix: &'static str) -> String {
        let counter = self.counters.entry(prefix).or_insert(0);
        *counter += 1;
        format!("{prefix}_{}{counter:04}", self.tag)
    }

    /// Text nobody can guess without the seed, for links and secrets.
    pub(crate) fn secret(&self, of: &str) -> String {
        derived(&["secret", &self.seed, of], 40)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_counts_the_same_and_another_one_does_not() {
        let (mut one, mut same, mut other) = (Ids::new(1), Ids::new(1), Ids::new(2));
        same.next("cus");
        let first = one.next("in");
        assert_eq!(first, same.next("in"));
        assert_ne!(first, one.next("in"));
        assert_ne!(first, other.next("in"));
    }
}
