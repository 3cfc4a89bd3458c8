//! Checks the tree against the keys: unknown keys, wrong types, words and bounds, secrets.
//!
//! Why here: one walk finds everything that can be seen at one key alone; what needs two keys is in
//! `rules`. The walk also resolves secrets, and turns text of the environment into the type that
//! its key takes.
//!
//! What must stay true: the walk goes on after a problem, so that all are told at once.

use std::collections::BTreeMap;

use secrecy::zeroize::Zeroizing;

use super::error::nearest;
use super::keys::{Key, Kind, Need, SCHEDULE};
use super::report::{Report, Trouble};
use super::tree::{At, Field, InFile, Node, Value, from_document};
use crate::core::money::Currency;
use crate::core::worth;

/// Checks a table against its keys.
pub(super) fn table(node: &mut Node, path: &str, keys: &'static [Key], report: &mut Report<'_>) {
    let at = node.at.clone();
    let Value::Table(fields) = &mut node.value else {
        wrong_type(node, path, "a table", report);
        return;
    };
    for (name, field) in fields.iter_mut() {
        let here = join(path, name);
        match keys.iter().find(|key| key.name == name) {
            Some(key) => value(&mut field.node, &here, &key.kind, report),
            None => unknown_key(field, &here, keys, report),
        }
    }
    let missing = keys.iter().filter(|k| k.need == Need::Required && !fields.contains_key(k.name));
    for key in missing {
        let here = join(path, key.name);
        let message = format!("`{here}` is missing");
        let cure = missing_cure(&here, key);
        report.add(Trouble::error(&here, at.clone(), message).cure(cure));
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn missing_cure(path: &str, key: &Key) -> String {
    match (&key.kind, path) {
        (_, "gateways") => "add at least one `[[gateways]]` with `id`, `kind`, `api_key` and \
                            `webhook_secrets`; the first is the billing gateway"
            .to_owned(),
        (Kind::Table(_), _) => format!("add a section `[{path}]`"),
        (Kind::Secret, _) => format!("add `{} = {{ env = \"NAME\" }}`", key.name),
        _ => format!("add `{} = …`; `recoup.example.toml` shows one", key.name),
    }
}

fn unknown_key(field: &Field, path: &str, keys: &[Key], report: &mut Report<'_>) {
    let name = path.rsplit('.').next().unwrap_or(path);
    let names = keys.iter().map(|key| key.name);
    let trouble =
        Trouble::error(path, field.key_at.clone(), format!("unknown key `{name}`")).masked();
    let trouble = match nearest(name, names.clone()) {
        Some(near) => trouble.suggest(near),
        None => {
            trouble.cure(format!("the keys here are: {}", names.collect::<Vec<_>>().join(", ")))
        }
    };
    report.add(trouble);
}

/// Checks one value.
fn value(node: &mut Node, path: &str, kind: &'static Kind, report: &mut Report<'_>) {
    from_outside(node, kind);
    match kind {
        Kind::Bool => boolean(node, path, report),
        Kind::Choice { known, later } => choice(node, path, (known, later), report),
        Kind::Hours => hours(node, path, report),
        Kind::Integer(min, max) => integer(node, path, (*min, *max), report),
        Kind::List(inner) => list(node, path, inner, report),
        Kind::Amount => amount(node, path, report),
        Kind::Named(keys) => named(node, path, keys, report),
        Kind::PerCurrency(keys) => per_currency(node, path, keys, report),
        Kind::Schedule => schedule(node, path, report),
        Kind::Secret => secret(node, path, report),
        Kind::Share => share(node, path, report),
        Kind::Table(keys) => table(node, path, keys, report),
        Kind::Text(check) => text(node, path, *check, report),
    }
}

/// Text from the environment or the command line becomes what its key takes, as far as it can.
fn from_outside(node: &mut Node, kind: &Kind) {
    if !matches!(node.at, At::Env(_) | At::Flag) {
        return;
    }
    let Value::Text(raw) = &node.value else { return };
    let raw = raw.trim().to_owned();
    if matches!(kind, Kind::Text(_) | Kind::Choice { .. }) {
        return;
    }
    let structured = raw.starts_with('[') || raw.starts_with('{');
    let literal = matches!(kind, Kind::Bool | Kind::Integer(..) | Kind::Share | Kind::Hours);
    if (structured || literal)
        && let Some(parsed) = literal_value(&raw, &node.at)
    {
        *node = parsed;
    } else if matches!(kind, Kind::List(_)) {
        let item =
            |part: &str| Node { at: node.at.clone(), value: Value::Text(part.trim().to_owned()) };
        node.value = Value::Array(raw.split(',').filter(|p| !p.is_empty()).map(item).collect());
    }
}

fn literal_value(raw: &str, at: &At) -> Option<Node> {
    let text = format!("value = {raw}");
    let document = toml::de::DeTable::parse(&text).ok()?;
    let mut node = from_document(&document, InFile::Defaults).find("value")?.clone();
    relocate(&mut node, at);
    Some(node)
}

fn relocate(node: &mut Node, at: &At) {
    node.at = at.clone();
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, at)),
        Value::Table(fields) => {
            for field in fields.values_mut() {
                field.key_at = at.clone();
                relocate(&mut field.node, at);
            }
        }
        _ => {}
    }
}

fn wrong_type(node: &Node, path: &str, wanted: &str, report: &mut Report<'_>) {
    let message = format!("`{path}` is {}, and must be {wanted}", node.value.type_name());
    report.add(Trouble::error(path, node.at.clone(), message).masked());
}

fn boolean(node: &Node, path: &str, report: &mut Report<'_>) {
    if !matches!(node.value, Value::Bool(_)) {
        wrong_type(node, path, "true or false", report);
    }
}

fn choice(node: &Node, path: &str, (known, later): (&[&str], &[&str]), report: &mut Report<'_>) {
    let Value::Text(word) = &node.value else {
        return wrong_type(node, path, &format!("one of: {}", known.join(", ")), report);
    };
    if known.contains(&word.as_str()) {
        return;
    }
    let list = known.join(", ");
    if later.contains(&word.as_str()) {
        let message = format!("`{path} = \"{word}\"` is not in this version");
        let cure = format!("this version has: {list}; planned: {}", later.join(", "));
        return report.add(Trouble::error(path, node.at.clone(), message).cure(cure));
    }
    let message = format!("`{path}` is not one of: {list}");
    let trouble = Trouble::error(path, node.at.clone(), message);
    report.add(match nearest(word, known.iter().chain(later).copied()) {
        Some(near) => trouble.suggest(near),
        None => trouble.cure(format!("write one of: {list}")),
    });
}

fn integer(node: &Node, path: &str, (min, max): (i64, i64), report: &mut Report<'_>) {
    let Value::Integer(number) = node.value else {
        return wrong_type(node, path, "a whole number", report);
    };
    if !(min..=max).contains(&number) {
        let message = format!("`{path}` is {number}, and must be from {min} to {max}");
        report.add(Trouble::error(path, node.at.clone(), message));
    }
}

fn share(node: &mut Node, path: &str, report: &mut Report<'_>) {
    if let Value::Integer(number @ 0..=1) = node.value {
        node.value = Value::Float(number as f64);
    }
    match node.value {
        Value::Float(share) if (0.0..=1.0).contains(&share) => {}
        Value::Float(_) | Value::Integer(_) => {
            let message = format!("`{path}` must be from 0.0 to 1.0");
            report.add(Trouble::error(path, node.at.clone(), message));
        }
        _ => wrong_type(node, path, "a number from 0.0 to 1.0", report),
    }
}

fn text(node: &Node, path: &str, check: fn(&str) -> Result<(), String>, report: &mut Report<'_>) {
    let Value::Text(content) = &node.value else {
        return wrong_type(node, path, "text", report);
    };
    if let Err(why) = check(content) {
        report.add(Trouble::error(path, node.at.clone(), format!("`{path}` {why}")));
    }
}

fn list(node: &mut Node, path: &str, inner: &'static Kind, report: &mut Report<'_>) {
    let Value::Array(items) = &mut node.value else {
        return wrong_type(node, path, "a list", report);
    };
    for (index, item) in items.iter_mut().enumerate() {
        value(item, &join(path, &index.to_string()), inner, report);
    }
}

fn named(node: &mut Node, path: &str, keys: &'static [Key], report: &mut Report<'_>) {
    let Value::Table(fields) = &mut node.value else {
        return wrong_type(node, path, "a table", report);
    };
    for (name, field) in fields.iter_mut() {
        table(&mut field.node, &join(path, name), keys, report);
    }
}

fn per_currency(node: &mut Node, path: &str, keys: &'static [Key], report: &mut Report<'_>) {
    if let Value::Table(fields) = &node.value {
        for (name, field) in fields {
            if name.parse::<Currency>().is_err() {
                let message = format!("`{name}` is no currency");
                let trouble = Trouble::error(path, field.key_at.clone(), message);
                report.add(trouble.cure("write its three letters, e.g. `USD`"));
            }
        }
    }
    named(node, path, keys, report);
}

/// How fine an amount may be is its currency's matter; that it is one at all is checked here.
fn amount(node: &mut Node, path: &str, report: &mut Report<'_>) {
    const DECIMALS: usize = 6;
    match &node.value {
        Value::Integer(number) => node.value = Value::Text(number.to_string()),
        Value::Float(number) => node.value = Value::Text(number.to_string()),
        _ => {}
    }
    let Value::Text(written) = &node.value else {
        return wrong_type(node, path, "an amount, e.g. 0.30", report);
    };
    if worth::exact(written, DECIMALS).is_none_or(|amount| amount < 0) {
        let message = format!("`{path}` is no amount of money");
        let trouble = Trouble::error(path, node.at.clone(), message);
        report.add(trouble.cure("write a decimal that is not negative, e.g. 0.30"));
    }
}

fn schedule(node: &mut Node, path: &str, report: &mut Report<'_>) {
    match &node.value {
        Value::Table(_) => table(node, path, SCHEDULE, report),
        _ => choice(node, path, (&["smart", "even"], &[]), report),
    }
}

fn hours(node: &Node, path: &str, report: &mut Report<'_>) {
    let bounds = match &node.value {
        Value::Array(items) => match items.as_slice() {
            [Node { value: Value::Integer(from), .. }, Node { value: Value::Integer(to), .. }] => {
                Some((*from, *to))
            }
            _ => None,
        },
        _ => None,
    };
    let none = matches!(&node.value, Value::Array(items) if items.is_empty());
    match bounds {
        // A day that is closed, though the base opens it.
        _ if none => {}
        Some((from, to)) if (0..24).contains(&from) && from < to && to <= 24 => {}
        Some(_) => {
            let message = format!("`{path}` must be `[from, to]` with 0 <= from < to <= 24");
            report.add(Trouble::error(path, node.at.clone(), message));
        }
        None => wrong_type(node, path, "two hours, e.g. `[8, 20]`", report),
    }
}

/// Resolves `{ env = … }`, `{ file = … }` or a plain text to the secret itself.
fn secret(node: &mut Node, path: &str, report: &mut Report<'_>) {
    let resolved = match &node.value {
        Value::Text(plain) => {
            if matches!(node.at, At::File(_)) && !plain.is_empty() {
                let message = format!("`{path}` is a secret in plain text");
                report.add(
                    Trouble::warning(path, node.at.clone(), message)
                        .masked()
                        .cure("write `{ env = \"NAME\" }` or `{ file = \"PATH\" }` instead"),
                );
            }
            Some(Zeroizing::new(plain.clone()))
        }
        Value::Table(fields) if fields.len() == 1 => reference(fields, path, report),
        _ => return wrong_type(node, path, SECRET_FORMS, report),
    };
    match resolved {
        Some(found) if found.trim().is_empty() => {
            let trouble = Trouble::error(path, node.at.clone(), format!("`{path}` is empty"));
            report.add(trouble.cure(format!("a secret is {SECRET_FORMS}")));
        }
        Some(found) => {
            node.value.wipe();
            node.value = Value::Text(found.trim().to_owned());
        }
        // Told already.
        None => {}
    }
}

const SECRET_FORMS: &str = "`{ env = \"NAME\" }`, `{ file = \"PATH\" }` or text";

/// Reads `{ env = … }` or `{ file = … }`; what is wrong is told.
fn reference(
    fields: &BTreeMap<String, Field>,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Zeroizing<String>> {
    let (how, field) = fields.iter().next()?;
    let at = field.node.at.clone();
    if !matches!(how.as_str(), "env" | "file") {
        let message = format!("a secret is read from `env` or `file`, not from `{how}`");
        let trouble = Trouble::error(path, field.key_at.clone(), message).masked();
        report.add(match nearest(how, ["env", "file"]) {
            Some(near) => trouble.suggest(near),
            None => trouble.cure(format!("write {SECRET_FORMS}")),
        });
        return None;
    }
    let Value::Text(name) = &field.node.value else {
        wrong_type(&field.node, path, "text", report);
        return None;
    };
    let (found, message, cure) = if how == "env" {
        let found = report.surroundings.env.get(name).filter(|v| !v.trim().is_empty()).cloned();
        let message = format!("`{path}` is missing: the environment variable {name} is not set");
        (found, message, format!("set it: export {name}=…"))
    } else {
        let read = std::fs::read_to_string(name);
        let why = read.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let message = format!("`{path}` is missing: the file {name} cannot be read: {why}");
        (read.ok(), message, "the path counts from the folder that recoup is started in".to_owned())
    };
    if found.is_none() {
        report.add(Trouble::error(path, at, message).cure(cure));
    }
    found.map(Zeroizing::new)
}
