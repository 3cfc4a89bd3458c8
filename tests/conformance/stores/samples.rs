//! Small records to store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recoup::core::card::{Card, CardAttempt};
use recoup::core::case::{Case, MessageStatus, Next, State, Timer};
use recoup::core::customer::{Channel, Customer};
use recoup::core::effect::{CheckOrder, CheckPurpose, Effect, Order};
use recoup::core::event::PaymentMethodFacts;
use recoup::core::ids::{AttemptId, CardKey, CaseId, EffectId, GatewayId, MessageId};
use recoup::core::ledger::{EntryKind, LedgerEntry};
use recoup::core::money::Money;
use recoup::core::policy::{MessageKind, Policy};
use recoup::store::{CaseWrite, Commit, InboxBody, InboxRecord, MessageRecord, Store};

/// Seconds after a fixed moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(crate) fn stripe() -> GatewayId {
    GatewayId::from("stripe")
}

pub(crate) fn money(minor: i64) -> Money {
    Money::new(minor, "USD".parse().unwrap())
}

/// An event with a body of `len` bytes, no two alike.
pub(crate) fn webhook(id: &str, len: usize) -> InboxRecord {
    let body = id.bytes().cycle().take(len).collect();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let body = InboxBody::Webhook { body, headers };
    InboxRecord { source: stripe(), id: id.to_owned(), received_at: at(0), body }
}

/// The case of invoice `in_{n}`, opened `n` seconds after the beginning, at its first revision.
pub(crate) fn case(n: i64) -> Case {
    let invoice = format!("in_{n}");
    let id = CaseId::of(&stripe(), &invoice);
    Case {
        revision: 1,
        policy_version: "pol_1".into(),
        customer: Some(format!("cus_{}", n % 3)),
        description: Some("Pro plan".into()),
        state: State::Scheduled,
        reason: "no balance; the next attempt is on payday".into(),
        native_attempts: 1,
        timers: BTreeMap::from([(Timer::NextAttempt, at(1_000 + n))]),
        payments: vec![format!("pi_{n}")],
        next: Next { at: None, what: "attempt".into(), why: "payday".into() },
        ..Case::blank(id, stripe(), invoice, money(2_900 + n), at(n))
    }
}

pub(crate) fn entry(sequence: u64) -> LedgerEntry {
    let text = format!("step {sequence}");
    LedgerEntry { sequence, at: at(0), kind: EntryKind::Opened, text, decision: None }
}

/// The step that makes this case the next revision, with one ledger entry.
pub(crate) fn step(case: &Case) -> Commit {
    let write = CaseWrite { case: case.clone(), ledger: vec![entry(case.revision)] };
    Commit { cases: vec![write], ..Commit::default() }
}

pub(crate) fn effect(case: &Case, sequence: u64, not_before: Timestamp) -> Effect {
    let order = Order::Check(CheckOrder {
        purpose: CheckPurpose::PreFlight,
        gateway: case.gateway.clone(),
        invoice: case.invoice.clone(),
        attempts: Vec::new(),
    });
    let id = EffectId::of(&case.id, sequence);
    Effect { id, case: case.id.clone(), not_before, order }
}

pub(crate) fn message(case: &Case, number: u32, sent: Timestamp) -> MessageRecord {
    MessageRecord {
        id: MessageId::of(&case.id, number),
        case: case.id.clone(),
        kind: MessageKind::CardUpdate,
        channel: Channel::Email,
        to: "ana@example.com".into(),
        at: sent,
        locale: "es-CO".into(),
        subject: "Tu tarjeta".into(),
        text: format!("mensaje {number}"),
        html: None,
        answer: "250 ok".into(),
        status: MessageStatus::Sent,
        address: None,
    }
}

pub(crate) fn card(name: &str) -> Card {
    let mut card = Card::new(CardKey::of_fingerprint(name));
    card.network = Some("visa".into());
    card.note(CardAttempt {
        at: at(5),
        gateway: stripe(),
        amount: money(100),
        approved: false,
        attempt: Some(AttemptId::of(&case(1).id, 1)),
    });
    card
}

pub(crate) fn customer(id: &str) -> Customer {
    let mut customer = Customer::new(id);
    customer.contact.locale = Some("es-CO".into());
    let facts = PaymentMethodFacts {
        token: Some("pm_1".into()),
        last4: Some("4242".into()),
        ..PaymentMethodFacts::default()
    };
    customer.learn_method(&stripe(), &facts);
    customer
}

/// A policy, as it was first stored.
pub(crate) fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({
        "gateways": [], "schedule": "smart", "window_days": 28, "max_attempts": 4,
        "silent_attempts": 1, "channels": ["email"], "steps": [],
        "contact": {"name": "default", "hours": [null, null, null, null, null, null, [8, 20]],
            "per_day": 1, "gap_hours": 20},
        "subscription_action": "keep", "invoice_action": "keep",
        "locale": "es-CO", "time_zone": "America/Bogota"
    }))
    .unwrap()
}

/// A store with a little of everything.
pub(crate) async fn fill(store: &dyn Store) {
    store.append(vec![webhook("evt_1", 50), webhook("evt_2", 20_000)]).await.unwrap();
    store.append(vec![webhook("evt_3", 5)]).await.unwrap();
    for n in 1..=5 {
        let mut case = case(n);
        if n == 5 {
            case.state = State::Recovered;
            case.timers.clear();
        }
        let effects = vec![effect(&case, 1, at(10 * n)), effect(&case, 2, at(5_000))];
        let messages = vec![message(&case, 1, at(100 + n))];
        let (cards, customers) = (vec![card(&format!("fp_{n}"))], vec![customer("cus_1")]);
        let whole = Commit { effects, messages, cards, customers, ..step(&case) };
        store.commit(whole).await.unwrap();
    }
    let applied = Commit { applied: vec![1], deferred: vec![(2, at(60))], ..Commit::default() };
    store.commit(applied).await.unwrap();
    store.claim(at(25), 10).await.unwrap();
    store.put_test_clock(at(30)).await.unwrap();
}
