//! WhatsApp: what became of a message, and what people answer.
//!
//! Signed with `X-Hub-Signature-256`: HMAC-SHA256 of the raw body under the app's secret. The
//! address is checked once by a `GET` with a token that the merchant chose.

use hmac::Hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;
use url::form_urlencoded;

use super::signed::{is_mac, is_same};
use super::{Callbacks, Notice, malformed, missing, reply, report, seconds, unmatched, what};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Who};
use crate::gateway::{MalformedBody, Rejection, RejectionCode, WebhookRequest};

const SIGNATURE: &str = "x-hub-signature-256";

/// No WhatsApp at this number.
const NOT_ON_WHATSAPP: i64 = 131_026;

/// The customer chose to get no such messages.
const NOT_WANTED: i64 = 131_050;

/// Reads Meta's callbacks.
pub struct WhatsappCallbacks {
    app_secret: SecretString,
    verify_token: Option<SecretString>,
}

impl WhatsappCallbacks {
    /// Verified with the app's secret; the address is confirmed where a token is known.
    pub fn new(app_secret: SecretString, verify_token: Option<SecretString>) -> Self {
        Self { app_secret, verify_token }
    }
}

#[async_trait::async_trait]
impl Callbacks for WhatsappCallbacks {
    fn channel(&self) -> Channel {
        Channel::Whatsapp
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let given = request.header(SIGNATURE).ok_or_else(|| missing(SIGNATURE))?;
        let hint = "the header has the form `sha256=` and 64 hex digits";
        let malformed = || Rejection::new(RejectionCode::MalformedHeader, hint);
        let digits = given.strip_prefix("sha256=").ok_or_else(malformed)?;
        let signature = hex::decode(digits).map_err(|_| malformed())?;
        let key = self.app_secret.expose_secret().as_bytes();
        if is_mac::<Hmac<Sha256>>(key, &[request.body], &signature) {
            return Ok(());
        }
        Err(unmatched(
            "whatsapp.app_secret is not the secret of the app that the webhook is set at",
        ))
    }

    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody> {
        let body: Value =
            serde_json::from_slice(request.body).map_err(|_| malformed("the body is not JSON"))?;
        let values = list(&body, "entry").flat_map(|entry| list(entry, "changes"));
        let mut notices = Vec::new();
        for value in values.filter_map(|change| change.get("value")) {
            notices.extend(list(value, "statuses").filter_map(status));
            notices.extend(list(value, "messages").filter_map(message));
        }
        Ok(notices)
    }

    fn answer_challenge(&self, query: &str) -> Option<Result<String, Rejection>> {
        let wanted = self.verify_token.as_ref()?.expose_secret();
        let field = |name: &str| {
            let found = form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let right = is_same(field("hub.verify_token").as_bytes(), wanted.as_bytes());
        let challenge = field("hub.challenge");
        let plain = challenge.len() <= 256 && challenge.bytes().all(|b| b.is_ascii_alphanumeric());
        if right && plain && field("hub.mode") == "subscribe" {
            return Some(Ok(challenge));
        }
        Some(Err(unmatched("the token is not whatsapp.verify_token")))
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn status(status: &Value) -> Option<Notice> {
    let text = |name: &str| status.get(name).and_then(Value::as_str);
    let (id, state) = (text("id")?, text("status")?);
    let code = status.pointer("/errors/0/code").and_then(Value::as_i64);
    let happened = match (state, code) {
        ("sent", _) => Happened::Taken,
        ("delivered", _) => Happened::Delivered,
        ("read", _) => Happened::Opened(Who::Person),
        ("failed", Some(NOT_ON_WHATSAPP)) => Happened::Undelivered(Failure::Address),
        ("failed", Some(NOT_WANTED)) => Happened::Unsubscribed,
        ("failed", _) => Happened::Undelivered(Failure::Message),
        _ => return None,
    };
    let told = what(happened, seconds(status.get("timestamp")?)?, code.map(|c| c.to_string()));
    report(format!("{id}:{state}"), text("biz_opaque_callback_data")?, told)
}

fn message(message: &Value) -> Option<Notice> {
    let text = |at: &str| message.pointer(at).and_then(Value::as_str);
    let words = text("/text/body").or_else(|| text("/button/text"))?;
    let at = seconds(message.get("timestamp")?)?;
    reply(text("/id")?.to_owned(), Channel::Whatsapp, text("/from")?, words, at)
}
