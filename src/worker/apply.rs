//! Applying: inputs become steps, steps become one transaction.
//!
//! Why here: the one place where the pure core meets the store. A batch of inputs is applied in
//! order on an overlay and committed whole, so that a crash repeats the batch and half of it is
//! never seen.
//!
//! What must stay true: inputs of one case are applied in order; an input is consumed by the same
//! transaction that writes what came of it; nothing here decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::FutureExt as _;
use jiff::Timestamp;

use super::Gateways;
use super::about::{deciding, end_of, is_about_customer, is_about_subscription, refuse, settles};
use super::intake::{Intake, Taken, broken};
use crate::core::card::Card;
use crate::core::case::step::{self, Around, Step};
use crate::core::case::{self, Case, customer_key, events};
use crate::core::customer::Customer;
use crate::core::event::{Event, EventKind};
use crate::core::ids::{CardKey, CaseId, EffectId, GatewayId};
use crate::core::input::{Input, OperatorAction};
use crate::core::learning::Learned;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::{Ceilings, Reputation};
use crate::store::outbound::Endpoint;
use crate::store::{CaseWrite, Commit, InboxEntry, Returned, Store, StoreError};

mod around;
mod beside;
mod hold;
mod learned;
mod leaving;
mod outbound;
mod people;
mod reputation;
mod restored;
mod together;

use outbound::Told;

pub use leaving::Vetted;
pub use reputation::show as show_reputation;

/// Inputs that are applied in one transaction at most. Webhooks that come in meanwhile wait for it
/// at the store, so it is no larger than what makes its sync worth while.
pub(super) const BATCH: usize = 64;

/// Applies inputs by the policy of their case.
pub struct Applier {
    store: Arc<dyn Store>,
    gateways: Gateways,
    policy: Arc<Policy>,
    ceilings: Ceilings,
    policies: tokio::sync::Mutex<HashMap<String, Arc<Policy>>>,
    /// What was learned, as the last commit left it; `None`: to be read from the store.
    learned: std::sync::Mutex<Option<Arc<Learned>>>,
    endpoints: Arc<[Endpoint]>,
    /// A person holds everything.
    held: AtomicBool,
    reconciling: std::sync::Mutex<restored::Reconciling>,
}

impl Applier {
    /// An applier that opens new cases under `policy`.
    pub fn new(store: Arc<dyn Store>, gateways: Gateways, policy: Arc<Policy>) -> Self {
        let (policies, learned, held, reconciling) = Default::default();
        Self {
            store,
            gateways,
            policy,
            ceilings: Ceilings::default(),
            policies,
            learned,
            endpoints: Arc::new([]),
            held,
            reconciling,
        }
    }

    /// With these ceilings, above which a channel is stopped.
    #[must_use]
    pub fn under(mut self, ceilings: Ceilings) -> Self {
        self.ceilings = ceilings;
        self
    }

    /// Applies what waits in the inbox. Returns how many inputs were taken up.
    pub async fn inbox(&self, now: Timestamp) -> Result<usize, StoreError> {
        let entries = self.store.inbox(now, BATCH).await?;
        let taken = Intake::new(&self.gateways).take_all(&entries, now).await;
        let inputs: Vec<_> = entries.into_iter().zip(taken).collect();
        self.take_in(&inputs, now).await?;
        Ok(inputs.len())
    }

    /// Applies these inputs, in one transaction where none of them breaks the program.
    async fn take_in(
        &self,
        inputs: &[(InboxEntry, Taken)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if inputs.is_empty() {
            return Ok(());
        }
        match AssertUnwindSafe(self.apply(inputs, now)).catch_unwind().await {
            Ok(applied) => applied,
            Err(_) => self.one_by_one(inputs, now).await,
        }
    }

    /// One of these breaks the program: each by itself, and that one is set aside.
    async fn one_by_one(
        &self,
        inputs: &[(InboxEntry, Taken)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for one in inputs {
            let alone = self.apply(std::slice::from_ref(one), now);
            if let Ok(applied) = AssertUnwindSafe(alone).catch_unwind().await {
                applied?;
                continue;
            }
            let (entry, _) = one;
            self.apply(&[(entry.clone(), broken(entry, now))], now).await?;
        }
        Ok(())
    }

    /// Applies these inputs in one transaction.
    async fn apply(
        &self,
        inputs: &[(InboxEntry, Taken)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new(self, now);
        for (entry, taken) in inputs {
            batch.taken(entry, taken).await?;
        }
        batch.commit().await
    }

    /// Applies the timers that are due. Returns how many cases were taken up.
    pub async fn due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let cases = self.store.due(now, BATCH).await?;
        if cases.is_empty() {
            return Ok(0);
        }
        let mut batch = Batch::new(self, now);
        for id in &cases {
            batch.input(id, &Input::Due).await?;
        }
        batch.commit().await?;
        Ok(cases.len())
    }

    /// Applies what effects came back with.
    pub async fn returned(
        &self,
        returned: Vec<Returned>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if returned.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(self, now);
        for one in returned {
            let input = Input::Outcome(one.effect.clone(), Box::new(one.outcome));
            batch.input(&one.case, &input).await?;
            batch.commit.done.push(one.effect);
            batch.commit.messages.extend(one.message);
        }
        batch.commit().await
    }

    async fn policy(&self, version: &str) -> Result<Arc<Policy>, StoreError> {
        let mut known = self.policies.lock().await;
        if let Some(policy) = known.get(version) {
            return Ok(policy.clone());
        }
        let stored = self.store.policy(version).await?.map(Arc::new);
        // A policy that is gone (an import without it) is replaced by today's.
        let policy = stored.unwrap_or_else(|| self.policy.clone());
        known.insert(version.to_owned(), policy.clone());
        Ok(policy)
    }
}

/// One transaction under way: reads through to the store, keeps what changes.
struct Batch<'a> {
    applier: &'a Applier,
    now: Timestamp,
    commit: Commit,
    /// Case as it will be written, its ledger, and the revision that the store holds.
    cases: BTreeMap<CaseId, (Case, Vec<LedgerEntry>, u64)>,
    customers: BTreeMap<String, (Customer, bool)>,
    cards: BTreeMap<CardKey, (Card, bool)>,
    absent: BTreeSet<CardKey>,
    learned: Option<Arc<Learned>>,
    reputation: Option<Reputation>,
    told: Vec<Told>,
}

impl<'a> Batch<'a> {
    fn new(applier: &'a Applier, now: Timestamp) -> Self {
        Self {
            applier,
            now,
            commit: Commit::default(),
            cases: BTreeMap::new(),
            customers: BTreeMap::new(),
            cards: BTreeMap::new(),
            absent: BTreeSet::new(),
            learned: None,
            reputation: None,
            told: Vec::new(),
        }
    }

    /// Applies an input.
    async fn taken(&mut self, entry: &InboxEntry, taken: &Taken) -> Result<(), StoreError> {
        match taken {
            Taken::Later(at) => self.commit.deferred.push((entry.number, *at)),
            Taken::PutOff(at) => self.commit.postponed.push((entry.number, *at)),
            Taken::Events(events) => {
                self.commit.applied.push(entry.number);
                for event in events {
                    let event = self.in_our_ids(&entry.record.source, event.clone()).await?;
                    self.event(&entry.record.source, &event).await?;
                }
            }
            Taken::Person => {
                self.commit.applied.push(entry.number);
                self.person(entry).await?;
            }
        }
        Ok(())
    }

    fn store(&self) -> &'a dyn Store {
        &*self.applier.store
    }

    /// Applies one gateway event to every case that it is about, or opens one.
    async fn event(&mut self, source: &GatewayId, event: &Event) -> Result<(), StoreError> {
        let policy = self.applier.policy.clone();
        let Some(billing) = policy.billing() else { return Ok(()) };
        let own = event.invoice.as_deref().map(|invoice| CaseId::of(&billing.id, invoice));
        let mut cases = BTreeSet::new();
        if let Some(own) = &own
            && self.case(own).await?.is_some()
        {
            cases.insert(own.clone());
        } else if let Some(payment) = &event.payment {
            let known = self.store().case_of_payment(payment).await?;
            if let Some(id) = known
                && let Some(case) = self.case(&id).await?
                && events::owns_payment(&case, source, payment)
            {
                cases.insert(id);
            }
        }
        if is_about_customer(event.kind)
            && let Some(customer) = &event.customer
        {
            cases.extend(self.open_cases_of(customer).await?);
        }
        if is_about_subscription(event.kind)
            && *source == billing.id
            && let Some(subscription) = &event.subscription
        {
            cases.extend(self.open_cases_of_subscription(subscription).await?);
            if event.kind == EventKind::SubscriptionCancelled {
                self.commit.closed.push((end_of(&billing.id, subscription), self.now));
            }
        }
        if cases.is_empty() {
            return match own {
                Some(own) if *source == billing.id => self.no_case_yet(own, event).await,
                _ => self.learn(source, event).await,
            };
        }
        for id in cases {
            self.learn_for(source, event, &id).await?;
            let seen = match self.case(&id).await? {
                Some(case) if case.gateway != *source => {
                    events::from_elsewhere(&case, source, event)
                }
                _ => event.clone(),
            };
            self.input(&id, &Input::Event(Box::new(seen))).await?;
        }
        Ok(())
    }

    /// An invoice that has no case: a failure opens one, unless it is known to be settled.
    async fn no_case_yet(&mut self, id: CaseId, event: &Event) -> Result<(), StoreError> {
        if settles(event.kind) {
            self.commit.closed.push((id, self.now));
            return Ok(());
        }
        if event.customer_present {
            refuse(event, "customer_present");
        }
        if event.customer_present {
            return Ok(());
        }
        if self.is_closed(&id).await? {
            return self.count_on_card(event).await;
        }
        let policy = self.applier.policy.clone();
        if let (Some(billing), Some(subscription)) = (policy.billing(), &event.subscription)
            && self.is_closed(&end_of(&billing.id, subscription)).await?
        {
            refuse(event, "subscription_cancelled");
            return Ok(());
        }
        let invoice = event.invoice.clone().unwrap_or_default();
        let key = customer_key(event.customer.as_deref(), &invoice);
        let mut customer = self.customer(&key).await?;
        if let Some(billing) = policy.billing() {
            step::learn(&mut customer, &billing.id, event);
        }
        let mut around = self.around(customer, None).await?;
        let decide = || step::open(event, &mut around, &policy, self.now);
        match deciding(&id, Some(event)).in_scope(decide) {
            Some(step) => {
                let id = step.case.id.clone();
                self.tell(None, &step.case);
                self.keep(step, around, 0);
                self.tell_of_restoring(&id, event).await?;
            }
            None => refuse(event, "nothing_owed"),
        }
        Ok(())
    }

    /// A failure that is told after the invoice was paid was an attempt on the card all the same.
    async fn count_on_card(&mut self, event: &Event) -> Result<(), StoreError> {
        let policy = self.applier.policy.clone();
        let (Some(billing), Some(id)) = (policy.billing(), &event.customer) else { return Ok(()) };
        let mut customer = self.customer(id).await?;
        step::learn(&mut customer, &billing.id, event);
        let mut around = self.around(customer, None).await?;
        step::count_refused(&billing.id, event, &mut around, self.now);
        self.keep_around(id, around);
        Ok(())
    }

    async fn is_closed(&self, id: &CaseId) -> Result<bool, StoreError> {
        let here = self.commit.closed.iter().any(|(closed, _)| closed == id);
        Ok(here || self.store().is_closed(id).await?)
    }

    /// Takes one step of a case that exists, and those that follow from it for the customer's other
    /// cases. An input for a case that does not exist is dropped.
    async fn input(&mut self, id: &CaseId, input: &Input) -> Result<(), StoreError> {
        let mut inputs = VecDeque::from([(id.clone(), input.clone())]);
        while let Some((id, input)) = inputs.pop_front() {
            inputs.extend(self.one_input(&id, &input).await?);
        }
        Ok(())
    }

    async fn one_input(
        &mut self,
        id: &CaseId,
        input: &Input,
    ) -> Result<Vec<(CaseId, Input)>, StoreError> {
        let Some(case) = self.case(id).await? else { return Ok(Vec::new()) };
        let held = self.cases.get(id).map_or(case.revision, |(_, _, held)| *held);
        let Some(policy) = self.policy_for(&case, input).await? else { return Ok(Vec::new()) };
        let customer = self.customer(&case.customer_key()).await?;
        let mut around = self.around(customer, Some(&case)).await?;
        around.siblings = self.siblings_of(&case).await?;
        let (was, customer) = (case.clone(), around.customer.clone());
        let event = if let Input::Event(event) = input { Some(&**event) } else { None };
        let decide = || step::step(case, input, &mut around, &policy, self.now);
        let step = deciding(id, event).in_scope(decide);
        self.hear((&was, &customer), (&step.case, &around.customer)).await?;
        self.applier.note_restored(was.restored.is_some(), step.case.restored.is_some());
        learned::let_go(&step, &mut around);
        self.teach(was.state, &step.case, &around, &policy);
        self.teach_routing(&step.outcomes);
        let ripples = case::together::ripples(&was.messages, &step.case);
        self.tell(Some(&was), &step.case);
        self.keep(step, around, held);
        Ok(ripples)
    }

    /// The policy that a step is made under: the case's own, or the one that it moves to.
    async fn policy_for(
        &self,
        case: &Case,
        input: &Input,
    ) -> Result<Option<Arc<Policy>>, StoreError> {
        let Input::Operator(OperatorAction::MovePolicy { to }) = input else {
            return self.applier.policy(&case.policy_version).await.map(Some);
        };
        let policy = self.store().policy(to).await?;
        if policy.is_none() {
            tracing::warn!(case = %case.id, policy = %to, "no such policy: the case is not moved");
        }
        Ok(policy.map(Arc::new))
    }

    fn keep(&mut self, step: Step, around: Around, held: u64) {
        let Step { mut case, ledger, effects, cancelled, outcomes: _ } = step;
        case.revision = held + 1;
        // Taken back before it ever reached the store: it was never asked for.
        let fresh = |id: &EffectId, commit: &Commit| commit.effects.iter().any(|e| e.id == *id);
        for id in cancelled {
            if fresh(&id, &self.commit) {
                self.commit.effects.retain(|effect| effect.id != id);
            } else {
                self.commit.cancelled.push(id);
            }
        }
        self.commit.effects.extend(effects);
        self.keep_around(&case.customer_key(), around);
        match self.cases.get_mut(&case.id) {
            Some((known, entries, _)) => {
                *known = case;
                entries.extend(ledger);
            }
            None => drop(self.cases.insert(case.id.clone(), (case, ledger, held))),
        }
    }

    fn keep_around(&mut self, customer: &str, around: Around) {
        self.put_customer(customer, around.customer);
        for (key, card) in around.cards {
            match self.cards.get_mut(&key) {
                Some((known, _)) if *known == card => {}
                Some(known) => *known = (card, true),
                None => drop(self.cards.insert(key, (card, true))),
            }
        }
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError> {
        match self.cases.get(id) {
            Some((case, ..)) => Ok(Some(case.clone())),
            None => self.store().case(id).await,
        }
    }

    async fn customer(&mut self, id: &str) -> Result<Customer, StoreError> {
        if let Some((customer, _)) = self.customers.get(id) {
            return Ok(customer.clone());
        }
        let customer = self.store().customer(id).await?.unwrap_or_else(|| Customer::new(id));
        self.customers.insert(id.to_owned(), (customer.clone(), false));
        Ok(customer)
    }

    /// Keeps a customer's record, as it was read with [`Self::customer`] or as it became.
    fn put_customer(&mut self, id: &str, customer: Customer) {
        match self.customers.get_mut(id) {
            Some((known, _)) if *known == customer => {}
            Some(known) => *known = (customer, true),
            None => drop(self.customers.insert(id.to_owned(), (customer, true))),
        }
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        self.write_news().await?;
        for (case, ledger, _) in std::mem::take(&mut self.cases).into_values() {
            self.commit.cases.push(CaseWrite { case, ledger });
        }
        let customers =
            std::mem::take(&mut self.customers).into_values().filter(|(_, changed)| *changed);
        self.commit.customers = customers.map(|(customer, _)| customer).collect();
        let cards = std::mem::take(&mut self.cards).into_values().filter(|(_, changed)| *changed);
        self.commit.cards = cards.map(|(card, _)| card).collect();
        if self.commit != Commit::default() {
            self.keep_routing().await?;
            let told = self.commit.reputation.clone();
            self.applier.store.commit(std::mem::take(&mut self.commit)).await?;
            told.iter().for_each(reputation::show);
        }
        self.bring_back_learned();
        Ok(())
    }
}
