//! The message check: the rules that every text of every locale keeps.
//!
//! Why here: a merchant changes texts; what makes a message honest, short and kind must not get
//! lost on the way. The rules read what customers would read: every variant is rendered.
//!
//! What must stay true: the shipped texts pass; a finding names file, line and rule.

use super::fill::Entry;
use super::locale::Locale;
use super::{Brand, Facts, RenderError, Rendered, has_link, sample, sms, values};
use crate::core::customer::Channel;
use crate::core::effect::MessageOrder;
use crate::core::policy::MessageKind;

mod forbidden;
mod reading;
mod rules;

/// What a text must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The exact amount is in it (mail, WhatsApp).
    Amount,
    /// The brand is in it.
    Brand,
    /// A person can be reached: the phone and the address (mail).
    Contact,
    /// What is known is told: what for, why, and when something happens (mail, WhatsApp).
    Facts,
    /// No word that threatens, shames or names a crime.
    Forbidden,
    /// It is not too long for its channel.
    Length,
    /// One link and no other; thanks have none.
    Link,
    /// An SMS says how to end the reminders.
    OptOut,
    /// It reads easily.
    Reading,
    /// It can be rendered.
    Render,
    /// The HTML says what the text says.
    SameInHtml,
    /// WhatsApp takes it as a template.
    Whatsapp,
}

impl Rule {
    /// The name, as in `docs/MESSAGES.md`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Brand => "brand",
            Self::Contact => "contact",
            Self::Facts => "facts",
            Self::Forbidden => "forbidden",
            Self::Length => "length",
            Self::Link => "link",
            Self::OptOut => "opt_out",
            Self::Reading => "reading",
            Self::Render => "render",
            Self::SameInHtml => "same_in_html",
            Self::Whatsapp => "whatsapp",
        }
    }

    /// Whether a message that breaks it is merely not as good as it could be.
    pub fn is_advice(self) -> bool {
        matches!(self, Self::Length | Self::Reading)
    }
}

/// A text that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The file of the text.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The rule.
    pub rule: Rule,
    /// The kind of message.
    pub kind: MessageKind,
    /// The channel.
    pub channel: Channel,
    /// The locale.
    pub locale: String,
    /// What is wrong.
    pub message: String,
}

/// One rendered variant, as the rules look at it.
struct Case<'a> {
    brand: &'a Brand,
    locale: &'a Locale,
    order: &'a MessageOrder,
    facts: &'a Facts<'a>,
    rendered: &'a Rendered,
    link: &'a str,
}

/// What a rule says: the rule, the word that tells the line, what is wrong.
struct Fault {
    rule: Rule,
    word: Option<String>,
    message: String,
}

/// Checks every text of this brand: each locale, kind, channel and variant.
pub fn check(brand: &Brand) -> Vec<Finding> {
    let locales = brand.texts.locales();
    let found = locales.iter().flat_map(|locale| check_locale(brand, locale));
    let mut found: Vec<Finding> = found.collect();
    once_each(&mut found);
    found
}

/// A text breaks a rule in many variants, and a text of a language in many regions.
fn once_each(found: &mut Vec<Finding>) {
    found.sort_by(|a, b| (&a.file, a.line, a.rule).cmp(&(&b.file, b.line, b.rule)));
    found.dedup_by(|a, b| (&a.file, a.line, a.rule) == (&b.file, b.line, b.rule));
}

/// Checks the texts of one locale; a text is told once for each variant that breaks a rule.
fn check_locale(brand: &Brand, locale: &Locale) -> Vec<Finding> {
    let mut found = Vec::new();
    for kind in MessageKind::ALL {
        for channel in [Channel::Email, Channel::Sms, Channel::Whatsapp] {
            for order in sample::variants(kind, channel, locale) {
                found.extend(check_one(brand, locale, &order));
            }
        }
    }
    found
}

fn check_one(brand: &Brand, locale: &Locale, order: &MessageOrder) -> Vec<Finding> {
    let part = match order.channel {
        Channel::Email => "mail",
        Channel::Sms => "sms",
        Channel::Whatsapp => "whatsapp",
    };
    let key = |part: &str| format!("{}.{part}", order.kind.as_str());
    let text = brand.texts.get(locale, &key(part));
    let at = |part: &str| brand.texts.get(locale, &key(part)).or(text);
    let finding = |entry: Option<&Entry>, fault: Fault| {
        let line = match (&entry, &fault.word) {
            (Some(entry), Some(word)) => entry.line_with(word),
            _ => 1,
        };
        let place = entry.map(|entry| entry.error(line, ""));
        Finding {
            file: place.as_ref().map(|p| p.file.clone()).unwrap_or_default(),
            line: place.map_or(1, |p| p.line),
            rule: fault.rule,
            kind: order.kind,
            channel: order.channel,
            locale: locale.tag.clone(),
            message: fault.message,
        }
    };
    let link = sample::link(brand);
    let both = super::render(order, brand, &link)
        .and_then(|rendered| Ok((rendered, Facts::of(order, brand, locale, &link)?)));
    let (rendered, facts) = match both {
        Ok(both) => both,
        Err(error) => {
            let fault = Fault { rule: Rule::Render, word: None, message: error.to_string() };
            let mut finding = finding(text, fault);
            if let RenderError::Text(error) = error {
                (finding.file, finding.line, finding.message) = (error.file, error.line, error.why);
            }
            return vec![finding];
        }
    };
    let case = Case { brand, locale, order, facts: &facts, rendered: &rendered, link: &link };
    rules::all(&case).into_iter().map(|(part, fault)| finding(at(part), fault)).collect()
}

#[cfg(test)]
mod tests;
