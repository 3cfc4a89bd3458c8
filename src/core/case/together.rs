//! Several open invoices of one customer: one message speaks of all of them.
//!
//! Why here: each invoice is a case of its own, and a customer with three of them must not get
//! three messages. The case whose step comes first writes, and lists the others; those note that
//! they went along, and leave out the steps that the message stands for. All of it is one
//! transaction.
//!
//! What must stay true: a case that went along with a message that never left takes its steps
//! back, so that nobody is forgotten; one that wrote itself meanwhile takes nothing back, so that
//! nothing is sent twice. A last notice is never left out for a message that is none.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::reminders::{self, GRACE, days};
use super::step::Stepper;
use super::{Case, Message, MessageStatus, State, Timer};
use crate::core::decline;
use crate::core::effect::OwedInvoice;
use crate::core::ids::{CaseId, MessageId};
use crate::core::input::{Input, Together};
use crate::core::ledger::EntryKind;
use crate::core::policy::{CampaignStep, Condition, MessageKind, Policy};

/// A step that would be due so soon is left out when the customer is written to anyway.
pub(super) const SOON: SignedDuration = SignedDuration::from_hours(24 * 3);

/// Further invoices that one message lists at most.
const LISTED_AT_MOST: usize = 50;

/// Another open case of the customer, as the case that writes sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// What is owed.
    pub owed: OwedInvoice,
    /// When it opened: the oldest is listed first.
    pub opened_at: Timestamp,
    /// Only the customer can mend it.
    pub needs_customer: bool,
    /// When its own next message is planned.
    pub reminder_at: Option<Timestamp>,
}

/// This case went along in a message of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Along {
    /// Which message.
    pub message: MessageId,
    /// Whose.
    pub lead: CaseId,
    /// Steps that were done before it.
    pub from: u32,
    /// Steps that were done with it.
    pub until: u32,
}

/// Whether a step of this case may write a message, so that its siblings must be known.
pub fn may_write(case: &Case, now: Timestamp) -> bool {
    let due = case.timers.get(&Timer::Reminder).is_some_and(|at| *at <= now);
    case.customer.is_some() && (due || !case.messages.is_empty())
}

/// This case as another one of the customer lists it; `None` when the customer is not to be told
/// of it: it is over, held, being charged right now, or nothing they should be troubled with.
pub fn sibling(case: &Case, policy: &Policy) -> Option<Sibling> {
    let needs_customer = case.state == State::AwaitingCustomer;
    let told = decline::policy(reminders::category(case)).tell_customer || needs_customer;
    let settled =
        matches!(case.state, State::AwaitingCustomer | State::Monitoring | State::Scheduled);
    if !settled || !told || case.open_attempt().is_some() {
        return None;
    }
    Some(Sibling {
        owed: OwedInvoice {
            case: case.id.clone(),
            invoice: case.invoice.clone(),
            amount: case.amount,
            description: case.description.clone(),
            ends_at: Some(case.window_from + days(policy.window_days) + GRACE),
        },
        opened_at: case.opened_at,
        needs_customer,
        reminder_at: case.timers.get(&Timer::Reminder).copied(),
    })
}

/// The siblings in the order in which they are listed.
pub fn in_order(mut siblings: Vec<Sibling>) -> Vec<Sibling> {
    siblings.sort_by(|a, b| (a.opened_at, &a.owed.case).cmp(&(b.opened_at, &b.owed.case)));
    siblings.truncate(LISTED_AT_MOST);
    siblings
}

/// What the step that made `after` of a case with the messages `before` means to the other cases of
/// the customer.
pub fn ripples(before: &[Message], after: &Case) -> Vec<(CaseId, Input)> {
    let lost = |m: &Message| matches!(m.status, MessageStatus::Dropped | MessageStatus::Failed);
    let mut told = Vec::new();
    for message in after.messages.iter().filter(|m| !m.with.is_empty()) {
        let was = before.iter().find(|m| m.id == message.id);
        let together = match was {
            None if !lost(message) => Together::Joined {
                message: message.id.clone(),
                lead: after.id.clone(),
                kind: message.kind,
                at: message.at,
            },
            Some(was) if !lost(was) && lost(message) => {
                Together::Left { message: message.id.clone() }
            }
            _ => continue,
        };
        told.extend(message.with.iter().map(|c| (c.clone(), Input::Together(together.clone()))));
    }
    // What was lost is taken back before what is new is taken over.
    told.sort_by_key(|(_, input)| matches!(input, Input::Together(Together::Joined { .. })));
    told
}

impl Stepper<'_> {
    /// The further invoices that a message of this kind lists.
    pub(super) fn also_owed(&self, kind: MessageKind) -> Vec<OwedInvoice> {
        // "There is nothing to do" would be untrue of those.
        let fits = |s: &&Sibling| kind != MessageKind::PaymentFailed || !s.needs_customer;
        self.around.siblings.iter().filter(fits).map(|s| s.owed.clone()).collect()
    }

    /// Whether another invoice's message is about to ask the customer to do something.
    pub(super) fn another_asks_soon(&self) -> bool {
        let soon = |at: Timestamp| at <= self.now + SOON;
        self.around.siblings.iter().any(|s| s.needs_customer && s.reminder_at.is_some_and(soon))
    }

    /// Another case of the customer wrote, or what it wrote never left.
    pub(super) fn on_together(&mut self, together: &Together) {
        match together {
            Together::Joined { message, lead, kind, at } => {
                let from = self.case.steps_done;
                while let Some(step) = self.policy.steps.get(self.case.steps_done as usize)
                    && self.case.opened_at + days(step.after_days) <= *at + SOON
                    && stands_for(*kind, step)
                {
                    self.case.steps_done += 1;
                }
                let until = self.case.steps_done;
                let (message, lead) = (message.clone(), lead.clone());
                self.note(
                    EntryKind::Message,
                    format!(
                        "It goes along in the {} message of {lead}: one message for all open \
                         invoices.",
                        kind.words()
                    ),
                );
                self.case.along.push(Along { message, lead, from, until });
            }
            Together::Left { message } => {
                let Some(index) = self.case.along.iter().position(|a| a.message == *message) else {
                    return;
                };
                let along = self.case.along.remove(index);
                if self.case.state.is_ended() {
                    return;
                }
                if self.case.steps_done == along.until {
                    self.case.steps_done = along.from;
                }
                let text = "The message that it went along in never left: its own step counts.";
                self.note(EntryKind::Message, text);
            }
        }
        self.plan_reminder();
    }
}

/// Whether a message of this kind says what the step would have said.
fn stands_for(kind: MessageKind, step: &CampaignStep) -> bool {
    match kind {
        MessageKind::LastNotice => true,
        MessageKind::PaymentFailed => {
            step.kind == MessageKind::PaymentFailed && step.condition != Condition::NeedsCustomer
        }
        MessageKind::CardUpdate | MessageKind::ConfirmBank => step.kind != MessageKind::LastNotice,
        MessageKind::Recovered => false,
    }
}
