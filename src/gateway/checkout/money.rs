//! Amounts as Checkout.com counts them.
//!
//! Why here: its page "Format the amount value" (read 2026-11-25) has three groups: whole units,
//! thousandths whose last digit must be 0, and hundredths for *all other* currencies; the last
//! group holds some that ISO 4217 counts otherwise. Nine digits at most.
//!
//! What must stay true: an amount that Checkout.com cannot take exactly is `None`, never rounded.

use serde_json::Value;

use crate::core::money::{Currency, Money};
use crate::gateway::amount::{Exponents, decimal};
use crate::gateway::facts;

/// "All others" are hundredths: these are not at ISO 4217.
const EXPONENTS: Exponents = Exponents(&[(2, &["CLP", "CLF", "UYI", "UYW"])]);

/// Nine digits at most.
const MAX: i64 = 999_999_999;

/// What is sent for `money`; `None`: Checkout.com cannot take exactly that.
pub(super) fn to_checkout(money: Money) -> Option<i64> {
    let amount = EXPONENTS.write(money).filter(|amount| (1..=MAX).contains(amount))?;
    // Of three decimals the last one must be 0.
    let exact = money.currency.exponent() != 3 || amount % 10 == 0;
    exact.then_some(amount)
}

/// The amount at a JSON pointer, in the currency at another.
pub(super) fn read(object: &Value, amount: &str, currency: &str) -> Option<Money> {
    in_currency(object, amount, facts::currency(object, currency)?)
}

/// The amount at a JSON pointer.
pub(super) fn in_currency(object: &Value, amount: &str, currency: Currency) -> Option<Money> {
    EXPONENTS.read(whole(object.pointer(amount)?)?, currency)
}

/// A whole number, also where it is written `1999.0`, as some of Checkout.com's bodies do.
fn whole(value: &Value) -> Option<i64> {
    let text = decimal(value).filter(|_| value.is_number())?;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let exact = fraction.bytes().all(|digit| digit == b'0');
    whole
        .parse()
        .ok()
        .filter(|amount| exact && (0..=crate::gateway::amount::MAX_EXACT).contains(amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::amount::assert_there_and_back;
    use serde_json::json;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, code.parse().unwrap())
    }

    #[test]
    fn nothing_is_lost_in_any_currency() {
        assert_there_and_back(EXPONENTS);
    }

    #[test]
    fn each_group_as_the_page_says() {
        for (minor, code, theirs) in [
            (2900, "USD", Some(2900)),
            (100, "JPY", Some(100)),
            (2900, "CLP", Some(290_000)),
            (29_000, "KWD", Some(29_000)),
            (29_001, "KWD", None),
            (29_000, "CLF", Some(290)),
            (29_050, "CLF", None),
            (999_999_999, "COP", Some(999_999_999)),
            (1_000_000_000, "COP", None),
            (0, "USD", None),
            (-1, "USD", None),
            (i64::MAX, "CLP", None),
        ] {
            assert_eq!(to_checkout(money(minor, code)), theirs, "{minor} {code}");
        }
    }

    #[test]
    fn what_is_no_whole_amount_is_nothing() {
        let read = |amount: Value, currency: Value| {
            read(&json!({"amount": amount, "currency": currency}), "/amount", "/currency")
        };
        assert_eq!(read(json!(1999), json!("EUR")), Some(money(1999, "EUR")));
        assert_eq!(read(json!(1999.0), json!("eur")), Some(money(1999, "EUR")));
        assert_eq!(read(json!(290_000), json!("CLP")), Some(money(2900, "CLP")));
        for amount in [json!(-1), json!(19.5), json!("1999"), json!(1e300), json!(null), json!([])]
        {
            assert_eq!(read(amount.clone(), json!("EUR")), None, "{amount}");
        }
        assert_eq!(read(json!(9_007_199_254_740_993_i64), json!("EUR")), None);
        assert_eq!(read(json!(290_050), json!("CLP")), None);
        assert_eq!(read(json!(1999), json!("XXQ")), None);
        assert_eq!(read(json!(1999), Value::Null), None);
    }
}
