//! Checkout.com's words.

use recoup::gateway;
use serde_json::{Value, json};

use super::{API_KEY, Dialect};
use crate::double::Reply;

pub(super) fn checkout() -> Dialect {
    let payment = |status: &str, approved: bool| {
        json!({
            "id": "pay_1", "status": status, "approved": approved, "amount": 2900,
            "currency": "USD", "reference": "in_1-recoup-att_1", "scheme_id": "489341065491658",
            "source": {
                "id": "src_other", "type": "card", "scheme": "VISA", "last4": "4242",
                "expiry_month": 6, "expiry_year": 2030, "fingerprint": "F1",
                "card_type": "Debit", "issuer_country": "CO",
            },
        })
    };
    let mut declined = payment("Declined", false);
    declined["response_code"] = json!("20051");
    declined["response_summary"] = json!("Insufficient Funds");
    let pending = || json!({ "id": "pay_1", "status": "Pending" });
    let mut redirect = pending();
    redirect["_links"] = json!({ "redirect": { "href": "https://3ds.example/1" } });
    let refusal = json!([
        { "type": "Capture", "response_code": "10000" },
        { "type": "Authorization", "response_code": "20051", "approved": false },
    ]);
    Dialect {
        name: "checkout",
        billing: false,
        payment: "pay_1",
        currency: "USD",
        decline_code: "20051",
        before_charge: Vec::new(),
        key_header: Some("cko-idempotency-key"),
        signed_in: |seen| seen.header("authorization") == format!("Bearer {API_KEY}"),
        make: gateway::kind("checkout").unwrap().build,
        charge_line: "POST /payments",
        approved: Reply::json(201, payment("Authorized", true)),
        lacking: Reply::json(201, json!({ "approved": true, "status": "Authorized" })),
        declined: Reply::json(201, declined),
        wants_action: Reply::json(202, redirect),
        pending: Reply::json(202, pending()),
        found_approved: vec![list(&["pay_1"]), Reply::json(200, payment("Captured", true))],
        found_declined: vec![
            list(&["pay_1"]),
            Reply::json(200, payment("Declined", false)),
            Reply::json(200, refusal),
        ],
        found_pending: vec![list(&["pay_1"]), Reply::json(200, pending())],
        not_found: vec![list(&[])],
        in_progress: None,
        paid: None,
        session: Some((
            vec![
                Reply::json(200, json!({ "instruments": [{ "issuer_country": "CO" }] })),
                Reply::json(
                    201,
                    json!({ "_links": { "redirect": { "href": "https://link.example/1" } } }),
                ),
            ],
            "https://link.example/1",
        )),
        refunded: vec![Reply::json(202, json!({ "action_id": "act_1" }))],
    }
}

/// The payments of the attempt's reference.
pub(crate) fn list(ids: &[&str]) -> Reply {
    let item = |id: &&str| json!({ "id": id, "reference": "in_1-recoup-att_1" });
    let data: Vec<Value> = ids.iter().map(item).collect();
    Reply::json(200, json!({ "limit": 100, "skip": 0, "total_count": ids.len(), "data": data }))
}
