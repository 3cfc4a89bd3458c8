//! Resend: one event a body, signed as Svix does.
//!
//! HMAC-SHA256 over `id.timestamp.body` under the decoded `whsec_` secret; several signatures may
//! stand in the header, and the time may differ by five minutes.

use hmac::Hmac;
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;

use super::signed::{from_base64, is_mac, texts};
use super::{Callbacks, Notice, malformed, missing, report, unmatched, what};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Who};
use crate::gateway::{MalformedBody, Rejection, RejectionCode, WebhookRequest};

/// How far the sender's clock may be from ours, both ways.
const TOLERANCE_S: i64 = 300;

/// Reads Resend's events.
pub struct ResendCallbacks {
    secrets: Vec<SecretString>,
}

impl ResendCallbacks {
    /// Verified with any of these `whsec_…`.
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self { secrets }
    }
}

#[async_trait::async_trait]
impl Callbacks for ResendCallbacks {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let header = |name: &str| request.header(name).ok_or_else(|| missing(name));
        let (id, at) = (header("svix-id")?, header("svix-timestamp")?);
        let given = header("svix-signature")?;
        let prefix = format!("{id}.{at}.");
        let signatures: Vec<_> =
            given.split(' ').filter_map(|one| one.strip_prefix("v1,")).map(from_base64).collect();
        let right = texts(&self.secrets).any(|secret| {
            let key = from_base64(secret.strip_prefix("whsec_").unwrap_or(secret));
            let parts = [prefix.as_bytes(), request.body];
            signatures.iter().any(|signature| is_mac::<Hmac<Sha256>>(&key, &parts, signature))
        });
        if !right {
            return Err(unmatched("no secret of email.callback_secrets matches"));
        }
        let age = request.now.as_second().saturating_sub(at.parse().unwrap_or_default());
        let code = match age {
            _ if age > TOLERANCE_S => RejectionCode::TimestampTooOld,
            _ if age < -TOLERANCE_S => RejectionCode::TimestampInFuture,
            _ => return Ok(()),
        };
        Err(Rejection::new(code, "the signature is right, but not from now"))
    }

    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody> {
        let body: Value =
            serde_json::from_slice(request.body).map_err(|_| malformed("the body is not JSON"))?;
        let kind = body.get("type").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| malformed("there is no field `type`"))?;
        let id = request.header("svix-id").unwrap_or_default();
        Ok(notice(kind, &body, id).into_iter().collect())
    }
}

fn notice(kind: &str, event: &Value, id: &str) -> Option<Notice> {
    let permanent = event.pointer("/data/bounce/type").and_then(Value::as_str);
    let happened = match kind {
        "email.sent" => Happened::Taken,
        "email.delivered" => Happened::Delivered,
        "email.opened" => Happened::Opened(Who::Unknown),
        "email.clicked" => Happened::Clicked(Who::Unknown),
        "email.complained" => Happened::Complained,
        "email.bounced" if permanent == Some("Permanent") => {
            Happened::Undelivered(Failure::Address)
        }
        "email.bounced" | "email.failed" => Happened::Undelivered(Failure::Message),
        _ => return None,
    };
    let at = event.get("created_at").and_then(Value::as_str)?.parse().ok()?;
    let reference = super::reference_header(event.pointer("/data/headers")?)?;
    report(id.to_owned(), reference, what(happened, at, None))
}
