//! Wrong passwords slow down who sends them.
//!
//! Why here: a password can be guessed, a token cannot; so the door counts by account and by
//! address.
//!
//! What must stay true: after five wrong ones each further one waits longer, up to fifteen minutes,
//! and is told so; while it waits no password is computed; memory is bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Wrong passwords that cost nothing.
const FREE: u32 = 5;
/// The longest wait.
const LONGEST_S: i64 = 900;
/// After so long of peace it is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);
/// Accounts and addresses that are remembered at most.
const MOST: usize = 20_000;

/// Counts wrong passwords.
#[derive(Default)]
pub(in crate::http) struct Throttle(Mutex<HashMap<String, (u32, Timestamp)>>);

impl Throttle {
    /// How long any of these must wait yet, in seconds.
    pub(in crate::http) fn wait(&self, names: &[String], now: Timestamp) -> Option<i64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = names.iter().filter_map(|name| {
            let (wrong, last) = known.get(name)?;
            let until = *last + SignedDuration::from_secs(wait_after(*wrong));
            (now < until).then(|| until.duration_since(now).as_secs() + 1)
        });
        waits.max()
    }

    /// Notes a wrong password.
    pub(in crate::http) fn wrong(&self, names: &[String], now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, last)| now.duration_since(*last) < FORGOTTEN);
            if known.len() >= MOST {
                known.clear();
            }
        }
        for name in names {
            let (wrong, last) = known.entry(name.clone()).or_insert((0, now));
            let old = now.duration_since(*last) >= FORGOTTEN;
            *wrong = if old { 1 } else { wrong.saturating_add(1) };
            *last = now;
        }
    }

    /// Notes a right one: the account begins anew, the address does not.
    pub(in crate::http) fn right(&self, account: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }
}

/// Seconds to wait after so many wrong ones.
fn wait_after(wrong: u32) -> i64 {
    match wrong.checked_sub(FREE) {
        None => 0,
        Some(more) => (1_i64 << more.min(20)).min(LONGEST_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_wrong_ones_wait_longer_and_longer() {
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let (throttle, names) = (Throttle::default(), ["a".to_owned(), "from 1.2.3.4".to_owned()]);
        for _ in 0..4 {
            throttle.wrong(&names, at(0));
            assert_eq!(throttle.wait(&names, at(0)), None);
        }
        throttle.wrong(&names, at(0));
        assert_eq!(throttle.wait(&names, at(0)), Some(2));
        for _ in 0..45 {
            throttle.wrong(&names, at(0));
        }
        assert_eq!(throttle.wait(&names, at(0)), Some(901));
        assert_eq!(throttle.wait(&["b".to_owned()], at(0)), None);
        // The address waits for other accounts too; a right password frees the account alone.
        throttle.right("a");
        assert_eq!(throttle.wait(&names[..1], at(0)), None);
        assert_eq!(throttle.wait(&names[1..], at(0)), Some(901));
        assert_eq!(throttle.wait(&names, at(901)), None);
        throttle.wrong(&names, at(7_200));
        assert_eq!(throttle.wait(&names, at(7_200)), None, "it was long ago");
    }
}
