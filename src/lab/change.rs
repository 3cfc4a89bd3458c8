//! What another policy would change for cases that are under way.
//!
//! Why here: "what if I change the file?" is answered by two dry runs of each case, one under the
//! policy that it has and one under the new one, by the core that would do it.
//!
//! What must stay true: pure, and nothing is changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::plan::{self, Frame, Plan, What};
use crate::core::case::step::Around;
use crate::core::case::{Case, State};

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// When the next attempt is made, if one is.
    pub next_attempt_at: Option<Timestamp>,
    /// Attempts that are still to come.
    pub attempts: usize,
    /// Messages that are still to come.
    pub messages: usize,
    /// When it ends if nothing helps.
    pub ends_at: Option<Timestamp>,
    /// How.
    pub end: State,
}

impl Outlook {
    /// Of this plan.
    pub fn of(plan: &Plan) -> Self {
        let of = |what: What| plan.steps.iter().filter(move |step| step.what == what);
        Self {
            next_attempt_at: of(What::Attempt).next().map(|step| step.at),
            attempts: of(What::Attempt).count(),
            messages: of(What::Message).count(),
            ends_at: plan.ends.at,
            end: plan.ends.state,
        }
    }
}

/// What would change for one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The case.
    pub case: String,
    /// Its invoice.
    pub invoice: String,
    /// Where it stands.
    pub state: State,
    /// The policy that it has.
    pub policy_version: String,
    /// As it is.
    pub now: Outlook,
    /// As it would be; `None`: it cannot be moved.
    pub then: Option<Outlook>,
    /// Why it cannot be moved.
    pub not_moved: Option<String>,
    /// Whether anything would be different.
    pub changed: bool,
}

/// What would change for this case: from the frame of its own policy to the other's.
pub fn of_case(case: &Case, around: &Around, own: Frame<'_>, other: Frame<'_>, to: &str) -> Change {
    let now = Outlook::of(&plan::of_case(case.clone(), around.clone(), own));
    let moved = match case.policy_version == to {
        true => Ok(now.clone()),
        false => plan::of_moved_case(case.clone(), around.clone(), other, to)
            .map(|plan| Outlook::of(&plan)),
    };
    let (then, not_moved) = match moved {
        Ok(then) => (Some(then), None),
        Err(why) => (None, Some(why)),
    };
    Change {
        case: case.id.to_string(),
        invoice: case.invoice.clone(),
        state: case.state,
        policy_version: case.policy_version.clone(),
        changed: then.as_ref().is_some_and(|then| *then != now),
        now,
        then,
        not_moved,
    }
}
