//! The `http` protocol, request by request: what a merchant's implementation will see.
//!
//! What must stay true: these paths and bodies are the documented interface.

use recoup::core::effect::{
    ChargeOutcome, CloseOrder, MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::money::Money;
use recoup::core::policy::{InvoiceAction, SubscriptionAction};
use recoup::gateway::http::HttpGateway;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{Gateway, HostedPurpose, HostedRequest};
use serde_json::json;

use crate::dialect::{attempt, order, settings};
use crate::double::{Double, Reply};

fn gateway(double: &Double) -> HttpGateway {
    HttpGateway::new(settings(&double.base), Timeouts::default()).unwrap()
}

#[tokio::test]
async fn a_charge_has_exactly_the_documented_fields() {
    let double = Double::new([Reply::json(200, json!({ "id": "c", "status": "approved" }))]).await;
    gateway(&double).charge(&order(false)).await;
    let seen = &double.seen()[0];
    assert_eq!(seen.line(), "POST /charges");
    assert_eq!(seen.header("content-type"), "application/json");
    let expected = json!({
        "amount": 2900, "currency": "USD", "payment_method": "pm_1", "customer": "cus_1",
        "invoice": "in_1", "attempt": 2, "off_session": true,
    });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn what_was_taken_is_passed_on_even_when_it_is_not_what_was_asked() {
    for (answer, minor, currency) in [
        (json!({ "id": "c", "status": "approved", "amount": 2901 }), 2901, "USD"),
        (json!({ "id": "c", "status": "approved", "amount": 9, "currency": "cop" }), 9, "COP"),
    ] {
        let double = Double::new([Reply::json(200, answer)]).await;
        let outcome = gateway(&double).charge(&order(false)).await;
        let ChargeOutcome::Approved { amount, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(amount, Some(Money::new(minor, currency.parse().unwrap())));
    }
}

#[tokio::test]
async fn an_approval_tells_the_card_and_the_network_s_id() {
    let answer = json!({
        "id": "c", "status": "approved", "network_transaction_id": "nt_1",
        "payment_method": { "network": "visa", "last4": "4242", "fingerprint": "fp_1" },
    });
    let double = Double::new([Reply::json(200, answer)]).await;
    let outcome = gateway(&double).charge(&order(false)).await;
    let ChargeOutcome::Approved { network_transaction_id, method, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(network_transaction_id.as_deref(), Some("nt_1"));
    assert_eq!(method.last4.as_deref(), Some("4242"));
    assert_eq!(method.fingerprint.as_deref(), Some("fp_1"));
    assert_eq!(method.token.as_deref(), Some("pm_1"));
}

#[tokio::test]
async fn a_key_that_another_body_took_is_unknown_and_looked_up() {
    let conflict = Reply::json(409, json!({ "code": "idempotency_conflict" }));
    let double = Double::new([conflict]).await;
    let outcome = gateway(&double).charge(&order(false)).await;
    assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
    double.then([Reply::text(404, "")]);
    gateway(&double).look_up(&attempt(false)).await;
    let seen = &double.seen()[1];
    assert_eq!(seen.line(), "GET /charges");
    assert_eq!(seen.query, [("idempotency_key".to_owned(), "recoup-att_1".to_owned())]);
}

#[tokio::test]
async fn every_other_call_is_where_the_protocol_says() {
    let double =
        Double::new(vec![Reply::json(200, json!({ "url": "https://x.example/" })); 4]).await;
    let gateway = gateway(&double);
    let id = GatewayId::from("under_test");
    let refund = RefundOrder {
        gateway: id.clone(),
        attempt: AttemptId::from("att_1"),
        charge: "ch/1".to_owned(),
        amount: order(false).amount,
    };
    gateway.refund(&refund, "k1").await.unwrap();
    let request = HostedRequest {
        purpose: HostedPurpose::UpdateCard,
        customer: "c_1".to_owned(),
        subscription: None,
        invoice: "in_1".to_owned(),
        amount: order(true).amount,
        description: None,
        return_url: "https://pay.example/pay/t".to_owned(),
        idempotency_key: "k2".to_owned(),
    };
    gateway.hosted_session(&request).await.unwrap();
    let mark = MarkPaidOrder {
        gateway: id.clone(),
        invoice: "in_1".to_owned(),
        paid_at: Some(GatewayId::from("stripe")),
        charge: Some("pi_1".to_owned()),
    };
    assert_eq!(gateway.mark_paid(&mark, "k3").await, Ok(MarkPaidOutcome::Done));
    gateway.close(&close(SubscriptionAction::Pause), "k4").await.unwrap();
    let seen = double.seen();
    let expected = [
        ("POST /charges/ch%2F1/refund", json!({})),
        (
            "POST /card-update-sessions",
            json!({ "customer": "c_1", "return_url": "https://pay.example/pay/t" }),
        ),
        ("POST /invoices/in_1/paid", json!({ "gateway": "stripe", "charge": "pi_1" })),
        ("POST /subscriptions/sub_1/pause", json!({})),
    ];
    for (number, (seen, (line, body))) in seen.iter().zip(expected).enumerate() {
        assert_eq!((seen.line().as_str(), seen.json()), (line, body));
        assert_eq!(seen.header("idempotency-key"), format!("k{}", number + 1));
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn what_the_protocol_cannot_do_is_said() {
    let double = Double::new([Reply::json(200, json!({}))]).await;
    let gateway = gateway(&double);
    let mut order = close(SubscriptionAction::Cancel);
    order.invoice_action = InvoiceAction::Void;
    let error = gateway.close(&order, "k").await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(double.lines(), ["POST /subscriptions/sub_1/cancel"], "the rest is done");
    assert!(!gateway.invoice("in_1").await.unwrap_err().is_transient());
    assert!(!gateway.capabilities().read_invoice);
}

fn close(action: SubscriptionAction) -> CloseOrder {
    CloseOrder {
        gateway: GatewayId::from("under_test"),
        subscription: Some("sub_1".to_owned()),
        subscription_action: action,
        invoice: "in_1".to_owned(),
        invoice_action: InvoiceAction::Keep,
    }
}
