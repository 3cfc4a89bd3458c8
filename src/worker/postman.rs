//! The postman: renders a message and hands it to its channel.
//!
//! Why here: the executor knows effects, not templates. This is where the two meet.
//!
//! What must stay true: the card-update link is made here, at the last moment, and is in no log.

use std::sync::Arc;

use async_trait::async_trait;

use crate::channel::{Deliver, Delivery, Envelope};
use crate::core::customer::Channel;
use crate::core::effect::{MessageOrder, SendOutcome};
use crate::core::event::Contact;
use crate::core::ids::CaseId;
use crate::core::policy::MessageKind;
use crate::message::{self, Brand, Rendered};

/// Makes the card-update link of a case.
pub type Links = Arc<dyn Fn(&CaseId) -> String + Send + Sync>;

/// A message that was handed over, or may have been.
#[derive(Debug, Clone)]
pub struct Handed {
    /// What came of it.
    pub outcome: SendOutcome,
    /// To whom; empty where nobody is reached. Never logged.
    pub to: String,
    /// What it says; none where it could not be rendered.
    pub said: Option<Rendered>,
    /// What happened, where the outcome has no words of its own.
    pub answer: String,
}

impl Handed {
    /// One of which only the outcome is known.
    pub fn of(outcome: SendOutcome) -> Self {
        Self { outcome, to: String::new(), said: None, answer: String::new() }
    }
}

/// Renders a message and hands it to its channel.
#[async_trait]
pub trait Postman: Send + Sync {
    /// What came of it; or the provider's words when it may go later.
    async fn send(&self, case: &CaseId, order: &MessageOrder) -> Result<Handed, String>;

    /// What it says, without sending it.
    fn words(&self, _case: &CaseId, _order: &MessageOrder) -> Option<Rendered> {
        None
    }
}

/// Sends messages in the merchant's name.
pub struct BrandedPost {
    brand: Arc<Brand>,
    links: Links,
    stop_links: Option<Links>,
    channels: Vec<Arc<dyn Deliver>>,
}

impl BrandedPost {
    /// A postman for these channels.
    pub fn new(brand: Arc<Brand>, links: Links, channels: Vec<Arc<dyn Deliver>>) -> Self {
        Self { brand, links, stop_links: None, channels }
    }

    /// With links of which a `POST` stops all reminders.
    #[must_use]
    pub fn with_stop_links(mut self, stop_links: Links) -> Self {
        self.stop_links = Some(stop_links);
        self
    }
}

#[async_trait]
impl Postman for BrandedPost {
    async fn send(&self, case: &CaseId, order: &MessageOrder) -> Result<Handed, String> {
        let known = self.channels.iter().find(|channel| channel.channel() == order.channel);
        let Some(channel) = known.filter(|channel| channel.reaches(&order.contact)) else {
            let answer = format!("no {} channel reaches this customer", order.channel.as_str());
            return Ok(Handed::of(SendOutcome::Failed { answer }));
        };
        let link = (self.links)(case);
        let rendered = match message::render(order, &self.brand, &link) {
            Ok(rendered) => rendered,
            Err(error) => {
                let answer = format!("failed to {error}");
                return Ok(Handed::of(SendOutcome::Failed { answer }));
            }
        };
        let to = address(order.channel, &order.contact);
        let reminder = order.kind != MessageKind::Recovered;
        let stop_link = self.stop_links.as_ref().filter(|_| reminder).map(|links| links(case));
        let envelope = Envelope {
            id: order.id.clone(),
            case: case.clone(),
            contact: order.contact.clone(),
            rendered,
            stop_link,
        };
        let mut happened = String::new();
        let outcome = match channel.deliver(&envelope).await {
            Delivery::Accepted { answer } => sent(envelope.rendered.clone(), answer),
            Delivery::Later { answer } => return Err(answer),
            Delivery::Refused { answer } => SendOutcome::Failed { answer },
            Delivery::Unreachable { answer } => SendOutcome::Unreachable { answer },
            Delivery::Unwanted { answer } => SendOutcome::Unwanted { answer },
            Delivery::Unknown { answer } => {
                happened = answer;
                SendOutcome::Unknown
            }
        };
        Ok(Handed { outcome, to, said: Some(envelope.rendered), answer: happened })
    }

    fn words(&self, case: &CaseId, order: &MessageOrder) -> Option<Rendered> {
        message::render(order, &self.brand, &(self.links)(case)).ok()
    }
}

fn sent(rendered: Rendered, answer: String) -> SendOutcome {
    let Rendered { locale, subject, text, html, .. } = rendered;
    SendOutcome::Sent { answer, subject, text, html, locale }
}

fn address(channel: Channel, contact: &Contact) -> String {
    let address = match channel {
        Channel::Email => &contact.email,
        Channel::Sms | Channel::Whatsapp => &contact.phone,
    };
    address.clone().unwrap_or_default()
}
