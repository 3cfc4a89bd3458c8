//! Stripe's amounts: what Stripe counts in, and ISO 4217 minor units.
//!
//! Why here: Stripe keeps some currencies at the decimals they had long ago. ISK and UGX have no
//! minor unit by ISO 4217, and Stripe counts them in hundredths; MGA has two decimals by ISO 4217,
//! and Stripe counts whole ariary.
//!
//! What must stay true: there and back gives the same amount, for every currency; an amount that
//! cannot be expressed exactly is `None`, never rounded.

use crate::core::money::{Currency, Money};
use crate::gateway::amount::Exponents;

/// What Stripe calls zero-decimal; then what ISO 4217 does and Stripe, for backward compatibility,
/// does not.
const EXPONENTS: Exponents = Exponents(&[
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV",
            "XAF", "XOF", "XPF",
        ],
    ),
    (2, &["ISK", "UGX"]),
]);

/// Stripe's number as ISO minor units; `None` where it is no whole number of them.
pub fn from_stripe(amount: i64, currency: Currency) -> Option<Money> {
    EXPONENTS.read(amount, currency)
}

/// ISO minor units as Stripe's number; `None` where Stripe cannot express them, or they overflow.
pub fn to_stripe(money: Money) -> Option<i64> {
    EXPONENTS.write(money)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::amount::assert_there_and_back;

    #[test]
    fn there_and_back_is_the_same_for_every_currency() {
        assert_there_and_back(EXPONENTS);
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
