//! The trace: what happened in one history, in words, and its hash.
//!
//! Why here: the hash is over the words, written straight into it; the words themselves are kept
//! only where somebody will read them, since most histories are never read.
//!
//! What must stay true: nothing that depends on the store, the machine or the real time is in it;
//! the hash is the same whether or not the words are kept.

use std::fmt::{self, Write as _};

use jiff::Timestamp;

/// How many lines are kept for the story.
const KEPT: usize = 4_000;

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: Hash,
    /// The lines, where they are kept.
    lines: Option<Vec<String>>,
}

/// Adds a line to the trace of a world.
macro_rules! say {
    ($world:expr, $($words:tt)*) => {{
        let now = $world.now;
        $world.trace.add(now, format_args!($($words)*))
    }};
}

pub(super) use say;

impl Trace {
    /// One that keeps its words.
    pub(super) fn in_words() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Adds a line.
    pub(super) fn add(&mut self, at: Timestamp, words: fmt::Arguments<'_>) {
        self.hash.word(at.as_nanosecond() as u64);
        // A hash takes everything.
        let _ = self.hash.write_fmt(words);
        self.hash.word(u64::MAX);
        if let Some(lines) = self.lines.as_mut().filter(|lines| lines.len() < KEPT) {
            lines.push(format!("{at} {words}"));
        }
    }

    /// Over all lines.
    pub(super) fn hash(&self) -> u64 {
        self.hash.0
    }

    /// The lines up to the one that tells `what`, and those that follow it, which name one of
    /// these words or tell of all; at most `limit`.
    pub(super) fn story(&self, words: &[&str], what: &str, limit: usize) -> Vec<String> {
        let wanted = |line: &&String| {
            let named = words.iter().any(|word| line.contains(word));
            named || words.is_empty() || line.contains(" * ")
        };
        let lines = self.lines.as_deref().unwrap_or_default();
        let named: Vec<_> = lines.iter().filter(wanted).collect();
        let told = named.iter().position(|line| line.ends_with(what)).unwrap_or(named.len());
        let skip = (told + 8).min(named.len()).saturating_sub(limit);
        named.into_iter().skip(skip).take(limit).cloned().collect()
    }
}

/// A running hash: each word is mixed in by a multiplication, as FNV does by bytes. The same
/// everywhere and for ever.
#[derive(Debug, Default)]
struct Hash(u64);

impl Hash {
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut words = text.as_bytes().chunks_exact(8);
        for word in &mut words {
            // The chunks are of eight bytes.
            self.word(word.try_into().map(u64::from_le_bytes).unwrap_or_default());
        }
        for byte in words.remainder() {
            self.word(u64::from(*byte));
        }
        Ok(())
    }
}
