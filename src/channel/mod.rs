//! Channels: deliver one rendered message.
//!
//! Why here: the worker names no provider. A channel takes an envelope and says what the provider
//! answered, in the provider's own words.
//!
//! What must stay true: a message is handed over at most once for each call; what is not known to
//! have been accepted is [`Delivery::Unknown`], never sent again.

use async_trait::async_trait;

use crate::core::customer::Channel;
use crate::core::delivery;
use crate::core::event::Contact;
use crate::core::ids::{CaseId, MessageId};
use crate::message::Rendered;

pub mod callback;
#[cfg(feature = "email")]
pub mod email;
#[cfg(any(feature = "sms", feature = "whatsapp"))]
mod phone;
pub mod shadow;
#[cfg(feature = "sms")]
pub mod sms;
#[cfg(feature = "whatsapp")]
pub mod whatsapp;

/// One message, ready to go.
#[derive(Clone)]
pub struct Envelope {
    /// Gives a stable Message-ID.
    pub id: MessageId,
    /// Whose it is: with the id it is the reference that reports come back with.
    pub case: CaseId,
    /// To whom. Never logged.
    pub contact: Contact,
    /// What it says.
    pub rendered: Rendered,
    /// Where a `POST` stops all reminders: an e-mail's one-click link.
    pub stop_link: Option<String>,
}

impl Envelope {
    /// What the provider is given so that its reports find the message.
    pub fn reference(&self) -> String {
        delivery::reference(&self.case, &self.id)
    }
}

/// What came of handing it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The provider has it.
    Accepted {
        /// Its own words.
        answer: String,
    },
    /// Not now; nothing was taken.
    Later {
        /// Its own words.
        answer: String,
    },
    /// Never for this address, or this message.
    Refused {
        /// Its own words.
        answer: String,
    },
    /// Nothing reaches this address, now or later.
    Unreachable {
        /// Its own words.
        answer: String,
    },
    /// The provider knows that the customer wants none.
    Unwanted {
        /// Its own words.
        answer: String,
    },
    /// The connection broke after the content had left.
    Unknown {
        /// What happened.
        answer: String,
    },
}

/// Delivers messages on one channel.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Which channel.
    fn channel(&self) -> Channel;

    /// Whether this contact can be reached on it at all.
    fn reaches(&self, contact: &Contact) -> bool;

    /// Hands one message over.
    async fn deliver(&self, envelope: &Envelope) -> Delivery;
}
