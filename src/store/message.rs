//! The record of a message, as it was handed over.
//!
//! Why here: what somebody was told is shown word for word later, and counted.
//!
//! What must stay true: the address is never logged; an older record is of one that was sent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::core::case::MessageStatus;
use crate::core::customer::Channel;
use crate::core::ids::{CaseId, MessageId};
use crate::core::policy::MessageKind;

/// A message exactly as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Its id.
    pub id: MessageId,
    /// Its case.
    pub case: CaseId,
    /// What it says.
    pub kind: MessageKind,
    /// How it went.
    pub channel: Channel,
    /// To whom. Never logged.
    pub to: String,
    /// When.
    pub at: Timestamp,
    /// In which language.
    pub locale: String,
    /// The subject, where the channel has one.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML, where the channel has it.
    pub html: Option<String>,
    /// The provider's own words.
    pub answer: String,
    /// How handing it over ended.
    #[serde(default = "sent", skip_serializing_if = "is_sent")]
    pub status: MessageStatus,
    /// The digest of the address, by which an answer finds the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Older records are of messages that were sent.
fn sent() -> MessageStatus {
    MessageStatus::Sent
}

fn is_sent(status: &MessageStatus) -> bool {
    *status == MessageStatus::Sent
}
