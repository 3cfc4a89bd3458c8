//! The sandbox's Adyen over real HTTP, called as Adyen's own libraries call it.
//!
//! What must stay true: HTTP 200 tells nothing of the money; a key has one effect; every outcome is
//! told by a notification that recoup's own check takes.

use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::gateway::WebhookRequest;
use recoup::gateway::adyen::webhook;
use recoup::sandbox::{
    Answer, Fault, Kind, MERCHANT_ACCOUNT, Sandbox, SandboxOptions, Step, Target,
};
use serde_json::{Value, json};

use crate::receiver::Receiver;

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
        let url = format!("{}{path}", self.sandbox.api_base(Kind::Adyen));
        let request = self.client.request(method.parse().unwrap(), url);
        request.header("x-api-key", &self.sandbox.secrets().adyen_api_key)
    }

    async fn pay(&self, key: &str, body: Value) -> (u16, Value) {
        read(self.call("POST", "/v72/payments").header("idempotency-key", key).json(&body)).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

fn payment(method: Value) -> Value {
    json!({
        "merchantAccount": MERCHANT_ACCOUNT, "amount": { "value": 2900, "currency": "EUR" },
        "reference": "INV-1", "returnUrl": "https://shop.example/", "shopperReference": "cust-1",
        "shopperInteraction": "ContAuth", "recurringProcessingModel": "Subscription",
        "paymentMethod": method,
    })
}

fn stored(token: &str) -> Value {
    payment(json!({ "type": "scheme", "storedPaymentMethodId": token }))
}

#[tokio::test]
async fn a_stored_card_is_charged_once_for_each_key() {
    let api = Api::start(None).await;
    let token = api.sandbox.create_adyen_card("cust-1", "4111111111111111");
    let first = api.pay("k1", stored(&token)).await;
    assert_eq!((first.0, first.1["resultCode"].as_str()), (200, Some("Authorised")));
    assert_eq!(first.1["additionalData"]["cardSummary"], "1111");
    assert_eq!(first.1["amount"], json!({ "value": 2900, "currency": "EUR" }));
    assert_eq!(api.pay("k1", stored(&token)).await, first);
    let mut other = stored(&token);
    other["amount"]["value"] = json!(1);
    let conflict = api.pay("k1", other).await;
    assert_eq!((conflict.0, conflict.1["errorCode"].as_str()), (422, Some("704")));
    assert_eq!(api.sandbox.captures_of(Kind::Adyen, "INV-1").len(), 1);
    let live = format!("http://{}/checkout/v71/payments", api.sandbox.address());
    let request = api.client.post(live).header("x-api-key", &api.sandbox.secrets().adyen_api_key);
    assert_eq!(read(request.json(&stored(&token))).await.0, 200, "as the live address has it");
}

#[tokio::test]
async fn a_refusal_is_200_with_its_number_and_its_text() {
    let api = Api::start(None).await;
    for (card, code, reason, raw) in [
        ("insufficient_funds", "12", "Not enough balance", "51 : Not enough balance"),
        ("stolen_card", "5", "Blocked Card", "43 : Blocked Card"),
        ("expired_card", "6", "Expired Card", "54 : Expired Card"),
    ] {
        let token = api.sandbox.create_adyen_card("cust-1", card);
        let (status, body) = api.pay(card, stored(&token)).await;
        assert_eq!((status, body["resultCode"].as_str()), (200, Some("Refused")));
        assert_eq!(body["refusalReasonCode"], code);
        assert_eq!(body["refusalReason"], reason);
        assert_eq!(body["additionalData"]["refusalReasonRaw"], raw);
    }
    let mut asked = payment(json!({ "type": "scheme", "number": "4111 1111 1111 1111" }));
    asked["additionalData"] = json!({ "RequestedTestAcquirerResponseCode": "12" });
    assert_eq!(api.pay("k", asked).await.1["refusalReasonCode"], "12");
    assert!(api.sandbox.ledger().is_empty());
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_said_as_adyen_says_it() {
    let api = Api::start(None).await;
    let token = api.sandbox.create_adyen_card("cust-1", "4111111111111111");
    let without = |field: &str| {
        let mut body = stored(&token);
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, status, code) in [
        (without("reference"), 422, "130"),
        (without("amount"), 422, "100"),
        (without("returnUrl"), 422, "14_030"),
        (without("paymentMethod"), 422, "14_004"),
        (without("shopperReference"), 422, "14_006"),
        (without("merchantAccount"), 422, "901"),
        (stored("UNKNOWN"), 422, "800"),
    ] {
        let answer = api.pay("", body).await;
        assert_eq!((answer.0, answer.1["errorCode"].as_str()), (status, Some(code)));
    }
    let mut foreign = stored(&token);
    foreign["shopperReference"] = json!("cust-2");
    assert_eq!(api.pay("", foreign).await.1["errorCode"], "800", "another shopper's card");
    let mut account = stored(&token);
    account["merchantAccount"] = json!("SomebodyElse");
    assert_eq!(api.pay("", account).await.0, 403);
    let url = format!("{}/v72/payments", api.sandbox.api_base(Kind::Adyen));
    let unsigned = api.client.post(url).json(&stored(&token));
    assert_eq!(read(unsigned).await.0, 401);
    assert_eq!(read(api.call("GET", "/v72/nothing")).await.0, 404);
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let api = Api::start(None).await;
    let token = api.sandbox.create_adyen_card("cust-1", "4111111111111111");
    let steps = [
        Step::approve().with_fault(Fault::ErrorBefore),
        Step::approve().with_fault(Fault::ErrorAfter),
        Step::approve().with_fault(Fault::RateLimited),
    ];
    api.sandbox.script(Target::Customer("cust-1".into()), steps);
    assert_eq!(api.pay("a", stored(&token)).await.0, 500);
    assert!(api.sandbox.ledger().is_empty());
    assert_eq!(api.pay("b", stored(&token)).await.0, 500);
    assert_eq!(api.sandbox.ledger().len(), 1);
    let (status, body) = api.pay("b", stored(&token)).await;
    assert_eq!((status, body["resultCode"].as_str()), (200, Some("Authorised")), "the same key");
    assert_eq!(api.sandbox.ledger().len(), 1);
    assert_eq!(api.pay("c", stored(&token)).await.0, 429);
}

#[tokio::test]
async fn a_pending_payment_is_decided_later_and_told() {
    let receiver = Receiver::start().await;
    let api = Api::start(Some(receiver.url.clone())).await;
    let token = api.sandbox.create_adyen_card("cust-1", "4111111111111111");
    let step = Step::pending(60, Answer::Approve);
    api.sandbox.script(Target::Customer("cust-1".into()), [step]);
    let (status, body) = api.pay("k", stored(&token)).await;
    assert_eq!((status, body["resultCode"].as_str()), (200, Some("Pending")));
    assert!(api.sandbox.ledger().is_empty());
    let later: Timestamp = "2026-11-01T09:02:00Z".parse().unwrap();
    api.sandbox.advance_to(later);
    api.sandbox.webhooks_settled().await;
    let item = &receiver.got()[0].json()["notificationItems"][0]["NotificationRequestItem"];
    assert_eq!((&item["eventCode"], &item["success"]), (&json!("AUTHORISATION"), &json!("true")));
    assert_eq!(item["pspReference"], body["pspReference"]);
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn every_webhook_is_signed_as_recoup_checks_it() {
    let receiver = Receiver::start().await;
    let api = Api::start(Some(receiver.url.clone())).await;
    let mut first =
        payment(json!({ "type": "scheme", "encryptedCardNumber": "test_4111111111111111" }));
    first["storePaymentMethod"] = json!(true);
    first["shopperInteraction"] = json!("Ecommerce");
    let (_, paid) = api.pay("k", first).await;
    let psp = paid["pspReference"].as_str().unwrap();
    let refund = json!({
        "merchantAccount": MERCHANT_ACCOUNT, "amount": { "value": 2900, "currency": "EUR" },
    });
    let path = format!("/v72/payments/{psp}/refunds");
    let (status, body) = read(api.call("POST", &path).json(&refund)).await;
    assert_eq!((status, body["status"].as_str()), (201, Some("received")));
    api.sandbox.webhooks_settled().await;
    let got = receiver.got();
    let secret = [api.sandbox.secrets().adyen_webhook_secret.as_str().into()];
    let mut kinds = Vec::new();
    for got in &got {
        let headers: Vec<(String, String)> = ["hmacsignature"]
            .iter()
            .map(|name| ((*name).to_owned(), got.header(name).to_owned()))
            .collect();
        let request = WebhookRequest {
            body: &got.body,
            headers: &headers,
            url: None,
            now: Timestamp::UNIX_EPOCH,
        };
        webhook::verify(&request, &secret).unwrap();
        kinds.extend(webhook::parse(&request).unwrap().into_iter().map(|event| event.kind));
    }
    use recoup::core::event::EventKind as K;
    assert_eq!(kinds, [K::PaymentMethodUpdated, K::PaymentSucceeded, K::Refunded]);
    assert!(api.sandbox.ledger()[0].is_refunded());
}

#[tokio::test]
async fn a_link_is_paid_once_and_stores_the_card() {
    let api = Api::start(None).await;
    let body = json!({
        "merchantAccount": MERCHANT_ACCOUNT, "amount": { "value": 2900, "currency": "EUR" },
        "reference": "INV-1-recoup-link_1", "shopperReference": "cust-1",
        "storePaymentMethodMode": "enabled", "recurringProcessingModel": "Subscription",
        "returnUrl": "https://shop.example/back",
    });
    let (status, link) = read(api.call("POST", "/v72/paymentLinks").json(&body)).await;
    assert_eq!((status, link["status"].as_str()), (201, Some("active")));
    let url = link["url"].as_str().unwrap();
    assert_eq!(api.client.get(url).send().await.unwrap().status(), 200);
    assert!(api.sandbox.ledger().is_empty(), "nothing happens on GET");
    for _ in 0..2 {
        let form = [("card", "4111111111111111")];
        api.client.post(url).form(&form).send().await.unwrap();
    }
    assert_eq!(api.sandbox.captures_of(Kind::Adyen, "INV-1").len(), 1);
    let path = format!("/v72/paymentLinks/{}", link["id"].as_str().unwrap());
    assert_eq!(read(api.call("GET", &path)).await.1["status"], "completed");
    let query = format!("merchantAccount={MERCHANT_ACCOUNT}&shopperReference=cust-1");
    let path = format!("/v72/storedPaymentMethods?{query}");
    let list = read(api.call("GET", &path)).await.1;
    let stored = list["storedPaymentMethods"].as_array().unwrap();
    assert_eq!((stored.len(), &stored[0]["lastFour"]), (1, &json!("1111")));
    let id = stored[0]["id"].as_str().unwrap();
    let path = format!("/v72/storedPaymentMethods/{id}?{query}");
    assert_eq!(read(api.call("DELETE", &path)).await.0, 204);
    let path = format!("/v72/storedPaymentMethods?{query}");
    let list = read(api.call("GET", &path)).await.1;
    assert_eq!(list["storedPaymentMethods"], json!([]));
}

#[tokio::test]
async fn the_control_endpoints_do_the_same() {
    let api = Api::start(None).await;
    let control = |path: &str, body: Value| {
        let url = format!("http://{}/_sandbox{path}", api.sandbox.address());
        read(api.client.post(url).json(&body))
    };
    let card = json!({ "customer": "cust-1", "card": "4111111111111111" });
    assert_eq!(control("/adyen/cards", card).await.0, 200);
    let new = json!({
        "reference": "INV-1", "shopper": "cust-1", "amount": 2900, "currency": "EUR",
    });
    assert!(control("/adyen/payments", new).await.1["pspReference"].is_string());
    assert_eq!(control("/adyen/payments/INV-1/refund", json!({})).await.0, 200);
    assert_eq!(control("/adyen/payments/INV-2/refund", json!({})).await.0, 404);
    let kinds: Vec<String> = api.sandbox.events().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["AUTHORISATION", "REFUND"]);
}
