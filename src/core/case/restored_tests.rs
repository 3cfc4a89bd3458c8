//! Stories of a case whose store was restored from a copy.

use super::*;
use crate::core::ids::AttemptId;

const BACK: &str = "2026-11-30T15:00:00Z";

/// A case as the copy knew it: its first attempt is still ahead. Then the store is restored.
fn restored() -> Story {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    story.now = BACK.parse().unwrap();
    let now = story.now;
    story.input(Input::Restored(now));
    story
}

/// The ids that the look-up asks for, of attempts that the case does not know.
fn asked(story: &mut Story) -> Vec<(String, AttemptId)> {
    let Order::Check(order) = story.until_effect().clone() else { panic!("no look-up") };
    assert_eq!(order.purpose, CheckPurpose::Restored);
    let known = |id: &AttemptId| story.case.attempts.iter().any(|a| a.charge.attempt == *id);
    let asked = order.attempts.iter().filter(|a| !known(&a.charge.attempt));
    asked.map(|a| (a.charge.gateway.to_string(), a.charge.attempt.clone())).collect()
}

/// Answers the look-up: the invoice so, this attempt so, no other one is there.
fn tell(story: &mut Story, invoice: InvoiceView, found: Option<(u32, ChargeOutcome)>) {
    let Order::Check(order) = story.until_effect().clone() else { panic!("no look-up") };
    let case = story.case.id.clone();
    let answer = |id: &AttemptId| match &found {
        Some((number, outcome)) if AttemptId::of(&case, *number) == *id => {
            LookUpAnswer::Found(outcome.clone())
        }
        _ => LookUpAnswer::NotFound,
    };
    let attempts = order.attempts.iter().map(|a| &a.charge.attempt);
    let attempts = attempts.map(|id| (id.clone(), answer(id))).collect();
    let invoice = Some(invoice);
    story.answer(Outcome::Checked(CheckReport { invoice, invoice_error: None, attempts }));
}

fn refunds(story: &Story) -> usize {
    story.effects.iter().filter(|e| matches!(e.order, Order::Refund(_))).count()
}

#[test]
pub(super) fn a_restored_case_asks_every_gateway_before_anything_is_charged() {
    let mut story = restored();
    assert!(asked(&mut story).is_empty(), "the billing gateway's invoice says what was paid there");
    tell(&mut story, open_invoice(), None);
    let asked = asked(&mut story);
    assert!(asked.len() >= 2 && asked.iter().all(|(gateway, _)| gateway == "backup"), "{asked:?}");
    assert_eq!(asked[0].1, AttemptId::of(&story.case.id, 1), "what would be the next one");
    // A retry that a person asks for meanwhile waits, too.
    story.input(Input::Operator(OperatorAction::Retry));
    story.input(Input::Due);
    assert_eq!(story.effects.len(), 1, "{:?}", story.effects);
    tell(&mut story, open_invoice(), None);
    assert!(story.case.restored.is_none() && story.told("is known: the case goes on"));
    let charge = story.clear().charge();
    assert_eq!(charge.number, 1, "its key is the one that it had");
}

#[test]
fn what_was_captured_after_the_copy_is_booked_and_not_charged_again() {
    let mut story = restored();
    tell(&mut story, open_invoice(), None);
    tell(&mut story, open_invoice(), Some((2, approved("ch_7"))));
    assert_eq!(story.case.state, State::Recovered);
    assert_eq!(story.case.recovered_by, Some(RecoveredBy::OtherGateway));
    assert_eq!(story.case.attempts.len(), 2, "the number before it is taken, too");
    assert!(matches!(story.until_effect(), Order::MarkPaid(_)));
    assert_eq!(refunds(&story), 0);
}

#[test]
fn an_invoice_that_was_marked_as_paid_for_it_gives_nothing_back() {
    let mut story = restored();
    let paid =
        InvoiceView { status: InvoiceStatus::Paid, paid_out_of_band: true, ..open_invoice() };
    tell(&mut story, paid.clone(), None);
    assert!(!story.case.state.is_ended(), "another gateway may know what paid it");
    tell(&mut story, paid, Some((1, approved("ch_7"))));
    assert_eq!(story.case.state, State::Recovered);
    assert!(story.effects.is_empty(), "{:?}", story.effects);
}

#[test]
fn a_refusal_that_came_after_the_copy_counts_and_the_next_number_is_a_new_one() {
    let mut story = restored();
    tell(&mut story, open_invoice(), None);
    let refused = declined(decline(Category::InsufficientFunds, Advice::None));
    tell(&mut story, open_invoice(), Some((1, refused)));
    // All are asked once more, for what may be behind it.
    tell(&mut story, open_invoice(), None);
    tell(&mut story, open_invoice(), None);
    assert!(story.case.restored.is_none());
    assert_eq!(story.clear().charge().number, 2);
}

#[test]
fn a_gateway_that_does_not_answer_is_asked_again_and_nothing_is_charged_meanwhile() {
    let mut story = restored();
    tell(&mut story, open_invoice(), None);
    for _ in 0..4 {
        let Order::Check(order) = story.until_effect().clone() else { panic!("no look-up") };
        let away = || LookUpAnswer::Unavailable { why: "it is away".into() };
        let attempts = order.attempts.iter().map(|a| (a.charge.attempt.clone(), away()));
        let attempts = attempts.collect();
        let invoice = Some(open_invoice());
        story.answer(Outcome::Checked(CheckReport { invoice, invoice_error: None, attempts }));
        assert!(story.effects.is_empty() && story.case.restored.is_some());
    }
    tell(&mut story, open_invoice(), None);
    assert!(story.case.restored.is_none());
}

#[test]
fn where_nobody_can_be_asked_a_person_decides() {
    let mut policy = policy();
    policy.gateways[1].capabilities.look_up = false;
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    story.input(Input::Restored(BACK.parse().unwrap()));
    tell(&mut story, open_invoice(), None);
    assert_eq!(story.case.state, State::Paused);
    assert!(story.case.flags[0].contains("backup cannot be asked"), "{:?}", story.case.flags);
    assert!(story.effects.is_empty());
}
