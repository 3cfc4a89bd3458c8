//! Problems of the merchant file, told as a compiler tells them.
//!
//! Why here: a merchant file is written by hand. Each problem says where it is, what is wrong, what
//! was probably meant and what to do; all problems are told at once.
//!
//! What must stay true: no line that is shown contains a secret. Where a value may be one, it is
//! masked before it is shown.

use std::fmt::{self, Write as _};

use serde::Serialize;

pub(super) use crate::message::nearest;

/// Whether the file can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should look at it.
    Warning,
}

/// One thing that is wrong, or doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// The key, e.g. `gateways.0.api_key`.
    pub key: String,
    /// Where it was read: a file, `environment`, `command line` or `defaults`.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The line of the file and a line with a caret under the place.
    pub caret: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The nearest right key or value.
    pub suggestion: Option<String>,
    /// What to do.
    pub cure: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        write!(f, "  --> {}", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        writeln!(f)?;
        if let Some(caret) = &self.caret {
            writeln!(f, "{caret}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            writeln!(f, "  did you mean `{suggestion}`?")?;
        }
        if let Some(cure) = &self.cure {
            writeln!(f, "  help: {cure}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a merchant file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.0.iter().filter(|p| p.severity == Severity::Error).count();
        let noun = if errors == 1 { "problem" } else { "problems" };
        writeln!(f, "read the merchant file: {errors} {noun}")?;
        for problem in &self.0 {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// How much of a shown line is hidden, since it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    /// Everything behind the equals sign: the line could not be read.
    AfterEquals,
    /// Nothing.
    Nothing,
    /// What stands in quotes.
    Quoted,
}

/// A place in a text, ready to be shown.
pub(super) struct Shown {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) caret: String,
}

/// Shows the line of `text` that holds the byte range `span`, with carets under the range.
pub(super) fn show(text: &str, span: &std::ops::Range<usize>, mask: Mask) -> Shown {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let line = text[..start].matches('\n').count() + 1;
    let column = text[line_start..start].chars().count() + 1;
    let width = text[start..end.min(line_end).max(start)].chars().count().max(1);
    let shown = masked(text[line_start..line_end].trim_end(), mask);
    let gutter = line.to_string().len();
    let mut caret = String::new();
    let _ = writeln!(caret, "{:gutter$} |", "");
    let _ = writeln!(caret, "{line} | {shown}");
    let _ = write!(caret, "{:gutter$} | {:indent$}", "", "", indent = column - 1);
    caret.extend(std::iter::repeat_n('^', width));
    Shown { line, column, caret }
}

fn floor(text: &str, mut index: usize) -> usize {
    index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// Hides what may be a secret and keeps every column where it is.
fn masked(line: &str, mask: Mask) -> String {
    match mask {
        Mask::Nothing => line.to_owned(),
        Mask::Quoted => mask_quoted(line),
        Mask::AfterEquals => match line.split_once('=') {
            None => mask_quoted(line),
            Some((key, value)) => {
                let hidden: String =
                    value.chars().map(|c| if c.is_whitespace() { c } else { '*' }).collect();
                format!("{key}={hidden}")
            }
        },
    }
}

fn mask_quoted(line: &str) -> String {
    let mut quote = None;
    line.chars()
        .map(|c| match quote {
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                c
            }
            Some(open) if open == c => {
                quote = None;
                c
            }
            Some(_) => '*',
            None => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place_also_behind_wide_letters() {
        let text = "a = 1\nname = \"Café\" # x\n";
        let at = text.find('#').unwrap();
        let shown = show(text, &(at..at + 1), Mask::Nothing);
        assert_eq!((shown.line, shown.column), (2, 15));
        assert_eq!(shown.caret, "  |\n2 | name = \"Café\" # x\n  |               ^");
    }

    #[test]
    fn nothing_that_may_be_a_secret_is_shown() {
        let text = "api_kye = \"sk_live_1\"";
        let shown = show(text, &(0..7), Mask::Quoted);
        assert!(!shown.caret.contains("sk_live"), "{}", shown.caret);
        let shown = show("api_key = sk_live_1", &(10..12), Mask::AfterEquals);
        assert!(!shown.caret.contains("sk_live"), "{}", shown.caret);
        let shown = show("  \"sk_live_1", &(2..3), Mask::AfterEquals);
        assert!(!shown.caret.contains("sk_live"), "{}", shown.caret);
    }

    #[test]
    fn suggests_what_was_meant_and_nothing_wild() {
        assert_eq!(nearest("api_kye", ["api_key", "api_base"]), Some("api_key"));
        assert_eq!(nearest("max", ["max_attempts", "schedule"]), Some("max_attempts"));
        assert_eq!(nearest("zebra", ["api_key", "id"]), None);
    }
}
