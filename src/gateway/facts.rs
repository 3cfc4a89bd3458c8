//! Reading loose JSON: one field at a time, each in the interface's spelling or not at all.
//!
//! Why here: gateways change shapes, leave fields out, send objects for ids. A field that cannot be
//! read must not cost the whole event, and a wrong spelling must not reach the core.
//!
//! What must stay true: no function panics or guesses; what cannot be read is `None`; nothing that
//! could be a card number comes out of here.

use jiff::Timestamp;
use serde_json::Value;

use super::amount::MAX_EXACT;
use super::{MalformedBody, WebhookRequest};
use crate::core::money::Currency;

/// A webhook's body as JSON.
pub(crate) fn json(request: &WebhookRequest<'_>) -> Result<Value, MalformedBody> {
    serde_json::from_slice(request.body)
        .map_err(|error| MalformedBody(format!("not JSON: {error}")))
}

/// A body that is no event, and why.
pub(crate) fn malformed(what: &str) -> MalformedBody {
    MalformedBody(what.to_owned())
}

/// The text at a JSON pointer; empty text is nothing.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// The text at a JSON pointer, owned.
pub(crate) fn owned(value: &Value, pointer: &str) -> Option<String> {
    text(value, pointer).map(str::to_owned)
}

/// The id at a JSON pointer: text, a number, or an (expanded) object's `id`.
pub(crate) fn id(value: &Value, pointer: &str) -> Option<String> {
    id_of(value.pointer(pointer)?)
}

/// The id that a value is, or has.
pub(crate) fn id_of(value: &Value) -> Option<String> {
    let plain = if value.is_object() { value.get("id")? } else { value };
    match plain {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// An amount: a whole number that is not negative and is exact in every JSON.
pub(crate) fn minor(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer)?.as_i64().filter(|amount| (0..=MAX_EXACT).contains(amount))
}

/// The currency at a JSON pointer.
pub(crate) fn currency(value: &Value, pointer: &str) -> Option<Currency> {
    text(value, pointer)?.parse().ok()
}

/// A count at a JSON pointer.
pub(crate) fn count(value: &Value, pointer: &str) -> Option<u32> {
    value.pointer(pointer)?.as_u64()?.try_into().ok()
}

/// A time: unix seconds, or RFC 3339.
pub(crate) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    match value.pointer(pointer)? {
        Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A network in the interface's spelling: `Visa` → `visa`, `American Express` → `amex`.
pub fn network(text: &str) -> Option<String> {
    let folded: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let known = match folded.as_str() {
        "" | "unknown" | "other" => return None,
        "mc" | "master" | "mastercard" => "mastercard",
        "americanexpress" | "amex" => "amex",
        "diners" | "dinersclub" => "diners",
        "unionpay" | "chinaunionpay" | "cup" => "unionpay",
        "cartesbancaires" => "cartes_bancaires",
        "eftposau" => "eftpos_au",
        other => other,
    };
    Some(known.to_owned())
}

/// `credit`, `debit` or `prepaid`.
pub(crate) fn funding(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    ["credit", "debit", "prepaid"].contains(&lower.as_str()).then_some(lower)
}

/// ISO 3166 alpha-2, in upper case.
pub(crate) fn country(text: &str) -> Option<String> {
    let two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    two.then(|| text.to_ascii_uppercase())
}

/// Exactly four digits: never more of a card number.
pub(crate) fn last4(text: &str) -> Option<String> {
    let four = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    four.then(|| text.to_owned())
}

/// `2030-03` from month and year.
pub(crate) fn expiry(month: Option<u64>, year: Option<u64>) -> Option<String> {
    let (month, year) = (month?, year?);
    let year = if year < 100 { year + 2000 } else { year };
    let sane = (1..=12).contains(&month) && (1970..=2199).contains(&year);
    sane.then(|| format!("{year:04}-{month:02}"))
}

/// `2030-03` as it is, where it is one.
pub(crate) fn expiry_text(text: &str) -> Option<String> {
    let (year, month) = text.split_once('-')?;
    let sane = year.len() == 4 && month.len() == 2;
    expiry(month.parse().ok(), year.parse().ok()).filter(|_| sane)
}

/// A phone number as E.164, with the usual separators taken out; without `+` the country is
/// unknown.
pub(crate) fn phone(text: &str) -> Option<String> {
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = bare.strip_prefix('+')?;
    let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(bare)
}

/// Text with an `@` inside: whether it can be delivered is not known here.
pub(crate) fn email(text: &str) -> Option<String> {
    let (name, domain) = text.split_once('@')?;
    let fits = !name.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_may_be_text_numbers_or_objects() {
        let value = json!({
            "a": "x", "b": {"id": "y"}, "c": 7, "d": "", "e": null, "f": {"id": {"id": "z"}},
            "g": 1.5, "h": [],
        });
        let read = |name: &str| id(&value, &format!("/{name}"));
        assert_eq!(read("a").as_deref(), Some("x"));
        assert_eq!(read("b").as_deref(), Some("y"));
        assert_eq!(read("c").as_deref(), Some("7"));
        for nothing in ["d", "e", "f", "g", "h", "i"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn amounts_are_whole_positive_and_exact() {
        let value: Value = serde_json::from_str(
            r#"{"ok": 2900, "zero": 0, "top": 9007199254740992, "over": 9007199254740993,
                "huge": 99999999999999999999, "neg": -1, "frac": 29.5, "float": 29.0,
                "text": "2900"}"#,
        )
        .unwrap();
        assert_eq!(minor(&value, "/ok"), Some(2900));
        assert_eq!(minor(&value, "/zero"), Some(0));
        assert_eq!(minor(&value, "/top"), Some(MAX_EXACT));
        for nothing in ["over", "huge", "neg", "frac", "float", "text", "none"] {
            assert_eq!(minor(&value, &format!("/{nothing}")), None, "{nothing}");
        }
    }

    #[test]
    fn spelling_is_the_interfaces_or_nothing() {
        assert_eq!(network("American Express").as_deref(), Some("amex"));
        assert_eq!(network("MasterCard").as_deref(), Some("mastercard"));
        assert_eq!(network("VISA").as_deref(), Some("visa"));
        assert_eq!(network("unknown"), None);
        assert_eq!(funding("Prepaid").as_deref(), Some("prepaid"));
        assert_eq!(funding("unknown"), None);
        assert_eq!(country("us").as_deref(), Some("US"));
        assert_eq!(country("USA"), None);
        assert_eq!(last4("4242").as_deref(), Some("4242"));
        assert_eq!(last4("4242424242424242"), None);
        assert_eq!(expiry(Some(3), Some(2030)).as_deref(), Some("2030-03"));
        assert_eq!(expiry(Some(3), Some(30)).as_deref(), Some("2030-03"));
        assert_eq!(expiry(Some(13), Some(2030)), None);
        assert_eq!(expiry_text("2029-06").as_deref(), Some("2029-06"));
        for bad in ["2029-13", "06/29", "29-06", "2029-6", "2029"] {
            assert_eq!(expiry_text(bad), None, "{bad}");
        }
        assert_eq!(phone("+57 (601) 555-0100").as_deref(), Some("+576015550100"));
        assert_eq!(phone("601 555 0100"), None);
        assert_eq!(email("a@b.example").as_deref(), Some("a@b.example"));
        assert_eq!(email("nobody"), None);
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        let value = json!({
            "s": 1795200000, "t": "2026-11-20T18:40:00Z", "far": 99999999999999_i64, "x": "soon",
        });
        assert_eq!(time(&value, "/s"), time(&value, "/t"));
        assert!(time(&value, "/s").is_some());
        assert_eq!(time(&value, "/far"), None);
        assert_eq!(time(&value, "/x"), None);
    }
}
