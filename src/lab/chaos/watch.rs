//! The watched store: the real one, with the power that may go before or after each write.
//!
//! Why here: what a commit made durable is what the rules judge recoup by, and a write that is
//! durable though nobody hears of it is where exactly-once breaks first.
//!
//! What must stay true: every call reaches the real store unchanged, or fails as a death does.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::trace::say;
use super::world::{Known, Shared, lock};
use crate::core::card::Card;
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
use crate::core::effect::Order;
use crate::core::fault::{Mutant, fault};
use crate::core::ids::{CardKey, CaseId, GatewayId, MessageId};
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::Reputation;
use crate::store::{
    Appended, Backlog, CaseFilter, Commit, ExportRecord, InboxEntry, InboxRecord, MessageRecord,
    OutboxEntry, Page, Restoring, SideRecord, SideTable, SideWrite, Sides, Store, StoreError,
};

/// A store under watch.
pub(super) struct Watched {
    pub(super) inner: Arc<dyn Store>,
    pub(super) world: Shared,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Watched {
    /// Draws whether the power goes now. A death like any other: the driver starts anew.
    fn power(&self) -> Result<()> {
        let mut world = lock(&self.world);
        let (chance, left) = (world.scenario.crash, world.scenario.crashes_max > 0);
        if left && world.chance(chance) {
            return Err(StoreError::Refused("the power went".into()));
        }
        Ok(())
    }

    fn note(&self, commit: &Commit) {
        let mut world = lock(&self.world);
        for write in &commit.cases {
            let case = &write.case;
            let (invoice, state) = (&case.invoice, case.state.as_str());
            let (reason, next) = (&case.reason, &case.next.what);
            match case.due_at() {
                Some(at) => say!(world, "{invoice} is {state}: {reason} ({next} at {at})"),
                None => say!(world, "{invoice} is {state}: {reason} ({next})"),
            }
            for entry in &write.ledger {
                say!(world, "  {}: {}", case.invoice, entry.text);
            }
            let before = world.durable.cases.insert(case.id.clone(), Known::of(case));
            if before.is_some_and(|before| before.state.is_ended() && !case.state.is_ended()) {
                world.broken("I5", format!("the case of {} opens again", case.invoice));
            }
        }
        if commit.learned.is_some() {
            world.count("lessons");
            if !commit.cases.iter().any(|write| write.case.state.is_ended()) {
                world.broken("learning", "a case taught something before it ended".to_owned());
            }
        }
        let addresses = commit.messages.iter().filter_map(|message| message.address.clone());
        world.durable.written.extend(addresses);
        for number in &commit.applied {
            world.applied(*number);
        }
    }
}

#[async_trait]
impl Store for Watched {
    fn health(&self) -> Result<()> {
        self.inner.health()
    }

    async fn append(&self, records: Vec<InboxRecord>) -> Result<Vec<Appended>> {
        self.power()?;
        let ids: Vec<_> = records.iter().map(|record| record.id.clone()).collect();
        let appended = self.inner.append(records).await?;
        for (id, appended) in ids.into_iter().zip(&appended) {
            if let Appended::New(number) = appended {
                lock(&self.world).durable.numbers.insert(*number, id);
            }
        }
        self.power()?;
        Ok(appended)
    }

    async fn commit(&self, commit: Commit) -> Result<()> {
        self.power()?;
        if fault(Mutant::SendsBeforeKeeping) {
            let world = &mut *lock(&self.world);
            for effect in &commit.effects {
                if let Order::Charge(order) = &effect.order {
                    world.leaves(order);
                }
            }
        }
        // Noted first, since the store takes it: one that refuses ends the history.
        self.note(&commit);
        self.inner.commit(commit).await?;
        self.power()
    }

    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>> {
        self.power()?;
        let claimed = self.inner.claim(now, limit).await?;
        self.power()?;
        Ok(claimed)
    }

    async fn inbox(&self, now: Timestamp, limit: usize) -> Result<Vec<InboxEntry>> {
        self.inner.inbox(now, limit).await
    }

    async fn input(&self, source: &GatewayId, id: &str) -> Result<Option<InboxRecord>> {
        self.inner.input(source, id).await
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>> {
        self.inner.case(id).await
    }

    async fn is_closed(&self, id: &CaseId) -> Result<bool> {
        self.inner.is_closed(id).await
    }

    async fn open_cases_of(&self, customer: &str) -> Result<Vec<CaseId>> {
        self.inner.open_cases_of(customer).await
    }

    async fn open_cases_of_subscription(&self, subscription: &str) -> Result<Vec<CaseId>> {
        self.inner.open_cases_of_subscription(subscription).await
    }

    async fn case_of_payment(&self, payment: &str) -> Result<Option<CaseId>> {
        self.inner.case_of_payment(payment).await
    }

    async fn customer(&self, id: &str) -> Result<Option<Customer>> {
        self.inner.customer(id).await
    }

    async fn cards(&self, keys: &[CardKey]) -> Result<BTreeMap<CardKey, Card>> {
        self.inner.cards(keys).await
    }

    async fn learned(&self) -> Result<Arc<Learned>> {
        self.inner.learned().await
    }

    async fn reputation(&self) -> Result<Reputation> {
        self.inner.reputation().await
    }

    async fn outcomes(&self, from: u64) -> Result<Vec<Outcome>> {
        self.inner.outcomes(from).await
    }

    async fn policy(&self, version: &str) -> Result<Option<Policy>> {
        self.inner.policy(version).await
    }

    async fn policies(&self) -> Result<BTreeMap<String, Policy>> {
        self.inner.policies().await
    }

    async fn put_policy(&self, policy: &Policy) -> Result<()> {
        self.inner.put_policy(policy).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<CaseId>> {
        self.inner.due(now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.inner.next_due().await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.inner.backlog().await
    }

    async fn list_cases(
        &self,
        filter: &CaseFilter,
        after: Option<&CaseId>,
        limit: usize,
    ) -> Result<Page<Case>> {
        self.inner.list_cases(filter, after, limit).await
    }

    async fn count_cases(&self) -> Result<BTreeMap<State, u64>> {
        self.inner.count_cases().await
    }

    async fn ledger(&self, case: &CaseId) -> Result<Vec<LedgerEntry>> {
        self.inner.ledger(case).await
    }

    async fn messages_of(&self, case: &CaseId) -> Result<Vec<MessageRecord>> {
        self.inner.messages_of(case).await
    }

    async fn cases_written_to(&self, address: &str) -> Result<Vec<CaseId>> {
        self.inner.cases_written_to(address).await
    }

    async fn list_messages(
        &self,
        after: Option<&MessageId>,
        limit: usize,
    ) -> Result<Page<MessageRecord>> {
        self.inner.list_messages(after, limit).await
    }

    async fn link_key(&self) -> Result<[u8; 32]> {
        self.inner.link_key().await
    }

    async fn test_clock(&self) -> Result<Option<Timestamp>> {
        self.inner.test_clock().await
    }

    async fn put_test_clock(&self, now: Timestamp) -> Result<()> {
        self.inner.put_test_clock(now).await
    }

    async fn held_since(&self) -> Result<Option<Timestamp>> {
        self.inner.held_since().await
    }

    async fn hold(&self, since: Option<Timestamp>) -> Result<()> {
        self.inner.hold(since).await
    }

    async fn restored(&self) -> Result<Option<Restoring>> {
        self.inner.restored().await
    }

    async fn put_restored(&self, restoring: Restoring) -> Result<()> {
        self.inner.put_restored(restoring).await
    }

    async fn export(&self, after: Option<&str>, limit: usize) -> Result<Vec<ExportRecord>> {
        self.inner.export(after, limit).await
    }

    async fn import(&self, records: Vec<ExportRecord>) -> Result<()> {
        self.inner.import(records).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[async_trait]
impl Sides for Watched {
    async fn side(&self, table: SideTable, key: &str) -> Result<Option<SideRecord>> {
        self.inner.side(table, key).await
    }

    async fn sides(
        &self,
        table: SideTable,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<SideRecord>> {
        self.inner.sides(table, after, limit).await
    }

    async fn sides_of(&self, table: SideTable, group: &str) -> Result<Vec<SideRecord>> {
        self.inner.sides_of(table, group).await
    }

    async fn sides_due(
        &self,
        table: SideTable,
        lane: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<SideRecord>> {
        self.inner.sides_due(table, lane, now, limit).await
    }

    async fn sides_before(
        &self,
        table: SideTable,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<SideRecord>> {
        self.inner.sides_before(table, time, limit).await
    }

    async fn write_sides(&self, writes: Vec<SideWrite>) -> Result<()> {
        self.inner.write_sides(writes).await
    }
}
