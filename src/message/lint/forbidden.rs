//! Words that no message uses, by language.
//!
//! Why here: the lists are data with their sources (`data/forbidden.toml`), so that a lawyer or a
//! native speaker can mend them.
//!
//! What must stay true: a word is found whatever its case, and not inside of another word.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::message::locale::Language;

#[derive(serde::Deserialize)]
struct List {
    words: Vec<String>,
}

static LISTS: LazyLock<BTreeMap<String, List>> = LazyLock::new(|| {
    // A list that does not parse is missing, and a test says so.
    toml::from_str(include_str!("../data/forbidden.toml")).unwrap_or_default()
});

/// The first forbidden word of `text`, as it stands there.
pub(super) fn find(text: &str, language: Language) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    LISTS.get(language.as_str())?.words.iter().find_map(|pattern| matched(&words, pattern))
}

fn matched(words: &[String], pattern: &str) -> Option<String> {
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(start) => (start, true),
        None => (pattern, false),
    };
    let wanted: Vec<&str> = pattern.split(' ').collect();
    let last = wanted.len().checked_sub(1)?;
    let fits = |(at, (word, wanted)): (usize, (&String, &&str))| {
        if open && at == last { word.starts_with(*wanted) } else { word == wanted }
    };
    let found = words.windows(wanted.len()).find(|w| w.iter().zip(&wanted).enumerate().all(fits));
    found.map(|found| found.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_list() {
        for language in Language::ALL {
            assert!(LISTS[language.as_str()].words.len() > 20, "{language:?}");
        }
    }

    #[test]
    fn words_are_found_whole_and_phrases_too() {
        for (text, language, found) in [
            ("Your FINAL notice.", Language::En, Some("final notice")),
            ("It failed", Language::En, Some("failed")),
            ("the unfailing default", Language::En, Some("default")),
            ("unfailing", Language::En, None),
            ("Su deuda está en mora", Language::Es, Some("deuda")),
            ("la memoria demora", Language::Es, None),
            ("¿Por qué no pagaste?", Language::Es, Some("por qué no pagaste")),
            ("une mise en demeure", Language::Fr, Some("mise en demeure")),
            ("prélèvement débité", Language::Fr, None),
            ("addebitata", Language::It, None),
            ("il tuo debito", Language::It, Some("debito")),
            ("seu nome sujo", Language::Pt, Some("nome sujo")),
        ] {
            assert_eq!(find(text, language).as_deref(), found, "{text}");
        }
    }
}
