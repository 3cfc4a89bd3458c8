//! `recoup learning`: what was learned is taken elsewhere and comes back as it was, against the
//! real binary with and without a service.
//!
//! What must stay true: an import gives the same bytes; a record that nobody can have learned
//! changes nothing; an export of the store has it, too.

use recoup::core::learning::Learned;
use recoup::core::learning::timing::{Context, Group, History};
use serde_json::{Value, json};

use crate::death::World;

fn taught(cases: usize) -> String {
    let mut learned = Learned::default();
    let failed_on = "2026-01-21".parse().unwrap();
    let context = Context { group: Group::Funds, failed_on, history: History::Unknown, segment: 5 };
    (0..cases).for_each(|_| learned.timing.learn_known(&context, |day| day % 3 == 0));
    serde_json::to_string(&learned).unwrap()
}

fn ok(world: &World, args: &[&str]) -> String {
    let (code, out, err) = world.run(args);
    assert_eq!(code, 0, "{args:?}: {out} {err}");
    out
}

fn funds(world: &World) -> f64 {
    let shown = ok(world, &["learning", "show", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["cases"]["funds"].as_f64().unwrap()
}

fn exported(world: &World) -> Value {
    serde_json::from_str(&ok(world, &["learning", "export"])).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_learned_is_taken_elsewhere_and_added() {
    let world = World::new().await;
    let mut child = world.start().await;
    let record = taught(120);
    assert!(record.len() > 1_000, "{}", record.len());
    world.put("learned.json", &record);
    ok(&world, &["learning", "import", "learned.json"]);
    assert_eq!(exported(&world), serde_json::from_str::<Value>(&record).unwrap());
    assert!((funds(&world) - 120.0).abs() < 1e-3);

    // What is wrong changes nothing.
    for (bad, why) in [
        (record.replacen("\"version\":1", "\"version\":9", 1), "version 9"),
        (record.replacen("\"hopeless\":[0.0,120.0]", "\"hopeless\":[0.0,-1.0]", 1), "negative"),
        (record[..record.len() / 2].to_owned(), "record"),
    ] {
        assert_ne!(bad, record);
        world.put("bad.json", &bad);
        let (code, _, err) = world.run(&["learning", "import", "bad.json", "--merge"]);
        assert!(code == 1 && err.contains(why), "{err}");
    }
    assert_eq!(world.run(&["learning", "reset"]).0, 2, "not without --yes");
    assert!((funds(&world) - 120.0).abs() < 1e-3);

    // Without a service it is kept, and added once, over a kill.
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = ok(&world, &["learning", "import", "learned.json", "--merge", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), json!({"applied": false}));
    for _ in 0..2 {
        child = world.start().await;
        assert!(world.advance(1).await);
        assert!((funds(&world) - 240.0).abs() < 1e-3, "{}", funds(&world));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let both = exported(&world);
    ok(&world, &["export", "--store", "sled:store", "-o", "all.jsonl"]);
    ok(&world, &["import", "all.jsonl", "--store", "sled:moved"]);
    world.put("recoup.toml", &world.read("recoup.toml").replace("/store\"", "/moved\""));
    assert_eq!(exported(&world), both, "an export of the store has it, too");

    child = world.start().await;
    ok(&world, &["learning", "reset", "--yes"]);
    assert!(funds(&world).abs() < 1e-9);
    child.kill().unwrap();
    child.wait().unwrap();
}
