//! Stripe's events that only point at what happened, completed.
//!
//! What must stay true: what the event told itself stays; a completed event asks for nothing more.

use recoup::core::decline::Category;
use recoup::core::event::{Event, EventKind, NeedsFetch};
use recoup::gateway::Gateway;
use serde_json::json;

use crate::dialect::{SENT_AT, failed_payment, order};
use crate::double::{Double, Reply};
use crate::stripe_api::{gateway, invalid, open_invoice};

fn pointer(kind: EventKind, object: &str, id: &str) -> Event {
    let mut event = Event::new("evt_1", kind);
    event.needs_fetch = Some(NeedsFetch { object: object.to_owned(), id: id.to_owned() });
    event
}

#[tokio::test]
async fn a_failed_invoice_gets_its_decline_card_and_contact() {
    let mut payment = failed_payment("pi_1", SENT_AT);
    payment["last_payment_error"]["payment_method"] = json!({
        "id": "pm_1", "object": "payment_method", "type": "card",
        "card": { "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2030 },
    });
    let customer = json!({ "id": "cus_1", "preferred_locales": ["es-CO"], "phone": "+570" });
    let replies =
        [Reply::json(200, open_invoice()), Reply::json(200, payment), Reply::json(200, customer)];
    let double = Double::new(replies).await;
    let mut event = pointer(EventKind::PaymentFailed, "invoice", "in_1");
    event.attempt_count = Some(7);
    let event = gateway(&double).complete(event).await.unwrap();
    assert_eq!(event.needs_fetch, None);
    assert_eq!(event.attempt_count, Some(7), "what the event told itself stays");
    assert_eq!(event.amount, Some(order(true).amount));
    assert_eq!(event.payment.as_deref(), Some("pi_1"));
    assert_eq!(event.customer.as_deref(), Some("cus_1"));
    assert_eq!(event.subscription.as_deref(), Some("sub_1"));
    assert_eq!(event.next_native_attempt_at.map(|at| at.as_second()), Some(SENT_AT + 86_400));
    assert_eq!(event.contact.email.as_deref(), Some("ana@example.com"));
    assert_eq!(event.contact.locale.as_deref(), Some("es-CO"));
    let decline = event.decline.unwrap();
    assert_eq!(decline.category, Category::InsufficientFunds);
    let method = event.payment_method.unwrap();
    assert_eq!((method.token.as_deref(), method.last4.as_deref()), (Some("pm_1"), Some("4242")));
}

#[tokio::test]
async fn a_payment_is_traced_to_its_invoice() {
    let link = json!({ "data": [{ "invoice": "in_1" }] });
    let forbidden = || Reply::json(403, invalid("", "no right to read customers"));
    let replies = [
        Reply::json(200, json!({ "id": "ch_1", "object": "charge", "payment_intent": "pi_1" })),
        Reply::json(200, failed_payment("pi_1", SENT_AT)),
        Reply::json(200, link),
        Reply::json(200, open_invoice()),
        forbidden(),
    ];
    let double = Double::new(replies).await;
    let event = pointer(EventKind::PaymentFailed, "invoice_payment", "ch_1");
    let event = gateway(&double).complete(event).await.unwrap();
    assert_eq!(event.invoice.as_deref(), Some("in_1"));
    assert_eq!(event.payment.as_deref(), Some("pi_1"));
    assert_eq!(event.amount, Some(order(true).amount));
    assert_eq!(event.decline.map(|d| d.category), Some(Category::InsufficientFunds));
    assert_eq!(double.seen().len(), 5, "nothing is read twice");
    let lookup = &double.seen()[2];
    assert_eq!(lookup.line(), "GET /v1/invoice_payments");
    assert!(lookup.has("payment[type]", "payment_intent"));
    assert!(lookup.has("payment[payment_intent]", "pi_1"));
}

#[tokio::test]
async fn our_own_payment_is_known_by_its_key_and_a_payment_without_invoice_stays_so() {
    let mut ours = failed_payment("pi_1", SENT_AT);
    ours["metadata"] = json!({ "recoup_attempt": "att_1", "recoup_invoice": "in_other" });
    let double = Double::new([Reply::json(200, ours)]).await;
    let event = pointer(EventKind::PaymentSucceeded, "invoice_payment", "pi_1");
    let event = gateway(&double).complete(event).await.unwrap();
    assert_eq!(event.idempotency_key.as_deref(), Some("recoup-att_1"));
    assert_eq!(event.invoice.as_deref(), Some("in_other"));
    assert_eq!(event.decline, None, "a success has no decline");

    let replies = [
        Reply::json(200, json!({ "id": "pi_1", "status": "succeeded" })),
        Reply::json(200, json!({ "data": [] })),
    ];
    let double = Double::new(replies).await;
    let event = pointer(EventKind::PaymentSucceeded, "invoice_payment", "pi_1");
    let event = gateway(&double).complete(event).await.unwrap();
    assert_eq!((event.invoice, event.needs_fetch), (None, None));
}

#[tokio::test]
async fn a_pointer_that_cannot_be_followed_says_whether_to_ask_again() {
    for (reply, transient) in [
        (Reply::json(404, invalid("resource_missing", "No such invoice")), false),
        (Reply::text(500, ""), true),
        (Reply::text(429, "{}"), true),
        (Reply::text(400, "{}").with("stripe-should-retry", "true"), true),
        (Reply::text(500, "{}").with("stripe-should-retry", "false"), true),
        (Reply::text(200, "not json"), true),
        (Reply::Drop, true),
    ] {
        let double = Double::new([reply.clone()]).await;
        let event = pointer(EventKind::PaymentFailed, "invoice", "in_1");
        let error = gateway(&double).complete(event).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{reply:?}: {error}");
    }
}

#[tokio::test]
async fn a_thin_event_leads_to_what_it_is_about() {
    let subscription = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1" });
    let double = Double::new([Reply::json(200, subscription)]).await;
    let event = pointer(EventKind::SubscriptionUpdated, "customer.subscription", "sub_1");
    let event = gateway(&double).complete(event).await.unwrap();
    assert_eq!(double.lines(), ["GET /v1/subscriptions/sub_1"]);
    assert_eq!(event.subscription.as_deref(), Some("sub_1"));
    assert_eq!(event.customer.as_deref(), Some("cus_1"));
}
