//! Stories of the comparison: who is held out stays on even spacing, whatever was learned.

use super::evidence_tests::{first_attempt_in_days, learned, smart};
use super::*;
use crate::core::ids::CaseId;
use crate::core::trial::{Arm, MILLION, Refusal};

fn holding_out(share: f64) -> Policy {
    Policy { holdout_ppm: (share * f64::from(MILLION)) as u32, ..smart() }
}

#[test]
fn a_case_that_is_held_out_keeps_to_even_spacing_and_says_so() {
    let (even, _) = first_attempt_in_days(learned(), policy());
    let (days, story) = first_attempt_in_days(learned(), holding_out(1.0));
    assert_eq!(story.case.arm, Some(Arm::Holdout));
    assert!((days - even).abs() < 1e-9, "day {days} instead of {even}");
    assert!(story.told("Held out of the smart schedule"), "{:?}", story.ledger);
    assert!(!story.told("by even spacing"), "evidence moved it: {:?}", story.ledger);

    let (days, story) = first_attempt_in_days(learned(), holding_out(1e-6));
    assert_eq!(story.case.arm, Some(Arm::Smart));
    assert!((9.5..=13.5).contains(&days), "{days}");
    assert!(story.told("is compared with the cases that are held out"));
}

#[test]
fn only_the_smart_schedule_is_compared() {
    for policy in [policy(), smart(), Policy { holdout_ppm: MILLION, ..policy() }] {
        let story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
        assert_eq!(story.case.arm, None);
        assert!(!story.told("eld out"));
    }
}

#[test]
fn the_share_is_drawn_and_a_larger_one_keeps_those_of_a_smaller() {
    let cases: Vec<_> = (0..20_000).map(|n| CaseId(format!("case_{n}"))).collect();
    let held = |share: f64| {
        let policy = holding_out(share);
        let held = move |case: &&CaseId| Arm::draw(case, &policy) == Some(Arm::Holdout);
        cases.iter().filter(held).collect::<Vec<_>>()
    };
    let (small, large) = (held(0.05), held(0.2));
    // Four standard deviations of a share of 5 % in 20,000.
    assert!((877..=1123).contains(&small.len()), "{}", small.len());
    assert!((3774..=4226).contains(&large.len()), "{}", large.len());
    assert!(small.iter().all(|case| large.contains(case)));
    // A golden value: changing the draw would move open cases to the other side.
    assert_eq!(small[..3].iter().map(|c| c.as_str()).collect::<Vec<_>>(), GOLDEN);
}

const GOLDEN: [&str; 3] = ["case_48", "case_57", "case_67"];

#[test]
fn what_a_case_began_with_is_kept_apart_from_what_it_became() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    story.clear().charged(declined(decline(Category::LostOrStolen, Advice::Never)));
    let first = Refusal { category: Category::InsufficientFunds, advice: Advice::None };
    assert_eq!(story.case.first_refusal, Some(first));
    assert!(story.case.was_retryable());
    let lost = Story::of(failed(Category::LostOrStolen, Advice::None));
    assert!(!lost.case.was_retryable());
    let ordered = Story::of(failed(Category::GenericDecline, Advice::Never));
    assert!(!ordered.case.was_retryable());
    let old = Case { first_refusal: None, ..ordered.case };
    assert!(!old.was_retryable(), "a case of an earlier version has its newest refusal");
}

#[test]
fn a_policy_without_a_share_keeps_the_version_that_it_had() {
    assert!(!serde_json::to_string(&policy()).unwrap().contains("holdout"));
    assert_ne!(holding_out(0.05).version(), smart().version());
    let case = Story::of(failed(Category::InsufficientFunds, Advice::None)).case;
    assert!(!serde_json::to_string(&case).unwrap().contains("\"arm\""));
}
