//! Reports of message providers: each is verified as its provider signs, and says what it says.
//!
//! What must stay true: nothing unsigned, changed or signed under another secret is taken; what is
//! about no message of ours is passed over; no two providers' reports are mistaken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use recoup::channel::callback::postmark::PostmarkCallbacks;
use recoup::channel::callback::resend::ResendCallbacks;
use recoup::channel::callback::sendgrid::SendgridCallbacks;
use recoup::channel::callback::whatsapp::WhatsappCallbacks;
use recoup::channel::callback::{Callbacks, Told};
use recoup::core::consent::Standing;
use recoup::core::customer::Channel;
use recoup::core::delivery::{Failure, Happened, Who, address_key, reference};
use recoup::core::ids::{CaseId, GatewayId, MessageId};
use recoup::gateway::{RejectionCode, WebhookRequest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::Sha256;

const NOW: i64 = 1_795_200_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn ours() -> String {
    let case = CaseId::of(&GatewayId::from("stripe"), "in_1");
    let message = MessageId::of(&case, 1);
    reference(&case, &message)
}

fn code(
    callbacks: &dyn Callbacks,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), RejectionCode> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = WebhookRequest { body, headers: &headers, url: None, now: now() };
    callbacks.verify(&request).map_err(|rejection| rejection.code)
}

fn told(callbacks: &dyn Callbacks, body: &Value) -> Vec<Happened> {
    let body = body.to_string();
    let headers = [("svix-id".to_owned(), "msg_1".to_owned())];
    let request =
        WebhookRequest { body: body.as_bytes(), headers: &headers, url: None, now: now() };
    let notices = callbacks.read(&request).unwrap();
    let what = |told: &Told| match told {
        Told::Message { report, .. } => report.what,
        Told::Reply { .. } => panic!("a report: {told:?}"),
    };
    notices.iter().map(|notice| what(&notice.told)).collect()
}

#[test]
fn sendgrid_signs_with_a_key_pair() {
    // A body that SendGrid's own scheme signed elsewhere: the key, the time, the signature.
    let body = include_bytes!("../../fixtures/callbacks/sendgrid.open_machine.json");
    let key = concat!(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEor+x51DPobxku1TkbNd9QpdCGC",
        "WxPc/i+FNW8I8JjpcCRhXl+2YijMnkQhEGAuhPWKVMFvVLOLClO1/nYCuiXg==",
    );
    let signature = concat!(
        "MEYCIQC0cJTajQ/Y+KqVHE3GHQDgr4RigajKPCatWMW49tr/",
        "6QIhAO6v7LDjn/S+ZdcJ3q3WAMDD5FnJHhXkxNDzeVUBg5Hn",
    );
    let callbacks = SendgridCallbacks::new(vec![key.into()]);
    let signed = |signature, at| {
        [
            ("x-twilio-email-event-webhook-signature", signature),
            ("x-twilio-email-event-webhook-timestamp", at),
        ]
    };
    assert_eq!(code(&callbacks, &signed(signature, "1795200000"), body), Ok(()));
    let no = Err(RejectionCode::NoSignatureMatch);
    assert_eq!(code(&callbacks, &signed(signature, "1795200001"), body), no);
    assert_eq!(code(&callbacks, &signed(signature, "1795200000"), &body[1..]), no);
    assert_eq!(code(&callbacks, &signed("AAAA", "1795200000"), body), no);
    assert_eq!(code(&callbacks, &[], body), Err(RejectionCode::MissingHeader));
    for other in ["", "AAAA", "whsec_x"] {
        let other = SendgridCallbacks::new(vec![other.into()]);
        assert_eq!(code(&other, &signed(signature, "1795200000"), body), no);
    }
    // And one of our own making, under another key: one of two is enough.
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let mut der = STANDARD.decode(key).unwrap()[..26].to_vec();
    der.extend_from_slice(pair.public_key().as_ref());
    let signature = pair.sign(&random, b"17[]").unwrap();
    let signature = STANDARD.encode(signature.as_ref());
    assert_eq!(code(&callbacks, &signed(&signature, "17"), b"[]"), no);
    let both = SendgridCallbacks::new(vec![key.into(), STANDARD.encode(der).into()]);
    assert_eq!(code(&both, &signed(&signature, "17"), b"[]"), Ok(()));
}

#[test]
fn sendgrid_tells_people_from_machines_and_bounces_from_blocks() {
    let callbacks = SendgridCallbacks::new(vec![]);
    let event = |more: Value| {
        let mut event =
            json!({"recoup": ours(), "timestamp": NOW, "sg_event_id": more.to_string()});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let body = json!([
        event(json!({"event": "delivered"})),
        event(json!({"event": "open", "sg_machine_open": true})),
        event(json!({"event": "open", "sg_machine_open": false})),
        event(json!({"event": "bounce", "type": "bounce", "status": "5.1.1"})),
        event(json!({"event": "bounce", "type": "blocked"})),
        event(json!({"event": "spamreport"})),
        event(json!({"event": "deferred"})),
        event(json!({"event": "delivered", "recoup": "somebody else's"})),
    ]);
    let wanted = [
        Happened::Delivered,
        Happened::Opened(Who::Machine),
        Happened::Opened(Who::Person),
        Happened::Undelivered(Failure::Address),
        Happened::Undelivered(Failure::Message),
        Happened::Complained,
    ];
    assert_eq!(told(&callbacks, &body), wanted);
}

#[test]
fn postmark_signs_in_with_a_name_and_a_password() {
    let callbacks = PostmarkCallbacks::new(vec!["postmark:s3cret".into(), "no-colon".into()]);
    let login = |text: &str| format!("Basic {}", STANDARD.encode(text));
    assert_eq!(code(&callbacks, &[("authorization", &login("postmark:s3cret"))], b"{}"), Ok(()));
    for wrong in ["postmark:s3cres", "no-colon", "", "postmark:s3cret2"] {
        let refused = code(&callbacks, &[("authorization", &login(wrong))], b"{}");
        assert_eq!(refused, Err(RejectionCode::NoSignatureMatch), "{wrong}");
    }
    assert_eq!(code(&callbacks, &[], b"{}"), Err(RejectionCode::MissingHeader));
    let bounce = |kind: &str| {
        told(
            &callbacks,
            &json!({
                "RecordType": "Bounce", "Type": kind, "TypeCode": 1, "MessageID": "m",
                "BouncedAt": "2026-11-20T16:00:00Z", "Metadata": {"recoup": ours()},
            }),
        )
    };
    assert_eq!(bounce("HardBounce"), [Happened::Undelivered(Failure::Address)]);
    assert_eq!(bounce("SoftBounce"), [], "Postmark tries again by itself");
    assert_eq!(bounce("DMARCPolicy"), [Happened::Undelivered(Failure::Message)]);
}

#[test]
fn resend_signs_as_svix_does_and_only_for_now() {
    let secret = STANDARD.encode("0123456789abcdef");
    let callbacks = ResendCallbacks::new(vec![format!("whsec_{secret}").into()]);
    let body = json!({
        "type": "email.bounced", "created_at": "2026-11-20T16:00:00.000Z",
        "data": {
            "headers": [{"name": "X-Recoup-Message", "value": ours()}],
            "bounce": {"type": "Permanent"},
        },
    });
    let sign = |at: i64| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef").unwrap();
        mac.update(format!("msg_1.{at}.{body}").as_bytes());
        format!("v1,AAAA v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    let check = |at: i64, signature: &str, body: &str| {
        let at = at.to_string();
        let headers =
            [("svix-id", "msg_1"), ("svix-timestamp", &at), ("svix-signature", signature)];
        code(&callbacks, &headers, body.as_bytes())
    };
    let text = body.to_string();
    assert_eq!(check(NOW, &sign(NOW), &text), Ok(()));
    assert_eq!(check(NOW - 400, &sign(NOW - 400), &text), Err(RejectionCode::TimestampTooOld));
    assert_eq!(check(NOW + 400, &sign(NOW + 400), &text), Err(RejectionCode::TimestampInFuture));
    assert_eq!(check(NOW, &sign(NOW - 1), &text), Err(RejectionCode::NoSignatureMatch));
    assert_eq!(check(NOW, &sign(NOW), &text[1..]), Err(RejectionCode::NoSignatureMatch));
    assert_eq!(told(&callbacks, &body), [Happened::Undelivered(Failure::Address)]);
}

#[test]
fn whatsapp_signs_the_body_and_checks_the_address_once() {
    let callbacks = WhatsappCallbacks::new("app-secret".into(), Some("verify-me".into()));
    let body = json!({"entry": [{"changes": [{"value": {
        "statuses": [
            {"id": "wamid.1", "status": "read", "timestamp": "1795200000",
             "biz_opaque_callback_data": ours()},
            {"id": "wamid.1", "status": "failed", "timestamp": "1795200000",
             "errors": [{"code": 131026}], "biz_opaque_callback_data": ours()},
            {"id": "wamid.2", "status": "sent", "timestamp": "1795200000"},
        ],
    }}]}]});
    let text = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"app-secret").unwrap();
    mac.update(text.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let check = |signature: &str, body: &str| {
        code(&callbacks, &[("x-hub-signature-256", signature)], body.as_bytes())
    };
    assert_eq!(check(&signature, &text), Ok(()));
    assert_eq!(check(&signature, &text[1..]), Err(RejectionCode::NoSignatureMatch));
    assert_eq!(check("sha256=zz", &text), Err(RejectionCode::MalformedHeader));
    assert_eq!(code(&callbacks, &[], text.as_bytes()), Err(RejectionCode::MissingHeader));
    let wanted = [Happened::Opened(Who::Person), Happened::Undelivered(Failure::Address)];
    assert_eq!(told(&callbacks, &body), wanted);

    let answer = |token: &str| {
        let query = format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=42");
        callbacks.answer_challenge(&query).unwrap().ok()
    };
    assert_eq!(answer("verify-me").as_deref(), Some("42"));
    assert_eq!(answer("verify-you"), None);
    assert_eq!(answer(""), None);
}

#[test]
fn a_no_by_whatsapp_is_heard_by_its_number() {
    let callbacks = WhatsappCallbacks::new("app-secret".into(), None);
    let body = json!({"entry": [{"changes": [{"value": {"messages": [
        {"id": "wamid.9", "from": "573001234567", "timestamp": "1795200000", "type": "text",
         "text": {"body": "Sair"}},
        {"id": "wamid.8", "from": "573001234567", "timestamp": "1795200000", "type": "text",
         "text": {"body": "obrigada"}},
    ]}}]}]})
    .to_string();
    let request = WebhookRequest { body: body.as_bytes(), headers: &[], url: None, now: now() };
    let notices = callbacks.read(&request).unwrap();
    assert_eq!(notices.len(), 1);
    let Told::Reply { address, standing, word, .. } = &notices[0].told else { panic!("a reply") };
    assert_eq!((*standing, word.as_str()), (Standing::OptedOut, "SAIR"));
    assert_eq!(*address, address_key(Channel::Whatsapp, "+57 300 123 4567"));
    assert!(!format!("{notices:?}").contains("3001234567"), "the number goes no further");
}
