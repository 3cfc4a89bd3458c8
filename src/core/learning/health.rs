//! The health of a gateway: does it approve, lately, what was expected of it?
//!
//! Why here: what a gateway approves over months says nothing of the outage that began an hour
//! ago. Lately observed over expected approvals scale what was learned, as far as the difference
//! cannot be chance; a run of technical failures closes the gateway for a while, and what comes
//! after it is a probe until something is answered again.
//!
//! What must stay true: without evidence the factor is 1; old evidence is forgotten; a closed
//! gateway opens again by itself.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How many outcomes are remembered, about.
const MEMORY: f64 = 150.0;
/// After how long without any outcome half of it is forgotten.
const HALF_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// So many standard errors from what was expected are believed by half.
const DOUBT: f64 = 2.0;
/// Bounds of the factor.
const FACTORS: (f64, f64) = (0.1, 1.2);

/// Technical failures in a row that close a gateway.
const RUN: u32 = 5;
/// How long it is closed at first; each time that the probe fails too, twice as long.
const CLOSED_FOR: SignedDuration = SignedDuration::from_mins(15);
/// How often the time is doubled at most: up to eight hours.
const DOUBLINGS: u32 = 5;

/// Whether a gateway may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// As usual.
    Open,
    /// It failed until lately: only a probe goes there.
    Probe,
    /// Not before.
    Closed(Timestamp),
}

/// What is known of a gateway's last outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// When the last one was.
    at: Timestamp,
    /// Approvals, the older the less.
    #[serde(with = "super::exact")]
    seen: f64,
    /// What was expected of the same attempts.
    #[serde(with = "super::exact")]
    expected: f64,
    /// The variance of that.
    #[serde(with = "super::exact")]
    variance: f64,
    /// Technical failures since anything else.
    failures: u32,
    /// How often in a row it was closed.
    closings: u32,
    /// Until when it is closed.
    closed_until: Option<Timestamp>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            at: Timestamp::UNIX_EPOCH,
            seen: 0.0,
            expected: 0.0,
            variance: 0.0,
            failures: 0,
            closings: 0,
            closed_until: None,
        }
    }
}

impl Health {
    /// Notes an answer of a bank; `expected` is the probability of an approval that was expected.
    pub fn answered(&mut self, approved: bool, expected: f64, at: Timestamp) {
        self.note(f64::from(u8::from(approved)), expected, at);
        (self.failures, self.closings, self.closed_until) = (0, 0, None);
    }

    /// Notes a technical failure.
    pub fn failed(&mut self, expected: f64, at: Timestamp) {
        self.note(0.0, expected, at);
        self.failures += 1;
        // A probe that fails closes it at once.
        if self.failures >= RUN || self.closings > 0 {
            let closed = CLOSED_FOR * (1 << self.closings.min(DOUBLINGS));
            self.closed_until = at.saturating_add(closed).ok();
            self.closings += 1;
            self.failures = 0;
        }
    }

    fn note(&mut self, seen: f64, expected: f64, at: Timestamp) {
        let kept = self.kept(at) * (1.0 - 1.0 / MEMORY);
        let expected = if expected.is_finite() { expected.clamp(0.0, 1.0) } else { 0.0 };
        self.seen = self.seen * kept + seen;
        self.expected = self.expected * kept + expected;
        self.variance = self.variance * kept + expected * (1.0 - expected);
        self.at = self.at.max(at);
    }

    /// What time left of the evidence.
    fn kept(&self, now: Timestamp) -> f64 {
        let age = now.duration_since(self.at).as_secs_f64().max(0.0);
        0.5_f64.powf(age / HALF_LIFE.as_secs_f64())
    }

    /// What the learned probability is multiplied with.
    pub fn factor(&self, now: Timestamp) -> f64 {
        let kept = self.kept(now);
        let (expected, variance) = (self.expected * kept, self.variance * kept);
        if expected < 1.0 {
            return 1.0;
        }
        let off = (self.seen - self.expected) * kept;
        // The share of the difference that is believed grows with its significance.
        let significance = off * off / variance.max(1e-9);
        let believed = significance / (significance + DOUBT * DOUBT);
        let factor = 1.0 + believed * off / expected;
        if factor.is_finite() { factor.clamp(FACTORS.0, FACTORS.1) } else { 1.0 }
    }

    /// Whether it may be asked now.
    pub fn gate(&self, now: Timestamp) -> Gate {
        match self.closed_until {
            Some(until) if until > now => Gate::Closed(until),
            _ if self.closings > 0 => Gate::Probe,
            _ => Gate::Open,
        }
    }

    /// Of two records of one gateway the later one holds. Equally late ones are put in an order
    /// that does not depend on which is which.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let order = |h: &Self| {
            (h.at, h.closed_until, h.failures, h.closings, h.seen.to_bits(), h.expected.to_bits())
        };
        if order(&self) >= order(&other) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
    }

    #[test]
    fn an_outage_lowers_the_factor_and_time_forgives() {
        let mut health = Health::default();
        assert_eq!(health.factor(at(0)), 1.0);
        for minute in 0..60 {
            health.answered(false, 0.4, at(minute));
        }
        let low = health.factor(at(60));
        assert!(low < 0.2, "{low}");
        assert!(health.factor(at(60 * 24 * 3)) > low);
        assert_eq!(health.factor(at(60 * 24 * 30)), 1.0);
    }

    #[test]
    fn chance_alone_hardly_moves_it() {
        let mut health = Health::default();
        for minute in 0..100 {
            health.answered(minute % 5 < 2, 0.4, at(minute));
        }
        assert!((health.factor(at(100)) - 1.0).abs() < 0.02);
    }

    #[test]
    fn five_failures_close_it_and_a_probe_decides() {
        let mut health = Health::default();
        for minute in 0..4 {
            health.failed(0.4, at(minute));
        }
        assert_eq!(health.gate(at(4)), Gate::Open);
        health.failed(0.4, at(4));
        assert_eq!(health.gate(at(5)), Gate::Closed(at(19)));
        assert_eq!(health.gate(at(19)), Gate::Probe);
        health.failed(0.4, at(20));
        assert_eq!(health.gate(at(21)), Gate::Closed(at(50)), "twice as long");
        health.answered(false, 0.4, at(51));
        assert_eq!(health.gate(at(51)), Gate::Open, "a refusal is an answer");
    }

    #[test]
    fn a_refusal_in_between_is_no_run() {
        let mut health = Health::default();
        for minute in 0..20 {
            health.failed(0.4, at(2 * minute));
            if minute % 4 == 3 {
                health.answered(false, 0.4, at(2 * minute + 1));
            }
        }
        assert_eq!(health.gate(at(41)), Gate::Open);
    }
}
