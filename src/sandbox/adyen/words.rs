//! Adyen's words for what the issuer says, and for cards and amounts.
//!
//! Why here: the issuer of this world speaks Stripe's codes, since developers know them; Adyen has
//! numbers and texts of its own.
//!
//! What must stay true: a code that is in no row is refused as "Refused", with the issuer's number
//! where there is one.

use serde_json::{Value, json};

use crate::core::money::{Currency, Money};
use crate::sandbox::cards::Card;
use crate::sandbox::refusal::Refusal;

/// Stripe's code, `refusalReasonCode`, `refusalReason`.
const ROWS: [(&str, &str, &str); 17] = [
    ("generic_decline", "2", "Refused"),
    ("call_issuer", "3", "Referral"),
    ("processing_error", "4", "Acquirer Error"),
    ("lost_card", "5", "Blocked Card"),
    ("stolen_card", "5", "Blocked Card"),
    ("expired_card", "6", "Expired Card"),
    ("incorrect_number", "8", "Invalid Card Number"),
    ("issuer_not_available", "9", "Issuer Unavailable"),
    ("card_not_supported", "10", "Not supported"),
    ("insufficient_funds", "12", "Not enough balance"),
    ("transaction_not_allowed", "23", "Transaction Not Permitted"),
    ("incorrect_cvc", "24", "CVC Declined"),
    ("restricted_card", "25", "Restricted Card"),
    ("revocation_of_authorization", "26", "Revocation Of Auth"),
    ("card_velocity_exceeded", "28", "Withdrawal amount exceeded"),
    ("fraudulent", "31", "Issuer Suspected Fraud"),
    ("authentication_required", "38", "Authentication required"),
];

/// `refusalReasonCode` and `refusalReason`.
pub(crate) fn reason(refusal: &Refusal) -> (&'static str, &'static str) {
    let row = ROWS.iter().find(|row| row.0 == refusal.code);
    row.map_or(("2", "Refused"), |row| (row.1, row.2))
}

/// The refusal of a `refusalReasonCode`: what `RequestedTestAcquirerResponseCode` asks for.
pub(crate) fn of_code(code: &str) -> Option<Refusal> {
    ROWS.iter().find(|row| row.1 == code).map(|row| Refusal::of(row.0))
}

/// `51 : Not enough balance`.
pub(crate) fn raw(refusal: &Refusal) -> Option<String> {
    let number = refusal.network_decline_code.as_ref()?;
    Some(format!("{number} : {}", reason(refusal).1))
}

/// Adyen's name of a card's network.
pub(crate) fn brand(card: &Card) -> &'static str {
    match card.brand {
        "mastercard" => "mc",
        "unionpay" => "cup",
        brand => brand,
    }
}

/// Adyen counts these otherwise than ISO 4217.
fn decimals(currency: Currency) -> u8 {
    match currency.code() {
        "CVE" | "IDR" => 0,
        "CLP" | "ISK" => 2,
        _ => currency.exponent(),
    }
}

/// The money in an object of `value` and `currency`; `None`: it is none.
pub(crate) fn money(amount: &Value) -> Option<Money> {
    let currency: Currency = amount.get("currency")?.as_str()?.parse().ok()?;
    let value = amount.get("value")?.as_i64().filter(|value| *value >= 0)?;
    let (theirs, iso) = (decimals(currency), currency.exponent());
    let minor = match theirs.cmp(&iso) {
        std::cmp::Ordering::Equal => value,
        std::cmp::Ordering::Less => value.checked_mul(10_i64.pow(u32::from(iso - theirs)))?,
        std::cmp::Ordering::Greater => value / 10_i64.pow(u32::from(theirs - iso)),
    };
    Some(Money::new(minor, currency))
}

/// The object of `value` and `currency`.
pub(crate) fn amount(money: Money) -> Value {
    let (theirs, iso) = (decimals(money.currency), money.currency.exponent());
    let value = match theirs.cmp(&iso) {
        std::cmp::Ordering::Equal => money.minor,
        std::cmp::Ordering::Less => money.minor / 10_i64.pow(u32::from(iso - theirs)),
        std::cmp::Ordering::Greater => {
            money.minor.saturating_mul(10_i64.pow(u32::from(theirs - iso)))
        }
    };
    json!({ "value": value, "currency": money.currency.code() })
}
