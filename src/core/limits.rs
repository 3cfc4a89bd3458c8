//! Network limits: how often a card may be tried, over all gateways.
//!
//! Why here: breaking a network's rule costs the merchant a fee for each attempt, and in the end
//! the acquirer's trust. The rules are data (`data/network_limits.toml`, with sources and dates).
//!
//! What must stay true: a limit is a wall. The attempt that would be one too many is not made
//! (design I4), and where sources disagree the stricter reading counts.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::card::{Card, CardAttempt};
use super::money::Money;

/// One rule of one network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Limit {
    /// The network; `*` is every one: the product's own cap.
    pub network: String,
    /// Only for cards issued in this country.
    #[serde(default)]
    pub country: Option<String>,
    /// The window, in seconds, that slides back from now.
    pub window_s: u64,
    /// Attempts that were not approved in the window at most.
    pub max: u32,
    /// Whether only attempts of the same amount and currency count.
    pub same_amount: bool,
    /// Whether an approval starts the count anew.
    pub resets: bool,
    /// The rule in words.
    pub what: String,
    /// Where it was read.
    pub source: String,
    /// When it was last read there.
    pub checked: String,
}

#[derive(Deserialize)]
struct File {
    limit: Vec<Limit>,
}

#[expect(clippy::expect_used, reason = "a file of the program itself; a test parses it")]
static LIMITS: LazyLock<Vec<Limit>> = LazyLock::new(|| {
    toml::from_str::<File>(include_str!("data/network_limits.toml"))
        .expect("the shipped network limits are well-formed")
        .limit
});

/// Every shipped rule.
pub fn all() -> &'static [Limit] {
    &LIMITS
}

/// Whether one more attempt is within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is; so many would be left after it, under the tightest rule.
    Allowed {
        /// Attempts left after this one.
        left: u32,
    },
    /// Never again on this card.
    Never {
        /// Why.
        why: String,
    },
    /// Not yet.
    NotBefore {
        /// The first moment at which it is.
        at: Timestamp,
        /// Which rule.
        why: String,
    },
}

/// Judges one more attempt of `amount` on `card` at `now`.
pub fn check(card: &Card, amount: Money, now: Timestamp) -> Verdict {
    if let Some((_, why)) = &card.never {
        return Verdict::Never { why: why.clone() };
    }
    let mut left = u32::MAX;
    let mut wait: Option<(Timestamp, &Limit)> = None;
    for limit in LIMITS.iter().filter(|limit| applies(limit, card)) {
        let counted = counted(limit, card, amount, now);
        let used = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        if used < limit.max {
            left = left.min(limit.max - used - 1);
            continue;
        }
        // Free again when the attempt that fills the window has left it.
        let leaving = counted[counted.len() - limit.max as usize];
        let at = leaving + window(limit) + SignedDuration::from_secs(1);
        if wait.is_none_or(|(earlier, _)| at > earlier) {
            wait = Some((at, limit));
        }
    }
    match wait {
        Some((at, limit)) => Verdict::NotBefore { at, why: limit.what.clone() },
        None => Verdict::Allowed { left },
    }
}

/// How many of the noted attempts on a card were one too many, by the limits of their moment.
/// What a report shows, and must always be zero.
pub fn violations(card: &Card) -> usize {
    let ours = card.attempts.iter().enumerate().filter(|(_, a)| a.attempt.is_some());
    ours.filter(|(index, attempt)| {
        let mut before = card.clone();
        before.attempts.truncate(*index);
        before.never = None;
        !matches!(check(&before, attempt.amount, attempt.at), Verdict::Allowed { .. })
    })
    .count()
}

fn applies(limit: &Limit, card: &Card) -> bool {
    let network = limit.network == "*" || card.network.as_deref() == Some(limit.network.as_str());
    let country = limit.country.is_none() || limit.country == card.country;
    network && country
}

fn window(limit: &Limit) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(limit.window_s).unwrap_or(i64::MAX / 4))
}

/// The times of the attempts that the rule counts, oldest first.
fn counted(limit: &Limit, card: &Card, amount: Money, now: Timestamp) -> Vec<Timestamp> {
    let same = |a: &&CardAttempt| !limit.same_amount || a.amount == amount;
    let approved = card.attempts.iter().filter(same).filter(|a| a.approved).map(|a| a.at).max();
    let reset = approved.filter(|_| limit.resets).unwrap_or(Timestamp::MIN);
    let from = (now - window(limit)).max(reset);
    let mut times: Vec<_> = card
        .attempts
        .iter()
        .filter(same)
        .filter(|a| !a.approved && a.at > from)
        .map(|a| a.at)
        .collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::CardKey;

    fn amount(minor: i64) -> Money {
        Money::new(minor, "USD".parse().unwrap())
    }

    fn card(network: &str, times: &[i64]) -> Card {
        let mut card = Card::new(CardKey::from("card_1"));
        card.network = Some(network.to_owned());
        for hours in times {
            card.attempts.push(CardAttempt {
                at: at(*hours),
                gateway: "stripe".into(),
                amount: amount(2900),
                approved: false,
                attempt: None,
            });
        }
        card
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
    }

    #[test]
    fn the_tenth_decline_in_a_day_is_mastercards_last() {
        let nine = card("mastercard", &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(check(&nine, amount(100), at(9)), Verdict::Allowed { left: 0 });
        let ten = card("mastercard", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let Verdict::NotBefore { at: free, .. } = check(&ten, amount(100), at(10)) else {
            panic!("an eleventh attempt was allowed")
        };
        assert_eq!(free, at(24) + SignedDuration::from_secs(1));
        assert_eq!(check(&ten, amount(100), free), Verdict::Allowed { left: 0 });
    }

    #[test]
    fn never_is_final() {
        let mut lost = card("visa", &[]);
        lost.never = Some((at(0), "reported lost".into()));
        assert!(matches!(check(&lost, amount(1), at(9999)), Verdict::Never { .. }));
    }

    #[test]
    fn an_unknown_network_has_the_products_own_cap() {
        let many: Vec<i64> = (0..12).map(|n| n * 30).collect();
        let verdict = check(&card("whoknows", &many), amount(2900), at(12 * 30));
        assert!(matches!(verdict, Verdict::NotBefore { .. }), "{verdict:?}");
    }
}
