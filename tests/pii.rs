//! What must never be logged is a test (design I10).
//!
//! Why here: a rule alone does not keep an address out of an error's text. The real service runs at
//! `trace`, lives through everything that can go wrong with people's data in it, and every line
//! that it wrote is read.
//!
//! What must stay true: the story below really happens (its own lines are looked for), and the
//! reader finds each kind of thing (`scan.rs`).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::http::StatusCode as Answer;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use recoup::clock::{Clock, real_now};
use recoup::sandbox::mail::{MailSink, Trouble};
use recoup::sandbox::sign::stripe_signature;
use recoup::sandbox::{
    Fault, Kind, NewBill, NewCustomer, Rule, Sandbox, SandboxOptions, Step, Subscribed, Target,
    deliver,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[path = "pii/scan.rs"]
mod scan;

const START: &str = "2026-01-05T13:00:00Z";
const ADMIN_TOKEN: &str = "open-sesame-for-the-test";
const SMTP_PASSWORD: &str = "correct-horse-battery";
const EMAIL: &str = "ana.gomez@mail.example";
const PHONE: &str = "+573001234567";
const CARD: &str = "4242424242424242";
const TWILIO_TOKEN: &str = "twilio-token-of-the-test";
const POSTMARK: &str = "postmark:password-of-the-test";
/// A token of the right form that opens nothing.
const FALSE_TOKEN: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz012345678";

/// What a process has written so far; whoever waits is told of each line.
#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<String>>,
    news: Condvar,
}

impl Lines {
    fn read(self: &Arc<Self>, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                lines.lines.lock().unwrap().push(line);
                lines.news.notify_all();
            }
        })
    }

    /// The first line with this text, once it is there.
    fn wait_for(&self, text: &str) -> String {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        let lines = self.lines.lock().unwrap();
        let waited = self
            .news
            .wait_timeout_while(lines, Duration::from_secs(60), |lines| find(lines).is_none());
        let (lines, _) = waited.unwrap();
        find(&lines).unwrap_or_else(|| panic!("no line with {text:?} in {lines:#?}"))
    }
}

/// `recoup serve` as a process of its own.
struct Service {
    child: Child,
    lines: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    address: String,
    client: reqwest::Client,
}

impl Service {
    fn start(folder: &Path, config: &str) -> Self {
        std::fs::write(folder.join("recoup.toml"), config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(["serve", "--listen", "127.0.0.1:0", "--test-clock", START])
            .current_dir(folder)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Lines::default());
        let readers = vec![
            lines.read(child.stdout.take().unwrap()),
            lines.read(child.stderr.take().unwrap()),
        ];
        let ready = lines.wait_for("recoup is ready");
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let address = format!("http://{}", ready["address"].as_str().unwrap());
        let client = deliver::client().unwrap();
        Self { child, lines, readers, address, client }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> StatusCode {
        request.send().await.unwrap().status()
    }

    async fn get(&self, path: &str) -> StatusCode {
        self.send(self.client.get(format!("{}{path}", self.address))).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> StatusCode {
        self.send(self.client.post(format!("{}{path}", self.address)).form(form)).await
    }

    async fn webhook(&self, body: &str, signature: &str) -> StatusCode {
        let request = self.client.post(format!("{}/webhooks/stripe", self.address));
        self.send(request.header("stripe-signature", signature).body(body.to_owned())).await
    }

    async fn put(&self, path: &str, body: &Value) -> StatusCode {
        let request = self.client.put(format!("{}/api/v1/{path}", self.address));
        self.send(request.bearer_auth(ADMIN_TOKEN).json(body)).await
    }

    async fn advance(&self, to: Timestamp) {
        let request = self.client.post(format!("{}/api/v1/test-clock/advance", self.address));
        let status = self.send(request.bearer_auth(ADMIN_TOKEN).json(&json!({"to": to}))).await;
        assert_eq!(status, StatusCode::OK);
    }

    /// Ends it as an operator does, and gives everything that it wrote.
    fn stop(mut self) -> Vec<String> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        std::mem::take(&mut *self.lines.lines.lock().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Only a test that has failed leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Service, gateways, mail server and one customer.
struct World {
    sandbox: Sandbox,
    mail: MailSink,
    service: Service,
    ana: Subscribed,
    now: Timestamp,
    folder: tempfile::TempDir,
}

impl World {
    async fn begin() -> Self {
        let now = START.parse().unwrap();
        let options = SandboxOptions {
            clock: Clock::test(now),
            hold: Duration::from_millis(100),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let mail = MailSink::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let twilio = refusing_twilio().await;
        let service = Service::start(folder.path(), &merchant_file(&sandbox, &mail, &twilio));
        for (kind, id) in [(Kind::Stripe, "stripe"), (Kind::Http, "backup")] {
            let url = format!("{}/webhooks/{id}", service.address);
            sandbox.set_webhook_url(kind, Some(&url));
        }
        let new = NewCustomer {
            name: Some("Ana Gómez".to_owned()),
            email: Some(EMAIL.to_owned()),
            phone: Some(PHONE.to_owned()),
            ..NewCustomer::default()
        };
        let bill = NewBill::new("", 2_900, "usd");
        let ana = sandbox.subscribe(new, "pm_card_visa", bill);
        Self { sandbox, mail, service, ana, now, folder }
    }

    /// Lets days pass, everything that follows from them included.
    async fn pass(&mut self, days: i64) {
        self.now += SignedDuration::from_hours(24 * days);
        self.settle().await;
    }

    async fn settle(&self) {
        loop {
            self.service.advance(self.now).await;
            let before = self.sandbox.deliveries().len();
            self.sandbox.advance_to(self.now);
            self.sandbox.webhooks_settled().await;
            if self.sandbox.deliveries().len() == before {
                return;
            }
        }
    }

    fn link_token(&self) -> String {
        let mails = self.mail.messages();
        let text = &mails.last().expect("a mail with a link").text;
        let link = text.split_whitespace().find(|word| word.contains("/pay/")).unwrap();
        link.rsplit('/').next().unwrap().to_owned()
    }
}

/// A Twilio that refuses every number, and repeats it.
async fn refusing_twilio() -> String {
    let refuse = async || {
        let words = format!("The 'To' number {PHONE} is not a valid phone number.");
        (Answer::BAD_REQUEST, Json(json!({"code": 21211, "message": words})))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(refuse)).await });
    base
}

fn merchant_file(sandbox: &Sandbox, mail: &MailSink, twilio: &str) -> String {
    let secrets = sandbox.secrets();
    let (stripe, http) = (sandbox.api_base(Kind::Stripe), sandbox.api_base(Kind::Http));
    format!(
        r#"
[merchant]
name = "Café Nube"
public_url = "https://pay.cafenube.example"
support_email = "help@cafenube.example"
support_phone = "+57 601 555 0100"

[server]
admin_token = "{ADMIN_TOKEN}"

[store]
url = "sled:store"

[[gateways]]
id = "stripe"
kind = "stripe"
api_base = "{stripe}"
api_key = "{}"
webhook_secrets = ["{}"]

[[gateways]]
id = "backup"
kind = "http"
api_base = "{http}"
api_key = "{}"
webhook_secrets = ["{}"]

[reminders]
silent_attempts = 0
channels = ["email", "sms"]

[sms]
provider = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "{TWILIO_TOKEN}"
from = "+15005550006"
api_base = "{twilio}"

[email]
smtp_url = "smtp://{}"
from = "Café Nube <pay@cafenube.example>"
provider = "postmark"
callback_secrets = ["{POSTMARK}"]
"#,
        secrets.stripe_api_key,
        secrets.stripe_webhook_secret,
        secrets.http_api_key,
        secrets.http_webhook_secret,
        mail.addr,
    )
}

/// Webhooks that are refused, each with data of a customer in it.
async fn refused_webhooks(world: &World) {
    let secret = &world.sandbox.secrets().stripe_webhook_secret;
    let body = json!({
        "id": "evt_1", "object": "event", "type": "invoice.payment_failed",
        "data": {"object": {"customer_email": EMAIL, "customer_phone": PHONE, "number": CARD}},
    });
    let body = body.to_string();
    let old = real_now() - SignedDuration::from_hours(1);
    let signed = |body: &str| stripe_signature(secret, body.as_bytes(), real_now());
    for (body, signature, status) in [
        (body.as_str(), signed("something else"), 401),
        (&body, format!("t={},v1=00,{EMAIL}", real_now().as_second()), 401),
        (&body, format!("{secret} {PHONE}"), 400),
        (&body, stripe_signature(secret, body.as_bytes(), old), 401),
        (&body[..body.len() - 9], signed(&body[..body.len() - 9]), 400),
        (CARD, signed(CARD), 400),
    ] {
        assert_eq!(world.service.webhook(body, &signature).await, status, "{signature}");
    }
    let unknown = format!("/webhooks/{EMAIL}");
    assert_eq!(world.service.post(&unknown, &[]).await, StatusCode::NOT_FOUND);
}

/// A decline that no table knows, told in words that name the customer.
async fn wordy_decline(world: &World) {
    let secret = &world.sandbox.secrets().http_webhook_secret;
    let now = real_now();
    let body = json!({
        "type": "invoice.payment_failed", "timestamp": now,
        "data": { "invoice": "in_wordy", "amount": 2_900, "currency": "USD",
            "customer": { "id": "c_wordy", "email": EMAIL, "phone": PHONE },
            "decline": { "message": format!("{EMAIL} said no to {CARD}, call {PHONE}") } },
    });
    let body = body.to_string();
    let headers = deliver::headers(Kind::Http, secret, ("msg_wordy", &body), now).unwrap();
    let request = world.service.client.post(format!("{}/webhooks/backup", world.service.address));
    let request = headers.into_iter().fold(request, |request, (k, v)| request.header(k, v));
    assert_eq!(world.service.send(request.body(body)).await, StatusCode::OK);
    world.settle().await;
}

/// Programs and people who may not, or ask for what is not there.
async fn refused_requests(world: &World) {
    let service = &world.service;
    let wrong = service.client.get(format!("{}/api/v1/cases?customer={EMAIL}", service.address));
    let wrong = wrong.bearer_auth("whsec_not_the_admin_token");
    assert_eq!(service.send(wrong).await, StatusCode::UNAUTHORIZED);
    service.post("/login", &[("token", "sk_test_not_the_admin_token")]).await;
    assert_eq!(service.get(&format!("/pay/{FALSE_TOKEN}")).await, StatusCode::NOT_FOUND);
    assert_eq!(service.get(&format!("/nowhere/{EMAIL}?phone={PHONE}")).await, 404);
    let method = json!([{ "gateway": "backup", "token": CARD }]);
    let path = format!("customers/{}/payment-methods", world.ana.customer);
    assert_eq!(service.put(&path, &method).await, StatusCode::UNPROCESSABLE_ENTITY);
    let contact = json!({ "email": EMAIL, "phone": "call +57 300 123 45 67" });
    let path = format!("customers/{}", world.ana.customer);
    assert_eq!(service.put(&path, &contact).await, StatusCode::UNPROCESSABLE_ENTITY);
    let contact = json!({ "email": EMAIL, "phone": PHONE, "time_zone": "America/Bogota" });
    assert_eq!(service.put(&path, &contact).await, StatusCode::OK);
}

/// Calls to the gateway that break, answer with an error, or never answer.
async fn failing_gateway(world: &mut World) {
    for (days, fault) in [Fault::DroppedBefore, Fault::ErrorBefore].into_iter().enumerate() {
        world.sandbox.schedule(Rule {
            target: Target::Gateway(Kind::Stripe),
            from: Some(world.now + SignedDuration::from_hours(24 * days as i64)),
            until: Some(world.now + SignedDuration::from_hours(24 * days as i64 + 12)),
            step: Step::approve().with_fault(fault),
        });
    }
    world.sandbox.bill(&world.ana.subscription);
    world.settle().await;
    world.pass(1).await;
    world.pass(1).await;
}

/// Mail that is put off, refused and taken, by a server that repeats the address.
async fn mail_in_trouble(world: &mut World) {
    world.mail.order(Trouble::Recipient(format!("450 4.2.1 <{EMAIL}>: mailbox busy")));
    world.mail.order(Trouble::Content(format!("451 4.3.0 <{EMAIL}>: try again")));
    world.sandbox.script(
        Target::Customer(world.ana.customer.clone()),
        std::iter::repeat_n(Step::decline("expired_card"), 8),
    );
    world.sandbox.bill(&world.ana.subscription);
    world.settle().await;
    world.pass(2).await;
    world.mail.order(Trouble::Recipient(format!("550 5.1.1 <{EMAIL}>: no such mailbox")));
    world.pass(8).await;
    world.pass(8).await;
}

/// Reports of providers: forged, unreadable, about nothing of ours, and a customer's no.
async fn callbacks(world: &World) {
    let service = &world.service;
    let url = "https://pay.cafenube.example/callbacks/sms";
    let signed = |fields: &[(&str, &str)]| {
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        let text: String = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(TWILIO_TOKEN.as_bytes()).unwrap();
        mac.update(format!("{url}{text}").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    };
    let stop: &[_] = &[("MessageSid", "SM1"), ("From", PHONE), ("Body", "Baja.")];
    let wordy: &[_] = &[("From", PHONE), ("Body", EMAIL)];
    for (form, signature, status) in [
        (stop, "bm9wZQ==".to_owned(), 401),
        (stop, format!("{PHONE} {EMAIL}"), 401),
        (wordy, signed(wordy), 400),
        (stop, signed(stop), 200),
    ] {
        let request = service.client.post(format!("{}/callbacks/sms", service.address));
        let request = request.form(form).header("x-twilio-signature", signature);
        assert_eq!(service.send(request).await, status);
    }
    let bounce = json!({"RecordType": "Bounce", "Type": "HardBounce", "Email": EMAIL,
        "MessageID": "m", "BouncedAt": START, "Description": format!("{EMAIL} {PHONE}")});
    let bounce = bounce.to_string();
    for (login, body, status) in [
        (format!("{EMAIL}:no"), bounce.as_str(), 401),
        (POSTMARK.to_owned(), &bounce[..bounce.len() - 9], 400),
        (POSTMARK.to_owned(), &bounce, 200),
    ] {
        let request = service.client.post(format!("{}/callbacks/email", service.address));
        let login = format!("Basic {}", STANDARD.encode(login));
        let request = request.header("authorization", login).body(body.to_owned());
        assert_eq!(service.send(request).await, status, "{body}");
    }
    assert_eq!(service.post(&format!("/callbacks/{EMAIL}"), &[]).await, StatusCode::NOT_FOUND);
    world.settle().await;
}

/// The customer's page, with the link of the mail.
async fn hosted_page(world: &World, token: &str) {
    let service = &world.service;
    assert_eq!(service.get(&format!("/pay/{token}")).await, StatusCode::OK);
    let door = format!("/pay/{token}/update-card");
    assert_eq!(service.post(&door, &[]).await, StatusCode::SEE_OTHER);
    world.sandbox.schedule(Rule {
        target: Target::Gateway(Kind::Stripe),
        from: None,
        until: None,
        step: Step::approve().with_fault(Fault::DroppedBefore),
    });
    world.sandbox.change_card(&world.ana.customer, "pm_card_mastercard");
    world.settle().await;
    let door = format!("/pay/{token}/stop-reminders");
    assert_eq!(service.post(&door, &[]).await, StatusCode::SEE_OTHER);
}

/// The commands that are given secrets.
fn commands(world: &World) -> Vec<String> {
    let secret = world.sandbox.secrets().stripe_webhook_secret.as_str();
    let url = format!("{}/webhooks/stripe", world.service.address);
    let lines = Arc::new(Lines::default());
    for args in [
        vec!["trigger", "payment_failed", "--secret", secret, "--url", &url],
        vec!["trigger", "payment_failed", "--secret", "whsec_anotherSecret", "--url", &url],
        vec!["verify", "--gateway", "stripe", "--secret", secret, "--body", "recoup.toml"],
        vec!["check"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(args)
            .current_dir(world.folder.path())
            .env("RUST_LOG", "trace")
            .output()
            .unwrap();
        for stream in [output.stdout, output.stderr] {
            lines.read(std::io::Cursor::new(stream)).join().unwrap();
        }
    }
    std::mem::take(&mut *lines.lines.lock().unwrap())
}

/// Text messages that were refused.
async fn texts_refused(world: &World) -> usize {
    let url = format!("{}/api/v1/messages?channel=sms&status=failed", world.service.address);
    let answer = world.service.client.get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    let page: Value = answer.json().await.unwrap();
    page["data"].as_array().unwrap().len()
}

fn planted(world: &World, token: &str) -> Vec<(&'static str, String)> {
    let secrets = world.sandbox.secrets();
    let bare = |secret: &str| secret.rsplit('_').next().unwrap().to_owned();
    vec![
        ("the customer's e-mail", EMAIL.to_owned()),
        ("the customer's phone", PHONE[1..].to_owned()),
        ("the customer's name", "Gómez".to_owned()),
        ("the link token", token.to_owned()),
        ("the false link token", FALSE_TOKEN.to_owned()),
        ("the admin token", ADMIN_TOKEN.to_owned()),
        ("a false admin token", "not_the_admin_token".to_owned()),
        ("Twilio's token", TWILIO_TOKEN.to_owned()),
        ("Postmark's password", POSTMARK.to_owned()),
        ("Postmark's password, encoded", STANDARD.encode(POSTMARK)),
        ("Stripe's key", secrets.stripe_api_key.clone()),
        ("Stripe's webhook secret", bare(&secrets.stripe_webhook_secret)),
        ("the http gateway's key", secrets.http_api_key.clone()),
        ("the http gateway's webhook secret", bare(&secrets.http_webhook_secret)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_holds_what_must_not_be_logged() {
    let mut world = World::begin().await;
    refused_webhooks(&world).await;
    refused_requests(&world).await;
    wordy_decline(&world).await;
    failing_gateway(&mut world).await;
    mail_in_trouble(&mut world).await;
    let token = world.link_token();
    callbacks(&world).await;
    assert_eq!(texts_refused(&world).await, 1, "a text message was tried");
    hosted_page(&world, &token).await;
    let mut lines = commands(&world);
    let planted = planted(&world, &token);
    lines.extend(world.service.stop());
    // The story happened: its own lines are there.
    for text in [
        "webhook refused",
        "a provider's report was refused",
        "a login with a wrong admin token",
        "a message waits for its provider",
        "recoup has stopped",
        "TRACE",
    ] {
        assert!(lines.iter().any(|line| line.contains(text)), "no line with {text:?}");
    }
    let wrong: Vec<_> = lines
        .iter()
        .map(|line| (scan::findings(line, &planted), line))
        .filter(|(found, _)| !found.is_empty())
        .map(|(found, line)| format!("{}: {line}", found.join(", ")))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

/// A service that cannot start says why without saying what it was given.
#[test]
fn a_failed_start_tells_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "[merchant]\nname = \"x\"\npublic_url = \"https://pay.cafenube.example\"\nsupport_email = \
         \"{EMAIL} and more\"\n[server]\nadmin_token = \"{ADMIN_TOKEN}\"\nlisten = \"nowhere\"\n\
         [[gateways]]\nid = \"stripe\"\nkind = \"stripe\"\napi_key = \"sk_test_0123456789\"\n\
         webhook_secrets = [\"whsec_0123456789\"]\n[email]\nsmtp_url = \
         \"smtp://me:{SMTP_PASSWORD}@mail.example?tls=maybe\"\nfrom = \"nobody\"\n"
    );
    std::fs::write(folder.path().join("recoup.toml"), file).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_recoup"))
        .arg("serve")
        .current_dir(folder.path())
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("recoup.toml"), "{text}");
    for secret in [ADMIN_TOKEN, SMTP_PASSWORD, "sk_test_0123456789", "whsec_0123456789"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
