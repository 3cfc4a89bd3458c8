//! What a dry run makes up: an accepted message, a refusal of which nothing is known, and how a
//! message would read.
//!
//! What must stay true: a message that is only planned holds no card-update link.

use jiff::Timestamp;
use serde::Serialize;

use super::{PlanStep, PlannedMessage, What};
use crate::core::case::{Attempt, AttemptOutcome, Message};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::{MessageOrder, Outcome, SendOutcome};
use crate::message::{self, Brand};

pub(super) fn queued_step(message: &Message, now: Timestamp) -> PlanStep {
    let (kind, channel) = (message.kind.as_str(), message.channel.as_str());
    PlanStep {
        at: message.at.max(now),
        what: What::Message,
        via: Some(channel.to_owned()),
        text: format!("A {kind} message goes out by {channel}: it is on its way already."),
        why: None,
        considered: Vec::new(),
        message: None,
    }
}

pub(super) fn is_unknown(attempt: &Attempt) -> bool {
    attempt.outcome == AttemptOutcome::Unknown
}

/// The message as the customer would read it. A template that fails leaves the step without text.
pub(super) fn planned(order: &MessageOrder, brand: &Brand) -> Option<PlannedMessage> {
    let link = format!("{}/pay/…", brand.public_url.trim_end_matches('/'));
    let rendered = message::render(order, brand, &link).ok()?;
    Some(PlannedMessage {
        kind: order.kind,
        channel: order.channel,
        locale: rendered.locale,
        subject: rendered.subject,
        text: rendered.text,
    })
}

pub(super) fn sent() -> Outcome {
    Outcome::Sent(SendOutcome::Sent {
        answer: "taken to be accepted".into(),
        subject: String::new(),
        text: String::new(),
        html: None,
        locale: String::new(),
    })
}

/// The name of an action as in the merchant file.
pub(super) fn name(action: &impl Serialize) -> String {
    let value = serde_json::to_value(action).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// A refusal of which nothing is known.
pub(super) fn unknown() -> Decline {
    Decline {
        code: None,
        network_code: None,
        advice_code: None,
        network_advice_code: None,
        category: Category::Unknown,
        advice: Advice::None,
        min_delay_seconds: None,
    }
}
