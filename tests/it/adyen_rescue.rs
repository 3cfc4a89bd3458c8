//! Adyen as the billing gateway, with Auto Rescue switched on: the real binary against the sandbox.
//!
//! What must stay true: while Adyen itself still tries, recoup only watches; it takes over when the
//! rescue ends; the invoice is charged once. Where the merchant said that there are no rescues and
//! one is planned all the same, a person is told.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use recoup::clock::Clock;
use recoup::sandbox::{
    Kind, MERCHANT_ACCOUNT, NewAdyenPayment, Sandbox, SandboxOptions, Step, Target,
};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-this-test-only";
const START: &str = "2026-01-05T13:00:00Z";

struct World {
    sandbox: Sandbox,
    service: Child,
    address: String,
    client: reqwest::Client,
    now: Timestamp,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

fn merchant_file(sandbox: &Sandbox, native_retries: &str) -> String {
    let secrets = sandbox.secrets();
    format!(
        "[merchant]\nname = \"Café Nube\"\npublic_url = \"https://pay.cafenube.example\"\n\
         support_email = \"help@cafenube.example\"\n[server]\nadmin_token = \"{TOKEN}\"\n\
         [store]\nurl = \"memory:\"\n[[gateways]]\nid = \"adyen\"\nkind = \"adyen\"\n\
         api_base = \"{base}\"\napi_key = \"{key}\"\nwebhook_secrets = [\"{secret}\"]\n\
         merchant_account = \"{MERCHANT_ACCOUNT}\"\nnative_retries = \"{native_retries}\"\n",
        base = sandbox.api_base(Kind::Adyen),
        key = secrets.adyen_api_key,
        secret = secrets.adyen_webhook_secret,
    )
}

impl World {
    /// Auto Rescue tries again after three days, and after four more.
    async fn begin(native_retries: &str) -> Self {
        let now = START.parse().unwrap();
        let options = SandboxOptions {
            clock: Clock::test(now),
            native_retry_days: vec![3, 4],
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = merchant_file(&sandbox, native_retries);
        std::fs::write(folder.path().join("recoup.toml"), file).unwrap();
        let mut service = Command::new(env!("CARGO_BIN_EXE_recoup"))
            .args(["serve", "--listen", "127.0.0.1:0", "--test-clock", START])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(service.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).ok()?;
            Some(line.get("address")?.as_str()?.to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let address = format!("http://{}", address.unwrap());
        sandbox.set_webhook_url(Kind::Adyen, Some(&format!("{address}/webhooks/adyen")));
        let client = recoup::sandbox::deliver::client().unwrap();
        Self { sandbox, service, address, client, now, _folder: folder }
    }

    /// The merchant's billing charges the stored card; `steps` is what the bank says in turn.
    async fn bill(&self, steps: Vec<Step>) {
        self.sandbox.create_adyen_card("cust-1", "4111111111111111");
        self.sandbox.script(Target::Customer("cust-1".into()), steps);
        self.sandbox.bill_adyen(NewAdyenPayment {
            reference: "INV-1".into(),
            shopper: "cust-1".into(),
            amount: 2900,
            currency: "EUR".parse().unwrap(),
        });
        self.settle().await;
    }

    async fn pass(&mut self, days: i64) {
        for _ in 0..days {
            self.now += SignedDuration::from_hours(24);
            self.settle().await;
        }
    }

    async fn settle(&self) {
        loop {
            let url = format!("{}/api/v1/test-clock/advance", self.address);
            let request = self.client.post(url).bearer_auth(TOKEN).json(&json!({ "to": self.now }));
            assert_eq!(request.send().await.unwrap().status(), 200);
            let before = self.sandbox.deliveries().len();
            self.sandbox.advance_to(self.now);
            self.sandbox.webhooks_settled().await;
            if self.sandbox.deliveries().len() == before {
                return;
            }
        }
    }

    async fn case(&self) -> Value {
        let url = format!("{}/api/v1/cases", self.address);
        let answer = self.client.get(url).bearer_auth(TOKEN).send().await.unwrap();
        let list: Value = answer.json().await.unwrap();
        list["data"][0].clone()
    }

    fn assert_all_were_taken(&self) {
        let refused: Vec<_> =
            self.sandbox.deliveries().into_iter().filter(|d| d.status != Some(200)).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

fn no_funds() -> Step {
    Step::decline("insufficient_funds")
}

#[tokio::test(flavor = "multi_thread")]
async fn recoup_waits_while_a_rescue_is_scheduled_and_takes_over_when_it_ends() {
    let mut world = World::begin("observe").await;
    world.bill(vec![no_funds(), no_funds(), no_funds(), Step::approve()]).await;
    let case = world.case().await;
    assert_eq!((&case["state"], &case["native_retry"]), (&json!("monitoring"), &json!("planned")));
    assert_eq!(case["decline"]["category"], "insufficient_funds");
    world.pass(5).await;
    let case = world.case().await;
    assert_eq!(case["state"], "monitoring", "Adyen tries once more on day 7: {case:#}");
    assert_eq!(case["native_attempts"], 2);
    world.pass(3).await;
    let case = world.case().await;
    assert_eq!((&case["state"], &case["native_retry"]), (&json!("scheduled"), &json!("none")));
    assert_eq!(case["attempts"], json!([]), "nothing was charged beside the rescue");
    world.pass(20).await;
    let case = world.case().await;
    assert_eq!(case["state"], "recovered", "{case:#}");
    assert_eq!(case["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(case["flags"], json!([]));
    assert!(world.sandbox.double_charges().is_empty());
    let captures = world.sandbox.captures_of(Kind::Adyen, "INV-1");
    assert!(captures.len() == 1 && captures[0].idempotency_key.is_some(), "{captures:?}");
    world.assert_all_were_taken();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_that_succeeds_ends_the_case_without_an_attempt_of_ours() {
    let mut world = World::begin("observe").await;
    world.bill(vec![no_funds(), Step::approve()]).await;
    world.pass(4).await;
    let case = world.case().await;
    assert_eq!((&case["state"], &case["attempts"]), (&json!("recovered"), &json!([])), "{case:#}");
    world.pass(30).await;
    assert_eq!(world.sandbox.captures_of(Kind::Adyen, "INV-1").len(), 1);
    world.assert_all_were_taken();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_that_was_said_to_be_off_is_a_warning_and_is_waited_for() {
    let mut world = World::begin("off").await;
    world.bill(vec![no_funds(), no_funds(), no_funds(), Step::approve()]).await;
    let case = world.case().await;
    assert_eq!(case["state"], "monitoring", "{case:#}");
    let flags = case["flags"].to_string();
    assert!(flags.contains("plans a retry of its own"), "{flags}");
    world.pass(28).await;
    assert_eq!(world.case().await["state"], "recovered");
    assert!(world.sandbox.double_charges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_a_word_of_a_rescue_is_retried_where_they_are_off() {
    let mut world = World::begin("off").await;
    // As an account without Auto Rescue tells it.
    let item = json!({
        "additionalData": {
            "refusalReasonRaw": "51 : Not enough balance", "shopperReference": "cust-1",
            "recurring.recurringDetailReference":
                world.sandbox.create_adyen_card("cust-1", "4111111111111111"),
        },
        "amount": { "currency": "EUR", "value": 2900 }, "eventCode": "AUTHORISATION",
        "eventDate": START, "merchantAccountCode": MERCHANT_ACCOUNT,
        "merchantReference": "INV-1", "paymentMethod": "visa", "pspReference": "PSP1",
        "reason": "Not enough balance", "success": "false",
    });
    let other = {
        let mut other = item.clone();
        other["merchantReference"] = json!("INV-2");
        other
    };
    let secret = &world.sandbox.secrets().adyen_webhook_secret;
    let sign = |items: &[Value]| {
        let wrapped: Vec<_> =
            items.iter().map(|item| json!({ "NotificationRequestItem": item })).collect();
        let body = json!({ "live": "false", "notificationItems": wrapped }).to_string();
        recoup::sandbox::sign::adyen_notification(secret, &body).unwrap()
    };
    let url = format!("{}/webhooks/adyen", world.address);
    // One forged item of a batch, and nothing of it is kept.
    let forged = sign(&[item.clone(), other]).replace("INV-2", "INV-3");
    let answer = world.client.post(&url).body(forged).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["item"]), (&json!("no_signature_match"), &json!(1)));
    world.settle().await;
    assert_eq!(world.case().await, Value::Null);
    let answer = world.client.post(&url).body(sign(&[item])).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "[accepted]");
    world.settle().await;
    assert_eq!(world.case().await["state"], "scheduled");
    world.pass(14).await;
    assert_eq!(world.case().await["state"], "recovered");
    assert_eq!(world.sandbox.captures_of(Kind::Adyen, "INV-1").len(), 1);
}
