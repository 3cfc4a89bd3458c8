//! What Braintree's objects tell: transactions, subscriptions, cards, refusals.
//!
//! Why here: notifications and answers of the API carry the same objects; both read them here. The
//! names are those that Braintree's libraries know; what a real notification carries beyond their
//! samples is unproven, so nothing but an id is ever needed.
//!
//! What must stay true: of a card never more than the last four digits (samples carry whole
//! numbers); an amount without its currency is no amount; a status that is not known is none.

use std::sync::LazyLock;

use serde_json::Value;

use super::countries;
use super::xml::several;
use crate::core::decline::{self, Classified, Decline, DeclineTable, RawDecline};
use crate::core::event::{Contact, Event, EventKind, PaymentMethodFacts};
use crate::core::money::Money;
use crate::gateway::amount::Exponents;
use crate::gateway::facts::{self, count, currency, id, owned, text, time};
use crate::gateway::reference;

static TABLE: LazyLock<DeclineTable> =
    LazyLock::new(|| DeclineTable::from_csv(include_str!("declines.csv")).unwrap_or_default());

/// The row for the processor's codes that have none of their own.
const UNNAMED: &str = "2109-2999";

/// Braintree writes decimals, with ISO 4217's digits.
const AMOUNTS: Exponents = Exponents::ISO;

/// What a transaction's status says of the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The bank agreed.
    Approved,
    /// Refused, by the bank, the gateway's rules or at settlement.
    Declined,
    /// Not decided.
    Pending,
    /// It was agreed to, and taken back before any money moved.
    Void,
}

/// What a transaction's status says; `None`: it has none that is known.
pub(super) fn status(transaction: &Value) -> Option<Status> {
    match text(transaction, "/status")? {
        "authorized"
        | "submitted_for_settlement"
        | "settling"
        | "settled"
        | "settlement_confirmed" => Some(Status::Approved),
        "processor_declined" | "gateway_rejected" | "failed" | "settlement_declined" => {
            Some(Status::Declined)
        }
        "authorizing" | "settlement_pending" => Some(Status::Pending),
        "voided" | "authorization_expired" => Some(Status::Void),
        _ => None,
    }
}

/// Whether the gateway stopped it because the same was charged a moment before.
pub(super) fn is_duplicate(transaction: &Value) -> bool {
    text(transaction, "/status") == Some("gateway_rejected")
        && text(transaction, "/gateway_rejection_reason") == Some("duplicate")
}

/// A sum as Braintree writes it; `None`: unreadable, not positive, or without a currency.
pub(super) fn sum(object: &Value, pointer: &str) -> Option<Money> {
    let currency = currency(object, "/currency_iso_code")?;
    AMOUNTS.read_decimal(text(object, pointer)?, currency).filter(|sum| sum.is_positive())
}

/// A sum as Braintree reads it; `None`: not positive.
pub(super) fn decimal(sum: Money) -> Option<String> {
    AMOUNTS.write_decimal(sum).filter(|_| sum.is_positive())
}

/// Category and advice of a refusal, and what they are based on.
pub(super) fn classified(raw: &RawDecline) -> Classified {
    let row = raw.code.as_deref().and_then(row);
    let asked = RawDecline { code: row.or_else(|| raw.code.clone()), ..raw.clone() };
    let mut classified = decline::classify(Some(&TABLE), &asked);
    classified.decline.code.clone_from(&raw.code);
    classified
}

/// The row of the table that a code is found in, where that is named otherwise.
fn row(code: &str) -> Option<String> {
    let code = code.trim();
    if TABLE.get(code).is_some() {
        return None;
    }
    let by_gateway = format!("gateway_rejected:{code}");
    if TABLE.get(&by_gateway).is_some() {
        return Some(by_gateway);
    }
    let unnamed =
        code.len() == 4 && code.parse().is_ok_and(|code| (2109..=2999_u16).contains(&code));
    unnamed.then(|| UNNAMED.to_owned())
}

/// Why a transaction was refused; `None`: it was not, or nothing is told.
pub(super) fn decline_of(transaction: &Value) -> Option<Decline> {
    if status(transaction) != Some(Status::Declined) {
        return None;
    }
    let (code, words) = match text(transaction, "/status") {
        Some("gateway_rejected") => ("/gateway_rejection_reason", None),
        Some("settlement_declined") => (
            "/processor_settlement_response_code",
            text(transaction, "/processor_settlement_response_text"),
        ),
        _ => ("/processor_response_code", text(transaction, "/processor_response_text")),
    };
    // The codes from 1000 are approvals: on a refusal they, and their words, say nothing.
    let code = id(transaction, code);
    let is_approval = code.as_ref().is_some_and(|code| code.starts_with('1'));
    let code = code.filter(|_| !is_approval);
    let words = words.filter(|_| !is_approval).map(str::to_owned);
    let advice = id(transaction, "/merchant_advice_code");
    let is_number = |code: &String| code.bytes().all(|byte| byte.is_ascii_digit());
    let card = method_of(transaction);
    let raw = RawDecline {
        code: code.or_else(|| words.clone()),
        network_code: id(transaction, "/network_response_code"),
        advice_code: advice.clone().filter(|code| !is_number(code)),
        network_advice_code: advice.filter(is_number),
        network: card.network,
        region: card.country,
        text: words,
    };
    let told = [&raw.code, &raw.network_code, &raw.advice_code, &raw.network_advice_code];
    told.iter().any(|field| field.is_some()).then(|| classified(&raw).decline)
}

/// The parts of a transaction that describe the means of payment.
const MEANS: [&str; 9] = [
    "/credit_card",
    "/apple_pay",
    "/android_pay_card",
    "/visa_checkout_card",
    "/meta_checkout_card",
    "/paypal",
    "/venmo_account",
    "/us_bank_account",
    "/sepa_debit_account_detail",
];

/// The means of payment of a transaction.
pub(super) fn method_of(transaction: &Value) -> PaymentMethodFacts {
    let parts = MEANS.iter().filter_map(|at| transaction.pointer(at)).filter(|p| p.is_object());
    let told = parts.map(means).find(|facts| *facts != PaymentMethodFacts::default());
    let mut facts = told.unwrap_or_default();
    facts.token = facts.token.or_else(|| id(transaction, "/payment_method_token"));
    facts
}

/// One card, account or wallet.
pub(super) fn means(part: &Value) -> PaymentMethodFacts {
    let number = |at: &str| id(part, at)?.parse().ok();
    let network = text(part, "/source_card_type").or_else(|| text(part, "/card_type"));
    // "Apple Pay - Visa": the card behind the wallet.
    let network = network.and_then(|name| name.rsplit(" - ").next()).and_then(facts::network);
    let last4 = text(part, "/source_card_last_4").or_else(|| text(part, "/last_4"));
    PaymentMethodFacts {
        token: id(part, "/token"),
        network,
        last4: last4.and_then(facts::last4),
        exp: facts::expiry(number("/expiration_month"), number("/expiration_year")),
        country: text(part, "/country_of_issuance").and_then(country),
        funding: funding(part),
        fingerprint: owned(part, "/unique_number_identifier"),
    }
}

/// Braintree writes `USA`; the interface has `US`.
fn country(name: &str) -> Option<String> {
    countries::of_three(name).or_else(|| facts::country(name))
}

/// `Yes`, `No` or `Unknown` for each kind of card; a card that is neither is a credit card.
fn funding(part: &Value) -> Option<String> {
    let is = |at: &str, word: &str| text(part, at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let known = match () {
        () if is("/prepaid", "Yes") => "prepaid",
        () if is("/debit", "Yes") => "debit",
        () if is("/prepaid", "No") && is("/debit", "No") => "credit",
        () => return None,
    };
    Some(known.to_owned())
}

/// What an event tells of one transaction.
pub(super) fn fill_from_transaction(event: &mut Event, transaction: &Value) {
    event.payment = id(transaction, "/id");
    event.customer = id(transaction, "/customer/id").or_else(|| id(transaction, "/customer_id"));
    event.subscription = id(transaction, "/subscription_id").or(event.subscription.take());
    event.amount = sum(transaction, "/amount");
    event.payment_method = method_of(transaction).known();
    event.contact = contact(transaction);
    name_by_order(event, transaction);
    if event.kind == EventKind::PaymentFailed {
        event.decline = decline_of(transaction);
    }
    if let Some(subscription) = &event.subscription {
        event.stands_for_invoice = Some(period_of(subscription, transaction));
    }
}

/// Invoice and attempt by the transaction's order id: ours, or the merchant's own.
pub(super) fn name_by_order(event: &mut Event, transaction: &Value) {
    let Some(order) = id(transaction, "/order_id") else { return };
    let named = reference::read(&order);
    event.invoice = Some(named.invoice);
    event.idempotency_key = named.attempt.map(|attempt| attempt.idempotency_key());
}

/// What an event tells of a subscription.
pub(super) fn fill_from_subscription(event: &mut Event, subscription: &Value) {
    let name = id(subscription, "/id");
    event.subscription.clone_from(&name);
    event.description = owned(subscription, "/description");
    let wanted = match event.kind {
        EventKind::PaymentFailed => Some(Status::Declined),
        EventKind::PaymentSucceeded => Some(Status::Approved),
        _ => None,
    };
    let newest = newest(subscription, |_| true);
    if let Some(wanted) = wanted {
        event.attempt_count = count(subscription, "/failure_count");
        let about = self::newest(subscription, |t| status(t) == Some(wanted));
        let about = about.or_else(|| self::newest(subscription, |t| status(t).is_none()));
        if let Some(transaction) = about {
            fill_from_transaction(event, transaction);
        }
    } else if let Some(transaction) = newest {
        event.customer = id(transaction, "/customer/id");
        event.contact = contact(transaction);
    }
    event.subscription = name;
    if let Some(token) = id(subscription, "/payment_method_token") {
        let method = event.payment_method.get_or_insert_default();
        method.token.get_or_insert(token);
    }
    let Some(name) = event.subscription.as_deref().filter(|_| wanted.is_some()) else { return };
    let own = self::newest(subscription, |t| id(t, "/id") == event.payment);
    let period = own.filter(|_| event.payment.is_some()).filter(|t| starts(t).is_some());
    event.stands_for_invoice = Some(period_of(name, period.unwrap_or(subscription)));
}

/// The newest of a subscription's transactions; Braintree lists the newest first.
pub(super) fn newest(subscription: &Value, wanted: impl Fn(&Value) -> bool) -> Option<&Value> {
    let all = several(subscription.get("transactions")).into_iter().filter(|t| wanted(t));
    all.reduce(|first, next| {
        let later = time(next, "/created_at") > time(first, "/created_at");
        if later { next } else { first }
    })
}

/// What stands for the invoice that Braintree has not got: `sub_1:2026-11-01`, the subscription and
/// the first day of the billing period; without a period the subscription alone.
fn period_of(subscription: &str, object: &Value) -> String {
    match starts(object) {
        Some(day) => format!("{subscription}:{day}"),
        None => subscription.to_owned(),
    }
}

/// The first day of the period, of a subscription or of a transaction's own.
fn starts(object: &Value) -> Option<jiff::civil::Date> {
    let own = text(object, "/billing_period_start_date");
    own.or_else(|| text(object, "/subscription/billing_period_start_date"))?.parse().ok()
}

/// The subscription that such a name was made of.
pub(super) fn subscription_of(invoice: &str) -> Option<&str> {
    let (subscription, day) = invoice.rsplit_once(':')?;
    day.parse::<jiff::civil::Date>().is_ok().then_some(subscription)
}

fn contact(transaction: &Value) -> Contact {
    let names = ["/customer/first_name", "/customer/last_name"];
    let name: Vec<&str> = names.iter().filter_map(|at| text(transaction, at)).collect();
    Contact {
        name: Some(name.join(" ")).filter(|name| !name.is_empty()),
        email: text(transaction, "/customer/email").and_then(facts::email),
        phone: text(transaction, "/customer/phone").and_then(facts::phone),
        country: text(transaction, "/billing/country_code_alpha2").and_then(facts::country),
        ..Contact::default()
    }
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
