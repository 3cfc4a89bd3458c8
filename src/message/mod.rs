//! Messages: what a customer reads, rendered and checked.
//!
//! Why here: a pure function from an order of the core to subject, text and HTML. The texts are
//! files (`templates/`), so that a person can read and correct them without reading code.
//!
//! The HTML is laid out from the text's own paragraphs (`templates/layout.mjml`): the two parts
//! cannot say different things, and a language is written once.
//!
//! What must stay true: the amount is exact; a message holds one link at most, and no word that
//! threatens; what is not known leaves a good sentence behind, never a gap.

use std::sync::LazyLock;

use minijinja::{Environment, Value, context};
use mrml::prelude::render::RenderOptions;

use crate::core::effect::MessageOrder;
use crate::core::policy::{MessageKind, SubscriptionAction};

pub mod color;
pub mod format;
pub mod locale;
pub(crate) mod template;
pub mod whatsapp;

use color::Color;
use locale::{Language, Locale};
use whatsapp::TemplateCall;

/// A name or a description that is longer is no name.
const MAX_WORDS: usize = 60;

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
    /// The text's template.
    #[error("render the template {name}: {why}")]
    Template {
        /// Which template.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The HTML's layout.
    #[error("lay out the message {name}: {why}")]
    Layout {
        /// Which message.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Renders `order` in the customer's language; `link` is the card-update link.
pub fn render(order: &MessageOrder, brand: &Brand, link: &str) -> Result<Rendered, RenderError> {
    let locale = locale::choose(order.contact.locale.as_deref(), &brand.locale);
    let name = format!("{}/{}", locale.language.as_str(), order.kind.as_str());
    let values = values(order, brand, &locale, link);
    let subject = one_line(&fill(&format!("{name}.subject.txt"), &values)?);
    let body = paragraphs(&fill(&format!("{name}.txt"), &values)?);
    let footer = fill("footer.txt", &values)?;
    let layout = Layout { subject: &subject, body: &body, footer: &footer, link };
    let html = layout.html(&name, brand, locale.language)?;
    let text = format!("{}\n\n-- \n{footer}\n", body.join("\n\n"));
    Ok(Rendered { locale: locale.tag, subject, text, html: Some(html), whatsapp: None })
}

/// What templates may name. All are there; what is not known is none.
fn values(order: &MessageOrder, brand: &Brand, locale: &Locale, link: &str) -> Value {
    let language = locale.language;
    let zone = order.contact.time_zone.as_deref().unwrap_or(&brand.time_zone);
    let on = |at| format::on_date(at, zone, language);
    context! {
        name => order.contact.name.as_deref().and_then(words),
        brand => one_line(&brand.name),
        plan => plan(order.description.as_deref(), language),
        last4 => order.last4.as_deref().filter(|l| is_last4(l)),
        amount => format::money(order.amount, locale),
        reason => format::reason(order.category, language),
        retry_on => order.retry_at.map(on),
        end_on => order.ends_at.map(on),
        end_date => order.ends_at.map(|at| format::date(at, zone, language)),
        end_short => order.ends_at.map(|at| format::short_date(at, zone, language)),
        action => action(order.subscription_action),
        link,
        support_email => brand.support_email.as_deref().map(one_line),
        support_phone => brand.support_phone.as_deref().map(one_line),
        postal_address => brand.postal_address.as_deref().map(one_line),
    }
}

/// What the customer buys, else a word that is never wrong.
pub(crate) fn plan(description: Option<&str>, language: Language) -> String {
    description.and_then(words).unwrap_or_else(|| {
        match language {
            Language::En => "your subscription",
            Language::Es => "tu suscripción",
        }
        .to_owned()
    })
}

fn action(action: SubscriptionAction) -> &'static str {
    match action {
        SubscriptionAction::Cancel => "cancel",
        SubscriptionAction::Keep => "keep",
        SubscriptionAction::Pause => "pause",
    }
}

/// Four digits; anything else is not shown as a card.
pub(crate) fn is_last4(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Text that somebody typed into a form, if it is fit to stand in a message: whoever signs up
/// under the name of a link shall not have us send that link.
pub(crate) fn words(text: &str) -> Option<String> {
    let text = one_line(text);
    let lower = text.to_lowercase();
    let is_link = ["://", "www.", "http:", "https:"].iter().any(|mark| lower.contains(mark));
    let is_fit = !text.is_empty() && text.chars().count() <= MAX_WORDS && !is_link;
    is_fit.then_some(text)
}

/// Line breaks and control characters become single spaces; the no-break space stays.
fn one_line(text: &str) -> String {
    let is_gap = |c: char| c.is_control() || c == ' ' || c == '\u{2028}' || c == '\u{2029}';
    text.split(is_gap).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

/// A message's text, as the HTML is laid out from it.
struct Layout<'a> {
    subject: &'a str,
    body: &'a [String],
    footer: &'a str,
    link: &'a str,
}

impl Layout<'_> {
    /// The paragraph whose second line is the link becomes the button.
    fn button(&self) -> Option<(usize, &str)> {
        self.body.iter().enumerate().find_map(|(at, paragraph)| {
            let (label, link) = paragraph.split_once('\n')?;
            (link == self.link).then(|| (at, label.trim_end_matches(':')))
        })
    }

    fn html(&self, name: &str, brand: &Brand, language: Language) -> Result<String, RenderError> {
        let color = Color::of_brand(brand.color.as_deref());
        let button = self.button();
        let split = button.map_or(self.body.len(), |(at, _)| at);
        let mjml = fill(
            "layout.mjml",
            &context! {
                lang => language.as_str(),
                subject => self.subject,
                preview => self.body.get(1),
                brand => one_line(&brand.name),
                logo_url => brand.logo_url.as_deref().filter(|url| url.starts_with("https://")),
                color => color.to_hex(),
                ink => color.ink(),
                above => self.body[..split].to_vec(),
                button => button.map(|(_, label)| label),
                link => self.link,
                below => self.body.get(split + 1..).unwrap_or_default().to_vec(),
                footer => self.footer.lines().map(str::to_owned).collect::<Vec<_>>(),
            },
        )?;
        to_html(&mjml).map_err(|why| RenderError::Layout { name: name.to_owned(), why })
    }
}

/// MJML to the tables that mail programs understand. Loads no font from anywhere.
fn to_html(mjml: &str) -> Result<String, String> {
    let parsed = mrml::parse(mjml).map_err(|e| e.to_string())?;
    let options = RenderOptions {
        disable_comments: true,
        social_icon_origin: None,
        fonts: std::collections::HashMap::new(),
    };
    parsed.element.render(&options).map_err(|e| e.to_string())
}

fn fill(name: &str, values: &Value) -> Result<String, RenderError> {
    let failed = |why: &minijinja::Error| RenderError::Template {
        name: name.to_owned(),
        why: format!("{why:#}"),
    };
    let template = TEMPLATES.get_template(name).map_err(|e| failed(&e))?;
    template.render(values).map_err(|e| failed(&e))
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

/// Every template by its name: checked together by a test.
const FILES: &[(&str, &str)] = templates![
    "footer.txt",
    "layout.mjml",
    "en/hello.txt",
    "en/contact.txt",
    "en/payment_failed.subject.txt",
    "en/payment_failed.txt",
    "en/card_update.subject.txt",
    "en/card_update.txt",
    "en/confirm_bank.subject.txt",
    "en/confirm_bank.txt",
    "en/last_notice.subject.txt",
    "en/last_notice.txt",
    "en/recovered.subject.txt",
    "en/recovered.txt",
    "es/hello.txt",
    "es/contact.txt",
    "es/payment_failed.subject.txt",
    "es/payment_failed.txt",
    "es/card_update.subject.txt",
    "es/card_update.txt",
    "es/confirm_bank.subject.txt",
    "es/confirm_bank.txt",
    "es/last_notice.subject.txt",
    "es/last_notice.txt",
    "es/recovered.subject.txt",
    "es/recovered.txt",
];

/// Parsed once.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| template::environment(FILES));

/// Whether a message of this kind holds the card-update link.
pub fn has_link(kind: MessageKind) -> bool {
    kind != MessageKind::Recovered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for (name, _) in FILES {
            TEMPLATES.get_template(name).unwrap();
        }
    }
}
