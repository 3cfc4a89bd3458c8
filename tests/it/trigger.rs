//! `recoup trigger` as a user runs it, against a small receiver.
//!
//! Why here: exit codes, the signature and the words on the terminal are the interface.
//!
//! What must stay true: the secret is in no output.

use std::process::{Command, Output};

use base64::Engine as _;
use serde_json::Value;

use crate::receiver::{Receiver, hmac};

const SECRET: &str = "whsec_trigger_test_secret";

fn recoup(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(args)
        .env_remove("STRIPE_WEBHOOK_SECRET")
        .env_remove("ADYEN_WEBHOOK_SECRET")
        .env_remove("HTTP_WEBHOOK_SECRET")
        .env("TRIGGER_SECRET", SECRET)
        .output()
        .unwrap()
}

async fn trigger(receiver: &Receiver, args: &[&str]) -> (i32, String, String) {
    let url = format!("{}/webhooks/stripe", receiver.url);
    let args: Vec<String> = ["trigger"]
        .iter()
        .chain(args)
        .chain(&["--url", &url])
        .map(|arg| (*arg).to_owned())
        .collect();
    let output = tokio::task::spawn_blocking(move || {
        recoup(&args.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_failed_payment_arrives_signed_and_with_its_decline() {
    let receiver = Receiver::start().await;
    let args = [
        "payment_failed",
        "--decline",
        "insufficient_funds",
        "--secret",
        SECRET,
        "--invoice",
        "in_42",
        "--customer",
        "cus_42",
        "--amount",
        "29000",
        "--currency",
        "cop",
    ];
    let (code, out, _) = trigger(&receiver, &args).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("--> POST") && out.contains("invoice.payment_failed"), "{out}");
    assert!(out.contains("[200]") && !out.contains(SECRET), "{out}");
    let got = &receiver.got()[0];
    let (time, digest) = got.header("stripe-signature").split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let expected = hmac(SECRET.as_bytes(), &[time.as_bytes(), b".", &got.body]);
    assert_eq!(digest, format!("v1={}", hex::encode(expected)));
    let invoice = &got.json()["data"]["object"];
    assert_eq!(invoice["id"], "in_42");
    assert_eq!(invoice["customer"], "cus_42");
    assert_eq!(
        (&invoice["amount_remaining"], &invoice["currency"]),
        (&29000.into(), &"cop".into())
    );
    let intent = &invoice["payments"]["data"][0]["payment"]["payment_intent"];
    assert_eq!(intent["last_payment_error"]["decline_code"], "insufficient_funds");
}

#[tokio::test]
async fn every_event_can_be_sent_by_both_gateways() {
    let receiver = Receiver::start().await;
    let http = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
    for event in [
        "payment_failed",
        "payment_succeeded",
        "voided",
        "subscription_cancelled",
        "payment_method_updated",
        "disputed",
        "refunded",
        "action_required",
    ] {
        for (gateway, secret) in [("stripe", SECRET), ("http", http)] {
            let args = [event, "--gateway", gateway, "--secret", secret, "--json"];
            let (code, out, error) = trigger(&receiver, &args).await;
            assert_eq!(code, 0, "{event} {gateway}: {out}{error}");
            let out: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(out["taken"], true);
            assert_eq!(out["event"], receiver.kinds().pop().unwrap());
        }
    }
    let ids: std::collections::BTreeSet<_> = receiver
        .got()
        .iter()
        .map(|got| got.json()["id"].to_string() + got.header("webhook-id"))
        .collect();
    assert_eq!(ids.len(), 16, "each trigger is an event of its own");
}

#[tokio::test]
async fn adyen_s_notification_carries_its_signature_inside() {
    let receiver = Receiver::start().await;
    let key = "00FF";
    let args = ["payment_failed", "--gateway", "adyen", "--secret", key, "--invoice", "INV-1"];
    let (code, out, error) = trigger(&receiver, &args).await;
    assert_eq!(code, 0, "{out}{error}");
    let item = &receiver.got()[0].json()["notificationItems"][0]["NotificationRequestItem"];
    let text = |name: &str| item[name].as_str().unwrap().to_owned();
    let signed = format!(
        "{}::{}:INV-1:2900:USD:AUTHORISATION:false",
        text("pspReference"),
        text("merchantAccountCode")
    );
    let expected = hmac(&[0x00, 0xff], &[signed.as_bytes()]);
    let signature = item["additionalData"]["hmacSignature"].as_str().unwrap();
    assert_eq!(base64::engine::general_purpose::STANDARD.encode(expected), signature);
    let args = ["voided", "--gateway", "adyen", "--secret", key];
    let (code, _, error) = trigger(&receiver, &args).await;
    assert!(code == 2 && error.contains("has no event `voided`"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_exit_code_1_with_what_to_look_at() {
    let receiver = Receiver::start().await;
    receiver.answer([401, 404]);
    let args = ["payment_failed", "--secret-env", "TRIGGER_SECRET"];
    let (code, out, _) = trigger(&receiver, &args).await;
    assert_eq!(code, 1);
    assert!(out.contains("no_signature_match"), "{out}");
    let (code, out, _) = trigger(&receiver, &args).await;
    assert!(code == 1 && out.contains("id in recoup.toml"), "{out}");
    let output = tokio::task::spawn_blocking(|| {
        recoup(&["trigger", "voided", "--secret", SECRET, "--url", "http://127.0.0.1:1/x"])
    });
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nobody answered"));
}

#[test]
fn wrong_use_is_exit_code_2_and_says_what_was_meant() {
    for (args, said) in [
        (&["trigger", "payment_faild", "--secret", "x"][..], "Did you mean `payment_failed`?"),
        (&["trigger", "zzz", "--secret", "x"], "The events are: payment_failed"),
        (&["trigger", "voided"], "STRIPE_WEBHOOK_SECRET is not set"),
        (&["trigger", "voided", "--gateway", "paypal"], "stripe and http"),
        (&["trigger", "voided", "--currency", "zzz"], "ISO 4217"),
        (&["trigger", "voided", "--amount", "0"], "--amount"),
        (&["trigger", "voided", "--gateway", "http", "--secret", "%%%"], "base64"),
        (&["trigger", "disputed", "--gateway", "adyen", "--secret", "xyz"], "hexadecimal"),
        (&["trigger", "voided", "--secret", "x", "--url", "nonsense"], "no address"),
    ] {
        let output = recoup(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}

#[test]
fn it_can_be_printed_instead_of_sent() {
    let args = ["trigger", "payment_succeeded", "--secret", SECRET, "--print"];
    let output = recoup(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.starts_with("curl -X POST 'http://127.0.0.1:8080/webhooks/stripe'"), "{text}");
    assert!(text.contains("-H 'stripe-signature: t=") && text.contains("--data-binary '{"));
    assert!(!text.contains(SECRET));
}
