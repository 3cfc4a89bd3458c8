//! Wompi's words.

use recoup::gateway;
use serde_json::{Value, json};

use super::{API_KEY, Dialect};
use crate::double::Reply;

pub(super) fn wompi() -> Dialect {
    let answer =
        |status: &str, words: &str| Reply::json(201, json!({ "data": transaction(status, words) }));
    let found = |status: &str, words: &str| {
        let mut other = transaction("APPROVED", "");
        other["reference"] = json!("in_1-recoup-att_2");
        vec![Reply::json(200, json!({ "data": [other, transaction(status, words)] }))]
    };
    Dialect {
        name: "wompi",
        billing: false,
        payment: "1-2-3",
        currency: "COP",
        decline_code: "Fondos insuficientes",
        before_charge: vec![Reply::json(
            200,
            json!({ "data": { "id": 7, "status": "AVAILABLE", "customer_email": "a@b.example" } }),
        )],
        key_header: None,
        signed_in: |seen| seen.header("authorization") == format!("Bearer {API_KEY}"),
        make: gateway::kind("wompi").unwrap().build,
        charge_line: "POST /v1/transactions",
        approved: answer("APPROVED", ""),
        lacking: Reply::json(201, json!({ "data": { "status": "APPROVED" } })),
        declined: answer("DECLINED", "Fondos insuficientes"),
        wants_action: answer("DECLINED", "Requires authentication (3D Secure)"),
        pending: answer("PENDING", ""),
        found_approved: found("APPROVED", ""),
        found_declined: found("DECLINED", "Fondos insuficientes"),
        found_pending: found("PENDING", ""),
        not_found: vec![Reply::json(200, json!({ "data": [] }))],
        in_progress: None,
        paid: None,
        session: Some((
            vec![Reply::json(201, json!({ "data": { "id": "AbC123" } }))],
            "https://checkout.wompi.co/l/AbC123",
        )),
        refunded: vec![Reply::json(201, json!({ "data": { "status": "VOIDED" } }))],
    }
}

pub(crate) fn transaction(status: &str, words: &str) -> Value {
    json!({
        "id": "1-2-3", "status": status, "status_message": words, "amount_in_cents": 2900,
        "currency": "COP", "reference": "in_1-recoup-att_1", "payment_method_type": "CARD",
        "payment_source_id": 7,
        "payment_method": { "extra": { "brand": "VISA", "last_four": "4242" } },
    })
}
