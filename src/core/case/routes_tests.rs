//! Stories of routes: an attempt teaches once, evidence moves it, and fees stop it.

use std::sync::Arc;

use super::*;
use crate::core::case::{events, step};
use crate::core::learning::Learned;
use crate::core::learning::facts::Facts;
use crate::core::learning::outcome::{Answer, Outcome as Lesson};
use crate::core::worth::Fee;

fn smart() -> Policy {
    Policy { schedule: Schedule::Smart, ..policy() }
}

/// `stripe` approved nine in ten, `backup` one in ten.
fn learned() -> Arc<Learned> {
    let mut learned = Learned::default();
    let routing = Arc::make_mut(&mut learned.routing);
    for number in 0..400_i64 {
        for (gateway, approved) in [("stripe", number % 10 > 0), ("backup", number % 10 == 0)] {
            routing.teach(&Lesson {
                at: "2026-11-01T00:00:00Z".parse().unwrap(),
                gateway: gateway.into(),
                facts: Facts::default(),
                answer: if approved { Answer::Approved } else { Answer::Declined },
            });
        }
    }
    Arc::new(learned)
}

#[test]
fn an_attempt_teaches_once_and_with_what_was_known_before_it() {
    let mut story = Story::of(failed(Category::GenericDecline, Advice::None));
    story.clear().charged(unknown());
    let silent: Vec<_> = story.outcomes.drain(..).map(|lesson| lesson.answer).collect();
    assert_eq!(silent, [Answer::Technical], "nobody knows yet, but that the gateway was silent");
    let made_at = story.case.attempts[0].at;
    let refused = declined(decline(Category::InsufficientFunds, Advice::None));
    let Order::Check(order) = story.until_effect().clone() else { panic!("no look-up") };
    let id = order.attempts[0].charge.attempt.clone();
    let attempts = vec![(id, LookUpAnswer::Found(refused))];
    let invoice = Some(open_invoice());
    story.answer(Outcome::Checked(CheckReport { invoice, invoice_error: None, attempts }));
    assert_eq!(story.outcomes.len(), 1);
    let lesson = &story.outcomes[0];
    assert_eq!((lesson.gateway.as_str(), lesson.answer), ("backup", Answer::Declined));
    assert_eq!((lesson.at, lesson.facts.category), (made_at, Some(Category::GenericDecline)));
    assert_eq!((lesson.facts.attempt, lesson.facts.tried_here), (2, 0));
    assert_eq!(lesson.facts.network.as_deref(), Some("visa"));
}

#[test]
fn what_a_person_forced_teaches_no_routing() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    story.input(Input::Operator(OperatorAction::Retry));
    story.clear().charged(approved("pi_1"));
    assert_eq!(story.outcomes, []);
}

#[test]
fn evidence_moves_the_attempt_and_the_decision_keeps_what_was_considered() {
    let mut taken = [0; 2];
    for number in 0..40 {
        let invoice = Some(format!("in_{number}"));
        let event = Event { invoice, ..failed(Category::GenericDecline, Advice::None) };
        let mut story = Story::with(event, smart());
        story.around.learned = learned();
        let charge = story.clear().charge();
        taken[usize::from(charge.gateway.as_str() == "backup")] += 1;
        let considered = &story.case.attempts[0].decision.considered;
        let sum: f64 = considered.iter().filter_map(|one| one.propensity).map(|p| p.get()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{considered:?}");
        assert_eq!(considered.iter().filter(|one| one.why_not.is_none()).count(), 1);
    }
    // By the rules alone the one that was not tried yet goes first: `backup`, always.
    assert!(taken[0] > 30, "{taken:?}");
}

#[test]
fn an_attempt_that_is_not_worth_its_fees_is_not_made_and_the_case_ends_at_its_window() {
    let mut policy = smart();
    for gateway in &mut policy.gateways {
        let fee = Fee { declined: 2_900_000, ..Fee::default() };
        gateway.fees.insert("USD".parse().unwrap(), fee);
    }
    let mut story = Story::with(failed(Category::InsufficientFunds, Advice::None), policy);
    for _ in 0..60 {
        match story.effects.first().map(|effect| effect.order.clone()) {
            Some(Order::Send(_)) => story.answer(Outcome::Sent(SendOutcome::Unknown)),
            Some(Order::Check(_)) => story.clear(),
            Some(Order::Charge(charge)) => panic!("charged: {charge:?}"),
            Some(_) => story.answer(Outcome::Acted(Ok(()))),
            None if story.case.due_at().is_none() => break,
            None => story.due(),
        };
    }
    assert!(story.told("expected to bring more than its fees"), "{:?}", story.ledger);
    assert_eq!(story.case.state, State::Exhausted);
    assert!(story.case.attempts.is_empty());
}

#[test]
fn a_renewed_card_restarts_the_case_once_and_the_same_news_again_does_not() {
    let mut story = Story::of(failed(Category::CredentialOutdated, Advice::None));
    assert_eq!(story.case.state, State::AwaitingCustomer, "an expired card is not charged");
    let renewed = |id: &str, exp: &str| Event {
        customer: Some("cus_1".into()),
        payment_method: Some(PaymentMethodFacts { exp: Some(exp.into()), ..card("pm_1", "4242") }),
        ..Event::new(id, EventKind::PaymentMethodUpdated)
    };
    story.event(renewed("evt_2", "2030-03"));
    assert_eq!(story.case.state, State::AwaitingCustomer, "nothing about it is new");
    story.event(renewed("evt_3", "2033-03"));
    assert_eq!((story.case.state, story.case.due_at()), (State::Scheduled, Some(story.now)));
    story.clear().charged(declined(decline(Category::CredentialOutdated, Advice::None)));
    assert_eq!(story.case.state, State::AwaitingCustomer);
    story.event(renewed("evt_4", "2033-03"));
    assert_eq!(story.case.state, State::AwaitingCustomer, "that renewal was tried");
}

#[test]
fn another_card_is_charged_in_its_place_only_with_consent_on_record() {
    for consent in [false, true] {
        let mut story = Story::of(failed(Category::GenericDecline, Advice::None));
        let customer = &mut story.around.customer;
        customer.learn_method(&"backup".into(), &card("tok_9", "1881"));
        let other = customer.methods.last_mut().unwrap();
        assert!(!other.consent, "an event is no consent");
        other.consent = consent;
        story.clear().charged(declined(decline(Category::GenericDecline, Advice::None)));
        while let Order::Send(_) = story.until_effect() {
            story.answer(Outcome::Sent(SendOutcome::Unknown));
        }
        story.clear().charge();
        let mut through = story.case.attempts.iter().map(|a| a.charge.gateway.as_str());
        assert_eq!(through.any(|gateway| gateway == "backup"), consent);
    }
}

/// News of a card at `backup`, which does not own the invoice.
fn told_by_backup(story: &mut Story, id: &str, token: &str, last4: &str) {
    let event = Event {
        customer: Some("cus_1".into()),
        payment_method: Some(card(token, last4)),
        ..Event::new(id, EventKind::PaymentMethodUpdated)
    };
    let source = "backup".into();
    step::learn(&mut story.around.customer, &source, &event);
    let seen = events::from_elsewhere(&story.case, &source, &event);
    story.input(Input::Event(Box::new(seen)));
}

/// A card that nobody charges any more, which `backup` holds a token of too.
fn outdated() -> Story {
    let event = failed(Category::CredentialOutdated, Advice::None);
    let mut story = Story::of(event);
    story.around.customer.learn_method(&"backup".into(), &card("tok_1", "4242"));
    assert_eq!(story.case.state, State::AwaitingCustomer);
    story
}

#[test]
fn a_new_card_at_another_gateway_restarts_the_case_there_and_only_there() {
    let mut story = outdated();
    told_by_backup(&mut story, "evt_2", "tok_2", "1881");
    assert_eq!((story.case.state, story.case.due_at()), (State::Scheduled, Some(story.now)));
    let charge = story.clear().charge();
    assert_eq!((charge.gateway.as_str(), charge.token.as_deref()), ("backup", Some("tok_2")));
    story.charged(declined(decline(Category::InsufficientFunds, Advice::None)));
    told_by_backup(&mut story, "evt_3", "tok_2", "1881");
    assert_eq!(story.case.attempts.len(), 1);
    // The billing gateway still has the card that was refused for good: it is left alone.
    while story.case.attempts.len() < 3 {
        match story.until_effect().clone() {
            Order::Send(_) => story.answer(Outcome::Sent(SendOutcome::Unknown)),
            Order::Check(_) => story.clear(),
            Order::Charge(charge) => {
                assert_eq!(charge.gateway.as_str(), "backup");
                let refused = decline(Category::InsufficientFunds, Advice::None);
                story.charged(declined(refused))
            }
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn a_card_elsewhere_that_nobody_agreed_to_restarts_nothing_and_says_so() {
    let mut story = Story::of(failed(Category::CredentialOutdated, Advice::None));
    story.around.customer.methods.retain(|m| m.gateway.as_str() != "backup");
    told_by_backup(&mut story, "evt_2", "tok_2", "1881");
    assert_eq!(story.case.state, State::AwaitingCustomer);
    assert!(story.told("Nothing says that it may be charged"), "{:?}", story.ledger);
}

#[test]
fn a_new_token_elsewhere_of_the_card_that_was_refused_is_tried_once() {
    let mut story = outdated();
    told_by_backup(&mut story, "evt_2", "tok_2", "4242");
    assert_eq!(story.clear().charge().gateway.as_str(), "backup");
    story.charged(declined(decline(Category::CredentialOutdated, Advice::None)));
    assert_eq!(story.case.state, State::AwaitingCustomer);
    told_by_backup(&mut story, "evt_3", "tok_2", "4242");
    assert_eq!(story.case.state, State::AwaitingCustomer, "that token was tried");
}

#[test]
fn a_new_card_at_the_billing_gateway_comes_before_one_elsewhere() {
    let mut story = outdated();
    told_by_backup(&mut story, "evt_2", "tok_2", "1881");
    story.event(Event {
        customer: Some("cus_1".into()),
        payment_method: Some(card("pm_2", "5556")),
        ..Event::new("evt_3", EventKind::PaymentMethodUpdated)
    });
    assert_eq!(story.case.moved_to, None);
    let adopted = story.effects.iter().any(|e| matches!(e.order, Order::AdoptMethod(_)));
    assert!(adopted, "the subscription takes the new card");
    story.answer(Outcome::Acted(Ok(())));
    assert_eq!(story.clear().charge().token.as_deref(), Some("pm_2"));
}

#[test]
fn a_card_elsewhere_that_is_gone_leaves_what_there_was() {
    let mut story = outdated();
    told_by_backup(&mut story, "evt_2", "tok_2", "1881");
    let gone = Event {
        payment_method: Some(card("tok_2", "1881")),
        ..Event::new("evt_3", EventKind::PaymentMethodRemoved)
    };
    let source = "backup".into();
    step::learn(&mut story.around.customer, &source, &gone);
    let seen = events::from_elsewhere(&story.case, &source, &gone);
    story.input(Input::Event(Box::new(seen)));
    assert_eq!(story.case.state, State::AwaitingCustomer);
    assert_eq!(story.case.attempts.len(), 0);
}

#[test]
fn what_may_be_the_gateways_fault_is_tried_once_elsewhere_and_not_there_again() {
    for (category, then) in [
        (Category::NotPermitted, State::AwaitingCustomer),
        (Category::MerchantError, State::Paused),
    ] {
        let mut story = Story::of(failed(category, Advice::None));
        story.around.customer.learn_method(&"backup".into(), &card("tok_1", "4242"));
        story.input(Input::CustomerChanged);
        let charge = story.clear().charge();
        assert_eq!(charge.gateway.as_str(), "backup", "{category:?}");
        assert!(story.now < story.case.opened_at + SignedDuration::from_hours(3));
        story.charged(declined(decline(category, Advice::None)));
        assert_eq!((story.case.state, story.case.attempts.len()), (then, 1), "{category:?}");
        let mut story = Story::of(failed(category, Advice::Never));
        story.around.customer.learn_method(&"backup".into(), &card("tok_1", "4242"));
        story.input(Input::CustomerChanged);
        assert_ne!(story.case.state, State::Scheduled, "advice comes first");
    }
}
