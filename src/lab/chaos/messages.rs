//! Messages: what their readers and providers answer, and the rules that every one of them keeps.
//!
//! Why here: a message cannot be taken back. It is judged at the moment in which its provider gets
//! it, by what recoup had been told until then and by its own clock.
//!
//! What must stay true: what somebody answers reaches recoup as an input like any other; a rule is
//! told broken only for an answer that recoup has applied.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::trace::say;
use super::world::{Told, World};
use crate::core::case::State;
use crate::core::consent::{Consent, Standing};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Report, Who, address_key};
use crate::core::effect::MessageOrder;
use crate::core::ids::{CaseId, MessageId};
use crate::core::policy::MessageKind;
use crate::store::InboxBody;

/// Between the moment that is counted and that in which a message leaves lies its call, and maybe a
/// clock that was set.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// A message that its provider took.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    id: MessageId,
    at: Timestamp,
    /// About which invoice.
    invoice: usize,
}

/// What a customer is to messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader {
    /// What they got, or may have got.
    handed: Vec<Handed>,
    /// Channels that they said no to, and recoup was told.
    no: BTreeSet<Channel>,
    /// Channels that they said yes to.
    yes: BTreeSet<Channel>,
    /// Channels on which nothing reaches them.
    unreached: BTreeSet<Channel>,
    /// They want no reminders at all.
    stopped: bool,
}

/// What a reader or provider answered, for the rules.
#[derive(Debug, Clone)]
pub(super) enum Answered {
    /// No more on these channels.
    No(Vec<Channel>),
    /// No more to this number: heard where something was written to it.
    Reply(String),
    /// No more reminders, said on the page of this invoice.
    Stop(usize),
    /// It did not arrive, and maybe nothing will.
    Undelivered(MessageId, Option<Channel>),
    /// Yes, on this channel.
    Yes(Channel),
}

impl World {
    /// A message is handed to its provider.
    pub(super) fn message_leaves(&mut self, case: &CaseId, order: &MessageOrder) {
        let Some(invoice) = self.invoices.iter().position(|i| i.case == *case) else { return };
        let state = self.durable.cases.get(case).map_or(State::Stopped, |known| known.state);
        let (id, kind) = (order.id.clone(), order.kind.as_str());
        say!(self, "a {kind} message of in_{invoice} leaves by {}", order.channel.as_str());
        let thanks = order.kind == MessageKind::Recovered;
        if (state.is_ended() && !thanks) || (thanks && state != State::Recovered) {
            self.broken("I5", format!("a {kind} message of in_{invoice} leaves after {state:?}"));
        }
        if state == State::Paused {
            self.broken("I5", format!("a {kind} message of in_{invoice} leaves while it is held"));
        }
        if !self.sent_messages.insert(id.to_string()) {
            self.broken("I6", format!("{id} of in_{invoice} is sent twice"));
        }
        self.check_wanted(invoice, order);
        self.check_contact(invoice, kind);
        let now = self.clock();
        let reader = self.reader(invoice);
        reader.handed.push(Handed { id: id.clone(), at: now, invoice });
        let callback = self.scenario.callback;
        if self.chance(callback) {
            self.answer(invoice, order);
        }
    }

    fn reader(&mut self, invoice: usize) -> &mut Reader {
        let customer = self.invoices[invoice].customer;
        &mut self.people[customer].reader
    }

    /// Nobody said no, and where a yes is asked for there is one.
    fn check_wanted(&mut self, invoice: usize, order: &MessageOrder) {
        let channel = order.channel;
        let asks = self.policy.contact.consent.contains(&channel);
        let reader = self.reader(invoice);
        let why = if reader.no.contains(&channel) {
            "after a no"
        } else if reader.stopped {
            "after all reminders were stopped"
        } else if reader.unreached.contains(&channel) {
            "to an address that nothing reaches"
        } else if asks && !reader.yes.contains(&channel) {
            "without a yes"
        } else {
            return;
        };
        let kind = order.kind.as_str();
        self.broken("I6", format!("a {kind} message of in_{invoice} leaves {why}"));
    }

    fn check_contact(&mut self, invoice: usize, kind: &str) {
        let customer = self.invoices[invoice].customer;
        let zone = TimeZone::get(self.people[customer].zone).unwrap_or(TimeZone::UTC);
        let now = self.clock();
        let local = now.to_zoned(zone.clone());
        let contact = &self.policy.contact;
        let weekday = local.weekday().to_monday_zero_offset() as usize;
        let open = contact.hours[weekday].is_some_and(|(from, to)| {
            (i16::from(from)..i16::from(to)).contains(&local.hour().into())
        });
        let (date, gap) = (local.date(), SignedDuration::from_hours(contact.gap_hours.into()));
        let handed = &self.people[customer].reader.handed;
        let days = handed.iter().map(|one| {
            let day = one.at.to_zoned(zone.clone()).date();
            (date - day).get_days()
        });
        let today = days.clone().filter(|ago| *ago == 0).count();
        let week = days.filter(|ago| (0..7).contains(ago)).count();
        let near = handed.iter().rfind(|one| now.duration_since(one.at) + TOLERANCE < gap);
        let over_week = contact.per_week.is_some_and(|most| week >= most as usize);
        let over_day = today >= contact.per_day as usize;
        let at = |what: &str| format!("a {kind} message of in_{invoice} leaves at {local}: {what}");
        let too_soon = near.map(|one| format!("too soon after that of in_{}", one.invoice));
        let wrong = [
            (!open, "outside the hours"),
            (over_day, "one too many on that day"),
            (over_week, "one too many in seven days"),
            (too_soon.is_some(), too_soon.as_deref().unwrap_or_default()),
        ];
        let wrong: Vec<_> =
            wrong.into_iter().filter(|(is, _)| *is).map(|(_, what)| at(what)).collect();
        for what in wrong {
            self.broken("I6", what);
        }
    }

    /// Its reader, or its provider, tells something of it, within two days.
    fn answer(&mut self, invoice: usize, order: &MessageOrder) {
        let at = self.within(1_000, 2 * 86_400_000);
        let channel = order.channel;
        let what = match self.rng.usize(..12) {
            0 => Happened::Complained,
            1 => Happened::Unsubscribed,
            2 => Happened::Undelivered(Failure::Address),
            3 | 4 => Happened::Undelivered(Failure::Message),
            5 => Happened::Opened(Who::Machine),
            6 => Happened::Clicked(Who::Unknown),
            7 => Happened::Taken,
            8 if channel != Channel::Email => return self.reply(invoice, channel, at),
            _ => Happened::Delivered,
        };
        self.count("callbacks");
        let answered = match what {
            Happened::Complained | Happened::Unsubscribed => Some(Answered::No(vec![channel])),
            Happened::Undelivered(Failure::Address) => {
                Some(Answered::Undelivered(order.id.clone(), Some(channel)))
            }
            Happened::Undelivered(Failure::Message) => {
                Some(Answered::Undelivered(order.id.clone(), None))
            }
            _ => None,
        };
        let told = Told {
            answered: answered.map(|answered| (self.invoices[invoice].customer, answered)),
            ..Told::default()
        };
        let (case, message) = (self.invoices[invoice].case.clone(), order.id.clone());
        let report = Report { at: self.now, what, code: None };
        self.input_at(at, InboxBody::Delivery { case, message, report }, told);
    }

    /// The customer answers STOP.
    fn reply(&mut self, invoice: usize, channel: Channel, at: Timestamp) {
        self.count("replies");
        let customer = self.invoices[invoice].customer;
        let address = address_key(channel, &Self::phone(customer));
        let told = Told {
            answered: Some((customer, Answered::Reply(address.clone()))),
            ..Told::default()
        };
        let (standing, word) = (Standing::OptedOut, "STOP".to_owned());
        self.input_at(at, InboxBody::Reply { channel, address, standing, word, at }, told);
    }

    /// The customer says yes to text messages, at the counter.
    pub(super) fn agree(&mut self, invoice: usize) {
        let channel = Channel::Sms;
        let customer = self.invoices[invoice].customer;
        let said =
            Consent { channel, standing: Standing::OptedIn, at: self.now, how: "counter".into() };
        let told = Told { answered: Some((customer, Answered::Yes(channel))), ..Told::default() };
        self.input(InboxBody::Consent { customer: format!("cus_{customer}"), said }, told);
    }

    /// recoup has applied what somebody answered.
    pub(super) fn heard(&mut self, customer: usize, answered: Answered) {
        let written = match &answered {
            Answered::Reply(address) => self.durable.written.contains(address),
            // The page is of a case.
            Answered::Stop(invoice) => {
                self.durable.cases.contains_key(&self.invoices[*invoice].case)
            }
            _ => true,
        };
        let reader = &mut self.people[customer].reader;
        match answered {
            Answered::No(channels) => {
                reader.yes.retain(|channel| !channels.contains(channel));
                reader.no.extend(channels);
            }
            Answered::Reply(_) if written => {
                reader.no.extend([Channel::Sms, Channel::Whatsapp]);
                reader.yes.remove(&Channel::Sms);
            }
            Answered::Reply(_) => {}
            Answered::Stop(_) => reader.stopped |= written,
            Answered::Undelivered(id, unreached) => {
                // What did not arrive does not count against what goes in its place.
                reader.handed.retain(|one| one.id != id);
                reader.unreached.extend(unreached);
            }
            Answered::Yes(channel) => {
                reader.yes.insert(channel);
                reader.no.remove(&channel);
            }
        }
    }
}
