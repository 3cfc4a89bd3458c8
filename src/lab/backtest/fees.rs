//! Amounts of the fees file and the log, as exact integers.
//!
//! Why here: this is the edge where decimals come in. Inside, money is integers of a ten-thousandth
//! (the unit of `core::worth`, for a currency with two decimals).
//!
//! What must stay true: an amount that has more decimals than fit, or is too large, is refused, not
//! rounded.

use serde::Deserialize;

use crate::core::ids::GatewayId;
use crate::core::worth::{self, Fee, Fees};

/// Decimals that are kept.
const DECIMALS: usize = 4;

/// An amount that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeesError {
    /// The file is no TOML, or has other keys.
    #[error("understand the fees: {0}")]
    Toml(String),
    /// One of its amounts.
    #[error("read `{key}` of `[{gateway}]`: `{cell}` is no amount with up to four decimals")]
    Amount {
        /// The gateway.
        gateway: String,
        /// The key.
        key: &'static str,
        /// What stands there.
        cell: String,
    },
    /// No gateway at all.
    #[error("find a gateway in the fees")]
    Empty,
}

/// A decimal number in ten-thousandths.
pub fn exact(cell: &str) -> Option<i64> {
    worth::exact(cell, DECIMALS)
}

/// Ten-thousandths as a number to show.
pub fn shown(ten_thousandths: f64) -> f64 {
    ten_thousandths / 10_f64.powi(DECIMALS as i32)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Whole(i64),
    Decimal(f64),
    Text(String),
}

impl Amount {
    fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfGateway {
    approved: Amount,
    declined: Amount,
    #[serde(default)]
    approved_bps: u32,
    network_risk: Option<Amount>,
}

/// Reads `[GATEWAY] approved = 5.0, declined = 2.0`.
pub fn read(text: &str) -> Result<Fees, FeesError> {
    let file: std::collections::BTreeMap<String, OfGateway> =
        toml::from_str(text).map_err(|error| FeesError::Toml(error.to_string()))?;
    if file.is_empty() {
        return Err(FeesError::Empty);
    }
    let fee = |(gateway, own): (String, OfGateway)| {
        let amount = |key, amount: &Amount| {
            exact(&amount.text()).filter(|value| *value >= 0).ok_or_else(|| FeesError::Amount {
                gateway: gateway.clone(),
                key,
                cell: amount.text(),
            })
        };
        let risk = own.network_risk.as_ref().map(|risk| amount("network_risk", risk));
        let fee = Fee {
            approved: amount("approved", &own.approved)?,
            approved_bps: own.approved_bps,
            declined: amount("declined", &own.declined)?,
            network_risk: risk.transpose()?.unwrap_or(0),
        };
        Ok((GatewayId::from(gateway.as_str()), fee))
    };
    file.into_iter().map(fee).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        for (cell, value) in [
            ("5", Some(50_000)),
            ("0.5", Some(5_000)),
            ("0.0025", Some(25)),
            ("1.50000", Some(15_000)),
            ("-3.1", Some(-31_000)),
            ("0.00001", None),
            ("1e3", None),
            ("NaN", None),
            ("inf", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("999999999999999999999", None),
        ] {
            assert_eq!(exact(cell), value, "{cell}");
        }
    }

    #[test]
    fn fees_are_numbers_or_texts() {
        let fees =
            read("[a]\napproved = 5\ndeclined = 0.5\n[b]\napproved = \"0.30\"\ndeclined = 0\n");
        let fees = fees.unwrap();
        assert_eq!(fees[&"a".into()].approved, 50_000);
        assert_eq!(fees[&"a".into()].declined, 5_000);
        assert_eq!(fees[&"b".into()].approved, 3_000);
        assert_eq!(read(""), Err(FeesError::Empty));
        assert!(matches!(
            read("[a]\napproved = nan\ndeclined = 0\n"),
            Err(FeesError::Amount { .. })
        ));
        assert!(matches!(
            read("[a]\napproved = -1\ndeclined = 0\n"),
            Err(FeesError::Amount { .. })
        ));
        assert!(matches!(read("[a]\naproved = 1\n"), Err(FeesError::Toml(_))));
    }
}
