//! Choosing by evidence: the rules stay first, chances are exact, what costs more than it brings is
//! not done.

use super::*;
use crate::core::card::Card;
use crate::core::ids::{AttemptId, CardKey};
use crate::core::learning::routing::{Answer, Outcome};
use crate::core::routing::{Route, choose};
use crate::core::worth::Fee;
use jiff::SignedDuration;
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn amount() -> Money {
    Money::new(5_000, "USD".parse().unwrap())
}

fn candidate(gateway: &str) -> Candidate<'static> {
    Candidate {
        route: Route {
            gateway: gateway.into(),
            token: Some("t".into()),
            card: CardKey::from("card_1"),
            customer: None,
            network_transaction_id: None,
        },
        card: None,
        tries: 0,
        failed_last: false,
        closed: None,
        stated: None,
    }
}

/// `a` approves one in ten, each further gateway one more.
fn learned() -> Routing {
    let mut learned = Routing::default();
    for number in 0..400_u64 {
        for (step, gateway) in NAMES.iter().enumerate() {
            let approved = number % 10 <= step as u64;
            learned.observe(&Outcome {
                at: now() - SignedDuration::from_hours(400 - number as i64),
                gateway: (*gateway).into(),
                facts: Facts::default(),
                answer: if approved { Answer::Approved } else { Answer::Declined },
            });
        }
    }
    learned
}

struct Setting {
    learned: Routing,
    fees: Fees,
    exploring: Exploring,
    draw: u64,
}

impl Setting {
    fn new(exploring: Exploring) -> Self {
        Self { learned: learned(), fees: Fees::new(), exploring, draw: 0 }
    }

    fn choose(&self, candidates: &[Candidate<'_>]) -> Choice {
        let evidence = Evidence {
            learned: &self.learned,
            facts: &Facts::default(),
            fees: &self.fees,
            worth: None,
            exploring: self.exploring,
            draw: self.draw,
        };
        choose(candidates, amount(), now(), Some(&evidence))
    }

    fn takes(&self, candidates: &[Candidate<'_>]) -> String {
        match self.choose(candidates) {
            Choice::Take { route, .. } => route.gateway.to_string(),
            other => format!("{other:?}"),
        }
    }
}

#[test]
fn the_most_valuable_is_taken_and_the_ledger_can_say_why() {
    let mut setting = Setting::new(Exploring::No);
    let all = NAMES.map(candidate);
    assert_eq!(setting.takes(&all), "d");
    // 20 USD of an approval at `d`: what `c` leaves is more.
    setting.fees.insert("d".into(), Fee { approved: 200_000, ..Fee::default() });
    let Choice::Take { route, why, considered } = setting.choose(&all) else { panic!("no choice") };
    assert_eq!(route.gateway.as_str(), "c");
    assert_eq!(
        why,
        "c is expected to leave most: 30 % to be approved, 14.87 USD to be expected after fees"
    );
    assert_eq!(considered.len(), 4);
    assert!(considered[2].text.ends_with("chosen with 100.00 %"), "{considered:?}");
}

#[test]
fn no_evidence_opens_what_a_rule_closed() {
    let setting = Setting::new(Exploring::Floor(0.5));
    let mut closed = candidate("d");
    closed.closed = Some("no gain");
    let mut stated = candidate("c");
    stated.stated = Some(now() + SignedDuration::from_hours(1));
    let mut busy_card = Card::new(CardKey::from("card_1"));
    busy_card.in_flight = Some(AttemptId::from("att_1"));
    let mut busy = candidate("b");
    busy.card = Some(&busy_card);
    for draw in 0..64 {
        let setting = Setting { draw: draw << 58, ..Setting::new(setting.exploring) };
        let all = [closed.clone(), stated.clone(), busy.clone(), candidate("a")];
        assert_eq!(setting.takes(&all), "a");
        assert!(matches!(setting.choose(&all[1..3]), Choice::NotBefore { .. }));
        assert!(matches!(setting.choose(&all[..1]), Choice::None { .. }));
    }
}

#[test]
fn what_costs_more_than_it_brings_is_not_done_and_said() {
    let mut setting = Setting::new(Exploring::Floor(0.05));
    for gateway in NAMES {
        setting.fees.insert(gateway.into(), Fee { declined: 900_000, ..Fee::default() });
    }
    let Choice::NotWorth { why, considered } = setting.choose(&NAMES.map(candidate)) else {
        panic!("it was done")
    };
    assert_eq!(why, "no open gateway is expected to bring more than its fees");
    assert_eq!(considered.len(), 4);
    setting.fees.clear();
    assert!(matches!(setting.choose(&[candidate("a")]), Choice::Take { .. }), "no fees: no stop");
}

#[test]
fn a_run_of_technical_failures_closes_a_gateway_and_a_probe_opens_it() {
    let mut setting = Setting::new(Exploring::Floor(0.08));
    let outcome = |answer, at| Outcome { at, gateway: "d".into(), facts: Facts::default(), answer };
    for _ in 0..5 {
        setting.learned.observe(&outcome(Answer::Technical, now()));
    }
    assert!(matches!(setting.choose(&[candidate("d")]), Choice::NotBefore { .. }));
    assert_ne!(setting.takes(&NAMES.map(candidate)), "d");
    // A quarter of an hour later it is probed, now and then.
    let evidence = Evidence {
        learned: &setting.learned,
        facts: &Facts::default(),
        fees: &setting.fees,
        worth: None,
        exploring: setting.exploring,
        draw: 0,
    };
    let (ids, facts) = (NAMES.map(GatewayId::from), Facts::default());
    let later = now() + SignedDuration::from_mins(20);
    let weighed = weigh(ids.iter().map(|id| (id, &facts)), 500_000, later, &evidence);
    assert!((0.05..=0.1).contains(&weighed[3].propensity), "{weighed:?}");
    assert!(weighed[..3].iter().all(|one| one.propensity >= 0.02), "{weighed:?}");
    setting.learned.observe(&outcome(Answer::Declined, later));
    assert!(matches!(setting.choose(&[candidate("d")]), Choice::Take { .. }));
}

#[test]
fn after_a_technical_failure_another_gateway_is_asked() {
    let setting = Setting::new(Exploring::No);
    let mut failed = candidate("d");
    failed.failed_last = true;
    assert_eq!(setting.takes(&[candidate("a"), failed.clone()]), "a");
    assert_eq!(setting.takes(&[failed]), "d", "where there is no other");
}

proptest! {
    #[test]
    fn chances_sum_to_one_keep_the_floor_and_repeat(
        floor in 0.0_f64..0.4,
        draw in any::<u64>(),
        fees in proptest::collection::vec((0..400_000_i64, 0..20_000_i64), 4),
        worth in 100_000..10_000_000_i64,
    ) {
        let mut setting = Setting::new(Exploring::Floor(floor));
        setting.draw = draw;
        for (gateway, (approved, declined)) in NAMES.iter().zip(fees) {
            let fee = Fee { approved, declined, ..Fee::default() };
            setting.fees.insert((*gateway).into(), fee);
        }
        let (ids, facts) = (NAMES.map(GatewayId::from), Facts::default());
        let evidence = Evidence {
            learned: &setting.learned,
            facts: &facts,
            fees: &setting.fees,
            worth: Some(worth),
            exploring: setting.exploring,
            draw,
        };
        let weighed = weigh(ids.iter().map(|id| (id, &facts)), worth, now(), &evidence);
        let sum: f64 = weighed.iter().map(|one| one.propensity).sum();
        if weighed.iter().any(|one| one.value > 0) {
            prop_assert!((sum - 1.0).abs() < 1e-9, "{weighed:?}");
            let asked = weighed.iter().filter(|one| one.propensity > 0.0);
            prop_assert!(asked.clone().all(|one| one.propensity >= floor / 4.0 - 1e-12));
        } else {
            prop_assert_eq!(sum, 0.0);
        }
        prop_assert!(weighed.iter().all(|one| one.p > 0.0 && one.p < 1.0));
        prop_assert_eq!(setting.takes(&NAMES.map(candidate)), setting.takes(&NAMES.map(candidate)));
    }
}
