//! Is an attempt worth it? What it brings when it is approved, less what it costs either way.
//!
//! Why here: an attempt that costs more than it can be expected to bring is not made, and the
//! ledger says so. Fees are the merchant's own, since every contract differs.
//!
//! What must stay true: money is integers. The unit is a hundredth of a minor unit (a
//! ten-thousandth of a dollar), because gateways bill fractions of a cent. Only probabilities are
//! floats; the product is rounded once, and a probability that is none gives the worst case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::GatewayId;
use super::money::Currency;

/// Hundredths of a minor unit in a minor unit.
pub const PARTS: i64 = 100;
/// Basis points in the whole.
const WHOLE: i128 = 10_000;

/// Larger amounts are mistakes: a hundred thousand millions.
const LARGEST: i64 = 1_000_000_000_000_000;

/// A decimal number in units of its last kept decimal; `None` for what has more decimals than
/// that, or is too large: nothing is rounded.
pub fn exact(text: &str, decimals: usize) -> Option<i64> {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > decimals
    {
        return None;
    }
    let value: i64 = format!("{whole}{fraction:0<decimals$}").parse().ok()?;
    (value <= LARGEST).then_some(if negative { -value } else { value })
}

/// An amount in hundredths of the currency's minor unit.
pub fn parts_of(text: &str, currency: Currency) -> Option<i64> {
    exact(text, usize::from(currency.exponent()) + 2)
}

/// What one gateway takes for one attempt, in hundredths of the minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fee {
    /// When it is approved.
    pub approved: i64,
    /// Of the amount, in basis points, when it is approved.
    pub approved_bps: u32,
    /// When it is declined.
    pub declined: i64,
    /// What a network is expected to charge for a declined attempt: its fee for a retry, times how
    /// often it is billed. Within the network limits this is small.
    pub network_risk: i64,
}

/// What the gateways take.
pub type Fees = BTreeMap<GatewayId, Fee>;

impl Fee {
    /// What an approval leaves of `worth`, in hundredths of the minor unit.
    pub fn gain(self, worth: i64) -> i64 {
        let share = i128::from(worth) * i128::from(self.approved_bps) / WHOLE;
        narrow(i128::from(worth) - i128::from(self.approved) - share)
    }

    /// What a decline costs, in hundredths of the minor unit.
    pub fn loss(self) -> i64 {
        self.declined.saturating_add(self.network_risk)
    }

    /// What an attempt is expected to leave: P × gain − (1 − P) × loss, in hundredths of the minor
    /// unit, rounded to the nearest. A probability that is none gives the worst case.
    pub fn expected(self, worth: i64, p: f64) -> i64 {
        if !(0.0..=1.0).contains(&p) {
            return narrow(-i128::from(self.loss()));
        }
        let value = p * self.gain(worth) as f64 - (1.0 - p) * self.loss() as f64;
        // `as` saturates, so that not even an absurd fee wraps around.
        value.round() as i64
    }
}

fn narrow(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_value_by_hand() {
        // 50.00 at stake; 5.00 when approved, 2.00 when declined; all in ten-thousandths.
        let fee = Fee { approved: 50_000, declined: 20_000, ..Fee::default() };
        assert_eq!(fee.expected(500_000, 0.25), (450_000 - 3 * 20_000) / 4);
        assert_eq!(fee.expected(500_000, 0.0), -20_000);
        assert_eq!(fee.expected(500_000, f64::NAN), -20_000);
        let share = Fee { approved_bps: 290, ..Fee::default() };
        assert_eq!(share.gain(500_000), 500_000 - 14_500);
    }

    #[test]
    fn decimals_are_exact_in_each_currency() {
        let parts = |text, currency: &str| parts_of(text, currency.parse().unwrap());
        assert_eq!(parts("0.30", "USD"), Some(3_000));
        assert_eq!(parts("0.0025", "USD"), Some(25));
        assert_eq!(parts("0.00251", "USD"), None, "nothing is rounded");
        assert_eq!(parts("900", "CLP"), Some(90_000));
        assert_eq!(parts("0.001", "KWD"), Some(100));
    }

    #[test]
    fn nothing_wraps_around() {
        let fee = Fee {
            approved: i64::MIN,
            approved_bps: u32::MAX,
            declined: i64::MAX,
            network_risk: i64::MAX,
        };
        assert_eq!(fee.loss(), i64::MAX);
        assert!(fee.expected(i64::MAX, 0.5) < 0);
        assert_eq!(fee.expected(i64::MIN, f64::INFINITY), -i64::MAX);
    }
}
