//! Adyen's webhooks: each item signed for itself, or the body as a whole; and what they say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proptest::prelude::*;
use recoup::core::decline::{Advice, Category, RawDecline};
use recoup::core::event::{Event, EventKind, NativeRetry};
use recoup::gateway::adyen::webhook;
use recoup::gateway::{Rejection, RejectionCode as C, WebhookRequest};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

const KEY: &str = "0011223344556677889900AABBCCDDEEFF00112233445566778899AABBCCDDEE";
const OTHER: &str = "FF11223344556677889900AABBCCDDEEFF00112233445566778899AABBCCDDFF";

/// What Adyen signs, written down once more: not by the code under test.
const SIGNED: [&str; 8] = [
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    "/merchantReference",
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
];

fn base64_mac(key: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&hex::decode(key).unwrap()).unwrap();
    mac.update(message);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn item() -> Value {
    json!({
        "additionalData": { "refusalReasonRaw": "51 : Insufficient funds" },
        "amount": { "currency": "EUR", "value": 4500 }, "eventCode": "AUTHORISATION",
        "eventDate": "2026-11-20T19:40:00+01:00", "merchantAccountCode": "CafeNubeECOM",
        "merchantReference": "INV-42", "originalReference": "PSP0", "paymentMethod": "visa",
        "pspReference": "PSP1", "reason": "Not enough balance", "success": "false",
    })
}

fn signed(mut item: Value, key: &str) -> Value {
    let text = |pointer: &&str| match item.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) if !other.is_null() => other.to_string(),
        _ => String::new(),
    };
    let message = SIGNED.iter().map(text).collect::<Vec<_>>().join(":");
    item["additionalData"]["hmacSignature"] = json!(base64_mac(key, message.as_bytes()));
    item
}

fn notification(items: &[Value]) -> Vec<u8> {
    let wrapped: Vec<Value> =
        items.iter().map(|item| json!({ "NotificationRequestItem": item })).collect();
    json!({ "live": "false", "notificationItems": wrapped }).to_string().into_bytes()
}

fn judge(body: &[u8], headers: &[(&str, &str)], secrets: &[&str]) -> Result<(), Rejection> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
    let request = WebhookRequest { body, headers: &headers, url: None, now: Timestamp::UNIX_EPOCH };
    webhook::verify(&request, &secrets)
}

fn refused(verdict: Result<(), Rejection>) -> Option<(C, Option<usize>)> {
    verdict.err().map(|no| (no.code, no.item))
}

fn parse(body: &[u8]) -> Vec<Event> {
    let request = WebhookRequest { body, headers: &[], url: None, now: Timestamp::UNIX_EPOCH };
    webhook::parse(&request).unwrap()
}

fn event_of(item: &Value) -> Event {
    parse(&notification(std::slice::from_ref(item))).remove(0)
}

#[test]
fn every_signed_field_counts_and_no_other() {
    let good = signed(item(), KEY);
    assert_eq!(
        refused(judge(&notification(std::slice::from_ref(&good)), &[], &[OTHER, KEY])),
        None
    );
    for field in SIGNED {
        let mut changed = good.clone();
        let value = changed.pointer_mut(field).unwrap();
        *value = if value.is_number() { json!(1) } else { json!("true") };
        let verdict = judge(&notification(&[changed]), &[], &[KEY]);
        assert_eq!(refused(verdict), Some((C::NoSignatureMatch, Some(0))), "{field}");
    }
    let mut unsigned = good;
    unsigned["reason"] = json!("Blocked Card");
    unsigned["additionalData"]["refusalReasonRaw"] = json!("43 : Stolen card");
    assert_eq!(refused(judge(&notification(&[unsigned]), &[], &[KEY])), None);
}

#[test]
fn what_is_absent_is_empty_and_truth_may_be_no_text() {
    let mut sparse = item();
    sparse["originalReference"] = Value::Null;
    sparse.as_object_mut().unwrap().remove("merchantReference");
    sparse["success"] = json!(true);
    let body = notification(&[signed(sparse, KEY)]);
    assert_eq!(refused(judge(&body, &[], &[KEY])), None);
    assert_eq!(parse(&body)[0].kind, EventKind::PaymentSucceeded);
}

#[test]
fn a_signed_text_is_no_other_fields() {
    // `INV:INV-42` of the merchant's `M` reads like `INV-42` of a merchant `M:INV`.
    let mut told = item();
    told["merchantReference"] = json!("INV:INV-42");
    let told = signed(told, KEY);
    assert_eq!(refused(judge(&notification(std::slice::from_ref(&told)), &[], &[KEY])), None);
    let mut shifted = told;
    shifted["merchantAccountCode"] = json!("CafeNubeECOM:INV");
    shifted["merchantReference"] = json!("INV-42");
    let verdict = judge(&notification(&[shifted]), &[], &[KEY]);
    assert_eq!(refused(verdict), Some((C::NoSignatureMatch, Some(0))));
}

#[test]
fn one_good_item_vouches_for_no_other() {
    let good = signed(item(), KEY);
    let mut forged = good.clone();
    forged["success"] = json!("true");
    let mut bare = good.clone();
    bare["additionalData"]["hmacSignature"] = json!("");
    for (items, wanted) in [
        (vec![good.clone(), good.clone()], None),
        (vec![good.clone(), forged], Some((C::NoSignatureMatch, Some(1)))),
        (vec![good.clone(), good.clone(), bare], Some((C::MissingHeader, Some(2)))),
        (vec![good, json!([])], Some((C::MalformedBody, Some(1)))),
        (vec![], Some((C::MalformedBody, None))),
    ] {
        assert_eq!(refused(judge(&notification(&items), &[], &[KEY])), wanted);
    }
}

#[test]
fn a_signature_in_another_spelling_is_none() {
    let good = signed(item(), KEY);
    let text = good["additionalData"]["hmacSignature"].as_str().unwrap().to_owned();
    let in_hex = hex::encode(STANDARD.decode(&text).unwrap());
    for (spelled, code) in [
        (json!(in_hex), C::NoSignatureMatch),
        (json!(text.trim_end_matches('=')), C::NoSignatureMatch),
        (json!(&text[..20]), C::NoSignatureMatch),
        (json!(text.to_lowercase()), C::NoSignatureMatch),
        (json!("not base64!"), C::MalformedHeader),
        (json!(7), C::MalformedHeader),
        (json!(" "), C::MissingHeader),
        (Value::Null, C::MissingHeader),
    ] {
        let mut item = good.clone();
        item["additionalData"]["hmacSignature"] = spelled.clone();
        let verdict = judge(&notification(&[item]), &[], &[KEY]);
        assert_eq!(refused(verdict), Some((code, Some(0))), "{spelled}");
    }
}

#[test]
fn the_body_tells_which_scheme_signs_it() {
    let body = br#"{"type":"recurring.token.created","eventId":"E1","data":{}}"#;
    let signature = base64_mac(KEY, body);
    let header = [("hmacsignature", signature.as_str())];
    assert_eq!(refused(judge(body, &header, &[OTHER, KEY])), None);
    assert_eq!(refused(judge(body, &[], &[KEY])), Some((C::MissingHeader, None)));
    assert_eq!(
        refused(judge(body, &[("HmacSignature", " ")], &[KEY])),
        Some((C::MissingHeader, None))
    );
    assert_eq!(refused(judge(body, &header, &[OTHER])), Some((C::NoSignatureMatch, None)));
    let garbage = [("HmacSignature", "not base64!")];
    assert_eq!(refused(judge(body, &garbage, &[KEY])), Some((C::MalformedHeader, None)));
    // A notification is never vouched for by a header: what is signed are its items.
    let mut bare = item();
    bare["additionalData"] = json!({});
    let notification = notification(&[bare]);
    let signature = base64_mac(KEY, &notification);
    let header = [("HmacSignature", signature.as_str())];
    assert_eq!(refused(judge(&notification, &header, &[KEY])), Some((C::MissingHeader, Some(0))));
    assert_eq!(refused(judge(b"{\"live\":", &[], &[KEY])), Some((C::MalformedBody, None)));
}

#[test]
fn hints_name_the_cause_and_no_secret() {
    let body = notification(&[signed(item(), KEY)]);
    let spaced = format!("{KEY}\n");
    for (secret, words) in [
        ("AQEyhmfxL4made_up_api_key", "no hexadecimal text"),
        (spaced.as_str(), "line end around"),
        (OTHER, "another endpoint"),
        ("", "another endpoint"),
    ] {
        let hint = judge(&body, &[], &[secret]).unwrap_err().to_string();
        assert!(hint.contains(words), "{hint}");
        assert!(!hint.contains("made_up") && !hint.contains("001122"), "{hint}");
    }
    let pretty = b"{ \"type\": \"x\" }";
    let signature = base64_mac(KEY, b"{\"type\":\"x\"}");
    let hint = judge(pretty, &[("HmacSignature", signature.as_str())], &[KEY]).unwrap_err();
    assert!(hint.hint.contains("parsed and written again"), "{hint}");
}

#[test]
fn a_batch_is_split_into_notifications_of_one_item() {
    let mut second = item();
    second["pspReference"] = json!("PSP2");
    let body = notification(&[signed(item(), KEY), signed(second, KEY)]);
    let request =
        WebhookRequest { body: &body, headers: &[], url: None, now: Timestamp::UNIX_EPOCH };
    let items = webhook::items(&request).unwrap();
    let ids: Vec<String> = items.iter().map(|one| parse(one).remove(0).id).collect();
    assert_eq!(ids, ["PSP1:AUTHORISATION:false", "PSP2:AUTHORISATION:false"]);
    assert_eq!(parse(&body).len(), 2);
    assert!(items.iter().all(|one| judge(one, &[], &[KEY]).is_ok()), "they stay verifiable");
}

#[test]
fn a_code_and_its_success_say_what_happened() {
    use EventKind as K;
    for (code, yes, no) in [
        ("AUTHORISATION", K::PaymentSucceeded, K::PaymentFailed),
        ("AUTORESCUE", K::PaymentSucceeded, K::PaymentFailed),
        ("CANCEL_AUTORESCUE", K::Other, K::Other),
        ("CAPTURE", K::Other, K::Other),
        ("CAPTURE_FAILED", K::PaymentFailed, K::PaymentFailed),
        ("REFUND", K::Refunded, K::Other),
        ("REFUND_FAILED", K::Other, K::Other),
        ("REFUNDED_REVERSED", K::Other, K::Other),
        ("CANCELLATION", K::Refunded, K::Other),
        ("CHARGEBACK", K::Disputed, K::Disputed),
        ("CHARGEBACK_REVERSED", K::DisputeClosed, K::DisputeClosed),
        ("NOTIFICATION_OF_FRAUD", K::Other, K::Other),
        ("PENDING", K::PaymentUnknown, K::PaymentUnknown),
        ("RECURRING_CONTRACT", K::PaymentMethodUpdated, K::Other),
        ("REPORT_AVAILABLE", K::Other, K::Other),
        ("BRAND_NEW", K::Other, K::Other),
    ] {
        for (success, kind) in [("true", yes), ("false", no)] {
            let mut told = item();
            told["eventCode"] = json!(code);
            told["success"] = json!(success);
            let event = event_of(&told);
            assert_eq!(event.kind, kind, "{code} {success}");
            let failed = kind == K::PaymentFailed;
            assert_eq!(event.decline.is_some(), failed, "{code} {success}");
        }
    }
    let mut unclear = item();
    unclear["success"] = json!("perhaps");
    assert_eq!(event_of(&unclear).kind, K::PaymentUnknown);
    let mut checked = item();
    checked["amount"]["value"] = json!(0);
    assert_eq!(event_of(&checked).kind, K::Other);
}

#[test]
fn auto_rescue_is_planned_over_or_unknown() {
    let read = |code: &str, success: &str, scheduled: Option<&str>| {
        let mut told = item();
        told["eventCode"] = json!(code);
        told["success"] = json!(success);
        told["additionalData"]["retry.rescueScheduled"] = json!(scheduled);
        event_of(&told).native_retry
    };
    let (planned, over) = (Some(NativeRetry::Planned), Some(NativeRetry::None));
    assert_eq!(read("AUTHORISATION", "false", Some("true")), planned);
    assert_eq!(read("AUTHORISATION", "false", Some("false")), over);
    assert_eq!(read("AUTHORISATION", "false", None), None);
    assert_eq!(read("AUTORESCUE", "false", None), over);
    assert_eq!(read("CANCEL_AUTORESCUE", "true", None), over);
    assert_eq!(read("CANCEL_AUTORESCUE", "false", None), None);
    assert_eq!(read("AUTORESCUE_NEXT_ATTEMPT", "true", None), planned);
}

#[test]
fn a_reference_of_ours_names_invoice_and_attempt() {
    let mut told = item();
    told["merchantReference"] = json!("INV-42-recoup-att_0123456789abcdef0123");
    let event = event_of(&told);
    assert_eq!(event.invoice.as_deref(), Some("INV-42"));
    let key = event.idempotency_key.unwrap();
    assert!(key.contains("att_0123456789abcdef0123"), "{key}");
    assert_eq!(event.payment.as_deref(), Some("PSP0"), "of a modification the original's");
    let own = event_of(&item());
    assert_eq!((own.invoice.as_deref(), own.idempotency_key), (Some("INV-42"), None));
}

#[test]
fn the_bank_s_number_says_more_than_refused() {
    for (reason, raw, code, network, category, advice) in [
        ("Refused", "51 : Not enough", "Refused", "51", Category::InsufficientFunds, Advice::None),
        ("Refused", "43 : Stolen", "Refused", "43", Category::LostOrStolen, Advice::Never),
        (
            "Expired Card",
            "54 : Expired",
            "Expired Card",
            "54",
            Category::CredentialOutdated,
            Advice::UpdateCredentials,
        ),
        ("Blocked Card", "05 : No", "Blocked Card", "05", Category::LostOrStolen, Advice::Never),
    ] {
        let mut told = item();
        told["reason"] = json!(reason);
        told["additionalData"]["refusalReasonRaw"] = json!(raw);
        let decline = event_of(&told).decline.unwrap();
        assert_eq!(decline.code.as_deref(), Some(code));
        assert_eq!(decline.network_code.as_deref(), Some(network));
        assert_eq!((decline.category, decline.advice), (category, advice), "{reason} {raw}");
    }
    let mut advised = item();
    advised["additionalData"]["merchantAdviceCode"] = json!("03 : Do not try again");
    let decline = event_of(&advised).decline.unwrap();
    assert_eq!(decline.network_advice_code.as_deref(), Some("03"));
    assert_eq!(decline.advice, Advice::Never);
}

#[test]
fn every_number_and_its_text_mean_the_same() {
    let told = |code: &str| {
        let raw = RawDecline { code: Some(code.to_owned()), ..RawDecline::default() };
        let decline = webhook::classified(&raw).decline;
        (decline.category, decline.advice)
    };
    for (number, text) in [
        ("2", "Refused"),
        ("4", "Acquirer Error"),
        ("5", "Blocked Card"),
        ("6", "Expired Card"),
        ("8", "Invalid Card Number"),
        ("9", "Issuer Unavailable"),
        ("12", "Not enough balance"),
        ("20", "FRAUD"),
        ("22", "FRAUD-CANCELLED"),
        ("24", "CVC Declined"),
        ("26", "Revocation Of Auth"),
        ("31", "Issuer Suspected Fraud"),
        ("38", "Authentication required"),
    ] {
        assert_eq!(told(number), told(text), "{number} {text}");
        assert_ne!(told(number).0, Category::Unknown, "{number}");
    }
    assert_eq!(told("999"), (Category::Unknown, Advice::None));
}

#[test]
fn bodies_that_are_none_of_adyens_are_malformed() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut nameless = item();
    nameless.as_object_mut().unwrap().remove("pspReference");
    let nameless = notification(&[nameless]);
    let bodies: [&[u8]; 10] = [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        br#"{"notificationItems":[]}"#,
        br#"{"notificationItems":{"a":1}}"#,
        br#"{"notificationItems":[{}]}"#,
        deep.as_bytes(),
        &nameless,
    ];
    for body in bodies {
        let request = WebhookRequest { body, headers: &[], url: None, now: Timestamp::UNIX_EPOCH };
        assert!(webhook::parse(&request).is_err(), "{:?}", &body[..body.len().min(40)]);
    }
    let mut long = item();
    long["merchantReference"] = json!("x".repeat(1024 * 1024));
    assert_eq!(event_of(&long).invoice.unwrap().len(), 1024 * 1024);
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_and_no_signature_panic(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        signature in "\\PC{0,60}",
        secret in "\\PC{0,80}",
    ) {
        let _ = judge(&body, &[("HmacSignature", signature.as_str())], &[secret.as_str()]);
        let mut item = item();
        item["additionalData"]["hmacSignature"] = json!(signature);
        let verdict = judge(&notification(&[item]), &[], &[secret.as_str()]);
        prop_assert!(verdict.is_err());
    }
}
