//! Shadow mode over the real binary: a month of failures, payments, people, customers at their
//! doors and kills, with gateways and providers that note every call which would change something.
//!
//! What must stay true: nothing is charged, changed or sent, whatever comes; what would have been
//! is on record; going live makes up for nothing.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use recoup::sandbox::Kind;
use recoup::sandbox::deliver;
use recoup::sandbox::mail::MailSink;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-this-test-only";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CUSTOMERS: u64 = 40;

/// What would have changed something: method and path.
type Changes = Arc<Mutex<Vec<String>>>;

/// An address at which a `GET` finds nothing, and everything else is approved and noted.
async fn note_changes(changes: Changes) -> String {
    let answer = move |request: Request| {
        let changes = changes.clone();
        async move {
            if request.method() == Method::GET {
                return StatusCode::NOT_FOUND.into_response();
            }
            let line = format!("{} {}", request.method(), request.uri().path());
            changes.lock().unwrap().push(line);
            let charge = json!({ "id": "ch_1", "status": "approved", "sid": "SM1" });
            axum::Json(charge).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

struct Shop {
    folder: tempfile::TempDir,
    address: String,
    changes: Changes,
    mail: MailSink,
    client: reqwest::Client,
    child: Option<Child>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shop {
    async fn open() -> Self {
        let changes = Changes::default();
        let (base, mail) = (note_changes(changes.clone()).await, MailSink::start().await.unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (folder, address) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{port}"));
        let gateway = |id: &str| {
            format!(
                "[[gateways]]\nid = \"{id}\"\nkind = \"http\"\napi_base = \"{base}\"\n\
                 api_key = \"key\"\nwebhook_secrets = [\"{SECRET}\"]\n"
            )
        };
        let file = format!(
            "mode = \"shadow\"\n[merchant]\nname = \"Café Nube\"\n\
             public_url = \"http://{address}\"\nsupport_email = \"help@nube.example\"\n[server]\n\
             listen = \"{address}\"\nadmin_token = \"{TOKEN}\"\n[store]\nurl = \"sled:store\"\n\
             {first}{second}[retries]\nholdout = 0.0\n[final_action]\nsubscription = \"cancel\"\n\
             invoice = \"void\"\n[email]\nsmtp_url = \"{smtp}\"\nfrom = \"pay@nube.example\"\n\
             [sms]\n\
             provider = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = \"token\"\n\
             from = \"+12025550100\"\napi_base = \"{base}\"\n",
            first = gateway("pay"),
            second = gateway("backup"),
            smtp = mail.url(),
        );
        std::fs::write(folder.path().join("recoup.toml"), file).unwrap();
        // Sets up what every client needs.
        drop(deliver::client().unwrap());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        let mut shop = Self { folder, address, changes, mail, client, child: None };
        shop.start().await;
        shop
    }

    fn recoup(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
        command.current_dir(self.folder.path()).args(args).output().unwrap()
    }

    async fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(["serve", "--test-clock", "2026-01-05T13:00:00Z"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        for _ in 0..600 {
            let asked = self.client.get(self.url("/readyz")).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the service did not come up");
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let url = self.url(&format!("/api/v1{path}"));
        let sent = self.client.request(method, url).bearer_auth(TOKEN).json(&body);
        let answer = sent.timeout(Duration::from_secs(60)).send().await.unwrap();
        answer.json().await.unwrap_or_default()
    }

    async fn tell(&self, id: &str, kind: &str, customer: u64, code: &str) {
        let body = json!({
            "type": kind, "timestamp": "2026-01-05T13:00:00Z",
            "data": {
                "invoice": format!("in_{customer}"), "subscription": format!("sub_{customer}"),
                "customer": {
                    "id": format!("c_{customer}"), "email": format!("c{customer}@example.com"),
                    "phone": format!("+1202555{:04}", 100 + customer),
                },
                "amount": 2900, "currency": "USD", "attempt_count": 1,
                "decline": {"code": code},
                "payment_method": {"token": format!("tok_{customer}"), "network": "visa"},
            },
        })
        .to_string();
        let at = recoup::clock::real_now();
        let mut request = self.client.post(self.url("/webhooks/pay")).body(body.clone());
        for (name, value) in deliver::headers(Kind::Http, SECRET, (id, &body), at).unwrap() {
            request = request.header(name, value);
        }
        assert!(request.send().await.unwrap().status().is_success());
    }

    async fn fail(&self, customer: u64) {
        let code = ["insufficient_funds", "expired_card", "processing_error", "stolen_card"];
        let code = code[(customer % 4) as usize];
        self.tell(&format!("failed_{customer}"), "invoice.payment_failed", customer, code).await;
        let methods = json!([{
            "gateway": "backup", "token": format!("b_{customer}"), "network": "visa",
            "default": true, "consent": true,
        }]);
        let path = format!("/customers/c_{customer}/payment-methods");
        self.call(Method::PUT, &path, methods).await;
    }

    async fn cases(&self) -> Vec<Value> {
        let page = self.call(Method::GET, "/cases?limit=100", Value::Null).await;
        page["data"].as_array().unwrap().clone()
    }

    async fn advance(&self, hours: u64) {
        let body = json!({ "by_seconds": hours * 3_600 });
        let told = self.call(Method::POST, "/test-clock/advance", body).await;
        assert!(told["now"].is_string(), "{told}");
    }

    /// Somebody does something, at random.
    async fn meddle(&self, rng: &mut fastrand::Rng, cases: &[Value]) {
        let Some(case) = rng.choice(cases) else { return };
        let id = case["id"].as_str().unwrap();
        let customer = rng.u64(0..CUSTOMERS);
        match rng.u8(0..8) {
            0 => {
                let action = ["retry", "pause", "resume", "stop", "mark-paid"];
                let action = action[rng.usize(..5)];
                self.call(Method::POST, &format!("/cases/{id}/{action}"), json!({})).await;
            }
            1 => {
                let kind = ["invoice.paid", "payment_method.updated", "invoice.payment_failed"];
                let id = format!("more_{}", rng.u64(..));
                self.tell(&id, kind[rng.usize(..3)], customer, "insufficient_funds").await;
            }
            2 => {
                let token = format!("tok_new_{}", rng.u64(..));
                let body = json!([{
                    "gateway": "pay", "token": token, "default": true, "consent": true,
                }]);
                let path = format!("/customers/c_{customer}/payment-methods");
                self.call(Method::PUT, &path, body).await;
            }
            3 => drop(self.call(Method::POST, "/hold", json!({})).await),
            4 => drop(self.call(Method::DELETE, "/hold", json!({})).await),
            _ => self.knock(rng, id).await,
        }
    }

    /// The customer has got hold of the link, and tries a door.
    async fn knock(&self, rng: &mut fastrand::Rng, case: &str) {
        let link = self.call(Method::POST, &format!("/cases/{case}/link"), json!({})).await;
        let link = link["url"].as_str().unwrap();
        let doors =
            ["update-card", "retry", "more-time", "other-way", "already-paid", "stop-reminders"];
        let door = doors[rng.usize(..doors.len())];
        let form = [("date", "2026-01-20")];
        let answer = self.client.post(format!("{link}/{door}")).form(&form).send().await;
        assert!(answer.unwrap().status() != StatusCode::NOT_FOUND, "{door} is a door");
    }

    fn changes(&self) -> Vec<String> {
        self.changes.lock().unwrap().clone()
    }
}

fn count(cases: &[Value], list: &str, field: &str, value: &str) -> usize {
    let all = cases.iter().flat_map(|case| case[list].as_array().unwrap());
    all.filter(|one| one[field] == value).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_in_shadow_changes_nothing_and_going_live_makes_up_for_nothing() {
    let mut shop = Shop::open().await;
    let mut rng = fastrand::Rng::with_seed(20_260_105);
    for day in 0..33 {
        for customer in (0..CUSTOMERS).filter(|customer| customer % 12 == day) {
            shop.fail(customer).await;
        }
        let cases = shop.cases().await;
        for _ in 0..4 {
            shop.meddle(&mut rng, &cases).await;
        }
        if day % 8 == 5 {
            shop.kill();
            shop.start().await;
        }
        shop.advance(24).await;
    }
    shop.call(Method::DELETE, "/hold", json!({})).await;
    shop.advance(2).await;
    assert_eq!(shop.changes(), Vec::<String>::new(), "a gateway or provider was written to");
    assert_eq!(shop.mail.connections(), 0, "a mail server was spoken to");

    let cases = shop.cases().await;
    assert!(cases.iter().all(|case| case["mode"] == "shadow"));
    let attempts = count(&cases, "attempts", "outcome", "withheld");
    let messages = count(&cases, "messages", "status", "withheld");
    assert!(attempts >= 20 && messages >= 20, "{attempts} attempts, {messages} messages");
    let all: usize = cases.iter().map(|case| case["attempts"].as_array().unwrap().len()).sum();
    assert_eq!(all, attempts, "every attempt was withheld");
    what_would_have_been_is_told(&shop, &cases).await;

    going_live_makes_up_for_nothing(&mut shop).await;
}

async fn what_would_have_been_is_told(shop: &Shop, cases: &[Value]) {
    let report = shop.call(Method::GET, "/reports/recovery", Value::Null).await;
    // Who paid before the failure was told has no case.
    assert!(cases.len() > 30, "{} cases", cases.len());
    assert_eq!(report["shadow"]["cases"], cases.len(), "{report}");
    assert_eq!(report["cases"], 0, "what was only planned is in no other number");
    let withheld = count(cases, "attempts", "outcome", "withheld");
    assert_eq!(report["shadow"]["attempts"], withheld);
    let tried = cases.iter().find(|case| !case["attempts"].as_array().unwrap().is_empty());
    let id = tried.unwrap()["id"].as_str().unwrap();
    let told = String::from_utf8(shop.recoup(&["explain", id]).stdout).unwrap();
    assert!(told.contains("would be made now"), "{told}");
    let written = shop.call(Method::GET, "/messages?limit=1", Value::Null).await;
    let message = &written["data"][0];
    assert_eq!(message["status"], "withheld");
    assert!(message["text"].as_str().unwrap().contains("Café Nube"), "as it would have been sent");
}

async fn going_live_makes_up_for_nothing(shop: &mut Shop) {
    // Some are under way when the day comes.
    for customer in CUSTOMERS..CUSTOMERS + 8 {
        shop.fail(customer).await;
    }
    shop.advance(24).await;
    shop.kill();
    let refused = shop.recoup(&["live"]);
    assert_eq!(refused.status.code(), Some(2), "without a terminal it needs --yes");
    let done = shop.recoup(&["live", "--yes", "--json"]);
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done["changed"], true);
    shop.start().await;
    shop.advance(24 * 33).await;
    assert_eq!(shop.changes(), Vec::<String>::new(), "something that was planned was made up for");
    assert_eq!(shop.mail.connections(), 0);

    // What fails from now on is charged: the walls of this test do note changes.
    shop.tell("live", "invoice.payment_failed", 100, "insufficient_funds").await;
    shop.advance(24 * 9).await;
    assert!(shop.changes().iter().any(|change| change == "POST /charges"), "{:?}", shop.changes());
    shop.kill();

    // And a store with cases at work does not go back into shadow.
    shop.changes.lock().unwrap().clear();
    shop.start().await;
    shop.tell("open", "invoice.payment_failed", 101, "stolen_card").await;
    shop.advance(1).await;
    shop.kill();
    let file = shop.folder.path().join("recoup.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("\"live\"", "\"shadow\"");
    std::fs::write(file, text).unwrap();
    let refused = shop.recoup(&["serve", "--test-clock", "2026-01-05T13:00:00Z"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("1 cases of this store are open"), "{said}");
}
