//! What became of a message: reports of providers, and the next channel where it did not arrive.
//!
//! Why here: a bounce is only news when something follows from it: the address is left alone, and
//! what was to be said is said on the next channel.
//!
//! What must stay true: another message goes out only when it is certain that the first one did
//! not arrive, once for each channel, and only within the contact policy; a report of a message
//! that nobody knows changes nothing.

use jiff::{SignedDuration, Timestamp};

use super::step::Stepper;
use super::{MessageStatus, State};
use crate::core::consent::{Consent, Standing};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Report, Suppressed, Track, address_key};
use crate::core::effect::SendOutcome;
use crate::core::ids::MessageId;
use crate::core::ledger::EntryKind;
use crate::core::policy::MessageKind;

/// What was to be said is not said later than this: it would only confuse.
const STALE: SignedDuration = SignedDuration::from_hours(48);

impl Stepper<'_> {
    /// What is known of a message before it goes: its address.
    pub(super) fn track_to(&self, channel: Channel) -> Track {
        let address = self.around.customer.address_on(channel);
        let address = address.map(|address| address_key(channel, address));
        Track { address, ..Track::default() }
    }

    /// A provider told what became of a message.
    pub(super) fn on_delivery(&mut self, id: &MessageId, report: &Report) {
        let Some(index) = self.case.messages.iter().position(|m| m.id == *id) else { return };
        let message = &mut self.case.messages[index];
        let news = message.track.note(report);
        let settled = message.status == MessageStatus::Unknown;
        if settled {
            // Whoever tells of it has it: it did go out.
            message.status = MessageStatus::Sent;
        }
        if !news || (report.what == Happened::Taken && !settled) {
            return;
        }
        let kind = message.kind.words();
        let code = report.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        self.note(EntryKind::Message, format!("The {kind} message {}{code}.", words(report.what)));
        match report.what {
            Happened::Complained => {
                self.suppress(index, "complaint");
                self.opt_out(index, "complaint");
            }
            Happened::Undelivered(failure) => {
                if failure == Failure::Address {
                    self.suppress(index, "bounce");
                }
                let sent_at = self.case.messages[index].at;
                self.fall_back(index, sent_at);
            }
            Happened::Unsubscribed => self.opt_out(index, "unsubscribed at the provider"),
            _ => {}
        }
    }

    /// What follows when a provider did not take a message.
    pub(super) fn heed_refusal(&mut self, index: usize, outcome: &SendOutcome, asked: Timestamp) {
        match outcome {
            SendOutcome::Unreachable { .. } => self.suppress(index, "bounce"),
            SendOutcome::Unwanted { .. } => self.opt_out(index, "the provider knows of a no"),
            SendOutcome::Failed { .. } => {}
            _ => return,
        }
        self.fall_back(index, asked);
    }

    /// The customer did something on the page: the newest message that went out led them there.
    pub(super) fn note_acted(&mut self) {
        let now = self.now;
        let led = self.case.messages.iter_mut().rev().find(|m| {
            matches!(m.status, MessageStatus::Sent | MessageStatus::Unknown)
                && m.kind != MessageKind::Recovered
        });
        if let Some(message) = led {
            message.track.acted_at.get_or_insert(now);
        }
    }

    fn suppress(&mut self, index: usize, why: &str) {
        let message = &self.case.messages[index];
        let Some(address) = message.track.address.clone() else { return };
        let (channel, at, why) = (message.channel, self.now, why.to_owned());
        self.around.customer.suppress(Suppressed { channel, address, at, why });
    }

    fn opt_out(&mut self, index: usize, how: &str) {
        let channel = self.case.messages[index].channel;
        self.around.customer.note_consent(Consent {
            channel,
            standing: Standing::OptedOut,
            at: self.now,
            how: format!("{}: {how}", channel.as_str()),
        });
    }

    /// Says on the next channel what did not arrive on this one.
    fn fall_back(&mut self, index: usize, counted_at: Timestamp) {
        let message = &self.case.messages[index];
        let (id, kind, first_at) = (message.id.clone(), message.kind, self.first_of(index));
        if !self.is_still_news(index, first_at) {
            return;
        }
        let Some(channel) = self.next_channel(index) else {
            let text = "No other channel reaches the customer.";
            return self.note(EntryKind::Message, text);
        };
        self.uncount(counted_at);
        let Some((at, _)) = self.allowed_from(channel, self.now) else { return };
        self.send(kind, channel, at);
        if let Some(new) = self.case.messages.last_mut() {
            new.track.in_place_of = Some(id);
        }
    }

    /// Whether a message that did not go out, and was first meant to go at `since`, still says
    /// something that the customer does not know and wants to hear.
    pub(super) fn is_still_news(&self, index: usize, since: Timestamp) -> bool {
        let thanks = self.case.messages[index].kind == MessageKind::Recovered;
        let wanted = match self.case.state {
            State::Recovered => thanks,
            _ => self.goes_on() && !thanks,
        };
        let customer = &self.around.customer;
        let stopped = customer.reminders_stopped || customer.excluded;
        let last = index + 1 == self.case.messages.len();
        wanted && !stopped && last && self.now.duration_since(since) <= STALE
    }

    /// What nobody got does not count against what goes in its place.
    pub(super) fn uncount(&mut self, counted_at: Timestamp) {
        let contacted = &mut self.around.customer.contacted_at;
        if let Some(own) = contacted.iter().rposition(|c| c.at == counted_at) {
            contacted.remove(own);
        }
    }

    /// Whether the message goes in the place of another one.
    pub(super) fn is_chained(&self, index: usize) -> bool {
        self.before(index).is_some()
    }

    /// When the first message of this chain was meant to go.
    pub(super) fn first_of(&self, index: usize) -> Timestamp {
        let mut first = index;
        while let Some(before) = self.before(first) {
            first = before;
        }
        self.case.messages[first].at
    }

    fn before(&self, index: usize) -> Option<usize> {
        let id = self.case.messages[index].track.in_place_of.as_ref()?;
        self.case.messages[..index].iter().position(|m| m.id == *id)
    }

    /// The first channel that reaches the customer and was not tried for this message.
    fn next_channel(&self, index: usize) -> Option<Channel> {
        let mut tried = vec![self.case.messages[index].channel];
        let mut at = index;
        while let Some(before) = self.before(at) {
            tried.push(self.case.messages[before].channel);
            at = before;
        }
        let open = self.around.open_channels(self.policy);
        open.into_iter().find(|channel| !tried.contains(channel))
    }
}

fn words(what: Happened) -> &'static str {
    match what {
        Happened::Clicked(_) => "led somebody to the link",
        Happened::Complained => "was reported as unwanted",
        Happened::Delivered => "was delivered",
        Happened::Opened(_) => "was opened",
        Happened::Taken => "went out after all: its provider has it",
        Happened::Undelivered(Failure::Address) => "did not arrive: nothing reaches this address",
        Happened::Undelivered(Failure::Message) => "did not arrive",
        Happened::Unsubscribed => "was answered with a no to further ones",
    }
}
