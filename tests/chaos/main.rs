//! Chaos: thousands of made histories over the real core, worker and stores.
//!
//! Why here: the promises of money are tested where they are kept, at the gateways' ledgers. A
//! failure prints the command that repeats it; its seed then goes into `regressions.txt`.
//!
//! What must stay true: without `RECOUP_CHAOS_SEED` every run is the same run.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test: its seed is printed, and what it is made of is there"
)]

use recoup::lab::chaos::{self, ChaosOptions, ChaosReport, Scenario, StoreKind};

const REGRESSIONS: &str = include_str!("regressions.txt");
const SCENARIOS: [(&str, &str); 4] = [
    ("blind", include_str!("../../fixtures/scenarios/blind.toml")),
    ("impatient", include_str!("../../fixtures/scenarios/impatient.toml")),
    ("outages", include_str!("../../fixtures/scenarios/outages.toml")),
    ("short_keys", include_str!("../../fixtures/scenarios/short_keys.toml")),
];

/// Where the random histories begin: `RECOUP_CHAOS_SEED`, else always the same.
fn base_seed() -> u64 {
    let given = std::env::var("RECOUP_CHAOS_SEED").ok();
    let seed = given.map_or(1, |text| text.parse().expect("RECOUP_CHAOS_SEED is a number"));
    println!("chaos: from seed {seed} (RECOUP_CHAOS_SEED)");
    seed
}

fn scenario(name: &str) -> Scenario {
    let (_, text) = SCENARIOS.iter().find(|(known, _)| *known == name).expect("a scenario");
    toml::from_str(text).expect("a scenario that can be read")
}

fn options(name: Option<&str>, seed: u64, runs: u64) -> ChaosOptions {
    let scenario = name.map_or_else(Scenario::default, scenario);
    ChaosOptions { scenario, ..ChaosOptions::new(seed, runs) }
}

/// A seed that failed is replayed from now on: it is added to the list.
fn keep(report: &ChaosReport, name: Option<&str>) {
    let Some(first) = report.found.first() else { return };
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/regressions.txt");
    let line = format!("{} {} {}\n", first.seed, name.unwrap_or("-"), first.what);
    let known = std::fs::read_to_string(list).expect("the list of regressions");
    if !known.contains(&line) {
        std::fs::write(list, known + &line).expect("the list can be written");
    }
}

fn assert_clean(report: &ChaosReport, name: Option<&str>) {
    keep(report, name);
    let file =
        name.map_or_else(String::new, |n| format!(" --scenario fixtures/scenarios/{n}.toml"));
    let told: Vec<_> = report
        .found
        .iter()
        .map(|v| {
            let without: Vec<_> = v.without.iter().map(u64::to_string).collect();
            let without = match without.is_empty() {
                true => String::new(),
                false => format!(" --without {}", without.join(",")),
            };
            let command = format!("recoup chaos --seed {} --runs 1{without}{file}", v.seed);
            format!("{}: {}\n  {command}\n    {}", v.rule, v.what, v.story.join("\n    "))
        })
        .collect();
    assert_eq!(report.violations, 0, "\n{}", told.join("\n"));
}

/// That the world really was rough: a test that injects nothing proves nothing.
fn assert_rough(report: &ChaosReport) {
    for name in ["charges", "crashes_injected", "duplicates_injected", "messages"] {
        let count = report.counts.get(name).copied().unwrap_or_default();
        assert!(count > report.runs / 10, "{name}: {count} in {} histories", report.runs);
    }
    for name in ["lessons", "timeouts_injected", "callbacks", "clocks_set", "flips", "resends"] {
        assert!(report.counts.get(name).is_some_and(|count| *count > 0), "no {name}");
    }
}

#[test]
fn random_histories_break_no_rule() {
    let report = chaos::run(&options(None, base_seed(), 1_500));
    assert_clean(&report, None);
    assert_rough(&report);
}

#[test]
fn more_random_histories_break_no_rule() {
    let report = chaos::run(&options(None, base_seed() + 1_000_000, 1_500));
    assert_clean(&report, None);
}

#[test]
fn every_scenario_breaks_no_rule() {
    for (name, _) in SCENARIOS {
        let report = chaos::run(&options(Some(name), base_seed(), 100));
        assert_clean(&report, Some(name));
    }
}

/// Each line of the list: a seed, maybe a scenario, and what had been wrong.
#[test]
fn seeds_that_once_failed_stay_clean() {
    let lines = REGRESSIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let mut words = line.split_whitespace();
        let seed = words.next().and_then(|w| w.parse().ok()).expect("a seed");
        let name = words.next().filter(|name| *name != "-");
        assert_clean(&chaos::run(&options(name, seed, 1)), name);
    }
}

#[test]
fn the_same_seed_is_the_same_history_over_any_store() {
    let scratch = tempfile::tempdir().unwrap();
    let seed = base_seed();
    let memory = chaos::run(&options(None, seed, 60));
    let again = chaos::run(&options(None, seed, 60));
    assert_eq!(memory.trace_hash, again.trace_hash, "the seed alone makes the history");
    let sled = chaos::run(&ChaosOptions {
        store: StoreKind::Sled,
        scratch: scratch.path().to_owned(),
        ..options(None, seed, 60)
    });
    assert_clean(&sled, None);
    assert_eq!(memory.trace_hash, sled.trace_hash, "the store changes nothing");
    let other = chaos::run(&options(None, seed + 1, 60));
    assert_ne!(memory.trace_hash, other.trace_hash, "another seed is another history");
}

#[test]
fn the_trace_hash_does_not_depend_on_who_runs_what() {
    let options = options(None, base_seed(), 130);
    let (alone, together) = (chaos::run(&options), chaos::run_on(&options, 3, |_| {}));
    assert_eq!(alone.trace_hash, together.trace_hash);
    assert_eq!((alone.runs, alone.counts), (together.runs, together.counts));
}

#[test]
fn a_history_without_some_of_its_draws_is_another_and_is_repeated_too() {
    let whole = options(None, base_seed(), 1);
    let drawn = chaos::one(&whole, whole.seed).drawn;
    let left_out = drawn.first().copied().expect("something happens in it");
    let shorter = ChaosOptions { without: [left_out].into(), ..whole.clone() };
    let hash = |options: &ChaosOptions| chaos::one(options, options.seed).hash;
    assert_ne!(hash(&whole), hash(&shorter));
    assert_eq!(hash(&shorter), hash(&shorter));
}
