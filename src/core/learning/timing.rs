//! Learned timing: on which days a charge that was declined goes through, and which days to try.
//!
//! Why here: even spacing is a strong baseline, and what moves a day away from it is evidence only:
//! how this customer's last bill went, how bills of the same day of the month went, how declines of
//! the same kind went. Each level is shrunk toward the one above, and the topmost is a curve whose
//! best plan *is* even spacing (`estimate`). The days of a plan are chosen together, each by what
//! it adds when those before it were declined (`choose`).
//!
//! What must stay true: no evidence gives no plan, and the schedule stays even; a plan keeps to its
//! window, its gap and its number of days; no input can make a probability that is no number.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use self::cells::Cells;
use self::lifts::Lifts;
use crate::core::decline::Category;

mod calendar;
mod cells;
mod choose;
mod estimate;
mod history;
mod lifts;
#[cfg(test)]
mod tests;

pub use cells::DAYS;
pub use history::{Charge, Episode, History, episodes};

/// What is learned of a month ago counts this much less, in thousandths: half of it in a year.
const MONTHLY: u32 = 944;
/// How much more a plan has to promise than even spacing, times the cases that it rests on: ten
/// points with a hundred of them, next to nothing with ten thousand.
const DOUBT: f64 = 10.0;
/// Cases of the same group of declines below which nothing is planned.
const ENOUGH: f32 = 80.0;

/// Declines that are learned about together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// No balance.
    Funds,
    /// No reason given, or none that we know.
    Generic,
    /// A limit of the card.
    Limit,
    /// Every other that is charged again.
    Other,
}

impl Group {
    /// How many there are.
    const COUNT: usize = 4;

    /// Every group, in the order of the record.
    pub const ALL: [Self; Self::COUNT] = [Self::Funds, Self::Generic, Self::Limit, Self::Other];

    /// The group of a category.
    pub fn of(category: Category) -> Self {
        match category {
            Category::InsufficientFunds => Self::Funds,
            Category::GenericDecline | Category::Unknown => Self::Generic,
            Category::LimitExceeded => Self::Limit,
            _ => Self::Other,
        }
    }
}

/// What is known of the failed charge when its days are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// By its newest refusal.
    pub group: Group,
    /// On which day, of the customer's own calendar, the first charge failed.
    pub failed_on: Date,
    /// How the customer's last bill went.
    pub history: History,
    /// Network and funding of the card: see [`segment`].
    pub segment: u8,
}

/// The number of a card's network and funding; what is unknown has a number of its own.
pub fn segment(network: Option<&str>, funding: Option<&str>) -> u8 {
    let network = match network {
        Some("visa") => 1,
        Some("mastercard") => 2,
        Some(_) => 3,
        None => 0,
    };
    let funding = match funding {
        Some("credit") => 1,
        Some("debit") => 2,
        Some(_) => 3,
        None => 0,
    };
    network * 4 + funding
}

/// One day of one case, and whether a charge on it was approved.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tried {
    /// Days from the first failure to the newest refusal before this try; 0: the first itself.
    before: u32,
    /// Days from the first failure to this try.
    day: u32,
    /// Whether it was approved.
    approved: bool,
    /// How far it counts, 0 to 1: less for a case that perhaps no day would have helped.
    weight: f32,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its last attempt was approved.
    Approved,
    /// All its attempts were declined.
    Declined,
    /// Its last refusal was one that no attempt on the schedule follows: the card was closed or has
    /// to change. Its days tell nothing about days.
    Barred,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Days from the first failure to the newest refusal.
    pub declined: u32,
    /// The first day that the rules allow.
    pub earliest: u32,
    /// The day that the network named in its advice: the plan begins with it.
    pub named: Option<u32>,
    /// The last day.
    pub window: u32,
    /// How many days more.
    pub attempts: u32,
    /// Days between two attempts at least.
    pub gap: u32,
}

/// Days that were chosen together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Days after the first failure, ascending.
    pub days: Vec<u32>,
    /// The estimated probability that one of them is approved.
    pub p: f64,
    /// That the first is.
    pub first: f64,
    /// The estimate for even spacing of the same number of attempts.
    pub even: f64,
    /// Whether they are others than even spacing's.
    pub moved: bool,
    /// How many cases of this group it rests on; old ones count less.
    pub cases: f64,
}

/// What was learned about timing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// The month of the newest outcome, as year × 12 + month; 0: nothing was learned.
    month: i32,
    groups: [Learnt; Group::COUNT],
}

/// What was learned of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Learnt {
    cells: Cells,
    lifts: Lifts,
}

impl Timing {
    /// Counts a case of which it is known for every day whether a charge would have been approved,
    /// as in a training world: after a refusal on any day, each later day is a try.
    pub fn learn_known(&mut self, context: &Context, open: impl Fn(u32) -> bool) {
        let days = DAYS as u32;
        for before in (0..days).filter(|day| *day == 0 || !open(*day)) {
            for day in before + 1..=days {
                let approved = open(day);
                self.learn(context, &Tried { before, day, approved, weight: 1.0 });
            }
        }
        self.groups[context.group as usize].lifts.count_case(0.0);
    }

    /// Counts one day of one case.
    fn learn(&mut self, context: &Context, tried: &Tried) {
        if tried.day == 0 || tried.day <= tried.before || tried.day > DAYS as u32 {
            return;
        }
        self.grow_old(context.failed_on);
        let learnt = &mut self.groups[context.group as usize];
        learnt.lifts.count(context, tried);
        let pair = cells::pair(cells::row_of(tried.before), tried.day as usize);
        let at = (bill_of(context.failed_on), context.history as usize, pair);
        learnt.cells.count(at, tried.approved, tried.weight);
    }

    /// Counts a case that ended: its tries in their order, each with what was known before it.
    ///
    /// A case that was declined on every day was perhaps hopeless: the account is not used any
    /// more, the card is dead and nobody says so. Counted in full it would make every later day
    /// look bad, since only such cases are tried that often. So it counts by how likely it was not
    /// hopeless, given the days that it was tried on (one step of expectation maximization).
    pub fn learn_case(&mut self, tries: &[(Context, u32)], end: End) {
        let Some((first, _)) = tries.first() else { return };
        let hopeless = self.groups[first.group as usize].lifts.hopeless();
        let (mut before, mut open) = (0, 1.0);
        for (context, day) in tries {
            let lifts = &self.groups[context.group as usize].lifts;
            open *= 1.0 - lifts.expected(context.group, cells::row_of(before), *day as usize);
            before = *day;
        }
        let weight = match end {
            End::Approved => 1.0,
            End::Declined => (1.0 - hopeless) * open / (hopeless + (1.0 - hopeless) * open),
            End::Barred => 0.0,
        };
        self.groups[first.group as usize].lifts.count_case(1.0 - weight);
        before = 0;
        for (number, (context, day)) in (1..).zip(tries) {
            let approved = end == End::Approved && number == tries.len();
            self.learn(context, &Tried { before, day: *day, approved, weight });
            before = *day;
        }
    }

    /// The days to try, chosen together; `None` when what is known is not enough to leave even
    /// spacing for, or nothing fits.
    pub fn plan(&self, context: &Context, ask: &Ask) -> Option<Plan> {
        let learnt = &self.groups[context.group as usize];
        let cases = learnt.lifts.cases();
        let fits = ask.window as usize <= DAYS && ask.attempts > 0 && ask.declined < ask.window;
        if !fits || learnt.cells.is_empty() || cases < ENOUGH {
            return None;
        }
        let chances = estimate::chances(learnt, context);
        let days = match ask.named {
            None => choose::best(&chances, ask),
            Some(day) => choose::best_after(&chances, ask, day),
        };
        let p = choose::success(&chances, ask, &days);
        let spaced = choose::even(ask);
        let even = choose::success(&chances, ask, &spaced);
        // What few cases promise is partly luck: the best of many days is the one that was lucky.
        let moved = p >= even + DOUBT / f64::from(cases) || ask.named.is_some();
        let (days, p) = if moved { (days, p) } else { (spaced, even) };
        let first = choose::success(&chances, ask, days.get(..1)?);
        Some(Plan { days, p, first, even, moved, cases: f64::from(cases) })
    }

    /// Takes over what another learned.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        let month = self.month.max(other.month);
        self.advance(month);
        other.advance(month);
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            mine.cells.merge(&theirs.cells);
            mine.lifts.merge(&theirs.lifts);
        }
    }

    /// How many cases of each group ended; old ones count less.
    pub fn cases(&self) -> [(Group, f64); Group::COUNT] {
        Group::ALL.map(|group| (group, f64::from(self.groups[group as usize].lifts.cases())))
    }

    /// Whether it could have been learned: a record from elsewhere may say anything.
    pub fn is_sound(&self) -> bool {
        // To the end of the calendar.
        (0..=9_999 * 12 + 12).contains(&self.month)
            && self.groups.iter().all(|learnt| learnt.lifts.is_sound())
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|learnt| learnt.cells.is_empty())
    }

    /// Lets everything grow old up to this day: a month takes away a part of each count.
    pub fn grow_old(&mut self, today: Date) {
        self.advance(i32::from(today.year()) * 12 + i32::from(today.month()));
    }

    fn advance(&mut self, month: i32) {
        let passed = if self.month == 0 { 0 } else { (month - self.month).clamp(0, 240) };
        self.month = self.month.max(month);
        for learnt in self.groups.iter_mut().filter(|_| passed > 0) {
            for _ in 0..passed {
                learnt.cells.age(MONTHLY, 1000);
                learnt.lifts.age(MONTHLY, 1000);
            }
        }
    }
}

/// By which counter the bills of this day of the month are counted.
fn bill_of(failed_on: Date) -> usize {
    (failed_on.day().unsigned_abs() as usize).saturating_sub(1) / 2
}
