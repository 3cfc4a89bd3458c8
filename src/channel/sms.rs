//! Text messages through Twilio's Programmable Messaging.
//!
//! Why here: one call a message; Twilio has no idempotency key, so what a failed call means is
//! decided by how it failed, as for a charge.
//!
//! What must stay true: a message that may have been taken is [`Delivery::Unknown`] and is never
//! sent again; neither number nor text is ever logged or in an error.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::phone::{meaning, number_of};
use super::{Deliver, Delivery, Envelope};
use crate::core::customer::Channel;
use crate::core::event::Contact;
use crate::gateway::wire::{self, Answer, Api, BuildError, Timeouts, Words};

/// Twilio's own address.
pub const TWILIO: &str = "https://api.twilio.com";

/// Twilio's error of a number that cannot be: no number, no mobile, no route, unknown.
const NO_NUMBER: [i64; 5] = [21211, 21214, 21217, 21614, 30006];

/// Twilio's error of a number that has said STOP.
const UNSUBSCRIBED: i64 = 21610;

/// What of a refusal is told.
const WORDS: Words = Words(&["/code"]);

/// What the channel is made from.
pub struct SmsSettings {
    /// `AC…`.
    pub account_sid: String,
    /// Signs in, and verifies Twilio's callbacks.
    pub auth_token: SecretString,
    /// The sender: a number, a name, or a messaging service (`MG…`).
    pub from: String,
    /// Twilio's address, where it is not its own.
    pub api_base: Option<String>,
    /// Where Twilio reports what becomes of a message: `{public_url}/callbacks/sms`.
    pub callback_url: String,
}

/// Delivers through Twilio.
pub struct SmsChannel {
    api: Api,
    settings: SmsSettings,
}

impl SmsChannel {
    /// A channel of this account.
    pub fn new(settings: SmsSettings) -> Result<Self, BuildError> {
        let base = settings.api_base.as_deref().unwrap_or(TWILIO);
        Ok(Self { api: Api::new(base, Timeouts::default())?, settings })
    }
}

#[async_trait]
impl Deliver for SmsChannel {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn reaches(&self, contact: &Contact) -> bool {
        number_of(contact).is_some()
    }

    async fn deliver(&self, envelope: &Envelope) -> Delivery {
        let Some(to) = number_of(&envelope.contact) else {
            return Delivery::Refused { answer: "not a valid phone number".to_owned() };
        };
        let settings = &self.settings;
        let sender = if settings.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let callback = format!("{}?ref={}", settings.callback_url, envelope.reference());
        let form = [
            ("To", to.as_str()),
            (sender, settings.from.as_str()),
            ("Body", envelope.rendered.text.trim()),
            ("StatusCallback", callback.as_str()),
        ];
        let path = ["2010-04-01", "Accounts", &settings.account_sid, "Messages.json"];
        let token = settings.auth_token.expose_secret();
        let request = self.api.post(&path).basic_auth(&settings.account_sid, Some(token));
        meaning(wire::send(request.form(&form)).await, outcome)
    }
}

fn outcome(answer: &Answer) -> Delivery {
    let object = answer.object().unwrap_or_default();
    let code = object.get("code").and_then(Value::as_i64).unwrap_or_default();
    let sid = object.get("sid").and_then(Value::as_str).unwrap_or_default();
    let words = WORDS.of(answer);
    match (answer.is_success(), code) {
        (true, _) if sid.is_empty() => Delivery::Unknown { answer: words },
        (true, _) => {
            let status = object.get("status").and_then(Value::as_str).unwrap_or("accepted");
            Delivery::Accepted { answer: format!("{status} {sid}") }
        }
        (false, UNSUBSCRIBED) => Delivery::Unwanted { answer: words },
        (false, code) if NO_NUMBER.contains(&code) => Delivery::Unreachable { answer: words },
        (false, _) => Delivery::Refused { answer: words },
    }
}
