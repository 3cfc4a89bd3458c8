//! Sums over the cases of a simulation, and how sure they are.
//!
//! Why here: cases of one customer go alike, so an interval that takes them for independent is too
//! narrow. Shares and differences are judged by customer.
//!
//! What must stay true: a difference is paired: the same case under both schedules.

use std::collections::BTreeMap;

use serde::Serialize;

use super::replay::Replay;

/// Half the width of a 95 % interval, in standard errors.
const Z: f64 = 1.959_964;

/// What became of some cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How many.
    pub cases: u64,
    /// Recovered in the window.
    pub recovered: u64,
    /// Attempts of ours, technical ones included.
    pub attempts: u64,
}

impl Sums {
    fn add(&mut self, replay: &Replay) {
        self.cases += 1;
        self.recovered += u64::from(replay.recovered.is_some());
        self.attempts += u64::from(replay.attempts);
    }

    /// Recovered over cases.
    pub fn share(&self) -> f64 {
        over(self.recovered, self.cases)
    }

    /// Attempts over cases.
    pub fn attempts_per_case(&self) -> f64 {
        over(self.attempts, self.cases)
    }
}

fn over(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// Results by group and by customer.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Over all.
    pub all: Sums,
    /// By group.
    pub groups: BTreeMap<String, Sums>,
    /// By group and customer, for the intervals.
    customers: BTreeMap<(String, String), Sums>,
    /// How many were recovered on each day.
    pub days: BTreeMap<u32, u64>,
}

/// A difference of two shares, and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// How much higher the share is here than there.
    pub difference: f64,
    /// The 95 % interval of it, paired, by customer.
    pub difference_interval: [f64; 2],
}

impl Tally {
    /// Counts a case.
    pub fn add(&mut self, group: &str, customer: &str, replay: &Replay) {
        self.all.add(replay);
        self.groups.entry(group.to_owned()).or_default().add(replay);
        self.customers.entry((group.to_owned(), customer.to_owned())).or_default().add(replay);
        if let Some(day) = replay.recovered {
            *self.days.entry(day).or_default() += 1;
        }
    }

    /// The 95 % interval of the recovered share.
    pub fn interval(&self) -> [f64; 2] {
        let share = self.all.share();
        let off = |(customer, sums): (&str, &Sums)| {
            (customer.to_owned(), sums.recovered as f64 - share * sums.cases as f64)
        };
        let of_all = self.customers.iter().map(|((_, customer), sums)| (customer.as_str(), sums));
        around(share, error(of_all.map(off), self.all.cases))
    }

    /// The difference to another schedule over the same cases.
    pub fn difference(&self, other: &Self) -> Difference {
        self.difference_of(other, None)
    }

    /// The same for one group, or all.
    pub fn difference_of(&self, other: &Self, group: Option<&str>) -> Difference {
        let sums = |tally: &Self| match group {
            None => tally.all.clone(),
            Some(group) => tally.groups.get(group).cloned().unwrap_or_default(),
        };
        let (here, there) = (sums(self), sums(other));
        let difference = here.share() - there.share();
        let of_group = self.customers.iter().filter(|((of, _), _)| group.is_none_or(|g| g == of));
        let off = of_group.map(|(key, sums)| {
            let there = other.customers.get(key).map_or(0, |sums| sums.recovered);
            let off = sums.recovered as f64 - there as f64 - difference * sums.cases as f64;
            (key.1.clone(), off)
        });
        let error = error(off, here.cases);
        Difference { difference, difference_interval: around(difference, error) }
    }
}

/// The standard error of a share, from how far each customer is off it; a customer of several
/// groups is one customer.
fn error(off: impl Iterator<Item = (String, f64)>, cases: u64) -> f64 {
    let mut customers: BTreeMap<String, f64> = BTreeMap::new();
    for (customer, off) in off {
        *customers.entry(customer).or_default() += off;
    }
    let squares: f64 = customers.values().map(|off| off * off).sum();
    let count = customers.len() as f64;
    let few = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
    (few * squares).sqrt() / (cases.max(1) as f64)
}

fn around(middle: f64, error: f64) -> [f64; 2] {
    [middle - Z * error, middle + Z * error]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(recovered: bool) -> Replay {
        Replay { recovered: recovered.then_some(3), attempts: 1, ..Replay::default() }
    }

    #[test]
    fn an_interval_counts_customers_not_cases() {
        let (mut many, mut one) = (Tally::default(), Tally::default());
        for n in 0..400 {
            many.add("", &format!("customer {n}"), &replay(n % 2 == 0));
            one.add("", &format!("customer {}", n % 2), &replay(n % 2 == 0));
        }
        let width = |tally: &Tally| tally.interval()[1] - tally.interval()[0];
        assert!((width(&many) - 0.098).abs() < 0.001, "{}", width(&many));
        assert!(width(&one) > 0.9);
    }

    #[test]
    fn a_difference_is_paired() {
        let (mut a, mut b) = (Tally::default(), Tally::default());
        for n in 0..100 {
            a.add("", &n.to_string(), &replay(n % 2 == 0 || n == 1));
            b.add("", &n.to_string(), &replay(n % 2 == 0));
        }
        let Difference { difference, difference_interval: [low, high] } = a.difference(&b);
        assert!((difference - 0.01).abs() < 1e-12);
        assert!(low > -0.011 && high < 0.031, "{low} {high}");
        assert_eq!(a.difference(&a).difference_interval, [0.0, 0.0]);
    }
}
