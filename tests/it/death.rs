//! The real binary is killed with SIGKILL at random moments, under load, again and again.
//!
//! What must stay true: every event that was acknowledged is accounted for, no invoice is charged
//! twice in the gateway's own books, and no message goes out twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use recoup::sandbox::mail::MailSink;
use recoup::sandbox::{Fault, Kind, Rule, Sandbox, SandboxOptions, Step, Target};
use serde_json::{Value, json};

pub(crate) const TOKEN: &str = "a-token-of-this-test-only";

/// How many rounds; the environment may name more.
const ROUNDS: usize = 8;
const ROUNDS_FROM: &str = "RECOUP_KILLS";

/// Events a round at the most, and connections that send them.
const EVENTS_A_ROUND: usize = 24;
const SENDERS: usize = 4;

/// Every so many charges are made, and their answer is lost.
const LOST_ANSWERS: usize = 5;

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) mail: MailSink,
    folder: tempfile::TempDir,
    store: String,
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with("schedule = { days = [1] }").await
    }

    /// With these lines under `[retries]`.
    pub(crate) async fn with(retries: &str) -> Self {
        Self::at(retries, "store").await
    }

    /// With the store at this path of its folder.
    pub(crate) async fn at(retries: &str, store: &str) -> Self {
        Self::over(SandboxOptions::default(), retries, store).await
    }

    /// Over such a sandbox.
    pub(crate) async fn over(options: SandboxOptions, retries: &str, store: &str) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        // Every charge is approved.
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
            store: store.to_owned(),
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
            store = self.path(&self.store).display(),
            base = self.sandbox.api_base(Kind::Http),
            key = secrets.http_api_key,
            secret = secrets.http_webhook_secret,
            smtp = self.mail.url(),
        )
    }

    /// A path in the merchant's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.path(&self.store)
    }

    /// Starts the service, which must end by itself: with its code and its words.
    pub(crate) fn refuses_to_start(&self) -> String {
        let mut command = command(self.folder.path());
        let Output { status, stderr, .. } = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked") && !said.contains(".rs:"), "a trace: {said}");
        said
    }

    pub(crate) async fn start(&self) -> Child {
        self.is_ready(command(self.folder.path())).await
    }

    /// Starts the service, and keeps what it says for whoever asks.
    pub(crate) async fn start_heard(&self) -> Child {
        let mut command = command(self.folder.path());
        command.stderr(Stdio::piped());
        self.is_ready(command).await
    }

    async fn is_ready(&self, mut command: Command) -> Child {
        let mut child = command.spawn().unwrap();
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
    pub(crate) async fn fail(&self, number: usize) -> bool {
        self.post(&format!("msg_{number}"), failure(number)).await
    }

    /// Sends one webhook, signed as the billing gateway does.
    pub(crate) async fn post(&self, id: &str, body: String) -> bool {
        let sent = self.post_to(&self.address, id, body).await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }

    /// The same, to this address; the answer.
    pub(crate) async fn post_to(
        &self,
        address: &str,
        id: &str,
        body: String,
    ) -> reqwest::Result<reqwest::Response> {
        let at = recoup::clock::real_now();
        let secret = &self.sandbox.secrets().http_webhook_secret;
        let mut request =
            self.client.post(format!("http://{address}/webhooks/pay")).body(body.clone());
        let signed = recoup::sandbox::deliver::headers(Kind::Http, secret, (id, &body), at);
        for (name, value) in signed.unwrap() {
            request = request.header(name, value);
        }
        request.send().await
    }

    /// The charge of this invoice is made, and nobody hears of it.
    fn lose_an_answer(&self, number: usize) {
        let lost = Step::approve().with_fault(Fault::DroppedAfter);
        self.sandbox.script(Target::Customer(format!("c_{number}")), [lost]);
    }

    pub(crate) async fn advance(&self, seconds: u64) -> bool {
        let url = format!("http://{}/api/v1/test-clock/advance", self.address);
        let body = json!({ "by_seconds": seconds });
        let sent = self.client.post(url).bearer_auth(TOKEN).json(&body);
        sent.timeout(Duration::from_secs(600)).send().await.is_ok_and(|a| a.status().is_success())
    }

    /// The merchant's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
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

/// The failure of invoice `in_{number}`; every fourth is hard.
pub(crate) fn failure(number: usize) -> String {
    let hard = number.is_multiple_of(4);
    let code = if hard { "stolen_card" } else { "insufficient_funds" };
    json!({
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
    .to_string()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command
        .args(["serve", "--test-clock", "2026-01-05T13:00:00Z"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// How many rounds: as the environment says, else so many.
pub(crate) fn rounds(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_loses_nothing_and_charges_nobody_twice() {
    let world = World::new().await;
    let mut rng = fastrand::Rng::with_seed(7);
    let load = Load::default();
    for _ in 0..rounds(ROUNDS_FROM, ROUNDS) {
        let mut child = world.start().await;
        let kill_after = Duration::from_millis(rng.u64(5..150));
        let killer = async {
            tokio::time::sleep(kill_after).await;
            child.kill().unwrap();
        };
        tokio::join!(killer, load.round(&world));
        child.wait().unwrap();
    }
    let acknowledged = load.acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 20, "only {} events were acknowledged", acknowledged.len());
    let mut child = world.start().await;
    for _ in 0..8 {
        assert!(world.advance(86_400).await, "time stands still");
    }
    let cases = world.cases().await;
    child.kill().unwrap();
    child.wait().unwrap();
    let lost = check(&world, &acknowledged, &cases);
    assert!(lost > 0, "no answer of the gateway was lost on the way");
}

/// What is sent to the service, and what of it was acknowledged.
#[derive(Default)]
pub(crate) struct Load {
    number: AtomicUsize,
    pub(crate) acknowledged: Mutex<BTreeSet<String>>,
}

impl Load {
    /// Several senders send failures, and move the clock, until the service dies or all is sent.
    pub(crate) async fn round(&self, world: &World) {
        let first = self.number.load(Ordering::SeqCst);
        let sender = || async {
            loop {
                let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
                if number > first + EVENTS_A_ROUND {
                    return;
                }
                if number.is_multiple_of(LOST_ANSWERS) {
                    world.lose_an_answer(number);
                }
                if !world.fail(number).await {
                    return;
                }
                self.acknowledged.lock().unwrap().insert(format!("in_{number}"));
                if number.is_multiple_of(10) {
                    world.advance(40_000).await;
                }
            }
        };
        futures::future::join_all((0..SENDERS).map(|_| sender())).await;
    }
}

/// Everything is there, nobody is charged or written to twice. Gives how many charges were made
/// whose answer was lost.
fn check(world: &World, acknowledged: &BTreeSet<String>, cases: &BTreeMap<String, Value>) -> usize {
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
    no_mail_twice(world, cases);
    let number = |invoice: &str| invoice.trim_start_matches("in_").parse::<usize>().unwrap();
    charged.keys().filter(|invoice| number(invoice).is_multiple_of(LOST_ANSWERS)).count()
}

/// Each mail has an id of its own, and nobody got more than their case knows of.
fn no_mail_twice(world: &World, cases: &BTreeMap<String, Value>) {
    let mut ids = BTreeSet::new();
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    for mail in world.mail.messages() {
        let id = mail.header("Message-ID").unwrap_or_default();
        assert!(ids.insert(id.clone()), "a message went out twice: {id}");
        *received.entry(mail.header("To").unwrap_or_default()).or_default() += 1;
    }
    assert!(!ids.is_empty(), "no message went out at all");
    for (to, mails) in received {
        let number = to.trim_start_matches('c').split('@').next().unwrap();
        let known = cases[&format!("in_{number}")]["messages"].as_array().unwrap().len();
        assert!(mails <= known, "{mails} mails to {to}, whose case knows {known}");
    }
}
