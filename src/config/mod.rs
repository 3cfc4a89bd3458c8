//! The merchant file: schema, defaults, validation.
//!
//! Why here: everything that a merchant decides is read once, checked as a whole, and handed on as
//! typed values. Order: command line, then environment `RECOUP__SECTION__KEY`, then the file, then
//! the shipped defaults.
//!
//! What must stay true: an unknown key is an error; all problems are told at once, each with its
//! place and its cure; no problem and no `Debug` shows a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use serde::Deserialize as _;

mod built;
mod campaign;
mod channels;
mod check;
mod contact;
mod error;
mod gateways;
mod json_schema;
mod keys;
mod policy;
mod report;
mod retention;
mod rules;
mod schema;
mod secret;
mod small;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub use built::BUILT_IN;
pub use contact::{ContactRules, Preset, Weekdays, preset};
pub use error::{ConfigErrors, Problem, Severity};
pub use json_schema::json_schema;
pub use keys::all_paths;
pub use policy::{brand, policy};
pub use retention::Retention;
pub use schema::{
    Amount, Config, Email, EmailProvider, FinalAction, GatewayConfig, GatewayKind, Merchant, Mode,
    OutboundWebhook, Reminders, Retries, Server, Sms, Step, StoreSettings, StoreUrl, Whatsapp,
};
pub use secret::Secret;
pub use small::{Access, Backup};

use crate::message::Texts;
use report::{Report, Trouble};
use tree::{At, InFile, Node};

/// The shipped defaults, with comments.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Variables that begin so are keys of the merchant file.
const ENV_PREFIX: &str = "RECOUP__";

/// The merchant file to read: the one that was asked for, else `recoup.toml` here, else none.
pub fn locate(asked: Option<PathBuf>) -> Option<PathBuf> {
    asked.or_else(|| Some(PathBuf::from("recoup.toml")).filter(|path| path.exists()))
}

/// What is laid over the file: the environment and the command line.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Flags as (dotted key, text), e.g. (`server.listen`, `127.0.0.1:0`).
    pub flags: Vec<(String, String)>,
}

impl Surroundings {
    /// The environment of this process and these flags. Variables that are not text are left out.
    pub fn of_process(flags: Vec<(String, String)>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { env: std::env::vars_os().filter_map(text).collect(), flags }
    }
}

impl Config {
    /// Reads the merchant file at `path`; without one, environment and defaults alone.
    pub fn load(path: Option<&Path>, surroundings: &Surroundings) -> Result<Self, ConfigErrors> {
        let Some(path) = path else { return Self::read("", "no merchant file", surroundings) };
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::read(&Zeroizing::new(text), &name, surroundings),
            Err(why) => Err(ConfigErrors(vec![unreadable(&name, &why)])),
        }
    }

    /// Reads a merchant file from `text`; `name` is what problems call it.
    pub fn read(text: &str, name: &str, surroundings: &Surroundings) -> Result<Self, ConfigErrors> {
        let mut report = Report::new(surroundings, name.to_owned(), text);
        let Some(mut tree) = assemble(text, surroundings, &mut report) else {
            return Err(ConfigErrors(report.finish()));
        };
        check::table(&mut tree, "", keys::ROOT, &mut report);
        if report.has_errors() {
            return Err(ConfigErrors(report.finish()));
        }
        let mut config = match Self::deserialize(tree.to_json()) {
            Ok(config) => config,
            Err(why) => {
                report.add(Trouble::error("", tree.at, format!("the file does not fit: {why}")));
                return Err(ConfigErrors(report.finish()));
            }
        };
        rules::apply(&config, &tree, &mut report);
        config.texts = texts(&config, &tree, &mut report);
        tree.value.wipe();
        if report.has_errors() {
            return Err(ConfigErrors(report.finish()));
        }
        while config.merchant.public_url.ends_with('/') {
            config.merchant.public_url.pop();
        }
        config.warnings = report.finish();
        Ok(config)
    }
}

/// The texts of messages; what is wrong with the merchant's own is told.
fn texts(config: &Config, tree: &Node, report: &mut Report<'_>) -> Texts {
    let register = config.reminders.register;
    let Some(folder) = &config.reminders.templates else { return Texts::shipped(register) };
    let path = "reminders.templates";
    let wrong = match Texts::read(folder, register) {
        Ok(texts) => return texts,
        Err(wrong) => wrong,
    };
    for error in wrong {
        let cure = "docs/MESSAGES.md has every text and what it may name";
        report.add(Trouble::error(path, tree.place(path), error.to_string()).cure(cure));
    }
    Texts::shipped(register)
}

fn unreadable(name: &str, why: &std::io::Error) -> Problem {
    Problem {
        severity: Severity::Error,
        key: String::new(),
        file: name.to_owned(),
        line: None,
        column: None,
        caret: None,
        message: format!("the merchant file cannot be read: {why}"),
        suggestion: None,
        cure: Some("give its path with `--config`; `recoup.example.toml` shows one".to_owned()),
    }
}

/// Lays file, environment and flags over the defaults. `None` when the file is not TOML.
fn assemble(text: &str, around: &Surroundings, report: &mut Report<'_>) -> Option<Node> {
    let (document, errors) = toml::de::DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let message = format!("this is not TOML: {}", error.message());
        report.add(Trouble::error("", At::File(span), message).unreadable());
    }
    if !errors.is_empty() {
        return None;
    }
    let (defaults, _) = toml::de::DeTable::parse_recoverable(DEFAULTS);
    let mut tree = tree::from_document(&defaults, InFile::Defaults);
    tree.merge(tree::from_document(&document, InFile::Merchant));
    for (name, value) in &around.env {
        if let Some(key) = name.strip_prefix(ENV_PREFIX) {
            let path: Vec<_> = key.to_lowercase().split("__").map(str::to_owned).collect();
            lay_over(&mut tree, &path, (value, &At::Env(name.clone())), report);
        }
    }
    for (key, value) in &around.flags {
        let path: Vec<_> = key.split('.').map(str::to_owned).collect();
        lay_over(&mut tree, &path, (value, &At::Flag), report);
    }
    Some(tree)
}

fn lay_over(tree: &mut Node, path: &[String], (value, at): (&str, &At), report: &mut Report<'_>) {
    if let Err(length) = tree.set(path, value, at) {
        let key = path.join(".");
        let message = format!("`{key}` does not fit: the list before it has {length} items");
        report.add(Trouble::error(&key, at.clone(), message));
    }
}
