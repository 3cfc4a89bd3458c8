//! Stories of single cases, told input by input.

use jiff::{SignedDuration, Timestamp};

use super::step::{self, Around, Step};
use super::{AttemptOutcome, Case, RecoveredBy, State, Timer};
use crate::core::customer::{Channel, Customer};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::*;
use crate::core::event::{Event, EventKind, NativeRetry, PaymentMethodFacts};
use crate::core::ids::EffectId;
use crate::core::input::{Input, OperatorAction, PageAction};
use crate::core::money::Money;
use crate::core::policy::*;
#[path = "evidence_tests.rs"]
mod evidence_tests;
#[path = "failure_tests.rs"]
mod failures;
#[path = "family_tests.rs"]
mod family_tests;
#[path = "moving_tests.rs"]
mod moving;
#[cfg(feature = "mutants")]
#[path = "mutant_tests.rs"]
mod mutants;
#[path = "page_tests.rs"]
mod page_stories;
#[path = "race_tests.rs"]
mod races;
#[path = "restored_tests.rs"]
mod restored;
#[path = "routes_tests.rs"]
mod routes_tests;
#[path = "trial_tests.rs"]
mod trial;

fn capabilities(read_invoice: bool) -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: Vec::new(),
        native_retries_switchable: false,
        read_invoice,
        hosted_update: true,
        page_takes_payment: false,
        token_only: false,
        paid_out_of_band: true,
        pays_invoice_once: read_invoice,
        refund: true,
        subscriptions: true,
        native_retries_visible: true,
        native_retry_window_s: 0,
        key_window_s: 82_800,
        horizon_s: 900,
    }
}

pub(crate) fn policy() -> Policy {
    let gateway = |id: &str, read| GatewayPolicy {
        id: id.into(),
        native_retries: NativeRetries::Observe,
        capabilities: capabilities(read),
        fees: Default::default(),
    };
    let step = |after_days, kind, condition| CampaignStep::of(after_days, kind, condition);
    Policy {
        gateways: vec![gateway("stripe", true), gateway("backup", false)],
        schedule: Schedule::Even,
        window_days: 28,
        max_attempts: 4,
        holdout_ppm: 0,
        silent_attempts: 1,
        channels: vec![Channel::Email],
        steps: vec![
            step(0, MessageKind::PaymentFailed, Condition::WillRetry),
            step(0, MessageKind::CardUpdate, Condition::NeedsCustomer),
            step(7, MessageKind::CardUpdate, Condition::NeedsCustomer),
            step(24, MessageKind::LastNotice, Condition::Any),
        ],
        contact: ContactPolicy {
            hours: [Some((8, 20)); 7],
            per_day: 1,
            gap_hours: 0,
            ..ContactPolicy::closed("default")
        },
        subscription_action: SubscriptionAction::Keep,
        invoice_action: InvoiceAction::Keep,
        page: PagePolicy::default(),
        locale: "en".into(),
        time_zone: "America/Bogota".into(),
        shadow: false,
    }
}

fn decline(category: Category, advice: Advice) -> Decline {
    Decline {
        code: Some("code".into()),
        network_code: None,
        advice_code: None,
        network_advice_code: None,
        category,
        advice,
        min_delay_seconds: None,
    }
}

fn failed(category: Category, advice: Advice) -> Event {
    Event {
        invoice: Some("in_1".into()),
        customer: Some("cus_1".into()),
        subscription: Some("sub_1".into()),
        amount: Some(Money::new(2900, "USD".parse().unwrap())),
        attempt_count: Some(1),
        native_retry: Some(NativeRetry::None),
        decline: Some(decline(category, advice)),
        payment_method: Some(card("pm_1", "4242")),
        contact: crate::core::event::Contact {
            email: Some("ana@example.com".into()),
            ..Default::default()
        },
        ..Event::new("evt_1", EventKind::PaymentFailed)
    }
}

fn card(token: &str, last4: &str) -> PaymentMethodFacts {
    PaymentMethodFacts {
        token: Some(token.into()),
        network: Some("visa".into()),
        last4: Some(last4.into()),
        exp: Some("2030-03".into()),
        ..Default::default()
    }
}

/// A case that has just opened.
pub(crate) fn a_case() -> Case {
    Story::of(failed(Category::InsufficientFunds, Advice::None)).case
}

/// A case with what surrounds it, and the effects that wait to be answered.
struct Story {
    case: Case,
    around: Around,
    policy: Policy,
    now: Timestamp,
    effects: Vec<Effect>,
    ledger: Vec<String>,
    outcomes: Vec<crate::core::learning::outcome::Outcome>,
}

impl Story {
    fn of(event: Event) -> Self {
        Self::with(event, policy())
    }

    fn with(event: Event, policy: Policy) -> Self {
        let now: Timestamp = "2026-11-21T15:00:00Z".parse().unwrap();
        let mut around = Around {
            customer: Customer::new("cus_1"),
            cards: Default::default(),
            learned: Default::default(),
            siblings: Vec::new(),
            stopped: Default::default(),
            held: false,
        };
        step::learn(&mut around.customer, &"stripe".into(), &event);
        around.customer.learn_method(&"backup".into(), &card("tok_1", "4242"));
        let step = step::open(&event, &mut around, &policy, now).unwrap();
        let mut story = Self {
            case: step.case.clone(),
            around,
            policy,
            now,
            effects: Vec::new(),
            ledger: Vec::new(),
            outcomes: Vec::new(),
        };
        story.take(step);
        story
    }

    fn take(&mut self, step: Step) {
        self.case = step.case;
        self.effects.extend(step.effects);
        self.effects.retain(|effect| !step.cancelled.contains(&effect.id));
        self.outcomes.extend(step.outcomes);
        self.ledger.extend(step.ledger.into_iter().map(|entry| entry.text));
    }

    fn input(&mut self, input: Input) -> &mut Self {
        let case = self.case.clone();
        let step = step::step(case, &input, &mut self.around, &self.policy, self.now);
        self.take(step);
        self
    }

    fn event(&mut self, event: Event) -> &mut Self {
        step::learn(&mut self.around.customer, &"stripe".into(), &event);
        self.input(Input::Event(Box::new(event)))
    }

    /// Goes to the case's next due moment.
    fn due(&mut self) -> &mut Self {
        self.now = self.case.due_at().expect("something is due").max(self.now);
        self.input(Input::Due)
    }

    /// Goes on until an effect is asked for.
    fn until_effect(&mut self) -> &Order {
        for _ in 0..50 {
            if !self.effects.is_empty() {
                break;
            }
            self.due();
        }
        &self.effects.first().expect("an effect was asked for").order
    }

    fn answer(&mut self, outcome: Outcome) -> &mut Self {
        let effect: EffectId = self.effects.remove(0).id;
        self.input(Input::Outcome(effect, Box::new(outcome)))
    }

    /// Answers the pre-flight look-up: open, nothing found.
    fn clear(&mut self) -> &mut Self {
        let Order::Check(order) = self.until_effect().clone() else {
            panic!("no check: {:?}", self.effects)
        };
        let attempts = order.attempts.iter().map(|a| {
            let outcome = self.case.attempts.iter().find(|b| b.charge == a.charge);
            let answer = match outcome.map(|b| (b.outcome, b.decline.clone())) {
                Some((AttemptOutcome::Declined, Some(decline))) => {
                    LookUpAnswer::Found(declined(decline))
                }
                _ => LookUpAnswer::NotFound,
            };
            (a.charge.attempt.clone(), answer)
        });
        let attempts = attempts.collect();
        self.answer(Outcome::Checked(CheckReport {
            invoice: Some(open_invoice()),
            invoice_error: None,
            attempts,
        }))
    }

    fn charge(&mut self) -> ChargeOrder {
        match self.until_effect() {
            Order::Charge(order) => order.clone(),
            other => panic!("no charge: {other:?}"),
        }
    }

    fn charged(&mut self, outcome: ChargeOutcome) -> &mut Self {
        self.charge();
        self.answer(Outcome::Charge(outcome))
    }

    fn told(&self, text: &str) -> bool {
        self.ledger.iter().any(|entry| entry.contains(text))
    }
}

fn open_invoice() -> InvoiceView {
    InvoiceView {
        status: InvoiceStatus::Open,
        amount_remaining: None,
        paid_out_of_band: false,
        next_native_attempt_at: None,
        attempt_count: Some(1),
    }
}

fn declined(decline: Decline) -> ChargeOutcome {
    ChargeOutcome::Declined { payment: None, decline, method: Default::default() }
}

fn approved(payment: &str) -> ChargeOutcome {
    ChargeOutcome::Approved {
        payment: payment.into(),
        amount: None,
        network_transaction_id: None,
        method: Default::default(),
    }
}

fn unknown() -> ChargeOutcome {
    ChargeOutcome::Unknown { why: "a time-out".into() }
}

#[test]
fn insufficient_funds_are_retried_in_silence_and_come_back() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    assert_eq!(story.case.state, State::Scheduled);
    let charge = story.clear().charge();
    assert_eq!((charge.gateway.as_str(), charge.billing), ("stripe", true));
    assert!(story.now.duration_since(story.case.opened_at) > SignedDuration::from_hours(6 * 24));
    story.charged(approved("pi_1"));
    assert_eq!(story.case.state, State::Recovered);
    assert_eq!(story.case.recovered_by, Some(RecoveredBy::Retry));
    assert!(story.effects.is_empty(), "no message was sent: {:?}", story.effects);
    assert!(story.case.due_at().is_none());
}

#[test]
fn a_generic_decline_goes_to_the_other_gateway_and_is_booked_out_of_band() {
    let mut story = Story::of(failed(Category::GenericDecline, Advice::None));
    let charge = story.clear().charge();
    assert_eq!((charge.gateway.as_str(), charge.token.as_deref()), ("backup", Some("tok_1")));
    story.charged(approved("ch_9"));
    assert_eq!(story.case.recovered_by, Some(RecoveredBy::OtherGateway));
    let Order::MarkPaid(order) = &story.effects[0].order else { panic!() };
    assert_eq!(order.charge.as_deref(), Some("ch_9"));
    // The customer had paid at the billing gateway meanwhile: ours is given back.
    story.answer(Outcome::MarkedPaid(MarkPaidOutcome::AlreadyPaid));
    assert!(matches!(&story.effects[0].order, Order::Refund(r) if r.charge == "ch_9"));
    assert_eq!(story.case.flags.len(), 1);
}

#[test]
fn a_stolen_card_is_never_charged_and_an_update_restarts_at_once() {
    let mut story = Story::of(failed(Category::LostOrStolen, Advice::Never));
    assert_eq!(story.case.state, State::AwaitingCustomer);
    let Order::Send(message) = story.until_effect().clone() else { panic!() };
    assert_eq!(message.kind, MessageKind::CardUpdate);
    story.answer(Outcome::Sent(SendOutcome::Sent {
        answer: "250 ok".into(),
        subject: String::new(),
        text: String::new(),
        html: None,
        locale: "en".into(),
    }));
    story.event(Event {
        customer: Some("cus_1".into()),
        payment_method: Some(card("pm_2", "1881")),
        ..Event::new("evt_2", EventKind::PaymentMethodUpdated)
    });
    assert!(matches!(&story.effects[0].order, Order::AdoptMethod(o) if o.token == "pm_2"));
    story.answer(Outcome::Acted(Ok(())));
    assert_eq!(story.case.due_at(), Some(story.now));
    let charge = story.clear().charge();
    assert_eq!(charge.token.as_deref(), Some("pm_2"));
    story.charged(approved("pi_2"));
    assert_eq!(story.case.recovered_by, Some(RecoveredBy::CardUpdate));
    let Order::Send(thanks) = &story.effects[0].order else { panic!("no thank-you") };
    assert_eq!(thanks.kind, MessageKind::Recovered);
}

#[test]
fn while_an_outcome_is_unknown_nothing_else_is_charged() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let first = story.clear().charge();
    story.charged(unknown());
    assert_eq!(story.case.state, State::AwaitingOutcome);
    // A person's wish, a new card, an event: none of them starts another charge.
    story.input(Input::Operator(OperatorAction::Retry));
    story.event(Event { id: "evt_9".into(), ..failed(Category::GenericDecline, Advice::None) });
    story.until_effect();
    let Order::Check(order) = &story.effects[0].order else { panic!("{:?}", story.effects) };
    assert_eq!(order.purpose, CheckPurpose::Resolve);
    let id = order.attempts[0].charge.attempt.clone();
    // Not there yet: the same key and bytes again, inside the window.
    story.answer(checked(id.clone(), LookUpAnswer::NotFound));
    assert_eq!(story.charge(), first);
    story.charged(unknown());
    story.until_effect();
    story.answer(checked(id, LookUpAnswer::Found(approved("pi_1"))));
    assert_eq!(story.case.state, State::Recovered);
    assert_eq!(story.case.attempts.len(), 1);
}

fn checked(attempt: crate::core::ids::AttemptId, answer: LookUpAnswer) -> Outcome {
    Outcome::Checked(CheckReport {
        invoice: Some(open_invoice()),
        invoice_error: None,
        attempts: vec![(attempt, answer)],
    })
}

#[test]
fn not_found_is_final_only_after_the_horizon_of_the_last_send() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let id = story.clear().charge().attempt;
    story.charged(unknown());
    let mut sends = 1;
    for _ in 0..20 {
        match story.until_effect().clone() {
            Order::Charge(_) => {
                sends += 1;
                story.charged(unknown());
            }
            Order::Check(_) if story.case.open_attempt().is_some() => {
                story.answer(checked(id.clone(), LookUpAnswer::NotFound));
            }
            _ => break,
        }
    }
    let attempt = &story.case.attempts[0];
    assert_eq!((attempt.outcome, sends), (AttemptOutcome::Error, 3));
    let waited = attempt.settled_at.unwrap().duration_since(attempt.sent.unwrap().1);
    assert!(waited >= SignedDuration::from_secs(900), "{waited}");
}

#[test]
fn a_late_success_of_a_declined_attempt_is_found_before_the_next_charge() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    story.clear().charged(declined(decline(Category::InsufficientFunds, Advice::None)));
    loop {
        match story.until_effect().clone() {
            Order::Check(order) => {
                let id = order.attempts[0].charge.attempt.clone();
                story.answer(checked(id, LookUpAnswer::Found(approved("pi_1"))));
                break;
            }
            Order::Send(_) => drop(story.answer(Outcome::Sent(SendOutcome::Unknown))),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(story.case.state, State::Recovered);
}

#[test]
fn an_amount_that_the_invoice_does_not_have_charges_nobody() {
    for owed in [Money::new(9900, "USD".parse().unwrap()), Money::new(2900, "EUR".parse().unwrap())]
    {
        let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
        story.event(Event {
            id: "evt_2".into(),
            amount: Some(owed),
            ..failed(Category::InsufficientFunds, Advice::None)
        });
        assert_eq!((story.case.state, story.case.flags.len()), (State::Paused, 1));
        assert!(story.case.due_at().is_none() && story.effects.is_empty());
    }
}

#[test]
fn every_end_stops_attempts_and_messages() {
    for kind in [
        EventKind::PaymentSucceeded,
        EventKind::InvoiceVoided,
        EventKind::SubscriptionCancelled,
        EventKind::Disputed,
        EventKind::Refunded,
        EventKind::InvoiceUncollectible,
    ] {
        let mut story = Story::of(failed(Category::LostOrStolen, Advice::Never));
        assert!(matches!(story.until_effect(), Order::Send(_)));
        story.event(Event { invoice: Some("in_1".into()), ..Event::new("evt_2", kind) });
        assert!(story.case.state.is_ended(), "{kind:?}");
        assert!(story.effects.is_empty(), "{kind:?} left {:?}", story.effects);
        assert!(story.case.due_at().is_none());
        story.event(failed(Category::GenericDecline, Advice::None));
        assert!(story.case.state.is_ended(), "a late failure reopened it");
    }
}

#[test]
fn native_retries_are_watched_and_counted() {
    let event = Event {
        native_retry: Some(NativeRetry::Planned),
        next_native_attempt_at: Some("2026-11-24T10:00:00Z".parse().unwrap()),
        ..failed(Category::InsufficientFunds, Advice::None)
    };
    let mut story = Story::of(event.clone());
    assert_eq!(story.case.state, State::Monitoring);
    story.now = "2026-11-24T10:05:00Z".parse().unwrap();
    story.event(Event {
        id: "evt_2".into(),
        attempt_count: Some(2),
        native_retry: Some(NativeRetry::None),
        next_native_attempt_at: None,
        ..event
    });
    assert_eq!(story.case.state, State::Scheduled);
    assert_eq!(story.case.native_attempts, 2);
    let counted: usize = story.around.cards.values().map(|c| c.attempts.len()).sum();
    assert_eq!(counted, 2);
}

#[test]
fn several_events_of_one_failure_are_one_failure() {
    let mut vague = failed(Category::Unknown, Advice::None);
    vague.decline = None;
    let mut story = Story::of(vague);
    let attempts =
        |story: &Story| -> usize { story.around.cards.values().map(|c| c.attempts.len()).sum() };
    assert_eq!(attempts(&story), 1);
    story.event(Event {
        id: "evt_2".into(),
        attempt_count: None,
        native_retry: None,
        ..failed(Category::LostOrStolen, Advice::Never)
    });
    assert_eq!(attempts(&story), 1);
    assert_eq!(story.case.state, State::AwaitingCustomer);
}

#[test]
fn nothing_helps_and_the_case_is_exhausted_after_a_closing_sweep() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    let mut charges = 0;
    for _ in 0..200 {
        if story.case.state.is_ended() {
            break;
        }
        match story.until_effect().clone() {
            Order::Check(_) => drop(story.clear()),
            Order::Charge(_) => {
                charges += 1;
                story.charged(declined(decline(Category::InsufficientFunds, Advice::None)));
            }
            Order::Send(_) => drop(story.answer(Outcome::Sent(SendOutcome::Unknown))),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((story.case.state, charges), (State::Exhausted, 4));
    assert!(story.told("the schedule has no attempt left"));
    let kinds: Vec<_> = story.case.messages.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [MessageKind::PaymentFailed, MessageKind::LastNotice]);
    assert!(!story.case.timers.contains_key(&Timer::Reminder));
}

#[test]
fn an_outage_is_retried_soon_and_off_the_schedule() {
    let mut story = Story::of(failed(Category::InsufficientFunds, Advice::None));
    story.clear().charged(ChargeOutcome::NotSent { why: "connection refused".into() });
    assert_eq!(story.case.attempts.iter().filter(|a| a.on_schedule).count(), 0);
    let due = story.case.timers[&Timer::NextAttempt];
    assert!(due.duration_since(story.now) <= SignedDuration::from_mins(17), "{due}");
    // Nothing can be verified: nothing is charged.
    story.until_effect();
    story.answer(Outcome::Checked(CheckReport {
        invoice: None,
        invoice_error: Some("connection refused".into()),
        attempts: Vec::new(),
    }));
    assert!(story.effects.is_empty());
    assert_eq!(story.case.state, State::Scheduled);
    story.clear().charged(approved("pi_1"));
    assert_eq!(story.case.state, State::Recovered);
}
