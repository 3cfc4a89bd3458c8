//! What is around a case, read through the batch: cards, and the customer's other open cases.
//!
//! What must stay true: what this batch changed is seen before what the store holds.

use std::collections::{BTreeMap, BTreeSet};

use super::Batch;
use crate::core::card::Card;
use crate::core::case::{Case, cards_around};
use crate::core::customer::Customer;
use crate::core::ids::{CardKey, CaseId};
use crate::store::StoreError;

impl Batch<'_> {
    /// Open cases of a customer, those of this batch included.
    pub(super) async fn open_cases_of(
        &self,
        customer: &str,
    ) -> Result<BTreeSet<CaseId>, StoreError> {
        let mut cases: BTreeSet<_> =
            self.store().open_cases_of(customer).await?.into_iter().collect();
        for (id, (case, ..)) in &self.cases {
            if case.customer.as_deref() == Some(customer) && !case.state.is_ended() {
                cases.insert(id.clone());
            }
        }
        Ok(cases)
    }

    /// Open cases of a subscription, those of this batch included.
    pub(super) async fn open_cases_of_subscription(
        &self,
        subscription: &str,
    ) -> Result<BTreeSet<CaseId>, StoreError> {
        let found = self.store().open_cases_of_subscription(subscription).await?;
        let of_it = |case: &Case| case.subscription.as_deref() == Some(subscription);
        let here =
            self.cases.iter().filter(|(_, (case, ..))| of_it(case) && !case.state.is_ended());
        Ok(found.into_iter().chain(here.map(|(id, _)| id.clone())).collect())
    }

    /// The records of the customer's cards and of the case's own.
    pub(super) async fn cards_of(
        &mut self,
        customer: &Customer,
        case: Option<&Case>,
    ) -> Result<BTreeMap<CardKey, Card>, StoreError> {
        let wanted = cards_around(customer, case, &self.applier.policy);
        let missing: Vec<_> = wanted
            .iter()
            .filter(|key| !self.cards.contains_key(key) && !self.absent.contains(key))
            .cloned()
            .collect();
        let mut loaded = self.store().cards(&missing).await?;
        for key in missing {
            match loaded.remove(&key) {
                Some(card) => drop(self.cards.insert(key, (card, false))),
                None => drop(self.absent.insert(key)),
            }
        }
        let known = wanted.into_iter().filter_map(|key| {
            let (card, _) = self.cards.get(&key)?;
            Some((key, card.clone()))
        });
        Ok(known.collect())
    }
}
