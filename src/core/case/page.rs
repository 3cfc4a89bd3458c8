//! What customers do on the hosted page, and what the page may offer them.
//!
//! Why here: the page asks [`offers`] which doors to show, and the step asks the same questions
//! again when the click arrives; so a door that is not offered does nothing either.
//!
//! What must stay true: a customer's wish moves the schedule, never a network's rule; one wish at a
//! time; an invoice that its customer says is paid is looked at before anything else is charged.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::attempts::ATTEMPTS_PER_INVOICE;
use super::step::{Around, Stepper};
use super::{Case, Next, Pending, State, Timer};
use crate::core::decline::{self, Advice, Category, RetryMode};
use crate::core::effect::CheckPurpose;
use crate::core::fault::{Mutant, fault};
use crate::core::input::PageAction;
use crate::core::ledger::EntryKind;
use crate::core::policy::Policy;
use crate::core::routing::Choice;
use crate::core::schedule;

/// Between two tries of the same card that the customer asked for.
const BETWEEN_RETRIES: SignedDuration = SignedDuration::from_hours(24);
/// After any attempt, before the customer may ask for one.
const AFTER_AN_ATTEMPT: SignedDuration = SignedDuration::from_hours(1);
/// How long nothing is charged after a customer said that it is paid, so that a person can look.
const TIME_TO_LOOK: SignedDuration = SignedDuration::from_hours(48);
/// How often one case is looked up because its customer says that it is paid.
const BETWEEN_LOOKS: SignedDuration = SignedDuration::from_hours(1);

/// What the customer of a case asked for on the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRecord {
    /// When they asked to try the same card again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<Timestamp>,
    /// The day that they asked to be charged on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// When they last said that it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says_paid_at: Option<Timestamp>,
}

/// "Charge me on the 5th".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// When it was made.
    pub made_at: Timestamp,
    /// The day, in the customer's zone.
    pub day: Date,
    /// The moment of the charge.
    pub at: Timestamp,
}

impl PageRecord {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The promise that is still ahead.
    pub fn promise_ahead(&self, now: Timestamp) -> Option<&Promise> {
        self.promise.as_ref().filter(|promise| promise.at > now)
    }
}

/// What the page may offer now, beside what the gateway's own pages do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// The same card may be tried again.
    pub retry: bool,
    /// The first and the last day that may be asked for.
    pub more_time: Option<(Date, Date)>,
    /// The customer can say that it is paid.
    pub already_paid: bool,
}

/// What the page of this case may offer now.
pub fn offers(case: &Case, mut around: Around, policy: &Policy, now: Timestamp) -> Offers {
    let stepper = Stepper::new(case.clone(), &mut around, policy, now);
    Offers {
        retry: stepper.no_retry_because().is_none(),
        more_time: stepper.days_to_ask_for(),
        already_paid: !case.state.is_ended() && stepper.may_look_again(),
    }
}

impl Stepper<'_> {
    /// Applies what the customer did on the hosted page.
    pub(super) fn on_page(&mut self, action: &PageAction) {
        if !matches!(action, PageAction::StopReminders) {
            self.note_acted();
        }
        match action {
            PageAction::AlreadyPaid => self.on_already_paid(),
            PageAction::CardUpdateOpened => {
                self.case.page_used = true;
                self.note(EntryKind::Person, "The customer went to the gateway's page.");
            }
            PageAction::MoreTime { day } => self.on_more_time(*day),
            PageAction::OtherWayOpened => {
                self.case.page_used = true;
                let text = "The customer went to the gateway's page of the invoice.";
                self.note(EntryKind::Person, text);
            }
            PageAction::Retry => self.on_retry_wish(),
            PageAction::StopReminders => {
                self.around.customer.reminders_stopped = true;
                self.cancel_messages();
                self.case.timers.remove(&Timer::Reminder);
                self.note(EntryKind::Person, "The customer wants no more reminders.");
            }
        }
    }

    // ---- the same card again ----

    fn on_retry_wish(&mut self) {
        if let Some(why) = self.no_retry_because() {
            let text = format!("The customer asked for the same card again; not now: {why}.");
            return self.note(EntryKind::Person, text);
        }
        self.note(EntryKind::Person, "The customer asked to try the same card again.");
        self.case.page.retries.push(self.now);
        self.case.page.promise = None;
        self.case.off_schedule = true;
        self.cancel_messages();
        self.case.timers.remove(&Timer::ClosingSweep);
        self.set_timer(Timer::NextAttempt, self.now);
        let why = "the customer asked to try the same card again";
        let next = Next { at: Some(self.now), what: "attempt".into(), why: why.into() };
        self.enter(State::Scheduled, why, next);
    }

    /// Why the customer's wish alone brings no attempt now; `None`: it does.
    fn no_retry_because(&self) -> Option<String> {
        if let Some(why) = self.not_by_a_wish() {
            return Some(why.into());
        }
        let asked = &self.case.page.retries;
        if asked.len() >= self.policy.page.retries as usize {
            return Some("they asked as often as they may".into());
        }
        if asked.last().is_some_and(|at| *at > self.now - BETWEEN_RETRIES) {
            return Some("they asked within a day".into());
        }
        let last = self.case.attempts.iter().map(|a| a.settled_at.unwrap_or(a.at)).max();
        let last = last.max(Some(self.case.declined_at));
        if last.is_some_and(|at| at > self.now - AFTER_AN_ATTEMPT) {
            return Some("it was refused within the hour".into());
        }
        match self.choose_route() {
            Choice::Take { .. } => None,
            Choice::NotBefore { why, .. } => Some(why),
            Choice::NotWorth { why, .. } => Some(why),
            Choice::None { .. } => Some("no gateway may charge this invoice now".into()),
        }
    }

    /// Why the card on file is not charged because its holder wishes it.
    fn not_by_a_wish(&self) -> Option<&'static str> {
        if !self.goes_on() {
            return Some("the case does not go on by itself");
        }
        if self.case.open_attempt().is_some() || self.waits_for(Pending::Check) {
            return Some("an attempt is under way");
        }
        if self.case.card_updated {
            return Some("the new card is about to be charged");
        }
        if self.native_retry_is_ahead() {
            return Some("the gateway's own retry is ahead");
        }
        let takes = self.policy.billing().is_some_and(|g| g.capabilities.page_takes_payment);
        if takes && self.case.page_used {
            return Some("the gateway's page may have taken the payment");
        }
        if self.case.attempts.len() >= ATTEMPTS_PER_INVOICE {
            return Some("too many attempts were made");
        }
        (!self.card_may_be_charged()).then_some("this card is not charged again")
    }

    /// Whether no network and no category forbids the card that was refused.
    fn card_may_be_charged(&self) -> bool {
        let decline = self.case.decline.as_ref();
        let ordered = decline.is_some_and(|d| {
            matches!(
                d.advice,
                Advice::Authenticate
                    | Advice::CheckStatus
                    | Advice::Never
                    | Advice::UpdateCredentials
            )
        });
        let category = decline.map_or(Category::Unknown, |d| d.category);
        let mode = decline::policy(category).retry;
        !ordered && matches!(mode, RetryMode::Schedule | RetryMode::Soon)
    }

    // ---- more time ----

    fn on_more_time(&mut self, day: Date) {
        let within =
            self.days_to_ask_for().is_some_and(|(first, last)| first <= day && day <= last);
        if !within {
            let text = format!("The customer asked for {day}; the policy does not allow it.");
            return self.note(EntryKind::Person, text);
        }
        let at = schedule::morning_of(day, &self.zone, self.case.id.as_str());
        self.note(EntryKind::Person, format!("The customer asked to be charged on {day}."));
        self.case.page.promise = Some(Promise { made_at: self.now, day, at });
        self.cancel_messages();
        self.case.timers.remove(&Timer::ClosingSweep);
        self.plan();
    }

    /// The days that the customer may ask for: from tomorrow, within the window and the merchant's
    /// policy, one promise at a time.
    fn days_to_ask_for(&self) -> Option<(Date, Date)> {
        let most = self.policy.page.more_time_days;
        let promised = self.case.page.promise_ahead(self.now).is_some();
        if most == 0 || promised || self.not_by_a_wish().is_some() || !self.has_route() {
            return None;
        }
        let day = |at: Timestamp| at.to_zoned(self.zone.clone()).date();
        let stated = self.case.card.as_ref().and_then(|card| self.stated_until(card));
        let tomorrow = day(self.now).tomorrow().ok()?;
        let first = stated.and_then(|at| day(at).tomorrow().ok()).max(Some(tomorrow))?;
        let furthest = day(self.now).checked_add(i64::from(most).days()).ok()?;
        let last = furthest.min(day(self.window_end()));
        (first <= last).then_some((first, last))
    }

    /// Plans the attempt on the day that the customer asked for. `false`: there is none to wait
    /// for, or the card may not be charged any more.
    pub(super) fn keep_promise(&mut self) -> bool {
        let Some(promise) = self.case.page.promise_ahead(self.now) else { return false };
        let (day, at) = (promise.day, promise.at);
        let kept = self.card_may_be_charged() && self.has_route();
        if !kept || fault(Mutant::IgnoresPromise) {
            return false;
        }
        self.case.off_schedule = true;
        self.schedule_at(at, &format!("the customer asked to be charged on {day}"));
        true
    }

    /// Until when the customer is not reminded, since they said when they pay.
    pub(super) fn promised_until(&self) -> Option<Timestamp> {
        self.case.page.promise_ahead(self.now).map(|promise| promise.at)
    }

    // ---- already paid ----

    fn on_already_paid(&mut self) {
        if self.case.state.is_ended() {
            return;
        }
        if !self.may_look_again() {
            return self.note(EntryKind::Person, "The customer says again that it is paid.");
        }
        self.case.page.says_paid_at = Some(self.now);
        self.note(EntryKind::Person, "The customer says that it is paid.");
        let reads = self.policy.billing().is_some_and(|g| g.capabilities.read_invoice);
        let busy = self.case.open_attempt().is_some() || self.waits_for(Pending::Check);
        if busy || self.case.state == State::Paused {
            return self.flag("The customer says that it is paid: see at the gateway");
        }
        if reads {
            return self.start_check(CheckPurpose::SaysPaid, Vec::new());
        }
        self.hold_for_person(
            &format!(
                "The customer says that it is paid, and {} has no read that tells: see there, \
                 then mark it as paid or resume",
                self.case.gateway
            ),
            "the customer says that it is paid; a person has to see",
        );
    }

    fn may_look_again(&self) -> bool {
        self.case.page.says_paid_at.is_none_or(|at| at <= self.now - BETWEEN_LOOKS)
    }

    /// The gateway does not say that it is paid: a person is told, and nothing is charged before
    /// they had the time to look.
    pub(super) fn on_not_paid_yet(&mut self, unanswered: Option<&str>) {
        let gateway = self.case.gateway.clone();
        self.flag(match unanswered {
            Some(why) => format!(
                "The customer says that it is paid, and {gateway} could not be asked ({why}): see \
                 there"
            ),
            None => format!(
                "The customer says that it is paid, and at {gateway} it is open: see whether the \
                 money came in otherwise"
            ),
        });
        if self.case.state != State::Scheduled {
            return;
        }
        // A moment that came while it was looked up was let pass.
        if !self.case.timers.contains_key(&Timer::NextAttempt) {
            self.plan();
        }
        let later = schedule::after(self.now, TIME_TO_LOOK);
        if self.case.timers.get(&Timer::NextAttempt).is_some_and(|at| *at < later) {
            let off_schedule = self.case.off_schedule;
            self.schedule_at(later, "the customer says that it is paid: a person looks first");
            self.case.off_schedule = off_schedule;
        }
    }
}
