//! Filling a text in: which texts there are, what each may name, and how it is rendered.
//!
//! Why here: the same list serves the reader of texts, which refuses a misspelt variable, and the
//! renderer, which gives every variable that a text may name.
//!
//! What must stay true: an error names file, line and variable; a value is never a template.

use std::sync::LazyLock;

use minijinja::{Environment, Value};

use super::RenderError;
use super::texts::TextError;
use crate::core::policy::MessageKind;

/// One text, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) file: String,
    /// The line that it begins on, from 1.
    pub(super) line: usize,
    pub(super) source: String,
}

/// What the texts of a message may name.
pub(super) const MESSAGE_NAMES: &[&str] = &[
    "action",
    "amount",
    "brand",
    "contact",
    "end_date",
    "end_on",
    "end_short",
    "hello",
    "invoices",
    "last4",
    "link",
    "list",
    "name",
    "plan",
    "postal_address",
    "reason",
    "retry_on",
    "service",
    "several",
    "stop_word",
    "support_email",
    "support_phone",
];

/// What the layout of mails may name.
pub(super) const LAYOUT_NAMES: &[&str] = &[
    "above", "below", "brand", "button", "color", "footer", "ink", "lang", "link", "logo_url",
    "preview", "subject",
];

/// The texts that are not of one kind of message, and what they may name.
const SHARED: [(&str, &[&str]); 18] = [
    ("words.hello", &["name"]),
    ("words.contact", &["support_email", "support_phone"]),
    ("words.subscription", &[]),
    ("words.several", &["count"]),
    ("words.item", &["plan", "amount"]),
    ("reasons.account_closed", &[]),
    ("reasons.authentication_required", &[]),
    ("reasons.consent_revoked", &[]),
    ("reasons.credential_outdated", &[]),
    ("reasons.declined", &[]),
    ("reasons.gateway_risk_block", &[]),
    ("reasons.insufficient_funds", &[]),
    ("reasons.invalid_card_data", &[]),
    ("reasons.issuer_unavailable", &[]),
    ("reasons.limit_exceeded", &[]),
    ("reasons.not_permitted", &[]),
    ("reasons.technical", &[]),
    ("stop.reply", &["brand"]),
];

const PARTS: [&str; 5] = ["subject", "mail", "sms", "whatsapp", "button"];

/// The texts of a kind of message. Thanks have no button.
fn parts_of(kind: MessageKind) -> impl Iterator<Item = &'static str> {
    PARTS.into_iter().filter(move |part| *part != "button" || super::has_link(kind))
}

/// Every key that a sheet can have.
pub(super) fn all_keys() -> Vec<String> {
    let shared = SHARED.iter().map(|(key, _)| (*key).to_owned());
    let of_kind =
        |kind: MessageKind| parts_of(kind).map(move |part| format!("{}.{part}", kind.as_str()));
    shared.chain(MessageKind::ALL.into_iter().flat_map(of_kind)).collect()
}

/// What the text under `key` may name; `None`: there is no such text.
pub(super) fn names_of(key: &str) -> Option<&'static [&'static str]> {
    if let Some((_, names)) = SHARED.iter().find(|(known, _)| *known == key) {
        return Some(names);
    }
    let (kind, part) = key.split_once('.')?;
    let kind = MessageKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    parts_of(kind).any(|known| known == part).then_some(MESSAGE_NAMES)
}

static ENVIRONMENT: LazyLock<Environment<'static>> =
    LazyLock::new(|| super::template::environment(&[]));

impl Entry {
    /// The name that decides how values are escaped.
    fn name(&self) -> &'static str {
        if self.file.ends_with(".mjml") { "layout.mjml" } else { "text.txt" }
    }

    /// An error on this line of the text, from 1.
    pub(super) fn error(&self, line: usize, why: impl Into<String>) -> TextError {
        let line = self.line + line.saturating_sub(1);
        TextError { file: self.file.clone(), line, why: why.into() }
    }

    /// Whether it parses, and names nothing else than `names`.
    pub(super) fn check(&self, names: &[&str]) -> Result<(), TextError> {
        let template = ENVIRONMENT
            .template_from_named_str(self.name(), &self.source)
            .map_err(|why| self.error(why.line().unwrap_or(1), told(&why)))?;
        let mut named: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        named.sort();
        let Some(stranger) = named.iter().find(|name| !names.contains(&name.as_str())) else {
            return Ok(());
        };
        let near = nearest(stranger, names.iter().copied());
        let cure = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", names.join(", ")),
        };
        let line = self.line_with(stranger);
        Err(self.error(line, format!("the variable `{stranger}` is not known; {cure}")))
    }

    /// The line of the text that `word` stands on, from 1, whatever its case.
    pub(super) fn line_with(&self, word: &str) -> usize {
        let has = |line: &str| line.to_lowercase().contains(&word.to_lowercase());
        self.source.lines().position(has).unwrap_or(0) + 1
    }

    /// Fills it in.
    pub(super) fn fill(&self, values: &Value) -> Result<String, RenderError> {
        ENVIRONMENT
            .render_named_str(self.name(), &self.source, values)
            .map_err(|why| RenderError::Text(self.error(why.line().unwrap_or(1), told(&why))))
    }
}

/// What the template engine says, without its own idea of the place.
fn told(why: &minijinja::Error) -> String {
    let detail = why.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{detail}", why.kind())
}

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.len()
                || (word.len() >= 3 && candidate.starts_with(&word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
