//! What Stripe knows and we may have missed, over a double of its lists.

use jiff::Timestamp;
use recoup::core::event::EventKind;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{self, Gateway, WebhookRequest};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::dialect::{SENT_AT, settings};
use crate::double::{Double, Reply};

fn gateway(base: &str) -> Arc<dyn Gateway> {
    (gateway::kind("stripe").unwrap().build)(settings(base), Timeouts::default()).unwrap()
}

fn list(items: Value, has_more: bool) -> Reply {
    Reply::json(200, json!({ "object": "list", "data": items, "has_more": has_more }))
}

fn event(id: &str, at: i64) -> Value {
    json!({
        "id": id, "object": "event", "type": "invoice.paid", "created": at, "livemode": false,
        "data": { "object": { "id": "in_1", "object": "invoice", "amount_paid": 2900 } },
    })
}

fn invoice(id: &str, attempts: u32) -> Value {
    json!({
        "id": id, "object": "invoice", "status": "open", "currency": "usd", "created": SENT_AT,
        "amount_remaining": 2900, "attempt_count": attempts, "next_payment_attempt": null,
        "customer": "cus_1", "livemode": false,
    })
}

fn since() -> Timestamp {
    Timestamp::from_second(SENT_AT).unwrap()
}

#[tokio::test]
async fn every_page_of_events_and_the_open_invoices_are_told_oldest_first() {
    let double = Double::new([
        list(json!([event("evt_3", SENT_AT + 3), event("evt_2", SENT_AT + 2)]), true),
        list(json!([event("evt_1", SENT_AT + 1)]), false),
        list(json!([invoice("in_8", 0), invoice("in_7", 2)]), false),
    ])
    .await;
    let gateway = gateway(&double.base);
    let known = gateway.known_since(since()).await.unwrap();
    let ids: Vec<&str> = known.iter().map(|k| k.id.as_str()).collect();
    assert_eq!(ids, ["evt_1", "evt_2", "evt_3", "recoup-gap-in_7-2"]);
    assert_eq!(known.iter().map(|k| k.by_case).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(known[0].what, "invoice.paid of in_1");
    assert_eq!(known[0].invoice.as_deref(), Some("in_1"));
    let seen = double.seen();
    assert_eq!(double.lines(), ["GET /v1/events", "GET /v1/events", "GET /v1/invoices"]);
    let from = SENT_AT.to_string();
    assert!(seen.iter().all(|s| s.has("created[gte]", &from) && s.has("limit", "100")));
    assert!(
        seen[0].has("types[]", "invoice.payment_failed") && seen[1].has("starting_after", "evt_2")
    );
    let types = gateway.profile().events;
    let asked = seen[0].query.iter().filter(|(name, _)| name == "types[]").count();
    assert_eq!(asked, types.len(), "Stripe takes twenty at most in one call");
    assert!(seen[2].has("status", "open"));
    assert!(seen[2].has("collection_method", "charge_automatically"));
}

#[tokio::test]
async fn what_is_told_is_read_as_a_webhook_would_be() {
    let replies = [list(json!([]), false), list(json!([invoice("in_7", 2)]), false)];
    let double = Double::new(replies).await;
    let gateway = gateway(&double.base);
    let known = gateway.known_since(since()).await.unwrap();
    let request = WebhookRequest { body: &known[0].body, headers: &[], url: None, now: since() };
    let event = gateway.parse(&request).unwrap().remove(0);
    assert_eq!((event.id.as_str(), event.kind), ("recoup-gap-in_7-2", EventKind::PaymentFailed));
    assert_eq!((event.invoice.as_deref(), event.attempt_count), (Some("in_7"), Some(2)));
    assert_eq!(event.amount.unwrap().to_string(), "29.00 USD");
    assert_eq!(event.needs_fetch.unwrap().object, "invoice");
}

#[tokio::test]
async fn a_list_that_is_broken_or_endless_is_an_error() {
    for broken in [Reply::text(500, ""), Reply::text(200, "{}"), Reply::Drop] {
        let double = Double::new([broken.clone()]).await;
        let error = gateway(&double.base).known_since(since()).await.unwrap_err();
        assert!(error.is_transient(), "{broken:?}: {error}");
    }
    let page = |n: i64| list(json!([event(&format!("evt_{n}"), SENT_AT)]), true);
    let double = Double::new((0..200).map(page)).await;
    let error = gateway(&double.base).known_since(since()).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(double.seen().len(), 100);
}

#[tokio::test]
async fn the_key_is_tried_by_a_harmless_read() {
    let double = Double::new([
        Reply::json(200, json!({ "id": "acct_1" })),
        Reply::json(403, json!({ "error": { "message": "no right" } })),
        list(json!([]), false),
        Reply::json(401, json!({ "error": { "message": "Invalid API Key: sk_test_made_up" } })),
        Reply::json(401, json!({ "error": { "message": "Invalid API Key: sk_test_made_up" } })),
        Reply::text(503, ""),
    ])
    .await;
    let gateway = gateway(&double.base);
    assert!(gateway.check_access().await.unwrap().contains("acct_1"));
    assert!(gateway.check_access().await.unwrap().contains("list of events"));
    let refused = gateway.check_access().await.unwrap_err();
    assert!(!refused.is_transient() && !refused.to_string().contains("made_up"), "{refused}");
    assert!(gateway.check_access().await.unwrap_err().is_transient());
    assert!(double.seen().iter().all(|seen| seen.method == "GET"));
}

#[tokio::test]
async fn an_event_of_the_other_mode_is_kept_and_nothing_follows() {
    let mut live = event("evt_1", SENT_AT);
    live["livemode"] = json!(true);
    for (body, kind) in
        [(event("evt_1", SENT_AT), EventKind::PaymentSucceeded), (live, EventKind::Other)]
    {
        let body = body.to_string();
        let request =
            WebhookRequest { body: body.as_bytes(), headers: &[], url: None, now: since() };
        let event = gateway("http://127.0.0.1:1").parse(&request).unwrap().remove(0);
        assert_eq!((event.id.as_str(), event.kind), ("evt_1", kind));
    }
}
