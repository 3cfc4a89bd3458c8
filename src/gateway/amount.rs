//! Amounts as gateways write them, and ISO 4217 minor units.
//!
//! Why here: some gateways keep a currency at other decimals than ISO 4217 gives it, some write
//! decimals instead of minor units. Each gateway states its exceptions as data; the arithmetic is
//! here once, in integers.
//!
//! What must stay true: there and back gives the same amount, for every currency; an amount that
//! cannot be expressed exactly is `None`, never rounded; nothing here goes through a float.

use serde_json::Value;

use crate::core::money::{Currency, Money};

/// The largest amount that every JSON implementation keeps exactly.
pub(crate) const MAX_EXACT: i64 = 1 << 53;

/// How many decimals a gateway gives the currencies that it counts otherwise than ISO 4217.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exponents(pub(crate) &'static [(u8, &'static [&'static str])]);

impl Exponents {
    /// ISO 4217's own.
    pub(crate) const ISO: Self = Self(&[]);

    fn of(self, currency: Currency) -> u8 {
        let theirs = self.0.iter().find(|(_, codes)| codes.contains(&currency.code()));
        theirs.map_or_else(|| currency.exponent(), |(exponent, _)| *exponent)
    }

    /// The gateway's integer as ISO minor units; `None` where it is no whole number of them.
    pub(crate) fn read(self, amount: i64, currency: Currency) -> Option<Money> {
        let minor = rescale(amount, self.of(currency), currency.exponent())?;
        Some(Money::new(minor, currency))
    }

    /// ISO minor units as the gateway's integer; `None` where it cannot express them, or they
    /// overflow.
    pub(crate) fn write(self, money: Money) -> Option<i64> {
        rescale(money.minor, money.currency.exponent(), self.of(money.currency))
    }

    /// A decimal (`"29.00"`, `29`, `29.5`) as ISO minor units. `None`: negative, no decimal, finer
    /// than the currency's minor unit, or beyond what is exact everywhere.
    pub(crate) fn read_decimal(self, text: &str, currency: Currency) -> Option<Money> {
        let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let scale = u8::try_from(fraction.len()).ok()?;
        let number: i64 = format!("{whole}{fraction}").parse().ok()?;
        let minor = rescale(number, scale, currency.exponent())?;
        (minor <= MAX_EXACT).then_some(Money::new(minor, currency))
    }

    /// ISO minor units as a decimal with as many digits as the gateway gives the currency.
    pub(crate) fn write_decimal(self, money: Money) -> Option<String> {
        let exponent = usize::from(self.of(money.currency));
        let number = self.write(money).filter(|number| *number >= 0)?;
        let digits = format!("{number:0>width$}", width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{whole}{point}{fraction}"))
    }
}

/// A decimal in JSON, as text or as a number. A number is taken by its digits as they stand, so
/// that `29.1` is 29.10 and not what a float makes of it.
pub(crate) fn decimal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()).filter(|text| !text.contains(['e', 'E'])),
        _ => None,
    }
}

/// A decimal as a JSON number with the same digits, without zeros that say nothing; `None` where
/// the number would be another one.
pub(crate) fn json_number(text: &str) -> Option<Value> {
    let plain = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    let number = serde_json::from_str::<Value>(plain).ok().filter(Value::is_number)?;
    let written = number.to_string();
    (written == plain).then_some(number)
}

/// The same amount with another number of decimals, if it is exact.
fn rescale(amount: i64, from: u8, to: u8) -> Option<i64> {
    if to >= from {
        return amount.checked_mul(10_i64.checked_pow(u32::from(to - from))?);
    }
    let divisor = 10_i64.checked_pow(u32::from(from - to))?;
    (amount % divisor == 0).then_some(amount / divisor)
}

/// Holds that a gateway's exponents lose nothing: what goes out comes back as the same [`Money`],
/// as an integer and as a decimal, for every currency.
#[cfg(test)]
pub(crate) fn assert_there_and_back(exponents: Exponents) {
    let all = every_currency();
    assert!(all.len() > 150);
    for currency in all {
        for whole in [0, 1, 29, 1_000_000] {
            let minor = whole * 10_i64.pow(u32::from(currency.exponent()));
            let money = Money::new(minor, currency);
            let theirs = exponents.write(money).unwrap();
            assert_eq!(exponents.read(theirs, currency), Some(money), "{money}");
            let text = exponents.write_decimal(money).unwrap();
            assert_eq!(exponents.read_decimal(&text, currency), Some(money), "{text}");
        }
    }
}

#[cfg(test)]
pub(crate) fn every_currency() -> Vec<Currency> {
    let letters = || 'A'..='Z';
    letters()
        .flat_map(|a| letters().map(move |b| (a, b)))
        .flat_map(|(a, b)| letters().map(move |c| format!("{a}{b}{c}")))
        .filter_map(|code| code.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    #[test]
    fn iso_itself_loses_nothing() {
        assert_there_and_back(Exponents::ISO);
    }

    #[test]
    fn decimals_are_exact_or_nothing() {
        for (text, minor) in
            [("29", 2900), ("29.0", 2900), ("29.5", 2950), ("29.50000", 2950), ("0.01", 1)]
        {
            let read = Exponents::ISO.read_decimal(text, usd());
            assert_eq!(read, Some(Money::new(minor, usd())), "{text}");
        }
        let huge = "99999999999999999999";
        for text in ["", ".5", "-1", "+1", "1e3", "29.005", "1,5", "abc", "90071992547409.93", huge]
        {
            assert_eq!(Exponents::ISO.read_decimal(text, usd()), None, "{text}");
        }
        assert_eq!(decimal(&json!(29.1)).as_deref(), Some("29.1"));
        assert_eq!(decimal(&json!(1e300)), None);
        assert_eq!(decimal(&json!(true)), None);
    }

    #[test]
    fn a_json_number_keeps_the_digits_or_is_none() {
        for (text, written) in
            [("29.00", "29"), ("29.50", "29.5"), ("0.01", "0.01"), ("29000", "29000"), ("0", "0")]
        {
            assert_eq!(json_number(text).unwrap().to_string(), written, "{text}");
        }
        for text in ["", "x", "029", "1e3", "9007199254740993.01", "\"29\""] {
            assert_eq!(json_number(text), None, "{text}");
        }
    }
}
