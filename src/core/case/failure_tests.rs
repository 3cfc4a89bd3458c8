//! The failure rules, one story each: what can go wrong between a decision and its consequence.
//!
//! docs/adr/0006-failure-rules.md has the table; a test holds that each story in it is told.

use super::*;
use crate::core::case::leaving::{self, Leave};
use crate::core::ids::AttemptId;

fn no_funds() -> Event {
    failed(Category::InsufficientFunds, Advice::None)
}

/// A case whose first charge is in flight, at the billing gateway.
fn in_flight(policy: Policy) -> (Story, ChargeOrder) {
    let mut story = Story::with(no_funds(), policy);
    let order = story.clear().charge();
    (story, order)
}

/// A case that was refused at the billing gateway, and whose charge at the other one is in flight;
/// with both.
fn in_flight_elsewhere() -> (Story, ChargeOrder, ChargeOrder) {
    let (mut story, first) = in_flight(policy());
    story.charged(declined(decline(Category::GenericDecline, Advice::None)));
    loop {
        match story.until_effect().clone() {
            Order::Charge(second) => return (story, first, second),
            Order::Check(_) => {
                story.clear();
            }
            Order::Send(_) => {
                story.answer(Outcome::Sent(SendOutcome::Unknown));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Makes the effect of this kind the one that is answered next.
fn first(story: &mut Story, wanted: fn(&Order) -> bool) -> &mut Story {
    let at = story.effects.iter().position(|effect| wanted(&effect.order)).unwrap();
    story.effects.swap(0, at);
    story
}

fn charges(story: &Story) -> usize {
    story.effects.iter().filter(|e| matches!(e.order, Order::Charge(_))).count()
}

fn refunds(story: &Story) -> Vec<AttemptId> {
    let refund = |effect: &Effect| match &effect.order {
        Order::Refund(order) => Some(order.attempt.clone()),
        _ => None,
    };
    story.effects.iter().filter_map(refund).collect()
}

fn paid(key: Option<String>, payment: &str) -> Event {
    Event {
        invoice: Some("in_1".into()),
        customer: Some("cus_1".into()),
        amount: Some(Money::new(2900, "USD".parse().unwrap())),
        payment: Some(payment.into()),
        idempotency_key: key,
        ..Event::new(payment, EventKind::PaymentSucceeded)
    }
}

fn of_invoice(kind: EventKind) -> Event {
    Event {
        invoice: Some("in_1".into()),
        customer: Some("cus_1".into()),
        subscription: Some("sub_1".into()),
        ..Event::new(format!("evt_{kind:?}"), kind)
    }
}

#[test]
pub(super) fn an_unknown_outcome_blocks_every_other_attempt() {
    let (mut story, _) = in_flight(policy());
    story.charged(unknown());
    let again = Event { attempt_count: Some(2), ..failed(Category::GenericDecline, Advice::None) };
    story.event(Event { id: "evt_2".into(), ..again });
    story.input(Input::Operator(OperatorAction::Retry));
    assert_eq!(story.case.state, State::AwaitingOutcome);
    assert!(!story.case.timers.contains_key(&Timer::NextAttempt), "{:?}", story.case.timers);
    let Order::Check(order) = story.until_effect() else { panic!("{:?}", story.effects) };
    assert_eq!(order.purpose, CheckPurpose::Resolve);
}

#[test]
fn what_never_left_may_be_tried_again_at_once_and_uses_up_nothing() {
    let (mut story, _) = in_flight(policy());
    story.charged(ChargeOutcome::NotSent { why: "the connection was refused".into() });
    assert_eq!(story.case.attempts[0].outcome, AttemptOutcome::Error);
    assert!(!story.case.attempts[0].on_schedule);
    let soon = story.case.due_at().unwrap().duration_since(story.now);
    assert!(soon < SignedDuration::from_hours(2), "{soon}");
}

#[test]
fn a_busy_gateway_gets_the_same_key_again_later() {
    let (mut story, first) = in_flight(policy());
    story.charged(ChargeOutcome::Busy { retry_after_s: 40 });
    let effect = story.effects.first().unwrap();
    assert_eq!(effect.order, Order::Charge(first));
    assert!(effect.not_before >= story.now + SignedDuration::from_secs(40));
    assert_eq!(story.case.attempts.len(), 1);
}

#[test]
fn a_late_success_after_another_capture_is_given_back() {
    let (mut story, first, second) = in_flight_elsewhere();
    assert!(first.billing && !second.billing);
    story.charged(approved("ch_2"));
    assert_eq!(story.case.state, State::Recovered);
    story.effects.clear();
    story.event(paid(Some(first.idempotency_key.clone()), "pi_1"));
    assert_eq!(refunds(&story), [first.attempt]);
    assert!(!story.case.flags.is_empty(), "a person is told");
    assert_eq!(charges(&story), 0);
}

#[test]
pub(super) fn an_expired_key_is_never_sent_again() {
    let mut policy = policy();
    policy.gateways[0].capabilities.key_window_s = 30;
    let (mut story, first) = in_flight(policy);
    story.charged(unknown());
    for _ in 0..12 {
        match story.until_effect().clone() {
            Order::Check(_) if story.case.open_attempt().is_some() => {
                story.answer(checked(first.attempt.clone(), LookUpAnswer::NotFound));
            }
            Order::Charge(order) => panic!("{order:?} would be another charge"),
            _ => break,
        }
    }
    assert_eq!(story.case.attempts[0].outcome, AttemptOutcome::Error, "behind the horizon");
    assert_eq!(story.case.attempts[0].sends, 1);
}

#[test]
pub(super) fn not_found_counts_from_the_last_send_not_from_the_first() {
    let (mut story, order) = in_flight(policy());
    story.charged(unknown());
    let Order::Check(_) = story.until_effect() else { panic!("{:?}", story.effects) };
    // Sent as often as it may be, and the last time ten minutes after the first; the look-up began
    // when the first send was beyond the horizon, and the last was not.
    let horizon = story.policy.gateway(&order.gateway).unwrap().capabilities.horizon();
    let attempt = &mut story.case.attempts[0];
    let (first, _) = attempt.sent.unwrap();
    attempt.sent = Some((first, first + SignedDuration::from_mins(10)));
    attempt.sends = 3;
    (story.now, story.case.check_began_at) = (first + horizon, Some(first + horizon));
    story.answer(checked(order.attempt, LookUpAnswer::NotFound));
    assert_eq!(story.case.attempts[0].outcome, AttemptOutcome::Unknown);
}

#[test]
fn a_webhook_before_the_answer_counts_once() {
    let (mut story, order) = in_flight(policy());
    story.event(paid(Some(order.idempotency_key.clone()), "pi_1"));
    assert_eq!(story.case.state, State::Recovered);
    first(&mut story, |order| matches!(order, Order::Charge(_)))
        .answer(Outcome::Charge(approved("pi_1")));
    assert_eq!((story.case.attempts.len(), refunds(&story).len()), (1, 0));
    assert!(story.case.flags.is_empty(), "{:?}", story.case.flags);
}

#[test]
fn a_failure_after_the_payment_reopens_nothing() {
    let mut story = Story::of(no_funds());
    story.event(paid(None, "pi_1"));
    assert_eq!(story.case.state, State::Recovered);
    story.event(Event { attempt_count: Some(3), ..no_funds() });
    assert_eq!((story.case.state, story.case.due_at()), (State::Recovered, None));
    assert_eq!(charges(&story), 0);
}

#[test]
fn a_partial_refund_opens_nothing_again() {
    let mut story = Story::of(no_funds());
    story.event(paid(None, "pi_1"));
    story.event(of_invoice(EventKind::PartiallyRefunded));
    assert_eq!(story.case.state, State::Recovered);
    assert_eq!(charges(&story), 0);
}

#[test]
fn a_dispute_keeps_every_gateway_off_the_card() {
    let (mut story, _) = in_flight(policy());
    let card = story.case.attempts[0].card.clone().unwrap();
    story.charged(approved("pi_1"));
    story.event(of_invoice(EventKind::Disputed));
    let (_, why) = story.around.cards[&card].never.clone().unwrap();
    assert!(why.contains("disputed"), "{why}");
    assert!(story.case.flags.iter().any(|flag| flag.contains("disputes")), "a person is told");
}

#[test]
fn who_pays_by_hand_during_an_attempt_gets_the_second_payment_back() {
    let (mut story, _, order) = in_flight_elsewhere();
    story.event(paid(None, "pi_by_hand"));
    assert_eq!(story.case.state, State::Recovered);
    first(&mut story, |order| matches!(order, Order::Charge(_)))
        .answer(Outcome::Charge(approved("ch_9")));
    assert_eq!(refunds(&story), [order.attempt]);
}

#[test]
fn a_success_after_the_subscription_was_cancelled_is_told() {
    let (mut story, _) = in_flight(policy());
    story.event(of_invoice(EventKind::SubscriptionCancelled));
    assert_eq!(story.case.state, State::Stopped);
    first(&mut story, |order| matches!(order, Order::Charge(_)))
        .answer(Outcome::Charge(approved("pi_1")));
    let told = |flag: &String| flag.contains("after the subscription was cancelled");
    assert!(story.case.flags.iter().any(told), "{:?}", story.case.flags);
}

#[test]
fn who_pays_after_a_cancellation_gets_back_what_we_took_elsewhere() {
    let (mut story, _, order) = in_flight_elsewhere();
    story.event(of_invoice(EventKind::SubscriptionCancelled));
    first(&mut story, |order| matches!(order, Order::Charge(_)))
        .answer(Outcome::Charge(approved("ch_9")));
    assert_eq!(refunds(&story), [], "a person decides");
    // The billing gateway takes one payment of an invoice, and knows nothing of ours.
    story.event(paid(None, "pi_by_hand"));
    assert_eq!(refunds(&story), [order.attempt]);
}

#[test]
pub(super) fn what_could_not_be_marked_as_paid_and_is_paid_again_is_given_back() {
    let (mut story, _, order) = in_flight_elsewhere();
    story.answer(Outcome::Charge(approved("ch_9")));
    let failed = MarkPaidOutcome::Failed { why: "a payment is processing".into() };
    first(&mut story, |order| matches!(order, Order::MarkPaid(_)))
        .answer(Outcome::MarkedPaid(failed));
    assert_eq!((story.case.state, refunds(&story)), (State::Recovered, Vec::new()));
    story.event(paid(None, "pi_by_hand"));
    assert_eq!(refunds(&story), [order.attempt]);
}

#[test]
fn a_late_success_after_a_cancellation_is_given_back_where_a_look_finds_the_invoice_paid() {
    let (mut story, _, order) = in_flight_elsewhere();
    story.event(of_invoice(EventKind::SubscriptionCancelled));
    first(&mut story, |order| matches!(order, Order::Charge(_)))
        .answer(Outcome::Charge(approved("ch_9")));
    // Its customer paid at the billing gateway, and the word of it was lost.
    let Order::Check(_) = story.until_effect() else { panic!("{:?}", story.effects) };
    let paid = InvoiceView { status: InvoiceStatus::Paid, ..open_invoice() };
    story.answer(Outcome::Checked(CheckReport {
        invoice: Some(paid),
        invoice_error: None,
        attempts: Vec::new(),
    }));
    assert_eq!(refunds(&story), [order.attempt]);
}

#[test]
fn what_a_gateway_does_after_the_end_counts_on_the_card_that_it_charged() {
    let mut story = Story::of(no_funds());
    let old = story.case.card.clone().unwrap();
    story.event(of_invoice(EventKind::InvoiceVoided));
    let other = card("pm_2", "4444");
    story.around.customer.learn_method(&"stripe".into(), &other);
    let told = Event {
        attempt_count: Some(2),
        payment_method: Some(other),
        occurred_at: Some(story.now),
        ..no_funds()
    };
    let before = story.around.card(&old).attempts.len();
    story.event(told);
    let new = story.around.customer.method(&"stripe".into(), "pm_2").unwrap().card.clone();
    assert_eq!(story.around.card(&old).attempts.len(), before, "the old card was not charged");
    assert_eq!(story.around.card(&new).attempts.len(), 1);
}

#[test]
fn what_the_bank_wants_confirmed_is_asked_of_the_customer() {
    let story = Story::of(failed(Category::AuthenticationRequired, Advice::Authenticate));
    assert_eq!(story.case.state, State::AwaitingCustomer);
    assert!(!story.case.timers.contains_key(&Timer::NextAttempt));
}

#[test]
fn an_intent_for_more_than_is_owed_by_now_does_not_leave() {
    let (mut story, order) = in_flight(policy());
    let withdrawn = |story: &Story, order: &ChargeOrder| {
        let order = Order::Charge(order.clone());
        let (case, around) = (&story.case, &story.around);
        leaving::withdrawn(case, &order, around, &story.policy, story.now)
    };
    assert_eq!(withdrawn(&story, &order), None);
    story.case.amount = Money::new(1900, order.amount.currency);
    let why = withdrawn(&story, &order).unwrap();
    assert!(why.contains("less is owed"), "{why}");
    // Once it may have been taken, the same bytes are all that may leave under its key.
    story.case.attempts[0].sends = 2;
    assert_eq!(withdrawn(&story, &order), None);
}

#[test]
pub(super) fn nothing_is_sent_again_once_the_invoice_is_closed() {
    let (mut story, order) = in_flight(policy());
    story.charged(unknown());
    let Order::Check(_) = story.until_effect() else { panic!("{:?}", story.effects) };
    let closed = InvoiceView { status: InvoiceStatus::Void, ..open_invoice() };
    story.answer(Outcome::Checked(CheckReport {
        invoice: Some(closed),
        invoice_error: None,
        attempts: vec![(order.attempt, LookUpAnswer::NotFound)],
    }));
    assert_eq!(story.case.state, State::Stopped);
    assert_eq!(charges(&story), 0);
}

/// Every order of these events, each of them twice.
#[test]
fn in_every_order_an_end_is_an_end() {
    let events = [
        Event { attempt_count: Some(2), ..no_funds() },
        paid(None, "pi_1"),
        of_invoice(EventKind::Refunded),
        of_invoice(EventKind::SubscriptionCancelled),
        of_invoice(EventKind::Disputed),
    ];
    let mut orders = vec![Vec::new()];
    for _ in 0..events.len() {
        let longer = |order: Vec<usize>| {
            let left = (0..events.len()).filter(|n| !order.contains(n)).collect::<Vec<_>>();
            left.into_iter().map(move |n| [order.clone(), vec![n]].concat())
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut story = Story::of(no_funds());
        for index in order.iter().chain(&order) {
            story.event(events[*index].clone());
        }
        assert!(story.case.state.is_ended(), "{order:?}: {:?}", story.case.state);
        assert_eq!(charges(&story), 0, "{order:?}");
        let waits = story.case.timers.keys().any(|timer| *timer != Timer::ClosingSweep);
        assert!(!waits, "{order:?}: {:?}", story.case.timers);
    }
}

#[test]
pub(super) fn a_re_send_that_waited_until_its_key_may_be_forgotten_does_not_leave() {
    let (mut story, first) = in_flight(policy());
    story.charged(unknown());
    let again = story.clear().charge();
    assert_eq!(again, first, "asked for inside the key window");
    let leave = |now: Timestamp| {
        let order = Order::Charge(again.clone());
        leaving::leave(&story.case, &order, (&story.around, &story.policy), (now, now))
    };
    assert_eq!(leave(story.now), Leave::Goes);
    // The process was dead for a day, and found it in the outbox.
    let later = leave(story.now + SignedDuration::from_hours(24));
    assert!(matches!(later, Leave::Unsure(_)), "{later:?}");
}
