//! Delivery: what became of a message after it was handed over, and to which addresses nothing
//! goes any more.
//!
//! Why here: providers tell it in any order, more than once, and hours later. Each report is noted
//! for itself, so the order does not matter.
//!
//! What must stay true: the first time of each kind stays; an address is kept as a digest only; an
//! address that nothing reaches is not tried again until the customer has another one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::customer::{Channel, Customer};
use super::ids::{CaseId, MessageId, digest};

/// Addresses of one customer that are remembered as unreachable, at most.
const SUPPRESSED_AT_MOST: usize = 32;

/// Who opened a mail or followed its link, as far as the provider can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A mail program or scanner that fetches everything beforehand.
    Machine,
    /// A person, as the provider says.
    Person,
    /// The provider does not tell the two apart.
    Unknown,
}

/// Why a message did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nothing will ever reach this address.
    Address,
    /// This message was not delivered; the next one may be.
    Message,
}

/// What a provider tells of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// A link in it was followed.
    Clicked(Who),
    /// It was reported as unwanted.
    Complained,
    /// It is in the mailbox, or on the phone.
    Delivered,
    /// It was opened or read.
    Opened(Who),
    /// The provider has it.
    Taken,
    /// It did not arrive, for good.
    Undelivered(Failure),
    /// The reader unsubscribed at the provider.
    Unsubscribed,
}

/// One report of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
    /// The provider's own code, where it has one. No address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What is known of one message after it was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The digest of the address that it went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The message that did not arrive, in whose place this one goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_of: Option<MessageId>,
    /// In the mailbox, or on the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// First opened by a person, or by nobody knows whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// First fetched by a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetched_at: Option<Timestamp>,
    /// A link was followed, as the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicked_at: Option<Timestamp>,
    /// The customer did something on the page after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<Timestamp>,
    /// It did not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered_at: Option<Timestamp>,
    /// Reported as unwanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complained_at: Option<Timestamp>,
    /// The customer stopped the reminders with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribed_at: Option<Timestamp>,
}

impl Track {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes a report. `false`: that much was known.
    pub fn note(&mut self, report: &Report) -> bool {
        let place = match report.what {
            Happened::Clicked(Who::Machine) | Happened::Opened(Who::Machine) => {
                &mut self.prefetched_at
            }
            Happened::Clicked(_) => &mut self.clicked_at,
            Happened::Complained => &mut self.complained_at,
            Happened::Delivered => &mut self.delivered_at,
            Happened::Opened(_) => &mut self.opened_at,
            Happened::Taken => return true,
            Happened::Undelivered(_) => &mut self.undelivered_at,
            Happened::Unsubscribed => &mut self.unsubscribed_at,
        };
        let new = place.is_none();
        *place = Some(place.map_or(report.at, |known| known.min(report.at)));
        new
    }
}

/// An address that nothing goes to any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// On which channel.
    pub channel: Channel,
    /// The digest of the address.
    pub address: String,
    /// Since when.
    pub at: Timestamp,
    /// What the provider said: `bounce`, `complaint` …
    pub why: String,
}

impl Customer {
    /// The address on `channel`, where one is known.
    pub fn address_on(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::Email => self.contact.email.as_deref(),
            Channel::Sms | Channel::Whatsapp => self.contact.phone.as_deref(),
        }
    }

    /// Whether a message may and can go out on `channel`: there is an address, nobody said no, and
    /// it was never found to be unreachable.
    pub fn reached_on(&self, channel: Channel) -> bool {
        self.address_on(channel).is_some()
            && !self.opted_out(channel)
            && self.suppressed_on(channel).is_none()
    }

    /// Why nothing goes to the customer's present address on `channel`.
    pub fn suppressed_on(&self, channel: Channel) -> Option<&Suppressed> {
        let present = address_key(channel, self.address_on(channel)?);
        self.suppressed.iter().find(|s| s.channel == channel && s.address == present)
    }

    /// Nothing goes to this address any more.
    pub fn suppress(&mut self, address: Suppressed) {
        let same = |s: &Suppressed| s.channel == address.channel && s.address == address.address;
        if self.suppressed.iter().any(same) {
            return;
        }
        self.suppressed.push(address);
        let excess = self.suppressed.len().saturating_sub(SUPPRESSED_AT_MOST);
        self.suppressed.drain(..excess);
    }
}

/// The digest of an address: the same however it is written.
pub fn address_key(channel: Channel, address: &str) -> String {
    match channel {
        Channel::Email => digest(&["email", &address.trim().to_lowercase()]),
        Channel::Sms | Channel::Whatsapp => {
            let digits: String = address.chars().filter(char::is_ascii_digit).collect();
            digest(&["phone", &digits])
        }
    }
}

/// What a provider is given so that its reports can be told apart: case and message.
pub fn reference(case: &CaseId, message: &MessageId) -> String {
    format!("{case}-{message}")
}

/// Case and message of a [`reference()`].
pub fn read_reference(text: &str) -> Option<(CaseId, MessageId)> {
    let (case, message) = text.split_once('-')?;
    let fits = |part: &str, prefix: &str| {
        part.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 20 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let known = fits(case, "case_") && fits(message, "msg_");
    known.then(|| (CaseId::from(case), MessageId::from(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::GatewayId;

    fn report(second: i64, what: Happened) -> Report {
        Report { at: Timestamp::from_second(second).unwrap(), what, code: None }
    }

    #[test]
    fn reports_in_any_order_end_alike() {
        let reports = [
            report(10, Happened::Delivered),
            report(20, Happened::Opened(Who::Machine)),
            report(30, Happened::Opened(Who::Person)),
            report(40, Happened::Opened(Who::Person)),
            report(50, Happened::Complained),
        ];
        let mut forward = Track::default();
        let mut backward = Track::default();
        let news: Vec<_> = reports.iter().map(|r| forward.note(r)).collect();
        let back: Vec<_> = reports.iter().rev().map(|r| backward.note(r)).collect();
        assert_eq!((news.len(), back.len()), (5, 5));
        assert_eq!(forward, backward);
        assert_eq!(forward.opened_at.unwrap().as_second(), 30, "a machine's fetch is no reading");
        assert!(!forward.note(&reports[0]), "known already");
    }

    #[test]
    fn an_address_that_nothing_reaches_is_left_alone_until_it_is_another() {
        let mut customer = Customer::new("cus_1");
        customer.contact.email = Some("Ana@Example.com".into());
        assert!(customer.reached_on(Channel::Email) && !customer.reached_on(Channel::Sms));
        let suppressed = Suppressed {
            channel: Channel::Email,
            address: address_key(Channel::Email, " ana@example.com"),
            at: Timestamp::UNIX_EPOCH,
            why: "bounce".into(),
        };
        customer.suppress(suppressed.clone());
        customer.suppress(suppressed);
        assert_eq!(customer.suppressed.len(), 1);
        assert!(!customer.reached_on(Channel::Email));
        customer.contact.email = Some("ana@new.example".into());
        assert!(customer.reached_on(Channel::Email));
    }

    #[test]
    fn a_reference_leads_back_and_a_made_up_one_leads_nowhere() {
        let case = CaseId::of(&GatewayId::from("stripe"), "in_1");
        let message = MessageId::of(&case, 1);
        let text = reference(&case, &message);
        assert_eq!(read_reference(&text), Some((case, message)));
        for wrong in ["", "-", "case_1-msg_1", &text[1..], &format!("{text}0"), "a-b-c"] {
            assert_eq!(read_reference(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_number_is_one_address_on_both_channels() {
        let sms = address_key(Channel::Sms, "+57 300 123-4567");
        assert_eq!(sms, address_key(Channel::Whatsapp, "573001234567"));
        assert_ne!(sms, address_key(Channel::Sms, "+573001234568"));
    }
}
