//! Stripe beside charging: refunds, the card-update page, adopting a card, marking as paid,
//! closing.
//!
//! What must stay true: each call says "done" also when it was done already.

use recoup::core::effect::{
    AdoptOrder, CloseOrder, InvoiceStatus, MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::policy::{InvoiceAction, SubscriptionAction};
use recoup::gateway::{Gateway, HostedPurpose, HostedRequest};
use serde_json::json;

use crate::dialect::{SENT_AT, order};
use crate::double::{Double, Reply};
use crate::stripe_api::{gateway, invalid, open_invoice, paid_off_stripe};

#[tokio::test]
async fn the_invoice_is_seen_as_it_is() {
    let double = Double::new([Reply::json(200, open_invoice())]).await;
    let view = gateway(&double).invoice("in_1").await.unwrap();
    assert_eq!(view.status, InvoiceStatus::Open);
    assert_eq!(view.amount_remaining, Some(order(true).amount));
    assert_eq!(view.attempt_count, Some(2));
    assert_eq!(view.next_native_attempt_at.map(|at| at.as_second()), Some(SENT_AT + 86_400));
    assert!(!view.paid_out_of_band);
    for elsewhere in [
        paid_off_stripe(),
        json!({ "status": "paid", "paid_out_of_band": true, "payment_intent": "pi_1" }),
        json!({ "status": "paid", "amount_paid_off_stripe": 2900, "payments": { "data": [] } }),
    ] {
        let double = Double::new([Reply::json(200, elsewhere), Reply::text(404, "{}")]).await;
        assert!(gateway(&double).invoice("in_1").await.unwrap().paid_out_of_band);
    }
    let double = Double::new([Reply::json(404, invalid("resource_missing", "No such"))]).await;
    assert!(!gateway(&double).invoice("in_1").await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_second_mark_after_the_key_was_forgotten_is_done() {
    let refused = Reply::json(400, invalid("", "Invoice is already paid"));
    let double = Double::new([refused, Reply::json(200, paid_off_stripe())]).await;
    let mark = MarkPaidOrder {
        gateway: GatewayId::from("under_test"),
        invoice: "in_1".to_owned(),
        paid_at: None,
        charge: None,
    };
    assert_eq!(gateway(&double).mark_paid(&mark, "k").await, Ok(MarkPaidOutcome::Done));
    assert!(double.seen()[0].has("paid_out_of_band", "true"));
    let void = json!({ "status": "void" });
    let refused = Reply::json(400, invalid("", "Invoice is void"));
    let double = Double::new([refused, Reply::json(200, void), Reply::text(404, "{}")]).await;
    let outcome = gateway(&double).mark_paid(&mark, "k").await;
    assert!(matches!(outcome, Ok(MarkPaidOutcome::Failed { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_new_card_goes_where_the_failed_charge_looks_for_it() {
    let adopt = AdoptOrder {
        gateway: GatewayId::from("under_test"),
        customer: "cus_1".to_owned(),
        subscription: Some("sub_1".to_owned()),
        token: "pm_2".to_owned(),
    };
    let (on_subscription, on_customer) =
        ("default_payment_method", "invoice_settings[default_payment_method]");
    for (subscription, line, field) in [
        (
            json!({ "default_payment_method": "pm_1" }),
            "POST /v1/subscriptions/sub_1",
            on_subscription,
        ),
        (json!({ "default_source": "card_1" }), "POST /v1/subscriptions/sub_1", on_subscription),
        (json!({ "default_payment_method": null }), "POST /v1/customers/cus_1", on_customer),
    ] {
        let replies = [Reply::json(200, subscription), Reply::json(200, json!({}))];
        let double = Double::new(replies).await;
        gateway(&double).adopt_method(&adopt, "k").await.unwrap();
        assert_eq!(double.lines(), ["GET /v1/subscriptions/sub_1", line]);
        assert!(double.seen()[1].has(field, "pm_2"));
        assert_eq!(double.seen()[1].header("idempotency-key"), "k");
    }
    let double = Double::new([Reply::json(200, json!({}))]).await;
    let bare = AdoptOrder { subscription: None, ..adopt };
    gateway(&double).adopt_method(&bare, "k").await.unwrap();
    assert_eq!(double.lines(), ["POST /v1/customers/cus_1"]);
}

#[tokio::test]
async fn the_card_update_page_returns_to_us_and_authentication_is_on_the_invoice() {
    let request = |purpose| HostedRequest {
        purpose,
        customer: "cus_1".to_owned(),
        subscription: None,
        invoice: "in_1".to_owned(),
        amount: order(true).amount,
        description: None,
        return_url: "https://pay.example/pay/t".to_owned(),
        idempotency_key: "k".to_owned(),
    };
    let double =
        Double::new([Reply::json(200, json!({ "url": "https://portal.example/s" }))]).await;
    gateway(&double).hosted_session(&request(HostedPurpose::UpdateCard)).await.unwrap();
    let seen = &double.seen()[0];
    assert_eq!(seen.line(), "POST /v1/billing_portal/sessions");
    for (name, value) in [
        ("customer", "cus_1"),
        ("return_url", "https://pay.example/pay/t"),
        ("flow_data[type]", "payment_method_update"),
        ("flow_data[after_completion][type]", "redirect"),
        ("flow_data[after_completion][redirect][return_url]", "https://pay.example/pay/t"),
    ] {
        assert!(seen.has(name, value), "{name}");
    }
    let double = Double::new([Reply::json(200, open_invoice())]).await;
    let session =
        gateway(&double).hosted_session(&request(HostedPurpose::Authenticate)).await.unwrap();
    assert_eq!(session.url, "https://invoice.example/in_1");
    assert_eq!(double.lines(), ["GET /v1/invoices/in_1"]);
}

#[tokio::test]
async fn closing_ends_both_and_again_is_done() {
    let close = |subscription_action, invoice_action| CloseOrder {
        gateway: GatewayId::from("under_test"),
        subscription: Some("sub_1".to_owned()),
        subscription_action,
        invoice: "in_1".to_owned(),
        invoice_action,
    };
    let ok = || Reply::json(200, json!({}));
    let double = Double::new([ok(), ok()]).await;
    let order = close(SubscriptionAction::Pause, InvoiceAction::Void);
    gateway(&double).close(&order, "k").await.unwrap();
    assert_eq!(double.lines(), ["POST /v1/subscriptions/sub_1", "POST /v1/invoices/in_1/void"]);
    let seen = double.seen();
    assert!(seen[0].has("pause_collection[behavior]", "void"));
    assert_ne!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"));

    let replies = [
        Reply::json(404, invalid("resource_missing", "No such subscription")),
        Reply::json(200, json!({ "status": "canceled" })),
        Reply::json(400, invalid("", "already")),
        Reply::json(200, json!({ "status": "uncollectible" })),
    ];
    let double = Double::new(replies).await;
    let order = close(SubscriptionAction::Cancel, InvoiceAction::Uncollectible);
    gateway(&double).close(&order, "k").await.unwrap();
    assert_eq!(double.lines()[0], "DELETE /v1/subscriptions/sub_1");
    assert_eq!(double.lines()[2], "POST /v1/invoices/in_1/mark_uncollectible");

    let replies = [Reply::text(500, ""), ok()];
    let double = Double::new(replies).await;
    let error = gateway(&double).close(&order, "k").await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(double.seen().len(), 2, "the invoice is closed all the same");
}

#[tokio::test]
async fn a_refund_names_what_was_charged() {
    let refund = |charge: &str| RefundOrder {
        gateway: GatewayId::from("under_test"),
        attempt: AttemptId::from("att_1"),
        charge: charge.to_owned(),
        amount: order(true).amount,
    };
    for (charge, field) in [("pi_1", "payment_intent"), ("ch_1", "charge")] {
        let double = Double::new([Reply::json(200, json!({ "status": "pending" }))]).await;
        gateway(&double).refund(&refund(charge), "k").await.unwrap();
        assert_eq!(double.seen()[0].form(), [(field.to_owned(), charge.to_owned())]);
    }
    let again = Reply::json(400, invalid("charge_already_refunded", "Charge is refunded."));
    let double = Double::new([again, Reply::json(200, json!({ "status": "failed" }))]).await;
    assert!(gateway(&double).refund(&refund("pi_1"), "k").await.is_ok());
    assert!(gateway(&double).refund(&refund("pi_1"), "k").await.is_err());
}
