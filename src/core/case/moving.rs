//! Moving to another policy: what a merchant decided anew, for a case that is under way.
//!
//! Why here: a case keeps the policy that it began with, so a change of mind reaches it only when a
//! person says so. The step that moves it is made under the new policy, which whoever calls the
//! core hands over.
//!
//! What must stay true: a move starts nothing over. The window counts from where it began, attempts
//! that were made are made, and no step of the campaign is made up for; so the case gets no attempt
//! that it would not have got under the new policy from the beginning, but those that it had. What
//! is under way (an attempt, a look-up, a retry that a person asked for) goes on.

use super::step::Stepper;
use super::{Pending, State, Timer};
use crate::core::effect::CheckPurpose;
use crate::core::ledger::EntryKind;
use crate::core::policy::Policy;

impl Stepper<'_> {
    /// Goes on under the policy of this step.
    pub(super) fn move_policy(&mut self, to: &str) {
        let from = self.case.policy_version.clone();
        if from == to {
            let text = format!("A person asked for the policy {to}: the case has it already.");
            return self.note(EntryKind::Person, text);
        }
        if let Some(why) = self.unfit() {
            let text = format!("Not moved to the policy {to}: {why}.");
            return self.note(EntryKind::Person, text);
        }
        let rules = in_words(self.policy);
        let text = format!("A person moved the case from the policy {from} to {to}: {rules}.");
        self.note(EntryKind::Person, text);
        to.clone_into(&mut self.case.policy_version);
        self.skip_past_steps();
        self.plan_anew();
    }

    /// Why the case cannot go on under this policy.
    fn unfit(&self) -> Option<String> {
        if self.policy.billing().is_none_or(|billing| billing.id != self.case.gateway) {
            return Some(format!("{} is not its billing gateway", self.case.gateway));
        }
        let used = self.case.attempts.iter().map(|attempt| &attempt.charge.gateway);
        let gone = used.into_iter().find(|gateway| self.policy.gateway(gateway).is_none());
        // A late success there must still be found.
        gone.map(|gateway| format!("it has no gateway {gateway}, where the case was charged"))
    }

    /// Plans again what is only planned.
    fn plan_anew(&mut self) {
        let asked_for = self.case.forced || self.case.off_schedule || self.case.card_updated;
        let checks = self.waits_for(Pending::Check);
        if checks && self.case.check_purpose == Some(CheckPurpose::PreFlight) && !asked_for {
            // What the look-up was made for is decided anew when it is back.
            self.case.route = None;
        }
        let gives_up = self.case.timers.remove(&Timer::ClosingSweep).is_some()
            || self.case.check_purpose == Some(CheckPurpose::ClosingSweep);
        let planned = matches!(
            self.case.state,
            State::AwaitingCustomer | State::Monitoring | State::Scheduled
        );
        if planned && !checks && !asked_for {
            return self.plan();
        }
        if gives_up {
            self.set_closing_sweep();
        }
        self.plan_reminder();
    }
}

/// What the policy says of attempts, in a few words.
fn in_words(policy: &Policy) -> String {
    let schedule = serde_json::to_value(&policy.schedule).unwrap_or_default();
    let schedule = match schedule.as_str() {
        Some(name) => format!("`{name}`"),
        None => schedule.to_string(),
    };
    let Policy { max_attempts, window_days, .. } = policy;
    format!("{schedule}, {max_attempts} attempts in {window_days} days")
}
