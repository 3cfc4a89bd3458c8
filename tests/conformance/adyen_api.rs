//! Adyen's Checkout API, request by request, and what each of its answers means.
//!
//! What must stay true: the bodies hold the fields that CheckoutService v72 asks for, by its names;
//! a customer is not charged by Auto Rescue beside us.

use recoup::core::decline::{Advice, Category};
use recoup::core::effect::{ChargeOrder, ChargeOutcome, CloseOrder, LookUpAnswer, RefundOrder};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::money::Money;
use recoup::core::policy::{InvoiceAction, SubscriptionAction};
use recoup::gateway::adyen::Adyen;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{Gateway, HostedPurpose, HostedRequest};
use serde_json::{Value, json};

use crate::dialect::{attempt, order, settings};
use crate::double::{Double, Reply};

fn gateway(double: &Double) -> Adyen {
    Adyen::new(settings(&double.base), Timeouts::default()).unwrap()
}

async fn charged(order: &ChargeOrder, reply: Reply) -> (ChargeOutcome, Double) {
    let double = Double::new([reply]).await;
    (gateway(&double).charge(order).await, double)
}

fn result(code: &str) -> Reply {
    Reply::json(200, json!({ "pspReference": "PSP1", "resultCode": code }))
}

#[tokio::test]
async fn a_charge_is_a_continued_payment_with_a_stored_card() {
    let mut order = order(false);
    order.network_transaction_id = Some("nt_0".into());
    let (_, double) = charged(&order, result("Authorised")).await;
    let seen = &double.seen()[0];
    assert_eq!(seen.line(), "POST /v72/payments");
    assert_eq!(seen.header("idempotency-key"), "recoup-att_1");
    let expected = json!({
        "merchantAccount": "account_1",
        "amount": { "value": 2900, "currency": "USD" },
        "reference": "in_1-recoup-att_1",
        "shopperReference": "cus_1",
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": "Subscription",
        "paymentMethod": { "type": "scheme", "storedPaymentMethodId": "pm_1" },
        "returnUrl": "https://recoup.invalid/",
        "additionalData": {
            "autoRescue": "false", "retry.skipRetry": "true", "networkTxReference": "nt_0",
        },
    });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn what_cannot_be_charged_is_not_sent() {
    let no_token = ChargeOrder { token: None, ..order(true) };
    let no_shopper = ChargeOrder { customer: None, ..order(true) };
    let part = Money::new(150, "IDR".parse().unwrap());
    let inexact = ChargeOrder { amount: part, ..order(true) };
    let nothing = ChargeOrder { amount: Money::new(0, part.currency), ..order(true) };
    for order in [no_token, no_shopper, inexact, nothing] {
        let (outcome, double) = charged(&order, result("Authorised")).await;
        assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{outcome:?}");
        assert!(double.seen().is_empty());
    }
}

#[tokio::test]
async fn every_result_has_its_meaning() {
    for code in ["Refused", "Error", "Cancelled"] {
        let (outcome, _) = charged(&order(true), result(code)).await;
        assert!(matches!(outcome, ChargeOutcome::Declined { .. }), "{code}: {outcome:?}");
    }
    for code in ["Pending", "Received"] {
        let (outcome, _) = charged(&order(true), result(code)).await;
        assert!(matches!(outcome, ChargeOutcome::Pending { .. }), "{code}: {outcome:?}");
    }
    for code in ["RedirectShopper", "IdentifyShopper", "ChallengeShopper", "PresentToShopper"] {
        let (outcome, _) = charged(&order(true), result(code)).await;
        let ChargeOutcome::Declined { decline, .. } = outcome else {
            panic!("{code}: {outcome:?}")
        };
        assert_eq!(decline.category, Category::AuthenticationRequired);
        assert_eq!(decline.advice, Advice::Authenticate);
    }
    for code in ["Success", "AuthenticationFinished", "AuthenticationNotRequired", "BrandNew"] {
        let (outcome, _) = charged(&order(true), result(code)).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{code}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_part_that_was_authorised_is_told_by_its_amount() {
    let part = json!({
        "pspReference": "PSP1", "resultCode": "PartiallyAuthorised",
        "amount": { "value": 900, "currency": "USD" },
    });
    let (outcome, _) = charged(&order(true), Reply::json(200, part)).await;
    let ChargeOutcome::Approved { amount, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(amount.map(|amount| amount.minor), Some(900));
}

#[tokio::test]
async fn a_refusal_tells_its_number_the_bank_s_and_the_network_s() {
    let refused = json!({
        "pspReference": "PSP1", "resultCode": "Refused",
        "refusalReason": "Refused", "refusalReasonCode": "2",
        "paymentMethod": { "brand": "mc", "type": "scheme" },
        "additionalData": {
            "refusalReasonRaw": "51 : Insufficient funds",
            "merchantAdviceCode": "24 : Retry after 1 hour",
            "cardSummary": "5454", "expiryDate": "12/2031", "fundingSource": "PREPAID_RELOADABLE",
        },
    });
    let (outcome, _) = charged(&order(true), Reply::json(200, refused)).await;
    let ChargeOutcome::Declined { decline, method, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(decline.code.as_deref(), Some("2"));
    assert_eq!(decline.network_code.as_deref(), Some("51"));
    assert_eq!(decline.network_advice_code.as_deref(), Some("24"));
    assert_eq!(decline.category, Category::InsufficientFunds);
    assert_eq!((decline.advice, decline.min_delay_seconds), (Advice::RetryAfter, Some(3600)));
    assert_eq!(method.network.as_deref(), Some("mastercard"));
    assert_eq!(method.exp.as_deref(), Some("2031-12"));
    assert_eq!(method.funding.as_deref(), Some("prepaid"));
}

fn error(status: u16, code: &str) -> Reply {
    let body = json!({
        "status": status, "errorCode": code, "errorType": "validation", "message": "no",
    });
    Reply::json(status, body)
}

#[tokio::test]
async fn a_key_in_use_is_busy_where_adyen_says_so_and_else_a_question() {
    for status in [409, 422] {
        let busy = error(status, "704").with("transient-error", "true");
        let (outcome, _) = charged(&order(true), busy).await;
        assert!(matches!(outcome, ChargeOutcome::Busy { .. }), "{outcome:?}");
        let (outcome, _) = charged(&order(true), error(status, "704")).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
    }
    let (outcome, _) = charged(&order(true), error(422, "14_030")).await;
    assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{outcome:?}");
    let broken = error(500, "905").with("transient-error", "true");
    let (outcome, _) = charged(&order(true), broken).await;
    assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn there_is_no_look_up_and_the_same_key_tells() {
    let double = Double::new([result("Authorised")]).await;
    let gateway = gateway(&double);
    let answer = gateway.look_up(&attempt(true)).await;
    assert!(matches!(answer, LookUpAnswer::Unavailable { .. }));
    assert!(double.seen().is_empty());
    assert!(gateway.capabilities().resend_tells && !gateway.capabilities().look_up);
    let first = gateway.charge(&order(true)).await;
    assert_eq!(gateway.charge(&order(true)).await, first);
    assert_eq!(double.executed(), 1);
}

#[tokio::test]
async fn a_link_is_for_what_is_owed_and_names_the_invoice() {
    let link = json!({ "id": "PL1", "url": "https://pay.example/PL1", "status": "active" });
    let double = Double::new([Reply::json(201, link)]).await;
    let request = HostedRequest {
        purpose: HostedPurpose::UpdateCard,
        customer: "cus_1".into(),
        subscription: None,
        invoice: "in_1".into(),
        amount: Money::new(29_000, "CLP".parse().unwrap()),
        description: Some("Plan ñandú".repeat(40)),
        return_url: "https://pay.example/pay/t".into(),
        idempotency_key: "k1".into(),
    };
    gateway(&double).hosted_session(&request).await.unwrap();
    let seen = &double.seen()[0];
    assert_eq!(seen.line(), "POST /v72/paymentLinks");
    let mut body = seen.json();
    let words = body.as_object_mut().unwrap().remove("description").unwrap();
    assert_eq!(words.as_str().unwrap().chars().count(), 280);
    let expected = json!({
        "merchantAccount": "account_1",
        "amount": { "value": 2_900_000, "currency": "CLP" },
        "reference": "in_1-recoup-link_k1",
        "shopperReference": "cus_1",
        "storePaymentMethodMode": "enabled",
        "recurringProcessingModel": "Subscription",
        "returnUrl": "https://pay.example/pay/t",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn the_other_calls_are_where_adyen_has_them() {
    let ok = |body: Value| Reply::json(201, body);
    let double = Double::new([
        ok(json!({ "pspReference": "PSP2", "status": "received" })),
        ok(json!({ "paymentMethods": [{ "type": "scheme" }] })),
    ])
    .await;
    let gateway = gateway(&double);
    let refund = RefundOrder {
        gateway: GatewayId::from("under_test"),
        attempt: AttemptId::from("att_1"),
        charge: "PSP1".into(),
        amount: order(true).amount,
    };
    gateway.refund(&refund, "eff_1").await.unwrap();
    assert!(gateway.check_access().await.unwrap().contains("account_1"));
    let seen = double.seen();
    assert_eq!(seen[0].line(), "POST /v72/payments/PSP1/refunds");
    let expected = json!({
        "merchantAccount": "account_1", "amount": { "value": 2900, "currency": "USD" },
        "reference": "eff_1",
    });
    assert_eq!(seen[0].json(), expected);
    assert_eq!(seen[1].line(), "POST /v72/paymentMethods");
    assert_eq!(seen[1].header("idempotency-key"), "", "a read has no key");
}

#[tokio::test]
async fn what_adyen_has_not_is_said() {
    let double = Double::new([]).await;
    let gateway = gateway(&double);
    let close = |subscription_action, invoice_action| CloseOrder {
        gateway: GatewayId::from("under_test"),
        subscription: Some("sub_1".into()),
        subscription_action,
        invoice: "in_1".into(),
        invoice_action,
    };
    let keep = close(SubscriptionAction::Keep, InvoiceAction::Keep);
    assert_eq!(gateway.close(&keep, "k").await, Ok(()));
    for order in [
        close(SubscriptionAction::Cancel, InvoiceAction::Keep),
        close(SubscriptionAction::Keep, InvoiceAction::Void),
    ] {
        assert!(!gateway.close(&order, "k").await.unwrap_err().is_transient());
    }
    assert!(!gateway.invoice("in_1").await.unwrap_err().is_transient());
    assert!(double.seen().is_empty());
}
