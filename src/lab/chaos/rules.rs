//! The rules: what must be true at the gateways' ledgers, at every moment and at the end.
//!
//! Why here: design §4, checked from outside. What recoup believes is never taken as proof; its
//! store is only read for what it had made durable when something left.
//!
//! What must stay true: a rule is told broken only for what recoup could know, so that a correct
//! recoup has no violation in any world.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::bank::{Charge, Status};
use super::trace::say;
use super::world::{Ends, Told, World};
use crate::core::case::{Case, State};
use crate::core::decline::Decline;
use crate::core::effect::{AttemptRef, ChargeOrder, ChargeOutcome, LookUpAnswer, Outcome};
use crate::core::ids::CaseId;
use crate::core::ledger::{EntryKind, LedgerEntry};
use crate::core::limits;
use crate::core::money::Money;

/// A request that was planned just before a window closed may arrive just behind it.
const EDGE: SignedDuration = SignedDuration::from_hours(2);

/// A charge may wait so long in the outbox after everything was looked up.
const LOOKED_UP: SignedDuration = SignedDuration::from_mins(70);

/// So far recoup's clock may be off, or was set meanwhile.
const SKEW: SignedDuration = SignedDuration::from_mins(4);

/// An attempt as the outside saw it.
#[derive(Debug, Clone)]
pub(super) struct Tracked {
    invoice: usize,
    card: usize,
    attempt: String,
    request: ChargeOrder,
    last_sent: Timestamp,
    sends: u32,
    /// Sends that may have had an effect.
    real: u32,
    /// No definite answer was given yet.
    open: bool,
}

impl World {
    /// A charge leaves recoup.
    pub(super) fn leaves(&mut self, order: &ChargeOrder) {
        let Some(invoice) = self.invoice_index(&order.invoice) else { return };
        let key = order.idempotency_key.clone();
        say!(self, "{key} of in_{invoice} leaves for {}", order.gateway);
        self.check_intent(order, invoice);
        let card = self.card_of(order.token.as_deref(), invoice);
        self.check_in_flight(&key, invoice, card);
        self.check_orders(&key, invoice, card);
        self.check_visible(&key, invoice);
        let attempt = order.attempt.to_string();
        let twin = self.tracked.iter().find(|(k, t)| **k != key && t.attempt == attempt);
        if let Some((other, _)) = twin {
            let other = other.clone();
            self.broken("I2", format!("{attempt} has two keys, {other} and {key}"));
        }
        let now = self.now;
        let entry = self.tracked.entry(key.clone()).or_insert_with(|| Tracked {
            invoice,
            card,
            attempt: attempt.clone(),
            request: order.clone(),
            last_sent: now,
            sends: 0,
            real: 0,
            open: true,
        });
        entry.sends += 1;
        entry.real += 1;
        entry.last_sent = now;
        let same = entry.attempt == attempt && entry.request == *order;
        if entry.sends > 1 {
            self.count("resends");
        }
        if !same {
            self.broken("I2", format!("{key} leaves with other bytes or for another attempt"));
        }
        self.tempt(invoice);
    }

    /// The intent is durable, and the case has not ended.
    fn check_intent(&mut self, order: &ChargeOrder, invoice: usize) {
        let id = self.invoices[invoice].case.clone();
        let Some(case) = self.durable.cases.get(&id) else {
            return self.broken("I2", format!("in_{invoice} is charged without a case"));
        };
        let whole = case.intent.as_ref() == Some(order);
        let (ended, owed) = (case.state.is_ended(), case.amount);
        if !whole {
            self.broken("I2", format!("{} left without a durable intent", order.attempt));
        }
        let prefix =
            format!("tok_{}_", self.banks.iter().position(|b| b.id == order.gateway).unwrap_or(9));
        if order.token.as_deref().is_some_and(|token| !token.starts_with(&prefix)) {
            self.broken("I2", format!("{:?} is no token of {}", order.token, order.gateway));
        }
        if ended {
            self.broken("I5", format!("in_{invoice} is charged after its case ended"));
        }
        if self.invoices[invoice].held_until.is_some_and(|until| until > self.now + SKEW) {
            self.broken("I5", format!("in_{invoice} is charged while a person holds it"));
        }
        if order.amount.minor > self.invoices[invoice].amount.minor {
            let asked = order.amount;
            self.broken("I1", format!("in_{invoice} is charged {asked}, and {owed} is owed"));
        }
    }

    fn check_in_flight(&mut self, key: &str, invoice: usize, card: usize) {
        let other = self
            .tracked
            .iter()
            .filter(|(k, t)| *k != key && t.open && t.real > 0)
            .find(|(_, t)| t.invoice == invoice || t.card == card);
        if let Some((other, t)) = other {
            let text = format!(
                "{key} of in_{invoice} leaves while nobody knows what became of {other} of in_{}",
                t.invoice
            );
            self.broken("I2", text);
        }
    }

    fn check_orders(&mut self, key: &str, invoice: usize, card: usize) {
        let again = self.tracked.contains_key(key);
        if self.cards[card].never_known && !again {
            self.broken("I4", format!("{key} of in_{invoice} is on card {card}: never again"));
        }
        let now = self.now;
        let held =
            self.invoices[invoice].delays.iter().find(|(c, at)| *c == card && *at > now + SKEW);
        if let Some((_, at)) = held.filter(|_| !again) {
            let at = *at;
            self.broken("I4", format!("{key} of in_{invoice} leaves before {at}, as was stated"));
        }
        let promised = self.invoices[invoice].promised.filter(|at| *at > self.clock() && !again);
        if let Some(at) = promised {
            self.broken("I4", format!("{key} of in_{invoice} leaves before {at}, as was promised"));
        }
    }

    /// Nothing that a look-up would have shown speaks against it.
    fn check_visible(&mut self, key: &str, invoice: usize) {
        if self.tracked.contains_key(key) {
            return;
        }
        let now = self.now;
        let visible = |since: Timestamp, lag: SignedDuration| since + lag + LOOKED_UP < now;
        let paid = self.banks.iter().find_map(|bank| {
            let seen = |c: &&Charge| {
                c.invoice == invoice
                    && c.native.is_none()
                    && c.status == Status::Approved
                    && !c.refunded
                    && visible(c.decided_at, bank.lag)
            };
            bank.charges.iter().find(seen).map(|c| c.key.clone())
        });
        if let Some(other) = paid {
            self.broken("I1", format!("{key} of in_{invoice} leaves, and {other} was approved"));
        }
        let closed = self.invoices[invoice].closed_at;
        let reads = self.billing().capabilities.read_invoice;
        if reads && closed.is_some_and(|at| visible(at, SignedDuration::ZERO)) {
            let status = self.invoices[invoice].status;
            self.broken("I5", format!("{key} of in_{invoice} leaves, and it is {status:?}"));
        }
    }

    /// recoup hears what came of a charge.
    pub(super) fn hears(&mut self, order: &ChargeOrder, outcome: &ChargeOutcome) {
        let text = match outcome {
            ChargeOutcome::Approved { .. } => "approved".to_owned(),
            ChargeOutcome::Declined { decline, .. } => format!("declined {:?}", decline.advice),
            other => format!("{other:?}"),
        };
        say!(self, "{} of {} hears: {text}", order.idempotency_key, order.invoice);
        let Some(tracked) = self.tracked.get_mut(&order.idempotency_key) else { return };
        match outcome {
            ChargeOutcome::Approved { .. } | ChargeOutcome::Declined { .. } => {
                tracked.open = false;
            }
            // Of a re-send these say nothing about the first.
            ChargeOutcome::NotSent { .. }
            | ChargeOutcome::Refused { .. }
            | ChargeOutcome::InvoiceClosed => {
                tracked.real = tracked.real.saturating_sub(1);
                tracked.open = tracked.real > 0;
            }
            ChargeOutcome::Busy { .. } => tracked.real = tracked.real.saturating_sub(1),
            ChargeOutcome::Pending { .. } | ChargeOutcome::Unknown { .. } => {}
        }
    }

    /// recoup hears what a look-up found.
    pub(super) fn hears_of(&mut self, attempt: &AttemptRef, answer: &LookUpAnswer) {
        let key = attempt.charge.idempotency_key.clone();
        say!(self, "{key} of {} is looked up: {}", attempt.charge.invoice, brief(answer));
        let bank = self.banks.iter().find(|bank| bank.id == attempt.charge.gateway);
        let horizon = bank.map_or(SignedDuration::MAX, |bank| bank.capabilities.horizon());
        let now = self.now;
        let Some(tracked) = self.tracked.get_mut(&key) else { return };
        match answer {
            LookUpAnswer::Found(
                ChargeOutcome::Approved { .. } | ChargeOutcome::Declined { .. },
            ) => tracked.open = false,
            LookUpAnswer::NotFound if now + SKEW >= tracked.last_sent + horizon => {
                tracked.open = false
            }
            _ => {}
        }
    }

    /// recoup has made durable what this outcome told.
    pub(super) fn learned(&mut self, case: &CaseId, outcome: &Outcome) {
        let Some(invoice) = self.invoices.iter().position(|i| i.case == *case) else { return };
        let declined = |outcome: &ChargeOutcome| match outcome {
            ChargeOutcome::Declined { decline, method, .. } => {
                let token = method.token.clone()?;
                Some((token.rsplit('_').next()?.parse::<usize>().ok()?, decline.clone()))
            }
            _ => None,
        };
        let told: Vec<(usize, Decline)> = match outcome {
            Outcome::Charge(outcome) => declined(outcome).into_iter().collect(),
            Outcome::Checked(report) => {
                let open = |answer: &LookUpAnswer| match answer {
                    LookUpAnswer::Found(outcome) => declined(outcome),
                    _ => None,
                };
                report.attempts.iter().filter_map(|(_, answer)| open(answer)).collect()
            }
            _ => return,
        };
        for (card, decline) in told {
            if decline.advice == crate::core::decline::Advice::Never {
                self.cards[card].never_known = true;
            }
            if let (Some(told), Outcome::Charge(_)) =
                (self.told_of(invoice, card, &decline).delay, outcome)
            {
                self.invoices[invoice].delays.push((told.1, told.2));
            }
        }
    }

    /// recoup has applied this input.
    pub(super) fn applied(&mut self, number: u64) {
        if !self.durable.applied.insert(number) {
            self.broken("I3", format!("input {number} is applied twice"));
        }
        let Some(id) = self.durable.numbers.get(&number).cloned() else {
            return self.broken("I3", format!("input {number} is applied and was never appended"));
        };
        let Some(told) = self.facts.get(&id).cloned() else { return };
        if !self.durable.applied_ids.insert(id.clone()) {
            self.broken("I3", format!("{id} is applied twice"));
        }
        let Told { never, native, settles, outside, holds, resumes, .. } = told;
        if let Some((customer, answered)) = told.answered {
            self.heard(customer, answered);
        }
        self.note_promise(told.wish, told.new_card);
        if let Some(ends) = told.ends {
            self.check_ended(ends);
        }
        if let Some(invoice) = outside {
            self.invoices[invoice].outside_told += 1;
        }
        if let Some((invoice, until)) = holds
            && self.state_of(invoice) == Some(State::Paused)
        {
            self.invoices[invoice].held_until = Some(until);
        }
        if let Some(invoice) = resumes {
            self.invoices[invoice].promised = None;
            self.invoices[invoice].held_until = None;
        }
        if let Some(card) = never.filter(|_| native.is_some()) {
            self.cards[card].never_known = true;
        }
        if let Some(native) = native.and_then(|index| self.banks[0].charges.get_mut(index)) {
            native.native = Some(true);
        }
        if let Some(tracked) = settles.and_then(|key| self.tracked.get_mut(&key)) {
            tracked.open = false;
        }
    }

    /// The commit that applies such an event ends every case that it is about.
    fn check_ended(&mut self, ends: Ends) {
        let about = |index: usize| match ends {
            Ends::Customer(customer) => self.invoices[index].customer == customer,
            Ends::Invoice(invoice) => index == invoice,
        };
        let goes_on = |index: &usize| self.state_of(*index).is_some_and(|state| !state.is_ended());
        let open = (0..self.invoices.len()).filter(|index| about(*index)).find(goes_on);
        if let Some(index) = open {
            let state = self.state_of(index);
            self.broken("I5", format!("in_{index} is {state:?} after what ends it was applied"));
        }
    }

    fn state_of(&self, invoice: usize) -> Option<State> {
        Some(self.durable.cases.get(&self.invoices[invoice].case)?.state)
    }

    /// A second approval of ours, and no gateway changed its mind.
    pub(super) fn check_double(&mut self, invoice: usize) {
        let ours: Vec<_> = self.ours(invoice).collect();
        if ours.len() > 1 && !ours.iter().any(|c| c.flipped) {
            let keys: Vec<_> = ours.iter().map(|c| c.key.clone()).collect();
            self.broken("I1", format!("in_{invoice} is charged twice by recoup: {keys:?}"));
        }
    }

    /// Our approved charges of an invoice that were not given back.
    fn ours(&self, invoice: usize) -> impl Iterator<Item = &Charge> {
        self.banks.iter().flat_map(|bank| &bank.charges).filter(move |c| {
            c.invoice == invoice
                && c.native.is_none()
                && c.status == Status::Approved
                && !c.refunded
        })
    }

    /// Counts at the ledgers whether this attempt is one too many on its card.
    pub(super) fn check_limits(&mut self, card: usize, amount: Money) {
        let (now, plastic) = (self.now, &self.cards[card]);
        let tried: Vec<_> = self
            .banks
            .iter()
            .flat_map(|bank| &bank.charges)
            .filter(|c| c.card == card && c.native != Some(false))
            .collect();
        let mut over = None;
        for limit in limits::all() {
            let network = limit.network == "*" || limit.network == plastic.network;
            let country = limit.country.as_deref().is_none_or(|c| c == plastic.country);
            if !network || !country {
                continue;
            }
            let same = |c: &&&Charge| !limit.same_amount || c.amount == amount;
            let approved = tried.iter().filter(same).filter(|c| c.status == Status::Approved);
            let reset = approved.map(|c| c.at).max().filter(|_| limit.resets);
            let window = SignedDuration::from_secs(limit.window_s as i64) - EDGE;
            let from = (now - window).max(reset.unwrap_or(Timestamp::MIN));
            let declined = tried.iter().filter(same).filter(|c| c.status != Status::Approved);
            let used = declined.filter(|c| c.at > from).count();
            if used >= limit.max as usize {
                over = Some(format!("attempt {} on card {card}: {}", used + 1, limit.what));
            }
        }
        if let Some(text) = over {
            self.broken("I4", text);
        }
    }

    /// Everything that must be true when the world has come to rest.
    pub(super) fn check_end(
        &mut self,
        cases: &BTreeMap<CaseId, (Case, Vec<LedgerEntry>)>,
        messages: usize,
    ) {
        for invoice in 0..self.invoices.len() {
            let id = self.invoices[invoice].case.clone();
            let case = cases.get(&id).map(|(case, _)| case);
            self.check_money(invoice, case);
            if let Some((case, ledger)) = cases.get(&id) {
                self.check_alive(invoice, case);
                self.check_ledger(invoice, case, ledger);
            }
        }
        let told: usize = cases
            .values()
            .flat_map(|(_, ledger)| ledger)
            .filter(|e| e.decision.as_ref().is_some_and(|d| d.what == "message"))
            .count();
        let lost = self.durable.acknowledged.difference(&self.durable.applied_ids).next().cloned();
        if let Some(id) = lost {
            self.broken("I3", format!("{id} was acknowledged and never applied"));
        }
        let sent = self.sent_messages.len();
        if told < sent || messages > sent {
            self.broken("I8", format!("{sent} messages left, {told} were decided"));
        }
    }

    fn check_money(&mut self, invoice: usize, case: Option<&Case>) {
        let ours = self.ours(invoice).count() as u32;
        let known = &self.invoices[invoice];
        let outside = known.outside - known.outside_refunded;
        let flags = case.map(|case| case.flags.clone()).unwrap_or_default();
        let (status, state) = (known.status, case.map(|case| case.state));
        // Where nothing can be read and the webhook is lost, nobody can know of the other payment.
        let at_billing = self.billing().charges.iter().filter(|c| {
            c.invoice == invoice
                && c.native.is_none()
                && c.status == Status::Approved
                && !c.refunded
        });
        let elsewhere = at_billing.count() < ours as usize;
        let capabilities = &self.billing().capabilities;
        // A case that was stopped is read once more, and then no more.
        let read = state != Some(State::Stopped) || known.read_at > known.outside_at;
        let told = read
            && (capabilities.read_invoice || (elsewhere && capabilities.paid_out_of_band))
            || known.outside_told > 0;
        if ours > 1 || (ours > 0 && outside > 0 && told) {
            let text = format!(
                "in_{invoice} ends with {ours} captures of ours and {outside} of others; {flags:?}"
            );
            self.broken("I1", text);
        }
        let (offline, given_back) =
            (self.invoices[invoice].offline, self.invoices[invoice].given_back);
        if ours > 0 && offline > 0 && flags.is_empty() {
            self.broken("I1", format!("in_{invoice} was paid by hand too, and nobody is told"));
        }
        if ours + outside + offline == 0 && state == Some(State::Recovered) && !given_back {
            self.broken("I1", format!("in_{invoice} is recovered, and nobody has paid"));
        }
        let seen = state == Some(State::Recovered) || !flags.is_empty();
        if ours + outside > 0 && !seen && ours > 0 {
            self.broken("I1", format!("in_{invoice} is paid ({status:?}); its case is {state:?}"));
        }
    }

    fn check_alive(&mut self, invoice: usize, case: &Case) {
        let state = case.state;
        if let Some(open) = case.open_attempt() {
            let id = open.charge.attempt.clone();
            self.broken("I13", format!("in_{invoice}: nobody knows what became of {id}"));
        }
        let waits = match state {
            State::Paused => true,
            State::AwaitingCustomer => case.due_at().is_some(),
            state => state.is_ended(),
        };
        if !waits {
            let timers = &case.timers;
            self.broken("I13", format!("in_{invoice} is {state:?} at the end, {timers:?}"));
        }
        if !case.pending.is_empty() {
            let pending = case.pending.values().collect::<Vec<_>>();
            self.broken("I13", format!("in_{invoice} waits for ever for {pending:?}"));
        }
        if state.is_ended() && case.due_at().is_some() {
            self.broken("I13", format!("in_{invoice} ended and has timers"));
        }
    }

    fn check_ledger(&mut self, invoice: usize, case: &Case, ledger: &[LedgerEntry]) {
        let numbers = ledger.iter().map(|e| e.sequence);
        if !numbers.eq(1..=case.ledger_sequence) {
            self.broken("I8", format!("the ledger of in_{invoice} has holes"));
        }
        let count = |kind| ledger.iter().filter(|e| e.kind == kind).count();
        let routes =
            ledger.iter().filter(|e| e.decision.as_ref().is_some_and(|d| d.what == "route"));
        let attempts = case.attempts.len();
        let reasons = case.attempts.iter().filter(|a| !a.decision.why.is_empty()).count();
        if count(EntryKind::AttemptSent) < attempts
            || routes.count() < attempts
            || reasons < attempts
        {
            self.broken("I8", format!("an attempt of in_{invoice} has no decision"));
        }
    }
}

fn brief(answer: &LookUpAnswer) -> &'static str {
    match answer {
        LookUpAnswer::Found(ChargeOutcome::Approved { .. }) => "approved",
        LookUpAnswer::Found(ChargeOutcome::Declined { .. }) => "declined",
        LookUpAnswer::Found(ChargeOutcome::Pending { .. }) => "pending",
        LookUpAnswer::Found(_) => "found",
        LookUpAnswer::NotFound => "not found",
        LookUpAnswer::Unavailable { .. } => "unavailable",
    }
}
