//! A file of the tree as the rules see it: its room, its code without tests, the paths it names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the tree begins.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One file of `src/`.
#[derive(Clone)]
pub(crate) struct Source {
    /// Below `src/`, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Its module path: `gateway/stripe/webhook.rs` is gateway, stripe, webhook.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').map(str::to_owned).collect()
    }

    pub(crate) fn room(&self) -> String {
        self.module().remove(0)
    }

    /// Whether it is a test module of its own.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// The text without comments and test modules; lines keep their numbers.
    pub(crate) fn code(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let (mut kept, mut in_test) = (String::new(), false);
        let mut lines = self.text.lines().peekable();
        while let Some(line) = lines.next() {
            let opens = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
            in_test |= line == "#[cfg(test)]" && lines.peek().is_some_and(opens);
            if !in_test && !line.trim_start().starts_with("//") {
                kept.push_str(line.split(" // ").next().unwrap());
            }
            kept.push('\n');
            in_test &= line != "}";
        }
        kept
    }

    /// Every path into this crate that the code names, from its root: `store::sled::SledStore`.
    pub(crate) fn paths(&self) -> BTreeSet<String> {
        let (code, module) = (self.code(), self.module());
        let mut found = BTreeSet::new();
        for (at, _) in code.match_indices("crate::") {
            if is_word(&code, at, "crate") {
                expand(&code[at + "crate::".len()..], "", &mut found);
            }
        }
        let mut from = 0;
        while let Some(at) = code[from..].find("super::").map(|at| at + from) {
            let mut rest = &code[at..];
            let mut up = 0;
            while let Some(further) = rest.strip_prefix("super::") {
                (rest, up) = (further, up + 1);
            }
            from = code.len() - rest.len();
            let base = module[..module.len().saturating_sub(up)].join("::");
            let base = if base.is_empty() { base } else { format!("{base}::") };
            expand(rest, &base, &mut found);
        }
        found
    }
}

/// Takes the use-tree at the start of `text` apart; returns what follows it.
fn expand<'a>(text: &'a str, prefix: &str, found: &mut BTreeSet<String>) -> &'a str {
    let mut text = text.trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        text = inside.trim_start();
        while !text.is_empty() && !text.starts_with('}') {
            let before = text.len();
            text = expand(text, prefix, found).trim_start();
            text = text.trim_start_matches(',').trim_start();
            if text.len() == before {
                break;
            }
        }
        return text.strip_prefix('}').unwrap_or(text);
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    let rest = &text[end..];
    if let Some(further) = rest.strip_prefix("::") {
        found.insert(path.clone());
        return expand(further, &format!("{path}::"), found);
    }
    found.insert(path);
    match rest.strip_prefix(" as ") {
        Some(alias) => alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
        None => rest,
    }
}

/// Whether the word at `at` begins and ends there.
fn is_word(text: &str, at: usize, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let (first, last) = (word.chars().next().unwrap(), word.chars().next_back().unwrap());
    let before = text[..at].chars().next_back();
    let after = text[at + word.len()..].chars().next();
    let goes_on_before = part_of_word(first) && before.is_some_and(part_of_word);
    let goes_on_after = part_of_word(last) && after.is_some_and(part_of_word);
    !goes_on_before && !goes_on_after
}

pub(crate) fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| is_word(text, at, word))
}

pub(crate) fn walk(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if endings.contains(&ending.as_str()) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let base = Path::new(ROOT).join(folder);
    let source = |(path, text): (PathBuf, String)| {
        let path = path.strip_prefix(&base).unwrap().to_string_lossy().replace('\\', "/");
        Source { path, text }
    };
    let found: Vec<_> = walk(folder, &["rs"]).into_iter().map(source).collect();
    assert!(!found.is_empty(), "there is nothing in {folder}");
    found
}

pub(crate) fn read(file: &str) -> String {
    let path = Path::new(ROOT).join(file);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}
