//! A case of a store that was restored: it knows nothing of what happened since.
//!
//! Why here: attempts that were made after the copy have the ids that this case would give to its
//! next ones. So before anything is charged, each gateway is asked for what is known here, and for
//! those ids; what is found becomes what it was.
//!
//! What must stay true: while [`Restored`] stands nothing is charged, nobody is written to and
//! nothing is given up; nothing is sent to ask; no number stands for two attempts; where a gateway
//! cannot be asked a person decides.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reminders::days;
use super::step::Stepper;
use super::{Attempt, AttemptOutcome, Pending, State, Timer};
use crate::core::card::CardAttempt;
use crate::core::case::checks::{AFTER_THE_CHECK, SENDS_MAX, VERIFY_WAITS_S, wait};
use crate::core::effect::{AttemptRef, ChargeOrder, ChargeOutcome, CheckPurpose, LookUpAnswer};
use crate::core::fault::{Mutant, fault};
use crate::core::ids::{AttemptId, CardKey, GatewayId};
use crate::core::ledger::{Decision, EntryKind};
use crate::core::policy::{CampaignStep, GatewayPolicy};

/// So many numbers behind the last known attempt are asked for: one may never have arrived.
const AHEAD: u32 = 3;

/// What is still to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When the store was restored.
    pub at: Timestamp,
    /// Gateways that have told all they know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<GatewayId>,
}

impl Stepper<'_> {
    /// The store of this case was restored.
    pub(super) fn on_restored(&mut self, at: Timestamp) {
        let skips = self.case.state.is_ended() || self.case.shadow || self.case.restored.is_some();
        if skips || fault(Mutant::TrustsRestored) {
            return;
        }
        self.case.restored = Some(Restored { at, asked: Vec::new() });
        self.case.route = None;
        self.cancel_messages();
        // A step whose day has come since was done, or is not made up for: nobody is told twice.
        let passed = |step: &&CampaignStep| self.case.opened_at + days(step.after_days) <= self.now;
        let done = self.policy.steps.iter().take_while(passed).count() as u32;
        self.case.steps_done = self.case.steps_done.max(done);
        let text = "The store was restored: what happened since is looked up before anything else.";
        self.note(EntryKind::Decided, text);
        self.ask_what_came_since();
    }

    /// Whether what came since the copy is to be looked up first; if so, `timer` comes again.
    pub(super) fn waits_for_what_came_since(&mut self, timer: Timer) -> bool {
        if self.case.restored.is_none() {
            return false;
        }
        self.set_timer(timer, self.now + AFTER_THE_CHECK);
        if !self.case.timers.contains_key(&Timer::LookUp) {
            self.ask_what_came_since();
        }
        true
    }

    /// Asks the next gateway; when all have told, the case goes on.
    pub(super) fn ask_what_came_since(&mut self) {
        if self.waits_for(Pending::Check) || self.waits_for(Pending::Charge) {
            return self.set_timer(Timer::LookUp, self.now + AFTER_THE_CHECK);
        }
        let Some(restored) = &self.case.restored else { return };
        let asked = |gateway: &&GatewayPolicy| restored.asked.contains(&gateway.id);
        let policy = self.policy;
        let next = policy.gateways.iter().find(|gateway| !asked(gateway));
        let Some(gateway) = next else { return self.know_what_came_since() };
        let id = gateway.id.clone();
        if !self.may_have_charged(gateway) {
            return self.has_told(id);
        }
        if self.tells_by_its_invoice(gateway) {
            let known = self.references(|_| true);
            return self.start_check(CheckPurpose::Restored, known);
        }
        if !gateway.capabilities.look_up {
            self.case.restored = None;
            let flag = format!(
                "The store was restored, and {id} cannot be asked what was charged since: compare \
                 there, then resume or stop"
            );
            return self.hold_for_person(&flag, "the store was restored");
        }
        let first = self.case.attempts.len() as u32 + 1;
        let numbers = first..first + AHEAD;
        let made = numbers.map(|number| AttemptRef {
            charge: self.as_it_would_be(number, &id),
            payment: None,
            first_sent_at: self.case.opened_at,
        });
        let mut wanted = self.references(|_| true);
        wanted.extend(made);
        self.start_check(CheckPurpose::Restored, wanted);
    }

    /// Whether this gateway's invoice tells what was paid: then no attempt there is searched for.
    fn tells_by_its_invoice(&self, gateway: &GatewayPolicy) -> bool {
        gateway.id == self.case.gateway && gateway.capabilities.read_invoice
    }

    /// Whether there is something at this gateway that could have been charged.
    fn may_have_charged(&self, gateway: &GatewayPolicy) -> bool {
        let methods = &self.around.customer.methods;
        gateway.id == self.case.gateway || methods.iter().any(|m| m.gateway == gateway.id)
    }

    /// Whether no other gateway is to be asked behind the one that is being asked.
    pub(super) fn is_last_to_tell(&self) -> bool {
        let asked = self.case.restored.as_ref().map(|restored| restored.asked.as_slice());
        let open = |g: &&GatewayPolicy| {
            !asked.unwrap_or_default().contains(&g.id) && self.may_have_charged(g)
        };
        self.policy.gateways.iter().filter(open).count() <= 1
    }

    fn has_told(&mut self, gateway: GatewayId) {
        if let Some(restored) = &mut self.case.restored {
            restored.asked.push(gateway);
        }
        self.ask_what_came_since();
    }

    /// What was asked has come back.
    pub(super) fn on_restored_checked(&mut self, unanswered: Option<String>, found: bool) {
        let Some(restored) = &mut self.case.restored else { return };
        if let Some(why) = unanswered {
            self.case.unverified += 1;
            let at = self.now + wait(&VERIFY_WAITS_S, self.case.unverified);
            self.set_timer(Timer::LookUp, at);
            let text = format!("what happened since the copy could not be looked up ({why})");
            return self.note(EntryKind::Decided, format!("Nothing is charged: {text}."));
        }
        if found {
            // There may be more behind it, at any of them.
            restored.asked.clear();
            return self.ask_what_came_since();
        }
        let next = self.policy.gateways.iter().find(|g| !restored.asked.contains(&g.id));
        match next.map(|gateway| gateway.id.clone()) {
            Some(gateway) => self.has_told(gateway),
            None => self.know_what_came_since(),
        }
    }

    /// Every gateway has told: the case goes on from there.
    fn know_what_came_since(&mut self) {
        self.case.restored = None;
        self.case.unverified = 0;
        self.note(EntryKind::Decided, "What happened since the copy is known: the case goes on.");
        if self.case.state.is_ended() {
            return;
        }
        if self.case.open_attempt().is_some() {
            self.set_timer(Timer::LookUp, self.now);
        } else if self.case.state == State::Scheduled {
            self.plan();
        }
        self.plan_reminder();
    }

    /// Keeps an attempt that was made since, where a gateway knows one. `None`: it does not.
    pub(super) fn remember_attempt(
        &mut self,
        id: &AttemptId,
        answer: &LookUpAnswer,
    ) -> Option<usize> {
        let LookUpAnswer::Found(outcome) = answer else { return None };
        if matches!(outcome, ChargeOutcome::Unknown { .. }) {
            return None;
        }
        let restored = self.case.restored.as_ref()?;
        let gateway = self.policy.gateways.iter().find(|g| !restored.asked.contains(&g.id))?;
        let gateway = gateway.id.clone();
        let first = self.case.attempts.len() as u32 + 1;
        let number = (first..first + AHEAD).find(|n| AttemptId::of(&self.case.id, *n) == *id)?;
        // Those between were made, too, and nobody knows them: their numbers are taken.
        for number in first..number {
            self.push_remembered(number, &gateway, AttemptOutcome::Error);
        }
        self.push_remembered(number, &gateway, AttemptOutcome::Unknown);
        let text = format!("Attempt {number} was made at {gateway} after the copy.");
        self.note(EntryKind::AttemptSent, text);
        Some(self.case.attempts.len() - 1)
    }

    fn push_remembered(&mut self, number: u32, gateway: &GatewayId, outcome: AttemptOutcome) {
        let charge = self.as_it_would_be(number, gateway);
        let card = self.card_at(gateway);
        if let (Some(key), AttemptOutcome::Unknown) = (&card, outcome) {
            self.around.card(key).note(CardAttempt {
                at: self.now,
                gateway: gateway.clone(),
                amount: charge.amount,
                approved: false,
                attempt: Some(charge.attempt.clone()),
            });
        }
        let why = "it was made before the store was restored".to_owned();
        let via = Some(gateway.to_string());
        let what = "attempt".to_owned();
        let at = Some(self.now);
        self.case.attempts.push(Attempt {
            charge,
            card,
            at: self.now,
            // When it was sent is not known: "not found" counts from now, and it is never re-sent.
            sent: Some((self.now, self.now)),
            sends: SENDS_MAX,
            look_ups: 0,
            outcome,
            settled_at: (outcome != AttemptOutcome::Unknown).then_some(self.now),
            payment: None,
            decline: None,
            on_schedule: outcome == AttemptOutcome::Unknown,
            forced: false,
            refunded: false,
            decision: Decision { what, at, via, why, considered: Vec::new() },
        });
    }

    fn card_at(&self, gateway: &GatewayId) -> Option<CardKey> {
        let methods = &self.around.customer.methods;
        methods.iter().find(|m| m.gateway == *gateway).map(|method| method.card.clone())
    }

    /// The attempt with this number, as far as it can be known.
    fn as_it_would_be(&self, number: u32, gateway: &GatewayId) -> ChargeOrder {
        let id = AttemptId::of(&self.case.id, number);
        let methods = &self.around.customer.methods;
        let method = methods.iter().find(|m| m.gateway == *gateway);
        ChargeOrder {
            idempotency_key: id.idempotency_key(),
            attempt: id,
            number,
            gateway: gateway.clone(),
            token: method.map(|m| m.token().to_owned()),
            customer: method
                .and_then(|m| m.gateway_customer.clone())
                .or_else(|| self.case.customer.clone()),
            subscription: self.case.subscription.clone(),
            invoice: self.case.invoice.clone(),
            amount: self.case.amount,
            billing: *gateway == self.case.gateway,
            network_transaction_id: None,
        }
    }
}
