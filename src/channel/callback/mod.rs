//! Callbacks: what message providers tell us, verified as each of them signs.
//!
//! Why here: the routes name no provider. A reader checks the raw bytes and gives what is to be
//! noted; the inbox makes it happen exactly once, whatever the order.
//!
//! What must stay true: nothing of a callback counts before its signature is right; an address
//! leaves here as a digest only; what is about a message that is not ours is passed over.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::core::consent::Standing;
use crate::core::customer::Channel;
use crate::core::delivery::{self, Happened, Report, address_key};
use crate::core::ids::{CaseId, MessageId};
use crate::gateway::{MalformedBody, Rejection, RejectionCode, WebhookRequest};

#[cfg(feature = "email")]
pub mod postmark;
#[cfg(feature = "email")]
pub mod resend;
#[cfg(feature = "email")]
pub mod sendgrid;
#[cfg(feature = "email")]
pub mod ses;
#[cfg_attr(not(feature = "channels"), allow(dead_code))]
mod signed;
#[cfg(feature = "email")]
mod sns;
#[cfg(feature = "sms")]
pub mod twilio;
#[cfg(feature = "whatsapp")]
pub mod whatsapp;
#[cfg_attr(not(feature = "channels"), allow(dead_code))]
mod words;

/// One thing that a provider told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of the report: the same report has the same id.
    pub id: String,
    /// What it says.
    pub told: Told,
}

/// What a provider told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What became of a message of ours.
    Message {
        /// Whose.
        case: CaseId,
        /// Which.
        message: MessageId,
        /// What became of it.
        report: Report,
    },
    /// Somebody said yes or no to further messages.
    Reply {
        /// The digest of their address.
        address: String,
        /// What they said.
        standing: Standing,
        /// The word.
        word: String,
        /// When.
        at: Timestamp,
    },
}

/// What a check needs is not to be had now: the provider is asked to call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("take the report: {0}")]
pub struct Unready(pub &'static str);

/// Reads the callbacks of one provider.
#[async_trait]
pub trait Callbacks: Send + Sync {
    /// Whose messages they are about.
    fn channel(&self) -> Channel;

    /// Gets what the check needs from elsewhere, and trusts nothing of the callback meanwhile.
    async fn prepare(&self, _request: &WebhookRequest<'_>) -> Result<(), Unready> {
        Ok(())
    }

    /// Checks the raw bytes as the provider signs them.
    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection>;

    /// Does what a verified callback asks of its receiver.
    async fn heed(&self, _request: &WebhookRequest<'_>) -> Result<(), Unready> {
        Ok(())
    }

    /// What a verified callback says. What is about nothing of ours is left out.
    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody>;

    /// The answer to a provider that checks the address with a `GET`.
    fn answer_challenge(&self, _query: &str) -> Option<Result<String, Rejection>> {
        None
    }

    /// The type and body of the answer to a callback that was taken.
    fn acknowledgement(&self) -> (&'static str, &'static str) {
        ("application/json", "{\"received\":true}")
    }
}

/// A report on the message of `reference`; `None` where it is none of ours.
fn report(id: String, reference: &str, report: Report) -> Option<Notice> {
    let (case, message) = delivery::read_reference(reference)?;
    Some(Notice { id, told: Told::Message { case, message, report } })
}

/// An answer in words; `None` where it means neither yes nor no.
#[cfg_attr(not(feature = "channels"), allow(dead_code))]
fn reply(id: String, channel: Channel, from: &str, text: &str, at: Timestamp) -> Option<Notice> {
    let (standing, word) = words::meaning(text)?;
    let address = address_key(channel, from);
    Some(Notice { id, told: Told::Reply { address, standing, word: word.to_owned(), at } })
}

fn what(what: Happened, at: Timestamp, code: Option<String>) -> Report {
    Report { at, what, code }
}

/// Our header of the mail, among the headers that a provider gives back.
fn reference_header(headers: &serde_json::Value) -> Option<&str> {
    let is_ours = |header: &&serde_json::Value| {
        let name = header.get("name").and_then(serde_json::Value::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case("x-recoup-message"))
    };
    headers.as_array()?.iter().find(is_ours)?.get("value")?.as_str()
}

/// Seconds since 1970, as a number or as text.
fn seconds(value: &serde_json::Value) -> Option<Timestamp> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    Timestamp::from_second(seconds).ok()
}

fn malformed(what: &str) -> MalformedBody {
    MalformedBody(what.to_owned())
}

fn missing(header: &str) -> Rejection {
    Rejection::new(RejectionCode::MissingHeader, format!("there is no header `{header}`"))
}

fn unmatched(hint: &str) -> Rejection {
    Rejection::new(RejectionCode::NoSignatureMatch, hint)
}
