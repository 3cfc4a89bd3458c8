//! Braintree's webhooks: who signed them, what damage does, and the payloads that its own library
//! makes, where they are at hand.
//!
//! The fixtures are read in `webhook_fixtures`; here is what is Braintree's alone.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proptest::prelude::*;
use recoup::core::event::{Event, EventKind};
use recoup::gateway::wire::Timeouts;
use recoup::gateway::{
    self, GatewaySettings, MalformedBody, Rejection, RejectionCode, WebhookRequest,
};
use secrecy::SecretString;
use serde_json::Value;
use sha1::{Digest as _, Sha1};

const PAIR: &str = "public_made_up:private_made_up";
const XML: &[u8] = include_bytes!("../../fixtures/webhooks/braintree/check.xml");

/// The form that a notification arrives in, signed with [`PAIR`].
pub(crate) fn form(xml: &[u8]) -> Vec<u8> {
    let payload = payload(xml);
    fields(&[("bt_signature", &signature(PAIR, &payload)), ("bt_payload", &payload)])
}

/// Base64 in lines of 60, each with its end, as Braintree's servers write it.
fn payload(xml: &[u8]) -> String {
    let text = STANDARD.encode(xml);
    let lines: Vec<&str> =
        text.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n") + "\n"
}

fn signature(pair: &str, payload: &str) -> String {
    let (public, private) = pair.split_once(':').unwrap();
    let mut mac = Hmac::<Sha1>::new_from_slice(&Sha1::digest(private)).unwrap();
    mac.update(payload.as_bytes());
    format!("{public}|{}", hex::encode(mac.finalize().into_bytes()))
}

fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

fn request(body: &[u8]) -> WebhookRequest<'_> {
    WebhookRequest { body, headers: &[], url: None, now: Timestamp::UNIX_EPOCH }
}

fn judge(body: &[u8], secrets: &[&str]) -> Result<(), Rejection> {
    let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
    (gateway::kind("braintree").unwrap().verify)(&request(body), &secrets)
}

fn parse(body: &[u8]) -> Result<Vec<Event>, MalformedBody> {
    (gateway::kind("braintree").unwrap().parse)(&request(body))
}

#[test]
fn it_says_which_check_failed() {
    use RejectionCode as C;
    let payload = payload(XML);
    let good = signature(PAIR, &payload);
    let bare = good.split_once('|').unwrap().1;
    let signed = |signature: &str| fields(&[("bt_signature", signature), ("bt_payload", &payload)]);
    let with = |payload: &str| fields(&[("bt_signature", &good), ("bt_payload", payload)]);
    for (body, wanted) in [
        (signed(&good), None),
        (signed(&format!("other|{bare}&{good}")), None),
        (with(payload.trim_end()), None),
        (Vec::new(), Some(C::MissingHeader)),
        (b"{}".to_vec(), Some(C::MissingHeader)),
        (fields(&[("bt_signature", &good)]), Some(C::MissingHeader)),
        (fields(&[("bt_payload", &payload)]), Some(C::MissingHeader)),
        (signed(" "), Some(C::MissingHeader)),
        (with("\n"), Some(C::MissingHeader)),
        (signed(bare), Some(C::MalformedHeader)),
        (with(&payload.replace('\n', " ")), Some(C::MalformedBody)),
        (with(&payload.replace('\n', "\r\n")), Some(C::MalformedBody)),
        (with(&payload.replace('\n', "")), Some(C::NoSignatureMatch)),
        (with(&format!("A{payload}")), Some(C::NoSignatureMatch)),
        (signed(&format!("other|{bare}")), Some(C::NoSignatureMatch)),
        (signed("public_made_up|"), Some(C::NoSignatureMatch)),
        (signed(&good[..good.len() - 2]), Some(C::NoSignatureMatch)),
        (signed(&format!("{good}00")), Some(C::NoSignatureMatch)),
        (signed(&format!("public_made_up|{}", bare.to_uppercase())), Some(C::NoSignatureMatch)),
    ] {
        let verdict = judge(&body, &[PAIR]);
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(verdict.map_err(|no| no.code).err(), wanted, "{shown}");
    }
}

#[test]
fn any_pair_may_have_signed_and_no_hint_tells_one() {
    let body = form(XML);
    assert!(judge(&body, &["a:b", PAIR]).is_ok());
    for (secrets, hint) in [
        (&["private_made_up"][..], "PUBLIC:PRIVATE"),
        (&[], "PUBLIC:PRIVATE"),
        (&["public_made_up:", ":private_made_up"], "PUBLIC:PRIVATE"),
        (&["elsewhere:private_made_up"], "public key"),
        (&["public_made_up:elsewhere"], "another private key"),
    ] {
        let no = judge(&body, secrets).unwrap_err();
        assert_eq!(no.code, RejectionCode::NoSignatureMatch);
        assert!(no.hint.contains(hint), "{}", no.hint);
        assert!(!no.hint.contains("made_up") && !no.hint.contains("elsewhere"), "{}", no.hint);
    }
}

#[test]
fn the_service_verifies_and_answers_with_its_own_pair() {
    let settings = GatewaySettings {
        account: Some("merchant".to_owned()),
        public_key: Some("public_made_up".into()),
        webhook_secrets: vec!["old:pair".into()],
        ..GatewaySettings::new("braintree".into(), "private_made_up".into())
    };
    let braintree =
        (gateway::kind("braintree").unwrap().build)(settings, Timeouts::default()).unwrap();
    assert!(braintree.verify(&request(&form(XML))).is_ok());
    let old = payload(XML);
    let old = fields(&[("bt_signature", &signature("old:pair", &old)), ("bt_payload", &old)]);
    assert!(braintree.verify(&request(&old)).is_ok(), "while a pair is replaced");
    let challenge = "20f9f8ed05f77439fe955c977e4c8a53";
    let answer = braintree.answer_challenge(&format!("bt_challenge={challenge}")).unwrap();
    assert_eq!(answer, Ok(signature(PAIR, challenge)));
    let long = "a".repeat(33);
    for (query, code) in [
        ("", RejectionCode::MissingHeader),
        ("bt_challenge=", RejectionCode::MissingHeader),
        ("bt_challenge=abc", RejectionCode::MalformedHeader),
        ("bt_challenge=20F9F8ED05F77439FE955C977E4C8A53", RejectionCode::MalformedHeader),
        ("bt_challenge=20f9f8ed05f77439fe955c977e4c8a5%0A", RejectionCode::MalformedHeader),
        (&format!("bt_challenge={long}"), RejectionCode::MalformedHeader),
    ] {
        let refused = braintree.answer_challenge(query).unwrap().unwrap_err();
        assert_eq!(refused.code, code, "{query}");
    }
}

fn notification(kind: &str, subject: &str) -> Vec<u8> {
    form(
        format!(
            "<notification><timestamp>2026-11-20T16:00:00Z</timestamp><kind>{kind}</kind>\
             <subject>{subject}</subject></notification>"
        )
        .as_bytes(),
    )
}

#[test]
fn bodies_that_are_no_notifications_are_malformed() {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    for xml in [
        "",
        "{}",
        "<notification>",
        "<other/>",
        "<notification/>",
        "<notification><kind>check</kind></notification>",
        "<notification><kind>check</kind><timestamp>2026</timestamp></notification>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><notification><kind>&x;</kind></notification>",
        &deep,
    ] {
        let shown: String = xml.chars().take(60).collect();
        assert!(parse(&form(xml.as_bytes())).is_err(), "{shown}");
    }
    for body in [&b""[..], b"bt_payload=%", b"bt_payload=!!!!", b"bt_payload=/w%3D%3D", b"\xff"] {
        assert!(parse(body).is_err(), "{body:?}");
    }
    let long = format!("<transaction><id>{}</id></transaction>", "x".repeat(1024 * 1024));
    assert_eq!(parse(&notification("transaction_settled", &long)).unwrap().len(), 1);
}

#[test]
fn a_bad_amount_costs_the_amount_and_nothing_else() {
    let read = |amount: &str, currency: &str| {
        let subject = format!(
            "<transaction><id>bt_1</id><status>settled</status><amount>{amount}</amount>\
             <currency-iso-code>{currency}</currency-iso-code></transaction>"
        );
        let event = parse(&notification("transaction_settled", &subject)).unwrap().remove(0);
        assert_eq!(event.kind, EventKind::PaymentSucceeded);
        assert_eq!(event.payment.as_deref(), Some("bt_1"));
        event.amount.map(|amount| amount.minor)
    };
    for (amount, currency, minor) in
        [("29", "USD", 2900), ("29.5", "usd", 2950), ("2900", "JPY", 2900), ("1.234", "KWD", 1234)]
    {
        assert_eq!(read(amount, currency), Some(minor), "{amount} {currency}");
    }
    for amount in ["", "-1.00", "0", "0.00", "29.005", "1e3", "1,50", "90071992547409.93", "x"] {
        assert_eq!(read(amount, "USD"), None, "{amount}");
    }
    for currency in ["", "XXQ", "$"] {
        assert_eq!(read("29.00", currency), None, "{currency}");
    }
}

/// What lies beside the repository, where it is.
fn beside(path: &str) -> Option<Value> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(path);
    Some(serde_json::from_slice(&std::fs::read(path).ok()?).unwrap())
}

#[test]
fn the_librarys_own_vectors() {
    let Some(vectors) = beside("vectors/braintree.json") else { return };
    for case in vectors["cases"].as_array().unwrap() {
        let body = STANDARD.decode(case["body_base64"].as_str().unwrap()).unwrap();
        let texts = |name: &str| case[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap());
        let pairs: Vec<String> = texts("public_keys")
            .zip(texts("secrets"))
            .map(|(public, private)| format!("{public}:{private}"))
            .collect();
        let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
        let wanted = match case["name"].as_str().unwrap() {
            name if name.starts_with("valid") => None,
            "invalid_missing_payload" => Some(RejectionCode::MissingHeader),
            "invalid_signature_without_pipe" => Some(RejectionCode::MalformedHeader),
            _ => Some(RejectionCode::NoSignatureMatch),
        };
        let verdict = judge(&body, &pairs).map_err(|no| no.code).err();
        assert_eq!(verdict, wanted, "{}", case["name"]);
    }
}

#[test]
fn the_librarys_own_samples() {
    use EventKind as K;
    for (name, kind, payment) in [
        ("subscription_charged_unsuccessfully", K::PaymentFailed, Some("sub_demo_1")),
        ("subscription_charged_successfully", K::PaymentSucceeded, Some("sub_demo_1")),
        ("subscription_went_past_due", K::PaymentFailed, None),
        ("subscription_canceled", K::SubscriptionCancelled, None),
        ("subscription_expired", K::SubscriptionCancelled, None),
        ("transaction_settled", K::PaymentSucceeded, Some("sub_demo_1")),
        ("transaction_settlement_declined", K::PaymentFailed, Some("sub_demo_1")),
        ("dispute_opened", K::Disputed, Some("sub_demo_1")),
        ("dispute_lost", K::DisputeClosed, Some("sub_demo_1")),
        ("refund_failed", K::Other, Some("sub_demo_1")),
        ("payment_method_revoked_by_customer", K::PaymentMethodRemoved, None),
        ("granted_payment_method_revoked", K::PaymentMethodRemoved, None),
        ("payment_method_customer_data_updated", K::PaymentMethodUpdated, None),
        ("account_updater_daily_report", K::Other, None),
        ("check", K::Other, None),
    ] {
        let Some(sample) = beside(&format!("fixtures/braintree/{name}.json")) else { return };
        let text = |field: &str| sample[field].as_str().unwrap();
        let body =
            fields(&[("bt_signature", text("bt_signature")), ("bt_payload", text("bt_payload"))]);
        assert!(judge(&body, &["integration_public_key:integration_private_key"]).is_ok());
        let event = parse(&body).unwrap().remove(0);
        assert_eq!((event.kind, event.payment.as_deref()), (kind, payment), "{name}");
        assert!(event.id.starts_with(&format!("{name}:")), "{}", event.id);
        assert!(event.id.ends_with(":2026-11-21T19:41:22Z"), "{}", event.id);
        assert_eq!(event.needs_fetch, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_changed_byte_is_never_authentic_and_never_a_panic(
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let payload = payload(XML);
        let mut changed = payload.clone().into_bytes();
        let at = at.index(changed.len() - 1);
        prop_assume!(changed[at] != to);
        changed[at] = to;
        let changed = String::from_utf8_lossy(&changed).into_owned();
        let good = signature(PAIR, &payload);
        let body = fields(&[("bt_signature", &good), ("bt_payload", &changed)]);
        prop_assert!(judge(&body, &[PAIR]).is_err());
        let _ = parse(&body);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&bytes, &[PAIR]);
        let _ = parse(&bytes);
        let _ = parse(&form(&bytes));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = judge(&fields(&[("bt_signature", &text), ("bt_payload", &text)]), &[PAIR]);
    }

    #[test]
    fn no_cut_or_changed_document_panics(
        at in any::<prop::sample::Index>(),
        to in "[ -~]{0,3}",
    ) {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhooks/braintree");
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let at = at.index(text.len());
            let _ = parse(&form(format!("{}{to}{}", &text[..at], &text[at..]).as_bytes()));
            let _ = parse(&form(&text.as_bytes()[..at]));
        }
    }
}
