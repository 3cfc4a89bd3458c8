//! Postmark: one event a body.
//!
//! Postmark signs nothing: it signs in with the name and password that stand in the address that
//! it is given. So the address is a secret, and is only ever given over TLS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::Value;

use super::signed::{is_same, texts};
use super::{Callbacks, Notice, malformed, missing, report, unmatched, what};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Who};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

const AUTHORIZATION: &str = "authorization";

/// Reads Postmark's events.
pub struct PostmarkCallbacks {
    logins: Vec<SecretString>,
}

impl PostmarkCallbacks {
    /// Any of these `name:password`.
    pub fn new(logins: Vec<SecretString>) -> Self {
        Self { logins }
    }
}

#[async_trait::async_trait]
impl Callbacks for PostmarkCallbacks {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let given = request.header(AUTHORIZATION).ok_or_else(|| missing(AUTHORIZATION))?;
        let given = given.strip_prefix("Basic ").unwrap_or_default().trim();
        let right = texts(&self.logins)
            .filter(|login| login.contains(':'))
            .any(|login| is_same(given.as_bytes(), STANDARD.encode(login.as_bytes()).as_bytes()));
        if right {
            return Ok(());
        }
        Err(unmatched("name and password are not those of email.callback_secrets"))
    }

    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody> {
        let body: Value =
            serde_json::from_slice(request.body).map_err(|_| malformed("the body is not JSON"))?;
        let kind = body.get("RecordType").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| malformed("there is no field `RecordType`"))?;
        Ok(notice(kind, &body).into_iter().collect())
    }
}

fn notice(kind: &str, event: &Value) -> Option<Notice> {
    let text = |at: &str| event.pointer(at).and_then(Value::as_str);
    let (happened, when) = match kind {
        "Delivery" => (Happened::Delivered, "/DeliveredAt"),
        // Postmark tells nothing of machines; a first open may be either.
        "Open" => (Happened::Opened(Who::Unknown), "/ReceivedAt"),
        "Click" => (Happened::Clicked(Who::Unknown), "/ReceivedAt"),
        "Bounce" => (bounce(text("/Type").unwrap_or_default())?, "/BouncedAt"),
        "SpamComplaint" => (Happened::Complained, "/BouncedAt"),
        "SubscriptionChange" if event.get("SuppressSending") == Some(&Value::Bool(true)) => {
            (Happened::Unsubscribed, "/ChangedAt")
        }
        _ => return None,
    };
    let at = text(when)?.parse().ok()?;
    let id = format!("{}:{kind}:{at}", text("/MessageID")?);
    let code = event.get("TypeCode").and_then(Value::as_i64).map(|code| code.to_string());
    report(id, text("/Metadata/recoup")?, what(happened, at, code))
}

fn bounce(kind: &str) -> Option<Happened> {
    match kind {
        "HardBounce" | "BadEmailAddress" | "ManuallyDeactivated" => {
            Some(Happened::Undelivered(Failure::Address))
        }
        "SpamComplaint" => Some(Happened::Complained),
        "Unsubscribe" => Some(Happened::Unsubscribed),
        // Postmark tries again by itself, or it was an answer of a machine: nothing is certain.
        "Transient"
        | "SoftBounce"
        | "AutoResponder"
        | "AddressChange"
        | "Subscribe"
        | "ChallengeVerification"
        | "OpenRelayTest" => None,
        _ => Some(Happened::Undelivered(Failure::Message)),
    }
}
