//! A card's own record: what was tried on it anywhere, and whether it may be tried again.
//!
//! Why here: the networks count per card, over all gateways and all invoices, also the billing
//! gateway's own attempts (design I4); and one attempt at a time is in flight for a card (I2).
//!
//! What must stay true: the record is written in the same transaction as the case.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ids::{AttemptId, CardKey, GatewayId};
use super::money::Money;

/// How long attempts are remembered: the longest window of any network (ACH's 180 days), and a day.
pub(super) const MEMORY: SignedDuration = SignedDuration::from_hours(24 * 181);

/// One attempt on the card, ours or the billing gateway's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardAttempt {
    /// When.
    pub at: Timestamp,
    /// Through which gateway.
    pub gateway: GatewayId,
    /// How much.
    pub amount: Money,
    /// Whether it was approved; an unknown outcome counts as declined until it is known.
    pub approved: bool,
    /// Ours; `None`: the billing gateway's own.
    pub attempt: Option<AttemptId>,
}

/// What is known of one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Which card.
    pub key: CardKey,
    /// Its network, where known.
    pub network: Option<String>,
    /// The issuer's country, where known.
    pub country: Option<String>,
    /// The attempts of the last 181 days.
    pub attempts: Vec<CardAttempt>,
    /// The attempt that is in flight or whose outcome is unknown.
    pub in_flight: Option<AttemptId>,
    /// Since when, and why, the card must never be charged again.
    pub never: Option<(Timestamp, String)>,
}

impl Card {
    /// A card of which nothing is known yet.
    pub fn new(key: CardKey) -> Self {
        Self {
            key,
            network: None,
            country: None,
            attempts: Vec::new(),
            in_flight: None,
            never: None,
        }
    }

    /// Notes an attempt and forgets those that no network counts any more.
    pub fn note(&mut self, attempt: CardAttempt) {
        let horizon = attempt.at - MEMORY;
        self.attempts.retain(|a| a.at >= horizon);
        self.attempts.push(attempt);
    }

    /// Takes over what was noted of the same card under another key.
    pub fn take_over(&mut self, former: &Self) {
        self.never = self.never.take().or_else(|| former.never.clone());
        let known: Vec<_> = self.attempts.iter().map(|a| (a.at, a.attempt.clone())).collect();
        let missing = former.attempts.iter();
        let missing = missing.filter(|a| !known.contains(&(a.at, a.attempt.clone())));
        self.attempts.extend(missing.cloned());
        self.attempts.sort_by_key(|a| a.at);
    }

    /// Notes that one of our attempts was approved after all.
    pub fn approve(&mut self, attempt: &AttemptId) {
        for noted in self.attempts.iter_mut().filter(|a| a.attempt.as_ref() == Some(attempt)) {
            noted.approved = true;
        }
    }
}
