//! The clock: the only place that reads the time.
//!
//! Why here: everything that waits or decides asks this one clock, so that a whole service can run
//! under a test clock that moves only when told to. Signatures of webhooks are the one exception:
//! senders sign in real time, so [`real_now`] is compared with them.
//!
//! What must stay true: a test clock never goes back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The service's time.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Milliseconds since the epoch, moved by [`Clock::advance_to`] only.
    Test(Arc<AtomicI64>),
}

impl Clock {
    /// A test clock that stands at `start`.
    pub fn test(start: Timestamp) -> Self {
        Self::Test(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    /// The time, to the millisecond: what is stored is what was decided with.
    pub fn now(&self) -> Timestamp {
        let millis = match self {
            Self::System => real_now().as_millisecond(),
            Self::Test(millis) => millis.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// Moves a test clock forward; an earlier time, and the machine's clock, stay as they are.
    pub fn advance_to(&self, to: Timestamp) {
        if let Self::Test(millis) = self {
            millis.fetch_max(to.as_millisecond(), Ordering::SeqCst);
        }
    }

    /// Whether time moves only when told to.
    pub fn is_test(&self) -> bool {
        matches!(self, Self::Test(_))
    }
}

/// The time since the process first asked, by a clock that nobody can set.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
pub fn steady() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

/// The machine's time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
pub fn real_now() -> Timestamp {
    Timestamp::now()
}
