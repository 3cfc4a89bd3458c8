//! The trial: which cases follow what was learned, and which are held out of it to compare.
//!
//! Why here: nobody can tell from recovered cases alone what a smart schedule adds: most of them
//! would have come back on any schedule. A random share of cases that is kept on even spacing says
//! what would have happened without it.
//!
//! What must stay true: the arm is a function of the case's id and the share alone, so that it is
//! the same on every machine, in a replay and after an import; a larger share keeps everybody who
//! was held out by a smaller one; nobody changes arms after the draw.

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::decline::{self, Advice, Category, Decline, RetryMode};
use super::ids::{CaseId, pick};
use super::policy::{Policy, Schedule};

/// Shares are counted in parts of this.
pub const MILLION: u32 = 1_000_000;

/// To which side of the comparison a case belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Kept on even spacing and on the gateways in their order, for ever.
    Holdout,
    /// Follows what was learned.
    Smart,
}

impl Arm {
    /// The name as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holdout => "holdout",
            Self::Smart => "smart",
        }
    }

    /// The arm of a new case; `None` where nothing is compared: another schedule, or no share.
    pub fn draw(case: &CaseId, policy: &Policy) -> Option<Self> {
        if policy.schedule != Schedule::Smart || policy.holdout_ppm == 0 {
            return None;
        }
        let drawn = pick(u64::from(MILLION), &["holdout", case.as_str()]);
        Some(if drawn < u64::from(policy.holdout_ppm) { Self::Holdout } else { Self::Smart })
    }
}

/// The refusal that a case began with: what it was before anything was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Our category.
    pub category: Category,
    /// What the network ordered.
    pub advice: Advice,
}

impl Refusal {
    /// Of this decline.
    pub fn of(decline: &Decline) -> Self {
        Self { category: decline.category, advice: decline.advice }
    }

    /// Whether the same card may be charged again without the customer doing anything.
    pub fn is_retryable(self) -> bool {
        let ordered_otherwise =
            matches!(self.advice, Advice::Never | Advice::UpdateCredentials | Advice::Authenticate);
        let retry = decline::policy(self.category).retry;
        !ordered_otherwise && matches!(retry, RetryMode::Schedule | RetryMode::Soon)
    }
}

impl Case {
    /// The schedule of this case: a case that is held out keeps to even spacing.
    pub fn schedule<'a>(&self, policy: &'a Policy) -> &'a Schedule {
        match (&policy.schedule, self.arm) {
            (Schedule::Smart, Some(Arm::Holdout)) => &Schedule::Even,
            (schedule, _) => schedule,
        }
    }

    /// Whether what was learned may move its days and choose its gateways.
    pub fn follows_evidence(&self, policy: &Policy) -> bool {
        *self.schedule(policy) == Schedule::Smart
    }

    /// Whether it began with a refusal that may be charged again. What was found out later does not
    /// count: it would depend on how often, and when, the case was tried.
    pub fn was_retryable(&self) -> bool {
        // A case of an earlier version did not note its first refusal. One that was tried since
        // was retryable; of one that was not, the newest refusal is the first.
        let newest = || self.decline.as_ref().filter(|_| self.attempts.is_empty());
        let first = self.first_refusal.or_else(|| newest().map(Refusal::of));
        first.is_none_or(Refusal::is_retryable)
    }
}
