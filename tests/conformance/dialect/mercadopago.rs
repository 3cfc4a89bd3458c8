//! Mercado Pago's words.

use recoup::gateway;
use serde_json::{Value, json};

use super::{API_KEY, Dialect};
use crate::double::Reply;

pub(super) fn mercadopago() -> Dialect {
    let payment =
        |status: &str, detail: &str| Reply::json(201, payment(status, detail, "in_1-recoup-att_1"));
    let found = |status: &str, detail: &str| {
        let other = self::payment("approved", "accredited", "in_1-recoup-att_2");
        let ours = self::payment(status, detail, "in_1-recoup-att_1");
        vec![Reply::json(200, json!({ "paging": { "total": 2 }, "results": [other, ours] }))]
    };
    Dialect {
        name: "mercadopago",
        billing: false,
        payment: "1234567890",
        currency: "COP",
        decline_code: "cc_rejected_insufficient_amount",
        before_charge: vec![
            Reply::json(200, json!({ "id": 5, "site_id": "MCO" })),
            Reply::json(201, json!({ "id": "card_token_1" })),
        ],
        key_header: Some("x-idempotency-key"),
        signed_in: |seen| seen.header("authorization") == format!("Bearer {API_KEY}"),
        make: gateway::kind("mercadopago").unwrap().build,
        charge_line: "POST /v1/payments",
        approved: payment("approved", "accredited"),
        lacking: Reply::json(201, json!({ "status": "approved" })),
        declined: payment("rejected", "cc_rejected_insufficient_amount"),
        wants_action: payment("rejected", "cc_rejected_3ds_mandatory"),
        pending: payment("in_process", "pending_contingency"),
        found_approved: found("approved", "accredited"),
        found_declined: found("rejected", "cc_rejected_insufficient_amount"),
        found_pending: found("in_process", "pending_contingency"),
        not_found: vec![Reply::json(200, json!({ "paging": { "total": 0 }, "results": [] }))],
        in_progress: None,
        paid: None,
        session: Some((
            vec![Reply::json(
                200,
                json!({ "status": "authorized", "init_point": "https://subscribe.example/1" }),
            )],
            "https://subscribe.example/1",
        )),
        refunded: vec![Reply::json(201, json!({ "id": 1, "status": "approved" }))],
    }
}

pub(crate) fn payment(status: &str, detail: &str, reference: &str) -> Value {
    json!({
        "id": 1_234_567_890, "status": status, "status_detail": detail, "currency_id": "COP",
        "transaction_amount": 29, "external_reference": reference, "payment_method_id": "visa",
        "payment_type_id": "credit_card", "payer": { "id": "cus_1", "type": "customer" },
        "card": { "id": "pm_1", "last_four_digits": "4242" },
    })
}
