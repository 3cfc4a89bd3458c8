//! The facts of an attempt that are known before it is made, and how the trees see them.
//!
//! Why here: the counters, the trees, production and the lab must cut the same facts in the same
//! way. Where an amount is cut comes from the outcomes that were learned from (their quantiles),
//! and which networks and countries have a bin of their own from how often they occur.
//!
//! What must stay true: every fact has a bin, also one that is missing or was never seen; nothing
//! in here identifies a customer or a card.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::core::decline::Category;

/// What is known of an attempt before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The card's network in lower case.
    pub network: Option<String>,
    /// Where the card was issued.
    pub country: Option<String>,
    /// Why the last attempt was declined.
    pub category: Option<Category>,
    /// The amount, in any unit that is always the same one.
    pub amount: i64,
    /// The hour of the customer's day, 0 to 23.
    pub hour: u8,
    /// The day of the week, 0 is Monday.
    pub weekday: u8,
    /// Whether the customer confirmed with 3-D Secure.
    pub three_ds: Option<bool>,
    /// Which attempt on the invoice, from 1.
    pub attempt: u32,
    /// Attempts on the invoice that this gateway has declined already.
    pub tried_here: u32,
}

impl Facts {
    /// The same facts at this moment of the customer's day.
    #[must_use]
    pub fn at(mut self, at: Timestamp, zone: &TimeZone) -> Self {
        let local = at.to_zoned(zone.clone());
        self.hour = local.hour().unsigned_abs();
        self.weekday = local.weekday().to_monday_zero_offset().unsigned_abs();
        self
    }
}

/// One fact, as the trees see it. The number is its place in [`Binned`], and stored: never change
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Quantiles of the amounts.
    Amount = 0,
    /// The hour of the day.
    Hour = 1,
    /// The day of the week.
    Weekday = 2,
    /// The network.
    Network = 3,
    /// The country.
    Country = 4,
    /// The category of the last decline.
    Category = 5,
    /// 3-D Secure.
    ThreeDs = 6,
    /// The number of the attempt.
    Attempt = 7,
    /// How often this gateway declined already.
    TriedHere = 8,
}

impl Fact {
    /// All of them, in the order of their places.
    pub const ALL: [Self; 9] = [
        Self::Amount,
        Self::Hour,
        Self::Weekday,
        Self::Network,
        Self::Country,
        Self::Category,
        Self::ThreeDs,
        Self::Attempt,
        Self::TriedHere,
    ];

    /// Whether neighboring bins mean neighboring values.
    pub fn is_ordered(self) -> bool {
        !matches!(self, Self::Network | Self::Country | Self::Category | Self::ThreeDs)
    }
}

/// The bin of each fact; each is below [`MAX_BINS`].
pub type Binned = [u8; Fact::ALL.len()];

/// Bins of one fact at most: a set of them is the bits of a `u32`.
pub const MAX_BINS: usize = 32;
/// Bins of the amount at most.
const AMOUNT_BINS: usize = 16;
/// Names with a bin of their own at most; the others share one.
const NAMED: usize = 24;
/// The last bin of the number of an attempt: this many and more.
const MANY_ATTEMPTS: u32 = 4;
/// The last bin of earlier declines at a gateway.
const MANY_HERE: u32 = 2;

/// Where the facts are cut.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cuts {
    /// The largest amount of each bin but the last, ascending.
    pub amounts: Vec<i64>,
    /// The networks with a bin of their own.
    pub networks: Vec<String>,
    /// The countries with a bin of their own.
    pub countries: Vec<String>,
}

impl Cuts {
    /// Cuts by what occurs in these facts.
    pub fn of<'a>(facts: impl Iterator<Item = &'a Facts> + Clone) -> Self {
        let mut amounts: Vec<i64> = facts.clone().map(|facts| facts.amount).collect();
        amounts.sort_unstable();
        let at = |part: usize| amounts.get(amounts.len() * part / AMOUNT_BINS).copied();
        let mut cuts: Vec<i64> = (1..AMOUNT_BINS).filter_map(at).collect();
        cuts.dedup();
        Self {
            amounts: cuts,
            networks: frequent(facts.clone().filter_map(|facts| facts.network.as_deref())),
            countries: frequent(facts.filter_map(|facts| facts.country.as_deref())),
        }
    }

    /// The bins of these facts.
    pub fn bin(&self, facts: &Facts) -> Binned {
        let category = facts.category.and_then(|own| {
            Category::ALL.iter().position(|category| *category == own).map(|at| at + 1)
        });
        [
            self.amounts.partition_point(|cut| *cut < facts.amount).min(MAX_BINS - 1) as u8,
            facts.hour.min(23),
            facts.weekday.min(6),
            named(&self.networks, facts.network.as_deref()),
            named(&self.countries, facts.country.as_deref()),
            category.unwrap_or(0) as u8,
            facts.three_ds.map_or(0, |confirmed| 1 + u8::from(confirmed)),
            (facts.attempt.clamp(1, MANY_ATTEMPTS) - 1) as u8,
            facts.tried_here.min(MANY_HERE) as u8,
        ]
    }
}

/// The most frequent names, most frequent first; among equals by the alphabet.
fn frequent<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    counts.into_iter().take(NAMED).map(|(name, _)| name.to_owned()).collect()
}

/// 0: not known; then the known names; then all others.
fn named(names: &[String], name: Option<&str>) -> u8 {
    let Some(name) = name else { return 0 };
    let at = names.iter().position(|known| known == name).unwrap_or(names.len());
    (at + 1).min(MAX_BINS - 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(amount: i64, network: &str) -> Facts {
        Facts { network: Some(network.into()), amount, attempt: 1, ..Facts::default() }
    }

    #[test]
    fn amounts_are_cut_where_they_occur() {
        let all: Vec<_> = (1..=160).map(|amount| facts(amount, "visa")).collect();
        let cuts = Cuts::of(all.iter());
        assert_eq!(cuts.amounts.len(), AMOUNT_BINS - 1);
        assert_eq!(cuts.bin(&facts(1, "visa"))[0], 0);
        assert_eq!(cuts.bin(&facts(9_999, "visa"))[0], 15);
        let same = Cuts::of(std::iter::repeat_n(&all[0], 50));
        assert_eq!(same.amounts.len(), 1, "one amount has no quantiles to speak of");
    }

    #[test]
    fn what_was_never_seen_has_a_bin() {
        let all = [facts(1, "visa"), facts(1, "visa"), facts(1, "elo")];
        let cuts = Cuts::of(all.iter());
        let network = |facts: &Facts| cuts.bin(facts)[Fact::Network as usize];
        assert_eq!(network(&Facts::default()), 0);
        assert_eq!((network(&all[0]), network(&all[2])), (1, 2));
        assert_eq!(network(&facts(1, "new")), 3);
        let far = Facts { hour: 200, weekday: 9, attempt: u32::MAX, ..facts(i64::MAX, "x") };
        assert!(cuts.bin(&far).iter().all(|bin| usize::from(*bin) < MAX_BINS));
    }

    #[test]
    fn every_category_has_a_bin() {
        assert!(Category::ALL.len() < MAX_BINS);
        assert!(Fact::ALL.iter().enumerate().all(|(at, fact)| *fact as usize == at));
    }
}
