//! What was learned, in a batch: loaded once, taught by cases that end in it, written with them.
//!
//! Why here: a case and what it taught are one transaction, so a crash can neither lose the lesson
//! nor count it twice.
//!
//! What must stay true: a case teaches about days once, when it ends; one that opens as ended
//! teaches nothing. An attempt teaches about its gateway once, when its outcome becomes known. What
//! is remembered between batches is what the store holds: a batch that is not committed leaves
//! nothing, and only the worker's one loop writes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::{Applier, Batch};
use crate::core::case::evidence;
use crate::core::case::step::{Around, Step, zone_of};
use crate::core::case::{Case, RecoveredBy, State};
use crate::core::customer::Customer;
use crate::core::learning::outcome::Outcome;
use crate::core::learning::{Learned, Relearn};
use crate::core::policy::Policy;
use crate::store::StoreError;

impl Batch<'_> {
    /// What surrounds a case.
    pub(super) async fn around(
        &mut self,
        customer: Customer,
        case: Option<&Case>,
    ) -> Result<Around, StoreError> {
        let cards = self.cards_of(&customer, case).await?;
        let learned = self.learned().await?;
        let stopped = self.reputation().await?.stopped();
        let held = self.applier.held.load(Ordering::Relaxed);
        Ok(Around { customer, cards, learned, siblings: Vec::new(), stopped, held })
    }

    async fn learned(&mut self) -> Result<Arc<Learned>, StoreError> {
        if let Some(learned) = &self.learned {
            return Ok(learned.clone());
        }
        let learned = match self.applier.recall() {
            Some(learned) => learned,
            None => self.store().learned().await?,
        };
        self.learned = Some(learned.clone());
        Ok(learned)
    }

    /// Leaves what was learned to the next batch, as the store holds it.
    pub(super) fn bring_back_learned(self) {
        if let Some(learned) = self.learned {
            self.applier.remember(learned);
        }
    }

    /// Applies a person's change of what was learned, in its turn among the cases that teach.
    pub(super) async fn relearn(&mut self, change: &Relearn) -> Result<(), StoreError> {
        match self.learned().await?.changed(change) {
            Ok(learned) => {
                let own = self.learned.take().unwrap_or_default();
                let mut learned = learned;
                Arc::make_mut(&mut learned.routing).go_on_from(&own.routing, change);
                let learned = Arc::new(learned);
                self.commit.learned = Some(learned.clone());
                self.commit.routing = Some(learned.routing.clone());
                self.learned = Some(learned);
            }
            // It was read before it was kept.
            Err(error) => tracing::warn!(%error, "what was learned is left as it is"),
        }
        Ok(())
    }

    /// Counts what attempts told of their gateways in a step.
    pub(super) fn teach_routing(&mut self, outcomes: &[Outcome]) {
        if outcomes.is_empty() {
            return;
        }
        let mut learned = self.learned.take().unwrap_or_default();
        let routing = Arc::make_mut(&mut Arc::make_mut(&mut learned).routing);
        for outcome in outcomes {
            self.commit.outcomes.push((routing.teach(outcome), outcome.clone()));
        }
        self.learned = Some(learned);
    }

    /// Lets what was learned of gateways be kept whole, where it is time; the trees grow with it.
    pub(super) async fn keep_routing(&mut self) -> Result<(), StoreError> {
        let Some(learned) = self.learned.as_mut().filter(|l| l.routing.is_to_be_kept()) else {
            return Ok(());
        };
        let mut recent = self.applier.store.outcomes(learned.routing.oldest_needed()).await?;
        recent.extend(self.commit.outcomes.iter().map(|(_, outcome)| outcome.clone()));
        let routing = &mut Arc::make_mut(learned).routing;
        Arc::make_mut(routing).keep(&recent);
        self.commit.routing = Some(routing.clone());
        Ok(())
    }

    /// Counts a case that a step has ended.
    pub(super) fn teach(&mut self, was: State, case: &Case, around: &Around, policy: &Policy) {
        if was.is_ended() || !case.state.is_ended() {
            return;
        }
        count_recovered(case);
        let zone = zone_of(&around.customer, policy);
        let Some(lesson) = evidence::lesson(case, around, &zone) else { return };
        let mut learned = self.learned.take().unwrap_or_default();
        Arc::make_mut(&mut learned).timing.learn_case(&lesson.tries, lesson.end);
        self.commit.learned = Some(learned.clone());
        self.learned = Some(learned);
    }
}

/// Money that came back, in minor units of its currency.
fn count_recovered(case: &Case) {
    let by = match case.recovered_by {
        Some(RecoveredBy::CardUpdate) => "card_update",
        Some(RecoveredBy::Elsewhere) => "elsewhere",
        Some(RecoveredBy::OtherGateway) => "other_gateway",
        Some(RecoveredBy::Retry) => "retry",
        None => return,
    };
    let minor = u64::try_from(case.amount.minor).unwrap_or_default();
    metrics::counter!("recoup_recovered_minor_units_total",
        "currency" => case.amount.currency.code(), "by" => by)
    .increment(minor);
}

/// Lets go of what was learned before a step teaches: whoever still holds it makes whoever adds to
/// it copy all of it.
pub(super) fn let_go(step: &Step, around: &mut Around) {
    if step.case.state.is_ended() || !step.outcomes.is_empty() {
        around.learned = Arc::default();
    }
}

impl Applier {
    /// Takes what the last batch left. Whoever takes it brings it back, or the store is read again.
    fn recall(&self) -> Option<Arc<Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn remember(&self, learned: Arc<Learned>) {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = Some(learned);
    }

    /// Lets the store be read again: somebody else wrote what was learned.
    pub fn forget_learned(&self) {
        self.recall();
    }
}
