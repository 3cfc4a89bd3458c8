//! What was learned, in a batch: loaded once, taught by cases that end in it, written with them.
//!
//! Why here: a case and what it taught are one transaction, so a crash can neither lose the lesson
//! nor count it twice.
//!
//! What must stay true: a case teaches once, when it ends; one that opens as ended teaches nothing.

use std::sync::Arc;

use super::Batch;
use crate::core::case::evidence;
use crate::core::case::step::{Around, zone_of};
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
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
        Ok(Around { customer, cards, learned, siblings: Vec::new() })
    }

    async fn learned(&mut self) -> Result<Arc<Learned>, StoreError> {
        if let Some(learned) = &self.learned {
            return Ok(learned.clone());
        }
        let learned = self.store().learned().await?;
        self.learned = Some(learned.clone());
        Ok(learned)
    }

    /// Applies a person's change of what was learned, in its turn among the cases that teach.
    pub(super) async fn relearn(&mut self, change: &Relearn) -> Result<(), StoreError> {
        match self.learned().await?.changed(change) {
            Ok(learned) => {
                let learned = Arc::new(learned);
                self.commit.learned = Some(learned.clone());
                self.learned = Some(learned);
            }
            // It was read before it was kept.
            Err(error) => tracing::warn!(%error, "what was learned is left as it is"),
        }
        Ok(())
    }

    /// Counts a case that a step has ended.
    pub(super) fn teach(&mut self, was: State, case: &Case, around: &Around, policy: &Policy) {
        if was.is_ended() || !case.state.is_ended() {
            return;
        }
        let zone = zone_of(&around.customer, policy);
        let Some(lesson) = evidence::lesson(case, around, &zone) else { return };
        let mut learned = self.learned.take().unwrap_or_default();
        Arc::make_mut(&mut learned).timing.learn_case(&lesson.tries, lesson.end);
        self.commit.learned = Some(learned.clone());
        self.learned = Some(learned);
    }
}
