//! The real binary is killed with SIGKILL at random moments, under load, again and again.
//!
//! What must stay true: every event that was acknowledged is accounted for, no invoice is charged
//! twice in the gateway's own books, and no message goes out twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use recoup::sandbox::mail::MailSink;
use recoup::sandbox::{Kind, Rule, Sandbox, SandboxOptions, Step, Target};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "a-token-of-this-test-only";
const ROUNDS: u64 = 8;
const EVENTS_A_ROUND: usize = 40;

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) mail: MailSink,
    folder: tempfile::TempDir,
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with("schedule = { days = [1] }").await
    }

    /// With these lines under `[retries]`.
    pub(crate) async fn with(retries: &str) -> Self {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        // Every charge is approved, and some answers are lost on the way.
        sandbox.schedule(Rule {
            target: Target::Gateway(Kind::Http),
            from: None,
            until: None,
            step: Step::approve().with_latency(3),
        });
        let mail = MailSink::start().await.unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let world = Self {
            sandbox,
            mail,
            folder: tempfile::tempdir().unwrap(),
            address: format!("127.0.0.1:{port}"),
            client: recoup::sandbox::deliver::client().unwrap(),
        };
        world.write("recoup.toml", retries);
        world
    }

    /// A merchant file with these lines under `[retries]`.
    pub(crate) fn write(&self, name: &str, retries: &str) {
        let text = self.merchant_file(retries);
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn merchant_file(&self, retries: &str) -> String {
        let secrets = self.sandbox.secrets();
        format!(
            "[merchant]\nname = \"Café Nube\"\npublic_url = \"http://{address}\"\n\
             support_email = \"help@cafenube.example\"\n[server]\nlisten = \"{address}\"\n\
             admin_token = \"{TOKEN}\"\n[store]\nurl = \"sled:{store}\"\n[[gateways]]\n\
             id = \"pay\"\nkind = \"http\"\napi_base = \"{base}\"\napi_key = \"{key}\"\n\
             webhook_secrets = [\"{secret}\"]\n[retries]\n{retries}\n\
             [email]\nsmtp_url = \"{smtp}\"\nfrom = \"pay@cafenube.example\"\n",
            address = self.address,
            store = self.folder.path().join("store").display(),
            base = self.sandbox.api_base(Kind::Http),
            key = secrets.http_api_key,
            secret = secrets.http_webhook_secret,
            smtp = self.mail.url(),
        )
    }

    pub(crate) async fn start(&self) -> Child {
        let mut child = serve(self.folder.path());
        for _ in 0..600 {
            let url = format!("http://{}/readyz", self.address);
            if self.client.get(url).send().await.is_ok_and(|a| a.status().is_success()) {
                return child;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let _ = child.kill();
        let ended = child.wait();
        panic!("the service did not come up: {ended:?}");
    }

    /// Sends one failure; `true` when it was acknowledged.
    async fn fail(&self, number: usize) -> bool {
        let hard = number.is_multiple_of(4);
        let code = if hard { "stolen_card" } else { "insufficient_funds" };
        let body = json!({
            "type": "invoice.payment_failed",
            "timestamp": "2026-01-05T13:00:00Z",
            "data": {
                "invoice": format!("in_{number}"), "subscription": format!("sub_{number}"),
                "customer": {
                    "id": format!("c_{number}"), "email": format!("c{number}@example.com"),
                },
                "amount": 2900, "currency": "USD", "attempt_count": 1,
                "decline": {"code": code},
                "payment_method": {"token": format!("tok_{number}"), "network": "visa"},
            },
        })
        .to_string();
        self.post(&format!("msg_{number}"), body).await
    }

    /// Sends one webhook, signed as the billing gateway does.
    pub(crate) async fn post(&self, id: &str, body: String) -> bool {
        let at = recoup::clock::real_now();
        let secret = &self.sandbox.secrets().http_webhook_secret;
        let mut request =
            self.client.post(format!("http://{}/webhooks/pay", self.address)).body(body.clone());
        let signed = recoup::sandbox::deliver::headers(Kind::Http, secret, (id, &body), at);
        for (name, value) in signed.unwrap() {
            request = request.header(name, value);
        }
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn advance(&self, seconds: u64) -> bool {
        let url = format!("http://{}/api/v1/test-clock/advance", self.address);
        let body = json!({ "by_seconds": seconds });
        let sent = self.client.post(url).bearer_auth(TOKEN).json(&body);
        sent.timeout(Duration::from_secs(60)).send().await.is_ok_and(|a| a.status().is_success())
    }

    /// A file in the merchant's folder.
    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// What is in it.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// A GET of `/api/v1{path}`.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1{path}", self.address);
        self.client.get(url).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap()
    }

    /// Runs a command in the merchant's folder: exit code, what it printed, what it said.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
        let ran = command.args(args).current_dir(self.folder.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
    }

    pub(crate) async fn cases(&self) -> BTreeMap<String, Value> {
        let mut cases = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/cases?limit=100{after}")).await;
            for case in page["data"].as_array().unwrap() {
                after = format!("&starting_after={}", case["id"].as_str().unwrap());
                cases.insert(case["invoice"].as_str().unwrap().to_owned(), case.clone());
            }
            if page["has_more"] != json!(true) {
                return cases;
            }
        }
    }
}

fn serve(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_recoup"))
        .args(["serve", "--test-clock", "2026-01-05T13:00:00Z"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_loses_nothing_and_charges_nobody_twice() {
    let world = World::new().await;
    let mut rng = fastrand::Rng::with_seed(7);
    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    for _ in 0..ROUNDS {
        let mut child = world.start().await;
        let kill_after = Duration::from_millis(rng.u64(5..250));
        let killer = async {
            tokio::time::sleep(kill_after).await;
            child.kill().unwrap();
        };
        let load = async {
            for _ in 0..EVENTS_A_ROUND {
                number += 1;
                if world.fail(number).await {
                    acknowledged.insert(format!("in_{number}"));
                }
                if number.is_multiple_of(10) {
                    world.advance(40_000).await;
                }
            }
        };
        tokio::join!(killer, load);
        child.wait().unwrap();
    }
    assert!(acknowledged.len() > 20, "only {} events were acknowledged", acknowledged.len());
    let mut child = world.start().await;
    for _ in 0..8 {
        assert!(world.advance(86_400).await, "time stands still");
    }
    let cases = world.cases().await;
    child.kill().unwrap();
    child.wait().unwrap();
    check(&world, &acknowledged, &cases);
}

fn check(world: &World, acknowledged: &BTreeSet<String>, cases: &BTreeMap<String, Value>) {
    for invoice in acknowledged {
        assert!(cases.contains_key(invoice), "{invoice} was acknowledged and is gone");
    }
    let doubles = world.sandbox.double_charges();
    assert!(doubles.is_empty(), "charged twice: {doubles:?}");
    let mut charged = BTreeMap::new();
    for capture in world.sandbox.ledger() {
        *charged.entry(capture.invoice.unwrap_or_default()).or_insert(0) += 1;
    }
    for (invoice, case) in cases {
        let soft = case["decline"]["category"] == "insufficient_funds";
        let times = charged.get(invoice).copied().unwrap_or(0);
        assert_eq!(times, i32::from(soft), "{invoice}: {case:#}");
        let paid = case["state"] == "recovered";
        assert_eq!(paid, soft, "{invoice} is {}", case["state"]);
    }
    let mut mails = BTreeSet::new();
    for mail in world.mail.messages() {
        let id = mail.header("Message-ID").unwrap_or_default();
        assert!(mails.insert(id.clone()), "a message went out twice: {id}");
    }
    assert!(!mails.is_empty(), "no message went out at all");
}
