//! A merchant changes their mind in the middle: `plan --diff`, `policy list`, `policy migrate`,
//! against the real binary, with and without a service.
//!
//! What must stay true: what only looks changes nothing; a case is moved once, over a kill, too; a
//! policy that the service cannot keep to is refused.

use recoup::sandbox::{Kind, Rule, Step, Target};
use serde_json::{Value, json};

use crate::death::World;

const DAY: u64 = 86_400;
const OLD: &str = "schedule = \"even\"";
const NEW: &str = "schedule = \"even\"\nmax_attempts = 2\nwindow_days = 21";

fn failed(number: usize) -> String {
    json!({
        "type": "invoice.payment_failed",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": format!("in_{number}"), "subscription": format!("sub_{number}"),
            "customer": {"id": format!("c_{number}")},
            "amount": 2900, "currency": "USD", "attempt_count": 1,
            "decline": {"code": "insufficient_funds"},
            "payment_method": {"token": format!("tok_{number}"), "network": "visa"},
        },
    })
    .to_string()
}

fn run(world: &World, args: &[&str]) -> Value {
    let (code, out, err) = world.run(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{args:?}: {out} {err}");
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("no JSON: {out} {err}"))
}

async fn moves(world: &World, case: &Value) -> usize {
    let ledger = world.get(&format!("/cases/{}/ledger", case["id"].as_str().unwrap())).await;
    let moved = |entry: &&Value| entry["text"].as_str().unwrap().contains("moved the case");
    ledger["data"].as_array().unwrap().iter().filter(moved).count()
}

fn open_cases(world: &World) -> Vec<(bool, u64)> {
    let list = run(world, &["policy", "list"]);
    let mut counts: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["current"].as_bool().unwrap(), v["open_cases"].as_u64().unwrap()))
        .collect();
    counts.sort_unstable();
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_mind_reaches_open_cases_when_a_person_says_so() {
    let world = World::with(OLD).await;
    let step = Step::decline("insufficient_funds");
    let target = Target::Gateway(Kind::Http);
    world.sandbox.schedule(Rule { target, from: None, until: None, step });
    let mut child = world.start().await;
    for number in 1..=6 {
        assert!(world.post(&format!("m{number}"), failed(number)).await);
    }
    assert!(world.advance(8 * DAY).await);
    world.write("new.toml", NEW);
    let before = world.cases().await;

    let diff = run(&world, &["plan", "--diff", "new.toml"]);
    assert_eq!(diff["summary"]["cases"], 6, "{diff:#}");
    assert_eq!(diff["summary"]["changed"], 6);
    assert_eq!(diff["summary"]["attempts"], json!({"now": 18, "then": 6}));
    for change in diff["data"].as_array().unwrap() {
        assert_eq!(
            (&change["now"]["attempts"], &change["then"]["attempts"]),
            (&3.into(), &1.into())
        );
        assert!(change["then"]["ends_at"].as_str() < change["now"]["ends_at"].as_str());
    }
    let migrate = ["policy", "migrate", "--to", "new.toml"];
    let dry = run(&world, &[&migrate[..], &["--all", "--dry-run"]].concat());
    assert_eq!(dry, diff);
    let (code, out, _) = world.run(&["plan", "--diff", "new.toml"]);
    assert!(code == 0 && out.contains("6 would change"), "{out}");
    assert_eq!(world.cases().await, before, "who only looks changes nothing");
    assert_eq!(open_cases(&world), [(true, 6)]);

    let one = run(&world, &[&migrate[..], &["--case", "in_1"]].concat());
    assert_eq!(one["moved"], json!([before["in_1"]["id"]]));
    let after = world.cases().await;
    assert_eq!(after["in_1"]["policy_version"], diff["version"]);
    assert_ne!(after["in_1"]["next"], before["in_1"]["next"]);
    assert_eq!(after["in_2"], before["in_2"]);
    assert_eq!(open_cases(&world), [(false, 1), (true, 5)]);

    // Without a service the move is kept, and applied once when it runs, whatever is killed.
    child.kill().unwrap();
    child.wait().unwrap();
    let all = run(&world, &[&migrate[..], &["--all"]].concat());
    assert_eq!((all["moved"].as_array().unwrap().len(), &all["applied"]), (5, &json!(false)));
    let again = run(&world, &[&migrate[..], &["--all"]].concat());
    assert_eq!(again["moved"].as_array().unwrap().len(), 5, "none is applied yet");
    child = world.start().await;
    assert!(world.advance(1).await);
    child.kill().unwrap();
    child.wait().unwrap();
    child = world.start().await;
    assert!(world.advance(28 * DAY).await);
    let cases = world.cases().await;
    for case in cases.values() {
        assert_eq!(case["policy_version"], diff["version"]);
        assert_eq!(moves(&world, case).await, 1, "{case:#}");
        assert_eq!(case["attempts"].as_array().unwrap().len(), 2, "{case:#}");
        assert_eq!(case["state"], "exhausted");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_to_is_refused() {
    let world = World::with(OLD).await;
    let mut child = world.start().await;
    assert!(world.post("m1", failed(1)).await);
    assert!(world.advance(1).await);
    let more = "schedule = \"even\"\n[[gateways]]\nid = \"new\"\nkind = \"http\"\n\
        api_base = \"http://127.0.0.1:1\"\napi_key = \"k\"\nwebhook_secrets = [\"whsec_eA==\"]";
    world.write("more.toml", more);
    let (code, _, err) = world.run(&["policy", "migrate", "--to", "more.toml", "--all"]);
    assert!(code == 1 && err.contains("no gateway `new`"), "{err}");
    world.write("bad.toml", "schedule = \"clever\"");
    let (code, _, err) = world.run(&["plan", "--diff", "bad.toml"]);
    assert!(code == 1 && (err.contains("clever") || err.contains("retries.schedule")), "{err}");
    assert_eq!(world.run(&["policy", "migrate", "--to", "more.toml"]).0, 2, "one or all?");
    assert_eq!(world.run(&["policy", "show", "pol_0"]).0, 1);
    assert_eq!(open_cases(&world), [(true, 1)]);
    child.kill().unwrap();
    child.wait().unwrap();
}
