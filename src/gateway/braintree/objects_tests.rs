//! What is read off transactions and cards, case by case.

use serde_json::json;

use super::*;
use crate::core::decline::{Advice, Category};
use crate::gateway::amount::assert_there_and_back;

#[test]
fn what_goes_out_comes_back_in_every_currency() {
    assert_there_and_back(AMOUNTS);
}

#[test]
fn the_table_is_whole_and_names_every_code_of_its_range() {
    let table = DeclineTable::from_csv(include_str!("declines.csv")).unwrap();
    assert!(table.codes().count() > 120);
    let of = |code: &str| {
        let raw = RawDecline { code: Some(code.to_owned()), ..RawDecline::default() };
        let classified = classified(&raw);
        assert_eq!(classified.decline.code.as_deref(), Some(code), "the raw code stays");
        (classified.decline.category, classified.decline.advice)
    };
    assert_eq!(of("2001"), (Category::InsufficientFunds, Advice::None));
    assert_eq!(of("2108"), (Category::AccountClosed, Advice::Never));
    assert_eq!(of("2109"), (Category::GenericDecline, Advice::None));
    assert_eq!(of("2999"), (Category::GenericDecline, Advice::None));
    assert_eq!(of("3001"), (Category::Unknown, Advice::None));
    for code in ["duplicate", "gateway_rejected:duplicate"] {
        assert_eq!(of(code), (Category::OutcomeUnknown, Advice::CheckStatus), "{code}");
    }
}

#[test]
fn a_refusal_names_its_own_code_and_not_an_approval() {
    let read = |transaction: Value| {
        let decline = decline_of(&transaction);
        decline.map(|d| (d.code, d.network_code, d.network_advice_code, d.category, d.advice))
    };
    let rejected = json!({
        "status": "gateway_rejected", "gateway_rejection_reason": "cvv",
        "processor_response_code": "1000",
    });
    let cvv = Some("cvv".to_owned());
    assert_eq!(
        read(rejected),
        Some((cvv, None, None, Category::InvalidCardData, Advice::UpdateCredentials))
    );
    let advised = json!({
        "status": "processor_declined", "processor_response_code": "2000",
        "network_response_code": "05", "merchant_advice_code": "03",
        "credit_card": { "card_type": "MasterCard" },
    });
    let (_, network, advice, _, order) = read(advised).unwrap();
    assert_eq!((network.as_deref(), advice.as_deref()), (Some("05"), Some("03")));
    assert_eq!(order, Advice::Never, "the network's advice is the strongest");
    for nothing in [
        json!({"status": "settled", "processor_response_code": "2001"}),
        json!({"status": "failed"}),
        json!({"status": "failed", "processor_response_code": "1000"}),
        json!({"processor_response_code": "2001"}),
    ] {
        assert_eq!(read(nothing.clone()), None, "{nothing}");
    }
}

#[test]
fn a_card_is_told_by_its_last_digits() {
    let facts = method_of(&json!({ "apple_pay": {
        "token": "pm_1", "card_type": "Apple Pay - MasterCard", "last_4": "1234",
        "number": "4111111111111111", "expiration_month": "3", "expiration_year": "2030",
        "country_of_issuance": "DEU", "debit": "Yes", "prepaid": "No",
    }, "credit_card": {} }));
    assert_eq!(facts.network.as_deref(), Some("mastercard"));
    assert_eq!(facts.last4.as_deref(), Some("1234"));
    assert_eq!(facts.exp.as_deref(), Some("2030-03"));
    assert_eq!(facts.country.as_deref(), Some("DE"));
    assert_eq!(facts.funding.as_deref(), Some("debit"));
    assert!(!format!("{facts:?}").contains("4111"));
    let unknown = json!({ "credit_card": { "country_of_issuance": "Unknown", "debit": "No" } });
    assert_eq!(method_of(&unknown), PaymentMethodFacts::default());
}

#[test]
fn a_period_stands_for_the_invoice() {
    assert_eq!(subscription_of("sub_1:2026-11-01"), Some("sub_1"));
    for other in ["sub_1", "INV-7", "a:b", "sub_1:2026-13-01", ""] {
        assert_eq!(subscription_of(other), None, "{other}");
    }
}
