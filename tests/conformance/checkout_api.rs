//! What goes over the wire to Checkout.com, and what its odder answers mean.
//!
//! Why here: the suite for all gateways holds the rules; this holds Checkout.com's own fields.

use recoup::core::effect::{AttemptRef, ChargeOrder, ChargeOutcome, LookUpAnswer, RefundOrder};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::money::Money;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{self, Gateway, GatewaySettings, HostedPurpose, HostedRequest};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::dialect::{attempt, checkout_list, order, settings};
use crate::double::{Double, Reply};

fn gateway(base: &str) -> Arc<dyn Gateway> {
    let settings = GatewaySettings { account: Some("pc_1".to_owned()), ..settings(base) };
    (gateway::kind("checkout").unwrap().build)(settings, Timeouts::default()).unwrap()
}

async fn charge(order: &ChargeOrder, reply: Reply) -> (ChargeOutcome, Double) {
    let double = Double::keyed("cko-idempotency-key", [reply]).await;
    (gateway(&double.base).charge(order).await, double)
}

fn payment(status: &str) -> Value {
    json!({ "id": "pay_1", "status": status, "amount": 2900, "currency": "USD" })
}

#[tokio::test]
async fn a_charge_is_a_merchants_own_and_names_invoice_and_attempt() {
    let order = ChargeOrder { network_transaction_id: Some("489".to_owned()), ..order(false) };
    let (_, double) = charge(&order, Reply::json(201, payment("Authorized"))).await;
    let wanted = json!({
        "source": { "type": "id", "id": "pm_1" }, "amount": 2900, "currency": "USD",
        "payment_type": "Recurring", "merchant_initiated": true, "capture": true,
        "reference": "in_1-recoup-att_1", "processing_channel_id": "pc_1",
        "metadata": { "recoup_invoice": "in_1", "recoup_attempt": "att_1" },
        "previous_payment_id": "489",
    });
    assert_eq!(double.seen()[0].json(), wanted);
}

#[tokio::test]
async fn what_cannot_be_charged_exactly_is_not_sent() {
    let without = |amount: Money| ChargeOrder { amount, ..order(false) };
    let money = |minor, code: &str| Money::new(minor, code.parse().unwrap());
    for amount in [money(0, "USD"), money(-1, "USD"), money(1_000_000_000, "USD"), money(1, "KWD")]
    {
        let (outcome, double) = charge(&without(amount), Reply::text(201, "{}")).await;
        assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{amount}: {outcome:?}");
        assert!(double.seen().is_empty(), "{amount}");
    }
    let (_, double) = charge(&without(money(2900, "CLP")), Reply::text(201, "{}")).await;
    assert_eq!(double.seen()[0].json()["amount"], 290_000);
    let nobody = ChargeOrder { token: None, customer: None, ..order(false) };
    let (outcome, double) = charge(&nobody, Reply::text(201, "{}")).await;
    assert!(matches!(outcome, ChargeOutcome::Refused { .. }) && double.seen().is_empty());
    let default = ChargeOrder { token: None, ..order(false) };
    let (_, double) = charge(&default, Reply::text(201, "{}")).await;
    assert_eq!(double.seen()[0].json()["source"], json!({ "type": "customer", "id": "cus_1" }));
}

#[tokio::test]
async fn a_duplicate_may_hide_a_charge() {
    let error = |code: &str| json!({ "error_type": "request_invalid", "error_codes": [code] });
    for status in [409, 422, 429] {
        let reply = Reply::json(status, error("duplicate_request"));
        let (outcome, _) = charge(&order(false), reply).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{status}: {outcome:?}");
    }
    let (outcome, _) = charge(&order(false), Reply::json(422, error("token_invalid"))).await;
    let ChargeOutcome::Refused { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("token_invalid"), "{why}");
    let mut odd = payment("Authorized");
    odd["approved"] = json!(false);
    let (outcome, _) = charge(&order(false), Reply::json(201, odd)).await;
    assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "two words: {outcome:?}");
    let retried = Reply::json(201, payment("Retry Scheduled"));
    let (outcome, _) = charge(&order(false), retried).await;
    assert!(matches!(outcome, ChargeOutcome::Pending { .. }), "{outcome:?}");
}

async fn look_up(attempt: &AttemptRef, replies: Vec<Reply>) -> (LookUpAnswer, Double) {
    let double = Double::new(replies).await;
    (gateway(&double.base).look_up(attempt).await, double)
}

#[tokio::test]
async fn a_look_up_searches_the_reference_and_one_that_took_the_money_decides() {
    let read = |status: &str| Reply::json(200, payment(status));
    let list = || checkout_list(&["pay_2", "pay_1"]);
    let replies = vec![list(), read("Pending"), read("Captured")];
    let (answer, double) = look_up(&attempt(false), replies).await;
    let approved = matches!(answer, LookUpAnswer::Found(ChargeOutcome::Approved { .. }));
    assert!(approved, "{answer:?}");
    assert!(double.seen()[0].has("reference", "in_1-recoup-att_1"));
    let known = AttemptRef { payment: Some("pay_1".to_owned()), ..attempt(false) };
    let (_, double) = look_up(&known, vec![read("Captured")]).await;
    assert_eq!(double.lines(), ["GET /payments/pay_1"]);
}

#[tokio::test]
async fn a_list_that_is_not_whole_finds_nothing_out() {
    let more = json!({ "total_count": 3, "data": [] });
    let odd = checkout_list(&["1", "2", "3", "4", "5", "6"]);
    for reply in [Reply::json(200, more), odd, Reply::text(404, "{}")] {
        let (answer, _) = look_up(&attempt(false), vec![reply.clone()]).await;
        assert!(matches!(answer, LookUpAnswer::Unavailable { .. }), "{reply:?}: {answer:?}");
    }
    let replies = vec![checkout_list(&["pay_1"]), Reply::json(200, payment("Brand New"))];
    let (answer, _) = look_up(&attempt(false), replies).await;
    assert!(matches!(answer, LookUpAnswer::Unavailable { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_refund_that_was_made_is_done() {
    let refund = RefundOrder {
        gateway: GatewayId::from("under_test"),
        attempt: AttemptId::from("att_1"),
        charge: "pay_1".to_owned(),
        amount: Money::new(2900, "USD".parse().unwrap()),
    };
    let refused = || Reply::json(403, json!({ "error_codes": ["action_not_allowed"] }));
    let double = Double::new([refused(), Reply::json(200, payment("Refunded"))]).await;
    assert_eq!(gateway(&double.base).refund(&refund, "eff_1").await, Ok(()));
    assert_eq!(double.lines(), ["POST /payments/pay_1/refunds", "GET /payments/pay_1"]);
    let double = Double::new([refused(), Reply::json(200, payment("Captured"))]).await;
    assert!(!gateway(&double.base).refund(&refund, "eff_1").await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_link_needs_a_country_and_the_key_is_tried_by_a_read() {
    let request = HostedRequest {
        purpose: HostedPurpose::UpdateCard,
        customer: "cus_1".to_owned(),
        subscription: None,
        invoice: "in_1".to_owned(),
        amount: Money::new(2900, "USD".parse().unwrap()),
        description: None,
        return_url: "https://pay.example/pay/token".to_owned(),
        idempotency_key: "eff_1".to_owned(),
    };
    let double = Double::new([Reply::json(200, json!({ "instruments": [] }))]).await;
    let refused = gateway(&double.base).hosted_session(&request).await.map(drop).unwrap_err();
    assert!(!refused.is_transient() && double.lines().len() == 1, "{refused}");
    let double = Double::new([checkout_list(&[]), Reply::text(401, "")]).await;
    assert!(gateway(&double.base).check_access().await.is_ok());
    assert!(!gateway(&double.base).check_access().await.unwrap_err().is_transient());
}
