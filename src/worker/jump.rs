//! Jumps of the clock: a month that passed within a second has not passed.
//!
//! Why here: what is due is due by the wall's clock, and somebody may set it, or it may have been
//! wrong when the process began. With a month's retries and reminders falling due at once, all of
//! them would leave.
//!
//! What must stay true: a jump forward holds everything but the receiving of webhooks, until the
//! clock is back or somebody has looked and restarted; time that did pass holds nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A clock that is ahead by more than this was set, and not by the network's time.
const JUMP: SignedDuration = SignedDuration::from_hours(1);

/// Compares the wall's clock with one that nobody can set.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The two, when they were last compared and agreed.
    agreed: Option<(Timestamp, Duration)>,
}

/// What the two clocks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// The wall's clock is ahead by so much.
    Jumped(SignedDuration),
    /// They agree.
    Steady,
}

impl Watch {
    /// Compares the wall's clock with the time since some fixed moment.
    pub(super) fn look(&mut self, wall: Timestamp, steady: Duration) -> Pace {
        let Some((was, then)) = self.agreed else {
            self.agreed = Some((wall, steady));
            return Pace::Steady;
        };
        let passed = SignedDuration::try_from(steady.saturating_sub(then));
        let passed = passed.unwrap_or(SignedDuration::MAX);
        let ahead = wall.duration_since(was).saturating_sub(passed);
        if ahead > JUMP {
            return Pace::Jumped(ahead);
        }
        self.agreed = Some((wall, steady));
        Pace::Steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds as i64)
    }

    #[test]
    fn a_clock_that_jumps_forward_holds_the_scheduler_until_it_is_back() {
        let mut watch = Watch::default();
        let mut look = |wall, steady| watch.look(at(wall), Duration::from_secs(steady));
        assert_eq!(look(1_000, 0), Pace::Steady);
        assert_eq!(look(1_010, 10), Pace::Steady);
        let month = 30 * 24 * HOUR;
        let ahead = SignedDuration::from_secs(month as i64);
        assert_eq!(look(1_020 + month, 20), Pace::Jumped(ahead));
        assert_eq!(look(1_080 + month, 80), Pace::Jumped(ahead), "nobody has looked at it");
        assert_eq!(look(1_090, 90), Pace::Steady, "it is back");
    }

    #[test]
    fn time_that_passes_is_no_jump_however_long_nobody_looked() {
        let mut watch = Watch::default();
        let mut look = |wall, steady| watch.look(at(wall), Duration::from_secs(steady));
        assert_eq!(look(0, 5), Pace::Steady);
        assert_eq!(look(900 * HOUR, 900 * HOUR + 5), Pace::Steady);
        assert_eq!(look(900 * HOUR - 30, 900 * HOUR + 6), Pace::Steady, "set back a little");
        assert_eq!(look(901 * HOUR - 40, 900 * HOUR + 7), Pace::Steady, "less than an hour ahead");
    }
}
