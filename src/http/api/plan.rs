//! `GET /cases/{id}/plan`: what will be done for a case, as a dry run.
//!
//! Why here: the service holds the store, so `recoup plan CASE` asks it.
//!
//! What must stay true: nothing is written; the plan is made under the policy that the case keeps.

use axum::Json;
use axum::extract::{Path, State};

use super::cases::load;
use crate::core::case::step::Around;
use crate::core::case::{Case, cards_around};
use crate::core::customer::Customer;
use crate::core::policy::Policy;
use crate::http::{AppState, Problem};
use crate::lab::plan::{self, Frame, Plan};
use crate::store::StoreError;

/// What to do when the policy of a case is gone.
const NO_POLICY: &str =
    "the policy of this case is not in the store (an import without it): no plan can be made";

/// `GET /cases/{id}/plan`.
pub(super) async fn plan(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Plan>, Problem> {
    let case = load(&state, &id).await?;
    let policy = policy_of(&state, &case).await?;
    let around = around(&state, &case, &policy).await?;
    let frame = Frame { policy: &policy, brand: &state.brand, now: state.clock.now() };
    Ok(Json(plan::of_case(case, around, frame)))
}

/// The policy that a case keeps.
pub(super) async fn policy_of(state: &AppState, case: &Case) -> Result<Policy, Problem> {
    let policy = state.store.policy(&case.policy_version).await?;
    policy.ok_or_else(|| Problem::not_found(NO_POLICY))
}

/// What surrounds a case.
pub(super) async fn around(
    state: &AppState,
    case: &Case,
    policy: &Policy,
) -> Result<Around, StoreError> {
    let key = case.customer_key();
    let customer = state.store.customer(&key).await?.unwrap_or_else(|| Customer::new(key));
    let cards: Vec<_> = cards_around(&customer, Some(case), policy).into_iter().collect();
    let cards = state.store.cards(&cards).await?;
    let learned = state.store.learned().await?;
    let stopped = state.store.reputation().await?.stopped();
    Ok(Around { customer, cards, learned, siblings: Vec::new(), stopped, held: false })
}
