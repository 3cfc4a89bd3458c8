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

use super::bank::{Answer, Bank, Request};
use super::messages::{Answered, Reader};
use super::people::Happening;
use super::rules::Tracked;
use super::scenario::Scenario;
use super::trace::{Trace, say};
use crate::core::case::{Case, State};
use crate::core::effect::{ChargeOrder, InvoiceStatus};
use crate::core::event::{Contact, Event, EventKind};
use crate::core::ids::{CaseId, GatewayId};
use crate::core::learning::Learned;
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
    /// Somebody sets recoup's clock.
    Clock(SignedDuration),
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
    /// What they are to messages.
    pub(super) reader: Reader,
}

impl Person {
    /// Somebody who got no message yet.
    pub(super) fn new(card: usize, zone: &'static str) -> Self {
        Self { card, zone, reader: Reader::default() }
    }
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
    /// When the last of them was made.
    pub(super) outside_at: Option<Timestamp>,
    /// When recoup read the invoice last.
    pub(super) read_at: Option<Timestamp>,
    /// Payments outside any gateway, which an operator books.
    pub(super) offline: u32,
    /// The merchant gave a payment back.
    pub(super) given_back: bool,
    /// Those that recoup was told of.
    pub(super) outside_told: u32,
    /// A person holds it until then.
    pub(super) held_until: Option<Timestamp>,
    /// The customer asked to be charged then, and it was granted.
    pub(super) promised: Option<Timestamp>,
    /// Attempts as the gateway counts them.
    pub(super) attempts: u32,
    /// When the gateway itself tries again.
    pub(super) native: Vec<Timestamp>,
    /// Stated delays that recoup has applied: not before, on which card.
    pub(super) delays: Vec<(usize, Timestamp)>,
    /// Where it is in recoup.
    pub(super) case: CaseId,
}

/// What recoup has made durable, as its store saw it.
#[derive(Debug, Default)]
pub(super) struct Durable {
    /// The newest committed form of each case, as far as the rules ask.
    pub(super) cases: BTreeMap<CaseId, Known>,
    /// Which input has which number.
    pub(super) numbers: BTreeMap<u64, String>,
    /// Numbers that were applied.
    pub(super) applied: BTreeSet<u64>,
    /// Inputs that were applied, by their id.
    pub(super) applied_ids: BTreeSet<String>,
    /// Inputs whose senders were told that they are kept.
    pub(super) acknowledged: BTreeSet<String>,
    /// Digests of addresses that something was written to.
    pub(super) written: BTreeSet<String>,
}

/// What a committed case says.
#[derive(Debug)]
pub(super) struct Known {
    /// Where it stands.
    pub(super) state: State,
    /// What is owed.
    pub(super) amount: Money,
    /// When the customer asked to be charged.
    pub(super) promised: Option<Timestamp>,
    /// The charge whose outcome is not known: the intent.
    pub(super) intent: Option<ChargeOrder>,
}

impl Known {
    /// Of this case.
    pub(super) fn of(case: &Case) -> Self {
        let intent = case.open_attempt().map(|attempt| attempt.charge.clone());
        let promised = case.page.promise.as_ref().map(|promise| promise.at);
        Self { state: case.state, amount: case.amount, promised, intent }
    }
}

/// Everything.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Timestamp,
    pub(super) scenario: Scenario,
    pub(super) policy: Arc<Policy>,
    /// What was learned before this history.
    pub(super) taught: Option<Arc<Learned>>,
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
    /// What is on the way to recoup, by the id of the input.
    pub(super) facts: BTreeMap<String, Told>,
    /// The events of webhooks, by their id, which is all that a body holds.
    pub(super) events: BTreeMap<String, Event>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) trace: Trace,
    pub(super) violations: Vec<(&'static str, String)>,
    /// What is left out of this history, by the number of its draw.
    without: BTreeSet<u64>,
    /// The draws that came true: what can be left out.
    pub(super) drawn: Vec<u64>,
    draws: u64,
    /// By how much recoup's clock is ahead.
    pub(super) skew: SignedDuration,
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
    /// The customer of this invoice wished something on the page.
    pub(super) wish: Option<usize>,
    /// After this nothing more is to happen: of all that the customer owes, or of this invoice.
    pub(super) ends: Option<Ends>,
    /// This customer may have another card.
    pub(super) new_card: Option<usize>,
    /// This customer, or a provider, answered a message.
    pub(super) answered: Option<(usize, Answered)>,
}

/// Whose recovery an event ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ends {
    Customer(usize),
    Invoice(usize),
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
            taught: None,
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
            events: BTreeMap::new(),
            counts: BTreeMap::new(),
            trace: Trace::default(),
            violations: Vec::new(),
            without: BTreeSet::new(),
            drawn: Vec::new(),
            draws: 0,
            skew: SignedDuration::ZERO,
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

    /// A draw that comes true with this chance, and not in a history that goes without it.
    pub(super) fn chance(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.one_of(&[chance]).is_some()
    }

    /// Which of these comes true, each with its chance; in a history that goes without it, none.
    pub(super) fn one_of(&mut self, chances: &[f64]) -> Option<usize> {
        self.draws += 1;
        let mut drawn = self.rng.f64();
        let hit = chances.iter().position(|chance| {
            let hit = drawn < *chance;
            drawn -= chance;
            hit
        });
        hit.filter(|_| !self.without.contains(&self.draws)).inspect(|_| self.drawn.push(self.draws))
    }

    /// Leaves these draws out.
    pub(super) fn go_without(&mut self, draws: &BTreeSet<u64>) {
        self.without.clone_from(draws);
    }

    /// Recoup's clock goes off, or is set.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.count("clocks_set");
        self.skew += by;
        say!(self, "recoup's clock is {} s ahead", self.skew.as_secs());
    }

    /// What recoup's own clock says.
    pub(super) fn clock(&self) -> Timestamp {
        self.now + self.skew
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
        say!(self, "{}", text.as_ref());
    }

    /// A rule is broken.
    pub(super) fn broken(&mut self, rule: &'static str, what: impl Into<String>) {
        let what = what.into();
        say!(self, "* {rule} is broken: {what}");
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
        let source = self.banks[gateway].id.clone();
        self.facts.insert(id.clone(), told);
        let lost = self.scenario.webhook_lost;
        if self.chance(lost) {
            self.count("webhooks_lost");
            let invoice = event.invoice.unwrap_or_default();
            return say!(self, "webhook {id} {kind:?} of {invoice} is lost");
        }
        let body = id.clone().into_bytes();
        self.events.insert(id.clone(), event);
        let record = InboxRecord {
            source,
            id,
            received_at: self.clock(),
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
        let at = self.within(1, 500);
        self.input_at(at, body, told);
    }

    /// An input that arrives then.
    pub(super) fn input_at(&mut self, at: Timestamp, body: InboxBody, told: Told) {
        let id = format!("req_{}", self.number());
        self.facts.insert(id.clone(), told);
        let record =
            InboxRecord { source: GatewayId::from("api"), id, received_at: self.clock(), body };
        self.plan(at, Next::Deliver { record: Box::new(record), tries: 0 });
    }

    /// The number that a customer is written to at.
    pub(super) fn phone(customer: usize) -> String {
        format!("+57300555{customer:04}")
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
                phone: Some(Self::phone(customer)),
                time_zone: Some(self.people[customer].zone.to_owned()),
                ..Contact::default()
            },
            ..Event::new("", kind)
        }
    }
}
