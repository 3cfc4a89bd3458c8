//! Stripe's amounts: what Stripe counts in, and ISO 4217 minor units.
//!
//! Why here: Stripe keeps some currencies at the decimals they had long ago. ISK and UGX have no
//! minor unit by ISO 4217, and Stripe counts them in hundredths; MGA has two decimals by ISO 4217,
//! and Stripe counts whole ariary.
//!
//! What must stay true: there and back gives the same amount, for every currency; an amount that
//! cannot be expressed exactly is `None`, never rounded.

use crate::core::money::{Currency, Money};

/// What Stripe calls zero-decimal.
const WHOLE: [&str; 15] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Zero-decimal by ISO 4217, two decimals at Stripe for backward compatibility.
const HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];

/// How many decimals Stripe gives this currency.
fn stripe_exponent(currency: Currency) -> u8 {
    if WHOLE.contains(&currency.code()) {
        0
    } else if HUNDREDTHS.contains(&currency.code()) {
        2
    } else {
        currency.exponent()
    }
}

/// Stripe's number as ISO minor units; `None` where it is no whole number of them.
pub fn from_stripe(amount: i64, currency: Currency) -> Option<Money> {
    let (theirs, ours) = (stripe_exponent(currency), currency.exponent());
    let minor = rescale(amount, theirs, ours)?;
    Some(Money::new(minor, currency))
}

/// ISO minor units as Stripe's number; `None` where Stripe cannot express them, or they overflow.
pub fn to_stripe(money: Money) -> Option<i64> {
    rescale(money.minor, money.currency.exponent(), stripe_exponent(money.currency))
}

/// The same amount with another number of decimals, if it is exact.
fn rescale(amount: i64, from: u8, to: u8) -> Option<i64> {
    if to >= from {
        return amount.checked_mul(10_i64.checked_pow(u32::from(to - from))?);
    }
    let divisor = 10_i64.checked_pow(u32::from(from - to))?;
    (amount % divisor == 0).then_some(amount / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_currency() -> Vec<Currency> {
        let letters = || 'A'..='Z';
        letters()
            .flat_map(|a| letters().map(move |b| (a, b)))
            .flat_map(|(a, b)| letters().map(move |c| format!("{a}{b}{c}")))
            .filter_map(|code| code.parse().ok())
            .collect()
    }

    #[test]
    fn there_and_back_is_the_same_for_every_currency() {
        let all = every_currency();
        assert!(all.len() > 150);
        for currency in all {
            for whole in [0, 1, 29, 1_000_000] {
                let minor = whole * 10_i64.pow(u32::from(currency.exponent()));
                let money = Money::new(minor, currency);
                let theirs = to_stripe(money).unwrap();
                assert_eq!(from_stripe(theirs, currency), Some(money), "{money}");
            }
        }
    }

    #[test]
    fn the_special_cases_are_stripes() {
        for (theirs, code, shown) in [
            (290_000, "isk", "2900 ISK"),
            (290_000, "ugx", "2900 UGX"),
            (2900, "jpy", "2900 JPY"),
            (29_000, "clp", "29000 CLP"),
            (29_000, "kwd", "29.000 KWD"),
            (2900, "mga", "2900.00 MGA"),
            (2_900_000, "cop", "29000.00 COP"),
            (2900, "huf", "29.00 HUF"),
        ] {
            let currency: Currency = code.parse().unwrap();
            let money = from_stripe(theirs, currency).unwrap();
            assert_eq!(money.to_string(), shown);
            assert_eq!(to_stripe(money), Some(theirs));
        }
    }

    #[test]
    fn what_is_not_exact_is_nothing() {
        assert_eq!(from_stripe(290_050, "ISK".parse().unwrap()), None);
        assert_eq!(to_stripe(Money::new(150, "MGA".parse().unwrap())), None);
        assert_eq!(to_stripe(Money::new(i64::MAX, "UGX".parse().unwrap())), None);
    }
}
