//! Stories of what customers do on the hosted page.

use jiff::civil::Date;

use super::*;
use crate::core::case::page::{Offers, offers};

fn wish(story: &mut Story, action: PageAction) {
    story.input(Input::Page(action));
}

fn offered(story: &Story) -> Offers {
    offers(&story.case, story.around.clone(), &story.policy, story.now)
}

fn later(story: &mut Story, hours: i64) {
    story.now += SignedDuration::from_hours(hours);
}

fn no_balance() -> Story {
    Story::of(failed(Category::InsufficientFunds, Advice::None))
}

#[test]
fn the_same_card_is_tried_once_a_day_and_three_times_and_takes_nothing_of_the_schedule() {
    let mut story = no_balance();
    assert!(!offered(&story).retry, "it was refused this minute");
    let mut tried = 0;
    for _ in 0..5 {
        later(&mut story, 25);
        if !offered(&story).retry {
            break;
        }
        wish(&mut story, PageAction::Retry);
        assert!(!offered(&story).retry, "one is under way: a second click does nothing");
        wish(&mut story, PageAction::Retry);
        let order = story.clear().charge();
        assert_eq!(order.amount.minor, 2900);
        story.answer(Outcome::Charge(declined(decline(Category::InsufficientFunds, Advice::None))));
        tried += 1;
        later(&mut story, 2);
        assert!(!offered(&story).retry, "within a day");
    }
    assert_eq!((tried, story.case.attempts.len()), (3, 3), "{:?}", story.ledger);
    assert!(story.case.attempts.iter().all(|a| !a.on_schedule));
    assert_eq!(story.case.state, State::Scheduled, "the schedule goes on");
}

#[test]
fn a_card_that_must_not_be_charged_is_not_charged_because_its_holder_wishes_it() {
    for (category, advice) in [
        (Category::LostOrStolen, Advice::Never),
        (Category::InsufficientFunds, Advice::Never),
        (Category::CredentialOutdated, Advice::UpdateCredentials),
        (Category::AuthenticationRequired, Advice::Authenticate),
        (Category::LostOrStolen, Advice::None),
    ] {
        let mut story = Story::of(failed(category, advice));
        later(&mut story, 48);
        let offered = offered(&story);
        assert!(!offered.retry && offered.more_time.is_none(), "{category:?} {advice:?}");
        let before = (story.case.state, story.case.timers.clone());
        wish(&mut story, PageAction::Retry);
        let day = story.now.to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().unwrap();
        wish(&mut story, PageAction::MoreTime { day });
        assert_eq!(before, (story.case.state, story.case.timers.clone()), "{category:?}");
        assert!(story.case.page.is_empty());
    }
}

#[test]
fn a_stated_delay_and_the_gateways_own_retry_hold_against_a_wish() {
    let mut event = failed(Category::InsufficientFunds, Advice::None);
    event.native_retry = Some(NativeRetry::Planned);
    event.next_native_attempt_at = Some("2026-11-25T15:00:00Z".parse().unwrap());
    let mut story = Story::of(event);
    later(&mut story, 24);
    assert_eq!(offered(&story).more_time, None);
    wish(&mut story, PageAction::Retry);
    assert_eq!(story.case.state, State::Monitoring);
    assert!(story.effects.is_empty());
}

#[test]
pub(super) fn charge_me_on_the_fifth_is_obeyed_and_nobody_is_reminded_before() {
    let mut story = no_balance();
    later(&mut story, 1);
    let (first, last) = offered(&story).more_time.unwrap();
    let day = |text: &str| text.parse::<Date>().unwrap();
    assert_eq!((first, last), (day("2026-11-22"), day("2026-12-05")));
    for impossible in ["2026-11-21", "2026-12-06", "1970-01-01", "9999-12-31", "-009999-01-01"] {
        wish(&mut story, PageAction::MoreTime { day: day(impossible) });
        assert!(story.case.page.promise.is_none(), "{impossible}");
    }
    wish(&mut story, PageAction::MoreTime { day: last });
    let at = story.case.timers[&Timer::NextAttempt];
    assert_eq!(at.to_zoned(story_zone()).date(), last);
    assert_eq!(offered(&story).more_time, None, "one promise at a time");
    wish(&mut story, PageAction::MoreTime { day: first });
    assert_eq!(story.case.timers[&Timer::NextAttempt], at);
    let before_it = story.case.timers.get(&Timer::Reminder).is_some_and(|moment| *moment < at);
    assert!(!before_it, "{:?}", story.case.timers);
    let order = story.clear().charge();
    assert_eq!((order.number, story.now), (1, at), "nothing before the day");
    story.answer(Outcome::Charge(declined(decline(Category::InsufficientFunds, Advice::None))));
    assert!(story.case.timers[&Timer::NextAttempt] > at, "then the schedule goes on");
}

fn story_zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get("America/Bogota").unwrap()
}

#[test]
fn a_promise_ends_with_the_window_and_with_the_merchants_word() {
    let mut story = no_balance();
    later(&mut story, 24 * 26);
    let (_, last) = offered(&story).more_time.unwrap();
    assert_eq!(last, "2026-12-19".parse().unwrap(), "the last day of the window");
    later(&mut story, 24 * 3);
    assert_eq!(offered(&story).more_time, None);
    let mut policy = policy();
    policy.page = PagePolicy { more_time_days: 0, retries: 0 };
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    later(&mut story, 30);
    let offered = offered(&story);
    assert!(offered.more_time.is_none() && !offered.retry && offered.already_paid);
}

#[test]
fn a_card_that_dies_meanwhile_ends_the_promise() {
    let mut story = no_balance();
    wish(&mut story, PageAction::MoreTime { day: "2026-12-03".parse().unwrap() });
    let mut event = failed(Category::LostOrStolen, Advice::Never);
    event.id = "evt_2".into();
    event.attempt_count = Some(2);
    story.event(event);
    assert_eq!(story.case.state, State::AwaitingCustomer);
    assert!(!story.case.timers.contains_key(&Timer::NextAttempt));
}

#[test]
fn i_already_paid_is_looked_at_before_anything_is_charged() {
    for paid in [true, false] {
        let mut story = no_balance();
        wish(&mut story, PageAction::AlreadyPaid);
        let Order::Check(order) = story.effects[0].order.clone() else { panic!() };
        assert_eq!(order.purpose, CheckPurpose::SaysPaid);
        assert!(!offered(&story).already_paid);
        wish(&mut story, PageAction::AlreadyPaid);
        assert_eq!((story.case.flags.len(), story.effects.len()), (0, 1), "asked once an hour");
        // The moment of an attempt comes while the answer is on its way.
        let moment = story.case.timers[&Timer::NextAttempt];
        story.now = moment;
        story.input(Input::Due);
        let status = if paid { InvoiceStatus::Paid } else { InvoiceStatus::Open };
        let invoice = InvoiceView { status, ..open_invoice() };
        let report =
            CheckReport { invoice: Some(invoice), invoice_error: None, attempts: Vec::new() };
        story.answer(Outcome::Checked(report));
        if paid {
            assert_eq!(story.case.state, State::Recovered);
            continue;
        }
        assert_eq!(story.case.state, State::Scheduled);
        assert_eq!(story.case.flags.len(), 1, "{:?}", story.case.flags);
        let next = story.case.timers[&Timer::NextAttempt];
        assert!(next >= moment + SignedDuration::from_hours(48), "a person has time to look");
    }
}

#[test]
fn where_nothing_can_be_read_a_person_sees_before_the_next_charge() {
    let mut policy = policy();
    policy.gateways[0].capabilities.read_invoice = false;
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    wish(&mut story, PageAction::AlreadyPaid);
    assert_eq!(story.case.state, State::Paused);
    assert_eq!((story.case.flags.len(), story.effects.len()), (1, 0));
}

#[test]
fn a_page_that_may_have_taken_the_payment_leaves_no_door_beside_it() {
    let mut policy = policy();
    policy.gateways[0].capabilities.page_takes_payment = true;
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    later(&mut story, 25);
    assert!(offered(&story).retry);
    wish(&mut story, PageAction::CardUpdateOpened);
    assert!(!offered(&story).retry && offered(&story).more_time.is_none());
}

#[test]
fn an_ended_case_takes_no_wish() {
    let mut story = no_balance();
    story.input(Input::Operator(OperatorAction::Stop { reason: None }));
    let ended = story.case.clone();
    let day = "2026-11-25".parse().unwrap();
    for action in [PageAction::Retry, PageAction::MoreTime { day }, PageAction::AlreadyPaid] {
        wish(&mut story, action);
    }
    assert_eq!(offered(&story), Offers::default());
    assert_eq!((story.case.state, &story.case.timers), (ended.state, &ended.timers));
    assert!(story.effects.is_empty() && story.case.page.is_empty());
}

#[test]
fn a_person_sends_the_link_once_and_never_to_who_wants_none() {
    let write = || Input::Operator(OperatorAction::Write);
    let sent = |story: &Story| {
        story.effects.iter().filter(|effect| matches!(effect.order, Order::Send(_))).count()
    };
    let mut story = no_balance();
    story.input(write());
    assert_eq!(sent(&story), 1, "{:?}", story.ledger);
    story.input(write());
    assert_eq!(sent(&story), 1, "a second click writes nothing");
    assert!(story.told("one is on its way already"), "{:?}", story.ledger);

    let mut unwilling = no_balance();
    unwilling.around.customer.reminders_stopped = true;
    unwilling.input(write());
    assert!(sent(&unwilling) == 0 && unwilling.told("the customer wants none"));

    let mut ended = no_balance();
    ended.input(Input::Operator(OperatorAction::Stop { reason: None }));
    ended.input(write());
    assert_eq!(sent(&ended), 0, "nothing is written after the end");
    let text = "settled by phone".to_owned();
    ended.input(Input::Operator(OperatorAction::Note { text }));
    assert!(ended.told("A person notes: settled by phone"));
    assert_eq!(ended.case.state, State::Stopped);
}
