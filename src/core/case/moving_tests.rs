//! Stories of cases that are moved to another policy: nothing is started over.

use super::*;
use crate::core::limits;

fn even(max_attempts: u32, window_days: u32) -> Policy {
    Policy { max_attempts, window_days, ..policy() }
}

fn listed(days: &[u32]) -> Policy {
    Policy { schedule: Schedule::Days(days.to_vec()), ..policy() }
}

impl Story {
    fn move_to(&mut self, policy: Policy) -> &mut Self {
        let to = policy.version();
        self.policy = policy;
        self.input(Input::Operator(OperatorAction::MovePolicy { to }))
    }

    fn sent(&mut self) -> &mut Self {
        self.answer(Outcome::Sent(SendOutcome::Unknown))
    }
}

fn soft() -> Story {
    Story::of(failed(Category::InsufficientFunds, Advice::None))
}

fn no_funds() -> ChargeOutcome {
    declined(decline(Category::InsufficientFunds, Advice::None))
}

#[test]
fn a_moved_case_is_planned_anew_and_says_who_moved_it() {
    let mut story = soft();
    let (before, old) = (story.case.timers[&Timer::NextAttempt], story.case.policy_version.clone());
    story.move_to(even(2, 28));
    assert_eq!(story.case.policy_version, even(2, 28).version());
    assert_eq!(story.case.window_from, story.case.opened_at, "the window began when it began");
    assert!(story.case.timers[&Timer::NextAttempt] > before, "two attempts are further apart");
    assert!(story.told(&format!("moved the case from the policy {old}")), "{:?}", story.ledger);
    assert!(story.told("`even`, 2 attempts in 28 days"), "{:?}", story.ledger);
    let told = story.ledger.len();
    let case = story.case.clone();
    story.move_to(even(2, 28));
    assert_eq!(story.ledger.len(), told + 1, "said once more, and nothing else");
    let unchanged =
        Case { revision: story.case.revision, ledger_sequence: story.case.ledger_sequence, ..case };
    assert_eq!(story.case, unchanged);
}

#[test]
fn attempts_that_were_made_are_made() {
    let mut story = soft();
    story.clear().charged(no_funds());
    while let Order::Send(_) = story.until_effect() {
        story.sent();
    }
    story.clear().charged(no_funds());
    assert_eq!(story.case.attempts.len(), 2);
    story.move_to(even(2, 56));
    assert_eq!(story.case.state, State::AwaitingCustomer, "both were made");
    story.move_to(even(3, 28));
    assert_eq!(story.case.state, State::Scheduled, "one more is allowed");
    assert!(!story.case.timers.contains_key(&Timer::ClosingSweep));
    story.move_to(listed(&[1, 2, 3]));
    assert_eq!(story.case.state, State::AwaitingCustomer, "its last day has passed");
}

#[test]
fn an_attempt_that_is_being_prepared_is_decided_anew() {
    let mut story = soft();
    assert!(matches!(story.until_effect(), Order::Check(_)));
    story.move_to(listed(&[20]));
    story.clear();
    assert!(story.effects.is_empty(), "nothing leaves: {:?}", story.effects);
    let days = story.case.timers[&Timer::NextAttempt].duration_since(story.case.opened_at);
    assert!(days > SignedDuration::from_hours(19 * 24), "{days:?}");
}

#[test]
fn what_is_under_way_goes_on() {
    let mut story = soft();
    let charge = story.clear().charge();
    story.move_to(even(1, 28));
    assert_eq!(story.case.state, State::Attempting);
    assert_eq!(story.charge(), charge, "the same charge, byte for byte");
    story.answer(Outcome::Charge(unknown()));
    story.move_to(even(2, 28));
    assert_eq!(story.case.state, State::AwaitingOutcome);
    assert!(story.case.timers.contains_key(&Timer::LookUp));

    let mut held = soft();
    held.input(Input::Operator(OperatorAction::Pause { until: None })).move_to(even(2, 28));
    assert_eq!(held.case.state, State::Paused);
    held.input(Input::Operator(OperatorAction::Resume));
    assert_eq!(held.case.state, State::Scheduled);

    let mut forced = soft();
    forced.input(Input::Operator(OperatorAction::Retry)).move_to(even(2, 28));
    assert_eq!(forced.case.timers[&Timer::NextAttempt], forced.now, "a person asked for it");
}

#[test]
fn a_policy_that_cannot_carry_the_case_changes_nothing() {
    let without = |id: &str| {
        let mut policy = policy();
        policy.gateways.retain(|gateway| gateway.id.as_str() != id);
        Policy { window_days: 27, ..policy }
    };
    let mut story = soft();
    let version = story.case.policy_version.clone();
    story.move_to(without("stripe"));
    assert!(story.told("stripe is not its billing gateway"), "{:?}", story.ledger);
    assert_eq!(story.case.policy_version, version);
    let mut elsewhere = Story::of(failed(Category::GenericDecline, Advice::None));
    elsewhere.clear().charged(declined(decline(Category::GenericDecline, Advice::None)));
    assert_eq!(elsewhere.case.attempts[0].charge.gateway.as_str(), "backup");
    elsewhere.move_to(without("backup"));
    assert!(elsewhere.told("has no gateway backup, where the case was charged"));
    assert_eq!(elsewhere.case.policy_version, version);
}

#[test]
fn messages_are_not_made_up_for() {
    let mut story = Story::of(failed(Category::LostOrStolen, Advice::Never));
    story.until_effect();
    story.sent();
    let steps = [0, 1, 2, 20].map(|after_days| CampaignStep {
        after_days,
        kind: MessageKind::CardUpdate,
        channel: None,
        condition: Condition::Any,
        audience: Default::default(),
    });
    story.now = story.case.opened_at + SignedDuration::from_hours(5 * 24);
    story.move_to(Policy { steps: steps.to_vec(), ..policy() });
    let next = story.case.timers[&Timer::Reminder].duration_since(story.case.opened_at);
    assert!(next >= SignedDuration::from_hours(20 * 24), "{next:?}");
}

/// Random moves at random moments: every attempt on the schedule is one that the policy of that
/// moment allows a case of this age, counting all that were made.
#[test]
fn no_order_of_moves_gains_an_attempt() {
    let policies = [even(4, 28), even(1, 10), even(8, 56), listed(&[1, 3, 5, 7, 14]), even(3, 21)];
    let mut attempts = 0;
    for seed in 0..600 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut story = soft();
        for _ in 0..120 {
            if rng.u8(..4) == 0 {
                story.move_to(policies[rng.usize(..policies.len())].clone());
            }
            let made = story.case.attempts.len();
            if !wander(&mut story, &mut rng) {
                break;
            }
            if story.case.attempts.len() > made {
                attempts += 1;
                check_newest(&story, seed);
            }
        }
        let broken: usize = story.around.cards.values().map(limits::violations).sum();
        assert_eq!(broken, 0, "seed {seed}");
    }
    assert!(attempts > 1_000, "only {attempts} attempts were made");
}

/// One input: the answer to an effect, or what is due. `false`: nothing is to come.
fn wander(story: &mut Story, rng: &mut fastrand::Rng) -> bool {
    let Some(effect) = story.effects.first().cloned() else {
        let due = story.case.due_at().is_some();
        if due {
            story.due();
        }
        return due;
    };
    match effect.order {
        Order::Check(_) => story.clear(),
        Order::Charge(_) => {
            let category = [Category::InsufficientFunds, Category::IssuerUnavailable];
            let category = category[usize::from(rng.u8(..5) == 0)];
            story.charged(declined(decline(category, Advice::None)))
        }
        Order::Send(_) => story.sent(),
        _ => story.answer(Outcome::Acted(Ok(()))),
    };
    true
}

fn check_newest(story: &Story, seed: u64) {
    let newest = story.case.attempts.last().unwrap();
    if !newest.on_schedule {
        return;
    }
    let made = story.case.attempts.iter().filter(|attempt| attempt.on_schedule).count();
    let allowed = match &story.policy.schedule {
        Schedule::Days(days) => days.len(),
        _ => story.policy.max_attempts as usize,
    };
    assert!(made <= allowed, "seed {seed}: attempt {made} of {allowed}");
    let age = newest.at.duration_since(story.case.window_from);
    let window = SignedDuration::from_hours(24 * i64::from(story.policy.window_days) + 36);
    assert!(age <= window, "seed {seed}: {age:?} after the failure");
}
