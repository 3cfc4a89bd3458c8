//! Amazon SES over SNS: a signature proves Amazon, the topic proves the merchant.
//!
//! What must stay true: no certificate and no confirmation is asked for anywhere but at SNS, and
//! only for a topic of ours; what SES is not sure of counts for nothing.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use recoup::channel::callback::ses::SesCallbacks;
use recoup::channel::callback::{Callbacks as _, Notice, Told};
use recoup::core::delivery::{Failure, Happened, Who};
use recoup::gateway::{RejectionCode, WebhookRequest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mail";
const CERTIFICATE: &str =
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";
const OURS: &str = "case_0123456789abcdef0123-msg_0123456789abcdef0123";

/// What stands in SNS's place: it gives its certificate, and notes what it is asked.
#[derive(Clone)]
struct Double {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Double {
    async fn start() -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let answer = async |State(asked): State<Arc<Mutex<Vec<String>>>>, uri: Uri| {
            asked.lock().unwrap().push(uri.to_string());
            match (uri.path().ends_with(".pem"), uri.query()) {
                (true, _) => {
                    include_str!("../../fixtures/callbacks/sns/certificate.pem").into_response()
                }
                (false, Some(query)) if query.contains("Token=right") => "<ok/>".into_response(),
                _ => StatusCode::FORBIDDEN.into_response(),
            }
        };
        let routes = Router::new().fallback(answer).with_state(asked.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self { url, asked }
    }

    fn callbacks(&self) -> SesCallbacks {
        SesCallbacks::new(vec![TOPIC.to_owned()], Some(&self.url)).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn request(body: &str) -> WebhookRequest<'_> {
    let now = "2026-11-20T16:00:05Z".parse().unwrap();
    WebhookRequest { body: body.as_bytes(), headers: &[], url: None, now }
}

/// An envelope as SNS signs it in its second way.
fn signed(mut envelope: Value, names: &[&str]) -> String {
    let pair = include_bytes!("../../fixtures/callbacks/sns/key.pk8");
    let pair = RsaKeyPair::from_pkcs8(pair).unwrap();
    let field = |name: &&str| Some(format!("{name}\n{}\n", envelope[*name].as_str()?));
    let text: String = names.iter().filter_map(field).collect();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    envelope["Signature"] = STANDARD.encode(signature).into();
    envelope.to_string()
}

const TOLD: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const ASKED: [&str; 7] =
    ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

fn notification(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": TOPIC, "Message": message,
        "Timestamp": "2026-11-20T16:00:03.000Z", "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
    })
}

async fn code(callbacks: &SesCallbacks, body: &str) -> Result<(), RejectionCode> {
    callbacks.prepare(&request(body)).await.unwrap();
    callbacks.verify(&request(body)).map_err(|rejection| rejection.code)
}

#[tokio::test]
async fn amazon_signs_in_two_ways_and_its_certificate_is_fetched_once() {
    let sns = Double::start().await;
    let callbacks = sns.callbacks();
    let first = include_str!("../../fixtures/callbacks/sns/bounce.v1.json");
    assert_eq!(code(&callbacks, first).await, Ok(()));
    let second = signed(notification("{}"), &TOLD);
    assert_eq!(code(&callbacks, &second).await, Ok(()));
    assert_eq!(sns.asked(), ["/SimpleNotificationService-0123456789abcdef.pem"]);

    let no = Err(RejectionCode::NoSignatureMatch);
    for (name, value) in [
        ("Message", "{\"eventType\":\"Complaint\"}"),
        ("MessageId", "sns-2"),
        ("Timestamp", "2026-11-21T16:00:03.000Z"),
        ("Subject", "added"),
        ("Signature", "AAAA"),
        ("SignatureVersion", "1"),
        ("SignatureVersion", "3"),
    ] {
        let mut changed: Value = serde_json::from_str(&second).unwrap();
        changed[name] = value.into();
        assert_eq!(code(&callbacks, &changed.to_string()).await, no, "{name}");
    }
    let malformed = Err(RejectionCode::MalformedBody);
    for wrong in ["", "{}", "[]", "{\"eventType\":\"Bounce\"}"] {
        assert_eq!(code(&callbacks, wrong).await, malformed, "{wrong}");
    }
}

#[tokio::test]
async fn another_topic_or_another_certificate_is_refused_and_nothing_is_fetched_for_it() {
    let sns = Double::start().await;
    let callbacks = sns.callbacks();
    let mut foreign = notification("{}");
    foreign["TopicArn"] = "arn:aws:sns:eu-west-1:999999999999:mail".into();
    let no = Err(RejectionCode::NoSignatureMatch);
    assert_eq!(code(&callbacks, &signed(foreign, &TOLD)).await, no);
    for url in [
        "https://evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.evil.s3.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "http://metadata.example/latest/meta-data",
    ] {
        let mut elsewhere = notification("{}");
        elsewhere["SigningCertURL"] = url.into();
        assert_eq!(code(&callbacks, &signed(elsewhere, &TOLD)).await, no, "{url}");
    }
    assert_eq!(sns.asked(), [""; 0]);
}

#[tokio::test]
async fn a_subscription_is_confirmed_at_sns_and_nowhere_else() {
    let sns = Double::start().await;
    let callbacks = sns.callbacks();
    let asks = |url: &str| {
        let mut envelope = notification("You have chosen to subscribe");
        envelope["Type"] = "SubscriptionConfirmation".into();
        envelope["Token"] = "right".into();
        envelope["SubscribeURL"] = url.into();
        signed(envelope, &ASKED)
    };
    let at_sns = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=";
    let body = asks(&format!("{at_sns}right"));
    assert_eq!(code(&callbacks, &body).await, Ok(()));
    callbacks.heed(&request(&body)).await.unwrap();
    assert_eq!(sns.asked()[1], "/?Action=ConfirmSubscription&Token=right");
    assert_eq!(callbacks.read(&request(&body)).unwrap(), []);

    let refused = asks(&format!("{at_sns}wrong"));
    assert_eq!(code(&callbacks, &refused).await, Ok(()));
    assert!(callbacks.heed(&request(&refused)).await.is_err(), "SNS is to ask again");
    let elsewhere = asks("https://evil.example/?Action=ConfirmSubscription&Token=right");
    assert_eq!(code(&callbacks, &elsewhere).await, Ok(()));
    callbacks.heed(&request(&elsewhere)).await.unwrap();
    assert_eq!(sns.asked().len(), 3, "nobody else was asked: {:?}", sns.asked());
}

#[tokio::test]
async fn what_cannot_be_verified_now_is_asked_for_again() {
    let callbacks = SesCallbacks::new(vec![TOPIC.to_owned()], Some("http://127.0.0.1:9")).unwrap();
    let body = signed(notification("{}"), &TOLD);
    assert!(callbacks.prepare(&request(&body)).await.is_err());
    let no = callbacks.verify(&request(&body)).map_err(|rejection| rejection.code);
    assert_eq!(no, Err(RejectionCode::NoSignatureMatch));
}

fn told(event: &Value) -> Vec<Notice> {
    let callbacks = SesCallbacks::new(vec![TOPIC.to_owned()], None).unwrap();
    callbacks.read(&request(&signed(notification(&event.to_string()), &TOLD))).unwrap()
}

fn happened(notices: &[Notice]) -> Vec<Happened> {
    let what = |notice: &Notice| match &notice.told {
        Told::Message { report, .. } => report.what,
        Told::Reply { .. } => panic!("a report: {notice:?}"),
    };
    notices.iter().map(what).collect()
}

#[test]
fn events_say_what_they_say_and_doubt_says_nothing() {
    let at = "2026-11-20T16:00:00.000Z";
    let event = |kind: &str, field: &str, more: Value| {
        let mut event = json!({
            "eventType": kind,
            "mail": {"timestamp": at, "tags": {"recoup": [OURS]}},
        });
        event[field] = json!({ "timestamp": at });
        event[field].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        happened(&told(&event))
    };
    let bounce = |kind: &str, sub: &str| {
        event("Bounce", "bounce", json!({"bounceType": kind, "bounceSubType": sub}))
    };
    let complaint = |kind: Value| event("Complaint", "complaint", kind);
    assert_eq!(event("Send", "send", json!({})), [Happened::Taken]);
    assert_eq!(event("Delivery", "delivery", json!({})), [Happened::Delivered]);
    assert_eq!(event("Open", "open", json!({})), [Happened::Opened(Who::Unknown)]);
    assert_eq!(event("Click", "click", json!({})), [Happened::Clicked(Who::Unknown)]);
    let undelivered = |failure| [Happened::Undelivered(failure)];
    assert_eq!(event("Reject", "reject", json!({})), undelivered(Failure::Message));
    assert_eq!(bounce("Permanent", "OnAccountSuppressionList"), undelivered(Failure::Address));
    assert_eq!(bounce("Transient", "MailboxFull"), undelivered(Failure::Message));
    assert_eq!(bounce("Transient", "General"), [], "it may be an answer of a machine");
    assert_eq!(bounce("Undetermined", "Undetermined"), []);
    assert_eq!(complaint(json!({})), [Happened::Complained]);
    assert_eq!(complaint(json!({"complaintFeedbackType": "abuse"})), [Happened::Complained]);
    assert_eq!(complaint(json!({"complaintFeedbackType": "not-spam"})), []);
    let all = json!({"newTopicPreferences": {"unsubscribeAll": true}});
    assert_eq!(event("Subscription", "subscription", all), [Happened::Unsubscribed]);
    let delayed = json!({"delayType": "IPFailure"});
    assert_eq!(event("DeliveryDelay", "deliveryDelay", delayed), []);
}

#[test]
fn feedback_of_an_identity_is_found_by_our_header_and_tells_no_address() {
    let event = json!({
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent", "timestamp": "2026-11-20T16:00:00Z",
            "bouncedRecipients": [{"emailAddress": "ana@customer.example", "status": "5.1.1"}],
        },
        "mail": {
            "timestamp": "2026-11-20T16:00:00Z", "destination": ["ana@customer.example"],
            "headers": [{"name": "X-Recoup-Message", "value": OURS}],
        },
    });
    let notices = told(&event);
    assert_eq!(happened(&notices), [Happened::Undelivered(Failure::Address)]);
    assert!(format!("{notices:?}").contains("5.1.1"));
    assert!(!format!("{notices:?}").contains("customer.example"));
    let greeting = "Successfully validated SNS topic for Amazon SES event publishing.";
    let callbacks = SesCallbacks::new(vec![TOPIC.to_owned()], None).unwrap();
    let body = signed(notification(greeting), &TOLD);
    assert_eq!(callbacks.read(&request(&body)).unwrap(), []);
}
