//! Stories of learned days: a plan moves an attempt and says why, and an ended case teaches.

use std::sync::Arc;

use super::*;
use crate::core::case::evidence::lesson;
use crate::core::learning::Learned;
use crate::core::learning::timing::{Context, End, Group, History};
use jiff::tz::TimeZone;

pub(super) fn smart() -> Policy {
    Policy { schedule: Schedule::Smart, ..policy() }
}

/// Bills of the 21st that fail are paid from the 1st to the 3rd, ten days later.
pub(super) fn learned() -> Arc<Learned> {
    let mut learned = Learned::default();
    let failed_on = "2026-10-21".parse().unwrap();
    let context = Context { group: Group::Funds, failed_on, history: History::Unknown, segment: 0 };
    for _ in 0..400 {
        learned.timing.learn_known(&context, |day| (11..=13).contains(&day));
    }
    Arc::new(learned)
}

pub(super) fn first_attempt_in_days(learned: Arc<Learned>, policy: Policy) -> (f64, Story) {
    let event = failed(Category::InsufficientFunds, Advice::None);
    let mut story = Story::with(event.clone(), policy);
    story.around.learned = learned;
    let event = Event { id: "evt_again".into(), ..event };
    let step = step::open(&event, &mut story.around, &story.policy, story.now).unwrap();
    story.take(step);
    let at = story.case.timers[&Timer::NextAttempt];
    (at.duration_since(story.now).as_secs_f64() / 86_400.0, story)
}

#[test]
fn evidence_moves_the_first_attempt_and_says_so() {
    let (days, story) = first_attempt_in_days(learned(), smart());
    // The 1st is the tenth day after the 21st of this month.
    assert!((9.5..=13.5).contains(&days), "{days}");
    assert!(story.told("by even spacing"), "{:?}", story.ledger);
}

#[test]
fn without_evidence_or_by_another_schedule_nothing_moves() {
    let (even, _) = first_attempt_in_days(learned(), policy());
    let (empty, story) = first_attempt_in_days(Arc::default(), smart());
    assert!((even - empty).abs() < 1e-9 && (6.0..=8.0).contains(&even), "{even} {empty}");
    assert!(!story.told("by even spacing"));
}

#[test]
fn a_case_that_ended_teaches_its_days() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let teaches = |story: &Story| lesson(&story.case, &story.around, &TimeZone::UTC);
    story.clear().charged(declined(decline(Category::InsufficientFunds, Advice::None)));
    assert_eq!(teaches(&story), None, "it has not ended");
    story.until_effect();
    while let Order::Send(_) = story.until_effect() {
        story.answer(Outcome::Sent(SendOutcome::Unknown));
    }
    story.clear().charged(approved("pi_1"));
    let found = teaches(&story).unwrap();
    assert_eq!(found.end, End::Approved);
    let days: Vec<_> = found.tries.iter().map(|(_, day)| *day).collect();
    assert_eq!(days, [7, 14]);
    assert!(found.tries.iter().all(|(context, _)| context.group == Group::Funds));
}

#[test]
fn what_a_person_forced_teaches_nothing() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    story.input(Input::Operator(OperatorAction::Retry));
    story.clear().charged(approved("pi_1"));
    assert_eq!(story.case.state, State::Recovered);
    assert_eq!(lesson(&story.case, &story.around, &TimeZone::UTC), None);
}
