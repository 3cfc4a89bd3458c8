//! The trait's methods, as one list: each says where its question is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;

use super::work::Work;
use super::{PostgresStore, append, closed, commit, portable, read, rows};
use crate::core::card::Card;
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
use crate::core::ids::{CardKey, CaseId, GatewayId, MessageId};
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::Reputation;
use crate::store::{
    Appended, Backlog, CaseFilter, Claimed, Commit, ExportRecord, InboxEntry, InboxRecord,
    MessageRecord, OutboxEntry, Page, Restoring, Room, Shared, Store, StoreError, keys,
};

impl PostgresStore {
    async fn put(&self, key: String, value: String) -> Result<(), StoreError> {
        if self.inner.is_closed() {
            return Err(closed());
        }
        self.inner.importing.store(false, Ordering::SeqCst);
        let conn = self.inner.reader().await?;
        commit::put_records(&conn, BTreeMap::from([(key, value)])).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn health(&self) -> Result<(), StoreError> {
        self.inner.health()
    }

    async fn append(&self, records: Vec<InboxRecord>) -> Result<Vec<Appended>, StoreError> {
        if self.inner.is_closed() {
            return Err(closed());
        }
        self.inner.importing.store(false, Ordering::SeqCst);
        let gone = || super::connect::away("its writing task has ended");
        let (job, answer) = append::Job::of(&records)?;
        // In the queue, at the database, and once more at a database that came back.
        let asking = async {
            self.appends.send(job).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        match tokio::time::timeout(2 * self.inner.place.options.patience, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(super::connect::away("it does not answer in time")),
        }
    }

    async fn inbox(&self, now: Timestamp, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        read::inbox(&*self.inner.reader().await?, now, limit).await
    }

    async fn input(&self, source: &GatewayId, id: &str) -> Result<Option<InboxRecord>, StoreError> {
        read::input(&*self.inner.reader().await?, source, id).await
    }

    async fn case(&self, id: &CaseId) -> Result<Option<Case>, StoreError> {
        read::case(&*self.inner.reader().await?, id).await
    }

    async fn is_closed(&self, id: &CaseId) -> Result<bool, StoreError> {
        let conn = self.inner.reader().await?;
        let at: Option<Timestamp> = read::get(&conn, &keys::closed(id)).await?;
        Ok(at.is_some())
    }

    async fn open_cases_of(&self, customer: &str) -> Result<Vec<CaseId>, StoreError> {
        read::open_cases_of(&*self.inner.reader().await?, customer).await
    }

    async fn open_cases_of_subscription(
        &self,
        subscription: &str,
    ) -> Result<Vec<CaseId>, StoreError> {
        read::open_cases_of_subscription(&*self.inner.reader().await?, subscription).await
    }

    async fn case_of_payment(&self, payment: &str) -> Result<Option<CaseId>, StoreError> {
        read::case_of_payment(&*self.inner.reader().await?, payment).await
    }

    async fn customer(&self, id: &str) -> Result<Option<Customer>, StoreError> {
        read::get(&*self.inner.reader().await?, &keys::customer(id)).await
    }

    async fn cards(&self, keys: &[CardKey]) -> Result<BTreeMap<CardKey, Card>, StoreError> {
        read::cards(&*self.inner.reader().await?, keys).await
    }

    async fn learned(&self) -> Result<Arc<Learned>, StoreError> {
        read::learned(&*self.inner.reader().await?).await
    }

    async fn reputation(&self) -> Result<Reputation, StoreError> {
        let conn = self.inner.reader().await?;
        Ok(read::get(&conn, keys::REPUTATION).await?.unwrap_or_default())
    }

    async fn outcomes(&self, from: u64) -> Result<Vec<Outcome>, StoreError> {
        read::outcomes(&*self.inner.reader().await?, from).await
    }

    async fn policy(&self, version: &str) -> Result<Option<Policy>, StoreError> {
        read::get(&*self.inner.reader().await?, &keys::policy(version)).await
    }

    async fn policies(&self) -> Result<BTreeMap<String, Policy>, StoreError> {
        read::policies(&*self.inner.reader().await?).await
    }

    async fn put_policy(&self, policy: &Policy) -> Result<(), StoreError> {
        let key = keys::policy(&policy.version());
        let value = rows::json(&key, policy)?;
        self.put(key, value).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let asks = !commit.effects.is_empty() || !commit.retried.is_empty();
        self.inner.work(Work::Commit(Box::new(commit))).await?;
        if asks {
            self.inner.news.notify_one();
        }
        Ok(())
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<CaseId>, StoreError> {
        read::due(&*self.inner.reader().await?, now, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        read::next_due(&*self.inner.reader().await?, self.inner.run()).await
    }

    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        Ok(self.claim_within(now, &Room::any(limit)).await?.entries)
    }

    async fn claim_within(&self, now: Timestamp, room: &Room) -> Result<Claimed, StoreError> {
        Ok(self.inner.work(Work::Claim { now, room }).await?.claimed)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        read::backlog(&*self.inner.reader().await?).await
    }

    async fn list_cases(
        &self,
        filter: &CaseFilter,
        after: Option<&CaseId>,
        limit: usize,
    ) -> Result<Page<Case>, StoreError> {
        read::list_cases(&*self.inner.reader().await?, filter, after, limit).await
    }

    async fn count_cases(&self) -> Result<BTreeMap<State, u64>, StoreError> {
        read::count_cases(&*self.inner.reader().await?).await
    }

    async fn ledger(&self, case: &CaseId) -> Result<Vec<LedgerEntry>, StoreError> {
        read::ledger(&*self.inner.reader().await?, case).await
    }

    async fn messages_of(&self, case: &CaseId) -> Result<Vec<MessageRecord>, StoreError> {
        read::messages_of(&*self.inner.reader().await?, case).await
    }

    async fn cases_written_to(&self, address: &str) -> Result<Vec<CaseId>, StoreError> {
        read::cases_written_to(&*self.inner.reader().await?, address).await
    }

    async fn list_messages(
        &self,
        after: Option<&MessageId>,
        limit: usize,
    ) -> Result<Page<MessageRecord>, StoreError> {
        read::list_messages(&*self.inner.reader().await?, after, limit).await
    }

    async fn link_key(&self) -> Result<[u8; 32], StoreError> {
        read::link_key(&*self.inner.reader().await?).await
    }

    async fn test_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        read::get(&*self.inner.reader().await?, keys::TEST_CLOCK).await
    }

    async fn put_test_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        self.put(keys::TEST_CLOCK.to_owned(), rows::json(keys::TEST_CLOCK, &now)?).await
    }

    async fn held_since(&self) -> Result<Option<Timestamp>, StoreError> {
        read::get(&*self.inner.reader().await?, keys::HELD).await
    }

    async fn hold(&self, since: Option<Timestamp>) -> Result<(), StoreError> {
        match since {
            Some(since) => self.put(keys::HELD.to_owned(), rows::json(keys::HELD, &since)?).await,
            None => commit::remove_record(&*self.inner.reader().await?, keys::HELD).await,
        }
    }

    async fn restored(&self) -> Result<Option<Restoring>, StoreError> {
        let conn = self.inner.reader().await?;
        let at = read::get(&conn, keys::RESTORED).await?;
        Ok(Restoring::of(at, read::get(&conn, keys::RECONCILED).await?))
    }

    async fn put_restored(&self, restoring: Restoring) -> Result<(), StoreError> {
        let Restoring { at, is_over } = restoring;
        self.put(keys::RESTORED.to_owned(), rows::json(keys::RESTORED, &at)?).await?;
        match is_over {
            true => self.put(keys::RECONCILED.to_owned(), rows::json(keys::RECONCILED, &at)?).await,
            false => Ok(()),
        }
    }

    async fn export(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ExportRecord>, StoreError> {
        portable::export(&self.inner, after, limit).await
    }

    async fn import(&self, records: Vec<ExportRecord>) -> Result<(), StoreError> {
        self.inner.work(Work::Import(records)).await.map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await?;
        self.inner.news.notify_one();
        Ok(())
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}
