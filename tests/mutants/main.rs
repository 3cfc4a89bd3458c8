//! Mutants: each rule is taken away once, and somebody notices.
//!
//! Why here: a million histories without a violation prove nothing if they would have none without
//! the rules either. `core::fault` takes one rule away at a time; a history of `recoup chaos` has
//! to break. What only a directed scenario notices is in `src/core/case/mutant_tests.rs`.
//!
//! What must stay true: every mutant is in one of the two tables; a seed here is only where the
//! search begins, so that a change of the simulator makes it longer and not wrong.

use recoup::core::fault::{self, Mutant};
use recoup::lab::chaos::{self, ChaosOptions};

/// Histories that are searched for one that breaks.
const SEARCHED: u64 = 4_000;

/// Who is noticed by random histories, by which rule, and the seed of one that breaks.
const BY_CHANCE: [(Mutant, &[&str], u64); 27] = [
    (Mutant::AcknowledgesBeforeKeeping, &["I3"], 194),
    (Mutant::BooksOnAnother, &["I1"], 11),
    (Mutant::CardTwiceAtOnce, &["I2"], 201),
    (Mutant::ChargesAfterTheEnd, &["I5"], 352),
    (Mutant::ChargesAgainAfterDeath, &["I2", "I4", "I5"], 840),
    (Mutant::ChargesMore, &["I1"], 1),
    (Mutant::ChargesWhileHeld, &["I5"], 603),
    (Mutant::FailureReopens, &["I5"], 30),
    (Mutant::ForgetsNever, &["I4"], 204),
    (Mutant::ForgetsSecondPayment, &["I1"], 530),
    (Mutant::IgnoresDelay, &["I4"], 1),
    (Mutant::IgnoresLimits, &["I4"], 93),
    (Mutant::IgnoresNativeRetry, &["I13"], 943),
    (Mutant::IgnoresOtherPayment, &["I1", "I5"], 200),
    (Mutant::IgnoresStop, &["I5"], 1),
    (Mutant::LimitsByGateway, &["I4"], 93),
    (Mutant::MessageAfterNo, &["I6"], 383),
    (Mutant::MessageAfterTheEnd, &["I5", "I6"], 349),
    (Mutant::MessageAtAnyTime, &["I6"], 9),
    (Mutant::MessageTwice, &["I6"], 126),
    (Mutant::NewKeyOnResend, &["I2"], 1),
    (Mutant::NoDeduplication, &["I3"], 1),
    (Mutant::NoPreFlight, &["I5"], 249),
    (Mutant::NotFoundIsFinal, &["I2"], 30),
    (Mutant::SendsBeforeKeeping, &["I2"], 1),
    (Mutant::StaleAnswerCounts, &["I13"], 3),
    (Mutant::TimeOutIsFailure, &["I2"], 20),
];

/// Whether the history of this seed breaks one of these rules without that one.
fn breaks(mutants: &[Mutant], rules: &[&str], seed: u64) -> bool {
    let options = ChaosOptions::new(seed, 1);
    let history = fault::with(mutants, || chaos::one(&options, seed));
    history.violations.iter().any(|violation| rules.contains(&violation.rule.as_str()))
}

/// The first history that breaks: the known one, or one that is searched for.
fn noticed(mutants: &[Mutant], rules: &[&str], known: u64) -> Option<u64> {
    std::iter::once(known).chain(1..=SEARCHED).find(|seed| breaks(mutants, rules, *seed))
}

#[test]
fn every_rule_that_is_taken_away_is_missed() {
    let survivors: Vec<_> = BY_CHANCE
        .iter()
        .filter(|(mutant, rules, seed)| noticed(&[*mutant], rules, *seed).is_none())
        .collect();
    assert!(survivors.is_empty(), "nobody notices {survivors:?}");
}

#[test]
fn with_every_rule_in_its_place_the_same_histories_are_clean() {
    for (_, _, seed) in BY_CHANCE {
        let history = chaos::one(&ChaosOptions::new(seed, 1), seed);
        assert!(history.violations.is_empty(), "{seed}: {:?}", history.violations);
    }
}

/// Two rules that stand for each other hide each other: each is noticed when the other is gone.
#[test]
fn what_has_a_double_is_missed_when_the_double_is_gone_too() {
    let doubles: [(&[Mutant], &[&str], u64); 3] = [
        (&[Mutant::SecondWhileUnknown, Mutant::CardTwiceAtOnce], &["I2"], 1_085),
        (&[Mutant::ResendsBlindly, Mutant::NoPreFlight], &["I1", "I2", "I4", "I5"], 249),
        (&[Mutant::FailureReopens, Mutant::NoPreFlight], &["I1", "I5"], 30),
    ];
    for (mutants, rules, seed) in doubles {
        assert!(noticed(mutants, rules, seed).is_some(), "nobody notices {mutants:?}");
    }
}
