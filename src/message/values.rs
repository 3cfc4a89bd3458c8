//! What texts may name: the facts of one order, in the customer's words.
//!
//! Why here: mail, SMS and WhatsApp say the same facts, so they are written once.
//!
//! What must stay true: what a stranger typed is one line of bounded length, without anything that
//! turns the direction of a text or hides in it, and never a link.

use minijinja::{Value, context};

use super::fill::Entry;
use super::format;
use super::locale::{Language, Locale};
use super::{Brand, RenderError, stop};
use crate::core::effect::MessageOrder;
use crate::core::money::Money;
use crate::core::policy::{MessageKind, SubscriptionAction};

/// A name or a description that is longer is no name.
const MAX_WORDS: usize = 60;

/// A merchant's own lines, such as an address, are cut here.
const MAX_LINE: usize = 200;

/// One order's facts. `None`: not known.
pub(super) struct Facts<'a> {
    brand: &'a Brand,
    locale: &'a Locale,
    link: &'a str,
    name: Option<String>,
    last4: Option<&'a str>,
    action: &'static str,
    items: Vec<Value>,
    several: bool,
    /// What a WhatsApp template leaves open, by its name.
    pub(super) open: Vec<(&'static str, Option<String>)>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(
        order: &'a MessageOrder,
        brand: &'a Brand,
        locale: &'a Locale,
        link: &'a str,
    ) -> Result<Self, RenderError> {
        let thanks = order.kind == MessageKind::Recovered;
        let several = !order.also_owed.is_empty();
        let service = named(order.description.as_deref(), brand, locale)?;
        let item =
            |plan: String, amount| context! { plan, amount => format::money(amount, locale) };
        // Of a thank-you, the further invoices are those that are still owed.
        let own = (!thanks).then(|| item(service.clone(), order.amount));
        let mut items: Vec<Value> = own.into_iter().collect();
        for owed in &order.also_owed {
            items.push(item(named(owed.description.as_deref(), brand, locale)?, owed.amount));
        }
        let plan = if several && !thanks {
            entry(brand, locale, "words.several")?.fill(&context! { count => items.len() })?
        } else {
            service.clone()
        };
        let amounts = if thanks { vec![order.amount] } else { order.totals() };
        let zone = order.contact.time_zone.as_deref().unwrap_or(&brand.time_zone);
        let language = locale.language;
        let reason = entry(brand, locale, format::reason_key(order.category))?;
        let open = vec![
            ("amount", Some(sum(&amounts, locale))),
            ("plan", Some(plan)),
            ("service", Some(service)),
            ("reason", Some(reason.fill(&context! {})?)),
            ("retry_on", order.retry_at.map(|at| format::on_date(at, zone, language))),
            ("end_on", order.ends_at.map(|at| format::on_date(at, zone, language))),
            ("end_date", order.ends_at.map(|at| format::date(at, zone, language))),
            ("end_short", order.ends_at.map(|at| format::short_date(at, zone, language))),
        ];
        Ok(Self {
            brand,
            locale,
            link,
            name: order.contact.name.as_deref().and_then(words),
            last4: order.last4.as_deref().filter(|l| is_last4(l)),
            action: action(order.subscription_action),
            items,
            several,
            open,
        })
    }

    /// The same with what a template leaves open put as `mark` writes it.
    pub(super) fn values(
        &self,
        mark: impl Fn(&'static str, &str) -> String,
    ) -> Result<Value, RenderError> {
        let brand = self.brand;
        let own = |text: &Option<String>| text.as_deref().map(line);
        let hello = self.word("words.hello", &context! { name => self.name.clone() })?;
        let support = context! {
            support_email => own(&brand.support_email),
            support_phone => own(&brand.support_phone),
        };
        let contact = self.word("words.contact", &support)?;
        let items = self.items.iter().map(|item| self.word("words.item", item));
        let list: Vec<String> = items.collect::<Result<_, _>>()?;
        let marked = |value: &Option<String>, name| value.as_deref().map(|value| mark(name, value));
        let open = self.open.iter().map(|(name, value)| (*name, Value::from(marked(value, name))));
        let rest = context! { ..support, ..Value::from_pairs(open) };
        Ok(context! {
            name => self.name.clone(),
            brand => brand_name(brand),
            last4 => self.last4,
            action => self.action,
            link => self.link,
            stop_word => stop::word(self.locale.language),
            several => self.several,
            invoices => self.items.clone(),
            list => list.join("\n"),
            hello,
            contact,
            postal_address => own(&brand.postal_address),
            ..rest
        })
    }

    /// The values as they are.
    pub(super) fn plain(&self) -> Result<Value, RenderError> {
        self.values(|_, value| value.to_owned())
    }

    fn word(&self, key: &str, values: &Value) -> Result<String, RenderError> {
        entry(self.brand, self.locale, key)?.fill(values)
    }
}

/// The text under `key` in this locale.
pub(super) fn entry<'a>(
    brand: &'a Brand,
    locale: &Locale,
    key: &str,
) -> Result<&'a Entry, RenderError> {
    let missing = || RenderError::Missing { key: key.to_owned(), locale: locale.tag.clone() };
    brand.texts.get(locale, key).ok_or_else(missing)
}

/// Amounts of different currencies stand beside each other.
fn sum(amounts: &[Money], locale: &Locale) -> String {
    let shown: Vec<_> = amounts.iter().map(|amount| format::money(*amount, locale)).collect();
    shown.join(" + ")
}

fn named(text: Option<&str>, brand: &Brand, locale: &Locale) -> Result<String, RenderError> {
    match text.and_then(words) {
        Some(text) => Ok(text),
        None => entry(brand, locale, "words.subscription")?.fill(&context! {}),
    }
}

/// What the customer buys, else a word that is never wrong.
pub(crate) fn plan(description: Option<&str>, language: Language) -> String {
    let fallback = || super::texts::shipped_reason("words.subscription", language).to_owned();
    description.and_then(words).unwrap_or_else(fallback)
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

/// The brand in one line.
pub(super) fn brand_name(brand: &Brand) -> String {
    one_line(&brand.name).chars().take(MAX_WORDS).collect()
}

fn line(text: &str) -> String {
    one_line(text).chars().take(MAX_LINE).collect()
}

/// Line breaks and control characters become single spaces; the no-break space stays. What is not
/// seen goes: marks of direction, zero widths, private use, which would turn or hide our own words.
pub(super) fn one_line(text: &str) -> String {
    let is_gap = |c: char| c.is_control() || c == ' ' || c == '\u{2028}' || c == '\u{2029}';
    let is_unseen = |c: char| {
        matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}')
    };
    let seen: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    seen.split(is_gap).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_type_is_one_visible_line_or_nothing() {
        for (typed, shown) in [
            ("Ana", Some("Ana")),
            ("  Ana\r\nBcc: x ", Some("Ana Bcc: x")),
            ("\u{202e}anA\u{2066}", Some("anA")),
            ("A\u{200b}n\u{feff}a 🌱", Some("Ana 🌱")),
            ("أحمد", Some("أحمد")),
            ("\u{e000}amount\u{e001}", Some("amount")),
            ("see www.evil.example", None),
            ("h\u{200b}ttps://evil.example", None),
            (" \u{202e}\n", None),
        ] {
            assert_eq!(words(typed).as_deref(), shown, "{typed:?}");
        }
        assert_eq!(words(&"x".repeat(10_000)), None);
    }
}
