//! Collects problems and turns places in the tree into lines and columns.
//!
//! What must stay true: problems come out in the order of the file, errors and warnings together.

use super::Surroundings;
use super::error::{Mask, Problem, Severity, show};
use super::tree::At;

/// A problem before its place is looked up.
pub(super) struct Trouble {
    severity: Severity,
    key: String,
    at: At,
    message: String,
    suggestion: Option<String>,
    cure: Option<String>,
    mask: Mask,
}

impl Trouble {
    pub(super) fn error(key: &str, at: At, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            key: key.to_owned(),
            at,
            message: message.into(),
            suggestion: None,
            cure: None,
            mask: Mask::Nothing,
        }
    }

    pub(super) fn warning(key: &str, at: At, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(key, at, message) }
    }

    pub(super) fn suggest(self, suggestion: &str) -> Self {
        Self { suggestion: Some(suggestion.to_owned()), ..self }
    }

    pub(super) fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }

    /// The line may hold a secret.
    pub(super) fn masked(self) -> Self {
        Self { mask: Mask::Quoted, ..self }
    }

    /// The line could not be read, and may hold a secret.
    pub(super) fn unreadable(self) -> Self {
        Self { mask: Mask::AfterEquals, ..self }
    }
}

/// The problems of one load.
pub(super) struct Report<'a> {
    pub(super) surroundings: &'a Surroundings,
    file: String,
    text: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    /// A report about `text`, which was read from `file`.
    pub(super) fn new(surroundings: &'a Surroundings, file: String, text: &'a str) -> Self {
        Self { surroundings, file, text, problems: Vec::new() }
    }

    pub(super) fn add(&mut self, trouble: Trouble) {
        let shown = match &trouble.at {
            At::File(span) => Some(show(self.text, span, trouble.mask)),
            _ => None,
        };
        let file = match &trouble.at {
            At::Defaults => "defaults".to_owned(),
            At::Env(name) => format!("environment variable {name}"),
            At::File(_) => self.file.clone(),
            At::Flag => "command line".to_owned(),
        };
        self.problems.push(Problem {
            severity: trouble.severity,
            key: trouble.key,
            file,
            line: shown.as_ref().map(|s| s.line),
            column: shown.as_ref().map(|s| s.column),
            caret: shown.map(|s| s.caret),
            message: trouble.message,
            suggestion: trouble.suggestion,
            cure: trouble.cure,
        });
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// The problems in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| (p.line.unwrap_or(usize::MAX), p.column));
        self.problems
    }
}
