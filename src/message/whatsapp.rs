//! WhatsApp templates: what is submitted for approval, and what names an approved one.
//!
//! Why here: outside of a conversation WhatsApp delivers nothing but templates that it has approved
//! by name, language and body. Both sides come from one text, so they cannot differ.
//!
//! What must stay true: a template's name changes with its body, so that variables are never sent
//! to a body with others; a variable is one line and never empty.

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
