//! WhatsApp templates: what is submitted for approval, and what names an approved one.
//!
//! Why here: outside of a conversation WhatsApp delivers nothing but templates that it has approved
//! by name, language and body. Both sides come from one text, so they cannot differ.
//!
//! What must stay true: a template's name changes with its body, so that variables are never sent
//! to a body with others; a variable is one line and never empty.

use sha2::{Digest as _, Sha256};

use super::locale::{Language, Locale};
use super::values::{entry, one_line};
use super::{Brand, Facts, RenderError, Rendered, has_link, sample};
use crate::core::customer::Channel;
use crate::core::effect::MessageOrder;
use crate::core::policy::MessageKind;

/// A call of an approved template: one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateCall {
    /// The template's name.
    pub name: String,
    /// The template's language, as WhatsApp spells it: `es`, `pt_BR`.
    pub language: &'static str,
    /// What stands for `{{1}}`, `{{2}}` … in its body.
    pub variables: Vec<String>,
    /// What stands for `{{1}}` in its button's address; `None`: it has no button.
    pub button: Option<String>,
}

/// A template of category utility, as it is submitted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Template {
    /// The kind of message that it is for.
    pub kind: MessageKind,
    /// Its name: lower case letters, digits and underscores.
    pub name: String,
    /// Its language, as WhatsApp spells it.
    pub language: &'static str,
    /// Its body, with `{{1}}`, `{{2}}` …
    pub body: String,
    /// One example for each variable of the body.
    pub examples: Vec<String>,
    /// Its button.
    pub button: Option<Button>,
}

/// A button that opens the hosted page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Button {
    /// What it says, 25 characters at most.
    pub text: String,
    /// Where it leads, ending in `{{1}}`.
    pub url: String,
    /// A whole address, as an example.
    pub example: String,
}

/// Around the name of what a template leaves open. `one_line` takes both out of everything else.
const MARKS: (char, char) = ('\u{e000}', '\u{e001}');

/// Renders the call of the template that fits this order, and what the customer reads.
pub(super) fn render(
    order: &MessageOrder,
    brand: &Brand,
    facts: &Facts<'_>,
    (locale, link): (&Locale, &str),
) -> Result<Rendered, RenderError> {
    let shape = Shape::of(order.kind, brand, facts, locale)?;
    let value = |name: &&'static str| shown(facts, name);
    let variables: Vec<String> = shape.variables.iter().map(value).collect();
    let call = TemplateCall {
        name: shape.name(brand, order.kind, locale),
        language: language_code(locale),
        button: shape.button.as_ref().map(|_| suffix(brand, link).to_owned()),
        variables,
    };
    Ok(Rendered {
        locale: locale.tag.clone(),
        subject: String::new(),
        text: shape.text(facts),
        html: None,
        whatsapp: Some(call),
    })
}

/// Every template that this merchant's messages can name, to be submitted for approval: each kind
/// in each language, with and without what is not always known.
pub fn templates(brand: &Brand) -> Result<Vec<Template>, RenderError> {
    let mut all: Vec<Template> = Vec::new();
    for locale in brand.texts.locales() {
        for kind in MessageKind::ALL {
            for order in sample::variants(kind, Channel::Whatsapp, &locale) {
                let link = sample::link(brand);
                let facts = Facts::of(&order, brand, &locale, &link)?;
                let template = Shape::of(kind, brand, &facts, &locale)?.template(
                    (brand, &facts),
                    kind,
                    &locale,
                );
                if !all.iter().any(|known| known.name == template.name) {
                    all.push(template);
                }
            }
        }
    }
    Ok(all)
}

/// A body with its open places, before they are numbered.
struct Shape {
    /// With the names of what is open between [`MARKS`].
    marked: String,
    /// What is open, in the order of its first place.
    variables: Vec<&'static str>,
    button: Option<String>,
}

impl Shape {
    fn of(
        kind: MessageKind,
        brand: &Brand,
        facts: &Facts<'_>,
        locale: &Locale,
    ) -> Result<Self, RenderError> {
        let (open, close) = MARKS;
        let values = facts.values(|name, _| format!("{open}{name}{close}"))?;
        let text = |part: &str| entry(brand, locale, &format!("{}.{part}", kind.as_str()));
        let marked = text("whatsapp")?.fill(&values)?.trim().to_owned();
        let mut places: Vec<(usize, &'static str)> = facts
            .open
            .iter()
            .filter_map(|(name, _)| Some((marked.find(&format!("{open}{name}{close}"))?, *name)))
            .collect();
        places.sort_unstable();
        let variables = places.into_iter().map(|(_, name)| name).collect();
        let button =
            if has_link(kind) { Some(one_line(&text("button")?.fill(&values)?)) } else { None };
        Ok(Self { marked, variables, button })
    }

    /// The body with its open places as `place` writes them.
    fn with(&self, place: impl Fn(usize, &'static str) -> String) -> String {
        let (open, close) = MARKS;
        let all = self.variables.iter().enumerate();
        all.fold(self.marked.clone(), |body, (at, name)| {
            body.replace(&format!("{open}{name}{close}"), &place(at, name))
        })
    }

    fn body(&self) -> String {
        self.with(|at, _| format!("{{{{{}}}}}", at + 1))
    }

    fn text(&self, facts: &Facts<'_>) -> String {
        self.with(|_, name| shown(facts, name))
    }

    /// Two bodies never share a name: a text that was changed is a template of its own.
    fn name(&self, brand: &Brand, kind: MessageKind, locale: &Locale) -> String {
        let mut digest = Sha256::new();
        for part in [language_code(locale), &self.body(), &button_url(brand)] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        digest.update(self.button.as_deref().unwrap_or_default().as_bytes());
        format!("recoup_{}_{}", kind.as_str(), hex::encode(&digest.finalize()[..4]))
    }

    fn template(
        self,
        (brand, facts): (&Brand, &Facts<'_>),
        kind: MessageKind,
        locale: &Locale,
    ) -> Template {
        Template {
            kind,
            name: self.name(brand, kind, locale),
            language: language_code(locale),
            body: self.body(),
            examples: self.variables.iter().map(|name| shown(facts, name)).collect(),
            button: self.button.map(|text| Button {
                text,
                url: button_url(brand),
                example: sample::link(brand),
            }),
        }
    }
}

/// A variable's value: one line, never empty; WhatsApp takes no other.
fn shown(facts: &Facts<'_>, name: &str) -> String {
    let value = facts.open.iter().find(|(known, _)| *known == name).and_then(|(_, v)| v.as_deref());
    let value = one_line(value.unwrap_or_default());
    if value.is_empty() { "-".to_owned() } else { value }
}

fn button_url(brand: &Brand) -> String {
    format!("{}/pay/{{{{1}}}}", brand.public_url)
}

/// What comes after the button's fixed address.
fn suffix<'a>(brand: &Brand, link: &'a str) -> &'a str {
    link.strip_prefix(&format!("{}/pay/", brand.public_url)).unwrap_or(link)
}

/// The languages of WhatsApp that ours are submitted as.
fn language_code(locale: &Locale) -> &'static str {
    match (locale.language, locale.tag.as_str()) {
        (Language::En, _) => "en",
        (Language::Es, "es-ES") => "es_ES",
        (Language::Es, _) => "es",
        (Language::Fr, _) => "fr",
        (Language::It, _) => "it",
        (Language::Pt, "pt-PT") => "pt_PT",
        (Language::Pt, _) => "pt_BR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::locale::choose;

    fn call(brand: &Brand, tag: &str, kind: MessageKind, at: usize) -> (Rendered, TemplateCall) {
        let locale = choose(Some(tag), "en");
        let order = sample::variants(kind, Channel::Whatsapp, &locale).remove(at);
        let rendered = crate::message::render(&order, brand, &sample::link(brand)).unwrap();
        let call = rendered.whatsapp.clone().unwrap();
        (rendered, call)
    }

    #[test]
    fn every_call_names_a_template_that_was_submitted_and_reads_as_it() {
        let brand = sample::brand();
        let submitted = templates(&brand).unwrap();
        assert!(submitted.len() <= 100, "{} templates in an hour", submitted.len());
        for tag in ["en-US", "es-CO", "es-ES", "pt-BR", "pt-PT", "fr", "it"] {
            for kind in MessageKind::ALL {
                let locale = choose(Some(tag), "en");
                for at in 0..sample::variants(kind, Channel::Whatsapp, &locale).len() {
                    let (rendered, call) = call(&brand, tag, kind, at);
                    let known = submitted.iter().find(|t| t.name == call.name).unwrap();
                    assert_eq!(known.language, call.language);
                    assert_eq!(known.examples.len(), call.variables.len());
                    assert_eq!(known.button.is_some(), call.button.is_some());
                    let fill = |body: String, (at, value): (usize, &String)| {
                        body.replace(&format!("{{{{{}}}}}", at + 1), value)
                    };
                    let read = call.variables.iter().enumerate().fold(known.body.clone(), fill);
                    assert_eq!(read, rendered.text);
                }
            }
        }
    }

    #[test]
    fn a_changed_brand_or_address_is_another_template() {
        let brand = sample::brand();
        let names = |brand: &Brand| -> Vec<String> {
            templates(brand).unwrap().into_iter().map(|t| t.name).collect()
        };
        let renamed = Brand { name: "Other".to_owned(), ..brand.clone() };
        let moved = Brand { public_url: "https://other.example".to_owned(), ..brand.clone() };
        for other in [renamed, moved] {
            assert!(names(&other).iter().all(|name| !names(&brand).contains(name)));
        }
    }

    #[test]
    fn the_button_gets_the_links_end() {
        let brand = sample::brand();
        let (_, call) = call(&brand, "en", MessageKind::CardUpdate, 0);
        let button = templates(&brand).unwrap()[0].button.clone().unwrap();
        let suffix = call.button.unwrap();
        assert_eq!(button.url.replace("{{1}}", &suffix), sample::link(&brand));
    }
}
