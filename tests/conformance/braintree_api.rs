//! What is sent to Braintree, and what its answers lead to, beyond what every gateway does.

use recoup::core::effect::{
    AdoptOrder, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceStatus, LookUpAnswer, RefundOrder,
};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::money::Money;
use recoup::core::policy::{InvoiceAction, SubscriptionAction};
use recoup::gateway::{self, Gateway};
use serde_json::json;
use std::sync::Arc;

use crate::dialect::braintree::{accounts, ids, set_to, subscription};
use crate::dialect::{SENT_AT, attempt, order, settings};
use crate::double::{Double, Reply, nobody};

fn braintree(base: &str) -> Arc<dyn Gateway> {
    (gateway::kind("braintree").unwrap().build)(settings(base), Default::default()).unwrap()
}

fn sold() -> Reply {
    Reply::text(201, "<transaction><id>bt_1</id><status>authorized</status></transaction>")
}

fn refused(code: &str, inner: &str) -> Reply {
    Reply::text(
        422,
        format!(
            "<api-error-response><errors><errors type=\"array\"/><transaction>\
             <errors type=\"array\"><error><code>{code}</code></error></errors>\
             </transaction></errors><message>Cannot be done.</message>{inner}</api-error-response>"
        ),
    )
}

#[tokio::test]
async fn a_subscription_is_charged_again_as_the_libraries_do_it() {
    let double = Double::new([set_to("pm_1"), sold()]).await;
    braintree(&double.base).charge(&order(true)).await;
    let seen = double.seen().remove(1);
    assert_eq!(seen.line(), "POST /merchants/account_1/transactions");
    assert_eq!(seen.header("accept"), "application/xml");
    assert_eq!(
        seen.json(),
        json!({ "transaction": {
            "type": "sale", "amount": "29.00", "order_id": "in_1-recoup-att_1",
            "options": { "submit_for_settlement": true }, "subscription_id": "sub_1",
        } })
    );
}

#[tokio::test]
async fn a_stored_card_is_charged_in_the_currency_that_was_asked_for() {
    let double = Double::new([accounts(), sold()]).await;
    let order = ChargeOrder { network_transaction_id: Some("nt_1".into()), ..order(false) };
    braintree(&double.base).charge(&order).await;
    assert_eq!(double.lines()[0], "GET /merchants/account_1/merchant_accounts");
    assert_eq!(
        double.seen()[1].json(),
        json!({ "transaction": {
            "type": "sale", "amount": "29.00", "order_id": "in_1-recoup-att_1",
            "options": { "submit_for_settlement": true }, "payment_method_token": "pm_1",
            "transaction_source": "recurring",
            "external_vault": { "previous_network_transaction_id": "nt_1" },
            "merchant_account_id": "dollars_2",
        } })
    );
    let pesos = Money::new(2_900_000, "COP".parse().unwrap());
    for (order, replies) in [
        (ChargeOrder { amount: pesos, ..order.clone() }, vec![accounts()]),
        (order.clone(), vec![Reply::text(401, "")]),
        (ChargeOrder { token: None, ..order.clone() }, vec![]),
        (ChargeOrder { invoice: "x".repeat(300), ..order.clone() }, vec![]),
        (ChargeOrder { amount: Money::new(0, order.amount.currency), ..order.clone() }, vec![]),
        (ChargeOrder { amount: Money::new(-1, order.amount.currency), ..order }, vec![]),
    ] {
        let expected = replies.len();
        let double = Double::new(replies).await;
        let outcome = braintree(&double.base).charge(&order).await;
        assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{outcome:?}");
        assert_eq!(double.seen().len(), expected, "nothing is charged");
    }
    for unread in [Reply::text(500, ""), Reply::Drop, Reply::text(200, "<x/>")] {
        let double = Double::new([unread]).await;
        let outcome = braintree(&double.base).charge(&self::order(false)).await;
        assert!(matches!(outcome, ChargeOutcome::NotSent { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_a_refusal_says_of_the_money() {
    let rejected = |reason: &str| {
        format!(
            "<transaction><id>bt_1</id><status>gateway_rejected</status>\
             <gateway-rejection-reason>{reason}</gateway-rejection-reason></transaction>"
        )
    };
    let charge = async |reply: Reply| {
        let double = Double::new([set_to("pm_1"), reply]).await;
        braintree(&double.base).charge(&order(true)).await
    };
    let duplicate = charge(refused("", &rejected("duplicate"))).await;
    assert!(matches!(duplicate, ChargeOutcome::Unknown { .. }), "{duplicate:?}");
    let fraud = charge(refused("", &rejected("fraud"))).await;
    assert!(matches!(fraud, ChargeOutcome::Declined { .. }), "{fraud:?}");
    let unread = charge(refused("", "<transaction><status>new</status></transaction>")).await;
    assert!(matches!(unread, ChargeOutcome::Unknown { .. }), "{unread:?}");
    assert_eq!(charge(refused("91531", "")).await, ChargeOutcome::InvoiceClosed);
    let ChargeOutcome::Refused { why } = charge(refused("91518", "")).await else { panic!() };
    assert_eq!(why, "Cannot be done. (HTTP 422)");
    for foreign in [Reply::text(422, ""), Reply::text(422, "<html/>"), Reply::text(422, "{}")] {
        let told = charge(foreign).await;
        assert!(matches!(told, ChargeOutcome::Unknown { .. }), "not Braintree's words: {told:?}");
    }
}

#[tokio::test]
async fn a_subscription_that_has_another_card_meanwhile_is_not_charged() {
    for first in [set_to("pm_2"), Reply::text(200, "<subscription/>"), Reply::text(500, "")] {
        let double = Double::new([first]).await;
        let outcome = braintree(&double.base).charge(&order(true)).await;
        assert!(matches!(outcome, ChargeOutcome::NotSent { .. }), "{outcome:?}");
        assert_eq!(double.lines(), ["GET /merchants/account_1/subscriptions/sub_1"]);
    }
}

#[tokio::test]
async fn a_retry_that_lost_its_order_id_is_found_by_its_subscription() {
    let look_up = async |replies: Vec<Reply>| {
        let double = Double::new(replies).await;
        braintree(&double.base).look_up(&attempt(true)).await
    };
    let since = look_up(vec![ids(""), subscription(SENT_AT + 2)]).await;
    assert!(matches!(since, LookUpAnswer::Found(ChargeOutcome::Approved { .. })), "{since:?}");
    let later = look_up(vec![ids(""), subscription(SENT_AT + 86_400)]).await;
    assert_eq!(later, LookUpAnswer::NotFound, "the next period's own charge");
    let before = look_up(vec![ids(""), subscription(SENT_AT - 3600)]).await;
    assert_eq!(before, LookUpAnswer::NotFound);
    let another = Reply::text(
        200,
        "<subscription><transactions type=\"array\"><transaction><id>bt_7</id>\
         <status>settled</status><order-id>in_1-recoup-att_2</order-id></transaction>\
         </transactions></subscription>",
    );
    assert_eq!(look_up(vec![ids(""), another]).await, LookUpAnswer::NotFound);
    let unnamed = Reply::text(
        200,
        "<subscription><transactions type=\"array\"><transaction><id>bt_7</id>\
         <status>settled</status></transaction></transactions></subscription>",
    );
    for unclear in [unnamed, Reply::text(404, ""), Reply::text(200, "<subscription/>")] {
        let answer = look_up(vec![ids(""), unclear]).await;
        assert!(matches!(answer, LookUpAnswer::Unavailable { .. }), "{answer:?}");
    }
    let lost = look_up(vec![ids("bt_1"), Reply::text(200, "<credit-card-transactions/>")]).await;
    assert!(matches!(lost, LookUpAnswer::Unavailable { .. }), "{lost:?}");
}

#[tokio::test]
async fn a_charge_is_given_back_whole_and_once() {
    let status = |status: &str| {
        Reply::text(
            200,
            format!("<transaction><id>bt_1</id><status>{status}</status></transaction>"),
        )
    };
    let order = RefundOrder {
        gateway: GatewayId::from("under_test"),
        attempt: AttemptId::from("att_1"),
        charge: "bt_1".to_owned(),
        amount: Money::new(2900, "USD".parse().unwrap()),
    };
    for (now, then, last) in [
        ("settled", Some(status("settled")), "POST /merchants/account_1/transactions/bt_1/refund"),
        (
            "settled",
            Some(refused("91512", "")),
            "POST /merchants/account_1/transactions/bt_1/refund",
        ),
        (
            "submitted_for_settlement",
            Some(status("voided")),
            "PUT /merchants/account_1/transactions/bt_1/void",
        ),
        ("voided", None, "GET /merchants/account_1/transactions/bt_1"),
    ] {
        let double = Double::new([status(now)].into_iter().chain(then)).await;
        assert_eq!(braintree(&double.base).refund(&order, "eff_1").await, Ok(()), "{now}");
        assert_eq!(double.lines().pop().unwrap(), last);
    }
    let double = Double::new([status("settling"), refused("91574", "")]).await;
    assert!(braintree(&double.base).refund(&order, "eff_1").await.unwrap_err().is_transient());
}

#[tokio::test]
async fn what_is_owed_is_read_off_the_subscription_or_the_order_id() {
    let read = async |invoice: &str, replies: Vec<Reply>| {
        let double = Double::new(replies).await;
        braintree(&double.base).invoice(invoice).await.map(|view| view.status)
    };
    let period = "sub_1:2026-11-01";
    let with = |status: &str, last: &str| {
        vec![Reply::text(
            200,
            format!(
                "<subscription><status>{status}</status><transactions type=\"array\">\
                 <transaction><status>{last}</status></transaction></transactions></subscription>"
            ),
        )]
    };
    for (status, last, wanted) in [
        ("Past Due", "settled", InvoiceStatus::Open),
        ("Active", "settled", InvoiceStatus::Paid),
        ("Active", "processor_declined", InvoiceStatus::Open),
        ("Canceled", "processor_declined", InvoiceStatus::Void),
        ("Expired", "settled", InvoiceStatus::Void),
    ] {
        assert_eq!(read(period, with(status, last)).await, Ok(wanted), "{status} {last}");
    }
    assert!(read(period, with("Brand New", "settled")).await.unwrap_err().is_transient());
    let page = "<credit-card-transactions><transaction><id>bt_1</id><status>settled</status>\
                <order-id>INV-7-recoup-att_1</order-id></transaction></credit-card-transactions>";
    let found = vec![ids(""), ids("bt_1"), Reply::text(200, page)];
    assert_eq!(read("INV-7", found.clone()).await, Ok(InvoiceStatus::Paid));
    assert_eq!(read("INV", found).await, Ok(InvoiceStatus::Open), "another order's");
    assert_eq!(read("INV-7", vec![ids(""), ids("")]).await, Ok(InvoiceStatus::Open));
}

#[tokio::test]
async fn a_subscription_is_ended_once_and_takes_a_new_card() {
    let close = |action| CloseOrder {
        gateway: GatewayId::from("under_test"),
        subscription: Some("sub_1".to_owned()),
        subscription_action: action,
        invoice: "sub_1:2026-11-01".to_owned(),
        invoice_action: InvoiceAction::Keep,
    };
    for reply in [Reply::text(200, "<subscription/>"), refused("81905", "")] {
        let double = Double::new([reply]).await;
        let done = braintree(&double.base).close(&close(SubscriptionAction::Cancel), "eff_1").await;
        assert_eq!(done, Ok(()));
        assert_eq!(double.lines(), ["PUT /merchants/account_1/subscriptions/sub_1/cancel"]);
    }
    let pause = braintree(&nobody()).close(&close(SubscriptionAction::Pause), "eff_1").await;
    assert!(!pause.unwrap_err().is_transient());
    let double = Double::new([Reply::text(200, "<subscription/>")]).await;
    let adopt = AdoptOrder {
        gateway: GatewayId::from("under_test"),
        customer: "cus_1".to_owned(),
        subscription: Some("sub_1".to_owned()),
        token: "pm_2".to_owned(),
    };
    assert_eq!(braintree(&double.base).adopt_method(&adopt, "eff_1").await, Ok(()));
    let sent = json!({ "subscription": { "payment_method_token": "pm_2" } });
    assert_eq!(double.seen()[0].json(), sent);
    let plans = "<plans type=\"array\"><plan><id>pro</id></plan></plans>";
    let double = Double::new([Reply::text(200, plans), Reply::text(401, "")]).await;
    let access = braintree(&double.base);
    assert_eq!(access.check_access().await, Ok("the key reads 1 plans".to_owned()));
    assert!(!access.check_access().await.unwrap_err().is_transient());
}
