//! What was learned about gateways: shrinking, merging, growing old, staying small.

use super::*;
use crate::core::decline::Category;
use proptest::prelude::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap()
}

fn outcome(gateway: &str, network: &str, answer: Answer, hours: i64) -> Outcome {
    let facts = Facts { network: Some(network.into()), amount: 100, ..Facts::default() };
    Outcome { at: at(hours), gateway: gateway.into(), facts, answer }
}

fn learned(outcomes: &[Outcome]) -> Routing {
    let mut learned = Routing::default();
    outcomes.iter().for_each(|outcome| learned.observe(outcome));
    learned
}

fn repeated(one: &Outcome, times: usize) -> Vec<Outcome> {
    vec![one.clone(); times]
}

fn p(learned: &Routing, gateway: &str, network: &str) -> f64 {
    let asked = outcome(gateway, network, Answer::Declined, 0);
    learned.estimate(&gateway.into(), &asked.facts, at(0)).p
}

#[test]
fn nothing_known_is_the_prior_and_a_group_leans_on_its_parent() {
    let nothing = Routing::default();
    assert_eq!(p(&nothing, "a", "visa"), priors::approval(&Facts::default()));
    let mut outcomes = repeated(&outcome("a", "visa", Answer::Approved, 0), 300);
    outcomes.extend(repeated(&outcome("a", "elo", Answer::Declined, 0), 3));
    let learned = learned(&outcomes);
    assert!(p(&learned, "a", "visa") > 0.95);
    assert!(p(&learned, "a", "elo") > 0.8, "three declines say little");
    assert!(p(&learned, "a", "never seen") > 0.9);
    assert_eq!(p(&learned, "b", "visa"), p(&nothing, "b", "visa"));
}

#[test]
fn earlier_declines_at_a_gateway_speak_against_it() {
    let facts = |tried_here| Facts { tried_here, ..Facts::default() };
    let of = |tried| Routing::default().estimate(&"a".into(), &facts(tried), at(0)).p;
    assert!(of(0) > of(1) && of(1) > of(2));
}

#[test]
fn a_count_weighs_half_after_its_half_life() {
    let learned = learned(&repeated(&outcome("a", "visa", Answer::Approved, 0), 8));
    let now = at(0) + HALF_LIFE;
    assert!((learned.weight(&"a".into(), now) - 4.0).abs() < 1e-9);
}

#[test]
fn a_technical_failure_is_no_decline_of_the_bank() {
    let learned = learned(&repeated(&outcome("a", "visa", Answer::Technical, 0), 4));
    assert_eq!(learned.weight(&"a".into(), at(0)), 0.0);
    assert_ne!(learned.health(&"a".into()), Health::default());
}

#[test]
fn an_outage_teaches_little_of_the_lasting_rate() {
    let mut outcomes = Vec::new();
    for hours in 0..200 {
        let answer = if hours % 2 == 0 { Answer::Approved } else { Answer::Declined };
        outcomes.push(outcome("a", "visa", answer, hours));
    }
    outcomes.extend(repeated(&outcome("a", "visa", Answer::Declined, 200), 100));
    let learned = learned(&outcomes);
    assert!(p(&learned, "a", "visa") > 0.37, "{}", p(&learned, "a", "visa"));
    assert!(learned.health(&"a".into()).factor(at(200)) < 0.3);
}

#[test]
fn what_is_learned_stays_below_a_mebibyte() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut outcomes = Vec::new();
    for number in 0..20_000 {
        let facts = Facts {
            network: Some(format!("network {}", rng.u8(..8))),
            country: Some(format!("{:02}", rng.u8(..60))),
            category: Some(Category::ALL[rng.usize(..18)]),
            amount: rng.i64(1..100_000),
            hour: rng.u8(..24),
            weekday: rng.u8(..7),
            ..Facts::default()
        };
        let answer = if rng.bool() { Answer::Approved } else { Answer::Declined };
        let gateway = GatewayId::from(["a", "b", "c", "d"][rng.usize(..4)]);
        outcomes.push(Outcome { at: at(number / 20), gateway, facts, answer });
    }
    let mut learned = learned(&outcomes);
    learned.refit(&outcomes, &Settings::default());
    let bytes = serde_json::to_vec(&learned).unwrap();
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    assert!(learned.groups() <= GROUPS);
    let back: Routing = serde_json::from_slice(&bytes).unwrap();
    assert!(back.is_understood());
    assert!(back == learned, "a record is read as it was written, to the last bit");
    let text = String::from_utf8(bytes).unwrap();
    let spoiled = text.replacen("\"approved\":\"", "\"approved\":\"inf", 1);
    assert!(serde_json::from_str::<Routing>(&spoiled).is_err(), "no number that is none is read");
    let spoiled = text.replacen("\"approved\":\"", "\"approved\":\"1e999", 1);
    assert!(serde_json::from_str::<Routing>(&spoiled).is_err());
}

/// Counts are sums of floats: the same up to the last bits.
fn close(a: &Routing, b: &Routing) -> bool {
    ["a", "b"].iter().all(|gateway| {
        ["visa", "elo"]
            .iter()
            .all(|network| (p(a, gateway, network) - p(b, gateway, network)).abs() < 1e-9)
            && a.health(&(*gateway).into()) == b.health(&(*gateway).into())
    })
}

fn any_outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    let one = (any::<bool>(), any::<bool>(), 0..3_u8, 0..5_000_i64);
    let made = one.prop_map(|(a, visa, answer, hours)| {
        let answer = [Answer::Approved, Answer::Declined, Answer::Technical][usize::from(answer)];
        outcome(if a { "a" } else { "b" }, if visa { "visa" } else { "elo" }, answer, hours)
    });
    proptest::collection::vec(made, 0..60)
}

proptest! {
    #[test]
    fn merging_is_adding(a in any_outcomes(), b in any_outcomes(), c in any_outcomes()) {
        let [a, b, c] = [&a, &b, &c].map(|outcomes| learned(outcomes));
        let merged = |x: &Routing, y: &Routing| {
            let mut merged = x.clone();
            merged.merge(y);
            merged
        };
        prop_assert!(close(&merged(&a, &b), &merged(&b, &a)));
        prop_assert!(close(&merged(&merged(&a, &b), &c), &merged(&a, &merged(&b, &c))));
        prop_assert!(close(&merged(&a, &Routing::default()), &a));
    }

    #[test]
    fn counts_only_lose_weight(
        outcomes in any_outcomes(),
        hours in 5_000..50_000_i64,
        more in 0..50_000_i64,
    ) {
        let learned = learned(&outcomes);
        let weight = |hours| learned.weight(&"a".into(), at(hours));
        prop_assert!(weight(hours + more) <= weight(hours) + 1e-12);
    }

    #[test]
    fn estimates_are_probabilities(
        outcomes in any_outcomes(),
        hours in -1_000_000..1_000_000_i64,
        tried in any::<u32>(),
    ) {
        let learned = learned(&outcomes);
        let facts = Facts { tried_here: tried, amount: i64::MIN, ..Facts::default() };
        let estimate = learned.estimate(&"a".into(), &facts, at(hours));
        prop_assert!(estimate.p > 0.0 && estimate.p < 1.0);
        prop_assert!(estimate.weight.is_finite() && estimate.spread().is_finite());
    }
}
