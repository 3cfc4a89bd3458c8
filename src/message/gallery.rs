//! The gallery: every message as its customer sees it, on one page.
//!
//! Why here: the page is made of rendered messages and nothing else; the command only writes it.
//!
//! What must stay true: a mail stands in a frame of its own without rights, so no text of it can
//! change the page around it; the page loads nothing but its own files.

use minijinja::context;

use super::fill::Entry;
use super::locale::{Locale, choose};
use super::sms::{self, Cost};
use super::{Brand, RenderError, sample};
use crate::core::customer::Channel;
use crate::core::policy::MessageKind;

/// Which messages are shown.
pub struct Wanted {
    /// In which locales.
    pub locales: Vec<Locale>,
    /// Which kinds.
    pub kinds: Vec<MessageKind>,
    /// On which channels.
    pub channels: Vec<Channel>,
}

/// One message of the gallery.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Shown {
    /// Its kind.
    pub kind: MessageKind,
    /// Its channel.
    pub channel: Channel,
    /// Its locale.
    pub locale: String,
    /// `full`: everything is known; `bare`: only the amount; `several`: three invoices.
    pub variant: &'static str,
    /// The subject of a mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The HTML of a mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// What an SMS costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sms: Option<Cost>,
    /// The name of the WhatsApp template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// The locale of this tag; `None`: there are no texts in its language.
pub fn locale(tag: &str) -> Option<Locale> {
    let locale = choose(Some(tag), "");
    let base = tag.split(['-', '_']).next().unwrap_or_default();
    locale.language.as_str().eq_ignore_ascii_case(base).then_some(locale)
}

/// Renders what is wanted.
pub fn show(brand: &Brand, wanted: &Wanted) -> Result<Vec<Shown>, RenderError> {
    let mut shown = Vec::new();
    for locale in &wanted.locales {
        for kind in &wanted.kinds {
            for channel in &wanted.channels {
                let Some(full) = sample::order(*kind, *channel, locale) else { continue };
                let variants = [
                    ("bare", sample::bare(&full)),
                    ("several", sample::several(&full)),
                    ("full", full),
                ];
                for (variant, order) in variants.into_iter().rev() {
                    let rendered = super::render(&order, brand, &sample::link(brand))?;
                    let is_sms = *channel == Channel::Sms;
                    shown.push(Shown {
                        kind: *kind,
                        channel: *channel,
                        locale: locale.tag.clone(),
                        variant,
                        sms: is_sms.then(|| sms::cost(&rendered.text)),
                        template: rendered.whatsapp.map(|call| call.name),
                        subject: rendered.subject,
                        text: rendered.text,
                        html: rendered.html,
                    });
                }
            }
        }
    }
    Ok(shown)
}

/// The files of the gallery: `index.html` and a file for each mail.
pub fn files(shown: &[Shown]) -> Result<Vec<(String, String)>, RenderError> {
    let page = Entry {
        // Its ending has every value escaped.
        file: "gallery.mjml".to_owned(),
        line: 1,
        source: include_str!("gallery.html").to_owned(),
    };
    let mut files = Vec::new();
    let mut rows = Vec::new();
    for message in shown {
        let name = format!("{}-{}-{}.html", message.locale, message.kind.as_str(), message.variant);
        rows.push(context! {
            locale => message.locale.as_str(),
            kind => message.kind.words(),
            channel => message.channel.as_str(),
            variant => message.variant,
            subject => message.subject.as_str(),
            text => message.text.as_str(),
            template => message.template.as_deref(),
            segments => message.sms.map(|cost| cost.segments),
            units => message.sms.map(|cost| cost.units),
            encoding => message.sms.map(|cost| cost.encoding),
            file => message.html.as_ref().map(|_| name.as_str()),
            dark => message.html.as_ref().map(|_| format!("dark-{name}")),
        });
        if let Some(html) = &message.html {
            files.push((format!("dark-{name}"), in_the_dark(html)));
            files.push((name, html.clone()));
        }
    }
    files.push(("index.html".to_owned(), page.fill(&context! { rows })?));
    Ok(files)
}

/// The mail as it looks where the dark is preferred, whatever the viewer prefers.
fn in_the_dark(html: &str) -> String {
    html.replace("@media (prefers-color-scheme: dark)", "@media all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Texts;

    fn all() -> Wanted {
        Wanted {
            locales: Texts::default().locales(),
            kinds: MessageKind::ALL.to_vec(),
            channels: vec![Channel::Email, Channel::Sms, Channel::Whatsapp],
        }
    }

    #[test]
    fn the_page_shows_every_message_and_loads_only_its_own_files() {
        let shown = show(&sample::brand(), &all()).unwrap();
        // 7 locales, 5 kinds, 3 channels, 3 variants.
        assert_eq!(shown.len(), 7 * 5 * 3 * 3);
        let files = files(&shown).unwrap();
        let (_, index) = files.iter().find(|(name, _)| name == "index.html").unwrap();
        for (name, _) in files.iter().filter(|(name, _)| name != "index.html") {
            assert!(index.contains(&format!("\"{name}\"")), "{name}");
        }
        assert!(!index.contains("src=\"http") && !index.contains("<script"));
        let dark = files.iter().find(|(name, _)| name.starts_with("dark-")).unwrap();
        assert!(!dark.1.contains("prefers-color-scheme"), "{}", dark.1);
    }

    #[test]
    fn markup_in_a_brand_stays_text() {
        let brand = Brand { name: "<script>x</script>".to_owned(), ..sample::brand() };
        let shown = show(&brand, &all()).unwrap();
        for (name, content) in files(&shown).unwrap() {
            assert!(!content.contains("<script"), "{name}");
        }
    }

    #[test]
    fn a_locale_without_texts_is_told() {
        assert!(locale("de").is_none() && locale("").is_none());
        assert_eq!(locale("es_co").unwrap().tag, "es-CO");
    }
}
