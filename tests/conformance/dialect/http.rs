//! The words of the `http` protocol.

use recoup::gateway;
use serde_json::json;

use super::{API_KEY, Dialect};
use crate::double::Reply;

pub(super) fn http() -> Dialect {
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
        payment: "pi_1",
        currency: "USD",
        decline_code: "insufficient_funds",
        before_charge: Vec::new(),
        key_header: Some("idempotency-key"),
        signed_in: |seen| seen.header("authorization") == format!("Bearer {API_KEY}"),
        make: gateway::kind("http").unwrap().build,
        charge_line: "POST /charges",
        approved: Reply::json(200, approved.clone()),
        lacking: Reply::json(200, json!({ "status": "approved" })),
        declined: Reply::json(200, declined.clone()),
        wants_action: Reply::json(200, charge("requires_action")),
        pending: Reply::json(200, charge("pending")),
        found_approved: vec![Reply::json(200, approved)],
        found_declined: vec![Reply::json(200, declined)],
        found_pending: vec![Reply::json(200, charge("pending"))],
        not_found: vec![Reply::json(404, json!({}))],
        in_progress: Some(Reply::json(409, json!({ "code": "in_progress" }))),
        paid: Some((
            vec![Reply::json(200, json!({}))],
            vec![Reply::json(409, json!({ "code": "already_paid" }))],
        )),
        session: Some((
            vec![Reply::json(200, json!({ "url": "https://update.example/1" }))],
            "https://update.example/1",
        )),
        refunded: vec![Reply::json(200, json!({ "status": "succeeded" }))],
    }
}
