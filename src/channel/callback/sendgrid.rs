//! SendGrid's signed event webhook: a list of events in one body.
//!
//! Signed with ECDSA over P-256: `X-Twilio-Email-Event-Webhook-Signature` (DER, base64) over the
//! header `…-Timestamp` and the raw body, under a key pair of which we have the public half.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use secrecy::SecretString;
use serde_json::Value;

use super::signed::{from_base64, texts};
use super::{Callbacks, Notice, malformed, missing, report, seconds, unmatched, what};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Who};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

/// What stands before the point in the DER of a P-256 public key.
const DER_PREFIX: usize = 26;

/// Reads SendGrid's events.
pub struct SendgridCallbacks {
    public_keys: Vec<SecretString>,
}

impl SendgridCallbacks {
    /// Verified with any of these keys, as SendGrid shows them (base64).
    pub fn new(public_keys: Vec<SecretString>) -> Self {
        Self { public_keys }
    }
}

#[async_trait::async_trait]
impl Callbacks for SendgridCallbacks {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let signature = request.header(SIGNATURE).ok_or_else(|| missing(SIGNATURE))?;
        let timestamp = request.header(TIMESTAMP).ok_or_else(|| missing(TIMESTAMP))?;
        let signature = from_base64(signature);
        let signed = [timestamp.as_bytes(), request.body].concat();
        let right = texts(&self.public_keys).any(|key| {
            let der = from_base64(key);
            let point = der.get(DER_PREFIX..).unwrap_or_default();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(&signed, &signature)
                .is_ok()
        });
        if right {
            return Ok(());
        }
        Err(unmatched(
            "no key of email.callback_secrets matches: SendGrid shows its own under Mail Settings, \
             Event Webhook, Signature Verification",
        ))
    }

    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody> {
        let body: Value =
            serde_json::from_slice(request.body).map_err(|_| malformed("the body is not JSON"))?;
        let events = body.as_array().ok_or_else(|| malformed("the body is not a list"))?;
        Ok(events.iter().filter_map(notice).collect())
    }
}

fn notice(event: &Value) -> Option<Notice> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let machine = event.get("sg_machine_open").and_then(Value::as_bool);
    let happened = match (text("event")?, text("type")) {
        ("processed", _) => Happened::Taken,
        ("delivered", _) => Happened::Delivered,
        ("open", _) => Happened::Opened(match machine {
            Some(true) => Who::Machine,
            Some(false) => Who::Person,
            None => Who::Unknown,
        }),
        ("click", _) => Happened::Clicked(Who::Unknown),
        // A block is about this mail or the sender, a bounce about the address.
        ("bounce", Some("blocked")) => Happened::Undelivered(Failure::Message),
        ("bounce", _) => Happened::Undelivered(Failure::Address),
        ("dropped", _) => match text("reason").unwrap_or_default() {
            "Bounced Address" | "Invalid" => Happened::Undelivered(Failure::Address),
            "Unsubscribed Address" => Happened::Unsubscribed,
            "Spam Reporting Address" => Happened::Complained,
            _ => Happened::Undelivered(Failure::Message),
        },
        ("spamreport", _) => Happened::Complained,
        ("unsubscribe" | "group_unsubscribe", _) => Happened::Unsubscribed,
        _ => return None,
    };
    let code = text("status").filter(|code| super::words::is_status(code)).map(str::to_owned);
    let told = what(happened, seconds(event.get("timestamp")?)?, code);
    report(text("sg_event_id")?.to_owned(), text("recoup")?, told)
}
