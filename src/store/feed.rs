//! The feed: which cases and customers were written lately.
//!
//! Why here: the dashboard counts over all cases, and must not read all of them for every page. It
//! keeps what it counted and asks here what was written since; so a view costs what changed.
//!
//! What must stay true: a write stands in the feed once it can be read, and before its caller is
//! told; what the feed no longer knows it says, and the reader reads everything.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Commit;
use crate::core::ids::CaseId;

/// So many writes are remembered; who asks for older ones reads everything.
const REMEMBERED: usize = 16_384;

/// Something that was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// A case.
    Case(CaseId),
    /// A customer's record, by its key.
    Customer(String),
}

/// What was written since a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Ask with it the next time; `None`: this store tells no changes.
    pub mark: Option<u64>,
    /// What was written, oldest first; `None`: nobody knows any more, read everything.
    pub touched: Option<Vec<Touched>>,
}

/// The newest writes of one open store.
#[derive(Debug, Default)]
pub(crate) struct Feed(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The mark behind the newest.
    next: u64,
    writes: VecDeque<Touched>,
}

impl Feed {
    /// What a commit will have written.
    pub(crate) fn of(commit: &Commit) -> Vec<Touched> {
        let cases = commit.cases.iter().map(|write| Touched::Case(write.case.id.clone()));
        let customers = commit.customers.iter().map(|c| Touched::Customer(c.id.clone()));
        cases.chain(customers).collect()
    }

    /// Notes what was written.
    pub(crate) fn note(&self, touched: Vec<Touched>) {
        let ring = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.next += touched.len() as u64;
        ring.writes.extend(touched);
        let excess = ring.writes.len().saturating_sub(REMEMBERED);
        ring.writes.drain(..excess);
    }

    /// Anything may have been written: whoever asks reads everything.
    pub(crate) fn forget(&self) {
        let ring = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.writes.clear();
        ring.next += 1;
    }

    /// What was written since `mark`.
    pub(crate) fn since(&self, mark: Option<u64>) -> Changes {
        let ring = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.next - ring.writes.len() as u64;
        let known = mark.filter(|mark| (oldest..=ring.next).contains(mark));
        let touched = known.map(|mark| {
            let passed = usize::try_from(mark - oldest).unwrap_or(usize::MAX);
            ring.writes.iter().skip(passed).cloned().collect()
        });
        Changes { mark: Some(ring.next), touched }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(n: usize) -> Vec<Touched> {
        vec![Touched::Customer(n.to_string())]
    }

    #[test]
    fn each_reader_hears_of_each_write_once() {
        let feed = Feed::default();
        assert_eq!(feed.since(None), Changes { mark: Some(0), touched: None });
        feed.note(customer(1));
        let first = feed.since(Some(0));
        assert_eq!(first, Changes { mark: Some(1), touched: Some(customer(1)) });
        assert_eq!(feed.since(first.mark).touched, Some(Vec::new()));
        feed.note(customer(2));
        assert_eq!(feed.since(Some(1)).touched, Some(customer(2)));
    }

    #[test]
    fn who_comes_too_late_is_told_to_read_everything() {
        let feed = Feed::default();
        (0..=REMEMBERED).for_each(|n| feed.note(customer(n)));
        assert_eq!(feed.since(Some(0)).touched, None);
        assert_eq!(feed.since(Some(1)).touched.map(|t| t.len()), Some(REMEMBERED));
        feed.forget();
        assert_eq!(feed.since(Some(REMEMBERED as u64 + 1)).touched, None, "an import");
        assert_eq!(feed.since(Some(u64::MAX)).touched, None, "of another process");
    }
}
