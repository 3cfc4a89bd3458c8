//! The news of a batch: what the merchant's own systems are told of its steps.
//!
//! Why here: an event is written by the transaction that made it true, so a crash can neither lose
//! it nor tell what did not happen.
//!
//! What must stay true: the data of an event is the case as the step left it.

use serde_json::json;

use super::{Applier, Batch};
use crate::core::case::Case;
use crate::core::case::news::{News, news};
use crate::core::ids::CaseId;
use crate::core::view::CaseView;
use crate::store::StoreError;
use crate::store::outbound::{self, Endpoint};

/// One event that is to be written.
pub(super) struct Told {
    kind: News,
    case: CaseId,
    body: String,
}

impl Applier {
    /// Tells these endpoints what happens.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: std::sync::Arc<[Endpoint]>) -> Self {
        self.endpoints = endpoints;
        self
    }
}

impl Batch<'_> {
    /// Notes what a step tells.
    pub(super) fn tell(&mut self, before: Option<&Case>, after: &Case) {
        let endpoints = &self.applier.endpoints;
        if endpoints.is_empty() {
            return;
        }
        for kind in news(before, after) {
            if endpoints.iter().any(|endpoint| endpoint.wants(kind)) {
                let data = CaseView::from(after);
                let body = json!({ "type": kind, "timestamp": self.now, "data": data });
                self.told.push(Told { kind, case: after.id.clone(), body: body.to_string() });
            }
        }
    }

    /// Makes the events part of the transaction.
    pub(super) async fn write_news(&mut self) -> Result<(), StoreError> {
        let told = std::mem::take(&mut self.told);
        if told.is_empty() {
            return Ok(());
        }
        let endpoints = self.applier.endpoints.clone();
        let mut open = Vec::new();
        for endpoint in endpoints.iter() {
            if !outbound::has_ended(&*self.applier.store, &endpoint.id).await? {
                open.push(endpoint);
            }
        }
        for (number, Told { kind, case, body }) in told.into_iter().enumerate() {
            let to: Vec<_> = open.iter().copied().filter(|e| e.wants(kind)).collect();
            if to.is_empty() {
                continue;
            }
            let revision = self.cases.get(&case).map_or(0, |(case, ..)| case.revision);
            let id = outbound::event_id(self.now, case.as_str(), revision, number);
            let event = (kind.as_str(), body);
            let records = outbound::event(&id, event, Some(&case), &to, self.now);
            self.commit.side.extend(records.into_iter().map(Into::into));
        }
        Ok(())
    }
}
