//! Two gateways under the real binary and the test clock: one goes bad, loses its traffic and gets
//! it back; fees stop attempts that are not worth them; a new card at either restarts its case.
//!
//! What must stay true: what is counted is what the gateways were asked, not what we say of it.

use jiff::{SignedDuration, Timestamp};
use recoup::sandbox::{Answer, Fault, Kind, Rule, Sandbox, SandboxOptions, Step, Target};
use serde_json::{Value, json};

use crate::death::{TOKEN, World};

const DAY: u64 = 86_400;
/// Failures a day.
const A_DAY: usize = 10;

/// A world with a second `http` gateway, `other`, that knows every card too.
struct Two {
    world: World,
    other: Sandbox,
}

fn answers(sandbox: &Sandbox, step: Step) {
    let (from, until) = (None, None);
    sandbox.schedule(Rule { target: Target::Gateway(Kind::Http), from, until, step });
}

impl Two {
    /// `fees` stands in the table of each gateway.
    async fn new(retries: &str, fees: &str) -> Self {
        let world = World::with(retries).await;
        let other = Sandbox::start(SandboxOptions::default()).await.unwrap();
        answers(&other, Step::approve());
        let secrets = other.secrets();
        let second = format!(
            "{fees}[[gateways]]\nid = \"other\"\nkind = \"http\"\napi_base = \"{}\"\n\
             api_key = \"{}\"\nwebhook_secrets = [\"{}\"]\n{fees}[retries]\n",
            other.api_base(Kind::Http),
            secrets.http_api_key,
            secrets.http_webhook_secret,
        );
        world.put("recoup.toml", &world.read("recoup.toml").replace("[retries]\n", &second));
        Self { world, other }
    }

    async fn put_wallet(&self, number: usize) {
        let card = json!({"network": "visa", "last4": "4242", "exp": "2030-03"});
        let methods: Vec<Value> = ["pay", "other"]
            .iter()
            .map(|gateway| {
                let mut method = card.clone();
                method["gateway"] = json!(gateway);
                method["token"] = json!(format!("tok_{number}"));
                method
            })
            .collect();
        let address = &self.world.address;
        let url = format!("http://{address}/api/v1/customers/c_{number}/payment-methods");
        let sent = self.world.client.put(url).bearer_auth(TOKEN).json(&methods).send().await;
        assert!(sent.unwrap().status().is_success());
    }

    async fn fail(&self, number: usize, code: &str) {
        let body = json!({
            "type": "invoice.payment_failed",
            "timestamp": "2026-01-05T13:00:00Z",
            "data": {
                "invoice": format!("in_{number}"),
                "customer": {
                    "id": format!("c_{number}"), "email": format!("c{number}@example.com"),
                },
                "amount": 2900, "currency": "USD", "attempt_count": 1,
                "decline": {"code": code},
                "payment_method": {
                    "token": format!("tok_{number}"), "network": "visa", "last4": "4242",
                    "exp": "2030-03",
                },
            },
        });
        assert!(self.world.post(&format!("msg_{number}"), body.to_string()).await);
    }

    /// Charges that reached each gateway's books from one day on until another.
    async fn shares(&self, from: u64, until: u64) -> (usize, usize) {
        let start: Timestamp = "2026-01-05T13:00:00Z".parse().unwrap();
        let day = |day: u64| start + SignedDuration::from_hours(24 * day as i64);
        let mut counts = (0, 0);
        for case in self.world.cases().await.values() {
            for attempt in case["attempts"].as_array().unwrap() {
                let at: Timestamp = attempt["at"].as_str().unwrap().parse().unwrap();
                match attempt["gateway"].as_str() {
                    _ if !(day(from)..day(until)).contains(&at) => {}
                    Some("pay") => counts.0 += 1,
                    _ => counts.1 += 1,
                }
            }
        }
        counts
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_goes_bad_loses_its_traffic_and_gets_it_back() {
    let two = Two::new("schedule = \"smart\"\nholdout = 0", "").await;
    let mut child = two.world.start().await;
    // What is asked for is the second half of each phase: the first is for finding out.
    let phases = [(0, 14), (14, 24), (24, 44)];
    for day in 0..44_u64 {
        match day {
            14 => answers(&two.other, Step::from(Answer::Approve).with_fault(Fault::ErrorBefore)),
            24 => {
                two.other.clear_script();
                answers(&two.other, Step::approve());
            }
            _ => {}
        }
        for number in (0..A_DAY).map(|n| day as usize * A_DAY + n + 1) {
            two.put_wallet(number).await;
            two.fail(number, "do_not_honor").await;
        }
        assert!(two.world.advance(DAY).await);
    }
    let mut shares = Vec::new();
    for (from, until) in phases {
        let (pay, other) = two.shares((from + until) / 2, until).await;
        shares.push(other as f64 / (pay + other).max(1) as f64);
        assert!(pay + other > 12, "{pay} and {other} attempts from day {from} on");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let [before, bad, after] = shares[..] else { panic!("three phases") };
    assert!(before > 0.2, "of two good gateways each has its part: {shares:?}");
    assert!(bad < 0.15, "one that answers nothing is only probed: {shares:?}");
    assert!(after > 2.0 * bad && after > 0.1, "one that is well again comes back: {shares:?}");
    assert_eq!(two.world.sandbox.double_charges().len() + two.other.double_charges().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fees_stop_attempts_that_are_not_worth_them_and_say_so() {
    // 29 dollars are owed and a refusal costs 60: no attempt is worth that.
    let fees = "[gateways.fees.USD]\napproved = 0.1\ndeclined = 60.0\n";
    let two = Two::new("schedule = \"smart\"\nholdout = 0", fees).await;
    let mut child = two.world.start().await;
    two.put_wallet(1).await;
    two.fail(1, "insufficient_funds").await;
    for _ in 0..31 {
        assert!(two.world.advance(DAY).await);
    }
    let cases = two.world.cases().await;
    let id = cases["in_1"]["id"].as_str().unwrap();
    let ledger = two.world.get(&format!("/cases/{id}/ledger")).await.to_string();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(cases["in_1"]["attempts"], json!([]));
    assert_eq!(cases["in_1"]["state"], "exhausted");
    assert!(ledger.contains("expected to bring more than its fees"), "{ledger}");
    assert!(two.world.sandbox.ledger().is_empty() && two.other.ledger().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_card_at_the_other_gateway_is_charged_there_at_once() {
    let two = Two::new("schedule = \"smart\"\nholdout = 0", "").await;
    let mut child = two.world.start().await;
    two.put_wallet(1).await;
    two.fail(1, "expired_card").await;
    assert!(two.world.advance(5 * DAY).await);
    assert_eq!(two.world.cases().await["in_1"]["attempts"], json!([]));
    let body = json!({
        "type": "payment_method.updated", "timestamp": "2026-01-10T13:00:00Z",
        "data": {"customer": {"id": "c_1"}, "payment_method": {
            "token": "tok_new", "network": "visa", "last4": "1881", "exp": "2031-01",
        }},
    })
    .to_string();
    let secret = &two.other.secrets().http_webhook_secret;
    let at = recoup::clock::real_now();
    let url = format!("http://{}/webhooks/other", two.world.address);
    let mut request = two.world.client.post(url).body(body.clone());
    for (name, value) in
        recoup::sandbox::deliver::headers(Kind::Http, secret, ("evt_1", &body), at).unwrap()
    {
        request = request.header(name, value);
    }
    assert!(request.send().await.unwrap().status().is_success());
    assert!(two.world.advance(60).await);
    let case = two.world.cases().await["in_1"].clone();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(case["state"], "recovered", "{case:#}");
    assert_eq!(case["attempts"][0]["gateway"], "other");
    assert_eq!(two.other.ledger().len(), 1);
    assert!(two.world.sandbox.ledger().is_empty(), "the old card was left alone");
}
