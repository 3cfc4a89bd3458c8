//! The texts of the customers' pages: one file a language, and one for what a country says
//! differently.
//!
//! What must stay true: every language has every key (a test holds it); what strangers typed is
//! filled in last, so that it is never filled in again.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::message::locale::Locale;

/// A language's texts by their key.
type Texts = BTreeMap<String, String>;

/// The files, by language and by language with country.
const FILES: [(&str, &str); 7] = [
    ("en", include_str!("en.toml")),
    ("es", include_str!("es.toml")),
    ("es-ES", include_str!("es-ES.toml")),
    ("fr", include_str!("fr.toml")),
    ("it", include_str!("it.toml")),
    ("pt", include_str!("pt.toml")),
    ("pt-PT", include_str!("pt-PT.toml")),
];

static TEXTS: LazyLock<BTreeMap<String, Texts>> = LazyLock::new(|| {
    let read =
        |(name, text): (&str, &str)| (name.to_owned(), toml::from_str(text).unwrap_or_default());
    FILES.into_iter().map(read).collect()
});

/// The texts of one locale, and what is filled into them.
pub(super) struct Copy {
    locale: Locale,
    values: Vec<(&'static str, String)>,
}

impl Copy {
    pub(super) fn new(locale: &Locale, values: Vec<(&'static str, String)>) -> Self {
        Self { locale: locale.clone(), values }
    }

    /// The text under `key`, with its values.
    pub(super) fn get(&self, key: &str) -> String {
        let text = self.text(key).to_owned();
        self.values
            .iter()
            .fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// As the country says it, as the language does, in English; the key itself where there is
    /// none, which a test would find.
    fn text<'a>(&self, key: &'a str) -> &'a str {
        let names = [self.locale.tag.as_str(), self.locale.language.as_str(), "en"];
        let found = names.iter().find_map(|name| TEXTS.get(*name)?.get(key));
        found.map_or(key, String::as_str)
    }
}

/// In which direction a language is written.
pub(super) fn direction(language: &str) -> &'static str {
    match language {
        "ar" | "fa" | "he" | "ur" => "rtl",
        _ => "ltr",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_same_texts_with_the_same_values() {
        let holes = |text: &str| -> Vec<String> {
            let parts = text.split('{').skip(1);
            let mut holes: Vec<_> =
                parts.map(|part| part.split('}').next().unwrap().to_owned()).collect();
            holes.sort();
            holes
        };
        let english = &TEXTS["en"];
        assert!(english.len() > 60);
        for (name, texts) in TEXTS.iter() {
            let country = name.contains('-');
            if !country {
                assert_eq!(english.keys().collect::<Vec<_>>(), texts.keys().collect::<Vec<_>>());
                assert_eq!(texts["lang"], *name);
            }
            assert!(texts.len() > 8, "{name} can be read");
            for (key, text) in texts {
                assert!(!text.is_empty() && !text.contains('!'), "{name}.{key}");
                assert_eq!(holes(text), holes(&english[key]), "{name}.{key}");
            }
        }
    }

    #[test]
    fn no_text_accuses_or_threatens() {
        let forbidden = [
            "overdue",
            "debt",
            "final warning",
            "failed",
            "deuda",
            "mora ",
            "cobranza",
            "inadimplente",
            "dívida",
            "impayé",
            "dette",
            "insoluto",
            "debito",
            "stolen",
            "lost",
        ];
        for (name, texts) in TEXTS.iter() {
            for (key, text) in texts {
                let text = text.to_lowercase();
                for word in forbidden {
                    assert!(!text.contains(word), "{word} in {name}.{key}");
                }
            }
        }
    }
}
