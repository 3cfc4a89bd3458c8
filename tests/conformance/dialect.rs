//! What each gateway says in its own words for the situations of the suite.
//!
//! What must stay true: a dialect holds answers, never expectations.

use recoup::core::effect::{AttemptRef, ChargeOrder, ChargeOutcome, LookUpAnswer};
use recoup::core::ids::{AttemptId, GatewayId};
use recoup::core::money::Money;
use recoup::gateway::http::HttpGateway;
use recoup::gateway::stripe::Stripe;
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{Gateway, GatewaySettings};
use serde_json::{Value, json};

use crate::double::{Double, Reply};

/// The key that must never be seen in any text.
pub(crate) const API_KEY: &str = "sk_test_conformance_key";
/// When the attempt under test was first sent.
pub(crate) const SENT_AT: i64 = 1_795_200_000;

/// One gateway's words for the situations of the suite.
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    pub(crate) billing: bool,
    pub(crate) make: fn(GatewaySettings, Timeouts) -> Box<dyn Gateway>,
    /// The request that charges.
    pub(crate) charge_line: &'static str,
    pub(crate) approved: Value,
    /// Approved, and hardly anything else.
    pub(crate) lacking: Value,
    pub(crate) declined: Reply,
    pub(crate) wants_action: Reply,
    pub(crate) pending: Value,
    /// The answers to a look-up, in the order of the requests.
    pub(crate) found_approved: Vec<Reply>,
    pub(crate) found_declined: Vec<Reply>,
    pub(crate) found_pending: Vec<Reply>,
    pub(crate) not_found: Vec<Reply>,
    /// "The same key is being worked on."
    pub(crate) in_progress: Reply,
    pub(crate) paid: Value,
    pub(crate) already_paid: Vec<Reply>,
    pub(crate) session: Value,
}

fn stripe_pays_an_invoice() -> Dialect {
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
    let stripe_payment = |status: &str| replace_id(payment(status), "pi_1");
    let failed = |at: i64| failed_payment("pi_1", at);
    Dialect {
        name: "stripe, its own invoice",
        billing: true,
        make: |settings, timeouts| Box::new(Stripe::with_timeouts(settings, timeouts).unwrap()),
        charge_line: "POST /v1/invoices/in_1/pay",
        approved: invoice("paid", stripe_payment("succeeded")),
        lacking: json!({ "status": "paid" }),
        declined: Reply::json(402, card_error("card_declined", "insufficient_funds")),
        wants_action: Reply::json(
            402,
            card_error("authentication_required", "authentication_required"),
        ),
        pending: invoice("open", stripe_payment("processing")),
        found_approved: vec![Reply::json(200, invoice("paid", stripe_payment("succeeded")))],
        found_declined: vec![
            Reply::json(200, invoice("open", json!("pi_1"))),
            Reply::json(200, failed(SENT_AT + 2)),
        ],
        found_pending: vec![
            Reply::json(200, invoice("open", json!("pi_1"))),
            Reply::json(200, stripe_payment("processing")),
        ],
        not_found: vec![
            Reply::json(200, invoice("open", json!("pi_1"))),
            Reply::json(200, failed(SENT_AT - 86_400)),
        ],
        in_progress: stripe_in_progress(),
        paid: invoice("paid", Value::Null),
        already_paid: vec![
            Reply::json(400, json!({ "error": { "message": "Invoice is already paid" } })),
            Reply::json(200, invoice("paid", json!("pi_1"))),
        ],
        session: json!({ "url": "https://billing.example/session/1" }),
    }
}

fn stripe_beside_another() -> Dialect {
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
        approved: payment("succeeded"),
        lacking: json!({ "status": "succeeded" }),
        pending: payment("processing"),
        found_approved: vec![list(json!([other, payment("succeeded")]))],
        found_declined: vec![list(json!([failed]))],
        found_pending: vec![list(json!([payment("processing")]))],
        not_found: vec![list(json!([other]))],
        ..stripe_pays_an_invoice()
    }
}

fn http() -> Dialect {
    let charge = |status: &str| json!({ "id": "pi_1", "status": status });
    let approved = json!({
        "id": "pi_1", "status": "approved", "amount": 2900, "currency": "USD",
        "network_transaction_id": "nt_1",
        "payment_method": { "network": "visa", "last4": "4242", "fingerprint": "fp_1" },
    });
    let declined = json!({
        "id": "pi_1", "status": "declined",
        "decline": { "code": "insufficient_funds", "network_code": "51" },
    });
    Dialect {
        name: "http",
        billing: false,
        make: |settings, timeouts| {
            Box::new(HttpGateway::with_timeouts(settings, timeouts).unwrap())
        },
        charge_line: "POST /charges",
        approved: approved.clone(),
        lacking: json!({ "status": "approved" }),
        declined: Reply::json(200, declined.clone()),
        wants_action: Reply::json(200, charge("requires_action")),
        pending: charge("pending"),
        found_approved: vec![Reply::json(200, approved)],
        found_declined: vec![Reply::json(200, declined)],
        found_pending: vec![Reply::json(200, charge("pending"))],
        not_found: vec![Reply::json(404, json!({}))],
        in_progress: Reply::json(409, json!({ "code": "in_progress" })),
        paid: json!({}),
        already_paid: vec![Reply::json(409, json!({ "code": "already_paid" }))],
        session: json!({ "url": "https://update.example/1", "expires_at": "2026-11-20T17:00:00Z" }),
    }
}

pub(crate) fn dialects() -> Vec<Dialect> {
    vec![stripe_pays_an_invoice(), stripe_beside_another(), http()]
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

fn stripe_in_progress() -> Reply {
    let error = json!({ "type": "invalid_request_error", "code": "idempotency_key_in_use" });
    Reply::json(409, json!({ "error": error }))
}

pub(crate) fn settings(base: &str) -> GatewaySettings {
    GatewaySettings {
        id: GatewayId::from("under_test"),
        api_base: Some(base.to_owned()),
        api_key: API_KEY.into(),
        webhook_secrets: Vec::new(),
    }
}

pub(crate) fn order(billing: bool) -> ChargeOrder {
    let attempt = AttemptId::from("att_1");
    ChargeOrder {
        idempotency_key: attempt.idempotency_key(),
        attempt,
        number: 2,
        gateway: GatewayId::from("under_test"),
        token: Some("pm_1".to_owned()),
        customer: Some("cus_1".to_owned()),
        invoice: "in_1".to_owned(),
        amount: Money::new(2900, "USD".parse().unwrap()),
        billing,
        network_transaction_id: None,
    }
}

pub(crate) fn attempt(billing: bool) -> AttemptRef {
    AttemptRef {
        charge: order(billing),
        payment: None,
        first_sent_at: jiff::Timestamp::from_second(SENT_AT).unwrap(),
    }
}

impl Dialect {
    pub(crate) fn gateway(&self, base: &str) -> Box<dyn Gateway> {
        (self.make)(settings(base), Timeouts::default())
    }

    pub(crate) async fn charge(&self, reply: Reply) -> (ChargeOutcome, Double) {
        let double = Double::new([reply]).await;
        (self.gateway(&double.base).charge(&order(self.billing)).await, double)
    }

    pub(crate) async fn look_up(&self, replies: &[Reply]) -> LookUpAnswer {
        let double = Double::new(replies.to_vec()).await;
        let answer = self.gateway(&double.base).look_up(&attempt(self.billing)).await;
        assert!(double.seen().iter().all(|r| r.method == "GET"), "{}: it only reads", self.name);
        assert!(!double.seen().is_empty());
        answer
    }
}
