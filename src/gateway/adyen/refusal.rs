//! What Adyen tells of a refusal and of a card, in webhooks and in answers.
//!
//! Why here: both carry the same `additionalData`, with other names around it.
//!
//! What must stay true: nothing in `additionalData` is signed in a webhook. It steers how careful
//! we are with a card, never whether something was paid; of a card never more than the last four.

use std::sync::LazyLock;

use serde_json::Value;

use crate::core::decline::{self, Classified, Decline, DeclineTable, RawDecline, bare_code};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::facts::{self, owned, text};

static TABLE: LazyLock<DeclineTable> =
    LazyLock::new(|| DeclineTable::from_csv(include_str!("declines.csv")).unwrap_or_default());

/// Category and advice of a refusal, and what they are based on.
pub(super) fn classified(raw: &RawDecline) -> Classified {
    decline::classify(Some(&TABLE), raw)
}

/// A field of `additionalData`; Adyen writes "null" where it means none.
pub(super) fn extra<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let value = object.get("additionalData")?.get(name)?.as_str()?.trim();
    (!value.is_empty() && value != "null").then_some(value)
}

/// The first of several fields of `additionalData`.
pub(super) fn first_extra<'a>(object: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| extra(object, name))
}

/// A refusal in Adyen's own words: its number, where there is one, and its text.
pub(super) struct Words<'a> {
    pub(super) code: Option<&'a str>,
    pub(super) text: Option<&'a str>,
}

/// The refusal that these words and the `additionalData` of `object` tell of.
pub(super) fn decline_of(object: &Value, words: &Words<'_>, network: Option<String>) -> Decline {
    let bare = |name: &str| extra(object, name).map(|text| bare_code(text).to_owned());
    let text = words.text.map(str::trim).filter(|text| !text.is_empty() && *text != "null");
    let code = words.code.map(str::trim).filter(|code| !code.is_empty()).or(text);
    let told = classified(&RawDecline {
        code: code.map(|code| bare_code(code).to_owned()),
        network_code: bare("refusalReasonRaw"),
        network_advice_code: bare("merchantAdviceCode"),
        network,
        text: text.map(str::to_owned),
        ..RawDecline::default()
    });
    told.decline
}

/// The card that the `additionalData` of `object` tells of; `method` is Adyen's name of its kind.
pub(super) fn card_of(object: &Value, method: Option<&str>) -> PaymentMethodFacts {
    let token = ["tokenization.storedPaymentMethodId", "recurring.recurringDetailReference"];
    let country = first_extra(object, &["cardIssuingCountry", "issuerCountry"]);
    PaymentMethodFacts {
        token: first_extra(object, &token).map(str::to_owned),
        network: method.and_then(network),
        last4: extra(object, "cardSummary").and_then(facts::last4),
        exp: extra(object, "expiryDate").and_then(expiry),
        country: country.and_then(facts::country),
        funding: extra(object, "fundingSource").and_then(funding),
        fingerprint: extra(object, "alias").map(str::to_owned),
    }
}

/// The scheme's id of a payment.
pub(super) fn network_transaction_id(object: &Value) -> Option<String> {
    extra(object, "networkTxReference").map(str::to_owned)
}

/// The customer.
pub(super) fn shopper(object: &Value) -> Option<String> {
    let names = ["shopperReference", "recurring.shopperReference", "tokenization.shopperReference"];
    first_extra(object, &names).map(str::to_owned).or_else(|| owned(object, "/shopperReference"))
}

/// `visa` of `visastandarddebit`, `mastercard` of `mc_applepay`; what is no card has no network.
pub(super) fn network(method: &str) -> Option<String> {
    const KNOWN: [(&str, &str); 13] = [
        ("visa", "visa"),
        ("electron", "visa"),
        ("mc", "mastercard"),
        ("maestro", "maestro"),
        ("amex", "amex"),
        ("discover", "discover"),
        ("diners", "diners"),
        ("jcb", "jcb"),
        ("cup", "unionpay"),
        ("elo", "elo"),
        ("hipercard", "hipercard"),
        ("cartebancaire", "cartes_bancaires"),
        ("bcmc", "bancontact"),
    ];
    let lower = method.to_ascii_lowercase();
    KNOWN.iter().find(|(prefix, _)| lower.starts_with(prefix)).map(|(_, name)| (*name).to_owned())
}

/// `2030-03` of `03/2030` or `3/2030`.
fn expiry(text: &str) -> Option<String> {
    let (month, year) = text.split_once('/')?;
    facts::expiry(month.trim().parse().ok(), year.trim().parse().ok())
}

/// Adyen tells kinds of prepaid and of debit apart; charge cards are credit.
fn funding(source: &str) -> Option<String> {
    let source = source.to_ascii_lowercase();
    let known = ["prepaid", "debit", "credit"].into_iter().find(|kind| source.contains(kind));
    let known = known.or((source == "charge").then_some("credit"));
    known.map(str::to_owned)
}

/// The kind of means of payment in an answer.
pub(super) fn method_in(answer: &Value) -> Option<&str> {
    ["/paymentMethod/brand", "/paymentMethod/type", "/additionalData/paymentMethod"]
        .into_iter()
        .find_map(|pointer| text(answer, pointer))
}
