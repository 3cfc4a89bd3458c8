//! For whom a step of the dunning campaign is: why the charge failed, how much is owed, how long
//! the customer has been one, where they live, which of the merchant's segments they are in.
//!
//! What must stay true: what is not known fits no condition, so that a message for some never goes
//! to all; amounts are only compared within one currency.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::customer::Customer;
use super::decline::Category;
use super::money::Money;

/// For whom a step is; what is absent or empty asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Audience {
    /// One of these decline categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
    /// At least this much, in one of these currencies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub min_amount: Vec<Money>,
    /// At most this much, in one of these currencies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub max_amount: Vec<Money>,
    /// A customer for at least so many days when the case opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tenure_days: Option<u32>,
    /// A customer for at most so many days when the case opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tenure_days: Option<u32>,
    /// In one of these countries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// In one of these segments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// In none of these segments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_tags: Vec<String>,
}

impl Audience {
    /// Whether it is for everybody.
    pub fn is_everybody(&self) -> bool {
        *self == Self::default()
    }

    /// Why this case's customer is not meant; `None` when they are.
    pub fn leaves_out(&self, case: &Case, customer: &Customer) -> Option<String> {
        let category = case.decline.as_ref().map_or(Category::Unknown, |d| d.category);
        if !self.categories.is_empty() && !self.categories.contains(&category) {
            return Some("it is for other declines".into());
        }
        self.amount_left_out(case.amount)
            .or_else(|| self.tenure_left_out(case.opened_at, customer))
            .or_else(|| self.customer_left_out(customer))
    }

    fn amount_left_out(&self, amount: Money) -> Option<String> {
        let same = |limit: &&Money| limit.currency == amount.currency;
        let of = |limits: &[Money]| limits.iter().find(same).map(|limit| limit.minor);
        let least = of(&self.min_amount);
        let most = of(&self.max_amount);
        let fits = (self.min_amount.is_empty() || least.is_some_and(|least| amount.minor >= least))
            && (self.max_amount.is_empty() || most.is_some_and(|most| amount.minor <= most));
        (!fits).then(|| format!("it is for other amounts than {amount}"))
    }

    fn tenure_left_out(&self, opened_at: Timestamp, customer: &Customer) -> Option<String> {
        if self.min_tenure_days.is_none() && self.max_tenure_days.is_none() {
            return None;
        }
        let Some(since) = customer.customer_since else {
            return Some("it is not known since when they have been a customer".into());
        };
        let opened = opened_at.to_zoned(TimeZone::UTC).date();
        let days = (opened - since).get_days().max(0).unsigned_abs();
        let fits = self.min_tenure_days.is_none_or(|least| days >= least)
            && self.max_tenure_days.is_none_or(|most| days <= most);
        (!fits).then(|| format!("it is not for who has been a customer for {days} days"))
    }

    fn customer_left_out(&self, customer: &Customer) -> Option<String> {
        let country = customer.contact.country.as_deref();
        let here = |wanted: &String| country.is_some_and(|own| own.eq_ignore_ascii_case(wanted));
        if !self.countries.is_empty() && !self.countries.iter().any(here) {
            return Some("it is for customers of other countries".into());
        }
        let is_in = |tag: &String| customer.tags.contains(tag);
        if !self.tags.is_empty() && !self.tags.iter().any(is_in) {
            return Some(format!("it is for customers with the tag {}", self.tags.join(" or ")));
        }
        let not = self.without_tags.iter().find(|tag| is_in(tag))?;
        Some(format!("it is not for customers with the tag {not}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::case::tests_case;

    fn money(minor: i64, currency: &str) -> Money {
        Money::new(minor, currency.parse().unwrap())
    }

    #[test]
    fn what_is_not_known_fits_no_condition() {
        let (case, customer) = (tests_case(), Customer::new("cus_1"));
        assert_eq!(Audience::default().leaves_out(&case, &customer), None);
        let conditions = [
            Audience { min_tenure_days: Some(0), ..Audience::default() },
            Audience { max_tenure_days: Some(9_999), ..Audience::default() },
            Audience { countries: vec!["CO".into()], ..Audience::default() },
            Audience { tags: vec!["vip".into()], ..Audience::default() },
            Audience { min_amount: vec![money(0, "COP")], ..Audience::default() },
            Audience { max_amount: vec![money(i64::MAX, "COP")], ..Audience::default() },
            Audience { categories: vec![Category::LostOrStolen], ..Audience::default() },
        ];
        for condition in conditions {
            assert!(condition.leaves_out(&case, &customer).is_some(), "{condition:?}");
        }
    }

    #[test]
    fn each_condition_has_its_bounds_inside() {
        let case = tests_case(); // 29.00 USD, insufficient funds, opened on 21 November 2026
        let mut customer = Customer::new("cus_1");
        customer.customer_since = Some("2026-11-11".parse().unwrap());
        customer.contact.country = Some("CO".into());
        customer.tags = ["vip".to_owned()].into();
        let fits = |audience: Audience| audience.leaves_out(&case, &customer).is_none();
        let everybody = Audience::default;
        for (least, fit) in [(2900, true), (2901, false)] {
            let min_amount = vec![money(1, "COP"), money(least, "USD")];
            assert_eq!(fits(Audience { min_amount, ..everybody() }), fit);
        }
        for (most, fit) in [(2900, true), (2899, false)] {
            assert_eq!(fits(Audience { max_amount: vec![money(most, "USD")], ..everybody() }), fit);
        }
        for (days, least, most) in [(9, true, false), (10, true, true), (11, false, true)] {
            assert_eq!(fits(Audience { min_tenure_days: Some(days), ..everybody() }), least);
            assert_eq!(fits(Audience { max_tenure_days: Some(days), ..everybody() }), most);
        }
        assert!(fits(Audience { countries: vec!["MX".into(), "co".into()], ..everybody() }));
        assert!(fits(Audience { tags: vec!["pro".into(), "vip".into()], ..everybody() }));
        assert!(!fits(Audience { without_tags: vec!["vip".into()], ..everybody() }));
        assert!(fits(Audience { categories: vec![Category::InsufficientFunds], ..everybody() }));
    }
}
