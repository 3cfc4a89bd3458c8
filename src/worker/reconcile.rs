//! The gap finder: what the gateways know and we do not, and how it gets here after all.
//!
//! Why here: webhooks get lost: an endpoint that was down for longer than a gateway tries, a proxy
//! that answered 200, an event that was not switched on. `serve` compares once a day; a person does
//! by `recoup doctor --reconcile`.
//!
//! What must stay true: a repair appends what the webhook would have brought, under its id, so that
//! it is applied exactly once even if the webhook comes too; nothing else is written.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::Gateways;
use crate::clock::Clock;
use crate::core::ids::{CaseId, GatewayId};
use crate::gateway::Gateway;
use crate::gateway::history::{Completeness, Gap, Known};
use crate::store::{Appended, InboxBody, InboxRecord, Store, StoreError};

/// Inputs that are appended at once.
const PAGE: usize = 256;

/// Whether what is missing is only told, or also taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// Only told.
    Tell,
    /// Taken in.
    Repair,
}

/// Compares gateways with the store.
#[derive(Clone)]
pub struct Reconciler {
    store: Arc<dyn Store>,
    gateways: Gateways,
    clock: Clock,
    wake: Arc<Notify>,
}

impl Reconciler {
    /// Over this store and these gateways; `wake` tells the worker of what was taken in.
    pub fn new(store: Arc<dyn Store>, gateways: Gateways, clock: Clock, wake: Arc<Notify>) -> Self {
        Self { store, gateways, clock, wake }
    }

    /// Whether any gateway can be asked.
    pub fn can_ask(&self) -> bool {
        self.gateways.all().any(|gateway| gateway.profile().tells_history)
    }

    /// Compares every gateway that can be asked.
    ///
    /// # Errors
    /// Only of the store: a gateway that does not answer is told in its own result.
    pub async fn compare(
        &self,
        since: Timestamp,
        mend: Mend,
    ) -> Result<Vec<Completeness>, StoreError> {
        let mut all = Vec::new();
        for gateway in self.gateways.all().filter(|gateway| gateway.profile().tells_history) {
            let one = self.compare_one(gateway.as_ref(), since, mend).await?;
            count(&one);
            all.push(one);
        }
        Ok(all)
    }

    async fn compare_one(
        &self,
        gateway: &dyn Gateway,
        since: Timestamp,
        mend: Mend,
    ) -> Result<Completeness, StoreError> {
        let id = gateway.id().clone();
        let known = match gateway.known_since(since).await {
            Ok(known) => known,
            Err(error) => return Ok(Completeness::unknown(id, since, error.to_string())),
        };
        let told = known.len();
        let mut missing = Vec::new();
        for one in known {
            if !self.has(&id, &one).await? {
                missing.push(one);
            }
        }
        let repaired = match mend {
            Mend::Tell => vec![false; missing.len()],
            Mend::Repair => self.take_in(&id, &missing).await?,
        };
        let gaps = missing.into_iter().zip(repaired).map(|(one, repaired)| Gap {
            id: one.id,
            what: one.what,
            invoice: one.invoice,
            repaired,
        });
        Ok(Completeness::of(id, since, told, gaps.collect()))
    }

    /// Whether the store has it: as an input, or, where there may have been no event, as a case.
    async fn has(&self, gateway: &GatewayId, known: &Known) -> Result<bool, StoreError> {
        if self.store.input(gateway, &known.id).await?.is_some() {
            return Ok(true);
        }
        let Some(invoice) = known.invoice.as_deref().filter(|_| known.by_case) else {
            return Ok(false);
        };
        let case = CaseId::of(gateway, invoice);
        Ok(self.store.case(&case).await?.is_some() || self.store.is_closed(&case).await?)
    }

    /// Appends what is missing, oldest first, and tells which was new.
    async fn take_in(
        &self,
        gateway: &GatewayId,
        missing: &[Known],
    ) -> Result<Vec<bool>, StoreError> {
        let received_at = self.clock.now();
        let mut repaired = Vec::with_capacity(missing.len());
        for page in missing.chunks(PAGE) {
            let record = |known: &Known| InboxRecord {
                source: gateway.clone(),
                id: known.id.clone(),
                received_at,
                body: InboxBody::Webhook { body: known.body.clone(), headers: Vec::new() },
            };
            let appended = self.store.append(page.iter().map(record).collect()).await?;
            repaired.extend(appended.iter().map(|one| matches!(one, Appended::New(_))));
        }
        self.wake.notify_one();
        Ok(repaired)
    }
}

fn count(found: &Completeness) {
    let gateway = found.gateway.to_string();
    match &found.error {
        Some(error) => tracing::warn!(%gateway, %error, "could not compare with the gateway"),
        None => tracing::info!(
            %gateway, known = found.known, missing = found.missing.len(), "compared"
        ),
    }
    let missing = u64::try_from(found.missing.len()).unwrap_or(u64::MAX);
    metrics::counter!("recoup_events_missing_total", "gateway" => gateway).increment(missing);
}
