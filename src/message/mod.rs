//! Messages: what a customer reads, rendered and checked.
//!
//! Why here: a pure function from an order of the core to what a channel delivers. The texts are
//! files, one a language (`templates/`), so that a person can read and correct them without
//! reading code; `texts` lays the merchant's own over them, `lint` holds the rules of all.
//!
//! What must stay true: the amount is exact; a message holds one link at most, and no word that
//! threatens; what is not known leaves a good sentence behind, never a gap.

use crate::core::card_number;
use crate::core::customer::Channel;
use crate::core::effect::MessageOrder;
use crate::core::policy::MessageKind;

mod calendar;
pub mod color;
mod fill;
pub mod format;
pub mod gallery;
pub mod lint;
pub mod locale;
mod mail;
pub mod sample;
pub mod sms;
pub mod stop;
pub(crate) mod template;
mod texts;
mod values;
pub mod whatsapp;

pub(crate) use fill::nearest;
pub use texts::{Register, TextError, Texts};
pub(crate) use values::{is_last4, plan, words};

use locale::Locale;
use values::Facts;
use whatsapp::TemplateCall;

/// Whose messages these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// The merchant's name.
    pub name: String,
    /// Where a person answers.
    pub support_email: Option<String>,
    /// Where a person answers.
    pub support_phone: Option<String>,
    /// For the footer.
    pub postal_address: Option<String>,
    /// `#rrggbb`.
    pub color: Option<String>,
    /// An `https:` address of an image.
    pub logo_url: Option<String>,
    /// Language where the customer's is unknown.
    pub locale: String,
    /// Time zone where the customer's is unknown.
    pub time_zone: String,
    /// What links begin with.
    pub public_url: String,
    /// The texts, the merchant's own over the shipped ones.
    pub texts: Texts,
}

/// A message in the customer's language, ready for its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The language that it came out in.
    pub locale: String,
    /// The subject; empty but in a mail.
    pub subject: String,
    /// What it says, on every channel: the text part of a mail, the whole of an SMS.
    pub text: String,
    /// The HTML, where the channel has it.
    pub html: Option<String>,
    /// The approved template that says `text`; on WhatsApp only.
    pub whatsapp: Option<TemplateCall>,
}

/// Why a message cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No sheet has this text.
    #[error("find the text {key} in {locale}")]
    Missing {
        /// Which text.
        key: String,
        /// Which locale.
        locale: String,
    },
    /// A text cannot be filled in.
    #[error("fill in the text at {0}")]
    Text(TextError),
}

/// Renders `order` in the customer's language for its channel; `link` is the card-update link.
pub fn render(order: &MessageOrder, brand: &Brand, link: &str) -> Result<Rendered, RenderError> {
    let order = &without_card_numbers(order);
    let locale = locale::choose(order.contact.locale.as_deref(), &brand.locale);
    let facts = Facts::of(order, brand, &locale, link)?;
    match order.channel {
        Channel::Email => mail::render(order, brand, &facts, (&locale, link)),
        Channel::Sms => short(order, brand, &facts, &locale),
        Channel::Whatsapp => whatsapp::render(order, brand, &facts, (&locale, link)),
    }
}

/// What others wrote is what a card number could stand in: a name, and what an invoice is for.
fn without_card_numbers(order: &MessageOrder) -> MessageOrder {
    let mut order = order.clone();
    let owed = order.also_owed.iter_mut().map(|owed| &mut owed.description);
    let texts = [&mut order.description, &mut order.contact.name].into_iter().chain(owed);
    for text in texts.flatten() {
        *text = card_number::masked(text).into_owned();
    }
    order
}

/// An SMS: one line, with plain spaces, since others would cost a whole segment.
fn short(
    order: &MessageOrder,
    brand: &Brand,
    facts: &Facts<'_>,
    locale: &Locale,
) -> Result<Rendered, RenderError> {
    let text = values::entry(brand, locale, &format!("{}.sms", order.kind.as_str()))?;
    let text = values::one_line(&format::plain_spaces(&text.fill(&facts.plain()?)?));
    let subject = String::new();
    Ok(Rendered { locale: locale.tag.clone(), subject, text, html: None, whatsapp: None })
}

/// What is answered to somebody who ended reminders by SMS, in their language.
pub fn stop_reply(brand: &Brand, customer_locale: Option<&str>) -> Result<String, RenderError> {
    let locale = locale::choose(customer_locale, &brand.locale);
    let reply = values::entry(brand, &locale, "stop.reply")?;
    let reply = reply.fill(&minijinja::context! { brand => values::brand_name(brand) })?;
    Ok(values::one_line(&format::plain_spaces(&reply)))
}

/// Whether a message of this kind holds the card-update link.
pub fn has_link(kind: MessageKind) -> bool {
    kind != MessageKind::Recovered
}
