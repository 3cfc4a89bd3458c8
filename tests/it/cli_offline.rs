//! The three offline commands, as a script sees them: the real binary, its output, its exit code.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "whsec_made_up_for_tests";
const BODY: &str = r#"{"id":"evt_1","object":"event","type":"ping","data":{"object":{}}}"#;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.out, self.err))
    }
}

fn run_with(args: &[&str], stdin: &[u8], env: &[(&str, &str)]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that was used wrongly does not read its input.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran {
        code: status.code().unwrap(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

fn run(args: &[&str]) -> Ran {
    run_with(args, b"", &[])
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("1760000000.{body}").as_bytes());
    format!("Stripe-Signature: t=1760000000,v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn verify(header: &str, secret: &str, now: &str) -> Ran {
    let args = [
        "verify",
        "--gateway",
        "stripe",
        "--secret",
        secret,
        "--body",
        "-",
        "--header",
        header,
        "--now",
        now,
        "--json",
    ];
    run_with(&args, BODY.as_bytes(), &[])
}

#[test]
fn verify_says_valid_or_which_check_failed() {
    let good = signature(SECRET, BODY);
    let ran = verify(&good, SECRET, "1760000300");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json(), json!({"valid": true, "code": null, "item": null, "hint": null}));
    for (header, secret, now, code) in [
        (good.as_str(), SECRET, "1760000301", "timestamp_too_old"),
        (good.as_str(), SECRET, "1759999699", "timestamp_in_future"),
        (good.as_str(), "whsec_made_up_other", "1760000000", "no_signature_match"),
        ("stripe-signature:", SECRET, "1760000000", "missing_header"),
        ("X-Other: 1", SECRET, "1760000000", "missing_header"),
        ("Stripe-Signature: x", SECRET, "1760000000", "malformed_header"),
    ] {
        let ran = verify(header, secret, now);
        assert_eq!((ran.code, ran.json()["code"].as_str()), (1, Some(code)), "{header}");
        assert_eq!(ran.json()["valid"], false);
        assert!(ran.json()["hint"].as_str().unwrap().len() > 20);
        assert!(!ran.out.contains("made_up") && !ran.err.contains("made_up"));
    }
}

#[test]
fn verify_takes_secrets_from_the_environment_and_several() {
    let header = signature(SECRET, BODY);
    let base = [
        "verify",
        "--gateway",
        "stripe",
        "--body",
        "-",
        "--header",
        &header,
        "--now",
        "1760000000",
    ];
    let env = [("TEST_OLD", "whsec_made_up_old"), ("TEST_NEW", SECRET)];
    let args = [&base[..], &["--secret-env", "TEST_OLD", "--secret-env", "TEST_NEW"]].concat();
    let ran = run_with(&args, BODY.as_bytes(), &env);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("valid"));
    let args = [&base[..], &["--secret-env", "TEST_OLD"]].concat();
    let ran = run_with(&args, BODY.as_bytes(), &env);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("not valid: no_signature_match"), "{}", ran.out);
}

#[test]
fn the_offline_commands_used_wrongly_exit_with_2() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let wrong: [&[&str]; 13] = [
        &["verify", "--gateway", "nope", "--secret", "s", "--body", here],
        &["verify", "--gateway", "stripe", "--body", here],
        &["verify", "--gateway", "stripe", "--secret", "", "--body", here],
        &["verify", "--gateway", "stripe", "--secret-env", "NOT_SET_ANYWHERE", "--body", here],
        &["verify", "--gateway", "stripe", "--secret", "s", "--body", "/no/such/file"],
        &["verify", "--gateway", "stripe", "--secret", "s", "--body", here, "--header", "no colon"],
        &["verify", "--gateway", "stripe", "--secret", "s", "--body", here, "--header", ": v"],
        &["verify", "--gateway", "stripe", "--secret", "s", "--body", here, "--now", "today"],
        &["verify", "--gateway", "stripe", "--secret", "s"],
        &["parse", "--gateway", "nope", "--body", here],
        &["parse", "--gateway", "stripe", "--body", "/no/such/file"],
        &["classify", "--gateway", "nope", "--code", "x"],
        &["classify", "--gateway", "stripe"],
    ];
    for args in wrong {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?} {}", ran.err);
        assert!(!ran.err.is_empty(), "{args:?} says nothing");
    }
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks").join(path)
}

#[test]
fn parse_prints_the_interfaces_shape() {
    let body = fixture("stripe/basil.invoice.payment_failed.last_expanded.json");
    let ran = run(&["parse", "--gateway", "stripe", "--body", body.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let event = ran.json()["events"][0].clone();
    let keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "type",
            "occurred_at",
            "invoice",
            "subscription",
            "customer",
            "payment",
            "amount",
            "attempt_count",
            "native_retry",
            "next_native_attempt_at",
            "decline",
            "payment_method",
            "needs_fetch"
        ]
    );
    assert_eq!(event["occurred_at"], "2026-11-20T18:40:00Z");
    assert_eq!(event["amount"], json!({"minor": 2900, "currency": "USD", "exponent": 2}));
    assert_eq!(
        event["decline"],
        json!({"code": "insufficient_funds", "network_code": "51", "advice_code": "try_again_later",
            "network_advice_code": "26", "category": "insufficient_funds", "advice": "retry_after"})
    );
    assert_eq!(event["native_retry"], "none");
    assert_eq!(event["needs_fetch"], Value::Null);
}

#[test]
fn parse_takes_the_id_from_the_header_or_leaves_it_out() {
    let body = std::fs::read(fixture("http/invoice.paid.json")).unwrap();
    let base = ["parse", "--gateway", "http", "--body", "-"];
    let ran = run_with(&[&base[..], &["--header", "Webhook-Id: msg_7"]].concat(), &body, &[]);
    assert_eq!(ran.json()["events"][0]["id"], "msg_7");
    let ran = run_with(&base, &body, &[]);
    assert_eq!((ran.code, &ran.json()["events"][0]["id"]), (0, &Value::Null));
}

#[test]
fn parse_of_something_else_is_malformed() {
    for body in ["", "not json", "[]", r#"{"object":"invoice","id":"in_1","type":"x"}"#] {
        let ran = run_with(&["parse", "--gateway", "stripe", "--body", "-"], body.as_bytes(), &[]);
        assert_eq!(
            (ran.code, &ran.json()["error"]["code"]),
            (1, &json!("malformed_body")),
            "{body}"
        );
        assert!(ran.json()["error"]["message"].is_string());
    }
}

#[test]
fn classify_says_what_follows() {
    for (args, wanted) in [
        (
            &["--gateway", "stripe", "--code", "insufficient_funds"][..],
            ("insufficient_funds", "none", "later", None, false),
        ),
        (
            &["--gateway", "stripe", "--code", "insufficient_funds", "--advice", "try_again_later"],
            ("insufficient_funds", "retry_after", "later", None, false),
        ),
        (
            &["--gateway", "stripe", "--code", "lost_card"],
            ("lost_or_stolen", "never", "no", None, false),
        ),
        (
            &["--gateway", "stripe", "--code", "processing_error"],
            ("processing_error", "none", "soon", None, true),
        ),
        (
            &["--gateway", "stripe", "--code", "expired_card"],
            ("credential_outdated", "update_credentials", "after_customer", None, false),
        ),
        (
            &["--gateway", "stripe", "--code", "duplicate_transaction"],
            ("outcome_unknown", "check_status", "after_check", None, false),
        ),
        (
            &["--gateway", "http", "--code", "Do Not Honor"],
            ("generic_decline", "none", "later", None, true),
        ),
        (
            &["--network", "mastercard", "--network-code", "51", "--advice", "24"],
            ("insufficient_funds", "retry_after", "later", Some(3600), false),
        ),
        (
            &["--network", "MC", "--network-code", "05", "--advice", "03"],
            ("generic_decline", "never", "no", None, false),
        ),
        (
            &["--network", "mastercard", "--network-code", "65", "--region", "EEA"],
            ("authentication_required", "authenticate", "after_customer", None, false),
        ),
        (&["--network", "visa", "--code", "41"], ("lost_or_stolen", "never", "no", None, false)),
        (&["--text", "Fondos insuficientes"], ("insufficient_funds", "none", "later", None, false)),
        (
            &["--gateway", "stripe", "--code", "no_such_code"],
            ("unknown", "none", "later", None, true),
        ),
    ] {
        let ran = run(&[&["classify"], args].concat());
        assert_eq!(ran.code, 0, "{args:?} {}", ran.err);
        let found = ran.json();
        let keys: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["category", "advice", "retry", "min_delay_seconds", "other_gateway", "source", "raw"]
        );
        let (category, advice, retry, wait, other) = wanted;
        assert_eq!(
            (
                &found["category"],
                &found["advice"],
                &found["retry"],
                &found["min_delay_seconds"],
                &found["other_gateway"]
            ),
            (&json!(category), &json!(advice), &json!(retry), &json!(wait), &json!(other)),
            "{args:?}"
        );
    }
}

/// The tables beside the repository say the same as ours, where they are.
#[test]
fn classify_agrees_with_the_tables_it_was_made_from() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts/declines");
    for (file, kind) in [("stripe.csv", Some("stripe")), ("iso8583.csv", None)] {
        let Ok(mut rows) = csv::Reader::from_path(dir.join(file)) else { continue };
        let entry = recoup::gateway::kind(kind.unwrap_or("http")).unwrap();
        for row in rows.records() {
            let row = row.unwrap();
            let code = Some(row[0].to_owned());
            let raw = match kind {
                Some(_) => recoup::core::decline::RawDecline { code, ..Default::default() },
                None => {
                    recoup::core::decline::RawDecline { network_code: code, ..Default::default() }
                }
            };
            let found = (entry.classify)(&raw);
            let seen = serde_json::to_value(&found.decline).unwrap();
            assert_eq!(
                (&seen["category"], &seen["advice"]),
                (&json!(row[2]), &json!(row[4])),
                "{file} {}",
                &row[0]
            );
            assert!(found.known, "{file} {}", &row[0]);
        }
    }
}
