//! What Stripe's objects tell of a refusal and of a card.
//!
//! Why here: webhooks and API answers carry the same objects; both read them here.
//!
//! What must stay true: the specific reason, never the wrapper `card_declined`, where Stripe gives
//! one; of a card never more than the last four digits.

use std::sync::LazyLock;

use serde_json::Value;

use crate::core::decline::{self, Advice, Category, Classified, Decline, DeclineTable, RawDecline};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::facts::{self, id_of, owned, text};

static TABLE: LazyLock<DeclineTable> =
    LazyLock::new(|| DeclineTable::from_csv(include_str!("declines.csv")).unwrap_or_default());

/// Stripe's word where it does not say why.
const WRAPPER: &str = "card_declined";

/// Category and advice of a refusal, and what they are based on.
pub fn classified(raw: &RawDecline) -> Classified {
    decline::classify(Some(&TABLE), raw)
}

/// Category and advice of a refusal.
pub fn classify(raw: &RawDecline) -> Decline {
    classified(raw).decline
}

/// The refusal in a PaymentIntent's `last_payment_error`, or in the `error` of a 402 answer (or in
/// the answer's whole body), and the card it was about.
pub(crate) fn decline_of_error(error: &Value) -> (Decline, PaymentMethodFacts) {
    let error = error.get("error").unwrap_or(error);
    let method = error.get("payment_method").or_else(|| error.get("source"));
    let mut card = method.map(card_facts).unwrap_or_default();
    // The charge of a 402 answer may be expanded, and says more.
    let charge = [error.get("charge"), error.pointer("/payment_intent/latest_charge")];
    let charge = charge.into_iter().flatten().find(|charge| charge.is_object());
    let told = charge.map(raw_of_charge).unwrap_or_default();
    if card == PaymentMethodFacts::default() {
        card = charge.map(charge_card).unwrap_or_default();
    }
    let specific = text(error, "/decline_code").or_else(|| text(error, "/code"));
    let code = specific.filter(|code| *code != WRAPPER).map(str::to_owned);
    let raw = RawDecline {
        code: code.or(told.code).or_else(|| specific.map(str::to_owned)),
        network_code: owned(error, "/network_decline_code").or(told.network_code),
        advice_code: owned(error, "/advice_code").or(told.advice_code),
        network_advice_code: owned(error, "/network_advice_code").or(told.network_advice_code),
        network: card.network.clone(),
        ..RawDecline::default()
    };
    let blocked = charge.is_some_and(is_blocked);
    (blocked_by_radar(classify(&raw), blocked), card)
}

/// The refusal that a failed Charge tells of, and its card.
pub(crate) fn decline_of_charge(charge: &Value) -> (Decline, PaymentMethodFacts) {
    let card = charge_card(charge);
    let raw = RawDecline { network: card.network.clone(), ..raw_of_charge(charge) };
    (blocked_by_radar(classify(&raw), is_blocked(charge)), card)
}

fn raw_of_charge(charge: &Value) -> RawDecline {
    let failure = text(charge, "/failure_code").filter(|code| *code != WRAPPER);
    let reason = text(charge, "/outcome/reason").filter(|reason| *reason != WRAPPER);
    let code = failure.or(reason).or_else(|| text(charge, "/failure_code"));
    RawDecline {
        code: code.map(str::to_owned),
        network_code: owned(charge, "/outcome/network_decline_code"),
        advice_code: owned(charge, "/outcome/advice_code"),
        network_advice_code: owned(charge, "/outcome/network_advice_code"),
        ..RawDecline::default()
    }
}

fn is_blocked(charge: &Value) -> bool {
    text(charge, "/outcome/type") == Some("blocked")
}

/// Stripe's own rules stopped it before the bank was asked: no reason of a bank applies.
fn blocked_by_radar(decline: Decline, blocked: bool) -> Decline {
    let no_reason = matches!(
        decline.category,
        Category::GenericDecline | Category::Unknown | Category::FraudSuspected
    );
    if blocked && no_reason && decline.advice != Advice::Never {
        Decline { category: Category::GatewayRiskBlock, ..decline }
    } else {
        decline
    }
}

/// The card of a Charge, with its token.
pub(crate) fn charge_card(charge: &Value) -> PaymentMethodFacts {
    let details = charge.get("payment_method_details").or_else(|| charge.get("source"));
    let mut facts = details.map(card_facts).unwrap_or_default();
    if let Some(method) = charge.get("payment_method").filter(|method| !method.is_null()) {
        let known = card_facts(method);
        let token = known.token.clone();
        facts = if facts == PaymentMethodFacts::default() { known } else { facts };
        facts.token = token;
    }
    facts
}

/// What is known of a PaymentMethod, of a Charge's `payment_method_details`, of a card or source
/// object, or of a bare id.
pub(crate) fn card_facts(method: &Value) -> PaymentMethodFacts {
    let card = details(method);
    let brand = text(card, "/network").or_else(|| text(card, "/brand"));
    let number = |name: &str| card.get(name).and_then(Value::as_u64);
    PaymentMethodFacts {
        token: id_of(method),
        network: brand.and_then(facts::network),
        last4: text(card, "/last4").and_then(facts::last4),
        exp: facts::expiry(number("exp_month"), number("exp_year")),
        country: text(card, "/country").and_then(facts::country),
        funding: text(card, "/funding").and_then(facts::funding),
        fingerprint: owned(card, "/fingerprint"),
    }
}

/// The part that describes the means: `card`, or the one that `type` names, or the object itself.
fn details(method: &Value) -> &Value {
    let named = text(method, "/type").and_then(|kind| method.get(kind));
    let part = method.get("card").filter(|card| card.is_object()).or(named);
    part.filter(|part| part.is_object()).unwrap_or(method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_is_whole() {
        assert!(DeclineTable::from_csv(include_str!("declines.csv")).unwrap().codes().count() > 60);
    }

    #[test]
    fn the_wrapper_is_looked_through() {
        let (decline, _) =
            decline_of_error(&json!({"code": "card_declined", "decline_code": "lost_card"}));
        assert_eq!(decline.code.as_deref(), Some("lost_card"));
        assert_eq!((decline.category, decline.advice), (Category::LostOrStolen, Advice::Never));
        let (decline, _) = decline_of_error(&json!({"error": {"code": "expired_card"}}));
        assert_eq!(decline.code.as_deref(), Some("expired_card"));
        let (decline, _) = decline_of_error(&json!({"code": "card_declined"}));
        assert_eq!(decline.code.as_deref(), Some("card_declined"));
        assert_eq!(decline.category, Category::Unknown);
        let charge =
            json!({"failure_code": "card_declined", "outcome": {"reason": "insufficient_funds"}});
        assert_eq!(decline_of_charge(&charge).0.code.as_deref(), Some("insufficient_funds"));
    }

    #[test]
    fn an_expanded_charge_completes_an_error() {
        let error = json!({"code": "card_declined", "charge": {
            "id": "ch_1", "failure_code": "card_declined", "payment_method": "pm_1",
            "outcome": {
                "reason": "do_not_honor", "network_decline_code": "51", "network_advice_code": "26",
            },
            "payment_method_details": {
                "type": "card", "card": {"brand": "mastercard", "last4": "2003"},
            },
        }});
        let (decline, card) = decline_of_error(&error);
        assert_eq!(
            (decline.category, decline.advice),
            (Category::InsufficientFunds, Advice::RetryAfter)
        );
        assert_eq!(decline.min_delay_seconds, Some(48 * 3600));
        assert_eq!(card.token.as_deref(), Some("pm_1"));
        assert_eq!(card.last4.as_deref(), Some("2003"));
    }

    #[test]
    fn what_radar_blocked_is_not_the_banks_no() {
        for reason in ["generic_decline", "highest_risk_level"] {
            let outcome = json!({"type": "blocked", "reason": reason});
            let charge = json!({"failure_code": "card_declined", "outcome": outcome});
            assert_eq!(decline_of_charge(&charge).0.category, Category::GatewayRiskBlock);
        }
        let charge =
            json!({"outcome": {"type": "blocked", "reason": "previously_declined_do_not_retry"}});
        assert_eq!(decline_of_charge(&charge).0.advice, Advice::Never);
    }

    #[test]
    fn cards_are_read_from_every_shape() {
        let card = json!({
            "brand": "American Express", "last4": "0005", "exp_month": 3, "exp_year": 2030,
            "country": "us", "funding": "credit", "fingerprint": "f1",
        });
        for (value, token) in [
            (
                json!({"id": "pm_1", "object": "payment_method", "type": "card", "card": card}),
                Some("pm_1"),
            ),
            (json!({"type": "card", "card": card}), None),
            (card.clone(), None),
        ] {
            let facts = card_facts(&value);
            assert_eq!(facts.token.as_deref(), token);
            assert_eq!(facts.network.as_deref(), Some("amex"));
            assert_eq!(facts.exp.as_deref(), Some("2030-03"));
            assert_eq!(facts.country.as_deref(), Some("US"));
        }
        assert_eq!(card_facts(&json!("pm_2")).token.as_deref(), Some("pm_2"));
        assert_eq!(card_facts(&Value::Null), PaymentMethodFacts::default());
        let debit = json!({
            "id": "pm_3", "type": "sepa_debit", "sepa_debit": {"last4": "3000", "country": "DE"},
        });
        assert_eq!(card_facts(&debit).last4.as_deref(), Some("3000"));
        assert_eq!(card_facts(&debit).network, None);
    }
}
