//! Attempts: whether, when and where to charge, and what came of it.
//!
//! Why here: the order of the questions is the product's promise. May it be charged at all (advice,
//! then network limits, then stated delays, then the category)? When? Where? Each answer is a
//! decision in the ledger.
//!
//! What must stay true: the intent is in the case, durable, before a charge leaves; a key belongs
//! to one attempt for ever; an outcome that nobody knows is never treated as a failure.

use jiff::{SignedDuration, Timestamp};

use super::checks::AFTER_THE_CHECK;
use super::evidence;
use super::step::Stepper;
use super::{Attempt, AttemptOutcome, Next, Pending, State, Timer};
use crate::core::decline::{
    self, Advice, Category, CategoryPolicy, Decline, OtherGateway, RetryMode,
};
use crate::core::effect::{ChargeOrder, Order};
use crate::core::fault::{Mutant, fault};
use crate::core::ids::AttemptId;
use crate::core::ledger::{Considered, Decision, EntryKind};
use crate::core::money::Money;
use crate::core::policy::Schedule;
use crate::core::routing::Choice;
use crate::core::schedule::{self, Frame};

/// Attempts on one invoice at most, technical ones included: a wall against loops of any kind.
pub(super) const ATTEMPTS_PER_INVOICE: usize = 24;
/// Hours between two attempts on the schedule at least.
const GAP: SignedDuration = SignedDuration::from_hours(48);

impl Stepper<'_> {
    /// What to do next about an invoice that is owed, by its newest refusal.
    pub(super) fn plan(&mut self) {
        let unknown = self.case.open_attempt().is_some() && !fault(Mutant::SecondWhileUnknown);
        if !self.goes_on() || unknown {
            return;
        }
        self.case.timers.remove(&Timer::NextAttempt);
        self.case.timers.remove(&Timer::NativeRetry);
        self.case.off_schedule = false;
        if self.around.customer.excluded {
            return self.end(State::Stopped, "the customer is excluded from recovery");
        }
        if self.case.card_updated {
            let (at, why) = self.after_the_page();
            return self.schedule_at(at, why);
        }
        if self.native_retry_is_ahead() {
            return self.watch_native_retry();
        }
        if self.keep_promise() {
            return;
        }
        let Some(decline) = self.case.decline.clone() else {
            return self.plan_on_schedule(decline::policy(Category::Unknown), None);
        };
        let policy = decline::policy(decline.category);
        match decline.advice {
            Advice::Never => self.ask_customer("the bank said never to charge this card again"),
            Advice::UpdateCredentials => self.ask_customer("the card's details have to change"),
            Advice::Authenticate => self.ask_customer("the bank wants the customer to confirm"),
            Advice::CheckStatus => self.plan_check(policy),
            Advice::RetryAfter | Advice::None => self.plan_by_category(policy, &decline),
        }
    }

    /// When the card that the customer just gave is charged: at once, but where the page that was
    /// opened takes the payment itself and nothing but its news tells of that. The news may be on
    /// its way still, and a charge beside it would be the second.
    fn after_the_page(&self) -> (Timestamp, &'static str) {
        /// The gateways send such news within minutes; the news of the card alone may be quicker.
        const NEWS_OF_THE_PAYMENT: SignedDuration = SignedDuration::from_hours(1);
        let may_have_paid =
            self.policy.billing().is_some_and(|g| g.capabilities.page_takes_payment);
        if may_have_paid && self.case.page_used {
            let why = "the card was updated on a page that takes the payment too: its news first";
            return (schedule::after(self.now, NEWS_OF_THE_PAYMENT), why);
        }
        (self.now, "the card was updated")
    }

    /// Whether the last attempt took the money is not certain. Where the invoice is read before
    /// each attempt, that settles it; where it is not, only a person can tell.
    fn plan_check(&mut self, policy: &'static CategoryPolicy) {
        let reads = self.policy.billing().is_some_and(|g| g.capabilities.read_invoice);
        if reads || !policy.soon_delays_s.is_empty() {
            return self.plan_soon(policy, "its state has to be looked up first");
        }
        self.hold_for_person(
            "The gateway does not say for certain whether the last charge was taken: see how it \
             ended there, then resume or stop",
            "the outcome of the last charge has to be seen by a person",
        );
    }

    fn plan_by_category(&mut self, policy: &'static CategoryPolicy, decline: &Decline) {
        match policy.retry {
            RetryMode::AfterCustomer => self.ask_customer("only the customer can mend this"),
            RetryMode::Never if self.may_go_elsewhere(policy) => self.plan_elsewhere(),
            RetryMode::Never if !policy.tell_customer => self.hold_for_merchant(),
            RetryMode::Never => self.ask_customer("this card is not charged again by itself"),
            RetryMode::Schedule => self.plan_on_schedule(policy, stated_delay(decline)),
            RetryMode::Soon => {
                if stated_delay(decline).is_some() {
                    self.plan_on_schedule(policy, stated_delay(decline));
                } else {
                    self.plan_soon(policy, "a technical failure");
                }
            }
        }
    }

    /// Whether a refusal that may be the route's fault is still to be tried on another route: once.
    fn may_go_elsewhere(&self, policy: &CategoryPolicy) -> bool {
        policy.other_gateway == OtherGateway::Once
            && self.attempts_on_schedule() < self.policy.max_attempts
            && self.now < self.window_end()
            && self.has_open_route()
    }

    fn plan_elsewhere(&mut self) {
        /// Soon, and not in the minute in which the bank said no.
        const AFTER_S: u64 = 3600;
        let at = schedule::soon(self.now, AFTER_S, self.case.id.as_str(), 0);
        self.schedule_at(at, "this gateway may be the reason: one attempt through another");
    }

    /// A technical failure is retried soon, off the schedule; when that does not help it is
    /// treated like any refusal without a reason.
    pub(super) fn plan_soon(&mut self, policy: &'static CategoryPolicy, why: &str) {
        let Some(delay) = policy.soon_delays_s.get(self.case.technical as usize).copied() else {
            return self.plan_on_schedule(decline::policy(Category::GenericDecline), None);
        };
        self.case.technical += 1;
        self.case.off_schedule = true;
        let number = self.case.technical;
        let at = schedule::soon(self.now, delay, self.case.id.as_str(), number);
        // The day that the customer asked for is waited for, too.
        let at = self.promised_until().map_or(at, |promised| promised.max(at));
        self.schedule_at(at, &format!("{why}: retry {number} soon, off the schedule"));
    }

    /// The next slot of the even schedule that the delays and the gap allow.
    fn plan_on_schedule(&mut self, policy: &CategoryPolicy, stated: Option<SignedDuration>) {
        // Days that the merchant listed are kept as they are, but for what a network stated.
        let days_listed = matches!(self.case.schedule(self.policy), Schedule::Days(_));
        let first = SignedDuration::from_secs(policy.first_delay_s as i64);
        let own = if days_listed { SignedDuration::ZERO } else { first };
        let delay = stated.unwrap_or(own);
        let made = self.attempts_on_schedule();
        let last = self.case.attempts.iter().filter(|a| a.on_schedule).map(|a| a.at).max();
        let after_gap = last.filter(|_| stated.is_none() && !days_listed).map(|at| at + GAP);
        let earliest = [Some(self.now), Some(self.case.declined_at + delay), after_gap];
        let earliest = earliest.into_iter().flatten().max().unwrap_or(self.now);
        let frame = Frame {
            from: self.case.window_from,
            window_days: if days_listed {
                self.policy.window_days
            } else {
                self.policy.window_days.min(policy.window_days)
            },
            max_attempts: self.policy.max_attempts.min(policy.max_attempts),
            made,
            earliest,
            zone: &self.zone,
            salt: self.case.id.as_str(),
            plan: None,
        };
        let plan = self.learned_plan(&frame, stated, GAP);
        let days = plan.as_ref().map(|plan| plan.days.as_slice());
        let slot =
            schedule::next_slot(self.case.schedule(self.policy), &Frame { plan: days, ..frame });
        match slot {
            Some(slot) if self.has_route() => {
                let mut why = format!("attempt {} of {} on the schedule", slot.number, slot.of);
                why.extend(plan.as_ref().and_then(evidence::in_words));
                if stated.is_some() {
                    why.push_str(", not before the delay that the network stated");
                }
                let considered = plan.as_ref().map(evidence::considered).unwrap_or_default();
                self.schedule_considered(slot.at, &why, considered);
            }
            Some(_) => self.ask_customer("there is no payment method that may be charged"),
            None => self.ask_customer("the schedule has no attempt left"),
        }
    }

    pub(super) fn attempts_on_schedule(&self) -> u32 {
        let from = self.case.window_from;
        let made = self.case.attempts.iter().filter(|a| a.on_schedule && a.at >= from).count();
        made as u32
    }

    pub(super) fn schedule_at(&mut self, at: Timestamp, why: &str) {
        self.schedule_considered(at, why, Vec::new());
    }

    fn schedule_considered(&mut self, at: Timestamp, why: &str, considered: Vec<Considered>) {
        let at = at.max(self.now);
        self.set_timer(Timer::NextAttempt, at);
        let next = Next { at: Some(at), what: "attempt".into(), why: why.to_owned() };
        self.enter(State::Scheduled, why, next);
        self.decide(
            format!("The next attempt is planned for {at}: {why}."),
            Decision {
                what: "attempt".into(),
                at: Some(at),
                via: None,
                why: why.to_owned(),
                considered,
            },
        );
        self.plan_reminder();
    }

    fn hold_for_merchant(&mut self) {
        self.hold_for_person(
            "The decline points to the merchant's set-up, not to the customer: mend it, then \
             resume",
            "the merchant's set-up has to be mended; the customer is not written to",
        );
    }

    /// Nothing more by itself: a person is told, and decides.
    pub(super) fn hold_for_person(&mut self, flag: &str, why: &str) {
        self.flag(flag);
        let next = Next { at: None, what: "wait".into(), why: why.into() };
        self.case.timers.clear();
        self.enter(State::Paused, why, next);
    }

    // ---- starting an attempt ----

    /// The next attempt is due: choose a route, look at everything once more, then charge.
    pub(super) fn start_attempt(&mut self) {
        let unknown = self.case.open_attempt().is_some() && !fault(Mutant::SecondWhileUnknown);
        if !self.goes_on() || unknown {
            return;
        }
        if self.waits_for_what_came_since(Timer::NextAttempt) {
            return;
        }
        if self.waits_for(Pending::Check) {
            return self.set_timer(Timer::NextAttempt, self.now + AFTER_THE_CHECK);
        }
        if self.case.attempts.len() >= ATTEMPTS_PER_INVOICE {
            self.flag(format!("{ATTEMPTS_PER_INVOICE} attempts were made: no more by itself"));
            return self.ask_customer("too many attempts were made");
        }
        match self.choose_route() {
            Choice::Take { route, why, considered } => {
                let text = format!("The attempt goes through {}: {why}.", route.gateway);
                let decision = Decision {
                    what: "route".into(),
                    at: Some(self.now),
                    via: Some(route.gateway.to_string()),
                    why,
                    considered,
                };
                self.decide(text, decision.clone());
                self.case.routed = Some(decision);
                self.case.route = Some(route);
                if !self.start_pre_flight() {
                    self.send_attempt();
                }
            }
            Choice::NotBefore { at, why } => self.schedule_at(at, &why),
            Choice::NotWorth { why, considered } => {
                self.decide(
                    format!("No attempt is made: {why}."),
                    Decision {
                        what: "stop".into(),
                        at: None,
                        via: None,
                        why: why.clone(),
                        considered,
                    },
                );
                self.ask_customer(&why);
            }
            Choice::None { considered } => {
                self.decide(
                    "No gateway may charge this invoice now.",
                    Decision {
                        what: "ask_customer".into(),
                        at: None,
                        via: None,
                        why: "there is no route".into(),
                        considered,
                    },
                );
                self.ask_customer("there is no payment method that may be charged");
            }
        }
    }

    /// Everything earlier is known to have failed: the charge leaves, by the route that was chosen.
    pub(super) fn send_attempt(&mut self) {
        let Some(route) = self.case.route.take() else { return self.plan() };
        let number = self.case.attempts.len() as u32 + 1;
        let id = AttemptId::of(&self.case.id, number);
        let routed = self.case.routed.take();
        let mut why = self.case.reason.clone();
        why.extend(routed.iter().map(|routed| format!("; {}", routed.why)));
        let considered = routed.map(|routed| routed.considered).unwrap_or_default();
        let off_schedule = std::mem::take(&mut self.case.off_schedule);
        let on_schedule = !off_schedule && !self.case.card_updated && !self.case.forced;
        let charge = ChargeOrder {
            idempotency_key: id.idempotency_key(),
            attempt: id.clone(),
            number,
            gateway: route.gateway.clone(),
            token: route.token.clone(),
            customer: route.customer.clone().or_else(|| self.case.customer.clone()),
            subscription: self.case.subscription.clone(),
            invoice: self.case.invoice.clone(),
            amount: match fault(Mutant::ChargesMore) {
                true => Money::new(self.case.amount.minor + 1, self.case.amount.currency),
                false => self.case.amount,
            },
            billing: route.gateway == self.case.gateway,
            network_transaction_id: route.network_transaction_id.clone(),
        };
        if !self.case.shadow {
            self.hold_card(&route, &id);
        }
        let forced = std::mem::take(&mut self.case.forced);
        self.case.attempts.push(Attempt {
            card: Some(route.card),
            at: self.now,
            sent: Some((self.now, self.now)),
            sends: 1,
            look_ups: 0,
            outcome: AttemptOutcome::Unknown,
            settled_at: None,
            payment: None,
            decline: None,
            on_schedule,
            forced,
            refunded: false,
            decision: Decision {
                what: "attempt".into(),
                at: Some(self.now),
                via: Some(route.gateway.to_string()),
                why,
                considered,
            },
            charge: charge.clone(),
        });
        if self.case.shadow {
            return self.withhold_attempt();
        }
        let text = format!("Attempt {number}: {} through {}.", charge.amount, charge.gateway);
        self.note(EntryKind::AttemptSent, text);
        let why = format!("attempt {number} is in flight at {}", charge.gateway);
        let next = Next { at: None, what: "wait".into(), why: why.clone() };
        self.ask(Order::Charge(charge));
        self.enter(State::Attempting, why, next);
    }
}

/// The delay that the network stated, where it did.
pub(super) fn stated_delay(decline: &Decline) -> Option<SignedDuration> {
    if fault(Mutant::IgnoresDelay) {
        return None;
    }
    /// "Try again later" without a number: a day is what Mastercard's own table starts from
    /// for a lack of funds.
    const LATER_S: u64 = 24 * 3600;
    (decline.advice == Advice::RetryAfter)
        .then(|| SignedDuration::from_secs(decline.min_delay_seconds.unwrap_or(LATER_S) as i64))
}

/// A decline in words for the ledger.
pub(super) fn describe(decline: &Decline) -> String {
    let category = serde_json::to_value(decline.category).unwrap_or_default();
    let category = category.as_str().unwrap_or("unknown").replace('_', " ");
    match decline.shown_code() {
        Some(code) => format!("{category} ({code})"),
        None => category,
    }
}
