//! Messages on every channel, through the real binary: what the providers get, what they report,
//! and what follows. The doubles check what we send as the providers would, and sign as they do.
//!
//! What must stay true: nothing goes out twice, whatever dies when; what did not arrive goes out on
//! the next channel, once; a no is a no.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use recoup::sandbox::mail::Trouble;
use serde_json::{Value, json};

use crate::death::{TOKEN, World};

const SID: &str = "AC00000000000000000000000000000000";
const AUTH: &str = "twilio-auth-token";
pub(crate) const PHONE: &str = "+573001234567";
const ACCESS: &str = "whatsapp-access-token";

/// What a double has been given, and how it answers.
#[derive(Default)]
pub(crate) struct Kept {
    sms: Vec<BTreeMap<String, String>>,
    hold: bool,
    refuse: Option<(u16, Value)>,
}

/// A Twilio that keeps what it is given.
#[derive(Clone, Default)]
pub(crate) struct Twilio(Arc<Mutex<Kept>>);

impl Twilio {
    pub(crate) async fn start() -> (Self, String) {
        let twilio = Self::default();
        let route = "/2010-04-01/Accounts/{sid}/Messages.json";
        let app = Router::new().route(route, post(take)).with_state(twilio.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (twilio, base)
    }

    pub(crate) fn sms(&self) -> Vec<BTreeMap<String, String>> {
        self.0.lock().unwrap().sms.clone()
    }
}

async fn take(
    State(twilio): State<Twilio>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let login = format!("Basic {}", STANDARD.encode(format!("{SID}:{AUTH}")));
    if sid != SID || headers.get("authorization").is_none_or(|given| *given != login) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "code": 20003 })));
    }
    for name in ["To", "From", "Body", "StatusCallback"] {
        if fields.get(name).is_none_or(String::is_empty) {
            return (StatusCode::BAD_REQUEST, Json(json!({ "code": 21604 })));
        }
    }
    let (number, hold, refuse) = {
        let mut kept = twilio.0.lock().unwrap();
        if kept.refuse.is_none() {
            kept.sms.push(fields);
        }
        (kept.sms.len(), kept.hold, kept.refuse.take())
    };
    if let Some((status, body)) = refuse {
        return (StatusCode::from_u16(status).unwrap(), Json(body));
    }
    if hold {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    (StatusCode::CREATED, Json(json!({ "sid": format!("SM{number:032}"), "status": "queued" })))
}

pub(crate) fn sms_section(base: &str) -> String {
    format!(
        "schedule = {{ days = [1] }}\n[reminders]\nchannels = [\"email\", \"sms\"]\n\
         silent_attempts = 0\n[sms]\nprovider = \"twilio\"\naccount_sid = \"{SID}\"\n\
         auth_token = \"{AUTH}\"\n\
         from = \"+15005550006\"\napi_base = \"{base}\"\n"
    )
}

/// A failure that only the customer can mend.
pub(crate) async fn fail(world: &World, invoice: &str, customer: Value) {
    let body = json!({
        "type": "invoice.payment_failed", "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": invoice, "customer": customer, "amount": 2900, "currency": "USD",
            "attempt_count": 1, "decline": {"code": "stolen_card"},
            "payment_method": {"token": format!("tok_{invoice}"), "network": "visa"},
        },
    });
    assert!(world.post(&format!("evt_{invoice}"), body.to_string()).await);
    assert!(world.advance(60).await);
}

pub(crate) async fn get(world: &World, path: &str) -> Value {
    let url = format!("http://{}/api/v1/{path}", world.address);
    world.client.get(url).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap()
}

/// Signs as Twilio does.
fn twilio_signature(url: &str, fields: &[(&str, &str)]) -> String {
    let mut fields = fields.to_vec();
    fields.sort_unstable();
    let text: String = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(AUTH.as_bytes()).unwrap();
    mac.update(format!("{url}{text}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

async fn call_back(world: &World, url: &str, fields: &[(&str, &str)], signature: &str) -> u16 {
    let request = world.client.post(url).form(fields).header("X-Twilio-Signature", signature);
    request.send().await.unwrap().status().as_u16()
}

async fn signed(world: &World, url: &str, fields: &[(&str, &str)]) -> u16 {
    call_back(world, url, fields, &twilio_signature(url, fields)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounced_mail_becomes_a_text_message_and_a_stop_ends_them() {
    let (twilio, base) = Twilio::start().await;
    let world = World::with(&sms_section(&base)).await;
    let mut child = world.start().await;
    world.mail.order(Trouble::Recipient("550 5.1.1 no such mailbox".into()));
    fail(&world, "in_1", json!({"id": "c_1", "email": "gone@example.com", "phone": PHONE})).await;

    let sms = twilio.sms();
    assert_eq!(sms.len(), 1, "{:#}", get(&world, "messages").await);
    assert_eq!((sms[0]["To"].as_str(), sms[0]["From"].as_str()), (PHONE, "+15005550006"));
    assert!(sms[0]["Body"].contains("/pay/"), "{}", sms[0]["Body"]);
    assert!(world.mail.messages().is_empty());
    let page = get(&world, "messages").await;
    let status = |channel: &str| {
        let rows = page["data"].as_array().unwrap();
        let row = rows.iter().find(|row| row["channel"] == channel);
        row.map(|row| row["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(status("email").as_deref(), Some("failed"), "{page:#}");
    assert_eq!(status("sms").as_deref(), Some("sent"), "{page:#}");

    // What Twilio reports, late and twice and forged.
    let url = sms[0]["StatusCallback"].as_str();
    assert!(url.starts_with(&format!("http://{}/callbacks/sms?ref=case_", world.address)));
    let delivered = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];
    for status in ["delivered", "sent", "delivered"] {
        let fields = [("MessageSid", "SM1"), ("MessageStatus", status)];
        assert_eq!(signed(&world, url, &fields).await, 200);
    }
    assert_eq!(call_back(&world, url, &delivered, "bm9wZQ==").await, 401);
    let other = url.replace("ref=", "ref=x");
    assert_eq!(
        call_back(&world, &other, &delivered, &twilio_signature(url, &delivered)).await,
        401
    );
    assert_eq!(signed(&world, &other, &delivered).await, 200, "about nothing of ours: harmless");
    assert!(world.advance(1).await);
    let page = get(&world, "messages?channel=sms").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert!(page["data"][0]["happened"]["delivered_at"].is_string(), "{page:#}");

    // The customer says no.
    let plain = format!("http://{}/callbacks/sms", world.address);
    let stop = [("MessageSid", "SM9"), ("From", PHONE), ("Body", "Baja.")];
    assert_eq!(signed(&world, &plain, &stop).await, 200);
    assert!(world.advance(1).await);
    let put = format!("http://{}/api/v1/customers/c_1", world.address);
    let request = world.client.put(put).bearer_auth(TOKEN).json(&json!({}));
    let customer: Value = request.send().await.unwrap().json().await.unwrap();
    let said = |channel: &str| {
        let consents = customer["consents"].as_array().unwrap();
        consents.iter().any(|c| {
            c["channel"] == channel && c["standing"] == "opted_out" && c["how"] == "sms:BAJA"
        })
    };
    assert!(said("sms") && said("whatsapp"), "{customer:#}");
    assert_eq!(customer["suppressed"][0]["channel"], "email", "{customer:#}");
    for _ in 0..30 {
        assert!(world.advance(86_400).await);
    }
    assert_eq!(twilio.sms().len(), 1, "a no is a no");
    assert!(world.mail.messages().is_empty(), "nothing reaches that address");
    let report = get(&world, "reports/messages").await;
    assert_eq!(report["by_channel"]["sms"]["delivered"], 1, "{report:#}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_message_that_may_have_gone_out_is_not_sent_again() {
    let (twilio, base) = Twilio::start().await;
    twilio.0.lock().unwrap().hold = true;
    let section = sms_section(&base).replace("[\"email\", \"sms\"]", "[\"sms\"]");
    let world = World::with(&section).await;
    let mut child = world.start().await;
    let body = json!({"id": "c_1", "phone": PHONE});
    let failing = fail(&world, "in_1", body);
    let killing = async {
        while twilio.sms().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Twilio has it, and its answer is under way.
        child.kill().unwrap();
        child.wait().unwrap();
    };
    tokio::select! {
        () = killing => {}
        () = async { failing.await; std::future::pending::<()>().await } => {}
    }
    twilio.0.lock().unwrap().hold = false;
    let mut child = world.start().await;
    assert!(world.advance(3600).await);
    assert_eq!(twilio.sms().len(), 1, "it went out twice");
    let page = get(&world, "messages").await;
    assert_eq!(page["data"][0]["status"], "uncertain", "{page:#}");
    // Twilio's report settles it.
    let url = twilio.sms()[0]["StatusCallback"].clone();
    let fields = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];
    assert_eq!(signed(&world, &url, &fields).await, 200);
    assert!(world.advance(1).await);
    let page = get(&world, "messages?status=sent").await;
    assert!(page["data"][0]["happened"]["delivered_at"].is_string(), "{page:#}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_answers_decides_whether_it_is_sent_again() {
    let (twilio, base) = Twilio::start().await;
    let section = sms_section(&base).replace("[\"email\", \"sms\"]", "[\"sms\"]");
    let world = World::with(&section).await;
    let mut child = world.start().await;
    for (invoice, status, body, wanted, sent) in [
        ("in_1", 429, json!({}), "sent", 1),
        ("in_2", 503, json!({}), "uncertain", 0),
        ("in_3", 400, json!({"code": 21211}), "failed", 0),
        ("in_4", 400, json!({"code": 21610}), "failed", 0),
    ] {
        twilio.0.lock().unwrap().sms.clear();
        twilio.0.lock().unwrap().refuse = Some((status, body));
        let customer = json!({"id": format!("c_{invoice}"), "phone": PHONE});
        fail(&world, invoice, customer).await;
        assert!(world.advance(600).await);
        let page = get(&world, &format!("messages?customer=c_{invoice}")).await;
        assert_eq!(page["data"][0]["status"], wanted, "{invoice}: {page:#}");
        assert_eq!(twilio.sms().len(), sent, "{invoice}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A Cloud API that keeps what it is given.
async fn cloud_api() -> (Arc<Mutex<Vec<Value>>>, String) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let take = |State(kept): State<Arc<Mutex<Vec<Value>>>>,
                headers: HeaderMap,
                Json(body): Json<Value>| async move {
        let login = format!("Bearer {ACCESS}");
        if headers.get("authorization").is_none_or(|given| *given != login) {
            return (StatusCode::UNAUTHORIZED, Json(json!({"error": {"code": 190}})));
        }
        kept.lock().unwrap().push(body);
        (StatusCode::OK, Json(json!({"messages": [{"id": "wamid.1"}]})))
    };
    let app = Router::new().route("/v23.0/106540352242922/messages", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v23.0", listener.local_addr().unwrap());
    let app = app.with_state(kept.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (kept, base)
}

#[tokio::test]
async fn a_whatsapp_message_is_a_call_of_an_approved_template() {
    use recoup::channel::whatsapp::{WhatsappChannel, WhatsappSettings};
    use recoup::channel::{Deliver as _, Delivery, Envelope};
    use recoup::core::event::Contact;
    use recoup::core::ids::{CaseId, GatewayId, MessageId};
    use recoup::message::Rendered;
    use recoup::message::whatsapp::TemplateCall;

    let (kept, base) = cloud_api().await;
    let channel = |token: &str| {
        let settings = WhatsappSettings {
            phone_number_id: "106540352242922".into(),
            business_account_id: None,
            access_token: token.into(),
            api_base: Some(base.clone()),
        };
        WhatsappChannel::new(settings).unwrap()
    };
    let case = CaseId::of(&GatewayId::from("stripe"), "in_1");
    let call = TemplateCall {
        name: "recoup_card_update_1".into(),
        language: "es",
        variables: vec!["Café Nube".into(), "$ 29,00".into()],
        button: Some("t0ken".into()),
    };
    let mut envelope = Envelope {
        id: MessageId::of(&case, 1),
        case,
        contact: Contact { phone: Some(PHONE.into()), ..Contact::default() },
        rendered: Rendered {
            locale: "es".into(),
            subject: String::new(),
            text: "texto".into(),
            html: None,
            whatsapp: Some(call),
        },
        stop_link: None,
    };
    let delivery = channel(ACCESS).deliver(&envelope).await;
    assert_eq!(delivery, Delivery::Accepted { answer: "accepted wamid.1".into() });
    let sent = kept.lock().unwrap()[0].clone();
    assert_eq!((&sent["to"], &sent["type"]), (&json!("573001234567"), &json!("template")));
    assert_eq!(sent["template"]["name"], "recoup_card_update_1");
    assert_eq!(sent["template"]["components"][0]["parameters"][1]["text"], "$ 29,00");
    assert_eq!(sent["template"]["components"][1]["parameters"][0]["text"], "t0ken");
    assert_eq!(sent["biz_opaque_callback_data"], envelope.reference());
    assert!(matches!(channel("wrong").deliver(&envelope).await, Delivery::Refused { .. }));
    envelope.rendered.whatsapp = None;
    assert!(matches!(channel(ACCESS).deliver(&envelope).await, Delivery::Refused { .. }));
    assert_eq!(kept.lock().unwrap().len(), 1);
}
