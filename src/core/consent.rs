//! Consent: on which channel a customer said yes or no, when, and how we know; and when messages
//! went out to them.
//!
//! Why here: who asks must be able to show it. The record is kept with the customer, over all
//! cases.
//!
//! What must stay true: a no holds until the customer says yes again; the same answer heard twice
//! is one entry, with the first date.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::customer::{Channel, Customer};
use super::fault::{Mutant, fault};

/// Entries that are kept of one customer at most; the newest of each channel always is.
const ENTRIES_AT_MOST: usize = 64;

/// What the customer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Yes, on this channel.
    OptedIn,
    /// No more on this channel.
    OptedOut,
}

/// One thing that the customer said of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Which channel.
    pub channel: Channel,
    /// What they said.
    pub standing: Standing,
    /// When.
    pub at: Timestamp,
    /// How we know: `sms:STOP`, `one-click`, `api: signed up at the counter` … No address.
    pub how: String,
}

impl Customer {
    /// Keeps what the customer said.
    pub fn note_consent(&mut self, said: Consent) {
        if self.consent_on(said.channel).is_some_and(|known| known.standing == said.standing) {
            return;
        }
        self.consents.push(said);
        while self.consents.len() > ENTRIES_AT_MOST {
            let stale = (0..self.consents.len()).find(|index| {
                let channel = self.consents[*index].channel;
                self.consents[index + 1..].iter().any(|later| later.channel == channel)
            });
            let Some(stale) = stale else { return };
            self.consents.remove(stale);
        }
    }

    /// The newest word on `channel`.
    pub fn consent_on(&self, channel: Channel) -> Option<&Consent> {
        self.consents.iter().rev().find(|said| said.channel == channel)
    }

    /// Whether the customer said no to `channel`.
    pub fn opted_out(&self, channel: Channel) -> bool {
        let no = |said: &Consent| said.standing == Standing::OptedOut;
        self.consent_on(channel).is_some_and(no) && !fault(Mutant::MessageAfterNo)
    }

    /// Whether a message may go by `channel`: nobody said no, and where a yes is asked for there is
    /// one: the customer's own, or the merchant's word that this channel is agreed.
    pub fn may_be_written_to(&self, channel: Channel, asks_for_yes: &[Channel]) -> bool {
        let agreed = self.channels.as_ref().is_some_and(|agreed| agreed.contains(&channel));
        let yes = || self.opted_in(channel) || agreed;
        !self.opted_out(channel) && (!asks_for_yes.contains(&channel) || yes())
    }

    /// Whether the customer said yes to `channel`.
    pub fn opted_in(&self, channel: Channel) -> bool {
        self.consent_on(channel).is_some_and(|said| said.standing == Standing::OptedIn)
    }
}

/// One message that went out, or is about to: what the contact policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Contacted {
    /// When.
    pub at: Timestamp,
    /// By which channel; `None` in records of before this was kept.
    pub channel: Option<Channel>,
    /// In shadow mode: it would have gone out. Only cases in shadow count it.
    pub withheld: bool,
    /// Nobody has told yet when it went out: from its moment on it may be leaving just now.
    pub open: bool,
}

impl Contacted {
    /// As it counts at `now`.
    #[must_use]
    pub fn as_of(self, now: Timestamp) -> Self {
        let at =
            if self.open && !fault(Mutant::CountsWhenPlanned) { self.at.max(now) } else { self.at };
        Self { at, ..self }
    }
}

/// Older records hold the moment alone.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Moment(Timestamp),
    Whole {
        at: Timestamp,
        channel: Option<Channel>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        withheld: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        open: bool,
    },
}

impl From<Stored> for Contacted {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Moment(at) => Self { at, channel: None, withheld: false, open: false },
            Stored::Whole { at, channel, withheld, open } => Self { at, channel, withheld, open },
        }
    }
}

impl From<Contacted> for Stored {
    fn from(contacted: Contacted) -> Self {
        match contacted.channel {
            None => Self::Moment(contacted.at),
            channel => {
                let Contacted { at, withheld, open, .. } = contacted;
                Self::Whole { at, channel, withheld, open }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn said(standing: Standing, second: i64) -> Consent {
        let at = Timestamp::from_second(second).unwrap();
        Consent { channel: Channel::Sms, standing, at, how: "sms:STOP".into() }
    }

    #[test]
    fn the_newest_word_holds_and_the_same_word_twice_is_one_entry() {
        let mut customer = Customer::new("cus_1");
        assert!(!customer.opted_out(Channel::Sms) && !customer.opted_in(Channel::Sms));
        customer.note_consent(said(Standing::OptedOut, 1));
        customer.note_consent(said(Standing::OptedOut, 2));
        assert_eq!(customer.consents.len(), 1);
        assert_eq!(customer.consents[0].at.as_second(), 1);
        assert!(customer.opted_out(Channel::Sms) && !customer.opted_out(Channel::Email));
        customer.note_consent(said(Standing::OptedIn, 3));
        assert!(customer.opted_in(Channel::Sms) && !customer.opted_out(Channel::Sms));
    }

    #[test]
    fn a_customer_who_changes_their_mind_for_ever_does_not_fill_the_record() {
        let mut customer = Customer::new("cus_1");
        let email = Consent { channel: Channel::Email, ..said(Standing::OptedOut, 0) };
        customer.note_consent(email);
        for second in 1..500 {
            let standing = if second % 2 == 0 { Standing::OptedIn } else { Standing::OptedOut };
            customer.note_consent(said(standing, second));
        }
        assert_eq!(customer.consents.len(), ENTRIES_AT_MOST);
        assert!(customer.opted_out(Channel::Email), "the only word on a channel stays");
        assert!(customer.opted_out(Channel::Sms));
    }

    #[test]
    pub(crate) fn what_nobody_has_told_of_may_be_leaving_just_now() {
        let planned = Timestamp::from_second(1_000).unwrap();
        let now = Timestamp::from_second(9_000).unwrap();
        let sent = Contacted { at: planned, channel: None, withheld: false, open: false };
        assert_eq!(sent.as_of(now).at, planned);
        assert_eq!(Contacted { open: true, ..sent }.as_of(now).at, now);
    }

    #[test]
    fn older_records_open() {
        let old: Contacted = serde_json::from_str("\"2026-01-05T13:00:00Z\"").unwrap();
        assert_eq!(old.channel, None);
        assert_eq!(serde_json::to_string(&old).unwrap(), "\"2026-01-05T13:00:00Z\"");
        let new = Contacted { channel: Some(Channel::Sms), ..old };
        let text = serde_json::to_string(&new).unwrap();
        assert_eq!(serde_json::from_str::<Contacted>(&text).unwrap(), new);
    }
}
