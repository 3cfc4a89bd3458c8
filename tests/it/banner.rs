//! The banner in a merchant's own front end: what it says, until when, and that it can be trusted.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use recoup::core::case::{Message, MessageStatus, State};
use recoup::core::customer::Channel;
use recoup::core::ids::{EffectId, MessageId};
use recoup::core::money::Money;
use recoup::core::policy::MessageKind;
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt as _;

use crate::http_samples::case;
use crate::http_support::{BANNER_SECRET, Service, Setup};

async fn banner(service: &Service, customer: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(format!("/api/v1/customers/{customer}/banner"))
        .header("authorization", format!("Bearer {}", crate::http_support::TOKEN))
        .body(Body::empty())
        .unwrap();
    let response = service.app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 100_000).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// As a merchant verifies it, with no code of ours.
fn verifies(headers: &HeaderMap, body: &str) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap();
    let key = STANDARD.decode(BANNER_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let signed = format!("{}.{}.{body}", text("webhook-id"), text("webhook-timestamp"));
    mac.update(signed.as_bytes());
    text("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn asked(n: i64) -> recoup::core::case::Case {
    let case = case(n);
    let message = Message {
        id: MessageId(format!("msg_{n}")),
        effect: EffectId(format!("eff_{n}")),
        kind: MessageKind::CardUpdate,
        channel: Channel::Email,
        step: None,
        locale: Some("es".into()),
        at: case.opened_at,
        status: MessageStatus::Sent,
        with: Vec::new(),
        track: recoup::core::delivery::Track::default(),
    };
    recoup::core::case::Case {
        customer: Some("cus_1".into()),
        state: State::AwaitingCustomer,
        messages: vec![message],
        attempts: Vec::new(),
        ended_at: None,
        ..case
    }
}

#[tokio::test]
async fn who_owes_nothing_sees_nothing_and_the_answer_is_signed_all_the_same() {
    let service = Service::new(Setup::default());
    let (status, headers, body) = banner(&service, "cus_nobody").await;
    assert_eq!(status, StatusCode::OK);
    assert!(verifies(&headers, &body));
    assert!(!verifies(&headers, &body.replace("false", "true")), "a changed answer is refused");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["show"], &answer["limit_access"]), (&json!(false), &json!(false)));
    assert_eq!((&answer["link"], &answer["texts"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn who_owes_two_invoices_sees_one_banner_with_both_and_access_ends_after_the_grace() {
    let service = Service::new(Setup::default());
    let (first, mut second) = (asked(1), asked(2));
    second.amount = Money::new(1000, "EUR".parse().unwrap());
    let opened = first.opened_at.min(second.opened_at);
    service.put(first).await;
    service.put(second).await;
    let (_, headers, body) = banner(&service, "cus_1").await;
    assert!(verifies(&headers, &body));
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["show"], true, "{answer}");
    assert_eq!(answer["amounts"].as_array().unwrap().len(), 2, "{answer}");
    assert!(answer["link"].as_str().unwrap().contains("/pay/"));
    for language in ["en", "es", "pt", "fr", "it"] {
        let text = answer["texts"][language]["text"].as_str().unwrap();
        assert!(text.contains('+') && !text.contains('{'), "{language}: {text}");
    }
    let grace = opened + jiff::SignedDuration::from_hours(24 * 7);
    let limit = [&answer["limited_since"], &answer["limits_at"]];
    let limit = limit.into_iter().find_map(Value::as_str).unwrap();
    assert_eq!(limit.parse::<jiff::Timestamp>().unwrap(), grace);
    let now: jiff::Timestamp = answer["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(answer["limit_access"], now >= grace);
}

#[tokio::test]
async fn while_the_first_attempts_are_silent_so_is_the_banner() {
    let service = Service::new(Setup::default());
    let silent =
        recoup::core::case::Case { state: State::Scheduled, messages: Vec::new(), ..asked(1) };
    service.put(silent).await;
    let (_, _, body) = banner(&service, "cus_1").await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["show"], &answer["limit_access"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn what_the_merchant_states_of_a_customer_is_kept_and_nonsense_is_named() {
    let service = Service::new(Setup::default());
    let put = |body: Value| {
        let request = Request::put("/api/v1/customers/cus_9")
            .header("authorization", format!("Bearer {}", crate::http_support::TOKEN))
            .body(Body::from(body.to_string()))
            .unwrap();
        service.app.clone().oneshot(request)
    };
    let good = json!({
        "tags": ["vip", "yearly"], "customer_since": "2024-03-01",
        "consents": [{ "channel": "sms", "standing": "opted_out", "how": "on the phone" }],
    });
    assert_eq!(put(good).await.unwrap().status(), StatusCode::OK);
    let known = recoup::store::Store::customer(&*service.store, "cus_9").await.unwrap().unwrap();
    assert!(known.tags.contains("vip") && known.opted_out(Channel::Sms));
    assert_eq!(known.customer_since, Some("2024-03-01".parse().unwrap()));
    for (bad, pointer) in [
        (json!({ "tags": ["a b"] }), "/tags"),
        (json!({ "customer_since": "yesterday" }), "/customer_since"),
        (
            json!({ "consents": [{ "channel": "fax", "standing": "opted_in", "how": "x" }] }),
            "/consents/0/channel",
        ),
        (json!({ "consents": [{ "channel": "sms", "standing": "opted_in" }] }), "/consents/0/how"),
        (
            json!({ "consents": [{ "channel": "sms", "standing": "opted_in", "how": "x",
            "at": "2999-01-01T00:00:00Z" }] }),
            "/consents/0/at",
        ),
    ] {
        let response = put(bad).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{pointer}");
        let body = to_bytes(response.into_body(), 100_000).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}
