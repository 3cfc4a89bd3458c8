//! Money: an integer of minor units with its currency.
//!
//! Why here: every amount that recoup reads, compares, charges or prints goes through this one
//! type, so that no float and no amount without a currency can exist. Minor units are ISO 4217's;
//! a gateway that counts otherwise (CLP at Adyen) converts in its own client.
//!
//! What must stay true: two amounts are only ever compared within one currency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency, in upper case (`USD`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The alphabetic code in upper case, e.g. `USD`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals ISO 4217 gives this currency: USD 2, JPY 0, KWD 3.
    pub fn exponent(self) -> u8 {
        self.0.exponent().unwrap_or(0) as u8
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Text that names no ISO 4217 currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as an ISO 4217 currency code")]
pub struct UnknownCurrency(pub String);

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        iso_currency::Currency::from_code(&text.to_ascii_uppercase())
            .map(Currency)
            .ok_or_else(|| UnknownCurrency(text.to_owned()))
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount: `minor` units of `currency`. Serialized with the currency's exponent, as the API
/// shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub struct Money {
    /// Integer minor units: 2900 is $29.00, and ¥2,900.
    pub minor: i64,
    /// The currency that the minor units are of.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Whether there is anything to collect.
    pub fn is_positive(self) -> bool {
        self.minor > 0
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Money", 3)?;
        out.serialize_field("minor", &self.minor)?;
        out.serialize_field("currency", &self.currency)?;
        out.serialize_field("exponent", &self.currency.exponent())?;
        out.end()
    }
}

impl fmt::Display for Money {
    /// Exact and plain, for logs and ledgers: `29.00 USD`. Customers get their locale's form
    /// (`message`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = usize::from(self.currency.exponent());
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        if fraction.is_empty() {
            write!(f, "{sign}{whole} {}", self.currency)
        } else {
            write!(f, "{sign}{whole}.{fraction} {}", self.currency)
        }
    }
}

/// Text that is no amount of a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as an amount, e.g. `29.00 USD`")]
pub struct BadAmount(pub String);

impl FromStr for Money {
    type Err = BadAmount;

    /// Reads what [`Money`] shows: plain digits, as many decimals as the currency has or fewer.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadAmount(text.to_owned());
        let (number, code) = text.trim().split_once(' ').ok_or_else(bad)?;
        let currency: Currency = code.trim().parse().map_err(|_| bad())?;
        let exponent = usize::from(currency.exponent());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let dotted = number.contains('.');
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > exponent {
            return Err(bad());
        }
        if dotted && fraction.is_empty() {
            return Err(bad());
        }
        let minor = format!("{whole}{fraction:0<exponent$}").parse().map_err(|_| bad())?;
        Ok(Self::new(minor, currency))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_exponent_exactly() {
        for (minor, code, shown) in [
            (2900, "usd", "29.00 USD"),
            (5, "USD", "0.05 USD"),
            (2900, "JPY", "2900 JPY"),
            (2900, "KWD", "2.900 KWD"),
            (-1, "EUR", "-0.01 EUR"),
            (i64::MIN, "JPY", "-9223372036854775808 JPY"),
        ] {
            assert_eq!(Money::new(minor, code.parse().unwrap()).to_string(), shown);
        }
    }

    #[test]
    fn reads_what_people_write_and_nothing_doubtful() {
        for (text, minor) in [
            ("29.00 USD", 2900),
            ("29 usd", 2900),
            ("0.5 USD", 50),
            ("2900 JPY", 2900),
            ("2.9 KWD", 2900),
        ] {
            assert_eq!(text.parse::<Money>().unwrap().minor, minor, "{text}");
        }
        for text in
            ["", "29", "USD", "29.001 USD", "29,00 USD", "-1 USD", ". USD", "1. USD", "1 XXY"]
        {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_a_currency_that_does_not_exist() {
        assert!("BTC".parse::<Currency>().is_err());
        assert!("".parse::<Currency>().is_err());
    }
}
