//! The plan: a dry run of one case, from now until it ends.
//!
//! Why here: "what will you do with my customer?" is answered by the core that will do it, driven
//! through a made-up world in which nothing helps: invoices stay open, every charge is declined in
//! the same way, every message is accepted, nobody pays.
//!
//! What must stay true: pure: nothing is sent, charged, read or written; the same case, policy and
//! time give the same plan; a plan holds no card-update link, no token and no address.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::case::step::{self, Around, Step};
use crate::core::case::{Case, Message, MessageStatus, Pending, State};
use crate::core::customer::Channel;
use crate::core::decline::Decline;
use crate::core::effect::{
    ChargeOrder, ChargeOutcome, CheckReport, CloseOrder, Effect, InvoiceStatus, InvoiceView,
    LookUpAnswer, MarkPaidOutcome, Order, Outcome,
};
use crate::core::event::{Event, PaymentMethodFacts};
use crate::core::ids::{AttemptId, CaseId};
use crate::core::input::{Input, OperatorAction};
use crate::core::ledger::{Considered, EntryKind, LedgerEntry};
use crate::core::limits;
use crate::core::money::Money;
use crate::core::policy::{MessageKind, Policy};
use crate::core::trial::Arm;
use crate::message::Brand;

mod made_up;

use made_up::{is_unknown, name, planned, queued_step, sent, unknown};

/// Inputs of one dry run at most: a wall against a case that would go on for ever.
const INPUTS_AT_MOST: usize = 500;

/// What a plan is made under.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The policy of the case.
    pub policy: &'a Policy,
    /// Whose messages they are.
    pub brand: &'a Brand,
    /// From when.
    pub now: Timestamp,
}

/// Everything that would be done for one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The case.
    pub case: CaseId,
    /// Its invoice.
    pub invoice: String,
    /// Its customer.
    pub customer: Option<String>,
    /// What is owed.
    pub amount: Money,
    /// From when.
    pub from: Timestamp,
    /// How every attempt is taken to be declined.
    pub decline: Decline,
    /// What would be done, in its order.
    pub steps: Vec<PlanStep>,
    /// How it would end.
    pub ends: End,
    /// What the networks would charge for it.
    #[serde(default)]
    pub network_fees: NetworkFees,
}

/// What the networks would charge for the attempts of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFees {
    /// Attempts that would break a limit, and be billed: always none.
    pub billed_attempts: usize,
    /// What the card's network bills where its limits are broken.
    pub if_broken: Vec<String>,
}

/// What kind of step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// From here on only the customer can mend it.
    AskCustomer,
    /// A charge.
    Attempt,
    /// Subscription and invoice are closed.
    Close,
    /// A person of the merchant is told.
    Flag,
    /// A message.
    Message,
    /// A message that would have been due, and is not sent.
    NoMessage,
    /// Something else that is decided.
    Note,
    /// Nothing is done until then.
    Wait,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// When.
    pub at: Timestamp,
    /// Its kind.
    pub what: What,
    /// Through which gateway, or on which channel.
    pub via: Option<String>,
    /// What happens, in one sentence.
    pub text: String,
    /// Why.
    pub why: Option<String>,
    /// What else was possible, and why it was not taken.
    #[serde(default)]
    pub considered: Vec<Considered>,
    /// The message, as the customer would read it.
    pub message: Option<PlannedMessage>,
}

/// A message, as the customer would read it. The link is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMessage {
    /// What it says.
    pub kind: MessageKind,
    /// How it would go.
    pub channel: Channel,
    /// In which language.
    pub locale: String,
    /// The subject, where the channel has one.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// How the dry run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When; none when it waits for somebody.
    pub at: Option<Timestamp>,
    /// In which state.
    pub state: State,
    /// Why.
    pub reason: String,
}

/// The plan for the case that `event` opens; `None` when it opens none. `around` is what is known
/// of the customer before it.
pub fn of_event(event: &Event, mut around: Around, frame: Frame<'_>) -> Option<Plan> {
    let billing = frame.policy.billing()?;
    step::learn(&mut around.customer, &billing.id, event);
    let first = step::open(event, &mut around, frame.policy, frame.now)?;
    let mut run = Run::new(first.case.clone(), around, frame);
    run.take(first);
    Some(run.finish())
}

/// The plan for a case that there is.
pub fn of_case(case: Case, around: Around, frame: Frame<'_>) -> Plan {
    let mut run = Run::new(case, around, frame);
    run.answer_pending();
    run.finish()
}

/// The plan for a case that is moved to the policy of the frame before anything else happens;
/// `Err`: why it cannot be.
pub fn of_moved_case(
    case: Case,
    around: Around,
    frame: Frame<'_>,
    to: &str,
) -> Result<Plan, String> {
    let mut run = Run::new(case, around, frame);
    let step = run.step(&Input::Operator(OperatorAction::MovePolicy { to: to.to_owned() }));
    if step.case.policy_version != to {
        let why = step.ledger.into_iter().next_back().map(|entry| entry.text);
        return Err(why.unwrap_or_default());
    }
    run.take(step);
    run.answer_pending();
    Ok(run.finish())
}

/// A dry run under way.
struct Run<'a> {
    frame: Frame<'a>,
    now: Timestamp,
    case: Case,
    around: Around,
    decline: Decline,
    queue: Vec<Effect>,
    steps: Vec<PlanStep>,
}

impl<'a> Run<'a> {
    fn new(case: Case, around: Around, frame: Frame<'a>) -> Self {
        let decline = case.decline.clone().unwrap_or_else(unknown);
        let (queue, steps) = (Vec::new(), Vec::new());
        Self { frame, now: frame.now, case, around, decline, queue, steps }
    }

    fn finish(mut self) -> Plan {
        let mut inputs = 0;
        while inputs < INPUTS_AT_MOST && self.go_on() {
            inputs += 1;
        }
        let network_fees = self.network_fees();
        let case = self.case;
        Plan {
            case: case.id,
            invoice: case.invoice,
            customer: case.customer,
            amount: case.amount,
            from: self.frame.now,
            decline: self.decline,
            steps: self.steps,
            ends: End { at: case.ended_at, state: case.state, reason: case.reason },
            network_fees,
        }
    }

    /// Counted again over the cards as they are when all is done.
    fn network_fees(&self) -> NetworkFees {
        let cards = self.around.cards.values();
        let method = self.case.card.as_ref().and_then(|card| {
            self.around.customer.methods.iter().find(|method| method.card == *card)
        });
        let network = method.and_then(|method| method.facts.network.as_deref());
        NetworkFees {
            billed_attempts: cards.map(limits::violations).sum(),
            if_broken: limits::fees(network).map(ToString::to_string).collect(),
        }
    }

    /// Performs the next effect or lets the next timer fall due. `false`: nothing is to come.
    fn go_on(&mut self) -> bool {
        let effect = (0..self.queue.len()).min_by_key(|index| self.queue[*index].not_before);
        let effect_at = effect.map(|index| self.queue[index].not_before.max(self.now));
        let timer_at = self.case.due_at().map(|at| at.max(self.now));
        match (effect.zip(effect_at), timer_at) {
            (Some((index, at)), timer) if timer.is_none_or(|timer| at <= timer) => {
                self.now = at;
                let effect = self.queue.remove(index);
                self.perform(effect);
            }
            (_, Some(at)) => {
                self.now = at;
                self.input(&Input::Due);
            }
            _ => return false,
        }
        true
    }

    fn input(&mut self, input: &Input) {
        let step = self.step(input);
        self.take(step);
    }

    fn step(&mut self, input: &Input) -> Step {
        step::step(self.case.clone(), input, &mut self.around, self.frame.policy, self.now)
    }

    /// Keeps what a step gave, and tells what is of interest.
    fn take(&mut self, step: Step) {
        for entry in &step.ledger {
            self.tell(entry, &step);
        }
        self.keep(step);
    }

    fn keep(&mut self, step: Step) {
        self.queue.extend(step.effects);
        self.queue.retain(|effect| !step.cancelled.contains(&effect.id));
        self.case = step.case;
    }

    // ---- the made-up world ----

    fn perform(&mut self, effect: Effect) {
        let outcome = match effect.order {
            Order::AdoptMethod(_) | Order::Close(_) => Outcome::Acted(Ok(())),
            Order::Charge(_) => Outcome::Charge(self.declined()),
            Order::Check(order) => {
                self.checked(order.attempts.into_iter().map(|a| a.charge.attempt))
            }
            Order::MarkPaid(_) => Outcome::MarkedPaid(MarkPaidOutcome::Done),
            Order::Refund(_) => Outcome::Refunded(Ok(())),
            Order::Send(_) => sent(),
        };
        self.answer(Input::Outcome(effect.id, Box::new(outcome)));
    }

    /// That a message was accepted goes without saying; everything else is told.
    fn answer(&mut self, input: Input) {
        let is_sent = matches!(&input, Input::Outcome(_, outcome)
            if matches!(**outcome, Outcome::Sent(_)));
        let step = self.step(&input);
        if is_sent { self.keep(step) } else { self.take(step) }
    }

    /// Answers what a case that there is waits for.
    fn answer_pending(&mut self) {
        self.tell_queued();
        let pending: Vec<_> = self.case.pending.clone().into_iter().collect();
        for (id, pending) in pending {
            let outcome = match pending {
                Pending::Adopt | Pending::Close => Outcome::Acted(Ok(())),
                Pending::Charge => Outcome::Charge(self.declined()),
                Pending::Check => {
                    let open = self.case.attempts.iter().filter(|a| is_unknown(a));
                    let open: Vec<_> = open.map(|a| a.charge.attempt.clone()).collect();
                    self.checked(open)
                }
                Pending::MarkPaid => Outcome::MarkedPaid(MarkPaidOutcome::Done),
                Pending::Message => sent(),
                Pending::Refund => Outcome::Refunded(Ok(())),
            };
            self.answer(Input::Outcome(id, Box::new(outcome)));
        }
    }

    fn declined(&self) -> ChargeOutcome {
        ChargeOutcome::Declined {
            payment: None,
            decline: self.decline.clone(),
            method: PaymentMethodFacts::default(),
        }
    }

    fn checked(&self, attempts: impl IntoIterator<Item = AttemptId>) -> Outcome {
        let reads = self.frame.policy.billing().is_some_and(|g| g.capabilities.read_invoice);
        let invoice = reads.then_some(InvoiceView {
            status: InvoiceStatus::Open,
            amount_remaining: None,
            paid_out_of_band: false,
            next_native_attempt_at: None,
            attempt_count: None,
        });
        let found = |attempt| (attempt, LookUpAnswer::Found(self.declined()));
        let attempts = attempts.into_iter().map(found).collect();
        Outcome::Checked(CheckReport { invoice, invoice_error: None, attempts })
    }

    // ---- telling ----

    fn tell(&mut self, entry: &LedgerEntry, step: &Step) {
        let decided = entry.decision.as_ref().map(|decision| decision.what.as_str());
        match (entry.kind, decided) {
            (EntryKind::Decided, Some("attempt" | "route")) => {}
            (EntryKind::Decided, Some("arm")) if self.case.arm != Some(Arm::Holdout) => {}
            (EntryKind::Decided, Some("wait")) => self.tell_as(What::Wait, entry),
            (EntryKind::Decided, Some("ask_customer")) => self.tell_as(What::AskCustomer, entry),
            (EntryKind::Decided, Some("message")) => self.tell_message(entry, step),
            (EntryKind::Decided, _) => self.tell_as(What::Note, entry),
            (EntryKind::AttemptSent, _) => self.tell_attempt(step),
            (EntryKind::Flagged, _) => self.tell_as(What::Flag, entry),
            (EntryKind::Message, _) => self.tell_as(What::NoMessage, entry),
            (EntryKind::Ended, _) => self.tell_close(step),
            (
                EntryKind::Acted
                | EntryKind::AttemptOutcome
                | EntryKind::Event
                | EntryKind::Opened
                | EntryKind::Person,
                _,
            ) => {}
        }
    }

    fn tell_as(&mut self, what: What, entry: &LedgerEntry) {
        let decision = entry.decision.as_ref();
        let step = PlanStep {
            at: self.now,
            what,
            via: decision.and_then(|d| d.via.clone()),
            text: entry.text.clone(),
            why: decision.map(|d| d.why.clone()),
            considered: decision.map(|d| d.considered.clone()).unwrap_or_default(),
            message: None,
        };
        // The same hint again, until something else happens, is no news.
        let again = self.steps.iter().rev().take_while(|s| s.what == What::NoMessage);
        if !again.into_iter().any(|before| before.text == step.text) {
            self.steps.push(step);
        }
    }

    fn tell_attempt(&mut self, step: &Step) {
        let Some(attempt) = step.case.attempts.last() else { return };
        let ChargeOrder { number, gateway, amount, .. } = &attempt.charge;
        self.steps.push(PlanStep {
            at: self.now,
            what: What::Attempt,
            via: Some(gateway.to_string()),
            text: format!("Attempt {number}: {amount} through {gateway}."),
            why: Some(attempt.decision.why.clone()),
            considered: attempt.decision.considered.clone(),
            message: None,
        });
    }

    fn tell_message(&mut self, entry: &LedgerEntry, step: &Step) {
        let order = step.effects.iter().find_map(|effect| match &effect.order {
            Order::Send(order) => Some((order, effect.not_before)),
            _ => None,
        });
        let Some((order, at)) = order else { return };
        self.tell_as(What::Message, entry);
        let message = planned(order, self.frame.brand);
        if let Some(told) = self.steps.last_mut() {
            told.at = at;
            told.message = message;
        }
    }

    fn tell_close(&mut self, step: &Step) {
        let close = step.effects.iter().find_map(|effect| match &effect.order {
            Order::Close(order) => Some(order),
            _ => None,
        });
        let Some(CloseOrder { gateway, subscription_action, invoice_action, .. }) = close else {
            return;
        };
        self.steps.push(PlanStep {
            at: self.now,
            what: What::Close,
            via: Some(gateway.to_string()),
            text: format!(
                "At {gateway}: subscription {}, invoice {}.",
                name(subscription_action),
                name(invoice_action)
            ),
            why: Some("the merchant file says so for cases that nothing helped".into()),
            considered: Vec::new(),
            message: None,
        });
    }

    /// Messages that were on their way before the plan began.
    fn tell_queued(&mut self) {
        let queued = self.case.messages.iter().filter(|m| m.status == MessageStatus::Queued);
        let waits = |m: &&Message| self.case.pending.contains_key(&m.effect);
        let steps: Vec<_> = queued.filter(waits).map(|m| queued_step(m, self.now)).collect();
        self.steps.extend(steps);
    }
}
