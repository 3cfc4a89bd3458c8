//! The texts: one file a language, laid over each other, and the merchant's own over all.
//!
//! Why here: a native speaker reads and mends one file; a merchant overrides the lines that they
//! want in other words and no more. The order is: language, region or form of address, the
//! merchant's language, the merchant's region.
//!
//! What must stay true: a text knows its file and line; what does not parse, is unknown or names a
//! variable that there is not is told when the file is read, not when a customer waits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::fill::Entry;
use super::locale::{Language, Locale};

/// How customers are addressed, where the language has a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Register {
    /// `usted`, `Lei`.
    Formal,
    /// `tú`, `tu`.
    #[default]
    Informal,
}

/// The texts of one file by their key, e.g. `payment_failed.subject`.
pub(super) type Sheet = BTreeMap<String, Entry>;

/// Everything that messages are written with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(Arc<Own>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Own {
    register: Register,
    /// The merchant's sheets by their tag.
    sheets: BTreeMap<String, Sheet>,
    layout: Option<Entry>,
}

/// What is wrong with a file of texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct TextError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub why: String,
}

const SHIPPED: [(&str, &str); 9] = [
    ("en", include_str!("templates/en.toml")),
    ("es", include_str!("templates/es.toml")),
    ("es-ES", include_str!("templates/es-ES.toml")),
    ("es-formal", include_str!("templates/es-formal.toml")),
    ("fr", include_str!("templates/fr.toml")),
    ("it", include_str!("templates/it.toml")),
    ("it-formal", include_str!("templates/it-formal.toml")),
    ("pt", include_str!("templates/pt.toml")),
    ("pt-PT", include_str!("templates/pt-PT.toml")),
];

/// The layout of mails that is shipped.
static LAYOUT: LazyLock<Entry> = LazyLock::new(|| Entry {
    file: "layout.mjml".to_owned(),
    line: 1,
    source: include_str!("templates/layout.mjml").to_owned(),
});

static SHEETS: LazyLock<BTreeMap<&'static str, Sheet>> = LazyLock::new(|| {
    // What does not parse is missing, and a test says which.
    let sheet = |(tag, source): &(&'static str, &str)| {
        (*tag, read_sheet(&format!("{tag}.toml"), source).unwrap_or_default())
    };
    SHIPPED.iter().map(sheet).collect()
});

impl Texts {
    /// The shipped texts in this form of address.
    pub fn shipped(register: Register) -> Self {
        Self(Arc::new(Own { register, ..Own::default() }))
    }

    /// The shipped texts with those of `folder` over them: `<locale>.toml`, `layout.mjml`.
    pub fn read(folder: &Path, register: Register) -> Result<Self, Vec<TextError>> {
        let unreadable = |why: &std::io::Error| TextError {
            file: folder.display().to_string(),
            line: 1,
            why: format!("the folder of texts cannot be read: {why}"),
        };
        let listed = std::fs::read_dir(folder).map_err(|why| vec![unreadable(&why)])?;
        let mut own = Own { register, ..Own::default() };
        let mut errors = Vec::new();
        let mut paths: Vec<_> = listed.filter_map(Result::ok).map(|item| item.path()).collect();
        paths.sort();
        for path in paths {
            let (file, tag) = (path.display().to_string(), stem(&path));
            let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if !matches!(kind, "toml" | "mjml") {
                continue;
            }
            let read = match std::fs::read_to_string(&path) {
                Ok(source) if kind == "mjml" => read_layout(&file, &tag, source)
                    .map(|layout| own.layout = Some(layout))
                    .map_err(|error| vec![error]),
                Ok(source) => known_tag(&file, &tag).map_err(|error| vec![error]).and_then(|tag| {
                    own.sheets.insert(tag, read_sheet(&file, &source)?);
                    Ok(())
                }),
                Err(why) => Err(vec![unreadable(&why)]),
            };
            errors.extend(read.err().into_iter().flatten());
        }
        if errors.is_empty() { Ok(Self(Arc::new(own))) } else { Err(errors) }
    }

    /// The text under `key`, in the most special of the sheets of this locale.
    pub(super) fn get(&self, locale: &Locale, key: &str) -> Option<&Entry> {
        let base = locale.language.as_str();
        let formal = format!("{base}-formal");
        let is_formal = self.0.register == Register::Formal && SHEETS.contains_key(formal.as_str());
        let special = if is_formal { formal.as_str() } else { locale.tag.as_str() };
        let own = |tag: &str| self.0.sheets.get(tag)?.get(key);
        let shipped = |tag: &str| SHEETS.get(tag)?.get(key);
        own(&locale.tag)
            .or_else(|| own(base))
            .or_else(|| shipped(special))
            .or_else(|| shipped(base))
    }

    /// The layout of mails.
    pub(super) fn layout(&self) -> &Entry {
        self.0.layout.as_ref().unwrap_or(&LAYOUT)
    }

    /// Every locale that has texts of its own.
    pub fn locales(&self) -> Vec<Locale> {
        let shipped = SHIPPED.iter().map(|(tag, _)| *tag).filter(|tag| !tag.ends_with("-formal"));
        let mut tags: Vec<&str> = shipped.chain(self.0.sheets.keys().map(String::as_str)).collect();
        tags.sort_unstable();
        tags.dedup();
        tags.into_iter().map(|tag| super::locale::choose(Some(tag), tag)).collect()
    }
}

/// A shipped reason of a language, as the hosted page tells it.
pub(super) fn shipped_reason(key: &str, language: Language) -> &'static str {
    let entry = SHEETS.get(language.as_str()).and_then(|sheet| sheet.get(key));
    entry.map_or("", |entry| entry.source.as_str())
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_layout(file: &str, stem: &str, source: String) -> Result<Entry, TextError> {
    let entry = Entry { file: file.to_owned(), line: 1, source };
    if stem != "layout" {
        return Err(entry.error(1, "the layout of mails is called `layout.mjml`"));
    }
    entry.check(super::fill::LAYOUT_NAMES)?;
    Ok(entry)
}

/// `es_co` → `es-CO`; a language that we have no texts in is an error.
fn known_tag(file: &str, tag: &str) -> Result<String, TextError> {
    let locale = super::locale::choose(Some(tag), "");
    let base = tag.split(['-', '_']).next().unwrap_or_default();
    if locale.language.as_str().eq_ignore_ascii_case(base) {
        return Ok(locale.tag);
    }
    let known: Vec<_> = Language::ALL.iter().map(|language| language.as_str()).collect();
    Err(TextError {
        file: file.to_owned(),
        line: 1,
        why: format!(
            "`{tag}` is no locale that there are texts in; a file is called by its language ({}) \
             or its language and region, such as es-CO.toml",
            known.join(", ")
        ),
    })
}

/// Reads one sheet; every problem is told.
fn read_sheet(file: &str, source: &str) -> Result<Sheet, Vec<TextError>> {
    let error = |at: usize, why: String| TextError {
        file: file.to_owned(),
        line: line_of(source, at),
        why,
    };
    let (document, wrong) = toml::de::DeTable::parse_recoverable(source);
    let mut errors: Vec<_> = wrong
        .iter()
        .map(|e| {
            error(e.span().map_or(0, |s| s.start), format!("this is not TOML: {}", e.message()))
        })
        .collect();
    let mut sheet = Sheet::new();
    for (section, content) in document.get_ref() {
        let toml::de::DeValue::Table(table) = content.get_ref() else {
            errors.push(error(section.span().start, unknown(section.get_ref())));
            continue;
        };
        for (name, value) in table {
            let key = format!("{}.{}", section.get_ref(), name.get_ref());
            let at = value.span().start;
            let toml::de::DeValue::String(text) = value.get_ref() else {
                errors.push(error(at, format!("`{key}` must be text")));
                continue;
            };
            let line = line_of(source, at) + usize::from(begins_below(&source[at..]));
            let entry = Entry { file: file.to_owned(), line, source: text.to_string() };
            match super::fill::names_of(&key) {
                None => errors.push(error(name.span().start, unknown(&key))),
                Some(names) => errors.extend(entry.check(names).err()),
            }
            sheet.insert(key, entry);
        }
    }
    if errors.is_empty() { Ok(sheet) } else { Err(errors) }
}

fn unknown(key: &str) -> String {
    let keys = super::fill::all_keys();
    let near = super::fill::nearest(key, keys.iter().map(String::as_str));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no text `{key}`{near}")
}

fn line_of(source: &str, at: usize) -> usize {
    source.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// A text of several lines may begin on the line below its quotes.
fn begins_below(value: &str) -> bool {
    ["'''\n", "\"\"\"\n", "'''\r\n", "\"\"\"\r\n"].iter().any(|open| value.starts_with(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_sheet_can_be_read() {
        for (tag, source) in SHIPPED {
            assert_eq!(read_sheet(tag, source).map(|_| ()), Ok(()), "{tag}");
        }
        assert_eq!(LAYOUT.check(crate::message::fill::LAYOUT_NAMES), Ok(()));
    }

    #[test]
    fn every_language_has_every_text() {
        for language in Language::ALL {
            for key in super::super::fill::all_keys() {
                assert!(SHEETS[language.as_str()].contains_key(&key), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn what_is_wrong_names_file_line_and_variable() {
        let source = "[words]\nhello = 'Hi'\n\n[payment_failed]\n\
                      mail = '''\nHi\n\n{{ amout }}\n'''\n\
                      sms = '{{ brand '\nsmss = ''\nbutton = 3\n[nothing]\nx = ''\n";
        let errors = read_sheet("en.toml", source).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        for part in [
            "en.toml:8: the variable `amout` is not known; did you mean `amount`?",
            "en.toml:10: ",
            "en.toml:11: there is no text `payment_failed.smss`; did you mean",
            "en.toml:12: `payment_failed.button` must be text",
            "en.toml:14: there is no text `nothing.x`",
        ] {
            assert!(told.contains(part), "{part}\n--\n{told}");
        }
        assert!(read_sheet("en.toml", "[words\n").is_err());
    }

    #[test]
    fn the_most_special_sheet_wins_key_by_key() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("es.toml", "[recovered]\nsubject = 'mine'\nsms = 'mine'\n");
        write("es-CO.toml", "[recovered]\nsms = 'of Colombia'\n");
        write("notes.md", "not a sheet");
        let texts = Texts::read(folder.path(), Register::Informal).unwrap();
        let get = |tag: &str, key: &str| {
            let locale = crate::message::locale::choose(Some(tag), "en");
            texts.get(&locale, key).unwrap().source.clone()
        };
        assert_eq!(get("es-CO", "recovered.sms"), "of Colombia");
        assert_eq!(get("es-CO", "recovered.subject"), "mine");
        assert_eq!(get("es-ES", "recovered.subject"), "mine");
        assert!(get("es-ES", "payment_failed.subject").contains("no se ha completado"));
        assert!(get("es-CO", "payment_failed.subject").contains("no pasó"));

        write("de.toml", "");
        write("other.mjml", "");
        let errors = Texts::read(folder.path(), Register::Informal).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(Texts::read(&folder.path().join("none"), Register::Informal).is_err());
    }
}
