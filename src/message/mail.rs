//! Mails: subject, text, and the HTML that is laid out from the text's own paragraphs.
//!
//! Why here: the two parts cannot say different things, and a language is written once.
//!
//! What must stay true: nothing is loaded to understand it; the one link is the button.

use minijinja::context;
use mrml::prelude::render::RenderOptions;

use super::color::Color;
use super::locale::Language;
use super::values::{brand_name, entry, one_line};
use super::{Brand, Facts, RenderError, Rendered};
use crate::core::effect::MessageOrder;

/// Renders a mail.
pub(super) fn render(
    order: &MessageOrder,
    brand: &Brand,
    facts: &Facts<'_>,
    (locale, link): (&super::locale::Locale, &str),
) -> Result<Rendered, RenderError> {
    let kind = order.kind.as_str();
    let values = facts.plain()?;
    let subject = entry(brand, locale, &format!("{kind}.subject"))?.fill(&values)?;
    let body = paragraphs(&entry(brand, locale, &format!("{kind}.mail"))?.fill(&values)?);
    let footer = footer(brand);
    let subject = one_line(&subject);
    let layout = Layout { subject: &subject, body: &body, footer: &footer, link };
    let html = layout.html(brand, locale.language)?;
    let text = format!("{}\n\n-- \n{}\n", body.join("\n\n"), footer.join("\n"));
    Ok(Rendered { locale: locale.tag.clone(), subject, text, html: Some(html), whatsapp: None })
}

/// Who writes, and where a person is reached.
fn footer(brand: &Brand) -> Vec<String> {
    let own = [&brand.support_email, &brand.support_phone, &brand.postal_address];
    let lines = own.into_iter().flatten().map(|text| one_line(text));
    std::iter::once(brand_name(brand)).chain(lines).filter(|text| !text.is_empty()).collect()
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

/// A message's text, as the HTML is laid out from it.
struct Layout<'a> {
    subject: &'a str,
    body: &'a [String],
    footer: &'a [String],
    link: &'a str,
}

impl Layout<'_> {
    /// The paragraph whose second line is the link becomes the button.
    fn button(&self) -> Option<(usize, &str)> {
        self.body.iter().enumerate().find_map(|(at, paragraph)| {
            let (label, link) = paragraph.split_once('\n')?;
            (link == self.link).then(|| (at, label.trim_end_matches([':', ' ', '\u{a0}'])))
        })
    }

    fn html(&self, brand: &Brand, language: Language) -> Result<String, RenderError> {
        let color = Color::of_brand(brand.color.as_deref());
        let button = self.button();
        let split = button.map_or(self.body.len(), |(at, _)| at);
        let lines = |paragraphs: &[String]| -> Vec<Vec<String>> {
            paragraphs.iter().map(|p| p.lines().map(str::to_owned).collect()).collect()
        };
        let layout = brand.texts.layout();
        let mjml = layout.fill(&context! {
            lang => language.as_str(),
            subject => self.subject,
            preview => self.body.get(1),
            brand => brand_name(brand),
            logo_url => brand.logo_url.as_deref().filter(|url| url.starts_with("https://")),
            color => color.to_hex(),
            ink => color.ink(),
            above => lines(&self.body[..split]),
            button => button.map(|(_, label)| label),
            link => self.link,
            below => lines(self.body.get(split + 1..).unwrap_or_default()),
            footer => self.footer.to_vec(),
        })?;
        to_html(&mjml).map_err(|why| RenderError::Text(layout.error(1, why)))
    }
}

/// MJML to the tables that mail programs understand. Loads no font from anywhere.
fn to_html(mjml: &str) -> Result<String, String> {
    let parsed = mrml::parse(mjml).map_err(|e| format!("this is not MJML: {e}"))?;
    let options = RenderOptions {
        disable_comments: true,
        social_icon_origin: None,
        fonts: std::collections::HashMap::new(),
    };
    parsed.element.render(&options).map_err(|e| e.to_string())
}
