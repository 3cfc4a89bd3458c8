//! The overview: how many failed, how many are back, by what, and what may still come.
//!
//! Why here: the first page of the dashboard and the monthly report show the same numbers.
//!
//! What must stay true: money is summed within one currency only; each number counts exactly the
//! cases that its [`Selection`] lets pass.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::facts::Facts;
use super::select::{Selection, came_back};
use crate::core::case::{RecoveredBy, State};
use crate::core::customer::Channel;
use crate::core::decline::Category;
use crate::core::ids::GatewayId;
use crate::core::money::{Currency, Money};

/// Count and sum of some cases in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// What is owed of them, in minor units.
    pub minor: i64,
}

impl Sum {
    fn add(&mut self, amount: Money) {
        self.count += 1;
        self.minor = self.minor.saturating_add(amount.minor);
    }

    /// The sum as an amount.
    pub fn money(self, currency: Currency) -> Money {
        Money::new(self.minor, currency)
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        let minor = self.minor.saturating_add(other.minor);
        Self { count: self.count + other.count, minor }
    }

    /// Which share of the money of `whole` this is.
    pub fn share_of(self, whole: Self) -> Option<f64> {
        (whole.minor > 0).then(|| self.minor as f64 / whole.minor as f64)
    }
}

/// Of some cases: how many failed, and how many of these are back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair {
    /// Failed.
    pub failed: Sum,
    /// Back.
    pub back: Sum,
}

/// What is counted in one currency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledgered {
    /// All, and what of them is back.
    pub all: Pair,
    /// Not ended.
    pub open: Sum,
    /// Ended: nothing helped.
    pub exhausted: Sum,
    /// Ended: cancelled, voided, refunded, disputed, excluded or stopped by a person.
    pub stopped: Sum,
    /// By what they began with.
    pub by_category: BTreeMap<Category, Pair>,
    /// What is back, by the gateway that the money came in through.
    pub by_via: BTreeMap<GatewayId, Sum>,
    /// What is back, by what brought it.
    pub by_how: BTreeMap<How, Sum>,
    /// What is back, by how many messages had gone out.
    pub by_step: BTreeMap<usize, Sum>,
    /// What is back, by the channel of the last message before.
    pub by_channel: BTreeMap<Option<Channel>, Sum>,
    /// What is back, by the day on which it came, in the zone of the reader.
    pub by_day: BTreeMap<Date, Sum>,
}

/// [`RecoveredBy`] in the order in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// A retry at the billing gateway.
    Retry,
    /// At another one.
    OtherGateway,
    /// The customer changed the card.
    CardUpdate,
    /// The customer by themselves, the billing gateway's own retry, or a person.
    Elsewhere,
}

impl From<RecoveredBy> for How {
    fn from(by: RecoveredBy) -> Self {
        match by {
            RecoveredBy::CardUpdate => Self::CardUpdate,
            RecoveredBy::Elsewhere => Self::Elsewhere,
            RecoveredBy::OtherGateway => Self::OtherGateway,
            RecoveredBy::Retry => Self::Retry,
        }
    }
}

impl From<How> for RecoveredBy {
    fn from(how: How) -> Self {
        match how {
            How::CardUpdate => Self::CardUpdate,
            How::Elsewhere => Self::Elsewhere,
            How::OtherGateway => Self::OtherGateway,
            How::Retry => Self::Retry,
        }
    }
}

/// The cases of a selection, each currency by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// By currency.
    pub currencies: BTreeMap<Currency, Ledgered>,
}

impl Overview {
    /// Counts the cases that the selection lets pass.
    pub fn of<'a>(
        cases: impl IntoIterator<Item = &'a Facts>,
        selection: &Selection,
        zone: &TimeZone,
    ) -> Self {
        let mut overview = Self::default();
        for case in cases.into_iter().filter(|case| selection.holds(case)) {
            overview.currencies.entry(case.amount.currency).or_default().add(case, zone);
        }
        overview
    }

    /// All currencies' counts, which may be added, unlike their money.
    pub fn count(&self, of: impl Fn(&Ledgered) -> Sum) -> u64 {
        self.currencies.values().map(|ledgered| of(ledgered).count).sum()
    }

    /// The currency with the most cases.
    pub fn main_currency(&self) -> Option<Currency> {
        let most = self.currencies.iter().max_by_key(|(_, ledgered)| ledgered.all.failed.count);
        most.map(|(currency, _)| *currency)
    }
}

impl Ledgered {
    /// Ended without the money, for whatever reason.
    pub fn given_up(&self) -> Sum {
        self.exhausted.plus(self.stopped)
    }

    fn add(&mut self, case: &Facts, zone: &TimeZone) {
        self.all.failed.add(case.amount);
        let category = self.by_category.entry(case.category).or_default();
        category.failed.add(case.amount);
        match case.state {
            State::Recovered => category.back.add(case.amount),
            State::Exhausted => self.exhausted.add(case.amount),
            State::Stopped => self.stopped.add(case.amount),
            _ => self.open.add(case.amount),
        }
        if case.is_back() {
            self.add_back(case, zone);
        }
    }

    fn add_back(&mut self, case: &Facts, zone: &TimeZone) {
        self.all.back.add(case.amount);
        if let Some(by) = case.by {
            self.by_how.entry(by.into()).or_default().add(case.amount);
        }
        if let Some(via) = &case.via {
            self.by_via.entry(via.clone()).or_default().add(case.amount);
        }
        self.by_step.entry(case.step()).or_default().add(case.amount);
        self.by_channel.entry(case.channel()).or_default().add(case.amount);
        if let Some(at) = came_back(case) {
            self.by_day.entry(day(at, zone)).or_default().add(case.amount);
        }
    }
}

fn day(at: Timestamp, zone: &TimeZone) -> Date {
    at.to_zoned(zone.clone()).date()
}
