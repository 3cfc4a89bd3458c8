//! Stripe's words: as the billing gateway, and beside another one.

use recoup::gateway;
use serde_json::{Value, json};

use super::{API_KEY, Dialect, SENT_AT};
use crate::double::Reply;

pub(super) fn pays_an_invoice() -> Dialect {
    let invoice = |status: &str, payment: Value| {
        let paid = if status == "paid" { 2900 } else { 0 };
        let item = json!({
            "status": if status == "paid" { "paid" } else { "open" }, "is_default": true,
            "payment": { "type": "payment_intent", "payment_intent": payment },
        });
        json!({
            "id": "in_1", "object": "invoice", "status": status, "currency": "usd",
            "amount_due": 2900, "amount_paid": paid, "amount_remaining": 2900 - paid,
            "payments": { "object": "list", "data": [item] },
        })
    };
    let payment = |status: &str| {
        json!({
            "id": "pay_1", "object": "payment_intent", "status": status, "currency": "usd",
            "amount": 2900, "amount_received": 0, "payment_method": "pm_1",
        })
    };
    let as_payment = |status: &str| replace_id(payment(status), "pi_1");
    let failed = |at: i64| failed_payment("pi_1", at);
    Dialect {
        name: "stripe, its own invoice",
        billing: true,
        payment: "pi_1",
        currency: "USD",
        decline_code: "insufficient_funds",
        before_charge: Vec::new(),
        key_header: Some("idempotency-key"),
        signed_in: |seen| seen.header("authorization") == format!("Bearer {API_KEY}"),
        make: gateway::kind("stripe").unwrap().build,
        charge_line: "POST /v1/invoices/in_1/pay",
        approved: Reply::json(200, invoice("paid", as_payment("succeeded"))),
        lacking: Reply::json(200, json!({ "status": "paid" })),
        declined: Reply::json(402, card_error("card_declined", "insufficient_funds")),
        wants_action: Reply::json(
            402,
            card_error("authentication_required", "authentication_required"),
        ),
        pending: Reply::json(200, invoice("open", as_payment("processing"))),
        found_approved: vec![Reply::json(200, invoice("paid", as_payment("succeeded")))],
        found_declined: vec![
            Reply::json(200, invoice("open", json!("pi_1"))),
            Reply::json(200, failed(SENT_AT + 2)),
        ],
        found_pending: vec![
            Reply::json(200, invoice("open", json!("pi_1"))),
            Reply::json(200, as_payment("processing")),
        ],
        not_found: vec![
            Reply::json(200, invoice("open", json!("pi_1"))),
            Reply::json(200, failed(SENT_AT - 86_400)),
        ],
        in_progress: Some(in_progress()),
        paid: Some((
            vec![Reply::json(200, invoice("paid", Value::Null))],
            vec![
                Reply::json(400, json!({ "error": { "message": "Invoice is already paid" } })),
                Reply::json(200, invoice("paid", json!("pi_1"))),
            ],
        )),
        session: Some((
            vec![Reply::json(200, json!({ "url": "https://billing.example/1" }))],
            "https://billing.example/1",
        )),
        refunded: vec![Reply::json(200, json!({ "status": "succeeded" }))],
    }
}

pub(super) fn beside_another() -> Dialect {
    let payment = |status: &str| {
        json!({
            "id": "pi_1", "object": "payment_intent", "status": status, "currency": "usd",
            "amount": 2900, "amount_received": 2900, "payment_method": "pm_1",
            "metadata": { "recoup_attempt": "att_1" },
        })
    };
    let mut failed = failed_payment("pi_1", SENT_AT + 2);
    failed["metadata"] = json!({ "recoup_attempt": "att_1" });
    let list = |items: Value| Reply::json(200, json!({ "data": items, "has_more": false }));
    let other = json!({ "id": "pi_9", "status": "succeeded", "metadata": {} });
    Dialect {
        name: "stripe, beside another billing gateway",
        billing: false,
        charge_line: "POST /v1/payment_intents",
        approved: Reply::json(200, payment("succeeded")),
        lacking: Reply::json(200, json!({ "status": "succeeded" })),
        pending: Reply::json(200, payment("processing")),
        found_approved: vec![list(json!([other, payment("succeeded")]))],
        found_declined: vec![list(json!([failed]))],
        found_pending: vec![list(json!([payment("processing")]))],
        not_found: vec![list(json!([other]))],
        ..pays_an_invoice()
    }
}

fn replace_id(mut object: Value, id: &str) -> Value {
    object["id"] = json!(id);
    object
}

pub(crate) fn card_error(code: &str, decline_code: &str) -> Value {
    json!({ "error": {
        "type": "card_error", "code": code, "decline_code": decline_code,
        "message": "Your card was declined.", "payment_intent": { "id": "pi_1" },
    } })
}

pub(crate) fn failed_payment(id: &str, at: i64) -> Value {
    json!({
        "id": id, "object": "payment_intent", "status": "requires_payment_method",
        "currency": "usd", "amount": 2900, "created": SENT_AT - 86_400, "customer": "cus_1",
        "last_payment_error": {
            "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        },
        "latest_charge": { "id": "ch_1", "object": "charge", "created": at },
    })
}

fn in_progress() -> Reply {
    let error = json!({ "type": "invalid_request_error", "code": "idempotency_key_in_use" });
    Reply::json(409, json!({ "error": error }))
}
