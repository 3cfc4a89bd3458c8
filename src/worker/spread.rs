//! Spread: what failed together does not come back together.
//!
//! Why here: when a gateway or mail server is back after an outage, everybody who waits for it
//! would knock in the same second, and it would fall over again.
//!
//! What must stay true: the wait follows from the id of what waits, so it is the same after a
//! restart and in a replay; it is never shorter than was asked for.

use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};

/// The wait, made longer by up to a half of itself.
pub(super) fn spread(wait: SignedDuration, id: &str) -> SignedDuration {
    let digest = Sha256::digest(id);
    let share = i64::from(u16::from_be_bytes([digest[0], digest[1]]));
    let half = i64::try_from(wait.as_millis() / 2).unwrap_or(i64::MAX >> 16);
    wait + SignedDuration::from_millis(half.saturating_mul(share) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_that_failed_together_fill_the_time_evenly() {
        let wait = SignedDuration::from_secs(600);
        let mut tenths = [0; 10];
        for n in 0..1_000 {
            let waited = spread(wait, &format!("eff_{n}"));
            assert!(waited >= wait && waited < wait * 3 / 2, "{waited:?}");
            tenths[((waited - wait).as_secs() / 30) as usize] += 1;
        }
        assert!(tenths.iter().all(|&count| (60..140).contains(&count)), "{tenths:?}");
        assert_eq!(spread(wait, "eff_1"), spread(wait, "eff_1"));
    }
}
