//! What a decision costs: `cargo bench --bench decide`.
//!
//! One choice among four gateways for a card with thirty attempts, by rules alone and with
//! evidence; and how large the learning state is after a hundred thousand outcomes. The outcomes
//! are made: eight networks, forty countries, all categories.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints, and stops at the first error"
)]

use std::hint::black_box;
use std::time::Instant;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recoup::core::card::{Card, CardAttempt};
use recoup::core::decline::Category;
use recoup::core::ids::{CardKey, GatewayId};
use recoup::core::learning::facts::Facts;
use recoup::core::learning::routing::{Answer, Outcome, Routing};
use recoup::core::learning::trees::Settings;
use recoup::core::money::Money;
use recoup::core::routing::evidence::{Evidence, Exploring, FLOOR};
use recoup::core::routing::{Candidate, Choice, Route, choose};
use recoup::core::worth::{Fee, Fees};

const GATEWAYS: [&str; 4] = ["north", "south", "east", "west"];
const OUTCOMES: usize = 100_000;
const DECISIONS: u32 = 20_000;

fn main() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let outcomes = outcomes(now);
    let begin = Instant::now();
    let mut learned = Routing::default();
    outcomes.iter().for_each(|outcome| learned.observe(outcome));
    let observed = begin.elapsed();
    let begin = Instant::now();
    learned.refit(&outcomes, &Settings::default());
    let refitted = begin.elapsed();
    let bytes = serde_json::to_vec(&learned).unwrap().len();
    println!("{OUTCOMES} outcomes: learned in {observed:.0?}, trees grown in {refitted:.0?}");
    println!("  the learning state as JSON: {} KiB", bytes.div_ceil(1024));
    let card = card(now);
    let candidates: Vec<_> = GATEWAYS.iter().map(|gateway| candidate(gateway, &card)).collect();
    let fee = Fee { approved: 3_000, declined: 500, ..Fee::default() };
    let fees: Fees = GATEWAYS.iter().map(|gateway| ((*gateway).into(), fee)).collect();
    let amount = Money::new(2_900, "USD".parse().unwrap());
    let evidence = |draw| Evidence {
        learned: &learned,
        facts: &outcomes[0].facts,
        fees: &fees,
        worth: None,
        exploring: Exploring::Floor(FLOOR),
        draw,
    };
    time("by rules", |_| choose(&candidates, amount, now, None));
    time("with evidence", |draw| choose(&candidates, amount, now, Some(&evidence(draw))));
}

fn time(what: &str, decide: impl Fn(u64) -> Choice) {
    assert!(matches!(decide(0), Choice::Take { .. }), "{:?}", decide(0));
    let begin = Instant::now();
    for draw in 0..DECISIONS {
        black_box(decide(u64::from(draw) << 40));
    }
    println!("a decision {what}: {:.1?}", begin.elapsed() / DECISIONS);
}

/// A card with thirty attempts, most of them approved, so that no limit is reached.
fn card(now: Timestamp) -> Card {
    let mut card = Card::new(CardKey::from("card_1"));
    card.network = Some("visa".into());
    card.country = Some("CO".into());
    for number in 0..30 {
        card.note(CardAttempt {
            at: now - SignedDuration::from_hours(24 * 30 - 20 * number),
            gateway: "north".into(),
            amount: Money::new(1_000 + number, "USD".parse().unwrap()),
            approved: number % 3 != 0,
            attempt: None,
        });
    }
    card
}

fn candidate<'a>(gateway: &str, card: &'a Card) -> Candidate<'a> {
    Candidate {
        route: Route {
            gateway: gateway.into(),
            token: Some("t".into()),
            card: card.key.clone(),
            customer: None,
            network_transaction_id: None,
        },
        card: Some(card),
        tries: 1,
        failed_last: false,
        closed: None,
        stated: None,
    }
}

fn outcomes(now: Timestamp) -> Vec<Outcome> {
    let mut rng = fastrand::Rng::with_seed(1);
    let ids = GATEWAYS.map(GatewayId::from);
    let made = |number: usize| {
        let at = now - SignedDuration::from_mins(5 * (OUTCOMES - number) as i64);
        let own = rng.usize(..4);
        let facts = Facts {
            network: Some(format!("network {}", rng.u8(..8))),
            country: Some(format!("{:02}", rng.u8(..40))),
            category: Some(Category::ALL[rng.usize(..Category::ALL.len())]),
            amount: rng.i64(100..50_000),
            three_ds: Some(rng.bool()),
            attempt: rng.u32(1..5),
            tried_here: rng.u32(..3),
            ..Facts::default()
        };
        let facts = facts.at(at, &TimeZone::UTC);
        let p = 0.1 + 0.1 * own as f64 + if facts.hour > 12 { 0.2 } else { 0.0 };
        let answer = if rng.f64() < p { Answer::Approved } else { Answer::Declined };
        Outcome { at, gateway: ids[own].clone(), facts, answer }
    };
    (0..OUTCOMES).map(made).collect()
}
