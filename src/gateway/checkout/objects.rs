//! What Checkout.com's objects tell of a refusal, a card and a customer.
//!
//! Why here: webhooks, answers and reads carry the same fields, in nearly the same spelling; all
//! read them here.
//!
//! What must stay true: of a card never more than the last four digits; the issuer's code is told
//! only where it is certain.

use std::sync::LazyLock;

use serde_json::Value;

use crate::core::decline::{self, Classified, Decline, DeclineTable, RawDecline};
use crate::core::event::{Contact, PaymentMethodFacts};
use crate::gateway::facts::{self, id, owned, text};

static TABLE: LazyLock<DeclineTable> =
    LazyLock::new(|| DeclineTable::from_csv(include_str!("declines.csv")).unwrap_or_default());

/// Category and advice of a refusal, and what they are based on.
pub(super) fn classified(raw: &RawDecline) -> Classified {
    let mut found = decline::classify(
        Some(&TABLE),
        &RawDecline {
            code: raw.code.as_deref().map(|code| in_table(code).to_owned()),
            ..raw.clone()
        },
    );
    found.decline.code = raw.code.clone();
    found
}

/// The whole range 50xxx (payouts, refunds) is one row.
fn in_table(code: &str) -> &str {
    let number = code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit());
    if number && code.starts_with("50") { "50xxx" } else { code }
}

/// The refusal that an object with `response_code` and `processing` tells of.
pub(super) fn decline_of(object: &Value) -> Decline {
    let code = id(object, "/response_code");
    let told = text(object, "/processing/partner_response_code").filter(|code| is_issuers(code));
    let network_code = told.or_else(|| code.as_deref().and_then(network_code));
    let raw = RawDecline {
        network_code: network_code.map(str::to_owned),
        advice_code: id(object, "/processing/recommendation_code"),
        network_advice_code: id(object, "/processing/partner_merchant_advice_code"),
        network: card_facts(object).network,
        text: owned(object, "/response_summary").filter(|_| code.is_none()),
        code: code.or_else(|| owned(object, "/response_summary")),
        region: None,
    };
    classified(&raw).decline
}

fn is_issuers(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The issuer's code inside one of Checkout.com's: 20051 and 30041 are the network's 51 and 41, and
/// 20179, 20182, 20183 are Mastercard's 79, 82, 83. Some of the same shape mean something else
/// (20046 is no closed account); so it is taken only where both tables say the same.
fn network_code(code: &str) -> Option<&str> {
    let lifecycle = ["20179", "20182", "20183"].contains(&code);
    let by_shape = code.starts_with("200") || code.starts_with("300") || lifecycle;
    let tail = code.get(3..).filter(|tail| by_shape && is_issuers(tail))?;
    let ours = TABLE.get(code)?;
    let network = RawDecline { network_code: Some(tail.to_owned()), ..RawDecline::default() };
    let theirs = decline::classify(None, &network);
    let same = (theirs.decline.category, theirs.decline.advice) == (ours.category, ours.advice);
    (theirs.known && same).then_some(tail)
}

/// The card in an object's `source`.
pub(super) fn card_facts(object: &Value) -> PaymentMethodFacts {
    let Some(source) = object.get("source").filter(|source| source.is_object()) else {
        return PaymentMethodFacts::default();
    };
    instrument_facts(source)
}

/// What a source or an instrument tells of itself.
pub(super) fn instrument_facts(source: &Value) -> PaymentMethodFacts {
    let number = |name: &str| {
        let value = source.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    };
    let last4 = text(source, "/last_4").or_else(|| text(source, "/last4"));
    PaymentMethodFacts {
        token: owned(source, "/id"),
        network: text(source, "/scheme").and_then(facts::network),
        last4: last4.and_then(facts::last4),
        exp: facts::expiry(number("expiry_month"), number("expiry_year")),
        country: text(source, "/issuer_country").and_then(facts::country),
        funding: text(source, "/card_type").and_then(funding),
        fingerprint: owned(source, "/fingerprint"),
    }
}

/// `DEFERRED DEBIT` is a debit card, `CHARGE` a credit card that is settled each month.
fn funding(card_type: &str) -> Option<String> {
    let known = match card_type.to_ascii_lowercase().replace('_', " ").as_str() {
        "charge" => "credit",
        "deferred debit" => "debit",
        _ => card_type,
    };
    facts::funding(known)
}

/// How the customer of an object can be reached.
pub(super) fn contact(object: &Value) -> Contact {
    let phone = ["/customer/phone", "/source/phone"].into_iter().find_map(|at| phone(object, at));
    Contact {
        name: owned(object, "/customer/name"),
        email: text(object, "/customer/email").and_then(facts::email),
        phone,
        locale: None,
        time_zone: None,
        country: text(object, "/source/billing_address/country").and_then(facts::country),
    }
}

fn phone(object: &Value, at: &str) -> Option<String> {
    let phone = object.pointer(at)?;
    let code = text(phone, "/country_code")?.trim_start_matches('+');
    facts::phone(&format!("+{code}{}", text(phone, "/number")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::decline::{Advice, Category};
    use serde_json::json;

    #[test]
    fn the_table_is_whole() {
        let table = DeclineTable::from_csv(include_str!("declines.csv")).unwrap();
        assert_eq!(table.codes().count(), 199);
    }

    #[test]
    fn the_issuers_code_is_told_only_where_both_tables_agree() {
        for (code, wanted) in [
            ("20051", Some("51")),
            ("20005", Some("05")),
            ("20014", Some("14")),
            ("200R1", Some("R1")),
            ("30041", Some("41")),
            ("20179", Some("79")),
            ("20183", Some("83")),
            ("20046", None),
            ("20012", None),
            ("20015", None),
            ("20033", None),
            ("30038", None),
            ("20082", None),
            ("20154", None),
            ("41101", None),
            ("20777", None),
            ("20", None),
            ("200ñ", None),
        ] {
            assert_eq!(network_code(code), wanted, "{code}");
        }
    }

    #[test]
    fn the_networks_advice_wins() {
        let body = json!({
            "response_code": "20051", "source": {"scheme": "Mastercard"},
            "processing": {"partner_merchant_advice_code": "24"},
        });
        let decline = decline_of(&body);
        let wanted = (Category::InsufficientFunds, Advice::RetryAfter, Some(3600));
        assert_eq!((decline.category, decline.advice, decline.min_delay_seconds), wanted);
        let body = json!({"response_code": "20005", "processing": {"recommendation_code": "03"}});
        assert_eq!(decline_of(&body).advice, Advice::Never);
    }

    #[test]
    fn a_range_and_a_code_that_is_in_no_table() {
        assert_eq!(decline_of(&json!({"response_code": "50150"})).category, Category::NotADecline);
        let decline = decline_of(&json!({"response_code": "20777"}));
        assert_eq!((decline.category, decline.advice), (Category::Unknown, Advice::None));
        assert_eq!(decline.code.as_deref(), Some("20777"));
        let decline = decline_of(&json!({"response_summary": "Insufficient Funds"}));
        assert_eq!(decline.category, Category::InsufficientFunds);
    }

    #[test]
    fn cards_are_read_in_both_spellings() {
        for last4 in ["last_4", "last4"] {
            let mut source = json!({
                "id": "src_1", "scheme": "American Express", "expiry_month": "6",
                "expiry_year": 2030, "issuer_country": "co", "card_type": "Deferred Debit",
                "fingerprint": "F1",
            });
            source[last4] = json!("0005");
            let facts = card_facts(&json!({"source": source}));
            let shown = [&facts.token, &facts.network, &facts.last4, &facts.exp, &facts.funding];
            let wanted = ["src_1", "amex", "0005", "2030-06", "debit"];
            assert_eq!(shown.map(|text| text.as_deref().unwrap()), wanted);
            assert_eq!(facts.country.as_deref(), Some("CO"));
        }
        assert_eq!(card_facts(&json!({"source": "src_1"})), PaymentMethodFacts::default());
    }
}
