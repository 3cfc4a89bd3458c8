//! Idempotency keys: the first answer is kept and given again.
//!
//! Why here: both gateways keep keys the same way; they differ only in how they word a conflict.
//!
//! What must stay true: a key answers the same until it is forgotten, 24 hours of the sandbox's
//! clock after its first use; then the call runs again, as it does at Stripe. While the first call
//! still runs, a second one is refused.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Kind;

/// How long a key is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone)]
struct Entry {
    request: String,
    first_used: Timestamp,
    status: u16,
    body: Value,
    running: bool,
}

/// What is known of a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Known {
    /// Never seen, or forgotten.
    New,
    /// Its first call still runs.
    Running,
    /// It was used for another request.
    Conflict,
    /// The kept answer.
    Replay(u16, Value),
}

/// The keys of both gateways.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: BTreeMap<(Kind, String), Entry>,
}

impl Keys {
    pub(crate) fn look(&mut self, at: &(Kind, String), request: &str, now: Timestamp) -> Known {
        self.entries.retain(|_, entry| now.duration_since(entry.first_used) < KEPT);
        match self.entries.get(at) {
            None => Known::New,
            Some(entry) if entry.running => Known::Running,
            Some(entry) if entry.request != request => Known::Conflict,
            Some(entry) => Known::Replay(entry.status, entry.body.clone()),
        }
    }

    /// Keeps an answer; `running` until [`Keys::finish`].
    pub(crate) fn keep(
        &mut self,
        at: (Kind, String),
        request: String,
        now: Timestamp,
        answer: (u16, Value),
    ) {
        let (status, body) = answer;
        let entry = Entry { request, first_used: now, status, body, running: true };
        self.entries.insert(at, entry);
    }

    /// The first call has been answered, or its client is gone.
    pub(crate) fn finish(&mut self, at: &(Kind, String)) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.running = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_runs_then_replays_then_is_forgotten() {
        let mut keys = Keys::default();
        let at = (Kind::Stripe, "k".to_owned());
        let time = |hours: i64| Timestamp::from_second(hours * 3600).unwrap();
        assert_eq!(keys.look(&at, "a", time(0)), Known::New);
        keys.keep(at.clone(), "a".into(), time(0), (402, json!(1)));
        assert_eq!(keys.look(&at, "a", time(1)), Known::Running);
        keys.finish(&at);
        assert_eq!(keys.look(&at, "a", time(23)), Known::Replay(402, json!(1)));
        assert_eq!(keys.look(&at, "b", time(23)), Known::Conflict);
        assert_eq!(keys.look(&(Kind::Http, "k".into()), "a", time(23)), Known::New);
        assert_eq!(keys.look(&at, "b", time(24)), Known::New);
    }
}
