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
use super::fault::{Mutant, fault};
use super::money::{Currency, Money};
use super::worth;

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

/// A country whose cards are not charged by ourselves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Off {
    /// Where the card was issued, ISO 3166.
    pub country: String,
    /// Why, in words.
    pub what: String,
    /// Where it was read.
    pub source: String,
    /// When it was last read there.
    pub checked: String,
}

/// What a network bills for each attempt that breaks one of its rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fee {
    /// The network.
    pub network: String,
    /// The region whose rate it is.
    #[serde(rename = "where")]
    pub region: String,
    /// For what.
    pub what: String,
    /// A decimal, in `currency`.
    pub amount: String,
    /// ISO 4217.
    pub currency: Currency,
    /// Where it was read.
    pub source: String,
    /// When it was last read there.
    pub checked: String,
}

impl std::fmt::Display for Fee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({}) for {}", self.amount, self.currency, self.region, self.what)
    }
}

#[derive(Deserialize)]
struct File {
    limit: Vec<Limit>,
    off: Vec<Off>,
    fee: Vec<Fee>,
    risk: Risk,
}

/// How often a network bills an attempt that is within the limits as we count them.
#[derive(Deserialize)]
struct Risk {
    per_mille: i64,
}

#[expect(clippy::expect_used, reason = "a file of the program itself; a test parses it")]
static SHIPPED: LazyLock<File> = LazyLock::new(|| {
    toml::from_str::<File>(include_str!("data/network_limits.toml"))
        .expect("the shipped network limits are well-formed")
});

/// Every shipped rule.
pub fn all() -> &'static [Limit] {
    &SHIPPED.limit
}

/// What the network of a card would bill, if its rules were broken.
pub fn fees(network: Option<&str>) -> impl Iterator<Item = &'static Fee> {
    SHIPPED.fee.iter().filter(move |fee| network == Some(fee.network.as_str()))
}

/// What a network may be expected to bill for one more attempt within its limits, in hundredths of
/// the minor unit: the highest of its fees in this currency, times how often one is billed though
/// nothing of ours broke a rule. Fees in other currencies are passed over.
pub fn fee_risk(network: Option<&str>, currency: Currency) -> i64 {
    let ours = fees(network).filter(|fee| fee.currency == currency);
    let highest = ours.filter_map(|fee| worth::parts_of(&fee.amount, currency)).max();
    highest.unwrap_or(0).saturating_mul(SHIPPED.risk.per_mille) / 1_000
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
    if let Some(off) = SHIPPED.off.iter().find(|off| card.country.as_deref() == Some(&off.country))
    {
        return Verdict::Never { why: off.what.clone() };
    }
    let mut left = u32::MAX;
    let mut wait: Option<(Timestamp, &Limit)> = None;
    for limit in all().iter().filter(|limit| applies(limit, card)) {
        let counted = counted(limit, card, amount, now);
        let used = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        if used < limit.max || fault(Mutant::IgnoresLimits) {
            left = left.min(limit.max.saturating_sub(used + 1));
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

/// One rule of a card's network, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The rule.
    pub limit: &'static Limit,
    /// Attempts that it counts now.
    pub used: u32,
}

/// The rules that hold for `card`, with what is used of them at `now` for attempts of `amount`.
pub fn uses(card: &Card, amount: Money, now: Timestamp) -> Vec<Use> {
    let hold = all().iter().filter(|limit| applies(limit, card));
    let used = |limit| u32::try_from(counted(limit, card, amount, now).len()).unwrap_or(u32::MAX);
    hold.map(|limit| Use { limit, used: used(limit) }).collect()
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
    let from = now - window(limit);
    let newest = card.attempts.last().map(|a| &a.gateway);
    let mut times: Vec<_> = card
        .attempts
        .iter()
        .filter(same)
        .filter(|a| !fault(Mutant::LimitsByGateway) || Some(&a.gateway) == newest)
        // At the very moment of an approval it may have come after it: it counts.
        .filter(|a| !a.approved && a.at > from && a.at >= reset)
        .map(|a| a.at)
        .collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::decline::{Advice, RawDecline, classify};
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
    fn bank_debits_have_their_schemes_own_walls() {
        for (scheme, presentments, free_after_h) in
            [("ach", 3, 180 * 24), ("sepa", 3, 42 * 24), ("bacs", 2, 30 * 24)]
        {
            let times: Vec<i64> = (0..presentments).map(|n| n * 96).collect();
            let last = *times.last().unwrap();
            let tried = card(scheme, &times);
            let verdict = check(&tried, amount(2900), at(last + 96));
            let Verdict::NotBefore { at: free, .. } = verdict else {
                panic!("{scheme}: one presentment too many: {verdict:?}")
            };
            assert_eq!(free, at(free_after_h) + SignedDuration::from_secs(1), "{scheme}");
            let before = card(scheme, &times[1..]);
            assert!(matches!(check(&before, amount(2900), at(last)), Verdict::Allowed { .. }));
        }
    }

    #[test]
    fn cards_issued_in_india_are_not_charged_by_ourselves() {
        let mut indian = card("visa", &[]);
        indian.country = Some("IN".into());
        let Verdict::Never { why } = check(&indian, amount(1), at(0)) else { panic!("allowed") };
        assert!(why.contains("India"), "{why}");
    }

    #[test]
    fn the_card_remembers_for_as_long_as_any_rule_counts() {
        let longest = all().iter().map(window).max().unwrap();
        assert!(crate::core::card::MEMORY > longest);
    }

    #[test]
    fn what_the_networks_call_never_the_decline_tables_call_never() {
        #[derive(Deserialize)]
        struct Never {
            network: String,
            field: String,
            values: Vec<String>,
        }
        #[derive(Deserialize)]
        struct File {
            never: Vec<Never>,
        }
        let file: File = toml::from_str(include_str!("data/network_limits.toml")).unwrap();
        for Never { network, field, values } in file.never {
            for value in values {
                let mut raw = RawDecline { network: Some(network.clone()), ..Default::default() };
                match field.as_str() {
                    "network_code" => raw.network_code = Some(value.clone()),
                    _ => raw.network_advice_code = Some(value.clone()),
                }
                let advice = classify(None, &raw).decline.advice;
                assert_eq!(advice, Advice::Never, "{network} {field} {value}");
            }
        }
    }

    #[test]
    fn fees_are_decimals_of_a_known_network() {
        assert!(SHIPPED.fee.len() >= 5);
        for fee in &SHIPPED.fee {
            let (whole, fraction) = fee.amount.split_once('.').unwrap();
            assert!(whole.parse::<u32>().is_ok() && fraction.len() == 2, "{fee}");
            assert!(all().iter().any(|limit| limit.network == fee.network), "{fee}");
        }
        assert_eq!(fees(Some("mastercard")).count(), 3);
        assert_eq!(fees(None).count(), 0);
        let usd: Currency = "USD".parse().unwrap();
        let highest = fees(Some("mastercard")).filter(|fee| fee.currency == usd);
        let highest = highest.filter_map(|fee| worth::parts_of(&fee.amount, usd)).max().unwrap();
        assert!(highest > 0);
        assert_eq!(fee_risk(Some("mastercard"), usd), highest / 100, "one in a hundred");
        assert_eq!(fee_risk(Some("mastercard"), "JPY".parse().unwrap()), 0);
    }

    /// One thing that happens to a card.
    #[derive(Debug, Clone)]
    struct Happening {
        hours: i64,
        minor: i64,
        ours: bool,
        approved: bool,
        /// Told late: noted now, dated so many hours back.
        late_h: i64,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        (0..60_i64, 0..3_i64, any::<bool>(), prop::bool::weighted(0.1), 0..48_i64).prop_map(
            |(hours, minor, ours, approved, late_h)| Happening {
                hours,
                minor: 1_000 + minor,
                ours,
                approved,
                late_h: if ours { 0 } else { late_h },
            },
        )
    }

    /// Counts again, by the words of the rule and by nothing of the code above.
    fn declined_within(card: &Card, limit: &Limit, amount: Money, now: Timestamp) -> u32 {
        let from = now.as_second() - limit.window_s as i64;
        let mut count = 0;
        let mut sorted = card.attempts.clone();
        sorted.sort_by_key(|attempt| (attempt.at, !attempt.approved));
        for attempt in sorted.iter().filter(|a| !limit.same_amount || a.amount == amount) {
            if attempt.approved && limit.resets {
                count = 0;
            } else if !attempt.approved && attempt.at.as_second() > from {
                count += 1;
            }
        }
        count
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 10_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn never_one_attempt_too_many(
            network in prop::sample::select(vec![
                "visa", "mastercard", "amex", "elo", "hipercard", "ach", "sepa", "bacs", "whoknows",
            ]),
            country in prop::sample::select(vec!["US", "BR", "DE"]),
            story in prop::collection::vec(happening(), 1..60),
        ) {
            let mut card = card(network, &[]);
            card.country = Some(country.to_owned());
            let mut hours = 0;
            for one in story {
                hours += one.hours;
                let (now, money) = (at(hours), amount(one.minor));
                let verdict = check(&card, money, now);
                let full = all().iter().filter(|limit| applies(limit, &card)).any(|limit| {
                    declined_within(&card, limit, money, now) >= limit.max
                });
                prop_assert_eq!(matches!(verdict, Verdict::Allowed { .. }), !full, "{:?}", verdict);
                if let Verdict::NotBefore { at: free, .. } = verdict {
                    prop_assert!(free > now);
                }
                if one.ours && full {
                    continue;
                }
                card.note(CardAttempt {
                    at: at(hours - one.late_h),
                    gateway: "stripe".into(),
                    amount: money,
                    approved: one.approved,
                    attempt: one.ours.then(|| format!("att_{hours}").as_str().into()),
                });
            }
        }
    }

    #[test]
    fn an_unknown_network_has_the_products_own_cap() {
        let many: Vec<i64> = (0..12).map(|n| n * 30).collect();
        let verdict = check(&card("whoknows", &many), amount(2900), at(12 * 30));
        assert!(matches!(verdict, Verdict::NotBefore { .. }), "{verdict:?}");
    }
}
