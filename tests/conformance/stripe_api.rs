//! Stripe's own ways: the requests it is sent, and the answers that only it gives.
//!
//! What must stay true: each request is what Stripe's reference documents, form-encoded, with the
//! pinned version; shapes of before and after 2025-03-31 are both read.

use recoup::core::decline::Category;
use recoup::core::effect::{ChargeOutcome, LookUpAnswer};
use recoup::core::money::Money;
use recoup::gateway::Gateway;
use recoup::gateway::stripe::{API_VERSION, Stripe};
use recoup::gateway::wire::Timeouts;
use serde_json::{Value, json};

use crate::dialect::{SENT_AT, attempt, card_error, failed_payment, order, settings};
use crate::double::{Double, Reply};

pub(crate) fn gateway(double: &Double) -> Stripe {
    Stripe::new(settings(&double.base), Timeouts::default()).unwrap()
}

pub(crate) fn invalid(code: &str, message: &str) -> Value {
    json!({ "error": { "type": "invalid_request_error", "code": code, "message": message } })
}

pub(crate) fn open_invoice() -> Value {
    json!({
        "id": "in_1", "object": "invoice", "status": "open", "currency": "usd",
        "customer": "cus_1", "customer_email": "ana@example.com", "customer_name": "Ana",
        "amount_due": 2900, "amount_paid": 0, "amount_remaining": 2900, "attempt_count": 2,
        "next_payment_attempt": SENT_AT + 86_400,
        "parent": { "subscription_details": { "subscription": "sub_1" } },
        "hosted_invoice_url": "https://invoice.example/in_1",
        "payments": { "data": [
            { "status": "open", "is_default": true,
              "payment": { "type": "payment_intent", "payment_intent": "pi_1" } },
        ] },
    })
}

pub(crate) fn paid_off_stripe() -> Value {
    json!({
        "id": "in_1", "status": "paid", "currency": "usd", "amount_due": 2900, "amount_paid": 2900,
        "payments": { "data": [] },
    })
}

async fn charge(billing: bool, replies: Vec<Reply>) -> (ChargeOutcome, Double) {
    let double = Double::new(replies).await;
    let outcome = gateway(&double).charge(&order(billing)).await;
    (outcome, double)
}

#[tokio::test]
async fn paying_an_invoice_is_the_documented_request() {
    let (_, double) = charge(true, vec![Reply::json(200, json!({ "status": "paid" }))]).await;
    let seen = &double.seen()[0];
    assert_eq!(seen.header("stripe-version"), API_VERSION);
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert!(seen.has("off_session", "true"));
    assert!(seen.has("payment_method", "pm_1"));
    assert!(!seen.form().iter().any(|(name, _)| name == "amount"), "the invoice knows it");

    let double = Double::new([Reply::json(200, json!({ "status": "paid" }))]).await;
    let mut default = order(true);
    default.token = None;
    gateway(&double).charge(&default).await;
    assert!(!double.seen()[0].form().iter().any(|(name, _)| name == "payment_method"));
}

#[tokio::test]
async fn charging_beside_another_gateway_carries_our_attempt() {
    let (_, double) = charge(false, vec![Reply::json(200, json!({ "status": "succeeded" }))]).await;
    let seen = &double.seen()[0];
    for (name, value) in [
        ("amount", "2900"),
        ("currency", "usd"),
        ("customer", "cus_1"),
        ("payment_method", "pm_1"),
        ("confirm", "true"),
        ("off_session", "true"),
        ("error_on_requires_action", "true"),
        ("metadata[recoup_attempt]", "att_1"),
        ("metadata[recoup_invoice]", "in_1"),
    ] {
        assert!(seen.has(name, value), "{name}={value} in {:?}", seen.form());
    }
}

#[tokio::test]
async fn amounts_are_in_stripe_s_own_units() {
    for (minor, currency, sent) in [(2900, "JPY", "2900"), (29, "UGX", "2900"), (5, "KWD", "5")] {
        let double = Double::new([Reply::json(200, json!({ "status": "succeeded" }))]).await;
        let mut order = order(false);
        order.amount = Money::new(minor, currency.parse().unwrap());
        gateway(&double).charge(&order).await;
        assert!(double.seen()[0].has("amount", sent), "{currency}");
    }
}

#[tokio::test]
async fn an_invoice_that_is_no_longer_open_is_closed_and_not_refused() {
    for (code, message) in [
        ("", "Invoice is already paid"),
        ("invoice_already_paid", "something new"),
        ("", "This invoice is void and cannot be paid"),
    ] {
        let replies = vec![Reply::json(400, invalid(code, message))];
        let (outcome, double) = charge(true, replies).await;
        assert_eq!(outcome, ChargeOutcome::InvoiceClosed, "{message}");
        assert_eq!(double.seen().len(), 1);
    }
    for (status, closed) in [("paid", true), ("void", true), ("open", false), ("draft", false)] {
        let refused = Reply::json(400, invalid("", "In words that nobody has seen yet"));
        let read = Reply::json(200, json!({ "status": status }));
        let (outcome, _) = charge(true, vec![refused, read]).await;
        assert_eq!(outcome == ChargeOutcome::InvoiceClosed, closed, "{status}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_key_with_other_parameters_is_unknown_since_it_was_executed_before() {
    let error = json!({ "error": { "type": "idempotency_error", "message": "Keys for …" } });
    for billing in [true, false] {
        let (outcome, _) = charge(billing, vec![Reply::json(400, error.clone())]).await;
        assert!(matches!(outcome, ChargeOutcome::Unknown { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_refusal_says_what_stripe_said_and_its_request_id() {
    let reply = Reply::json(404, invalid("resource_missing", "No such invoice: 'in_1'"))
        .with("request-id", "req_42");
    let (outcome, _) = charge(true, vec![reply]).await;
    let ChargeOutcome::Refused { why } = outcome else { panic!("{outcome:?}") };
    for part in ["resource_missing", "No such invoice", "req_42", "404"] {
        assert!(why.contains(part), "{part} in {why}");
    }
}

#[tokio::test]
async fn the_older_shape_of_an_invoice_is_read_too() {
    let old = json!({
        "id": "in_1", "paid": true, "status": "paid", "currency": "usd", "amount_paid": 2900,
        "payment_intent": "pi_7", "charge": "ch_7",
    });
    let (outcome, _) = charge(true, vec![Reply::json(200, old)]).await;
    let ChargeOutcome::Approved { payment, amount, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(payment, "pi_7");
    assert_eq!(amount, Some(order(true).amount));
}

#[tokio::test]
async fn an_open_invoice_whose_payment_failed_is_a_decline_even_with_status_200() {
    let mut invoice = open_invoice();
    invoice["payments"]["data"][0]["payment"]["payment_intent"] = failed_payment("pi_1", SENT_AT);
    let (outcome, _) = charge(true, vec![Reply::json(200, invoice)]).await;
    assert!(matches!(outcome, ChargeOutcome::Declined { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_failure_of_before_the_attempt_is_not_the_attempt_s() {
    for (at, found) in [(SENT_AT - 6, false), (SENT_AT - 5, true), (SENT_AT + 60, true)] {
        let replies =
            [Reply::json(200, open_invoice()), Reply::json(200, failed_payment("pi_1", at))];
        let double = Double::new(replies).await;
        let answer = gateway(&double).look_up(&attempt(true)).await;
        assert_eq!(matches!(answer, LookUpAnswer::Found(_)), found, "{at}: {answer:?}");
    }
}

#[tokio::test]
async fn an_invoice_marked_as_paid_elsewhere_is_no_approval() {
    let double = Double::new([Reply::json(200, paid_off_stripe())]).await;
    let answer = gateway(&double).look_up(&attempt(true)).await;
    assert_eq!(answer, LookUpAnswer::NotFound);
}

#[tokio::test]
async fn payments_that_the_invoice_does_not_list_are_asked_for() {
    let mut invoice = open_invoice();
    invoice.as_object_mut().unwrap().remove("payments");
    let list = json!({ "data": [{
        "status": "open", "payment": { "type": "payment_intent", "payment_intent": "pi_1" },
    }] });
    let replies = [
        Reply::json(200, invoice),
        Reply::json(200, list),
        Reply::json(200, failed_payment("pi_1", SENT_AT + 1)),
    ];
    let double = Double::new(replies).await;
    let answer = gateway(&double).look_up(&attempt(true)).await;
    assert!(matches!(answer, LookUpAnswer::Found(ChargeOutcome::Declined { .. })), "{answer:?}");
    let lines = double.lines();
    assert_eq!(lines[1], "GET /v1/invoice_payments");
    assert!(double.seen()[1].has("invoice", "in_1"));
}

#[tokio::test]
async fn a_search_follows_its_pages_and_gives_up_aloud() {
    let page = |id: &str, more: bool| {
        let payment = json!({ "id": id, "status": "succeeded", "metadata": {} });
        Reply::json(200, json!({ "data": [payment], "has_more": more }))
    };
    let double = Double::new([page("pi_a", true), page("pi_b", false)]).await;
    assert_eq!(gateway(&double).look_up(&attempt(false)).await, LookUpAnswer::NotFound);
    let seen = double.seen();
    assert!(seen[0].has("created[gte]", &(SENT_AT - 300).to_string()));
    assert!(seen[0].has("customer", "cus_1"));
    assert!(seen[1].has("starting_after", "pi_a"));
    let double = Double::new(vec![page("pi_a", true); 5]).await;
    let answer = gateway(&double).look_up(&attempt(false)).await;
    assert!(matches!(answer, LookUpAnswer::Unavailable { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_network_s_decline_keeps_the_payment_s_id_of_either_kind() {
    let mut error = card_error("card_declined", "do_not_honor");
    error["error"].as_object_mut().unwrap().remove("payment_intent");
    error["error"]["charge"] = json!("ch_5");
    let (outcome, _) = charge(true, vec![Reply::json(402, error)]).await;
    let ChargeOutcome::Declined { payment, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(payment.as_deref(), Some("ch_5"));
}

#[tokio::test]
async fn the_bank_s_own_words_are_taken_from_the_expanded_charge() {
    let mut payment = failed_payment("pi_1", SENT_AT);
    payment["last_payment_error"] =
        json!({ "type": "card_error", "code": "card_declined", "charge": "ch_1" });
    payment["latest_charge"] = json!({
        "id": "ch_1", "created": SENT_AT, "failure_code": "card_declined",
        "outcome": { "network_decline_code": "51", "reason": "do_not_honor" },
    });
    let double = Double::new([Reply::json(200, open_invoice()), Reply::json(200, payment)]).await;
    let answer = gateway(&double).look_up(&attempt(true)).await;
    let LookUpAnswer::Found(ChargeOutcome::Declined { decline, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(decline.network_code.as_deref(), Some("51"));
    assert_eq!(decline.code.as_deref(), Some("do_not_honor"));
}

/// Bodies that are not part of this repository are read where they are present.
#[tokio::test]
async fn refusals_of_every_kind_are_declines_with_a_category() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/stripe");
    let Ok(files) = std::fs::read_dir(folder) else { return };
    let mut read = 0;
    for path in files.map(|file| file.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(code) = name.strip_prefix("derived.error402.") else { continue };
        let body = std::fs::read_to_string(&path).unwrap();
        let (outcome, _) = charge(true, vec![Reply::text(402, body)]).await;
        let ChargeOutcome::Declined { payment, decline, .. } = outcome else {
            panic!("{name}: {outcome:?}")
        };
        assert_eq!(decline.code.as_deref(), code.strip_suffix(".json"), "{name}");
        assert_ne!(decline.category, Category::Unknown, "{name}");
        assert!(payment.is_some(), "{name}");
        read += 1;
    }
    assert!(read > 0, "the folder is there, so it has refusals");
}
