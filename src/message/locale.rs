//! Languages: which of ours a person gets.
//!
//! Why here: messages and the hosted page choose by the same rule: the customer's language, its
//! base language, the merchant's, English. The region stays with it, since amounts depend on it.
//!
//! What must stay true: every input gives a language that we have texts in.

/// A language that texts are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Italian.
    It,
    /// Portuguese.
    Pt,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] = [Self::En, Self::Es, Self::Fr, Self::It, Self::Pt];

    /// Its BCP 47 code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::It => "it",
            Self::Pt => "pt",
        }
    }

    fn of(tag: &str) -> Option<Self> {
        let base = tag.split(['-', '_']).next()?;
        Self::ALL.into_iter().find(|l| l.as_str().eq_ignore_ascii_case(base))
    }
}

/// A language of ours, with the region of the person where it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale {
    /// The language of the texts.
    pub language: Language,
    /// The whole BCP 47 tag, e.g. `es-CO`: amounts are written by it.
    pub tag: String,
}

/// The first of the customer's and the merchant's language that we have, else English.
pub fn choose(customer: Option<&str>, merchant: &str) -> Locale {
    customer
        .into_iter()
        .chain([merchant])
        .find_map(|tag| Some(Locale { language: Language::of(tag)?, tag: normal(tag)? }))
        .unwrap_or_else(|| Locale { language: Language::En, tag: "en".to_owned() })
}

/// `es_co` → `es-CO`: language, script and region only. `None`: not a language tag.
fn normal(tag: &str) -> Option<String> {
    let parsed: icu_locale_core::Locale = tag.trim().replace('_', "-").parse().ok()?;
    Some(parsed.id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_from_region_to_language_to_merchant_to_english() {
        for (customer, merchant, tag) in [
            (Some("es-CO"), "en-US", "es-CO"),
            (Some("es_co"), "en", "es-CO"),
            (Some("ES"), "en", "es"),
            (Some("es-419"), "en", "es-419"),
            (Some("de-AT"), "es-CO", "es-CO"),
            (Some("de-AT"), "nl", "en"),
            (Some("pt_br"), "en", "pt-BR"),
            (Some("fr-CA"), "en", "fr-CA"),
            (Some("it"), "en", "it"),
            (Some(""), "es", "es"),
            (Some("english please"), "es", "es"),
            (None, "en-GB", "en-GB"),
            (None, "", "en"),
        ] {
            assert_eq!(choose(customer, merchant).tag, tag, "{customer:?}, {merchant}");
        }
    }
}
