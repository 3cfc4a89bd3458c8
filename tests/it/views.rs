//! Views with everything on them, as pages are tested and looked at with.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recoup::core::case::{
    Attempt, AttemptOutcome, Case, Message, MessageStatus, Next, RecoveredBy, State,
};
use recoup::core::customer::{Channel, Customer};
use recoup::core::decline::{Advice, Category, Decline};
use recoup::core::delivery::Track;
use recoup::core::effect::ChargeOrder;
use recoup::core::event::PaymentMethodFacts;
use recoup::core::ids::{AttemptId, CaseId, GatewayId, MessageId};
use recoup::core::ledger::{Decision, EntryKind, LedgerEntry};
use recoup::core::money::Money;
use recoup::core::policy::MessageKind;
use recoup::http::pages::{CaseView, CasesView, Chip, Door, PayView, Shell};
use recoup::message::render;
use recoup::store::MessageRecord;

use crate::messages::{LINK, brand, order};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn decline(category: Category) -> Decline {
    Decline {
        code: Some("insufficient_funds".to_owned()),
        network_code: Some("51".to_owned()),
        advice_code: None,
        network_advice_code: None,
        category,
        advice: Advice::None,
        min_delay_seconds: None,
    }
}

pub(crate) fn decision(why: &str) -> Decision {
    Decision {
        what: "attempt".to_owned(),
        at: Some(at("2026-11-24T14:10:00Z")),
        via: Some("backup".to_owned()),
        why: why.to_owned(),
        considered: vec!["stripe: declined twice in this case".into()],
    }
}

pub(crate) fn charge(case: &CaseId, number: u32) -> ChargeOrder {
    ChargeOrder {
        attempt: AttemptId::of(case, number),
        number,
        gateway: GatewayId::from("stripe"),
        idempotency_key: String::new(),
        token: Some("pm_1".to_owned()),
        customer: Some("cus_ana".to_owned()),
        subscription: None,
        invoice: "in_1".to_owned(),
        amount: Money::new(2900, "USD".parse().unwrap()),
        billing: true,
        network_transaction_id: None,
    }
}

pub(crate) fn attempt(case: &CaseId, number: u32) -> Attempt {
    Attempt {
        charge: charge(case, number),
        card: None,
        at: at("2026-11-21T14:10:00Z"),
        sent: None,
        sends: 1,
        look_ups: 0,
        outcome: AttemptOutcome::Declined,
        settled_at: None,
        payment: None,
        decline: Some(decline(Category::InsufficientFunds)),
        on_schedule: true,
        forced: false,
        refunded: false,
        decision: decision("the second of four attempts, evenly spaced over 28 days"),
    }
}

fn third_attempt() -> Next {
    Next {
        at: Some(at("2026-11-24T14:10:00Z")),
        what: "attempt".to_owned(),
        why: "The third of four attempts, moved to the morning when this customer's charges went \
              through before."
            .to_owned(),
    }
}

pub(crate) fn case(invoice: &str, state: State) -> Case {
    let gateway = GatewayId::from("stripe");
    let id = CaseId::of(&gateway, invoice);
    let amount = Money::new(2900, "USD".parse().unwrap());
    Case {
        revision: 1,
        policy_version: "pol_0a1b2c3d4e5f60718293".to_owned(),
        customer: Some("cus_ana".to_owned()),
        subscription: Some("sub_1".to_owned()),
        description: Some("Plan Pro".to_owned()),
        ended_at: state.is_ended().then(|| at("2026-11-20T15:02:00Z")),
        state,
        reason: "The second attempt was declined; the next is planned.".to_owned(),
        decline: Some(decline(Category::InsufficientFunds)),
        token: Some("pm_1".to_owned()),
        native_attempts: 1,
        attempts: vec![attempt(&id, 1)],
        steps_done: 1,
        messages: vec![Message {
            id: MessageId::of(&id, 2),
            effect: "eff_1".into(),
            kind: MessageKind::LastNotice,
            channel: Channel::Email,
            step: None,
            locale: None,
            at: at("2026-11-20T15:02:00Z"),
            with: Vec::new(),
            status: MessageStatus::Queued,
            track: Track::default(),
        }],
        recovered_by: (state == State::Recovered).then_some(RecoveredBy::OtherGateway),
        next: third_attempt(),
        ledger_sequence: 5,
        effect_sequence: 3,
        ..Case::blank(id, gateway, invoice, amount, at("2026-11-18T15:02:00Z"))
    }
}

/// A message that went out.
pub(crate) fn message(id: &MessageId, channel: Channel, delivered: bool) -> Message {
    let when = at("2026-11-20T15:02:00Z");
    Message {
        id: id.clone(),
        effect: "eff_1".into(),
        kind: MessageKind::PaymentFailed,
        channel,
        step: Some(1),
        locale: Some("en".to_owned()),
        at: when,
        with: Vec::new(),
        status: MessageStatus::Sent,
        track: Track { delivered_at: delivered.then_some(when), ..Track::default() },
    }
}

pub(crate) fn customer() -> Customer {
    let mut customer = Customer::new("cus_ana");
    customer.contact = order(MessageKind::CardUpdate, "es-CO").contact;
    customer.learn_method(
        &GatewayId::from("stripe"),
        &PaymentMethodFacts {
            token: Some("pm_1".to_owned()),
            network: Some("visa".to_owned()),
            last4: Some("4242".to_owned()),
            exp: Some("2027-03".to_owned()),
            ..PaymentMethodFacts::default()
        },
    );
    customer
}

pub(crate) fn pay(state: State) -> PayView {
    let case = case("in_1", state);
    let mut view = PayView::of(brand(), &case, Some(&customer()), "/pay/tok_1".to_owned());
    view.more_time = Some(("2026-11-22".parse().unwrap(), "2026-12-05".parse().unwrap()));
    view.doors = vec![
        Door::UpdateCard,
        Door::Retry,
        Door::MoreTime,
        Door::OtherWay,
        Door::AlreadyPaid,
        Door::StopReminders,
    ];
    view
}

pub(crate) fn shell() -> Shell {
    Shell {
        brand: "Café Nube".to_owned(),
        time_zone: "America/Bogota".to_owned(),
        now: at("2026-11-21T22:50:00Z"),
        test_clock: true,
        csrf: Some("csrf_1".to_owned()),
        who: Some("ana@nube.example".to_owned()),
        role: Some(recoup::core::access::Role::Admin),
        notice: None,
    }
}

pub(crate) fn ledger() -> Vec<LedgerEntry> {
    let entry = |sequence, when: &str, kind, text: &str, decision| LedgerEntry {
        sequence,
        at: at(when),
        kind,
        text: text.to_owned(),
        decision,
    };
    vec![
        entry(
            1,
            "2026-11-18T15:02:00Z",
            EntryKind::Opened,
            "Stripe reported that 29.00 USD could not be collected: insufficient funds.",
            None,
        ),
        entry(
            2,
            "2026-11-18T15:02:00Z",
            EntryKind::Decided,
            "Attempt 1 is planned, without a message to the customer.",
            Some(decision("a soft decline often passes by itself, so the first attempt is silent")),
        ),
        entry(
            3,
            "2026-11-21T14:10:00Z",
            EntryKind::AttemptSent,
            "Attempt 1 was sent through stripe.",
            None,
        ),
        entry(
            4,
            "2026-11-21T14:10:02Z",
            EntryKind::AttemptOutcome,
            "Attempt 1 was declined: insufficient funds.",
            None,
        ),
        entry(
            5,
            "2026-11-21T14:10:02Z",
            EntryKind::Message,
            "A message of kind payment_failed went out by e-mail.",
            Some(decision("it is 09:10 at the customer's, and no message went out this week")),
        ),
    ]
}

pub(crate) fn mail() -> MessageRecord {
    let rendered = render(&order(MessageKind::PaymentFailed, "es-CO"), &brand(), LINK).unwrap();
    MessageRecord {
        id: MessageId::from("msg_1"),
        case: CaseId::of(&GatewayId::from("stripe"), "in_1"),
        kind: MessageKind::PaymentFailed,
        channel: Channel::Email,
        to: "ana@customer.example".to_owned(),
        at: at("2026-11-21T14:10:05Z"),
        locale: rendered.locale,
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
        answer: "250 2.0.0 OK: queued as 4F2A".to_owned(),
        status: MessageStatus::Sent,
        address: None,
    }
}

pub(crate) fn case_view(state: State) -> CaseView {
    CaseView {
        shell: shell(),
        case: case("in_1", state),
        customer: Some(customer()),
        ledger: ledger(),
        messages: vec![mail()],
        link: None,
        cards: Vec::new(),
        refresh: "/cases/case_1?seen=1.1".to_owned(),
        is_sample: false,
    }
}

pub(crate) fn cases_view() -> CasesView {
    let states = [
        (State::Scheduled, 12),
        (State::AwaitingCustomer, 5),
        (State::Monitoring, 2),
        (State::Recovered, 29),
        (State::Exhausted, 3),
        (State::Stopped, 1),
    ];
    let chip = |(state, count): (State, u64)| Chip {
        label: format!("{} {count}", recoup::http::pages::label(state)),
        href: format!("/cases?q=cus+ana&state={}", state.as_str()),
        current: state == State::Scheduled,
    };
    CasesView {
        shell: shell(),
        cases: states.iter().map(|(s, n)| case(&format!("in_{n}"), *s)).collect(),
        names: BTreeMap::from([("cus_ana".to_owned(), "Ana Ruiz".to_owned())]),
        total: 52,
        first: 1,
        filters: Vec::new(),
        chips: states.map(chip).to_vec(),
        query: String::new(),
        hidden: Vec::new(),
        older: Some("/cases?page=2".to_owned()),
        newer: None,
        csv: "/cases?format=csv".to_owned(),
        clear: "/cases".to_owned(),
        refresh: "/cases?seen=1".to_owned(),
        is_filtered: false,
        is_sample: false,
    }
}

pub(crate) fn empty_view() -> CasesView {
    CasesView { cases: Vec::new(), chips: Vec::new(), total: 0, older: None, ..cases_view() }
}
