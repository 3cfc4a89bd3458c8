//! A customer's own charges: how their last bill went, and what can be learned from it.
//!
//! Why here: whoever paid on the bill's day a month ago and does not now is another case than
//! whoever needed two weeks then too. It is the one thing of a customer that moves days (POLICY).
//!
//! What must stay true: only charges before the failed one count.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// One charge of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Charge {
    /// On which day.
    pub on: Date,
    /// Whether it was approved.
    pub approved: bool,
}

/// How the customer's last bill went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Nothing is known of it.
    Unknown,
    /// Approved on its day.
    Prompt,
    /// Approved in the week after.
    InAWeek,
    /// Approved in the second week.
    InTwoWeeks,
    /// Later, or never.
    Late,
}

/// A bill comes again after so many days, more or less.
const MONTH: std::ops::RangeInclusive<i32> = 25..=35;
/// A charge this long after a declined one is the next bill's, not a retry of it.
const NEXT_BILL: i32 = 30;

impl History {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// How the bill before `failed_on` went.
    pub fn of(past: &[Charge], failed_on: Date) -> Self {
        let ago = |charge: &Charge| days_between(charge.on, failed_on);
        let bills = past.iter().filter(|charge| MONTH.contains(&ago(charge)));
        // The one next to a month ago, and of those on one day the first.
        let Some(bill) = bills.min_by_key(|charge| ((ago(charge) - 30).abs(), charge.on)) else {
            return Self::Unknown;
        };
        let after = past.iter().filter(|c| c.approved && c.on >= bill.on && c.on < failed_on);
        match after.map(|charge| days_between(bill.on, charge.on)).min() {
            Some(0) => Self::Prompt,
            Some(days) if days <= 7 => Self::InAWeek,
            Some(days) if days <= 14 => Self::InTwoWeeks,
            _ => Self::Late,
        }
    }
}

/// A declined bill of the past, and its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// When the bill was declined.
    pub failed_on: Date,
    /// The retries: days after, and whether approved, in their order.
    pub tries: Vec<(u32, bool)>,
}

/// The declined bills in a customer's past, oldest first.
pub fn episodes(past: &[Charge]) -> Vec<Episode> {
    let mut charges = past.to_vec();
    charges.sort_unstable();
    let mut episodes: Vec<Episode> = Vec::new();
    let mut open = false;
    for charge in charges {
        let last = episodes.last_mut().filter(|_| open);
        let retry = last.map(|episode| (days_between(episode.failed_on, charge.on), episode));
        match retry {
            Some((days @ 1..NEXT_BILL, episode)) => {
                episode.tries.push((days.unsigned_abs(), charge.approved));
                open = !charge.approved;
            }
            _ if !charge.approved => {
                episodes.push(Episode { failed_on: charge.on, tries: Vec::new() });
                open = true;
            }
            _ => open = false,
        }
    }
    episodes
}

pub(super) fn days_between(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charges(list: &[(&str, bool)]) -> Vec<Charge> {
        list.iter()
            .map(|(on, approved)| Charge { on: on.parse().unwrap(), approved: *approved })
            .collect()
    }

    #[test]
    fn the_last_bill_tells_the_history() {
        let failed_on = "2026-03-01".parse().unwrap();
        let of = |list: &[(&str, bool)]| History::of(&charges(list), failed_on);
        assert_eq!(of(&[]), History::Unknown);
        assert_eq!(of(&[("2026-01-30", true)]), History::Prompt);
        let late = [("2026-01-30", false), ("2026-02-06", false), ("2026-02-13", true)];
        assert_eq!(of(&late), History::InTwoWeeks);
        assert_eq!(of(&late[..2]), History::Late);
        assert_eq!(of(&[("2026-03-01", true), ("2026-03-09", true)]), History::Unknown);
    }

    #[test]
    fn a_declined_bill_and_its_retries_are_one_episode() {
        let past = charges(&[
            ("2026-01-01", true),
            ("2026-01-31", false),
            ("2026-02-07", false),
            ("2026-02-14", true),
            ("2026-03-02", false),
            ("2026-04-01", false),
        ]);
        let found = episodes(&past);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].tries, [(7, false), (14, true)]);
        assert_eq!(found[1].tries, []);
    }
}
