//! Twilio: what became of a text message, and what people answer.
//!
//! Signed with `X-Twilio-Signature`: base64 of HMAC-SHA1, under the account's auth token, over the
//! full address as Twilio called it and the sorted fields of the form.
//!
//! What must stay true: the address is the configured public one, never what a `Host` header says.

use hmac::Hmac;
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use url::form_urlencoded;

use super::signed::{from_base64, is_mac};
use super::{Callbacks, Notice, malformed, missing, reply, report, unmatched, what};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Who};
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

const SIGNATURE: &str = "x-twilio-signature";

/// Errors after which no message will ever reach the number: unknown, landline, blocked by it.
const NO_NUMBER: [&str; 3] = ["30005", "30006", "30011"];

/// Fields of one form at most.
const MAX_FIELDS: usize = 100;

/// Reads Twilio's callbacks.
pub struct TwilioCallbacks {
    auth_token: SecretString,
}

impl TwilioCallbacks {
    /// Verified with the account's auth token.
    pub fn new(auth_token: SecretString) -> Self {
        Self { auth_token }
    }
}

#[async_trait::async_trait]
impl Callbacks for TwilioCallbacks {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        let given = request.header(SIGNATURE).ok_or_else(|| missing(SIGNATURE))?;
        let mut signed = request.url.unwrap_or_default().to_owned();
        let mut fields = fields(request.body);
        fields.sort();
        fields.dedup();
        for (name, value) in fields {
            signed.push_str(&name);
            signed.push_str(&value);
        }
        let key = self.auth_token.expose_secret().as_bytes();
        if is_mac::<Hmac<Sha1>>(key, &[signed.as_bytes()], &from_base64(given)) {
            return Ok(());
        }
        Err(unmatched(
            "Twilio signs the address that it calls: compare merchant.public_url with the one that \
             is set at Twilio, and sms.auth_token with the account's primary token",
        ))
    }

    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody> {
        let fields = fields(request.body);
        let field =
            |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let sid = field("MessageSid").or_else(|| field("SmsSid"));
        let sid = sid.ok_or_else(|| malformed("there is no field `MessageSid`"))?;
        if let Some(status) = field("MessageStatus") {
            let Some(happened) = happened(status, field("ErrorCode")) else {
                return Ok(Vec::new());
            };
            let code = field("ErrorCode").filter(|code| is_code(code)).map(str::to_owned);
            let told = what(happened, request.now, code);
            let reference = reference(request.query().unwrap_or_default());
            let id = format!("{sid}:{status}");
            return Ok(report(id, &reference, told).into_iter().collect());
        }
        let from = field("From").ok_or_else(|| malformed("there is no field `From`"))?;
        let words = field("OptOutType").or_else(|| field("Body")).unwrap_or_default();
        let notice = reply(sid.to_owned(), Channel::Sms, from, words, request.now);
        Ok(notice.into_iter().collect())
    }

    fn acknowledgement(&self) -> (&'static str, &'static str) {
        // An answer of words would be sent on as a text message.
        ("text/xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>")
    }
}

fn fields(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().take(MAX_FIELDS).collect()
}

fn reference(query: &str) -> String {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ref");
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn is_code(code: &str) -> bool {
    code.len() <= 6 && code.bytes().all(|b| b.is_ascii_digit())
}

fn happened(status: &str, code: Option<&str>) -> Option<Happened> {
    match status {
        "sent" => Some(Happened::Taken),
        "delivered" => Some(Happened::Delivered),
        "read" => Some(Happened::Opened(Who::Person)),
        "failed" | "undelivered" => match code {
            Some("21610") => Some(Happened::Unsubscribed),
            Some(code) if NO_NUMBER.contains(&code) => {
                Some(Happened::Undelivered(Failure::Address))
            }
            _ => Some(Happened::Undelivered(Failure::Message)),
        },
        _ => None,
    }
}
