//! Adyen's words: HTTP 200 for every payment, and `resultCode` for what it was.

use recoup::gateway;
use serde_json::{Value, json};

use super::{API_KEY, Dialect};
use crate::double::Reply;

pub(super) fn adyen() -> Dialect {
    let payment = |result: &str| json!({ "pspReference": "PSP1", "resultCode": result });
    let with = |result: &str, more: Value| {
        let mut payment = payment(result);
        more.as_object().unwrap().iter().for_each(|(name, value)| {
            payment[name] = value.clone();
        });
        Reply::json(200, payment)
    };
    Dialect {
        name: "adyen",
        billing: false,
        payment: "PSP1",
        currency: "EUR",
        decline_code: "12",
        before_charge: Vec::new(),
        key_header: Some("idempotency-key"),
        signed_in: |seen| seen.header("x-api-key") == API_KEY,
        make: gateway::kind("adyen").unwrap().build,
        charge_line: "POST /v72/payments",
        approved: with(
            "Authorised",
            json!({
                "amount": { "currency": "EUR", "value": 2900 }, "merchantReference": "in_1",
                "paymentMethod": { "brand": "visa", "type": "scheme" },
                "additionalData": { "cardSummary": "4242", "networkTxReference": "nt_1" },
            }),
        ),
        lacking: Reply::json(200, json!({ "resultCode": "Authorised" })),
        declined: with(
            "Refused",
            json!({
                "refusalReason": "Not enough balance", "refusalReasonCode": "12",
                "additionalData": { "refusalReasonRaw": "51 : Insufficient funds" },
            }),
        ),
        wants_action: with("RedirectShopper", json!({ "action": { "type": "redirect" } })),
        pending: with("Pending", json!({})),
        found_approved: Vec::new(),
        found_declined: Vec::new(),
        found_pending: Vec::new(),
        not_found: Vec::new(),
        in_progress: Some(
            Reply::json(
                422,
                json!({
                    "status": 422, "errorCode": "704", "errorType": "validation",
                    "message": "request already processed or in progress",
                }),
            )
            .with("transient-error", "true"),
        ),
        paid: None,
        session: Some((
            vec![Reply::json(
                201,
                json!({ "id": "PL1", "status": "active", "url": "https://pay.example/PL1" }),
            )],
            "https://pay.example/PL1",
        )),
        refunded: vec![Reply::json(
            201,
            json!({ "pspReference": "PSP2", "paymentPspReference": "PSP1", "status": "received" }),
        )],
    }
}
