//! Signatures against vectors that the gateways' own libraries made, and against damage.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use proptest::prelude::*;
use recoup::gateway::{self, Rejection, RejectionCode, WebhookRequest};
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;

/// 2026-11-20T18:40:00Z.
const NOW: i64 = 1_795_200_000;
const STRIPE_SECRET: &str = "whsec_made_up_for_tests";
/// `whsec_` and base64 of 32 made-up bytes.
const HTTP_SECRET: &str = "whsec_bWFkZS11cC1mb3ItdGVzdHMtb25seS0zMi1ieXRlcw==";
const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;

/// Under which name a case's address stands among its headers.
const ADDRESS: &str = ":address";

type Headers = Vec<(String, String)>;

fn judge(
    kind: &str,
    body: &[u8],
    headers: &Headers,
    secrets: &[&str],
    now: i64,
) -> Result<(), Rejection> {
    let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
    let now = Timestamp::from_second(now).unwrap();
    let address = headers.iter().find(|(name, _)| name == ADDRESS).map(|(_, url)| url.as_str());
    let request = WebhookRequest { body, headers, url: address, now };
    (gateway::kind(kind).unwrap().verify)(&request, &secrets)
}

fn code(verdict: Result<(), Rejection>) -> Option<RejectionCode> {
    verdict.err().map(|no| no.code)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn pairs(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn stripe_signature(secret: &str, at: i64, body: &[u8]) -> String {
    hex::encode(mac(secret.as_bytes(), &[at.to_string().as_bytes(), b".", body]))
}

fn stripe(header: &str) -> Headers {
    pairs(&[("Stripe-Signature", header)])
}

fn signed_stripe(at: i64, body: &[u8]) -> Headers {
    stripe(&format!("t={at},v1={}", stripe_signature(STRIPE_SECRET, at, body)))
}

fn http_signature(id: &str, at: &str, body: &[u8]) -> String {
    let key = STANDARD.decode(HTTP_SECRET.trim_start_matches("whsec_")).unwrap();
    STANDARD.encode(mac(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", body]))
}

fn http(family: &str, id: &str, at: &str, signature: &str) -> Headers {
    vec![
        (format!("{family}-id"), id.to_owned()),
        (format!("{family}-timestamp"), at.to_owned()),
        (format!("{family}-signature"), signature.to_owned()),
    ]
}

fn signed_http(at: i64, body: &[u8]) -> Headers {
    let signature = format!("v1,{}", http_signature("msg_1", &at.to_string(), body));
    http("webhook", "msg_1", &at.to_string(), &signature)
}

#[test]
fn stripe_says_which_check_failed() {
    use RejectionCode as C;
    let good = stripe_signature(STRIPE_SECRET, NOW, BODY);
    let zeros = "0".repeat(64);
    for (header, wanted) in [
        (format!("t={NOW},v1={good}"), None),
        (format!("v1={good},t={NOW}"), None),
        (format!("t={NOW},v1={zeros},v1={good}"), None),
        (format!("t={NOW},v0=zz,foo=bar,baz,v1={good}"), None),
        (String::new(), Some(C::MissingHeader)),
        ("  ".to_owned(), Some(C::MissingHeader)),
        ("x".to_owned(), Some(C::MalformedHeader)),
        (format!("v1={good}"), Some(C::MalformedHeader)),
        (format!("t=,v1={good}"), Some(C::MalformedHeader)),
        (format!("t=abc,v1={good}"), Some(C::MalformedHeader)),
        (format!("t=-{NOW},v1={good}"), Some(C::MalformedHeader)),
        (format!("t={NOW},t={NOW},v1={good}"), Some(C::MalformedHeader)),
        (format!("t=99999999999999999999,v1={good}"), Some(C::MalformedHeader)),
        (format!("t={NOW}"), Some(C::NoSignatureMatch)),
        (format!("t={NOW},v0={good}"), Some(C::NoSignatureMatch)),
        (format!("t={NOW},V1={good}"), Some(C::NoSignatureMatch)),
        (format!("t={NOW},v1={}", good.to_uppercase()), Some(C::NoSignatureMatch)),
        (format!("t={NOW},v1={}", &good[..62]), Some(C::NoSignatureMatch)),
        (format!("t={NOW},v1={good}00"), Some(C::NoSignatureMatch)),
        (format!("t={NOW},v1="), Some(C::NoSignatureMatch)),
        (format!("t={},v1={good}", NOW + 1), Some(C::NoSignatureMatch)),
        (format!("t=0{NOW},v1={good}"), Some(C::NoSignatureMatch)),
    ] {
        let verdict = judge("stripe", BODY, &stripe(&header), &[STRIPE_SECRET], NOW);
        assert_eq!(code(verdict), wanted, "{header}");
    }
    assert_eq!(code(judge("stripe", BODY, &vec![], &[STRIPE_SECRET], NOW)), Some(C::MissingHeader));
}

#[test]
fn any_of_several_secrets_counts_and_an_empty_one_never() {
    let headers = signed_stripe(NOW, BODY);
    assert!(judge("stripe", BODY, &headers, &["whsec_old", STRIPE_SECRET], NOW).is_ok());
    assert!(judge("stripe", BODY, &headers, &["whsec_old"], NOW).is_err());
    assert!(judge("stripe", BODY, &headers, &[], NOW).is_err());
    let forged = stripe(&format!("t={NOW},v1={}", stripe_signature("", NOW, BODY)));
    assert!(judge("stripe", BODY, &forged, &[""], NOW).is_err());
    let forged = STANDARD.encode(mac(b"", &[b"msg_1.", NOW.to_string().as_bytes(), b".", BODY]));
    let forged = http("webhook", "msg_1", &NOW.to_string(), &format!("v1,{forged}"));
    for empty in ["", "whsec_"] {
        assert!(judge("http", BODY, &forged, &[empty], NOW).is_err());
    }
}

#[test]
fn time_is_judged_only_after_a_signature_matched() {
    use RejectionCode as C;
    for (age, wanted) in [
        (300, None),
        (301, Some(C::TimestampTooOld)),
        (-300, None),
        (-301, Some(C::TimestampInFuture)),
    ] {
        let (stripe, http) = (signed_stripe(NOW, BODY), signed_http(NOW, BODY));
        assert_eq!(code(judge("stripe", BODY, &stripe, &[STRIPE_SECRET], NOW + age)), wanted);
        assert_eq!(code(judge("http", BODY, &http, &[HTTP_SECRET], NOW + age)), wanted);
        if age.abs() > 300 {
            let other = Some(C::NoSignatureMatch);
            assert_eq!(code(judge("stripe", b"x", &stripe, &[STRIPE_SECRET], NOW + age)), other);
            assert_eq!(code(judge("http", b"x", &http, &[HTTP_SECRET], NOW + age)), other);
        }
    }
    let millis = NOW * 1000;
    let headers = signed_stripe(millis, BODY);
    let verdict = judge("stripe", BODY, &headers, &[STRIPE_SECRET], NOW);
    assert_eq!(code(verdict), Some(C::TimestampInFuture));
}

#[test]
fn standard_webhooks_says_which_check_failed() {
    use RejectionCode as C;
    let now = NOW.to_string();
    let good = http_signature("msg_1", &now, BODY);
    let key = STANDARD.decode(HTTP_SECRET.trim_start_matches("whsec_")).unwrap();
    let in_hex = hex::encode(mac(&key, &[b"msg_1.", now.as_bytes(), b".", BODY]));
    for (signature, wanted) in [
        (format!("v1,{good}"), None),
        (format!("v1a,AAAA v2,{good} v1,{good}"), None),
        (format!("v1,AAAA  v1,{good}"), None),
        (String::new(), Some(C::MissingHeader)),
        ("not-a-signature".to_owned(), Some(C::MalformedHeader)),
        (good.clone(), Some(C::NoSignatureMatch)),
        (format!("v1a,{good}"), Some(C::NoSignatureMatch)),
        (format!("v2,{good}"), Some(C::NoSignatureMatch)),
        (format!("V1,{good}"), Some(C::NoSignatureMatch)),
        (format!("v1={good}"), Some(C::NoSignatureMatch)),
        (format!("v1,{in_hex}"), Some(C::NoSignatureMatch)),
        (format!("v1,{}", good.trim_end_matches('=')), Some(C::NoSignatureMatch)),
    ] {
        let headers = http("webhook", "msg_1", &now, &signature);
        let verdict = judge("http", BODY, &headers, &[HTTP_SECRET], NOW);
        assert_eq!(code(verdict), wanted, "{signature}");
    }
    for at in ["soon", "1.5", "-1", "99999999999999999999"] {
        let headers = http("webhook", "msg_1", at, &format!("v1,{good}"));
        let verdict = judge("http", BODY, &headers, &[HTTP_SECRET], NOW);
        assert_eq!(code(verdict), Some(C::MalformedHeader), "{at}");
    }
}

#[test]
fn standard_webhooks_takes_both_families_any_id_and_any_bytes() {
    let now = NOW.to_string();
    let bytes = [0xff, 0x00, b'\n', 0xfe];
    for (family, id, body) in [
        ("svix", "msg_1", BODY),
        ("Webhook", "msg.with.dots", BODY),
        ("WEBHOOK", "ñandú", &bytes[..]),
        ("svix", "msg_1", b""),
    ] {
        let headers = http(family, id, &now, &format!("v1,{}", http_signature(id, &now, body)));
        for secret in [
            HTTP_SECRET,
            HTTP_SECRET.trim_start_matches("whsec_"),
            HTTP_SECRET.trim_end_matches('='),
        ] {
            assert!(judge("http", body, &headers, &[secret], NOW).is_ok(), "{family} {id}");
        }
    }
    let all =
        http("webhook", "msg_1", &now, &format!("v1,{}", http_signature("msg_1", &now, BODY)));
    for missing in 0..3 {
        let mut headers = all.clone();
        headers.remove(missing);
        let verdict = judge("http", BODY, &headers, &[HTTP_SECRET], NOW);
        assert_eq!(code(verdict), Some(RejectionCode::MissingHeader));
        let mut headers = all.clone();
        headers[missing].1.clear();
        let verdict = judge("http", BODY, &headers, &[HTTP_SECRET], NOW);
        assert_eq!(code(verdict), Some(RejectionCode::MissingHeader));
    }
}

const CHECKOUT_KEY: &str = "made-up-signature-key";

fn signed_checkout(body: &[u8]) -> Headers {
    let signature = hex::encode(mac(CHECKOUT_KEY.as_bytes(), &[body]));
    pairs(&[("cko-signature", &signature)])
}

#[test]
fn checkout_says_which_check_failed() {
    use RejectionCode as C;
    let good = hex::encode(mac(CHECKOUT_KEY.as_bytes(), &[BODY]));
    for (signature, wanted) in [
        (good.clone(), None),
        (format!(" {good} "), None),
        (String::new(), Some(C::MissingHeader)),
        ("not hex".to_owned(), Some(C::MalformedHeader)),
        (format!("sha256={good}"), Some(C::MalformedHeader)),
        (good.to_uppercase(), Some(C::NoSignatureMatch)),
        (good[..63].to_owned(), Some(C::NoSignatureMatch)),
        (good[..62].to_owned(), Some(C::NoSignatureMatch)),
        (format!("{good}00"), Some(C::NoSignatureMatch)),
        ("0".repeat(64), Some(C::NoSignatureMatch)),
    ] {
        let headers = pairs(&[("Cko-Signature", &signature)]);
        let verdict = judge("checkout", BODY, &headers, &["old-key", CHECKOUT_KEY], NOW);
        assert_eq!(code(verdict), wanted, "{signature}");
    }
    let headers = signed_checkout(BODY);
    let years_later = judge("checkout", BODY, &headers, &[CHECKOUT_KEY], NOW + 100_000_000);
    assert!(years_later.is_ok(), "there is no time in the scheme");
    let empty = pairs(&[("Cko-Signature", &hex::encode(mac(b"", &[BODY])))]);
    assert!(judge("checkout", BODY, &empty, &[""], NOW).is_err());
    assert!(judge("checkout", BODY, &headers, &[], NOW).is_err());
}

#[test]
fn hints_name_the_usual_cause_and_no_secret() {
    let hint = |verdict: Result<(), Rejection>| verdict.unwrap_err().to_string();
    let body = br#"{"a":1,"b":[1,2]}"#;
    let headers = signed_stripe(NOW, body);
    let rewritten = b"{ \"a\": 1, \"b\": [1, 2] }";
    let found = hint(judge("stripe", rewritten, &headers, &[STRIPE_SECRET], NOW));
    assert!(found.contains("parsed and written again"), "{found}");
    let found =
        hint(judge("stripe", b"{\"a\":1,\"b\":[1,2]}\r\n", &headers, &[STRIPE_SECRET], NOW));
    assert!(found.contains("line end"), "{found}");
    for (secret, words) in [
        ("sk_live_made_up_secret", "API key"),
        ("made_up_secret", "begins with `whsec_`"),
        ("whsec_made_up_secret\n", "line end around"),
        ("whsec_made_up_other", "another endpoint"),
    ] {
        let found = hint(judge("stripe", body, &headers, &[secret], NOW));
        assert!(found.contains(words), "{found}");
        assert!(!found.contains("made_up"), "{found}");
    }
    let found = hint(judge("http", body, &signed_http(NOW, BODY), &["not base64!"], NOW));
    assert!(found.contains("base64") && !found.contains("not base64!"), "{found}");
    let found = hint(judge("stripe", body, &headers, &[STRIPE_SECRET], NOW + 4000));
    assert!(found.contains("4000 seconds old"), "{found}");
}

const MP_SECRET: &str = "made_up_for_mercado_pago";
const WOMPI_SECRET: &str = "test_events_made_up";

fn mercado_pago(manifest: &str, query: &str, request_id: Option<&str>) -> Headers {
    let signature = hex::encode(mac(MP_SECRET.as_bytes(), &[manifest.as_bytes()]));
    let header = format!("ts=1795200000,v1={signature}");
    let mut headers = pairs(&[("X-Signature", &header)]);
    headers.extend(request_id.map(|id| ("x-request-id".to_owned(), id.to_owned())));
    headers.push((ADDRESS.to_owned(), format!("https://hooks.example/x?{query}")));
    headers
}

#[test]
fn mercado_pago_signs_the_id_of_the_query() {
    let id = "data.id=77&type=payment";
    for (manifest, query, request_id, authentic) in [
        ("id:77;request-id:r-1;ts:1795200000;", id, Some("r-1"), true),
        ("id:77;ts:1795200000;", id, None, true),
        ("request-id:r-1;ts:1795200000;", "type=payment", Some("r-1"), true),
        ("id:ord01;ts:1795200000;", "data.id=ORD01", None, true),
        ("id:ORD01;ts:1795200000;", "data.id=ORD01", None, true),
        ("id:a b;ts:1795200000;", "data.id=a%20b", None, true),
        ("id:77;request-id:r-1;ts:1795200000;", id, Some("r-2"), false),
        ("id:77;request-id:r-1;ts:1795200000;", id, None, false),
        ("id:77;ts:1795200000;", "data.id=78", None, false),
        ("id:77;ts:1795200001;", id, None, false),
        ("id:77;ts:1795200000", id, None, false),
    ] {
        let headers = mercado_pago(manifest, query, request_id);
        let verdict = judge("mercadopago", BODY, &headers, &["old", MP_SECRET], NOW * 2);
        assert_eq!(verdict.is_ok(), authentic, "{manifest} {query} {verdict:?}");
        if let Err(no) = verdict {
            assert_eq!(no.code, RejectionCode::NoSignatureMatch);
            assert!(!no.hint.contains(MP_SECRET));
        }
    }
}

#[test]
fn mercado_pago_says_which_check_failed() {
    use RejectionCode as C;
    let good = hex::encode(mac(MP_SECRET.as_bytes(), &[b"ts:1;"]));
    for (header, wanted) in [
        (format!(" TS = 1 , v1 = {good} "), None),
        (String::new(), Some(C::MissingHeader)),
        ("hello".to_owned(), Some(C::MalformedHeader)),
        (format!("v1={good}"), Some(C::MalformedHeader)),
        (format!("ts=,v1={good}"), Some(C::MalformedHeader)),
        (format!("ts=soon,v1={good}"), Some(C::MalformedHeader)),
        ("ts=1".to_owned(), Some(C::NoSignatureMatch)),
        (format!("ts=1,v2={good}"), Some(C::NoSignatureMatch)),
        (format!("ts=1,v1={}", good.to_uppercase()), Some(C::NoSignatureMatch)),
        (format!("ts=1,v1={}", &good[..62]), Some(C::NoSignatureMatch)),
    ] {
        let verdict =
            judge("mercadopago", BODY, &pairs(&[("x-signature", &header)]), &[MP_SECRET], NOW);
        assert_eq!(code(verdict), wanted, "{header}");
    }
}

fn wompi(properties: &str, values: &str, time: &str) -> String {
    use sha2::Digest as _;
    let checksum = hex::encode(Sha256::digest(format!("{values}{time}{WOMPI_SECRET}").as_bytes()));
    format!(
        r#"{{"event":"transaction.updated","data":{{"transaction":{{"id":"1-2","status":"APPROVED",
        "amount_in_cents":4490000,"reference":"in_1"}}}},"timestamp":{time},
        "signature":{{"properties":{properties},"checksum":"{checksum}"}}}}"#
    )
}

#[test]
fn wompi_says_which_check_failed() {
    use RejectionCode as C;
    let usual = r#"["transaction.id","transaction.status","transaction.amount_in_cents"]"#;
    let values = "1-2APPROVED4490000";
    let good = wompi(usual, values, "1795200000");
    let id_alone = wompi(r#"["transaction.id"]"#, "1-2", "1795200000");
    let shifted = wompi(usual, values, "795200000");
    for (body, wanted) in [
        (good.clone(), None),
        (good.replace("4490000", "4490001"), Some(C::NoSignatureMatch)),
        (good.replace("APPROVED", "DECLINED"), Some(C::NoSignatureMatch)),
        (good.replace("\"1-2\"", "\"1-3\""), Some(C::NoSignatureMatch)),
        (good.replace("1795200000", "1795200001"), Some(C::NoSignatureMatch)),
        (good.replace("\"id\":", "\"ix\":"), Some(C::NoSignatureMatch)),
        (good.replace("checksum", "other"), Some(C::MissingHeader)),
        (good.replace("properties", "other"), Some(C::MalformedBody)),
        (good.replace("timestamp", "other"), Some(C::MalformedBody)),
        (good[..90].to_owned(), Some(C::MalformedBody)),
        (wompi("[]", "", "1795200000"), Some(C::NoSignatureMatch)),
        (id_alone, Some(C::NoSignatureMatch)),
        (shifted, Some(C::NoSignatureMatch)),
    ] {
        let verdict = judge("wompi", body.as_bytes(), &vec![], &["old", WOMPI_SECRET], NOW * 2);
        assert_eq!(code(verdict), wanted, "{body}");
    }
    let other = pairs(&[("x-event-checksum", &"0".repeat(64))]);
    let verdict = judge("wompi", good.as_bytes(), &other, &[WOMPI_SECRET], NOW);
    assert_eq!(code(verdict), Some(C::NoSignatureMatch));
    assert!(judge("wompi", good.as_bytes(), &vec![], &[""], NOW).is_err());
    let body: Value = serde_json::from_str(&good).unwrap();
    let checksum = body["signature"]["checksum"].as_str().unwrap();
    let upper = good.replace(checksum, &checksum.to_uppercase());
    assert!(judge("wompi", upper.as_bytes(), &vec![], &[WOMPI_SECRET], NOW).is_ok());
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_flipped_bit_anywhere_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let (stripe, http) = (signed_stripe(NOW, &body), signed_http(NOW, &body));
        prop_assert!(judge("stripe", &body, &stripe, &[STRIPE_SECRET], NOW).is_ok());
        prop_assert!(judge("http", &body, &http, &[HTTP_SECRET], NOW).is_ok());
        let checkout = signed_checkout(&body);
        prop_assert!(judge("checkout", &body, &checkout, &[CHECKOUT_KEY], NOW).is_ok());
        let mut damaged = body.clone();
        damaged[at.index(body.len())] ^= 1 << bit;
        let refused = Some(RejectionCode::NoSignatureMatch);
        let verdict = judge("stripe", &damaged, &stripe, &[STRIPE_SECRET], NOW);
        prop_assert_eq!(code(verdict), refused);
        let verdict = judge("http", &damaged, &http, &[HTTP_SECRET], NOW);
        prop_assert_eq!(code(verdict), refused);
        let verdict = judge("checkout", &damaged, &checkout, &[CHECKOUT_KEY], NOW);
        prop_assert_eq!(code(verdict), refused);
    }

    #[test]
    fn a_damaged_header_is_refused_without_panic(
        at in any::<prop::sample::Index>(),
        to in "[ -~]",
    ) {
        for (kind, headers, secret) in [
            ("stripe", signed_stripe(NOW, BODY), STRIPE_SECRET),
            ("http", signed_http(NOW, BODY), HTTP_SECRET),
            ("checkout", signed_checkout(BODY), CHECKOUT_KEY),
        ] {
            for which in 0..headers.len() {
                let mut damaged = headers.clone();
                let value = &mut damaged[which].1;
                let at = at.index(value.len());
                if value[at..=at] != to {
                    value.replace_range(at..=at, &to);
                    let verdict = judge(kind, BODY, &damaged, &[secret], NOW);
                    prop_assert!(verdict.is_err(), "{:?}", damaged);
                }
            }
        }
    }
}

/// The vectors beside the repository, where they are.
fn beside(path: &str) -> Option<Value> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(path);
    Some(serde_json::from_slice(&std::fs::read(path).ok()?).unwrap())
}

fn headers_of(case: &Value) -> Headers {
    let headers = case["headers"].as_object().into_iter().flatten();
    let mut all: Headers =
        headers.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
    let query = case["query"].as_object().map(|query| {
        let pairs = query.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap()));
        format!("https://hooks.example/x?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    let url = case["url"].as_str().map(str::to_owned).or(query);
    all.extend(url.map(|url| (ADDRESS.to_owned(), url)));
    all
}

#[test]
fn the_gateways_own_vectors() {
    for (kind, file) in [
        ("stripe", "stripe"),
        ("http", "standard-webhooks"),
        ("http", "svix"),
        ("checkout", "checkout-com"),
        ("mercadopago", "mercadopago"),
        ("adyen", "adyen"),
        ("adyen", "adyen-header"),
        ("wompi", "wompi"),
    ] {
        let Some(vectors) = beside(&format!("vectors/{file}.json")) else { continue };
        for case in vectors["cases"].as_array().unwrap() {
            let body = STANDARD.decode(case["body_base64"].as_str().unwrap()).unwrap();
            let secrets: Vec<&str> =
                case["secrets"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
            let now = case["now_unix"].as_i64().unwrap();
            let verdict = judge(kind, &body, &headers_of(case), &secrets, now);
            let untimed = kind == "mercadopago" && case["name"] == "invalid_stale";
            let wanted = untimed || case["expect"] == "valid";
            assert_eq!(verdict.is_ok(), wanted, "{file} {} {verdict:?}", case["name"]);
            if let Err(no) = verdict {
                let name = case["name"].as_str().unwrap();
                assert_eq!(no.code.as_str(), code_of(name), "{file} {name}");
            }
        }
    }
}

fn code_of(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("invalid_missing") => "missing_header",
        "invalid_malformed_json" => "malformed_body",
        "invalid_truncated_json" => "malformed_body",
        "invalid_no_timestamp"
        | "invalid_garbage_header"
        | "invalid_no_ts"
        | "invalid_malformed" => "malformed_header",
        "invalid_stale_301s" => "timestamp_too_old",
        "policy_future_timestamp_301s" | "policy_timestamp_milliseconds" => "timestamp_in_future",
        _ => "no_signature_match",
    }
}

#[test]
fn the_signed_payloads() {
    let Some(cases) = beside("fixtures/signatures.json") else { return };
    for case in cases.as_array().unwrap() {
        let gateway = case["gateway"].as_str().unwrap();
        let kind = if gateway.starts_with("standard-webhooks") { "http" } else { gateway };
        if gateway::kind(kind).is_none() {
            continue;
        }
        let file = format!("../shared/fixtures/{}", case["body_file"].as_str().unwrap());
        let body = std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let secret = case["secret"].as_str().unwrap();
        let clock = case["clock"].as_i64().unwrap_or(NOW);
        let verdict = judge(kind, &body, &headers_of(case), &[secret], clock);
        let wanted = match case["expect"].as_str().unwrap() {
            "accept" => None,
            "missing_header" => Some(RejectionCode::MissingHeader),
            "malformed" => Some(RejectionCode::MalformedHeader),
            "timestamp_out_of_tolerance" => Some(RejectionCode::TimestampTooOld),
            _ => Some(RejectionCode::NoSignatureMatch),
        };
        assert_eq!(code(verdict), wanted, "{gateway} {}", case["name"]);
    }
}
