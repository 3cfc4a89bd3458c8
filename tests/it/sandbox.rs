//! Sandbox Stripe over real HTTP: what a client meets, and what the ledger says afterwards.
//!
//! Why here: every test of recoup that charges anything rests on these gateways being right.
//!
//! What must stay true: each test looks at the ledger, not only at the answer.

use recoup::sandbox::{Answer, Kind, SandboxOptions, Shape, Step};
use serde_json::Value;

use crate::stripe_api::{Api, options, pay, read};

#[tokio::test]
async fn a_failed_invoice_is_paid_by_a_later_try() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    let before = api.get(&format!("/v1/invoices/{invoice}")).await;
    assert_eq!(before["status"], "open");
    assert_eq!(before["attempt_count"], 1);
    assert_eq!(before["next_payment_attempt"], Value::Null);
    assert!(before.get("payment_intent").is_none(), "basil names no PaymentIntent");
    assert!(api.sandbox.ledger().is_empty());

    let (status, paid) = api.post(&pay(&invoice), &[("off_session", "true")]).await;
    assert_eq!((status, paid["status"].as_str()), (200, Some("paid")));
    assert_eq!(paid["amount_paid"], 2900);
    assert_eq!(paid["attempt_count"], 1, "manual tries after the first do not count");
    let ledger = api.sandbox.ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].invoice.as_deref(), Some(invoice.as_str()));
    assert_eq!(ledger[0].amount.to_string(), "29.00 USD");

    let (status, again) = api.post(&pay(&invoice), &[]).await;
    assert_eq!(status, 400);
    assert_eq!(again["error"]["type"], "invalid_request_error");
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_a_card_error_with_everything_in_it() {
    let api = Api::start(options()).await;
    let (of, invoice) = api.failed();
    api.script(&of, [Step::decline("lost_card")]);
    let (status, body) = api.post(&pay(&invoice), &[]).await;
    let error = &body["error"];
    assert_eq!(status, 402);
    assert_eq!(error["type"], "card_error");
    assert_eq!(error["code"], "card_declined");
    assert_eq!(error["decline_code"], "lost_card");
    assert_eq!(error["advice_code"], "do_not_try_again");
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    assert_eq!(error["payment_method"]["card"]["last4"], "4242");
    let charge = error["charge"].as_str().unwrap();
    let charge = api.get(&format!("/v1/charges/{charge}")).await;
    assert_eq!(charge["outcome"]["reason"], "lost_card");
    assert_eq!(charge["failure_code"], "card_declined");
    assert!(api.sandbox.ledger().is_empty());
}

#[tokio::test]
async fn the_decline_of_an_invoice_is_found_by_expansion_and_by_invoice_payments() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    let path = format!("/v1/invoices/{invoice}?expand[]=payments.data.payment.payment_intent");
    let expanded = api.get(&path).await;
    let intent = &expanded["payments"]["data"][0]["payment"]["payment_intent"];
    assert_eq!(intent["last_payment_error"]["decline_code"], "insufficient_funds");
    let id = intent["id"].as_str().unwrap();
    let query =
        format!("/v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]={id}");
    let list = api.get(&query).await;
    assert_eq!(list["data"][0]["invoice"], invoice.as_str());
    let list = api.get(&format!("/v1/invoice_payments?invoice={invoice}")).await;
    assert_eq!(list["data"][0]["payment"]["payment_intent"], id);
}

#[tokio::test]
async fn older_versions_name_the_payment_intent() {
    let api = Api::start(SandboxOptions { stripe_shape: Shape::Legacy, ..options() }).await;
    let (of, invoice) = api.failed();
    let event = api.sandbox.events().into_iter().find(|e| e.kind == "invoice.payment_failed");
    let event = event.unwrap().body;
    assert_eq!(event["api_version"], "2020-03-02");
    assert_eq!(event["data"]["object"]["subscription"], of.subscription.as_str());
    let basil = api
        .call("GET", &format!("/v1/invoices/{invoice}"))
        .header("stripe-version", "2025-03-31.basil");
    let basil = read(basil).await.1;
    assert!(basil.get("subscription").is_none());
    assert_eq!(basil["parent"]["subscription_details"]["subscription"], of.subscription.as_str());
}

#[tokio::test]
async fn paid_elsewhere_takes_no_money() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    let (status, paid) = api.post(&pay(&invoice), &[("paid_out_of_band", "true")]).await;
    assert_eq!((status, paid["status"].as_str()), (200, Some("paid")));
    assert!(api.sandbox.ledger().is_empty());
    assert_eq!(api.kinds().iter().filter(|kind| *kind == "invoice.paid").count(), 1);
    assert!(!api.kinds().contains(&"payment_intent.succeeded".to_owned()));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let api = Api::start(options()).await;
    let of = api.subscribe("tok_visa");
    let invoices: Vec<_> = (0..3).map(|_| api.sandbox.bill(&of.subscription).unwrap()).collect();
    let query = format!("/v1/invoices?customer={}&limit=2", of.customer);
    let page = api.get(&query).await;
    assert_eq!(page["has_more"], true);
    assert_eq!(page["data"][0]["id"], invoices[2].as_str(), "newest first");
    let rest = api.get(&format!("{query}&starting_after={}", invoices[1])).await;
    assert_eq!(
        (&rest["data"][0]["id"], &rest["has_more"]),
        (&invoices[0][..].into(), &false.into())
    );
    let events = api.get("/v1/events?types[]=invoice.paid&limit=100").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 3);
    let undelivered = api.get("/v1/events?type=invoice.paid&delivery_success=false").await;
    assert_eq!(undelivered["data"].as_array().unwrap().len(), 3);
    let expanded = api.get(&format!("/v1/invoices/{}?expand[]=customer", invoices[0])).await;
    assert_eq!(expanded["customer"]["email"], "ada@example.com");
}

#[tokio::test]
async fn a_pending_charge_settles_by_the_clock() {
    let api = Api::start(options()).await;
    let (of, invoice) = api.failed();
    api.script(&of, [Step::pending(60, Answer::Approve)]);
    let (status, open) = api.post(&pay(&invoice), &[]).await;
    assert_eq!((status, open["status"].as_str()), (200, Some("open")));
    assert_eq!(api.post(&pay(&invoice), &[]).await.0, 400, "one at a time");
    api.sandbox.advance_to("2026-11-01T09:00:59Z".parse().unwrap());
    assert!(api.sandbox.ledger().is_empty());
    api.sandbox.advance_to("2026-11-01T12:00:00Z".parse().unwrap());
    let ledger = api.sandbox.ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].at, "2026-11-01T09:01:00Z".parse().unwrap(), "at its own time");
    assert_eq!(api.sandbox.invoice(&invoice).unwrap().status, "paid");
}

#[tokio::test]
async fn authentication_is_asked_for_and_done_on_the_hosted_invoice() {
    let api = Api::start(options()).await;
    let of = api.subscribe("4000002760003184");
    let invoice = api.sandbox.bill(&of.subscription).unwrap();
    assert!(api.kinds().contains(&"invoice.payment_action_required".to_owned()));
    let (status, body) = api.post(&pay(&invoice), &[]).await;
    assert_eq!(status, 402);
    assert_eq!(body["error"]["code"], "invoice_payment_intent_requires_action");
    assert_eq!(body["error"]["payment_intent"]["status"], "requires_action");
    let url = api.sandbox.invoice(&invoice).unwrap().hosted_invoice_url;
    let page = api.client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("29.00 USD") && page.contains("Confirm and pay"));
    assert!(api.sandbox.ledger().is_empty(), "looking pays nothing");
    let paid = api.client.post(&url).send().await.unwrap();
    assert_eq!(paid.status(), 200);
    assert_eq!(api.sandbox.ledger().len(), 1);
    assert_eq!(api.sandbox.invoice(&invoice).unwrap().status, "paid");
    api.client.post(&url).send().await.unwrap();
    assert_eq!(api.sandbox.ledger().len(), 1, "a second click pays nothing");
}

#[tokio::test]
async fn the_portal_changes_the_default_and_returns() {
    let api = Api::start(options()).await;
    let of = api.subscribe("tok_insufficient_funds");
    let invoice = api.sandbox.bill(&of.subscription).unwrap();
    let form = [
        ("customer", of.customer.as_str()),
        ("return_url", "https://pay.example/back"),
        ("flow_data[type]", "payment_method_update"),
    ];
    let (_, session) = api.post("/v1/billing_portal/sessions", &form).await;
    let url = session["url"].as_str().unwrap();
    let page = api.client.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("Save card"));
    let customer = format!("/v1/customers/{}", of.customer);
    let default = |customer: &Value| customer["invoice_settings"]["default_payment_method"].clone();
    assert_eq!(default(&api.get(&customer).await), of.payment_method.as_str());
    let saved = api.client.post(url).form(&[("card", "5555555555554444")]).send().await.unwrap();
    assert_eq!(saved.status(), 303);
    assert_eq!(saved.headers()["location"], "https://pay.example/back");
    let new = default(&api.get(&customer).await);
    let method = api.get(&format!("/v1/payment_methods/{}", new.as_str().unwrap())).await;
    assert_eq!(method["card"]["brand"], "mastercard");
    let kinds = api.kinds();
    assert!(kinds.ends_with(&["payment_method.attached".into(), "customer.updated".into()]));
    assert_eq!(api.post(&pay(&invoice), &[]).await.0, 200);
    api.sandbox.advance_to("2026-11-01T10:00:01Z".parse().unwrap());
    assert_eq!(api.client.get(url).send().await.unwrap().status(), 404, "short-lived");
}

#[tokio::test]
async fn a_subscription_with_its_own_default_stays_on_it() {
    let api = Api::start(options()).await;
    let of = api.subscribe("tok_visa");
    let bad = api.sandbox.create_payment_method(&of.customer, "tok_expired_card");
    let path = format!("/v1/subscriptions/{}", of.subscription);
    api.post(&path, &[("default_payment_method", &bad)]).await;
    let invoice = api.sandbox.bill(&of.subscription).unwrap();
    api.sandbox.change_card(&of.customer, "tok_visa");
    let (status, body) = api.post(&pay(&invoice), &[]).await;
    assert_eq!((status, body["error"]["code"].as_str()), (402, Some("expired_card")));
    let good = api.sandbox.change_card(&of.customer, "tok_visa");
    api.post(&path, &[("default_payment_method", &good)]).await;
    assert_eq!(api.post(&pay(&invoice), &[]).await.0, 200);
}

#[tokio::test]
async fn native_retries_run_when_the_clock_passes_them() {
    let api = Api::start(SandboxOptions { native_retry_days: vec![3, 5], ..options() }).await;
    let of = api.subscribe("tok_visa");
    api.script(&of, [Step::decline("do_not_honor"), Step::decline("do_not_honor")]);
    let invoice = api.sandbox.bill(&of.subscription).unwrap();
    let facts = api.sandbox.invoice(&invoice).unwrap();
    assert_eq!(facts.next_attempt, Some("2026-11-04T09:00:00Z".parse().unwrap()));
    api.sandbox.advance_to("2026-11-05T00:00:00Z".parse().unwrap());
    let facts = api.sandbox.invoice(&invoice).unwrap();
    assert_eq!(facts.attempt_count, 2);
    assert_eq!(facts.next_attempt, Some("2026-11-09T09:00:00Z".parse().unwrap()));
    api.sandbox.advance_to("2026-12-01T00:00:00Z".parse().unwrap());
    let facts = api.sandbox.invoice(&invoice).unwrap();
    assert_eq!((facts.attempt_count, facts.status.as_str()), (3, "paid"));
    assert_eq!(api.sandbox.ledger()[0].at, "2026-11-09T09:00:00Z".parse().unwrap());
}

#[tokio::test]
async fn standalone_payment_intents_are_listed_and_refunded() {
    let api = Api::start(options()).await;
    let of = api.subscribe("tok_visa");
    let form = [
        ("amount", "1500"),
        ("currency", "eur"),
        ("customer", of.customer.as_str()),
        ("payment_method", of.payment_method.as_str()),
        ("confirm", "true"),
        ("off_session", "true"),
        ("metadata[attempt_id]", "att_1"),
        ("expand[]", "latest_charge"),
    ];
    let (status, intent) = api.post("/v1/payment_intents", &form).await;
    assert_eq!((status, intent["status"].as_str()), (200, Some("succeeded")));
    assert!(
        intent["latest_charge"]["payment_method_details"]["card"]["network_transaction_id"]
            .is_string()
    );
    let since = "2026-11-01T08:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    let query =
        format!("/v1/payment_intents?customer={}&created[gte]={since}&limit=100", of.customer);
    let list = api.get(&query).await;
    assert_eq!(list["data"][0]["metadata"]["attempt_id"], "att_1");
    let late = format!("/v1/payment_intents?customer={}&created[gt]={}", of.customer, since + 3600);
    assert_eq!(api.get(&late).await["data"], serde_json::json!([]));
    let id = intent["id"].as_str().unwrap();
    let refund = api.keyed("r", "/v1/refunds", &[("payment_intent", id)]).await;
    assert_eq!(refund, api.keyed("r", "/v1/refunds", &[("payment_intent", id)]).await);
    assert_eq!(refund.1["amount"], 1500);
    assert!(api.sandbox.ledger()[0].is_refunded());
    let (status, again) = api.post("/v1/refunds", &[("payment_intent", id)]).await;
    assert_eq!((status, again["error"]["code"].as_str()), (400, Some("charge_already_refunded")));
}

#[tokio::test]
async fn the_end_of_a_case_can_be_written_to_stripe() {
    let api = Api::start(options()).await;
    let (of, invoice) = api.failed();
    let path = format!("/v1/subscriptions/{}", of.subscription);
    let (_, paused) = api.post(&path, &[("pause_collection[behavior]", "void")]).await;
    assert_eq!(paused["pause_collection"]["behavior"], "void");
    assert_eq!(api.sandbox.bill(&of.subscription), None);
    let written = format!("/v1/invoices/{invoice}/mark_uncollectible");
    assert_eq!(api.post(&written, &[]).await.1["status"], "uncollectible");
    assert_eq!(api.post(&format!("/v1/invoices/{invoice}/void"), &[]).await.1["status"], "void");
    assert_eq!(api.post(&pay(&invoice), &[]).await.0, 400);
    let (status, gone) = read(api.call("DELETE", &path)).await;
    assert_eq!((status, gone["status"].as_str()), (200, Some("canceled")));
    assert_eq!(api.kinds().last().unwrap(), "customer.subscription.deleted");
    assert!(api.sandbox.ledger().is_empty());
}

#[tokio::test]
async fn without_the_key_nothing_is_answered() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    let url = format!("{}{}", api.sandbox.api_base(Kind::Stripe), pay(&invoice));
    let (status, body) = read(api.client.post(url).bearer_auth("sk_test_wrong")).await;
    assert_eq!((status, body["error"]["type"].as_str()), (401, Some("invalid_request_error")));
    assert!(api.sandbox.ledger().is_empty());
    let (status, body) = api.post("/v1/invoices/in_none/pay", &[]).await;
    assert_eq!((status, body["error"]["code"].as_str()), (404, Some("resource_missing")));
    assert_eq!(api.post("/v1/nonsense", &[]).await.0, 404);
}

#[tokio::test]
async fn the_same_seed_and_calls_tell_the_same_story() {
    let tell = |seed| async move {
        let api = Api::start(SandboxOptions { seed, ..options() }).await;
        let (_, invoice) = api.failed();
        api.post(&pay(&invoice), &[]).await;
        let base = format!("http://{}", api.sandbox.address());
        api.sandbox
            .events()
            .iter()
            .map(|event| event.body.to_string().replace(&base, ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(tell(3).await, tell(3).await);
    assert_ne!(tell(3).await, tell(4).await);
}

#[tokio::test]
async fn a_subscription_is_made_over_the_api_as_a_developers_integration_does() {
    let api = Api::start(options()).await;
    let (_, customer) = api.post("/v1/customers", &[("email", "ada@example.com")]).await;
    let customer = customer["id"].as_str().unwrap().to_owned();
    let (status, price) = api
        .post(
            "/v1/prices",
            &[
                ("currency", "usd"),
                ("unit_amount", "2900"),
                ("product_data[name]", "Pro"),
                ("recurring[interval]", "month"),
            ],
        )
        .await;
    assert_eq!(status, 200, "{price}");
    let price = price["id"].as_str().unwrap().to_owned();
    let order = [("customer", &customer[..]), ("items[0][price]", &price[..])];
    let (status, refused) = api.post("/v1/subscriptions", &order).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &"resource_missing".into()));
    assert_eq!(api.get("/v1/subscriptions").await["data"], serde_json::json!([]));

    let poor = "pm_card_visa_chargeDeclinedInsufficientFunds";
    let attach = format!("/v1/payment_methods/{poor}/attach");
    let (_, method) = api.post(&attach, &[("customer", &customer)]).await;
    let method = method["id"].as_str().unwrap().to_owned();
    let order = [order[0], order[1], ("default_payment_method", &method[..])];
    let (status, subscription) = api.post("/v1/subscriptions", &order).await;
    assert_eq!((status, &subscription["status"]), (200, &"incomplete".into()), "{subscription}");
    assert_eq!(subscription["items"]["data"][0]["price"]["id"], price.as_str());
    assert!(api.kinds().contains(&"invoice.payment_failed".to_owned()));
    assert!(api.sandbox.ledger().is_empty());

    let (_, good) =
        api.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await;
    let invoice = subscription["latest_invoice"].as_str().unwrap();
    let by = [("payment_method", good["id"].as_str().unwrap())];
    let (status, paid) = api.post(&pay(invoice), &by).await;
    assert_eq!((status, &paid["status"]), (200, &"paid".into()), "{paid}");
    let id = subscription["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/subscriptions/{id}")).await["status"], "active");
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn a_draft_takes_items_and_no_money() {
    let api = Api::start(options()).await;
    let of = api.subscribe("tok_visa");
    let customer = ("customer", &of.customer[..]);
    let line = |amount| [customer, ("amount", amount), ("currency", "eur")];
    api.post("/v1/invoiceitems", &line("500")).await;
    api.post("/v1/invoiceitems", &[customer, ("amount", "9"), ("currency", "usd")]).await;
    let include = [customer, ("pending_invoice_items_behavior", "include")];
    let (_, draft) = api.post("/v1/invoices", &include).await;
    assert_eq!((&draft["status"], &draft["amount_due"]), (&"draft".into(), &500.into()));
    let id = draft["id"].as_str().unwrap();
    let (status, refused) = api.post(&pay(id), &[]).await;
    assert_eq!(status, 400, "{refused}");
    let more = [customer, ("amount", "250"), ("currency", "eur"), ("invoice", id)];
    api.post("/v1/invoiceitems", &more).await;
    let (_, open) = api.post(&format!("/v1/invoices/{id}/finalize"), &[]).await;
    assert_eq!((&open["status"], &open["amount_due"]), (&"open".into(), &750.into()));
    assert_eq!(api.post(&format!("/v1/invoices/{id}/finalize"), &[]).await.0, 400);
    let other = [customer, ("amount", "1"), ("currency", "eur"), ("invoice", id)];
    assert_eq!(api.post("/v1/invoiceitems", &other).await.0, 400, "it is no draft any more");
    let (_, next) = api.post("/v1/invoices", &include).await;
    assert_eq!(next["amount_due"], 9, "the other currency waited for an invoice of its own");
}

#[tokio::test]
async fn a_payment_intent_is_found_by_its_metadata() {
    let api = Api::start(options()).await;
    let order = |id| [("amount", "100"), ("currency", "usd"), ("metadata[order]", id)];
    api.post("/v1/payment_intents", &order("1")).await;
    api.post("/v1/payment_intents", &order("2")).await;
    let found = api.get("/v1/payment_intents/search?query=metadata['order']:'2'").await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["data"][0]["metadata"]["order"], "2");
}
