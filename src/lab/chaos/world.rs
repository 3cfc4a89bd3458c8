//! The made world: its time, its queue of things to come, and everything that is outside recoup.
//!
//! Why here: one value that gateways, people, the network and the rules share. What recoup knows is
//! in its store; what is true is in here.
//!
//! What must stay true: things happen in the order of their time, then of their planning; every
//! draw comes from one generator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::bank::{Answer, Bank, Request};
use super::people::Happening;
use super::rules::Tracked;
use super::scenario::Scenario;
use super::trace::Trace;
use crate::core::case::Case;
use crate::core::effect::InvoiceStatus;
use crate::core::event::{Contact, Event, EventKind};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::money::Money;
use crate::core::policy::Policy;
use crate::store::{InboxBody, InboxRecord};

/// How long a request may be on its way.
pub(super) const NET_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Next {
    /// A request reaches a gateway.
    Arrive { call: u64, gateway: usize, request: Box<Request> },
    /// The faults end.
    Calm,
    /// A gateway decides a pending charge.
    Decide { gateway: usize, charge: usize },
    /// An input reaches recoup's door.
    Deliver { record: Box<InboxRecord>, tries: u32 },
    /// A gateway changes its mind.
    Flip { gateway: usize, charge: usize },
    /// People do something.
    Happen(Happening),
    /// The billing gateway retries by itself.
    Native { invoice: usize },
    /// A task of the executor may go on.
    Poll(u64),
    /// The process starts again.
    Restart,
    /// What tasks came back with is applied.
    TakeBack,
    /// The worker looks for work.
    Turn,
}

/// A plastic card.
#[derive(Debug, Clone)]
pub(super) struct Plastic {
    /// Its network.
    pub(super) network: &'static str,
    /// Its issuer's country.
    pub(super) country: &'static str,
    /// The network said never again, and recoup has applied it.
    pub(super) never_known: bool,
    /// The bank answers so from now on: lost or stolen.
    pub(super) dead: bool,
}

/// A customer.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// The card that the billing gateway charges.
    pub(super) card: usize,
    /// Their time zone.
    pub(super) zone: &'static str,
    /// When messages were accepted by the provider.
    pub(super) messages: Vec<Timestamp>,
}

/// An invoice at the billing gateway.
#[derive(Debug, Clone)]
pub(super) struct Invoice {
    /// Whose.
    pub(super) customer: usize,
    /// How much.
    pub(super) amount: Money,
    /// Its state at the billing gateway.
    pub(super) status: InvoiceStatus,
    /// Since when it is owed no more.
    pub(super) closed_at: Option<Timestamp>,
    /// It was marked as paid elsewhere, under which key.
    pub(super) marked: Option<String>,
    /// Captures that are not ours: by hand, natively, outside.
    pub(super) outside: u32,
    /// Those that were given back.
    pub(super) outside_refunded: u32,
    /// Payments outside any gateway, which an operator books.
    pub(super) offline: u32,
    /// The merchant gave a payment back.
    pub(super) given_back: bool,
    /// Those that recoup was told of.
    pub(super) outside_told: u32,
    /// A person holds it until then.
    pub(super) held_until: Option<Timestamp>,
    /// Attempts as the gateway counts them.
    pub(super) attempts: u32,
    /// When the gateway itself tries again.
    pub(super) native: Vec<Timestamp>,
    /// Stated delays that recoup has applied: not before, on which card.
    pub(super) delays: Vec<(usize, Timestamp)>,
    /// Where it is in recoup.
    pub(super) case: CaseId,
}

/// A webhook's body: the event with the fields that `recoup parse` does not print.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wire {
    event: Event,
    contact: Contact,
    description: Option<String>,
    key: Option<String>,
}

impl Wire {
    /// The event that arrives.
    pub(super) fn into_event(self) -> Event {
        Event {
            contact: self.contact,
            description: self.description,
            idempotency_key: self.key,
            ..self.event
        }
    }
}

/// What recoup has made durable, as its store saw it.
#[derive(Debug, Default)]
pub(super) struct Durable {
    /// The newest committed form of each case.
    pub(super) cases: BTreeMap<CaseId, Case>,
    /// Which input has which number.
    pub(super) numbers: BTreeMap<u64, String>,
    /// Numbers that were applied.
    pub(super) applied: BTreeSet<u64>,
}

/// Everything.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Timestamp,
    pub(super) scenario: Scenario,
    pub(super) policy: Arc<Policy>,
    pub(super) queue: BTreeMap<(Timestamp, u64), Next>,
    planned: u64,
    pub(super) banks: Vec<Bank>,
    pub(super) people: Vec<Person>,
    pub(super) cards: Vec<Plastic>,
    pub(super) invoices: Vec<Invoice>,
    pub(super) answers: BTreeMap<u64, Answer>,
    /// When the task that was polled last wants to go on.
    pub(super) wake: Option<Timestamp>,
    pub(super) durable: Durable,
    pub(super) tracked: BTreeMap<String, Tracked>,
    pub(super) sent_messages: BTreeSet<String>,
    pub(super) facts: BTreeMap<String, Told>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) trace: Trace,
    pub(super) violations: Vec<(&'static str, String)>,
    numbers: u64,
}

/// What an event tells that the rules need to know when it is applied.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// This card must never be charged again.
    pub(super) never: Option<usize>,
    /// This invoice not before, on this card.
    pub(super) delay: Option<(usize, usize, Timestamp)>,
    /// This native charge.
    pub(super) native: Option<usize>,
    /// The outcome of the attempt with this key.
    pub(super) settles: Option<String>,
    /// A capture that is not ours, of this invoice.
    pub(super) outside: Option<usize>,
    /// A person holds this invoice, until then or until resumed.
    pub(super) holds: Option<(usize, Timestamp)>,
    /// A person lets it go on.
    pub(super) resumes: Option<usize>,
}

/// The world, shared by gateways, store and driver of one history, on one thread.
pub(super) type Shared = Arc<Mutex<World>>;

/// The world, for a moment.
pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// An empty world.
    pub(super) fn new(rng: Rng, now: Timestamp, scenario: Scenario, policy: Policy) -> Self {
        Self {
            rng,
            now,
            scenario,
            policy: Arc::new(policy),
            queue: BTreeMap::new(),
            planned: 0,
            banks: Vec::new(),
            people: Vec::new(),
            cards: Vec::new(),
            invoices: Vec::new(),
            answers: BTreeMap::new(),
            wake: None,
            durable: Durable::default(),
            tracked: BTreeMap::new(),
            sent_messages: BTreeSet::new(),
            facts: BTreeMap::new(),
            counts: BTreeMap::new(),
            trace: Trace::default(),
            violations: Vec::new(),
            numbers: 0,
        }
    }

    /// Plans something.
    pub(super) fn plan(&mut self, at: Timestamp, next: Next) {
        self.planned += 1;
        self.queue.insert((at.max(self.now), self.planned), next);
    }

    /// A new number, for ids.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A draw that comes true with this chance.
    pub(super) fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.rng.f64() < chance
    }

    /// A moment up to this many milliseconds ahead.
    pub(super) fn within(&mut self, from_ms: i64, to_ms: i64) -> Timestamp {
        self.now + SignedDuration::from_millis(self.rng.i64(from_ms..=to_ms))
    }

    /// Counts something.
    pub(super) fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Adds a line to the trace.
    pub(super) fn say(&mut self, text: impl AsRef<str>) {
        let now = self.now;
        self.trace.add(now, text.as_ref());
    }

    /// A rule is broken.
    pub(super) fn broken(&mut self, rule: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.say(format!("* {rule} is broken: {what}"));
        self.violations.push((rule, what));
    }

    /// The billing gateway.
    pub(super) fn billing(&self) -> &Bank {
        &self.banks[0]
    }

    /// The invoice with this id.
    pub(super) fn invoice_index(&self, id: &str) -> Option<usize> {
        let number: usize = id.strip_prefix("in_")?.parse().ok()?;
        (number < self.invoices.len()).then_some(number)
    }

    /// The card behind a token.
    pub(super) fn card_of(&self, token: Option<&str>, invoice: usize) -> usize {
        let named = token.and_then(|t| t.rsplit('_').next()).and_then(|n| n.parse().ok());
        named.unwrap_or(self.people[self.invoices[invoice].customer].card)
    }

    /// Sends a webhook, which may be lost, late or doubled.
    pub(super) fn emit(&mut self, gateway: usize, mut event: Event, told: Told) {
        let id = format!("evt_{}", self.number());
        event.id.clone_from(&id);
        event.occurred_at = Some(self.now);
        let kind = event.kind;
        let key = event.idempotency_key.take();
        let wire = Wire {
            contact: std::mem::take(&mut event.contact),
            description: event.description.take(),
            key,
            event,
        };
        let source = self.banks[gateway].id.clone();
        self.facts.insert(id.clone(), told);
        let lost = self.scenario.webhook_lost;
        if self.chance(lost) {
            self.count("webhooks_lost");
            let invoice = wire.event.invoice.clone().unwrap_or_default();
            return self.say(format!("webhook {id} {kind:?} of {invoice} is lost"));
        }
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let record = InboxRecord {
            source,
            id,
            received_at: self.now,
            body: InboxBody::Webhook { body, headers: Vec::new() },
        };
        let (twice, late) = (self.scenario.webhook_twice, self.scenario.webhook_late);
        if self.chance(twice) {
            self.count("duplicates_injected");
            let at = self.webhook_time(0.5);
            self.plan(at, Next::Deliver { record: Box::new(record.clone()), tries: 0 });
        }
        let at = self.webhook_time(late);
        self.plan(at, Next::Deliver { record: Box::new(record), tries: 0 });
    }

    fn webhook_time(&mut self, late: f64) -> Timestamp {
        if self.chance(late) {
            self.count("webhooks_late");
            let far = [60_000, 3_600_000, 3 * 86_400_000][self.rng.usize(..3)];
            return self.within(1_000, far);
        }
        self.within(100, 4_000)
    }

    /// An input of a person, by the API.
    pub(super) fn input(&mut self, body: InboxBody, told: Told) {
        let id = format!("req_{}", self.number());
        self.facts.insert(id.clone(), told);
        let record =
            InboxRecord { source: GatewayId::from("api"), id, received_at: self.now, body };
        let at = self.within(1, 500);
        self.plan(at, Next::Deliver { record: Box::new(record), tries: 0 });
    }

    /// An event of this invoice, with what every event of it tells.
    pub(super) fn event(&self, kind: EventKind, invoice: usize) -> Event {
        let customer = self.invoices[invoice].customer;
        Event {
            invoice: Some(format!("in_{invoice}")),
            subscription: Some(format!("sub_{customer}")),
            customer: Some(format!("cus_{customer}")),
            amount: Some(self.invoices[invoice].amount),
            contact: Contact {
                email: Some(format!("c{customer}@example.com")),
                time_zone: Some(self.people[customer].zone.to_owned()),
                ..Contact::default()
            },
            ..Event::new("", kind)
        }
    }
}
