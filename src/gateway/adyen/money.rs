//! Adyen's amounts: ISO 4217 minor units, but for four currencies.
//!
//! Why here: Adyen's own page of currency codes says that for CLP, CVE, IDR and ISK its number of
//! decimals differs from the standard's, and that its own is the one that counts.
//!
//! What must stay true: there and back gives the same amount; what Adyen cannot express exactly (a
//! part of a rupiah) is `None`, and is not charged.

use serde_json::{Value, json};

use crate::core::money::Money;
use crate::gateway::amount::Exponents;
use crate::gateway::facts::{currency, minor};

const EXPONENTS: Exponents = Exponents(&[(0, &["CVE", "IDR"]), (2, &["CLP", "ISK"])]);

/// The amount in an object of `value` and `currency`.
pub(super) fn read(amount: &Value) -> Option<Money> {
    EXPONENTS.read(minor(amount, "/value")?, currency(amount, "/currency")?)
}

/// The object of `value` and `currency`; `None` where Adyen cannot express the amount, or it is not
/// positive.
pub(super) fn write(money: Money) -> Option<Value> {
    let value = EXPONENTS.write(money).filter(|value| *value > 0)?;
    Some(json!({ "value": value, "currency": money.currency.code() }))
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
    fn the_four_exceptions_are_adyens() {
        for (value, code, shown) in [
            (2_900_000, "CLP", "29000 CLP"),
            (290_000, "ISK", "2900 ISK"),
            (29_000, "IDR", "29000.00 IDR"),
            (290, "CVE", "290.00 CVE"),
            (2900, "JPY", "2900 JPY"),
            (29_000, "KWD", "29.000 KWD"),
            (2_900_000, "COP", "29000.00 COP"),
        ] {
            let amount = json!({ "value": value, "currency": code });
            let money = read(&amount).unwrap();
            assert_eq!(money.to_string(), shown);
            assert_eq!(write(money), Some(amount));
        }
    }

    #[test]
    fn what_is_not_exact_or_not_positive_is_nothing() {
        let money = |minor, code: &str| Money::new(minor, code.parse().unwrap());
        for nothing in
            [money(150, "IDR"), money(0, "EUR"), money(-1, "EUR"), money(i64::MAX, "CLP")]
        {
            assert_eq!(write(nothing), None, "{nothing}");
        }
        assert_eq!(read(&json!({ "value": 150, "currency": "ISK" })), None);
        for value in [json!(-1), json!(29.5), json!("2900"), json!(9_007_199_254_740_993_i64)] {
            assert_eq!(read(&json!({ "value": value, "currency": "EUR" })), None);
        }
    }
}
