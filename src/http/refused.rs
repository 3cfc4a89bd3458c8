//! Webhooks that were refused lately, kept so that a person can see why and try them again.
//!
//! Why here: “no signature matches” is the commonest trouble of an integration. A log line tells
//! that it happens; here stands what arrived, and whether it would be taken now.
//!
//! What must stay true: it is bounded, in memory only, and gone after a restart: nobody has proved
//! that these came from a gateway; no body is shown, and none is logged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use jiff::Timestamp;

/// So many are kept.
const KEPT: usize = 50;
/// A longer body is not kept.
const LONGEST: usize = 64 * 1024;

/// A webhook that was refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// Names it.
    pub(super) number: u64,
    /// At which gateway's address.
    pub(super) gateway: String,
    /// When, by the real clock: signatures are judged by it.
    pub(super) at: Timestamp,
    /// Which check it failed.
    pub(super) code: &'static str,
    /// What to look at.
    pub(super) hint: String,
    /// As it arrived; `None`: it was too long to keep.
    pub(super) arrived: Option<Arrived>,
}

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) body: Bytes,
    pub(super) headers: Vec<(String, String)>,
    pub(super) url: String,
}

/// The newest ones.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    kept: Arc<Mutex<VecDeque<Refused>>>,
    count: Arc<AtomicU64>,
}

impl Refusals {
    /// Keeps one, and lets go of the oldest.
    pub(super) fn keep(&self, refused: Refused) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let arrived = refused.arrived.filter(|arrived| arrived.body.len() <= LONGEST);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(Refused { number, arrived, ..refused });
        kept.truncate(KEPT);
    }

    /// All that are kept, the newest first.
    pub(super) fn all(&self) -> Vec<Refused> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    /// One of them.
    pub(super) fn find(&self, number: u64) -> Option<Refused> {
        self.all().into_iter().find(|refused| refused.number == number)
    }

    /// It was taken after all.
    pub(super) fn remove(&self, number: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|refused| refused.number != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_fills_no_memory() {
        let refusals = Refusals::default();
        for n in 0..1_000 {
            let body = Bytes::from(vec![b'x'; if n % 2 == 0 { 10 } else { LONGEST + 1 }]);
            refusals.keep(Refused {
                number: 0,
                gateway: "first".to_owned(),
                at: Timestamp::UNIX_EPOCH,
                code: "no_signature_match",
                hint: String::new(),
                arrived: Some(Arrived { body, headers: Vec::new(), url: String::new() }),
            });
        }
        let kept = refusals.all();
        assert_eq!((kept.len(), kept[0].number), (KEPT, 999));
        assert_eq!(kept.iter().filter(|one| one.arrived.is_some()).count(), KEPT / 2);
    }
}
