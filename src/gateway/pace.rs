//! Pace: how many requests a second an API is sent.
//!
//! Why here: after an outage, or on the day when a thousand cases fall due, a gateway must not be
//! sent more than it takes: it would refuse the merchant's own checkout with the rest.
//!
//! What must stay true: nobody waits longer than [`PATIENCE`]; who would have to has sent nothing,
//! and hears so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The longest wait for one's turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause that a gateway's `Retry-After` is taken to ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So much of a second's requests may leave at once (a quarter), after a quiet time.
const BURST: u32 = 4;

/// The turns of one API. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Option<Arc<Turns>>);

#[derive(Debug)]
struct Turns {
    /// Between two requests, when they go on and on.
    every: Duration,
    /// How much earlier than that one may leave.
    slack: Duration,
    /// When the next one is due by the pace alone; `None`: none has left yet.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many a second; none: as many as there are.
    pub(super) fn of(per_second: Option<u32>) -> Self {
        let Some(per_second) = per_second.filter(|&n| n > 0) else { return Self(None) };
        let every = Duration::from_secs(1) / per_second;
        let slack = every * (per_second / BURST).saturating_sub(1);
        Self(Some(Arc::new(Turns { every, slack, next: Mutex::new(None) })))
    }

    /// Waits for one's turn. The error: it would come too late.
    pub(super) async fn turn(&self) -> Result<(), String> {
        let Some(turns) = &self.0 else { return Ok(()) };
        sleep_until(turns.take(Instant::now())?).await;
        Ok(())
    }

    /// The gateway asked everybody to wait.
    pub(super) fn pause(&self, wait: Duration) {
        if let Some(turns) = &self.0 {
            turns.pause(Instant::now() + wait.min(LONGEST_PAUSE));
        }
    }
}

impl Turns {
    fn take(&self, now: Instant) -> Result<Instant, String> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        let turn = due.checked_sub(self.slack).map_or(now, |at| at.max(now));
        if turn.duration_since(now) > PATIENCE {
            let seconds = turn.duration_since(now).as_secs();
            return Err(format!("its limit of requests lets the next one leave in {seconds} s"));
        }
        *next = Some(due + self.every);
        Ok(turn)
    }

    fn pause(&self, until: Instant) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let after = until + self.slack;
        *next = Some(next.map_or(after, |next| next.max(after)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(per_second: u32) -> Arc<Turns> {
        Pace::of(Some(per_second)).0.unwrap()
    }

    #[test]
    fn a_thousand_at_once_leave_a_quarter_second_ahead_and_then_at_the_pace() {
        let (turns, now) = (turns(100), Instant::now());
        let left: Vec<_> = (0..1_000).map(|_| turns.take(now).unwrap()).collect();
        for second in 0..9 {
            let from = now + Duration::from_secs(second);
            let to = from + Duration::from_secs(1);
            let count = left.iter().filter(|at| **at >= from && **at < to).count();
            let most = if second == 0 { 125 } else { 100 };
            assert!((99..=most).contains(&count), "{count} in second {second}");
        }
        assert!(left.is_sorted());
    }

    #[test]
    fn who_would_wait_too_long_is_told_so_and_takes_no_turn() {
        let (turns, now) = (turns(1), Instant::now());
        let taken = (0..100).filter(|_| turns.take(now).is_ok()).count();
        assert_eq!(taken, 11, "one now and ten in ten seconds");
        assert!(turns.take(now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn a_gateway_that_is_busy_is_left_alone_by_all() {
        let (turns, now) = (turns(100), Instant::now());
        turns.pause(now + Duration::from_secs(5));
        assert_eq!(turns.take(now).unwrap(), now + Duration::from_secs(5));
        turns.pause(now + Duration::from_secs(60));
        assert!(turns.take(now).is_err());
        assert!(turns.take(now + Duration::from_secs(59)).is_ok());
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        assert!(Pace::of(None).0.is_none());
        assert!(Pace::of(Some(0)).0.is_none());
    }
}
