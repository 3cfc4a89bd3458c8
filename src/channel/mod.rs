//! Channels: deliver one rendered message.
//!
//! Why here: the worker names no provider. A channel takes an envelope and says what the provider
//! answered, in the provider's own words.
//!
//! What must stay true: a message is handed over at most once for each call; what is not known to
//! have been accepted is [`Delivery::Unknown`], never sent again.

use async_trait::async_trait;

use crate::core::customer::Channel;
use crate::core::event::Contact;
use crate::core::ids::MessageId;
use crate::message::Rendered;

pub mod email;

/// One message, ready to go.
#[derive(Clone)]
pub struct Envelope {
    /// Gives a stable Message-ID.
    pub id: MessageId,
    /// To whom. Never logged.
    pub contact: Contact,
    /// What it says.
    pub rendered: Rendered,
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
