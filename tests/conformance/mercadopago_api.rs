//! Mercado Pago where its protocol is its own: what is asked before a charge, what its events are
//! completed from, its pages and subscriptions.
//!
//! What must stay true: nothing is charged in another country's currency; one debt is one invoice;
//! nothing of a webhook's body is believed.

use std::sync::Arc;

use recoup::core::decline::Category;
use recoup::core::effect::{AdoptOrder, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceStatus};
use recoup::core::event::{Event, EventKind, NativeRetry, NeedsFetch};
use recoup::core::ids::GatewayId;
use recoup::core::policy::{InvoiceAction, SubscriptionAction};
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{self, Gateway, HostedPurpose, HostedRequest};
use serde_json::{Value, json};

use crate::dialect::{mp_payment, order, settings};
use crate::double::{Double, Reply};

fn gateway_at(double: &Double) -> Arc<dyn Gateway> {
    let kind = gateway::kind("mercadopago").unwrap();
    (kind.build)(settings(&double.base), Timeouts::default()).unwrap()
}

fn owed() -> ChargeOrder {
    let mut order = order(false);
    order.amount.currency = "COP".parse().unwrap();
    order
}

fn me(site: &str) -> Reply {
    Reply::json(200, json!({ "id": 5, "site_id": site }))
}

#[tokio::test]
async fn nothing_is_charged_in_another_countrys_currency() {
    for reply in [me("MLA"), me("MXX"), Reply::json(200, json!({}))] {
        let double = Double::new([reply]).await;
        let outcome = gateway_at(&double).charge(&owed()).await;
        assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{outcome:?}");
        assert_eq!(double.seen().len(), 1, "nothing but the account is read");
    }
}

#[tokio::test]
async fn what_fails_before_the_charge_is_never_unknown() {
    for (reply, wanted) in [
        (Reply::text(500, ""), "not_sent"),
        (Reply::Drop, "not_sent"),
        (Reply::text(200, "<html>"), "not_sent"),
        (Reply::text(429, "{}"), "busy"),
        (Reply::json(404, json!({ "message": "card not found" })), "refused"),
        (Reply::json(201, json!({ "status": "active" })), "not_sent"),
    ] {
        let double = Double::new([me("MCO"), reply.clone()]).await;
        let outcome = gateway_at(&double).charge(&owed()).await;
        let told = serde_json::to_value(&outcome).unwrap();
        assert!(told.get(wanted).is_some(), "{reply:?} → {outcome:?}");
        assert!(!double.lines().contains(&"POST /v1/payments".to_owned()));
    }
    let nameless = ChargeOrder { token: None, ..owed() };
    let outcome = gateway_at(&Double::new([]).await).charge(&nameless).await;
    assert!(matches!(outcome, ChargeOutcome::Refused { .. }));
}

#[tokio::test]
async fn a_charge_names_card_customer_invoice_and_attempt() {
    let approved = mp_payment("approved", "accredited", "in_1-recoup-att_1");
    let token = Reply::json(201, json!({ "id": "tok_1" }));
    let double = Double::new([me("MCO"), token, Reply::json(201, approved)]).await;
    gateway_at(&double).charge(&owed()).await;
    let seen = double.seen();
    assert_eq!(seen[1].json(), json!({ "card_id": "pm_1", "customer_id": "cus_1" }));
    let wanted = json!({
        "transaction_amount": 29, "token": "tok_1", "installments": 1,
        "payer": { "type": "customer", "id": "cus_1" },
        "external_reference": "in_1-recoup-att_1",
    });
    assert_eq!(seen[2].json(), wanted);
}

fn pointer(object: &str, id: &str) -> Event {
    let mut event = Event::new("1", EventKind::PaymentUnknown);
    event.needs_fetch = Some(NeedsFetch { object: object.to_owned(), id: id.to_owned() });
    event
}

async fn completed(event: Event, replies: Vec<Reply>) -> (Event, Double) {
    let double = Double::new(replies).await;
    let event = gateway_at(&double).complete(event).await.unwrap();
    assert_eq!(event.needs_fetch, None);
    (event, double)
}

fn instalment(id: u64, status: &str, payment: u64) -> Value {
    json!({
        "id": id, "preapproval_id": "sub_1", "external_reference": "the same for all",
        "status": status, "retry_attempt": 1, "transaction_amount": 29, "currency_id": "COP",
        "payer_id": 5, "payment": {
            "id": payment, "status": "rejected", "status_detail": "cc_rejected_high_risk",
        },
    })
}

#[tokio::test]
async fn a_payment_and_its_instalment_are_one_debt() {
    let mut rejected = mp_payment("rejected", "cc_rejected_high_risk", "the same for all");
    rejected["metadata"] = json!({ "preapproval_id": "sub_1" });
    let recycling = instalment(702, "recycling", 1_234_567_890);
    let search = Reply::json(200, json!({ "results": [recycling] }));
    let by_payment = vec![Reply::json(200, rejected.clone()), search];
    let (one, double) = completed(pointer("payment", "1234567890"), by_payment).await;
    assert!(double.seen()[1].has("payment_id", "1234567890"));
    let by_instalment = vec![Reply::json(200, recycling), Reply::json(200, rejected.clone())];
    let (two, _) = completed(pointer("authorized_payment", "702"), by_instalment).await;
    for event in [&one, &two] {
        assert_eq!(event.kind, EventKind::PaymentFailed);
        assert_eq!(event.invoice.as_deref(), Some("702"));
        assert_eq!(event.subscription.as_deref(), Some("sub_1"));
        assert_eq!(event.customer.as_deref(), Some("5"));
        assert_eq!(event.native_retry, Some(NativeRetry::Planned));
        assert_eq!(event.attempt_count, Some(2));
        let category = event.decline.as_ref().unwrap().category;
        assert_eq!(category, Category::GatewayRiskBlock);
        assert_eq!(event.payment_method.as_ref().unwrap().last4.as_deref(), Some("4242"));
    }
    let moved_on = instalment(702, "recycling", 9);
    let search = Reply::json(200, json!({ "results": [moved_on] }));
    let replies = vec![Reply::json(200, rejected.clone()), search];
    let (old, _) = completed(pointer("payment", "1234567890"), replies).await;
    assert_eq!(old.kind, EventKind::Other, "a later try has taken its place");
    let mut given_back = mp_payment("refunded", "refunded", "the same for all");
    given_back["metadata"] = json!({ "preapproval_id": "sub_1" });
    let mut paid = instalment(702, "processed", 1_234_567_890);
    paid["payment"]["status"] = json!("approved");
    let search = Reply::json(200, json!({ "results": [paid] }));
    let replies = vec![Reply::json(200, given_back), search];
    let (refund, _) = completed(pointer("payment", "1234567890"), replies).await;
    assert_eq!(refund.kind, EventKind::Refunded, "the instalment itself stays paid");
    let nowhere = [Reply::json(200, rejected), Reply::json(200, json!({ "results": [] }))];
    let double = Double::new(nowhere).await;
    let error = gateway_at(&double).complete(pointer("payment", "1234567890")).await.unwrap_err();
    assert!(error.is_transient(), "it may be there in a moment");
}

#[tokio::test]
async fn chargebacks_subscriptions_and_cards_are_read_again() {
    let chargeback = json!({ "id": 3, "payments": [77], "amount": 29, "currency": "COP" });
    let taken_back = mp_payment("charged_back", "settled", "in_1-recoup-att_1");
    let replies = vec![Reply::json(200, chargeback), Reply::json(200, taken_back)];
    let (event, _) = completed(pointer("chargeback", "3"), replies).await;
    assert_eq!((event.kind, event.invoice.as_deref()), (EventKind::Disputed, Some("in_1")));
    let ended = json!({ "id": "sub_1", "status": "cancelled", "payer_id": 5 });
    let replies = vec![Reply::json(200, ended)];
    let (event, _) = completed(pointer("preapproval", "sub_1"), replies).await;
    assert_eq!(event.kind, EventKind::SubscriptionCancelled);
    let mut card = pointer("card", "9");
    card.kind = EventKind::PaymentMethodUpdated;
    card.customer = Some("cus_1".to_owned());
    let found = json!({ "id": "9", "customer_id": "cus_1", "last_four_digits": "4242" });
    let (event, double) = completed(card.clone(), vec![Reply::json(200, found)]).await;
    assert_eq!(double.lines(), ["GET /v1/customers/cus_1/cards/9"]);
    assert_eq!(event.payment_method.unwrap().token.as_deref(), Some("9"));
    let double = Double::new([Reply::text(404, "{}")]).await;
    assert!(gateway_at(&double).complete(card).await.is_err());
    let (event, double) = completed(pointer("order", "x"), Vec::new()).await;
    assert_eq!((event.invoice, double.seen().len()), (None, 0));
}

#[tokio::test]
async fn a_customer_without_a_living_subscription_pays_by_link() {
    let link = Reply::json(201, json!({ "init_point": "https://pay.example/1" }));
    let mut request = HostedRequest {
        purpose: HostedPurpose::UpdateCard,
        customer: "cus_1".to_owned(),
        subscription: None,
        invoice: "in_1".to_owned(),
        amount: owed().amount,
        description: None,
        return_url: "https://pay.example/pay/token".to_owned(),
        idempotency_key: "eff_1".to_owned(),
    };
    let double = Double::new([link.clone()]).await;
    let session = gateway_at(&double).hosted_session(&request).await.unwrap();
    assert_eq!(session.url, "https://pay.example/1");
    let body = double.seen()[0].json();
    assert_eq!(body["external_reference"], "in_1-recoup-link_eff_1");
    assert_eq!(
        (&body["items"][0]["unit_price"], &body["items"][0]["currency_id"]),
        (&json!(29), &json!("COP"))
    );
    request.subscription = Some("sub_1".to_owned());
    let ended = Reply::json(200, json!({ "status": "cancelled", "init_point": "https://x.test" }));
    let double = Double::new([ended, link]).await;
    let session = gateway_at(&double).hosted_session(&request).await.unwrap();
    assert_eq!(session.url, "https://pay.example/1");
}

#[tokio::test]
async fn a_subscription_is_closed_once_and_takes_a_new_card() {
    let mut close = CloseOrder {
        gateway: GatewayId::from("under_test"),
        subscription: Some("sub_1".to_owned()),
        invoice: "702".to_owned(),
        subscription_action: SubscriptionAction::Cancel,
        invoice_action: InvoiceAction::Keep,
    };
    let again = json!({ "status": "cancelled" });
    let double = Double::new([
        Reply::json(200, json!({})),
        Reply::json(400, json!({ "message": "You can not modify a cancelled preapproval" })),
        Reply::json(200, again),
    ])
    .await;
    assert_eq!(gateway_at(&double).close(&close, "eff_1").await, Ok(()));
    assert_eq!(double.seen()[0].json(), json!({ "status": "cancelled" }));
    assert_eq!(gateway_at(&double).close(&close, "eff_1").await, Ok(()));
    close.subscription_action = SubscriptionAction::Keep;
    close.invoice_action = InvoiceAction::Void;
    assert!(gateway_at(&double).close(&close, "eff_2").await.is_err());
    let adopt = AdoptOrder {
        gateway: GatewayId::from("under_test"),
        customer: "cus_1".to_owned(),
        subscription: Some("sub_1".to_owned()),
        token: "9".to_owned(),
    };
    let token = Reply::json(201, json!({ "id": "tok_9" }));
    let double = Double::new([token, Reply::json(200, json!({}))]).await;
    assert_eq!(gateway_at(&double).adopt_method(&adopt, "eff_3").await, Ok(()));
    assert_eq!(double.seen()[1].json(), json!({ "card_token_id": "tok_9" }));
}

#[tokio::test]
async fn a_refund_that_was_made_is_made_and_a_debt_shows_its_state() {
    let mut paid = instalment(702, "processed", 9);
    paid["payment"]["status"] = json!("approved");
    let payment = mp_payment("approved", "accredited", "inv-1");
    for (invoice, replies, status) in [
        ("702", vec![Reply::json(200, paid)], InvoiceStatus::Paid),
        ("702", vec![Reply::json(200, instalment(702, "recycling", 9))], InvoiceStatus::Open),
        ("inv-1", vec![Reply::json(200, json!({ "results": [payment] }))], InvoiceStatus::Paid),
        ("inv-2", vec![Reply::json(200, json!({ "results": [] }))], InvoiceStatus::Open),
    ] {
        let double = Double::new(replies).await;
        let view = gateway_at(&double).invoice(invoice).await.unwrap();
        assert_eq!(view.status, status, "{invoice}");
    }
    let double = Double::new([me("MCO")]).await;
    let read = gateway_at(&double).check_access().await.unwrap();
    assert!(read.contains("COP"), "{read}");
}
