//! Stories of things that happen while a look-up is under way, and of what no gateway should say.
//!
//! Why here: each was a defect that a reader found; `tests.rs` tells the plain stories.

use super::*;
use crate::core::card::CardAttempt;
use crate::core::case::{cards_around, events};

fn new_card() -> Event {
    Event {
        customer: Some("cus_1".into()),
        payment_method: Some(card("pm_2", "1881")),
        ..Event::new("evt_2", EventKind::PaymentMethodUpdated)
    }
}

fn report(invoice: InvoiceView) -> Outcome {
    let invoice = Some(invoice);
    Outcome::Checked(CheckReport { invoice, invoice_error: None, attempts: Vec::new() })
}

/// A stolen card, everything sent, and the closing sweep under way.
fn sweeping() -> Story {
    let mut story = Story::of(failed(Category::LostOrStolen, Advice::Never));
    while let Order::Send(_) = story.until_effect() {
        story.answer(Outcome::Sent(SendOutcome::Unknown));
    }
    assert_eq!(story.case.check_purpose, Some(CheckPurpose::ClosingSweep));
    story
}

#[test]
fn a_card_update_during_the_closing_sweep_is_charged() {
    let mut story = sweeping();
    story.event(new_card());
    story.answer(report(open_invoice()));
    assert!(!story.case.state.is_ended(), "given up on a customer who just gave a new card");
    story.answer(Outcome::Acted(Ok(())));
    assert_eq!(story.clear().charge().token.as_deref(), Some("pm_2"));
}

#[test]
fn what_the_closing_sweep_finds_is_heeded() {
    let mut story = sweeping();
    let next = story.now + SignedDuration::from_hours(30);
    story.answer(report(InvoiceView { next_native_attempt_at: Some(next), ..open_invoice() }));
    assert_eq!(story.case.state, State::Monitoring, "the gateway's own retry is ahead");

    let mut story = sweeping();
    let more = Some(Money::new(9900, "USD".parse().unwrap()));
    story.answer(report(InvoiceView { amount_remaining: more, ..open_invoice() }));
    assert_eq!(story.case.state, State::Paused, "a contradiction is for a person");

    let mut story = sweeping();
    story.input(Input::Operator(OperatorAction::Pause { until: None }));
    story.answer(report(open_invoice()));
    assert_eq!(story.case.state, State::Paused, "a person paused it");
}

#[test]
fn a_closing_sweep_that_comes_due_during_the_pre_flight_waits_for_it() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    assert!(matches!(story.until_effect(), Order::Check(_)));
    story.case.timers.insert(Timer::ClosingSweep, story.now);
    story.due();
    assert_eq!(story.case.check_purpose, Some(CheckPurpose::PreFlight), "one look-up at a time");
    story.clear().charge();
    assert_eq!(story.case.state, State::Attempting);
}

#[test]
fn an_attempt_that_comes_due_during_a_look_up_is_made_after_it() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    assert!(matches!(story.until_effect(), Order::Check(_)));
    story.case.timers.insert(Timer::NextAttempt, story.now);
    story.due();
    let again = story.case.timers.get(&Timer::NextAttempt);
    assert!(again.is_some_and(|at| *at > story.now), "it would never be made");
}

#[test]
fn a_pause_during_the_pre_flight_holds() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    assert!(matches!(story.until_effect(), Order::Check(_)));
    story.input(Input::Operator(OperatorAction::Pause { until: None }));
    story.answer(Outcome::Checked(CheckReport {
        invoice: None,
        invoice_error: Some("connection refused".into()),
        attempts: Vec::new(),
    }));
    // Another invoice holds the card: the route has to wait.
    let other = crate::core::ids::AttemptId::from("att_other");
    story.around.cards.values_mut().for_each(|card| card.in_flight = Some(other.clone()));
    if story.case.due_at().is_some() {
        story.due();
    }
    assert_eq!(story.case.state, State::Paused, "{}", story.case.reason);
    story.around.cards.values_mut().for_each(|card| card.in_flight = None);
    story.input(Input::Operator(OperatorAction::Resume));
    story.clear().charge();
}

#[test]
fn a_resumed_case_goes_on_when_its_old_look_up_comes_back_late() {
    let mut story = Story::of(failed(Category::LostOrStolen, Advice::Never));
    story.event(new_card());
    story.effects.clear();
    story.due();
    assert_eq!(story.case.check_purpose, Some(CheckPurpose::PreFlight));
    story.input(Input::Operator(OperatorAction::Pause { until: None }));
    story.input(Input::Operator(OperatorAction::Resume));
    while story.case.due_at().is_some_and(|at| at <= story.now) {
        story.input(Input::Due);
    }
    story.answer(report(open_invoice()));
    assert_eq!(story.clear().charge().token.as_deref(), Some("pm_2"));
}

#[test]
fn a_card_update_during_the_pre_flight_is_charged() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    assert!(matches!(story.until_effect(), Order::Check(_)));
    story.event(new_card());
    story.answer(report(open_invoice()));
    story.answer(Outcome::Acted(Ok(())));
    assert_eq!(story.case.due_at(), Some(story.now), "nothing would ever happen again");
    assert_eq!(story.clear().charge().token.as_deref(), Some("pm_2"));
}

#[test]
fn a_refusal_of_the_old_card_does_not_take_the_new_one_back() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    assert_eq!(story.clear().charge().token.as_deref(), Some("pm_1"));
    story.now += SignedDuration::from_secs(1);
    story.event(new_card());
    story.answer(Outcome::Charge(declined(decline(Category::LostOrStolen, Advice::Never))));
    story.answer(Outcome::Acted(Ok(())));
    assert_eq!(story.case.state, State::Scheduled, "{}", story.case.reason);
    assert_eq!(story.clear().charge().token.as_deref(), Some("pm_2"));
    story.charged(declined(decline(Category::LostOrStolen, Advice::Never)));
    assert_eq!(story.case.state, State::AwaitingCustomer);
}

#[test]
fn one_payment_id_at_two_gateways_is_two_payments() {
    let mut story = Story::of(failed(Category::GenericDecline, Advice::None));
    assert_eq!(story.clear().charge().gateway.as_str(), "backup");
    story.charged(ChargeOutcome::Pending { payment: Some("77".into()) });
    let paid = Event { payment: Some("77".into()), ..Event::new("e", EventKind::PaymentSucceeded) };
    let seen =
        |source: &str, event: &Event| events::from_elsewhere(&story.case, &source.into(), event);
    assert_eq!(seen("third", &paid).kind, EventKind::PaymentUnknown);
    assert_eq!(seen("backup", &paid).kind, EventKind::PaymentSucceeded);
    // What a gateway tells of its own invoice with this number says nothing of ours.
    for kind in [EventKind::InvoiceVoided, EventKind::SubscriptionCancelled, EventKind::Refunded] {
        let event = Event { invoice: Some("in_1".into()), ..Event::new("e", kind) };
        assert_eq!(seen("third", &event).kind, EventKind::Other, "{kind:?}");
    }
    let owns = |source: &str| events::owns_payment(&story.case, &source.into(), "77");
    assert!(owns("backup") && !owns("third") && !owns("stripe"));
    // The billing gateway's own payment "77" is not our attempt at the other one.
    story.event(Event { invoice: Some("in_1".into()), ..paid });
    assert_eq!(story.case.recovered_by, Some(RecoveredBy::Elsewhere));
    assert_eq!(story.case.attempts[0].outcome, AttemptOutcome::Unknown);
}

#[test]
fn the_end_of_time_does_not_end_the_worker() {
    let mut event = failed(Category::InsufficientFunds, Advice::None);
    event.native_retry = Some(NativeRetry::Planned);
    event.next_native_attempt_at = Some(Timestamp::MAX);
    let mut story = Story::of(event);
    assert_eq!(story.case.state, State::Monitoring);
    story.input(Input::Operator(OperatorAction::Retry));
    story.clear();
    let mut sent = Vec::new();
    while let Some(Order::Charge(_)) = story.effects.first().map(|e| &e.order) {
        sent.push(story.effects[0].not_before);
        story.answer(Outcome::Charge(ChargeOutcome::Busy { retry_after_s: u32::MAX }));
    }
    let first = story.case.attempts[0].sent.unwrap().0;
    let window = story.policy.gateways[0].capabilities.key_window();
    assert!(sent.iter().all(|at| *at < first + window), "behind the key window: {sent:?}");
    assert_eq!(story.case.state, State::AwaitingOutcome);
}

#[test]
fn an_unknown_outcome_at_a_gateway_without_look_up_is_told_to_a_person() {
    let mut policy = policy();
    policy.gateways.iter_mut().for_each(|g| g.capabilities.look_up = false);
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    story.clear().charged(unknown());
    for _ in 0..10 {
        story.effects.clear();
        story.due();
    }
    assert_eq!(story.case.state, State::AwaitingOutcome);
    assert_eq!(story.case.flags.len(), 1, "{:?}", story.case.flags);
}

#[test]
fn what_is_known_of_a_token_stays_when_its_card_becomes_known() {
    let gateway = "stripe".into();
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let bare = PaymentMethodFacts { token: Some("pm_9".into()), ..Default::default() };
    story.around.customer = Customer::new("cus_1");
    let token = story.around.customer.learn_method(&gateway, &bare).unwrap();
    let never = Some((story.now, "reported stolen".to_owned()));
    story.around.card(&token).never = never.clone();
    story.around.card(&token).note(CardAttempt {
        at: story.now,
        gateway: "stripe".into(),
        amount: story.case.amount,
        approved: false,
        attempt: None,
    });
    let printed = PaymentMethodFacts { fingerprint: Some("fp".into()), ..card("pm_9", "0002") };
    let known = story.around.customer.learn_method(&gateway, &printed).unwrap();
    assert_ne!(token, known);
    assert!(cards_around(&story.around.customer, None, &story.policy).contains(&token));
    story.input(Input::CustomerChanged);
    assert_eq!(story.around.card(&known).never, never);
    let counted = story.around.card(&known).attempts.len();
    story.input(Input::CustomerChanged);
    assert_eq!((counted, story.around.card(&known).attempts.len()), (1, 1), "counted once");
    // Another card is another card.
    story.event(new_card());
    let new = story.around.customer.method(&gateway, "pm_2").unwrap().card.clone();
    assert_eq!(story.around.card(&new).never, None);
}

/// The second gateway has no look-up: the same key, sent again, tells.
fn resending() -> Story {
    let mut policy = policy();
    let backup = &mut policy.gateways[1].capabilities;
    (backup.look_up, backup.resend_tells) = (false, true);
    let mut story = Story::with(failed(Category::GenericDecline, Advice::None), policy);
    story.clear().charged(unknown());
    assert_eq!(story.case.attempts[0].charge.gateway.as_str(), "backup");
    story
}

#[test]
fn sends_that_stand_for_look_ups_are_few_and_spread_over_a_day() {
    let mut story = resending();
    let first = story.case.attempts[0].charge.clone();
    for gap_s in [60, 300, 1_800, 7_200, 43_200] {
        let before = story.now;
        assert_eq!(story.charge(), first, "the same key and bytes");
        assert_eq!(story.now.duration_since(before).as_secs(), gap_s);
        story.answer(Outcome::Charge(unknown()));
    }
    for _ in 0..10 {
        story.due();
        assert!(story.effects.is_empty(), "{:?}", story.effects);
    }
    assert_eq!(story.case.state, State::AwaitingOutcome);
    assert!(!story.case.flags.is_empty(), "a person is told");
}

#[test]
fn where_there_is_no_look_up_the_event_that_names_the_attempt_settles_it() {
    let mut story = resending();
    let of_ours = Event {
        idempotency_key: Some(story.case.attempts[0].charge.idempotency_key.clone()),
        payment: Some("psp_1".into()),
        ..failed(Category::InsufficientFunds, Advice::None)
    };
    story.event(Event { idempotency_key: Some("another".into()), ..of_ours.clone() });
    assert_eq!(story.case.attempts[0].outcome, AttemptOutcome::Unknown);
    story.event(of_ours);
    assert_eq!(story.case.attempts[0].outcome, AttemptOutcome::Declined);
    assert_eq!(story.case.state, State::Scheduled);
}

#[test]
fn silence_is_no_plan_where_native_retries_are_off() {
    for (told, state) in
        [(NativeRetries::Observe, State::Monitoring), (NativeRetries::Off, State::Scheduled)]
    {
        let mut policy = policy();
        policy.gateways[0].native_retries = told;
        policy.gateways[0].capabilities.native_retry_window_s = 86_400;
        let silent =
            Event { native_retry: None, ..failed(Category::InsufficientFunds, Advice::None) };
        assert_eq!(Story::with(silent, policy).case.state, state);
    }
}

#[test]
fn a_plan_that_is_told_without_an_attempt_is_heard() {
    let mut policy = policy();
    policy.gateways[0].capabilities.native_retry_window_s = 86_400 * 31;
    let planned = Event {
        native_retry: Some(NativeRetry::Planned),
        ..failed(Category::InsufficientFunds, Advice::None)
    };
    let mut story = Story::with(planned, policy);
    assert_eq!(story.case.state, State::Monitoring);
    let over = Event {
        invoice: Some("in_1".into()),
        native_retry: Some(NativeRetry::None),
        ..Event::new("evt_2", EventKind::Other)
    };
    story.event(Event { invoice: Some("in_2".into()), ..over.clone() });
    assert_eq!(story.case.state, State::Monitoring, "another invoice's");
    story.event(over);
    assert_eq!(story.case.state, State::Scheduled);
}

#[test]
fn a_closed_invoice_that_cannot_be_read_is_told_to_a_person_and_not_tried_again() {
    let mut policy = policy();
    policy.gateways.iter_mut().for_each(|g| g.capabilities.read_invoice = false);
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    story.charged(ChargeOutcome::InvoiceClosed);
    assert_eq!(story.case.state, State::Paused);
    assert!(story.case.flags[0].contains("not open any more"), "{:?}", story.case.flags);
    assert!(story.effects.is_empty() && story.case.timers.is_empty(), "nothing is tried again");
}

#[test]
fn where_the_same_key_tells_an_unknown_outcome_is_asked_by_a_re_send_while_the_invoice_is_owed() {
    let mut policy = policy();
    for gateway in &mut policy.gateways {
        gateway.capabilities.look_up = false;
        gateway.capabilities.resend_tells = true;
    }
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    let first = story.clear().charge();
    story.answer(Outcome::Charge(unknown()));
    assert_eq!(story.charge(), first, "the same key and bytes");
    assert_eq!(story.case.attempts.len(), 1, "it is the same attempt");
    story.answer(Outcome::Charge(unknown()));
    // Paid by other means: from now on nothing is sent, whatever became of the first.
    story.input(Input::Event(Box::new(Event::new("e", EventKind::PaymentSucceeded))));
    story.effects.clear();
    story.due();
    let sends = story.effects.iter().filter(|e| matches!(e.order, Order::Charge(_))).count();
    assert_eq!(sends, 0, "{:?}", story.effects);
}

#[test]
fn a_page_that_takes_the_payment_is_waited_for() {
    for (takes_payment, hours) in [(true, 1), (false, 0)] {
        let mut policy = policy();
        policy.gateways[0].capabilities.read_invoice = false;
        policy.gateways[0].capabilities.page_takes_payment = takes_payment;
        let mut story = Story::with(failed(Category::LostOrStolen, Advice::Never), policy);
        story.input(Input::Page(PageAction::CardUpdateOpened));
        story.event(new_card());
        let wait = story.case.timers[&Timer::NextAttempt].duration_since(story.now);
        assert_eq!(wait, SignedDuration::from_hours(hours));
        let paid = Event { payment: Some("pay_of_page".into()), ..paid("evt_3") };
        story.event(paid);
        assert_eq!(story.case.state, State::Recovered);
        let charged = story.effects.iter().any(|e| matches!(e.order, Order::Charge(_)));
        assert!(!charged, "the page had the money already");
    }
}

fn paid(id: &str) -> Event {
    Event {
        invoice: Some("in_1".into()),
        amount: Some(Money::new(2900, "USD".parse().unwrap())),
        ..Event::new(id, EventKind::PaymentSucceeded)
    }
}

#[test]
fn what_the_customer_tries_by_hand_says_nothing_of_the_card_on_file() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let before = story.case.clone();
    let tried = Event {
        id: "evt_2".into(),
        attempt_count: None,
        payment: Some("pay_by_hand".into()),
        customer_present: true,
        ..failed(Category::LostOrStolen, Advice::None)
    };
    story.event(tried);
    assert_eq!(story.case.decline, before.decline);
    assert_eq!(story.case.native_attempts, before.native_attempts);
    assert_eq!(story.case.state, State::Scheduled);
}

#[test]
fn money_that_came_twice_or_went_again_is_for_a_person() {
    let mut policy = policy();
    policy.gateways[0].capabilities.read_invoice = false;
    policy.gateways[0].capabilities.pays_invoice_once = false;
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    story.event(Event { payment: Some("pay_1".into()), ..paid("evt_2") });
    story.event(Event { payment: Some("pay_1".into()), ..paid("evt_3") });
    assert!(story.case.flags.is_empty(), "one payment, told twice: {:?}", story.case.flags);
    story.event(Event { payment: Some("pay_2".into()), ..paid("evt_4") });
    assert!(story.case.flags[0].contains("two payments"), "{:?}", story.case.flags);

    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let key = story.clear().charge().idempotency_key;
    story.charged(approved("pi_1"));
    let fails = Event {
        id: "evt_5".into(),
        attempt_count: None,
        idempotency_key: Some(key),
        ..failed(Category::GenericDecline, Advice::None)
    };
    story.event(fails);
    assert_eq!(story.case.state, State::Recovered);
    assert!(story.case.flags[0].contains("had approved failed"), "{:?}", story.case.flags);
}

#[test]
fn where_nobody_can_look_an_unclear_charge_is_held_for_a_person() {
    let mut policy = policy();
    policy.gateways[0].capabilities.read_invoice = false;
    let unclear = failed(Category::GenericDecline, Advice::CheckStatus);
    let story = Story::with(unclear.clone(), policy);
    assert_eq!(story.case.state, State::Paused);
    assert_eq!(story.case.flags.len(), 1);
    let story = Story::of(unclear);
    assert_eq!(story.case.state, State::Scheduled, "the invoice is read before each attempt");
}

#[test]
fn a_retry_that_is_planned_without_a_date_is_waited_for_as_long_as_attempts_are_made() {
    let event = Event {
        native_retry: Some(NativeRetry::Planned),
        next_native_attempt_at: None,
        ..failed(Category::InsufficientFunds, Advice::None)
    };
    let mut story = Story::of(event);
    let opened = story.now;
    assert_eq!(story.case.state, State::Monitoring);
    while story.case.state == State::Monitoring {
        story.due();
        story.effects.clear();
    }
    assert!(story.now.duration_since(opened) >= SignedDuration::from_hours(28 * 24));
}
