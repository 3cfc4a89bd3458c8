//! Reputation: how the messages of a channel are received, and whether it is stopped for that.
//!
//! Why here: mail providers turn away whoever is reported as unwanted too often, or writes to too
//! many addresses that do not exist, and it takes weeks to be let in again. So a channel stops by
//! itself before that, and a person lets it go on.
//!
//! What must stay true: a message counts once, a complaint once, an address that bounced once; few
//! messages stop nothing; a stop lasts until a person lifts it, and from then on it is counted
//! anew, of messages that went out since.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::case::{Case, Message, MessageStatus};
use super::customer::{Channel, Customer};

/// One in this many is a part per million.
const MILLION: u64 = 1_000_000;

/// One complaint, or one bounce, may be anything.
const MORE_THAN_ONE: u64 = 2;

/// Days that are kept, whatever the ceilings look back over.
const KEPT_DAYS: i64 = 90;

/// What a channel may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ceilings {
    /// Messages reported as unwanted, in parts per million of those that went out.
    pub complaints_ppm: u32,
    /// Addresses that nothing reaches, likewise.
    pub bounces_ppm: u32,
    /// So many messages are needed before a share says anything.
    pub messages: u32,
    /// So many days are looked back over, today included.
    pub days: u32,
}

impl Default for Ceilings {
    /// Google and Yahoo turn mail away at 0.3 % of complaints; Amazon SES steps in at 5 % of
    /// bounces.
    fn default() -> Self {
        Self { complaints_ppm: 3_000, bounces_ppm: 50_000, messages: 100, days: 30 }
    }
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages that were handed over.
    pub messages: u64,
    /// Of them, reported as unwanted.
    #[serde(default)]
    pub complaints: u64,
    /// Addresses that turned out to be reached by nothing.
    #[serde(default)]
    pub bounces: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.complaints += other.complaints;
        self.bounces += other.bounces;
    }

    /// Complaints for each message.
    pub fn complaint_rate(self) -> Option<f64> {
        (self.messages > 0).then(|| self.complaints as f64 / self.messages as f64)
    }

    /// Bounces for each message.
    pub fn bounce_rate(self) -> Option<f64> {
        (self.messages > 0).then(|| self.bounces as f64 / self.messages as f64)
    }
}

/// What stopped a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBy {
    /// Too many addresses that nothing reaches.
    Bounces,
    /// Too many reports as unwanted.
    Complaints,
    /// A person.
    Person,
}

/// A channel is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Since when.
    pub at: Timestamp,
    /// By what.
    pub by: StoppedBy,
    /// In one plain sentence, without a full stop.
    pub why: String,
}

/// What a person orders of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    /// Let it go on; what was counted so far is forgotten.
    Lift,
    /// Send nothing by it.
    Stop {
        /// Why.
        reason: Option<String>,
    },
}

/// What is known of one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// By days of UTC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<Date, Counts>,
    /// A person lifted a stop then: only messages since then count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Timestamp>,
    /// It is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

impl Record {
    /// What was counted in so many days up to now.
    pub fn counts(&self, days: u32, now: Timestamp) -> Counts {
        let today = day_of(now);
        let from = today.saturating_sub(jiff::Span::new().days(i64::from(days.max(1)) - 1));
        let mut sum = Counts::default();
        self.days.range(from..=today).for_each(|(_, day)| sum.add(*day));
        sum
    }

    fn count(&mut self, counts: Counts, now: Timestamp) {
        let today = day_of(now);
        self.days.entry(today).or_default().add(counts);
        let oldest = today.saturating_sub(jiff::Span::new().days(KEPT_DAYS));
        self.days = self.days.split_off(&oldest);
    }

    /// Stops it where it passes a ceiling.
    fn judge(&mut self, ceilings: &Ceilings, now: Timestamp) -> bool {
        let counts = self.counts(ceilings.days, now);
        if self.stop.is_some() || counts.messages < u64::from(ceilings.messages) {
            return false;
        }
        let passes = |part: u64, ppm: u32| {
            part >= MORE_THAN_ONE && part * MILLION >= u64::from(ppm) * counts.messages
        };
        let told = |part: u64, what: &str| {
            let (messages, days) = (counts.messages, ceilings.days);
            format!("{part} of {messages} messages in {days} days {what}")
        };
        let (by, why) = if passes(counts.complaints, ceilings.complaints_ppm) {
            (StoppedBy::Complaints, told(counts.complaints, "were reported as unwanted"))
        } else if passes(counts.bounces, ceilings.bounces_ppm) {
            (StoppedBy::Bounces, told(counts.bounces, "went to addresses that nothing reaches"))
        } else {
            return false;
        };
        self.stop = Some(Stop { at: now, by, why });
        true
    }
}

/// What is known of all channels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reputation {
    /// Channels of which anything is known.
    #[serde(default)]
    channels: BTreeMap<Channel, Record>,
}

/// A case and its customer, before or after a step.
pub type Seen<'a> = (&'a Case, &'a Customer);

impl Reputation {
    /// What is known of a channel.
    pub fn of(&self, channel: Channel) -> Record {
        self.channels.get(&channel).cloned().unwrap_or_default()
    }

    /// Why nothing goes by this channel.
    pub fn stop_of(&self, channel: Channel) -> Option<&Stop> {
        self.channels.get(&channel)?.stop.as_ref()
    }

    /// The channels by which nothing goes.
    pub fn stopped(&self) -> BTreeSet<Channel> {
        let stopped = self.channels.iter().filter(|(_, record)| record.stop.is_some());
        stopped.map(|(channel, _)| *channel).collect()
    }

    /// Counts what a step made known. Gives the channel that it stops.
    pub fn note(
        &mut self,
        before: Seen<'_>,
        after: Seen<'_>,
        ceilings: &Ceilings,
        now: Timestamp,
    ) -> Option<Channel> {
        let news = news(before, after, |channel| self.of(channel).lifted_at);
        let mut stops = None;
        for (channel, counts) in news {
            let record = self.channels.entry(channel).or_default();
            record.count(counts, now);
            // Only mail providers set ceilings; a number that does not exist harms no sender.
            if channel == Channel::Email && record.judge(ceilings, now) {
                stops = Some(channel);
            }
        }
        stops
    }

    /// Does what a person orders. `false`: it was so already.
    pub fn obey(&mut self, channel: Channel, order: &ChannelOrder, now: Timestamp) -> bool {
        let record = self.channels.entry(channel).or_default();
        match order {
            ChannelOrder::Lift if record.stop.is_none() => false,
            ChannelOrder::Lift => {
                *record = Record { lifted_at: Some(now), ..Record::default() };
                true
            }
            ChannelOrder::Stop { .. } if record.stop.is_some() => false,
            ChannelOrder::Stop { reason } => {
                let why = reason.clone().unwrap_or_else(|| "a person stopped it".to_owned());
                record.stop = Some(Stop { at: now, by: StoppedBy::Person, why });
                true
            }
        }
    }
}

/// What a step made known, by channel.
fn news(
    before: Seen<'_>,
    after: Seen<'_>,
    lifted_at: impl Fn(Channel) -> Option<Timestamp>,
) -> BTreeMap<Channel, Counts> {
    let mut news = BTreeMap::<Channel, Counts>::new();
    let counts_now = |m: &Message| lifted_at(m.channel).is_none_or(|lifted| m.at >= lifted);
    let bounced = bounced(before.1, after.1);
    for (index, message) in after.0.messages.iter().enumerate() {
        let was = before.0.messages.get(index).filter(|was| was.id == message.id);
        let address = message.track.address.as_deref();
        let bounces = address.is_some_and(|address| bounced.contains(&(message.channel, address)));
        let mut counts = Counts::default();
        if went(message) && !was.is_some_and(went) {
            counts.messages = 1;
        }
        if message.track.complained_at.is_some()
            && was.is_none_or(|was| was.track.complained_at.is_none())
        {
            counts.complaints = 1;
        }
        if bounces && message.status == MessageStatus::Failed && !was.is_some_and(failed) {
            // It was handed over, and the mailbox was not there.
            (counts.messages, counts.bounces) = (1, 1);
        } else if bounces
            && message.track.undelivered_at.is_some()
            && was.is_some_and(|was| was.track.undelivered_at.is_none())
        {
            counts.bounces = 1;
        }
        if counts != Counts::default() && counts_now(message) {
            news.entry(message.channel).or_default().add(counts);
        }
    }
    news
}

/// Addresses that a step found to be reached by nothing.
fn bounced<'a>(before: &Customer, after: &'a Customer) -> BTreeSet<(Channel, &'a str)> {
    let new = after.suppressed.iter().filter(|one| one.why == "bounce");
    let new = new.filter(|one| !before.suppressed.contains(one));
    new.map(|one| (one.channel, one.address.as_str())).collect()
}

fn went(message: &Message) -> bool {
    matches!(message.status, MessageStatus::Sent | MessageStatus::Unknown)
}

fn failed(message: &Message) -> bool {
    message.status == MessageStatus::Failed
}

fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::case::tests_case as a_case;
    use crate::core::delivery::{Suppressed, Track};
    use crate::core::ids::{EffectId, MessageId};
    use crate::core::policy::MessageKind;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap()
    }

    fn message(status: MessageStatus, sent: Timestamp) -> Message {
        Message {
            id: MessageId::from("msg_1"),
            effect: EffectId::from("eff_1"),
            kind: MessageKind::CardUpdate,
            channel: Channel::Email,
            step: Some(1),
            locale: None,
            at: sent,
            status,
            with: Vec::new(),
            track: Track { address: Some("digest".into()), ..Track::default() },
        }
    }

    /// Plays one message of one customer: queued, sent, then `more` happens to it.
    fn play(
        reputation: &mut Reputation,
        day: i64,
        more: impl Fn(&mut Case, &mut Customer),
    ) -> bool {
        let customer = Customer::new("cus_1");
        let mut queued = a_case();
        queued.messages = vec![message(MessageStatus::Queued, at(day))];
        let mut sent = queued.clone();
        sent.messages = vec![message(MessageStatus::Sent, at(day))];
        let ceilings = Ceilings::default();
        let first = reputation.note((&queued, &customer), (&sent, &customer), &ceilings, at(day));
        let (mut case, mut after) = (sent.clone(), customer.clone());
        more(&mut case, &mut after);
        let second = reputation.note((&sent, &customer), (&case, &after), &ceilings, at(day));
        // The same again is no news.
        let third = reputation.note((&case, &after), (&case, &after), &ceilings, at(day));
        assert_eq!(third, None);
        first.or(second).is_some()
    }

    fn complain(case: &mut Case, _: &mut Customer) {
        case.messages[0].track.complained_at = Some(at(0));
    }

    fn bounce(case: &mut Case, customer: &mut Customer) {
        case.messages[0].track.undelivered_at = Some(at(0));
        customer.suppress(Suppressed {
            channel: Channel::Email,
            address: "digest".into(),
            at: at(0),
            why: "bounce".into(),
        });
    }

    fn quiet(reputation: &mut Reputation, messages: usize) {
        (0..messages).for_each(|_| assert!(!play(reputation, 0, |_, _| {})));
    }

    #[test]
    fn a_complaint_of_three_is_no_stop_and_three_of_a_thousand_are() {
        let mut few = Reputation::default();
        quiet(&mut few, 2);
        assert!(!play(&mut few, 0, complain));
        assert_eq!(few.stopped(), BTreeSet::new());
        let counts = few.of(Channel::Email).counts(30, at(0));
        assert_eq!(counts, Counts { messages: 3, complaints: 1, bounces: 0 });

        let mut many = Reputation::default();
        quiet(&mut many, 997);
        assert!(!play(&mut many, 0, complain) && !play(&mut many, 0, complain));
        assert!(play(&mut many, 0, complain));
        let stop = many.stop_of(Channel::Email).unwrap();
        assert_eq!(stop.by, StoppedBy::Complaints);
        assert_eq!(stop.why, "3 of 1000 messages in 30 days were reported as unwanted");
    }

    #[test]
    fn one_complaint_of_a_hundred_may_be_anything() {
        let mut reputation = Reputation::default();
        quiet(&mut reputation, 99);
        assert!(!play(&mut reputation, 0, complain));
        assert!(play(&mut reputation, 0, complain));
    }

    #[test]
    fn addresses_that_do_not_exist_stop_mail_at_one_in_twenty() {
        let mut reputation = Reputation::default();
        quiet(&mut reputation, 95);
        for _ in 0..4 {
            assert!(!play(&mut reputation, 0, bounce));
        }
        assert!(play(&mut reputation, 0, bounce));
        assert_eq!(reputation.stop_of(Channel::Email).unwrap().by, StoppedBy::Bounces);
    }

    #[test]
    fn an_address_refused_at_the_door_counts_as_message_and_as_bounce() {
        let mut reputation = Reputation::default();
        let (before, customer) = (a_case(), Customer::new("cus_1"));
        let mut queued = before.clone();
        queued.messages = vec![message(MessageStatus::Queued, at(0))];
        let (mut after, mut refused) = (queued.clone(), customer.clone());
        after.messages[0].status = MessageStatus::Failed;
        bounce(&mut after.clone(), &mut refused);
        let ceilings = Ceilings::default();
        reputation.note((&queued, &customer), (&after, &refused), &ceilings, at(0));
        let counts = reputation.of(Channel::Email).counts(30, at(0));
        assert_eq!(counts, Counts { messages: 1, complaints: 0, bounces: 1 });
    }

    #[test]
    fn a_stop_lasts_until_it_is_lifted_and_then_only_what_is_new_counts() {
        let mut reputation = Reputation::default();
        quiet(&mut reputation, 98);
        play(&mut reputation, 0, complain);
        assert!(play(&mut reputation, 0, complain));
        assert!(!play(&mut reputation, 40, |_, _| {}), "it is stopped once");
        assert_eq!(reputation.stopped(), BTreeSet::from([Channel::Email]));
        assert!(reputation.obey(Channel::Email, &ChannelOrder::Lift, at(50)));
        assert!(!reputation.obey(Channel::Email, &ChannelOrder::Lift, at(50)), "once");
        assert_eq!(reputation.stopped(), BTreeSet::new());
        // A complaint about what went out before is no news of what goes out since.
        play(&mut reputation, 49, complain);
        assert_eq!(reputation.of(Channel::Email).counts(30, at(50)), Counts::default());
    }

    #[test]
    fn old_days_are_not_looked_back_on() {
        let mut reputation = Reputation::default();
        quiet(&mut reputation, 120);
        play(&mut reputation, 0, complain);
        assert!(!play(&mut reputation, 31, complain), "one in this month is no stop");
        let counts = reputation.of(Channel::Email).counts(30, at(31));
        assert_eq!((counts.messages, counts.complaints), (1, 1));
    }

    #[test]
    fn a_person_stops_a_channel_and_says_why() {
        let mut reputation = Reputation::default();
        let order = ChannelOrder::Stop { reason: Some("our domain moves".into()) };
        assert!(reputation.obey(Channel::Sms, &order, at(0)));
        assert!(!reputation.obey(Channel::Sms, &order, at(1)));
        assert_eq!(reputation.stop_of(Channel::Sms).unwrap().why, "our domain moves");
    }
}
