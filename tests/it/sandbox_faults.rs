//! Sandbox Stripe when it goes wrong: keys, time-outs, broken answers, outages.
//!
//! Why here: whether a customer is charged twice is decided in exactly these moments.
//!
//! What must stay true: each test counts the captures in the ledger.

use std::time::Duration;

use recoup::sandbox::{Fault, Kind, Rule, SandboxOptions, Step, Target};
use serde_json::Value;

use crate::stripe_api::{Api, options, pay};

#[tokio::test]
async fn a_key_answers_the_same_and_charges_once() {
    let api = Api::start(options()).await;
    let (of, invoice) = api.failed();
    api.script(&of, [Step::decline("do_not_honor"), Step::approve()]);
    let first = api.keyed("k1", &pay(&invoice), &[]).await;
    let replay = api
        .call("POST", &pay(&invoice))
        .header("idempotency-key", "k1")
        .form(&[] as &[(&str, &str)])
        .send()
        .await
        .unwrap();
    assert_eq!(replay.headers()["idempotent-replayed"], "true");
    assert!(replay.headers().contains_key("request-id"));
    let replay = (replay.status().as_u16(), replay.json::<Value>().await.unwrap());
    assert_eq!(first, replay);
    assert_eq!(first.0, 402);
    let (status, body) = api.keyed("k1", &pay(&invoice), &[("off_session", "true")]).await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["type"], "idempotency_error");
    assert_eq!(api.keyed("k2", &pay(&invoice), &[]).await.0, 200);
    assert_eq!(api.sandbox.ledger().len(), 1);
    assert_eq!(api.sandbox.ledger()[0].idempotency_key.as_deref(), Some("k2"));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day_and_then_charges_again() {
    let api = Api::start(options()).await;
    let (of, _) = api.failed();
    let form = [
        ("amount", "500"),
        ("currency", "usd"),
        ("customer", of.customer.as_str()),
        ("payment_method", of.payment_method.as_str()),
        ("confirm", "true"),
        ("off_session", "true"),
    ];
    let charge = || api.keyed("k", "/v1/payment_intents", &form);
    assert_eq!(charge().await, charge().await);
    assert_eq!(api.sandbox.ledger().len(), 1);
    api.sandbox.advance_to("2026-11-02T09:00:01Z".parse().unwrap());
    assert_eq!(charge().await.0, 200);
    assert_eq!(api.sandbox.ledger().len(), 2);
}

#[tokio::test]
async fn a_second_call_with_a_running_key_is_refused() {
    let api = Api::start(options()).await;
    let (of, invoice) = api.failed();
    api.script(&of, [Step::approve().with_fault(Fault::TimeoutAfter)]);
    let path = pay(&invoice);
    let slow = api.keyed("k", &path, &[]);
    let mut slow = Box::pin(slow);
    // The first call holds its key until its client goes away.
    let paid = async {
        while api.sandbox.ledger().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = &mut slow => panic!("it must not answer"),
        () = paid => {}
    }
    let (status, body) = tokio::select! {
        _ = &mut slow => panic!("it must not answer"),
        second = api.keyed("k", &path, &[]) => second,
    };
    assert_eq!(status, 409);
    assert_eq!(body["error"]["code"], "idempotency_key_in_use");
    drop(slow);
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn a_time_out_after_the_effect_is_found_by_the_same_key() {
    let api = Api::start(options()).await;
    let (of, invoice) = api.failed();
    api.script(&of, [Step::approve().with_fault(Fault::TimeoutAfter)]);
    let hung = api
        .call("POST", &pay(&invoice))
        .header("idempotency-key", "k")
        .timeout(Duration::from_millis(300))
        .form(&[] as &[(&str, &str)])
        .send()
        .await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(api.sandbox.ledger().len(), 1, "it took the money all the same");
    let replay = loop {
        // The key is free as soon as the server has seen the client go.
        let answer = api.keyed("k", &pay(&invoice), &[]).await;
        if answer.0 != 409 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((replay.0, replay.1["status"].as_str()), (200, Some("paid")));
    assert_eq!(api.sandbox.ledger().len(), 1);
}

#[tokio::test]
async fn every_fault_is_what_it_says() {
    for (fault, charged) in [
        (Fault::ErrorBefore, 0),
        (Fault::ErrorAfter, 1),
        (Fault::DroppedBefore, 0),
        (Fault::DroppedAfter, 1),
        (Fault::TimeoutBefore, 0),
        (Fault::RateLimited, 0),
    ] {
        let hold = Duration::from_millis(50);
        let api = Api::start(SandboxOptions { hold, ..options() }).await;
        let (of, invoice) = api.failed();
        api.script(&of, [Step::approve().with_fault(fault)]);
        let answer = api.call("POST", &pay(&invoice)).header("idempotency-key", "k");
        let answer = answer.form(&[] as &[(&str, &str)]).send().await;
        let status = answer.ok().map(|answer| answer.status().as_u16());
        let expected = match fault {
            Fault::ErrorBefore | Fault::ErrorAfter => Some(500),
            Fault::RateLimited => Some(429),
            _ => None,
        };
        assert_eq!(status, expected, "{fault:?}");
        assert_eq!(api.sandbox.ledger().len(), charged, "{fault:?}");
        let again = api.keyed("k", &pay(&invoice), &[]).await.0;
        // As at Stripe, a 500 is kept; what never began runs now; the rest replays.
        let expected = if fault == Fault::ErrorAfter { 500 } else { 200 };
        assert_eq!(again, expected, "{fault:?}");
        assert_eq!(api.sandbox.ledger().len(), 1, "{fault:?}");
        let now = api.get(&format!("/v1/invoices/{invoice}")).await;
        assert_eq!(now["status"], "paid", "{fault:?}");
    }
}

#[tokio::test]
async fn an_outage_hits_every_call_and_ends_by_the_clock() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    api.sandbox.schedule(Rule {
        target: Target::Gateway(Kind::Stripe),
        from: None,
        until: Some("2026-11-01T10:00:00Z".parse().unwrap()),
        step: Step::approve().with_fault(Fault::ErrorBefore),
    });
    assert_eq!(api.get(&format!("/v1/invoices/{invoice}")).await["error"]["type"], "api_error");
    assert_eq!(api.post(&pay(&invoice), &[]).await.0, 500);
    api.sandbox.advance_to("2026-11-01T10:00:00Z".parse().unwrap());
    assert_eq!(api.post(&pay(&invoice), &[]).await.0, 200);
}

#[tokio::test]
async fn a_fault_can_be_aimed_at_one_kind_of_call() {
    let api = Api::start(options()).await;
    let (_, invoice) = api.failed();
    let aimed = Step::approve().with_fault(Fault::ErrorAfter);
    api.sandbox.script(Target::Call(format!("POST {}", pay(&invoice))), [aimed]);
    assert_eq!(api.get(&format!("/v1/invoices/{invoice}")).await["status"], "open");
    assert_eq!(api.post(&pay(&invoice), &[("paid_out_of_band", "true")]).await.0, 500);
    assert_eq!(api.get(&format!("/v1/invoices/{invoice}")).await["status"], "paid");
    assert!(api.sandbox.ledger().is_empty());
}
