//! The billing gateway's own retries: watched, counted, taken over from.
//!
//! Why here: two engines that retry one invoice race each other. Whether the other one still runs
//! is read off its events; this is all that follows from it.
//!
//! What must stay true: while the gateway plans a retry nothing of ours is charged; a plan without
//! a date holds for as long as attempts are made at all.

use jiff::{SignedDuration, Timestamp};

use super::step::Stepper;
use super::{Next, Pending, State, Timer};
use crate::core::event::{Event, NativeRetry};
use crate::core::fault::{Mutant, fault};
use crate::core::ledger::{Decision, EntryKind};
use crate::core::policy::NativeRetries;
use crate::core::schedule;

impl Stepper<'_> {
    pub(super) fn native_retry_is_ahead(&self) -> bool {
        // What is only planned races nobody, and is there to be compared with them.
        if self.case.shadow {
            return false;
        }
        let waiting = match self.case.native_retry {
            Some(NativeRetry::Planned) => true,
            Some(NativeRetry::None) => false,
            // It does not say: what the merchant said of it counts.
            None => !self.native_retries_are_off() && self.native_window() > SignedDuration::ZERO,
        };
        waiting && self.native_deadline() > self.now && !fault(Mutant::IgnoresNativeRetry)
    }

    /// Whether the merchant switched the billing gateway's own retries off.
    pub(super) fn native_retries_are_off(&self) -> bool {
        self.policy.billing().is_some_and(|g| g.native_retries == NativeRetries::Off)
    }

    fn native_window(&self) -> SignedDuration {
        let seconds = self.policy.billing().map_or(0, |g| g.capabilities.native_retry_window_s);
        SignedDuration::from_secs(i64::from(seconds))
    }

    /// When the gateway's own retry should be over, told or not.
    fn native_deadline(&self) -> Timestamp {
        /// A gateway's own retry may start late, and its webhook takes its time.
        const GRACE: SignedDuration = SignedDuration::from_hours(6);
        match self.case.native_next_at {
            Some(at) => schedule::after(at, GRACE),
            // Planned, and nobody says when: as long as attempts are made at all.
            None if self.case.native_retry == Some(NativeRetry::Planned) => {
                let days = i64::from(self.policy.window_days);
                let window = SignedDuration::from_hours(24 * days).max(self.native_window());
                schedule::after(self.case.opened_at, window)
            }
            None => self.case.opened_at + self.native_window(),
        }
    }

    pub(super) fn watch_native_retry(&mut self) {
        let at = self.native_deadline();
        let gateway = self.case.gateway.clone();
        let why = match self.case.native_next_at {
            Some(next) => format!("{gateway} itself will try again at {next}"),
            None => format!("{gateway} may still try again by itself"),
        };
        self.set_timer(Timer::NativeRetry, at);
        let next = Next { at: Some(at), what: "wait".into(), why: why.clone() };
        self.enter(State::Monitoring, why.clone(), next);
        self.decide(
            format!("Only watching: {why}."),
            Decision {
                what: "wait".into(),
                at: Some(at),
                via: Some(gateway.to_string()),
                why,
                considered: vec!["an attempt of ours would race the gateway's own".into()],
            },
        );
        self.plan_reminder();
    }

    /// The billing gateway's own retry should be over and told us nothing.
    pub(super) fn take_over(&mut self) {
        self.case.native_retry = Some(NativeRetry::None);
        let gateway = self.case.gateway.clone();
        self.note(EntryKind::Decided, format!("{gateway} has given up or said nothing: we go on."));
        self.plan();
    }

    /// The gateway planned a retry of its own, or gave its retries up, without an attempt.
    pub(super) fn on_native_plan(&mut self, event: &Event) {
        let before = (self.case.native_retry, self.case.native_next_at);
        if self.case.state.is_ended() || event.invoice.as_ref() != Some(&self.case.invoice) {
            return;
        }
        self.learn_native_plan(event);
        if before == (self.case.native_retry, self.case.native_next_at) {
            return;
        }
        if self.waits_for(Pending::Check) {
            self.case.route = None;
        } else if self.case.state != State::Paused {
            self.plan();
        }
    }

    pub(super) fn learn_native_plan(&mut self, event: &Event) {
        if event.attempt_count.is_none()
            && event.native_retry.is_none()
            && !self.case.reason.is_empty()
        {
            return;
        }
        self.case.native_retry = event.native_retry;
        self.case.native_next_at = event.next_native_attempt_at;
        if !self.case.shadow
            && self.native_retries_are_off()
            && event.native_retry == Some(NativeRetry::Planned)
        {
            let warning = format!(
                "{} plans a retry of its own, though its retries are said to be off: switch them \
                 off there; until then recoup waits for it",
                self.case.gateway
            );
            // Each event is looked at; one warning on the case is enough.
            if !self.case.flags.contains(&warning) {
                self.flag(warning);
            }
        }
    }
}
