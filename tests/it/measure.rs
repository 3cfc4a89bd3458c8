//! Four hundred failed payments through the real binary under the test clock: who is held out, and
//! what the report says of them, against a count made from the ledgers alone.
//!
//! What must stay true: the report is right to the digit; who is held out stays held out over a
//! kill, a restart and another policy; the same numbers come without a service.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use recoup::sandbox::{Kind, Rule, Step, Target};
use serde_json::{Value, json};

use crate::death::World;

const DAY: u64 = 86_400;
const CASES: usize = 400;
const BATCH: usize = 50;
const SMART: &str = "schedule = \"smart\"\nholdout = 0.3";

/// The seventh part can only be mended by the customer.
fn is_hard(number: usize) -> bool {
    number.is_multiple_of(7)
}

fn amount(number: usize) -> i64 {
    1_000 + 37 * (number as i64 % 90)
}

fn failed(number: usize) -> String {
    let code = if is_hard(number) { "stolen_card" } else { "insufficient_funds" };
    let currency = if number.is_multiple_of(3) { "EUR" } else { "USD" };
    json!({
        "type": "invoice.payment_failed",
        "timestamp": "2026-01-05T13:00:00Z",
        "data": {
            "invoice": format!("in_{number}"), "subscription": format!("sub_{number}"),
            "customer": {"id": format!("c_{number}")},
            "amount": amount(number), "currency": currency, "attempt_count": 1,
            "decline": {"code": code},
            "payment_method": {"token": format!("tok_{number}"), "network": "visa"},
        },
    })
    .to_string()
}

/// How often the bank declines before it approves: some never, so that some cases end unpaid.
fn script(world: &World) {
    let never = Rule {
        target: Target::Gateway(Kind::Http),
        from: None,
        until: None,
        step: Step::decline("insufficient_funds"),
    };
    world.sandbox.schedule(never);
    for number in 1..=CASES {
        let declined = [0, 1, 2, 9][number % 4];
        let mut steps = vec![Step::decline("insufficient_funds"); declined.min(4)];
        steps.extend((declined < 4).then(Step::approve));
        world.sandbox.script(Target::Customer(format!("c_{number}")), steps);
    }
}

/// What the ledger tells of one case.
struct Told {
    number: usize,
    opened: Timestamp,
    attempts: Vec<Timestamp>,
    recovered: Option<Timestamp>,
    held_out: bool,
}

async fn told(world: &World, case: &Value) -> Told {
    let id = case["id"].as_str().unwrap();
    let ledger = world.get(&format!("/cases/{id}/ledger")).await;
    let entries = ledger["data"].as_array().unwrap();
    let at = |entry: &Value| entry["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let of =
        |kind: &str| -> Vec<_> { entries.iter().filter(|e| e["kind"] == kind).map(at).collect() };
    let ended =
        |e: &&Value| e["kind"] == "ended" && e["text"].as_str().unwrap().starts_with("Recovered");
    let arms: Vec<_> = entries.iter().filter(|e| e["decision"]["what"] == "arm").collect();
    assert_eq!(arms.len(), 1, "{id} is drawn once: {arms:?}");
    Told {
        number: case["invoice"].as_str().unwrap()[3..].parse().unwrap(),
        opened: of("opened")[0],
        attempts: of("attempt_sent"),
        recovered: entries.iter().find(ended).map(at),
        held_out: arms[0]["decision"]["via"] == "holdout",
    }
}

/// The numbers of one side within some days, as a report shows them.
fn count(told: &[&Told], days: i64) -> Value {
    let length = SignedDuration::from_hours(24 * (days + 1));
    let back = |t: &&&Told| t.recovered.is_some_and(|at| at.duration_since(t.opened) < length);
    let attempts =
        |t: &Told| t.attempts.iter().filter(|at| at.duration_since(t.opened) < length).count();
    let share = |cases: Vec<&Told>| {
        let cases: Vec<&&Told> = cases.iter().collect();
        json!([cases.len(), cases.iter().filter(|t| back(t)).count()])
    };
    let mut money = BTreeMap::<&str, (i64, i64)>::new();
    for t in told {
        let code = if t.number.is_multiple_of(3) { "EUR" } else { "USD" };
        let sums = money.entry(code).or_default();
        sums.0 += amount(t.number);
        sums.1 += if back(&t) { amount(t.number) } else { 0 };
    }
    json!({
        "all": share(told.to_vec()),
        "retryable": share(told.iter().copied().filter(|t| !is_hard(t.number)).collect()),
        "attempted": share(told.iter().copied().filter(|t| attempts(t) > 0).collect()),
        "attempts": told.iter().map(|t| attempts(t)).sum::<usize>(),
        "money": money,
    })
}

/// The same numbers, as the report has them.
fn shown(group: &Value) -> Value {
    let share = |name: &str| json!([group[name]["cases"], group[name]["recovered"]]);
    let money = group["money"].as_array().unwrap().iter().map(|m| {
        let code = m["owed"]["currency"].as_str().unwrap().to_owned();
        (code, json!([m["owed"]["minor"], m["recovered"]["minor"]]))
    });
    json!({
        "all": share("all"), "retryable": share("retryable"), "attempted": share("attempted"),
        "attempts": group["attempts"], "money": money.collect::<serde_json::Map<_, _>>(),
    })
}

fn check(report: &Value, told: &[Told], now: Timestamp) {
    for (window, days) in report["windows"].as_array().unwrap().iter().zip([14, 28]) {
        assert_eq!(window["days"], days);
        let length = SignedDuration::from_hours(24 * (days + 1));
        let old: Vec<_> = told.iter().filter(|t| now.duration_since(t.opened) >= length).collect();
        assert_eq!(window["too_young"], told.len() - old.len(), "{days} days");
        assert!(old.len() < told.len() && old.len() > 100, "some are too young: {}", old.len());
        assert_eq!(shown(window), count(&old, days), "{days} days");
        let (held, free): (Vec<_>, Vec<_>) = old.into_iter().partition(|t| t.held_out);
        let compared = &window["comparison"];
        assert_eq!(shown(&compared["holdout"]), count(&held, days), "held out, {days} days");
        assert_eq!(shown(&compared["smart"]), count(&free, days), "smart, {days} days");
        let share = |side: &str| {
            let all = &compared[side]["all"];
            all["recovered"].as_f64().unwrap() / all["cases"].as_f64().unwrap()
        };
        let difference = &compared["difference"]["all"];
        let estimate = difference["estimate"].as_f64().unwrap();
        assert!((estimate - (share("smart") - share("holdout"))).abs() < 1e-12);
        let bound = |name: &str| difference[name].as_f64().unwrap();
        assert!(bound("low") < estimate && estimate < bound("high"), "{difference}");
    }
}

/// The half that opened before the kill, and the half after it under another policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_hundred_cases_are_counted_to_the_digit() {
    let world = World::with(SMART).await;
    script(&world);
    let mut child = world.start().await;
    let mut before = BTreeMap::new();
    for batch in 0..CASES / BATCH {
        if batch == 4 {
            before = world.cases().await;
            child.kill().unwrap();
            child.wait().unwrap();
            world.write("recoup.toml", "schedule = \"smart\"\nholdout = 0.6\nmax_attempts = 3");
            child = world.start().await;
        }
        for number in batch * BATCH + 1..=(batch + 1) * BATCH {
            assert!(world.post(&format!("msg_{number}"), failed(number)).await);
        }
        assert!(world.advance(6 * DAY).await);
    }
    let cases = world.cases().await;
    assert_eq!(cases.len(), CASES);
    for (invoice, case) in &before {
        for name in ["arm", "policy_version"] {
            assert_eq!(cases[invoice][name], case[name], "{invoice} keeps its {name}");
        }
    }
    let versions = cases.values().map(|case| case["policy_version"].as_str().unwrap());
    assert_eq!(versions.collect::<std::collections::BTreeSet<_>>().len(), 2);
    let mut ledgers = Vec::new();
    for case in cases.values() {
        ledgers.push(told(&world, case).await);
    }
    let held = |late: bool| {
        ledgers.iter().filter(|t| (t.number > CASES / 2) == late && t.held_out).count()
    };
    // Five standard deviations of 30 % and 60 % in 200.
    assert!((28..=92).contains(&held(false)) && (86..=154).contains(&held(true)));
    let report = world.get("/reports/recovery").await;
    let now: Timestamp = report["now"].as_str().unwrap().parse().unwrap();
    check(&report, &ledgers, now);
    let (code, out, err) = world.run(&["report", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (0, report.clone()), "{err}");
    // A part of them, by when they opened.
    let since = now - SignedDuration::from_hours(24 * 30);
    let part = world.get(&format!("/reports/recovery?since={since}")).await;
    assert_eq!(part["cases"], ledgers.iter().filter(|t| t.opened >= since).count());
    let rest = world.get(&format!("/reports/recovery?until={since}")).await;
    assert_eq!(rest["cases"], ledgers.iter().filter(|t| t.opened < since).count());
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, out, err) = world.run(&["report", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (0, report), "{err}");
    let (code, out, _) = world.run(&["report"]);
    assert!(code == 0 && out.contains("held out of it: a difference of"), "{out}");
    assert_eq!(world.run(&["report", "--since", "soon"]).0, 2);
}
