//! Wompi where its protocol is its own: the signed transaction, the reference that is taken once,
//! events that are read again, links.
//!
//! What must stay true: a complaint about the reference is never "not charged".

use std::sync::Arc;

use recoup::core::effect::{AttemptRef, ChargeOrder, ChargeOutcome, LookUpAnswer};
use recoup::core::event::{Event, EventKind, NeedsFetch};
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{self, Gateway, GatewaySettings};
use serde_json::json;

use crate::dialect::{attempt, order, settings, wompi_transaction};
use crate::double::{Double, Reply};

fn gateway_at(double: &Double) -> Arc<dyn Gateway> {
    let kind = gateway::kind("wompi").unwrap();
    let with_secret = GatewaySettings {
        integrity_secret: Some("test_integrity_made_up".into()),
        ..settings(&double.base)
    };
    (kind.build)(with_secret, Timeouts::default()).unwrap()
}

fn owed() -> ChargeOrder {
    let mut order = order(false);
    order.amount.currency = "COP".parse().unwrap();
    order.token = Some("7".to_owned());
    order
}

fn source() -> Reply {
    Reply::json(200, json!({ "data": { "id": 7, "customer_email": "ana@example.com" } }))
}

#[tokio::test]
async fn a_charge_is_signed_and_names_invoice_and_attempt() {
    let pending = Reply::json(201, json!({ "data": wompi_transaction("PENDING", "") }));
    let double = Double::new([source(), pending]).await;
    let outcome = gateway_at(&double).charge(&owed()).await;
    assert_eq!(outcome, ChargeOutcome::Pending { payment: Some("1-2-3".to_owned()) });
    assert_eq!(double.lines(), ["GET /v1/payment_sources/7", "POST /v1/transactions"]);
    let mut body = double.seen()[1].json();
    let signature = body["signature"].take();
    assert_eq!(signature.as_str().unwrap().len(), 64);
    let wanted = json!({
        "amount_in_cents": 2900, "currency": "COP", "customer_email": "ana@example.com",
        "reference": "in_1-recoup-att_1", "payment_source_id": 7,
        "payment_method": { "installments": 1 }, "recurrent": true, "signature": null,
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn a_reference_that_is_taken_is_looked_up() {
    for taken in [
        json!({ "error": { "type": "X", "messages": { "reference": ["x"] } } }),
        json!({ "error": { "reason": "La referencia ya ha sido usada" } }),
    ] {
        let double = Double::new([source(), Reply::json(422, taken)]).await;
        let outcome = gateway_at(&double).charge(&owed()).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
    }
    let other = json!({ "error": { "messages": { "payment_source_id": ["x"] } } });
    let double = Double::new([source(), Reply::json(422, other)]).await;
    let outcome = gateway_at(&double).charge(&owed()).await;
    assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_fails_before_the_charge_is_never_unknown() {
    for reply in [
        Reply::text(500, ""),
        Reply::Drop,
        Reply::text(404, "{}"),
        Reply::text(200, "x"),
        Reply::json(200, json!({ "data": { "id": 7 } })),
    ] {
        let double = Double::new([reply.clone()]).await;
        let outcome = gateway_at(&double).charge(&owed()).await;
        let nothing =
            matches!(outcome, ChargeOutcome::NotSent { .. } | ChargeOutcome::Refused { .. });
        assert!(nothing, "{reply:?} → {outcome:?}");
        assert_eq!(double.seen().len(), 1);
    }
    let double = Double::new([]).await;
    for wrong in [
        order(false),
        ChargeOrder { token: None, ..owed() },
        ChargeOrder { amount: recoup::core::money::Money { minor: 0, ..owed().amount }, ..owed() },
    ] {
        let outcome = gateway_at(&double).charge(&wrong).await;
        assert!(matches!(outcome, ChargeOutcome::Refused { .. }), "{outcome:?}");
    }
    assert!(double.seen().is_empty());
}

#[tokio::test]
async fn an_event_says_what_the_transaction_says() {
    let mut event = Event::new("1-2-3:APPROVED:1", EventKind::PaymentSucceeded);
    event.invoice = Some("forged".to_owned());
    event.needs_fetch = Some(NeedsFetch { object: "transaction".into(), id: "1-2-3".into() });
    let declined = json!({ "data": wompi_transaction("DECLINED", "Tarjeta vencida") });
    let double = Double::new([Reply::json(200, declined)]).await;
    let read = gateway_at(&double).complete(event.clone()).await.unwrap();
    assert_eq!((read.kind, read.invoice.as_deref()), (EventKind::PaymentFailed, Some("in_1")));
    assert_eq!(read.idempotency_key.as_deref(), Some("recoup-att_1"));
    assert_eq!(read.needs_fetch, None);
    let mut linked = wompi_transaction("APPROVED", "");
    linked["payment_link_id"] = json!("AbC123");
    linked["reference"] = json!("of_wompis_own");
    let link = json!({ "data": { "description": "in_7-recoup-link_eff_1" } });
    let replies = [Reply::json(200, json!({ "data": linked })), Reply::json(200, link)];
    let double = Double::new(replies).await;
    let read = gateway_at(&double).complete(event).await.unwrap();
    assert_eq!((read.kind, read.invoice.as_deref()), (EventKind::PaymentSucceeded, Some("in_7")));
}

#[tokio::test]
async fn a_transaction_whose_id_is_known_is_read_itself() {
    let approved = json!({ "data": wompi_transaction("APPROVED", "") });
    let double = Double::new([Reply::json(200, approved)]).await;
    let known = AttemptRef { charge: owed(), payment: Some("1-2-3".to_owned()), ..attempt(false) };
    let answer = gateway_at(&double).look_up(&known).await;
    assert!(matches!(answer, LookUpAnswer::Found(ChargeOutcome::Approved { .. })), "{answer:?}");
    assert_eq!(double.lines(), ["GET /v1/transactions/1-2-3"]);
}

#[tokio::test]
async fn a_transaction_that_we_were_told_of_is_never_not_found() {
    let replies = [Reply::text(404, ""), Reply::json(200, json!({ "data": [] }))];
    let double = Double::new(replies).await;
    let known = AttemptRef { charge: owed(), payment: Some("1-2-3".to_owned()), ..attempt(false) };
    let answer = gateway_at(&double).look_up(&known).await;
    assert!(matches!(answer, LookUpAnswer::Unavailable { .. }), "{answer:?}");
}
