//! The month on paper: a page with a style for printing, and nothing that needs a session.
//!
//! What must stay true: money of two currencies is in two tables; what failed in the month and what
//! came in during it are told apart.

use std::collections::BTreeMap;

use jiff::Timestamp;
use minijinja::{Value, context};

use super::words::{self, money, percent};
use super::{css, fill};
use crate::core::case::RecoveredBy;
use crate::core::money::{Currency, Money};
use crate::core::report::overview::{Ledgered, Overview, Sum};
use crate::core::report::payments::Payment;

/// A month.
#[derive(Debug, Clone)]
pub struct MonthlyView {
    /// The merchant.
    pub brand: String,
    /// Whose days are counted.
    pub time_zone: String,
    /// Which month.
    pub month: String,
    /// When this was made.
    pub made_at: Timestamp,
    /// Whether the month is over.
    pub is_over: bool,
    /// The cases that failed in it.
    pub overview: Overview,
    /// The money that came in during it.
    pub came_in: Vec<Payment>,
}

/// The page.
pub fn monthly_page(view: &MonthlyView) -> String {
    let currencies = view.overview.currencies.iter();
    let page = context! {
        lang => "en",
        dir => "ltr",
        css => css(None),
        brand => view.brand.clone(),
        month => view.month.clone(),
        time_zone => view.time_zone.clone(),
        made_at => view.made_at.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        is_over => view.is_over,
        currencies => currencies.map(|(code, of)| one(*code, of)).collect::<Vec<_>>(),
        came_in => came_in(&view.came_in),
    };
    fill("monthly.html", page)
}

fn one(currency: Currency, of: &Ledgered) -> Value {
    let shown = |sum: Sum| money(sum.money(currency));
    let line = |name: &str, sum: Sum| {
        let share = sum.share_of(of.all.failed).map(percent);
        vec![name.to_owned(), sum.count.to_string(), shown(sum), share.unwrap_or_default()]
    };
    let total = vec![
        line("Failed", of.all.failed),
        line("Back", of.all.back),
        line("Being worked on", of.open),
        line("Not recovered", of.exhausted),
        line("Stopped", of.stopped),
    ];
    let how = of.by_how.iter();
    let how = how.map(|(how, sum)| line(words::recovered_by(RecoveredBy::from(*how)), *sum));
    let category = of.by_category.iter().map(|(category, pair)| {
        let back = pair.back.share_of(pair.failed).map(percent).unwrap_or_default();
        vec![
            words::decline(*category).to_owned(),
            format!("{} of {}", pair.back.count, pair.failed.count),
            format!("{} of {}", shown(pair.back), shown(pair.failed)),
            back,
        ]
    });
    context! {
        code => currency.code(),
        total,
        how => how.collect::<Vec<_>>(),
        category => category.collect::<Vec<_>>(),
    }
}

/// By gateway and currency: captures, what was given back, fees as far as they are stated.
#[derive(Default)]
struct Came {
    count: u64,
    minor: i64,
    refunded: i64,
    fees: i64,
    unstated: u64,
}

fn came_in(payments: &[Payment]) -> Vec<Vec<String>> {
    let mut sums: BTreeMap<(String, Currency), Came> = BTreeMap::new();
    for payment in payments {
        let key = (payment.gateway.to_string(), payment.amount.currency);
        let sum = sums.entry(key).or_default();
        sum.count += 1;
        sum.minor = sum.minor.saturating_add(payment.amount.minor);
        if payment.refunded {
            sum.refunded = sum.refunded.saturating_add(payment.amount.minor);
        }
        match payment.fee {
            Some(fee) => sum.fees = sum.fees.saturating_add(fee.minor),
            None => sum.unstated += 1,
        }
    }
    let row = |((gateway, currency), sum): ((String, Currency), Came)| {
        let shown = |minor| money(Money::new(minor, currency));
        let fees = if sum.unstated == 0 { shown(sum.fees) } else { "not stated".to_owned() };
        vec![gateway, sum.count.to_string(), shown(sum.minor), shown(sum.refunded), fees]
    };
    sums.into_iter().map(row).collect()
}
