//! Reminders: the campaign's messages, one at a time, at a moment that the contact policy allows.
//!
//! What must stay true: no message is asked for before its moment, twice, or after the end but the
//! thank-you; a step whose condition does not hold is skipped with its reason.

use jiff::{SignedDuration, Timestamp};

use super::step::Stepper;
use super::{Attempt, AttemptOutcome, Case, Message, MessageStatus, Next, Pending, State, Timer};
use crate::core::consent::Contacted;
use crate::core::contact::{self, Ask, Place};
use crate::core::customer::Channel;
use crate::core::decline::{self, Category};
use crate::core::effect::{MessageOrder, Order, SendOutcome};
use crate::core::ids::{EffectId, MessageId};
use crate::core::ledger::{Decision, EntryKind};
use crate::core::policy::{CampaignStep, Condition, MessageKind};

/// Days after the window in which the customer may still answer the last notice.
pub(super) const GRACE: SignedDuration = SignedDuration::from_hours(48);
/// How long a step waits for an address of the customer.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24 * 7);
/// How long sent messages are remembered for the contact policy.
const MEMORY: SignedDuration = SignedDuration::from_hours(24 * 31);

impl Stepper<'_> {
    /// Only the customer can mend it: reminders run, and nothing is charged meanwhile.
    pub(super) fn ask_customer(&mut self, why: &str) {
        self.case.timers.remove(&Timer::NextAttempt);
        let end = self.set_closing_sweep();
        self.decide(
            format!("Nothing is charged: {why}. The customer is asked."),
            Decision {
                what: "ask_customer".into(),
                at: None,
                via: None,
                why: why.to_owned(),
                considered: Vec::new(),
            },
        );
        let next = Next { at: Some(end), what: "wait".into(), why: why.to_owned() };
        self.enter(State::AwaitingCustomer, why, next);
        self.plan_reminder();
    }

    /// Sets when everything is looked up a last time; gives the end of the window.
    pub(super) fn set_closing_sweep(&mut self) -> Timestamp {
        let end = self.window_end().max(self.now);
        self.set_timer(Timer::ClosingSweep, end + GRACE);
        end
    }

    /// Under another campaign: once the customer was written to, or a step was passed over, the
    /// steps whose day has passed are not made up for.
    pub(super) fn skip_past_steps(&mut self) {
        if self.case.steps_done == 0 {
            return;
        }
        let passed = |step: &&CampaignStep| self.case.opened_at + days(step.after_days) <= self.now;
        let done = self.policy.steps.iter().take_while(passed).count();
        self.case.steps_done = done as u32;
    }

    /// The last moment at which the window is open.
    pub(super) fn window_end(&self) -> Timestamp {
        self.case.window_from + days(self.policy.window_days)
    }

    /// Sets the timer of the next step that is still to come.
    pub(super) fn plan_reminder(&mut self) {
        self.case.timers.remove(&Timer::Reminder);
        let resting = self.case.state.is_ended() || self.case.state == State::Paused;
        // While the first attempts are silent no moment is set: the next refusal sets it.
        if resting || self.is_silent() {
            return;
        }
        let Some(step) = self.policy.steps.get(self.case.steps_done as usize) else { return };
        let due = (self.case.opened_at + days(step.after_days)).max(self.now);
        let due = self.promised_until().map_or(due, |promised| due.max(promised));
        let channel = self.channel_for(step).unwrap_or(Channel::Email);
        match self.allowed_from(channel, due) {
            Some((at, Some(why))) if self.too_late(step, due, at) => {
                self.skip_step(&format!("{why}, and then it would come too late"));
            }
            Some((at, _)) => {
                self.set_timer(Timer::Reminder, at);
                if self.case.state == State::AwaitingCustomer {
                    let why = self.case.reason.clone();
                    self.case.next = Next { at: Some(at), what: "reminder".into(), why };
                }
            }
            None => self.skip_step("the contact policy allows no moment for it"),
        }
    }

    /// A step's moment has come: send it, hold it, or skip it.
    pub(super) fn on_reminder_due(&mut self) {
        let Some(step) = self.policy.steps.get(self.case.steps_done as usize).cloned() else {
            return;
        };
        let restored = self.case.restored.is_some();
        if restored || self.case.open_attempt().is_some() || self.waits_for(Pending::Check) {
            // While an outcome is unknown, or an attempt is about to be made, the customer is told
            // nothing that may be wrong.
            return self.set_timer(Timer::Reminder, self.now + SignedDuration::from_hours(6));
        }
        if let Some(why) = self.unsuited(&step) {
            return self.skip_step(&why);
        }
        if self.is_silent() {
            return;
        }
        let Some(channel) = self.channel_for(&step) else { return self.wait_for_address() };
        if self.kind_of(&step) == MessageKind::PaymentFailed && self.another_asks_soon() {
            return self.skip_step("another invoice's message speaks of it too");
        }
        match self.allowed_from(channel, self.now) {
            Some((at, Some(why))) if self.too_late(&step, self.now, at) => {
                self.skip_step(&format!("{why}, and then it would come too late"));
            }
            Some((at, Some(why))) if at > self.now => {
                let why = self.by_policy(&why);
                self.note(EntryKind::Message, format!("A message is held until {at}: {why}."));
                self.set_timer(Timer::Reminder, at);
            }
            Some(_) => self.send_step(&step),
            None => self.skip_step("the contact policy allows no moment for it"),
        }
    }

    /// The first moment from `from` at which the contact policy allows a message.
    pub(super) fn allowed_from(
        &self,
        channel: Channel,
        from: Timestamp,
    ) -> Option<(Timestamp, Option<String>)> {
        let place = Place::of(&self.around.customer, self.policy);
        let contacted = self.around.customer.contacted_by(self.case.shadow);
        let contacted: Vec<_> = contacted.into_iter().map(|one| one.as_of(self.now)).collect();
        let ask = Ask { channel, place: &place, contacted: &contacted };
        contact::next_allowed(&self.policy.contact, ask, from)
    }

    /// A reason with the name of the policy that gives it, where the merchant chose one.
    fn by_policy(&self, why: &str) -> String {
        match self.policy.contact.name.as_str() {
            "default" => why.to_owned(),
            name => format!("{why} ({name})"),
        }
    }

    /// Whether a step that is held until `at` would come when the next one is due, or at the end.
    fn too_late(&self, step: &CampaignStep, due: Timestamp, at: Timestamp) -> bool {
        let sweep = self.case.timers.get(&Timer::ClosingSweep).copied();
        let end = sweep.unwrap_or_else(|| self.window_end() + GRACE);
        let behind = self.policy.steps.iter().skip(self.case.steps_done as usize + 1);
        let mut behind = behind
            .filter(|next| next.after_days > step.after_days && self.unmeant(next).is_none())
            .map(|next| self.case.opened_at + days(next.after_days));
        at > due && (at >= end || behind.any(|next| due < next && next <= at))
    }

    /// Why the step is not for this case or customer.
    fn unmeant(&self, step: &CampaignStep) -> Option<String> {
        let needs_customer = self.case.state == State::AwaitingCustomer;
        match step.condition {
            Condition::NeedsCustomer if !needs_customer => {
                Some("it is for cases that only the customer can mend".into())
            }
            Condition::WillRetry if needs_customer => {
                Some("it is for cases that are retried".into())
            }
            _ => step.audience.leaves_out(&self.case, &self.around.customer),
        }
    }

    fn skip_step(&mut self, why: &str) {
        let kind = self.policy.steps[self.case.steps_done as usize].kind.words();
        self.note(EntryKind::Message, format!("No {kind} message: {why}."));
        self.case.steps_done += 1;
        self.plan_reminder();
    }

    fn unsuited(&self, step: &CampaignStep) -> Option<String> {
        let customer = &self.around.customer;
        let category = self.category();
        let needs_customer = self.case.state == State::AwaitingCustomer;
        if customer.reminders_stopped {
            return Some("the customer wants none".into());
        }
        if !decline::policy(category).tell_customer && !needs_customer {
            return Some("nothing that the customer should be troubled with".into());
        }
        if let Some(why) = self.unmeant(step) {
            return Some(why);
        }
        let late = self.case.opened_at + days(step.after_days) + PATIENCE < self.now;
        let unreachable = late && self.channel_for(step).is_none();
        unreachable.then(|| "no channel reaches the customer".into())
    }

    /// Nobody told us an address yet: the step waits for one, a day at a time.
    fn wait_for_address(&mut self) {
        let why = match self.stopped_channel(None) {
            Some(channel) => format!("{} is stopped for all customers", channel.as_str()),
            None => "no channel reaches the customer yet".to_owned(),
        };
        // Told once: it is looked at every day, and every day it would be the same.
        if self.case.waits_because.as_ref() != Some(&why) {
            self.note(EntryKind::Message, format!("A message waits: {why}."));
            self.case.waits_because = Some(why);
        }
        self.set_timer(Timer::Reminder, self.now + SignedDuration::from_hours(24));
    }

    /// A channel that would do, this one first, if it were not stopped for all.
    pub(super) fn stopped_channel(&self, first: Option<Channel>) -> Option<Channel> {
        let reached = self.around.channels_but_for_stops(self.policy);
        let stopped =
            |channel: &Channel| reached.contains(channel) && self.around.stopped.contains(channel);
        first.filter(stopped).or_else(|| reached.iter().copied().find(stopped))
    }

    fn category(&self) -> Category {
        category(&self.case)
    }

    /// Soft declines: so many attempts come before the first message.
    fn is_silent(&self) -> bool {
        let told = !self.case.messages.is_empty() || !self.case.along.is_empty();
        if told || self.case.state == State::AwaitingCustomer {
            return false;
        }
        let ours = self.case.attempts.iter().filter(|a| is_refused(a)).count() as u32;
        let native = self.case.native_attempts.saturating_sub(1);
        ours + native < self.policy.silent_attempts
    }

    fn channel_for(&self, step: &CampaignStep) -> Option<Channel> {
        self.channel_or_next(step.channel)
    }

    /// This channel, where it reaches the customer and they agree to it; else the first that does.
    pub(super) fn channel_or_next(&self, first: Option<Channel>) -> Option<Channel> {
        let open = self.around.open_channels(self.policy);
        first.filter(|channel| open.contains(channel)).or_else(|| open.first().copied())
    }

    /// What a message that a person asks for says: it asks for the card.
    pub(super) fn kind_by_hand(&self) -> MessageKind {
        self.kind_as_things_stand(MessageKind::CardUpdate)
    }

    /// What a message of this step says.
    fn kind_of(&self, step: &CampaignStep) -> MessageKind {
        self.kind_as_things_stand(step.kind)
    }

    fn kind_as_things_stand(&self, kind: MessageKind) -> MessageKind {
        match kind {
            MessageKind::CardUpdate if self.category() == Category::AuthenticationRequired => {
                MessageKind::ConfirmBank
            }
            // It says that the card is not tried again; while it is, that would be untrue.
            MessageKind::CardUpdate if self.case.state != State::AwaitingCustomer => {
                MessageKind::PaymentFailed
            }
            kind => kind,
        }
    }

    fn send_step(&mut self, step: &CampaignStep) {
        let Some(channel) = self.channel_for(step) else { return };
        let kind = self.kind_of(step);
        self.case.steps_done += 1;
        self.send(kind, channel, self.now);
        self.plan_reminder();
    }

    pub(super) fn send(&mut self, kind: MessageKind, channel: Channel, not_before: Timestamp) {
        self.case.waits_because = None;
        let id = MessageId::of(&self.case.id, self.case.messages.len() as u32 + 1);
        let customer = &self.around.customer;
        let method = self
            .case
            .card
            .as_ref()
            .and_then(|card| customer.methods.iter().find(|m| m.card == *card));
        let order = MessageOrder {
            id: id.clone(),
            kind,
            channel,
            contact: customer.contact.clone(),
            amount: self.case.amount,
            description: self.case.description.clone(),
            last4: method.and_then(|m| m.facts.last4.clone()),
            category: self.category(),
            retry_at: self
                .case
                .timers
                .get(&Timer::NextAttempt)
                .copied()
                .or(self.case.native_next_at),
            ends_at: (!self.case.state.is_ended()).then(|| self.window_end() + GRACE),
            subscription_action: self.policy.subscription_action,
            also_owed: self.also_owed(kind),
            withheld: false,
        };
        let with = match kind {
            MessageKind::Recovered => Vec::new(),
            _ => order.also_owed.iter().map(|owed| owed.case.clone()).collect(),
        };
        let effect = self.ask_at(Order::Send(order), not_before);
        let horizon = not_before - MEMORY;
        let contacted = &mut self.around.customer.contacted_at;
        contacted.retain(|c| c.at >= horizon);
        let withheld = self.case.shadow;
        contacted.push(Contacted {
            at: not_before,
            channel: Some(channel),
            withheld,
            open: !withheld,
        });
        self.case.messages.push(Message {
            id,
            effect,
            kind,
            channel,
            step: (kind != MessageKind::Recovered).then_some(self.case.steps_done),
            locale: None,
            at: not_before,
            status: MessageStatus::Queued,
            with,
            track: self.track_to(channel),
        });
        let why = self.case.reason.clone();
        let goes = if withheld { "would go" } else { "goes" };
        self.decide(
            format!("A {} message {goes} out by {}.", kind.words(), channel.as_str()),
            Decision {
                what: "message".into(),
                at: Some(not_before),
                via: Some(channel.as_str().into()),
                why,
                considered: Vec::new(),
            },
        );
    }

    /// After a recovery: one thank-you, if the customer had been written to.
    pub(super) fn thank(&mut self) {
        let written = |m: &&Message| {
            let written = [MessageStatus::Sent, MessageStatus::Unknown, MessageStatus::Withheld];
            written.contains(&m.status) && m.kind != MessageKind::Recovered
        };
        let Some(channel) = self.case.messages.iter().rev().find(written).map(|m| m.channel) else {
            return;
        };
        let customer = &self.around.customer;
        if customer.reminders_stopped || customer.excluded {
            return;
        }
        let next = self.channel_or_next(Some(channel));
        let Some(channel) = next.or_else(|| self.stopped_channel(Some(channel))) else { return };
        if let Some((at, _)) = self.allowed_from(channel, self.now) {
            self.send(MessageKind::Recovered, channel, at);
        }
    }

    /// What came of a message.
    pub(super) fn on_sent(&mut self, effect: &EffectId, outcome: &SendOutcome) {
        let Some(index) = self.message_of(effect) else { return };
        let (status, text, locale) = match outcome {
            SendOutcome::Sent { locale, .. } => {
                (MessageStatus::Sent, "was accepted by the provider".to_owned(), Some(locale))
            }
            SendOutcome::Failed { .. } => {
                (MessageStatus::Failed, "was not accepted".to_owned(), None)
            }
            SendOutcome::Unreachable { .. } => {
                let text = "was not accepted: nothing reaches this address".to_owned();
                (MessageStatus::Failed, text, None)
            }
            SendOutcome::Unwanted { .. } => {
                let text = "was not accepted: the customer wants none there".to_owned();
                (MessageStatus::Failed, text, None)
            }
            SendOutcome::Dropped { why } => {
                (MessageStatus::Dropped, format!("was dropped: {why}"), None)
            }
            SendOutcome::Unknown => {
                let text = "may or may not have gone out; it is not sent again".to_owned();
                (MessageStatus::Unknown, text, None)
            }
            SendOutcome::Withheld { locale } => {
                let text = "would have gone out now; shadow mode sends nothing".to_owned();
                (MessageStatus::Withheld, text, Some(locale))
            }
        };
        let message = &mut self.case.messages[index];
        let asked_at = std::mem::replace(&mut message.at, self.now);
        let was = std::mem::replace(&mut message.status, status);
        message.locale = locale.cloned();
        let kind = message.kind.words();
        self.note(EntryKind::Message, format!("The {kind} message {text}."));
        // The contact policy counts when it went out, not when it was decided.
        let left = matches!(status, MessageStatus::Sent | MessageStatus::Unknown);
        let contacted = &mut self.around.customer.contacted_at;
        if let Some(own) = contacted.iter_mut().rfind(|c| c.at == asked_at) {
            own.open = false;
            own.at = if left { self.now } else { own.at };
        }
        self.heed_refusal(index, outcome, asked_at);
        if status == MessageStatus::Dropped && was == MessageStatus::Queued {
            self.send_later(index, asked_at);
        }
    }

    /// A message that came too late for its hours goes out in the next ones, as long as it still
    /// says something new.
    fn send_later(&mut self, index: usize, asked_at: Timestamp) {
        self.uncount(asked_at);
        let message = &self.case.messages[index];
        let (kind, channel, id) = (message.kind, message.channel, message.id.clone());
        // A provider that is away for days makes a chain of these: all of it has two days.
        let since = if self.is_chained(index) { self.first_of(index) } else { asked_at };
        if !self.is_still_news(index, since) {
            return;
        }
        // A no to this channel may be what it was dropped for. One that is stopped for all is no
        // reason to lose it: it waits in the outbox.
        let next = self.channel_or_next(Some(channel));
        let Some(channel) = next.or_else(|| self.stopped_channel(Some(channel))) else { return };
        if let Some((at, _)) = self.allowed_from(channel, self.now) {
            self.send(kind, channel, at);
            if let Some(new) = self.case.messages.last_mut() {
                new.track.in_place_of = Some(id);
            }
        }
    }

    /// Effects of messages come back in any order; the effect's id names the message.
    fn message_of(&self, effect: &EffectId) -> Option<usize> {
        self.case.messages.iter().position(|m| m.effect == *effect)
    }
}

/// Whether an attempt tells, or in shadow mode is taken, to have been refused.
fn is_refused(attempt: &Attempt) -> bool {
    attempt.decline.is_some() || attempt.outcome == AttemptOutcome::Withheld
}

/// Why the charge failed, as far as is known.
pub(super) fn category(case: &Case) -> Category {
    case.decline.as_ref().map_or(Category::Unknown, |d| d.category)
}

pub(super) fn days(count: u32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(count))
}
