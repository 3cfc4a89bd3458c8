//! The trace: what happened in one history, in words, and its hash.
//!
//! What must stay true: nothing that depends on the store, the machine or the real time is in it.

use jiff::Timestamp;

/// How many lines are kept for the story.
const KEPT: usize = 4_000;

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Trace {
    lines: Vec<String>,
    hash: u64,
}

impl Trace {
    /// Adds a line.
    pub(super) fn add(&mut self, at: Timestamp, text: &str) {
        let line = format!("{at} {text}");
        for byte in line.bytes() {
            // FNV-1a: the same everywhere and for ever.
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.lines.len() < KEPT {
            self.lines.push(line);
        }
    }

    /// Over all lines.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines up to the one that tells `what`, and those that follow it, which name one of
    /// these words or tell of all; at most `limit`.
    pub(super) fn story(&self, words: &[&str], what: &str, limit: usize) -> Vec<String> {
        let wanted = |line: &&String| {
            let named = words.iter().any(|word| line.contains(word));
            named || words.is_empty() || line.contains(" * ")
        };
        let named: Vec<_> = self.lines.iter().filter(wanted).collect();
        let told = named.iter().position(|line| line.ends_with(what)).unwrap_or(named.len());
        let skip = (told + 8).min(named.len()).saturating_sub(limit);
        named.into_iter().skip(skip).take(limit).cloned().collect()
    }
}
