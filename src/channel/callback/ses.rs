//! Amazon SES: events of mails, told through Amazon SNS.
//!
//! Two forms of the same: events of a configuration set (`eventType`, with our tag), and feedback
//! on an identity (`notificationType`, with our header where the original headers are included).
//!
//! What must stay true: what SES is not sure of counts for nothing, since a message that arrived
//! must not go out again on another channel; an address goes no further than this file.

use async_trait::async_trait;
use serde_json::Value;

use super::sns::{Envelope, Sns};
use super::{Callbacks, Notice, Unready, report, what};
use crate::core::customer::Channel;
use crate::core::delivery::{Failure, Happened, Who};
use crate::gateway::wire::BuildError;
use crate::gateway::{MalformedBody, Rejection, WebhookRequest};

/// Reads the events of SES.
pub struct SesCallbacks {
    sns: Sns,
}

impl SesCallbacks {
    /// Told by these topics of SNS; `api_base` is asked in the place of SNS.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(topics: Vec<String>, api_base: Option<&str>) -> Result<Self, BuildError> {
        Ok(Self { sns: Sns::new(topics, api_base)? })
    }
}

#[async_trait]
impl Callbacks for SesCallbacks {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    async fn prepare(&self, request: &WebhookRequest<'_>) -> Result<(), Unready> {
        self.sns.fetch(request.body).await
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        self.sns.verify(request.body)
    }

    async fn heed(&self, request: &WebhookRequest<'_>) -> Result<(), Unready> {
        self.sns.heed(request.body).await
    }

    fn read(&self, request: &WebhookRequest<'_>) -> Result<Vec<Notice>, MalformedBody> {
        let envelope = Envelope::read(request.body)?;
        if !envelope.is_notification() {
            return Ok(Vec::new());
        }
        // SES greets a new topic in plain words: those are about no mail.
        let Ok(event) = serde_json::from_str(&envelope.message) else { return Ok(Vec::new()) };
        Ok(notice(&event, envelope.message_id).into_iter().collect())
    }
}

fn notice(event: &Value, id: String) -> Option<Notice> {
    let text = |at: &str| event.pointer(at).and_then(Value::as_str);
    let (happened, when) = match text("/eventType").or_else(|| text("/notificationType"))? {
        "Send" => (Happened::Taken, "/mail/timestamp"),
        "Delivery" => (Happened::Delivered, "/delivery/timestamp"),
        // SES does not tell a person's program from a machine that fetches everything.
        "Open" => (Happened::Opened(Who::Unknown), "/open/timestamp"),
        "Click" => (Happened::Clicked(Who::Unknown), "/click/timestamp"),
        "Reject" => (Happened::Undelivered(Failure::Message), "/mail/timestamp"),
        "Bounce" => {
            let kinds = (text("/bounce/bounceType")?, text("/bounce/bounceSubType"));
            (bounce(kinds)?, "/bounce/timestamp")
        }
        "Complaint" => {
            (complaint(text("/complaint/complaintFeedbackType"))?, "/complaint/timestamp")
        }
        "Subscription" => {
            let all = event.pointer("/subscription/newTopicPreferences/unsubscribeAll");
            all.filter(|all| **all == Value::Bool(true))?;
            (Happened::Unsubscribed, "/subscription/timestamp")
        }
        _ => return None,
    };
    let at = text(when)?.parse().ok()?;
    let code = text("/bounce/bouncedRecipients/0/status");
    let code = code.filter(|code| super::words::is_status(code)).map(str::to_owned);
    report(id, reference(event)?, what(happened, at, code))
}

fn bounce(kinds: (&str, Option<&str>)) -> Option<Happened> {
    match kinds {
        ("Permanent", _) => Some(Happened::Undelivered(Failure::Address)),
        ("Transient", Some("MailboxFull" | "MessageTooLarge" | "ContentRejected")) => {
            Some(Happened::Undelivered(Failure::Message))
        }
        ("Transient", Some("AttachmentRejected" | "CustomTimeoutExceeded")) => {
            Some(Happened::Undelivered(Failure::Message))
        }
        // The answer of a machine ("I am away") is told as one of these too.
        _ => None,
    }
}

/// `not-spam` takes a complaint back; `auth-failure` is about the sender's own settings.
fn complaint(kind: Option<&str>) -> Option<Happened> {
    (!matches!(kind, Some("not-spam" | "auth-failure"))).then_some(Happened::Complained)
}

/// Our tag, or our header, as SES gives it back.
fn reference(event: &Value) -> Option<&str> {
    if let Some(tag) = event.pointer("/mail/tags/recoup/0") {
        return tag.as_str();
    }
    super::reference_header(event.pointer("/mail/headers")?)
}
