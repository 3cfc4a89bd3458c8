//! What Mercado Pago's objects tell: payments, instalments, subscriptions, chargebacks, cards.
//!
//! Why here: webhooks only point, so what an event says is read off the objects; charges and
//! look-ups read the same payments.
//!
//! An instalment (`authorized_payment`) is the invoice of a subscription: all instalments of one
//! subscription carry the same `external_reference`, so only its own id tells one month's debt from
//! the next.
//!
//! What must stay true: what the object says replaces what the event said; a status that is not
//! known is *unknown*; of a card never more than the last four digits.

use serde_json::Value;

use super::money::amount;
use super::webhook::classify;
use crate::core::decline::{Decline, RawDecline};
use crate::core::event::{Event, EventKind, NativeRetry, PaymentMethodFacts};
use crate::gateway::facts::{self, count, id, owned, text};
use crate::gateway::reference;

/// What a payment's state means.
pub(super) fn kind(status: Option<&str>, detail: Option<&str>) -> EventKind {
    match (status, detail) {
        (Some("approved"), Some("partially_refunded")) => EventKind::PartiallyRefunded,
        (Some("approved"), _) => EventKind::PaymentSucceeded,
        (Some("rejected"), _) => EventKind::PaymentFailed,
        (Some("refunded"), _) => EventKind::Refunded,
        (Some("charged_back"), Some("reimbursed")) => EventKind::DisputeClosed,
        (Some("charged_back" | "in_mediation"), _) => EventKind::Disputed,
        (Some("cancelled"), _) => EventKind::Other,
        (Some("pending"), Some("pending_challenge")) => EventKind::ActionRequired,
        _ => EventKind::PaymentUnknown,
    }
}

/// Fills the event from the payment that it points at.
pub(super) fn fill_from_payment(event: &mut Event, payment: &Value) {
    let named = text(payment, "/external_reference").map(reference::read);
    let attempt = named.as_ref().and_then(|named| named.attempt.clone());
    let told = kind(text(payment, "/status"), text(payment, "/status_detail"));
    event.kind = match told {
        // What is tried on a page of ours says nothing of the card on file.
        EventKind::PaymentFailed if is_of_a_link(payment) => EventKind::Other,
        // Nobody's failure; but if the attempt is ours, the look-up has to know.
        EventKind::Other if attempt.is_some() => EventKind::PaymentUnknown,
        kind => kind,
    };
    event.payment = id(payment, "/id");
    event.invoice = named.map(|named| named.invoice);
    event.idempotency_key = attempt.map(|attempt| attempt.idempotency_key());
    event.subscription = subscription_of(payment);
    let by_hand = text(payment, "/operation_type") == Some("regular_payment");
    event.customer_present =
        by_hand && event.subscription.is_none() && event.idempotency_key.is_none();
    event.customer = id(payment, "/payer/id");
    event.amount = match event.kind {
        EventKind::PartiallyRefunded => amount(payment, "/transaction_amount_refunded"),
        _ => amount(payment, "/transaction_amount"),
    };
    let failed = matches!(event.kind, EventKind::PaymentFailed | EventKind::ActionRequired);
    event.decline = failed.then(|| decline_of(payment)).flatten();
    event.payment_method = method_of(payment).known();
    event.description = owned(payment, "/description");
    event.contact.email = text(payment, "/payer/email").and_then(facts::email);
    event.contact.name = owned(payment, "/payer/first_name");
}

/// Whether a payment was made on a pay-by-link of ours.
fn is_of_a_link(payment: &Value) -> bool {
    text(payment, "/external_reference").is_some_and(|text| {
        let named = reference::read(text);
        named.attempt.is_none() && named.invoice != text
    })
}

/// Whether a payment is one of our own attempts or links: then its reference names the invoice.
pub(super) fn is_ours(payment: &Value) -> bool {
    text(payment, "/external_reference")
        .is_some_and(|text| reference::read(text).invoice.as_str() != text)
}

/// The subscription that a payment was made for.
pub(super) fn subscription_of(payment: &Value) -> Option<String> {
    id(payment, "/metadata/preapproval_id")
        .or_else(|| id(payment, "/point_of_interaction/transaction_data/subscription_id"))
}

/// Fills the event from the instalment of a subscription that it points at.
pub(super) fn fill_from_instalment(event: &mut Event, instalment: &Value) {
    let (status, detail) =
        (text(instalment, "/payment/status"), text(instalment, "/payment/status_detail"));
    event.kind = match (text(instalment, "/status"), status) {
        (Some("cancelled"), _) => EventKind::InvoiceVoided,
        (Some("recycling"), None) => EventKind::PaymentFailed,
        (Some("scheduled"), None) => EventKind::Other,
        (_, status) => kind(status, detail),
    };
    event.invoice = id(instalment, "/id").or(event.invoice.take());
    event.subscription = id(instalment, "/preapproval_id");
    event.customer = id(instalment, "/payer_id").or(event.customer.take());
    event.payment = id(instalment, "/payment/id");
    event.amount = amount(instalment, "/transaction_amount");
    event.description = owned(instalment, "/reason");
    // The first try, and the retries since.
    event.attempt_count = count(instalment, "/retry_attempt").and_then(|n| n.checked_add(1));
    event.native_retry = native_retry(text(instalment, "/status"));
    let failed = event.kind == EventKind::PaymentFailed;
    let payment = instalment.get("payment").filter(|_| failed);
    event.decline =
        payment.and_then(decline_of).or_else(|| event.decline.take().filter(|_| failed));
}

/// `recycling`: it will be tried again. `processed`: it will not, whatever came of it.
fn native_retry(status: Option<&str>) -> Option<NativeRetry> {
    match status? {
        "recycling" | "scheduled" => Some(NativeRetry::Planned),
        "processed" | "cancelled" => Some(NativeRetry::None),
        _ => None,
    }
}

/// Fills the event from the subscription that it points at.
pub(super) fn fill_from_preapproval(event: &mut Event, preapproval: &Value) {
    event.kind = match text(preapproval, "/status") {
        Some("paused") => EventKind::SubscriptionPaused,
        Some("cancelled" | "finished" | "expired") => EventKind::SubscriptionCancelled,
        _ => EventKind::SubscriptionUpdated,
    };
    event.subscription = id(preapproval, "/id").or(event.subscription.take());
    event.customer = id(preapproval, "/payer_id");
    event.description = owned(preapproval, "/reason");
    event.contact.email = text(preapproval, "/payer_email").and_then(facts::email);
}

/// Lays a chargeback over the payment that it is about. Whether the money is kept is decided in
/// `coverage_applied`: until then it is open.
pub(super) fn fill_from_chargeback(event: &mut Event, chargeback: &Value) {
    let decided = chargeback.get("coverage_applied").is_some_and(Value::is_boolean);
    event.kind = if decided { EventKind::DisputeClosed } else { EventKind::Disputed };
    event.amount = amount(chargeback, "/amount");
    event.decline = None;
}

/// Fills the event from a saved card.
pub(super) fn fill_from_card(event: &mut Event, card: &Value) {
    event.customer = id(card, "/customer_id").or(event.customer.take());
    let brand = text(card, "/payment_method/id");
    let kind = text(card, "/payment_method/payment_type_id");
    event.payment_method = card_facts(card, brand, kind).known();
}

/// The refusal in a payment, where it says why.
pub(super) fn decline_of(payment: &Value) -> Option<Decline> {
    let code = owned(payment, "/status_detail")?;
    let network = method_of(payment).network;
    Some(classify(&RawDecline { code: Some(code), network, ..RawDecline::default() }))
}

/// The card that a payment was made with.
pub(super) fn method_of(payment: &Value) -> PaymentMethodFacts {
    let card = payment.get("card").unwrap_or(&Value::Null);
    card_facts(card, text(payment, "/payment_method_id"), text(payment, "/payment_type_id"))
}

fn card_facts(card: &Value, brand: Option<&str>, kind: Option<&str>) -> PaymentMethodFacts {
    let number = |name: &str| card.get(name).and_then(Value::as_u64);
    let funding = kind.and_then(|kind| kind.strip_suffix("_card")).and_then(facts::funding);
    PaymentMethodFacts {
        token: id(card, "/id"),
        network: brand.filter(|_| funding.is_some()).and_then(network),
        last4: text(card, "/last_four_digits").and_then(facts::last4),
        exp: facts::expiry(number("expiration_month"), number("expiration_year")),
        country: None,
        funding,
        fingerprint: None,
    }
}

/// `debvisa` is a debit card of Visa's.
fn network(brand: &str) -> Option<String> {
    let debit = brand
        .strip_prefix("deb")
        .filter(|rest| ["visa", "master", "mastercard", "elo", "cabal", "maestro"].contains(rest));
    facts::network(debit.unwrap_or(brand))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::decline::{Advice, Category};

    fn filled(with: fn(&mut Event, &Value), object: Value) -> Event {
        let mut event = Event::new("1", EventKind::PaymentUnknown);
        with(&mut event, &object);
        event
    }

    fn payment(status: &str, detail: &str, reference: &str) -> Value {
        json!({
            "id": 77, "status": status, "status_detail": detail, "external_reference": reference,
            "transaction_amount": 29000, "currency_id": "COP", "payment_type_id": "debit_card",
            "payment_method_id": "debvisa", "payer": {"id": "5-x", "email": "ana@example.com"},
            "card": {"id": "9", "last_four_digits": "4242", "expiration_month": 3,
                "expiration_year": 2030, "first_six_digits": "424242"},
        })
    }

    #[test]
    fn a_rejected_payment_tells_invoice_card_and_reason() {
        let rejected = payment("rejected", "cc_rejected_insufficient_amount", "inv-1");
        let event = filled(fill_from_payment, rejected);
        assert_eq!(event.kind, EventKind::PaymentFailed);
        assert_eq!((event.invoice.as_deref(), event.idempotency_key), (Some("inv-1"), None));
        assert_eq!(event.amount.unwrap().to_string(), "29000.00 COP");
        assert_eq!(event.decline.unwrap().category, Category::InsufficientFunds);
        let method = event.payment_method.unwrap();
        assert_eq!(method.network.as_deref(), Some("visa"));
        assert_eq!(method.funding.as_deref(), Some("debit"));
        assert_eq!((method.token.as_deref(), method.exp.as_deref()), (Some("9"), Some("2030-03")));
        assert!(!format!("{method:?}").contains("424242"));
    }

    #[test]
    fn our_own_payments_name_invoice_and_attempt() {
        let ours = "in_1-recoup-att_0123456789abcdef0123";
        let event = filled(fill_from_payment, payment("approved", "accredited", ours));
        assert_eq!(event.invoice.as_deref(), Some("in_1"));
        let key = event.idempotency_key.as_deref();
        assert_eq!(key, Some("recoup-att_0123456789abcdef0123"));
        assert_eq!((event.kind, event.decline), (EventKind::PaymentSucceeded, None));
        let cancelled = filled(fill_from_payment, payment("cancelled", "by_collector", ours));
        assert_eq!(cancelled.kind, EventKind::PaymentUnknown);
        let others = filled(fill_from_payment, payment("cancelled", "expired", "inv-1"));
        assert_eq!(others.kind, EventKind::Other);
    }

    #[test]
    fn a_refusal_on_our_own_page_is_not_the_card_on_file() {
        let link = "in_1-recoup-link_eff_1";
        let refused = filled(fill_from_payment, payment("rejected", "cc_rejected_fraud", link));
        assert_eq!((refused.kind, refused.decline), (EventKind::Other, None));
        let paid = filled(fill_from_payment, payment("approved", "accredited", link));
        assert_eq!(paid.kind, EventKind::PaymentSucceeded);
        assert_eq!(paid.invoice.as_deref(), Some("in_1"));
    }

    #[test]
    fn every_state_has_its_kind() {
        use EventKind as K;
        for (status, detail, wanted) in [
            ("approved", "accredited", K::PaymentSucceeded),
            ("approved", "partially_refunded", K::PartiallyRefunded),
            ("pending", "pending_waiting_payment", K::PaymentUnknown),
            ("pending", "pending_challenge", K::ActionRequired),
            ("in_process", "pending_review_manual", K::PaymentUnknown),
            ("authorized", "pending_capture", K::PaymentUnknown),
            ("refunded", "refunded", K::Refunded),
            ("charged_back", "settled", K::Disputed),
            ("charged_back", "reimbursed", K::DisputeClosed),
            ("in_mediation", "x", K::Disputed),
            ("APPROVED", "accredited", K::PaymentUnknown),
            ("brand_new", "", K::PaymentUnknown),
        ] {
            assert_eq!(kind(Some(status), Some(detail)), wanted, "{status} {detail}");
        }
        assert_eq!(kind(None, None), K::PaymentUnknown);
    }

    #[test]
    fn an_instalment_is_the_invoice_and_tells_its_own_retries() {
        let instalment = |status: &str, payment: Value| {
            filled(
                fill_from_instalment,
                json!({
                    "id": 702, "preapproval_id": "sub_1", "external_reference": "same-for-all",
                    "transaction_amount": 29000, "currency_id": "COP", "retry_attempt": 2,
                    "status": status, "payment": payment, "payer_id": 5, "reason": "Pro",
                }),
            )
        };
        let no = json!({"id": 9, "status": "rejected", "status_detail": "cc_rejected_high_risk"});
        let event = instalment("recycling", no.clone());
        assert_eq!(event.kind, EventKind::PaymentFailed);
        assert_eq!((event.invoice.as_deref(), event.payment.as_deref()), (Some("702"), Some("9")));
        assert_eq!(event.subscription.as_deref(), Some("sub_1"));
        assert_eq!(
            (event.attempt_count, event.native_retry),
            (Some(3), Some(NativeRetry::Planned))
        );
        let decline = event.decline.unwrap();
        assert_eq!((decline.category, decline.advice), (Category::GatewayRiskBlock, Advice::None));
        let gave_up = instalment("processed", no);
        assert_eq!(gave_up.native_retry, Some(NativeRetry::None));
        assert_eq!(gave_up.kind, EventKind::PaymentFailed);
        let paid = instalment("processed", json!({"id": 9, "status": "approved"}));
        assert_eq!((paid.kind, paid.decline), (EventKind::PaymentSucceeded, None));
        assert_eq!(instalment("cancelled", Value::Null).kind, EventKind::InvoiceVoided);
        assert_eq!(instalment("scheduled", Value::Null).kind, EventKind::Other);
        assert_eq!(instalment("new", Value::Null).kind, EventKind::PaymentUnknown);
    }

    #[test]
    fn a_subscription_tells_its_end() {
        for (status, wanted) in [
            ("authorized", EventKind::SubscriptionUpdated),
            ("pending", EventKind::SubscriptionUpdated),
            ("paused", EventKind::SubscriptionPaused),
            ("cancelled", EventKind::SubscriptionCancelled),
            ("finished", EventKind::SubscriptionCancelled),
        ] {
            let object = json!({"id": "sub_1", "status": status, "payer_id": 5, "reason": "Pro"});
            let event = filled(fill_from_preapproval, object);
            assert_eq!((event.kind, event.customer.as_deref()), (wanted, Some("5")), "{status}");
        }
    }

    #[test]
    fn strange_objects_panic_nowhere() {
        for object in [json!(null), json!([]), json!("x"), json!({"payment": [], "card": 7})] {
            for with in [
                fill_from_payment,
                fill_from_instalment,
                fill_from_preapproval,
                fill_from_chargeback,
                fill_from_card,
            ] {
                assert_eq!(filled(with, object.clone()).amount, None);
            }
        }
    }
}
