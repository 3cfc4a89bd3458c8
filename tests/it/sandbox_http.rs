//! The sandbox's `http` gateway and its control endpoints, over real HTTP.
//!
//! Why here: the protocol is what merchants implement themselves; this is its reference.
//!
//! What must stay true: a key has one effect, and `GET /charges?idempotency_key=` tells it.

use base64::Engine as _;
use recoup::clock::Clock;
use recoup::sandbox::{
    Answer, Fault, Kind, NewHttpCustomer, NewHttpInvoice, Sandbox, SandboxOptions, Step, Target,
};
use serde_json::{Value, json};

use crate::receiver::{Receiver, hmac};

struct Api {
    sandbox: Sandbox,
    client: reqwest::Client,
}

impl Api {
    async fn start(webhook_url: Option<String>) -> Self {
        let clock = Clock::test("2026-11-01T09:00:00Z".parse().unwrap());
        let options = SandboxOptions { clock, webhook_url, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        Self { sandbox, client: recoup::sandbox::deliver::client().unwrap() }
    }

    fn call(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sandbox.api_base(Kind::Http));
        let request = self.client.request(method.parse().unwrap(), url);
        request.bearer_auth(&self.sandbox.secrets().http_api_key)
    }

    async fn charge(&self, key: &str, token: &str, amount: i64) -> (u16, Value) {
        let body = json!({ "amount": amount, "currency": "USD", "payment_method": token,
            "customer": "c_1", "invoice": "in_1", "attempt": 2, "off_session": true });
        read(self.call("POST", "/charges").header("idempotency-key", key).json(&body)).await
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}/_sandbox{path}", self.sandbox.address());
        let request = self.client.request(method.parse().unwrap(), url);
        read(if method == "GET" { request } else { request.json(&body) }).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_charge_is_made_once_for_each_key() {
    let api = Api::start(None).await;
    assert_eq!(api.call("GET", "/charges?idempotency_key=k").send().await.unwrap().status(), 404);
    let first = api.charge("k", "tok_visa", 2900).await;
    assert_eq!((first.0, first.1["status"].as_str()), (200, Some("approved")));
    assert_eq!(first.1["payment_method"]["last4"], "4242");
    assert!(first.1["network_transaction_id"].is_string());
    assert_eq!(api.charge("k", "tok_visa", 2900).await, first);
    assert_eq!(api.charge("k", "tok_visa", 2901).await.0, 409);
    assert_eq!(read(api.call("GET", "/charges?idempotency_key=k")).await.1, first.1);
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn outcomes_are_told_in_the_words_of_the_protocol() {
    let api = Api::start(None).await;
    let (status, declined) = api.charge("a", "tok_insufficient_funds", 2900).await;
    assert_eq!((status, declined["status"].as_str()), (200, Some("declined")));
    assert_eq!(declined["decline"]["code"], "insufficient_funds");
    assert_eq!(declined["decline"]["network_code"], "51");
    let action = api.charge("b", "tok_authentication_required", 2900).await.1;
    assert_eq!(action["status"], "requires_action");
    api.sandbox.script(Target::Card("tok_visa".into()), [Step::pending(60, Answer::Approve)]);
    assert_eq!(api.charge("c", "tok_visa", 2900).await.1["status"], "pending");
    assert!(api.sandbox.ledger().is_empty());
    api.sandbox.advance_to("2026-11-01T09:01:00Z".parse().unwrap());
    let found = read(api.call("GET", "/charges?idempotency_key=c")).await.1;
    assert_eq!(found["status"], "approved");
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn a_broken_answer_is_found_by_its_key() {
    let api = Api::start(None).await;
    let customer = || Target::Customer("c_1".into());
    for (key, fault, charges) in [
        ("a", Fault::ErrorAfter, 1),
        ("b", Fault::DroppedAfter, 2),
        ("c", Fault::ErrorBefore, 2),
        ("d", Fault::DroppedBefore, 2),
    ] {
        api.sandbox.script(customer(), [Step::approve().with_fault(fault)]);
        let body = json!({ "amount": 100, "currency": "USD", "payment_method": "tok_visa",
            "customer": "c_1" });
        let call = api.call("POST", "/charges").header("idempotency-key", key).json(&body);
        let status = call.send().await.ok().map(|answer| answer.status().as_u16());
        assert!(status.is_none() || status == Some(500), "{fault:?}");
        assert_eq!(api.sandbox.ledger().len(), charges, "{fault:?}");
        let found = api.call("GET", &format!("/charges?idempotency_key={key}"));
        let expected = if fault.is_before_effect() { 404 } else { 200 };
        assert_eq!(found.send().await.unwrap().status(), expected, "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_taken_can_be_given_back_once() {
    let api = Api::start(None).await;
    let id = api.charge("k", "tok_visa", 2900).await.1["id"].as_str().unwrap().to_owned();
    let refund = || api.call("POST", &format!("/charges/{id}/refund"));
    assert_eq!(refund().send().await.unwrap().status(), 200);
    assert!(api.sandbox.ledger()[0].is_refunded());
    assert_eq!(refund().send().await.unwrap().status(), 409);
    assert!(api.sandbox.double_charges().is_empty());
}

#[tokio::test]
async fn it_can_be_the_billing_gateway_and_signs_by_standard_webhooks() {
    let receiver = Receiver::start().await;
    let api = Api::start(Some(receiver.url.clone())).await;
    let customer = api.sandbox.create_http_customer(NewHttpCustomer {
        time_zone: Some("America/Bogota".into()),
        ..NewHttpCustomer::default()
    });
    api.sandbox.create_http_card(Some(&customer), "tok_insufficient_funds");
    let subscription = api.sandbox.create_http_subscription(&customer);
    let invoice = api.sandbox.bill_http(NewHttpInvoice {
        id: None,
        customer: customer.clone(),
        subscription: Some(subscription.clone()),
        amount: 2900,
        currency: "USD".parse().unwrap(),
    });
    let body = json!({ "customer": customer, "return_url": "https://pay.example/b" });
    let session = read(api.call("POST", "/card-update-sessions").json(&body)).await.1;
    let url = session["url"].as_str().unwrap();
    assert!(api.client.get(url).send().await.unwrap().text().await.unwrap().contains("Save card"));
    let saved = api.client.post(url).form(&[("card", "4242424242424242")]).send().await.unwrap();
    assert_eq!(
        (saved.status().as_u16(), &saved.headers()["location"]),
        (303, &"https://pay.example/b".parse().unwrap())
    );
    let paid = api.call("POST", &format!("/invoices/{invoice}/paid"));
    let paid = paid.json(&json!({ "gateway": "stripe", "charge": "pi_1" })).send().await.unwrap();
    assert_eq!(paid.status(), 200);
    let cancel = api.call("POST", &format!("/subscriptions/{subscription}/cancel"));
    assert_eq!(cancel.send().await.unwrap().status(), 200);
    api.sandbox.webhooks_settled().await;
    assert_eq!(
        receiver.kinds(),
        [
            "charge.updated",
            "invoice.payment_failed",
            "payment_method.updated",
            "invoice.paid",
            "subscription.cancelled"
        ]
    );
    let failed = &receiver.got()[1];
    assert_eq!(failed.path, "/webhooks/http");
    assert_eq!(failed.json()["data"]["customer"]["time_zone"], "America/Bogota");
    assert_eq!(failed.json()["data"]["decline"]["code"], "insufficient_funds");
    let secret = &api.sandbox.secrets().http_webhook_secret;
    let engine = base64::engine::general_purpose::STANDARD;
    let key = engine.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let parts = [failed.header("webhook-id"), failed.header("webhook-timestamp"), ""].join(".");
    let digest = engine.encode(hmac(&key, &[parts.as_bytes(), &failed.body]));
    assert_eq!(failed.header("webhook-signature"), format!("v1,{digest}"));
}

#[tokio::test]
async fn everything_can_be_driven_from_outside() {
    let api = Api::start(None).await;
    let (_, made) = api
        .control(
            "POST",
            "/subscribe",
            json!({ "card": "tok_visa", "amount": 2900,
            "currency": "usd", "email": "ada@example.com" }),
        )
        .await;
    let script = json!({ "target": { "customer": made["customer"] },
        "steps": [{ "result": "decline", "code": "insufficient_funds" }] });
    assert_eq!(api.control("POST", "/script", script).await.1, json!({ "queued": 1 }));
    let bill = format!("/subscriptions/{}/bill", made["subscription"].as_str().unwrap());
    let (_, invoice) = api.control("POST", &bill, json!({})).await;
    assert_eq!(invoice["status"], "open");
    let id = invoice["id"].as_str().unwrap();
    let (_, invoice) = api.control("POST", &format!("/invoices/{id}/attempt"), json!({})).await;
    assert_eq!(invoice["status"], "paid");
    let (_, ledger) = api.control("GET", "/ledger", Value::Null).await;
    assert_eq!(ledger["data"][0]["amount"]["minor"], 2900);
    assert_eq!(ledger["double_charges"], json!([]));
    let (status, refused) = api.control("POST", "/script", json!({ "target": "all" })).await;
    assert!(status == 400 && refused["error"].is_string());
    assert_eq!(api.control("POST", "/invoices/in_none/void", json!({})).await.0, 404);
    let (_, clock) = api.control("POST", "/clock/advance", json!({ "by_seconds": 60 })).await;
    assert_eq!(clock["now"], "2026-11-01T09:01:00Z");
}
