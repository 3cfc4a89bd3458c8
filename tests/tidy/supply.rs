//! What we are built from: each crate's licence, source and name, against `.deny.toml`.
//!
//! Why here: `cargo deny` reads the same file and knows more (advisories); it is a program of its
//! own, which not every machine has. What needs no network is held on every one, by this test.
//!
//! What must stay true: every exception has a reason; what is not on a list is refused.

use std::process::Command;

use serde_json::Value;

/// What is wrong with what we are built from.
pub(crate) fn wrong_with(packages: &[Value], rules: &toml::Table) -> Vec<String> {
    let mut wrong = Vec::new();
    let allowed = texts(&rules["licenses"]["allow"], None);
    let banned = texts(&rules["bans"]["deny"], Some("crate"));
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if banned.iter().any(|banned| banned == name) {
            wrong.push(format!("{name} is banned"));
        }
        match package["source"].as_str() {
            None => {}
            Some(source) if source == index() => {}
            Some(other) => wrong.push(format!("{name} is from {other}")),
        }
        let exceptions = rules["licenses"].get("exceptions").and_then(toml::Value::as_array);
        let own = exceptions.into_iter().flatten().find(|own| own["crate"].as_str() == Some(name));
        let own = own.map_or_else(Vec::new, |own| texts(&own["allow"], None));
        let allowed = [&allowed[..], &own].concat();
        match package["license"].as_str() {
            Some(expression) if is_allowed(expression, &allowed) => {}
            other => wrong.push(format!("{name} has the licence {other:?}")),
        }
    }
    wrong
}

/// Where crates come from.
pub(crate) fn index() -> String {
    ["registry+https:", "//github.com/rust-lang/crates.io-index"].concat()
}

/// Every exception of the file that says no reason.
pub(crate) fn without_reason(rules: &toml::Table) -> Vec<String> {
    let tables = [&rules["bans"]["deny"], &rules["advisories"]["ignore"]];
    let entries = tables.into_iter().filter_map(toml::Value::as_array).flatten();
    let has_one = |entry: &&toml::Value| {
        entry.get("reason").and_then(toml::Value::as_str).is_some_and(|why| why.len() > 5)
    };
    entries.filter(|entry| !has_one(entry)).map(ToString::to_string).collect()
}

/// What is resolved for the platforms that we build for.
pub(crate) fn packages() -> Vec<Value> {
    let ran = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let metadata: Value = serde_json::from_slice(&ran.stdout).unwrap();
    // What is only in the lock file, for other platforms or features, is not built.
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let resolved: Vec<_> = nodes.iter().map(|node| &node["id"]).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.filter(|package| resolved.contains(&&package["id"])).cloned().collect()
}

fn texts(list: &toml::Value, field: Option<&str>) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    let text = |item: &toml::Value| match field {
        Some(field) => item.get(field)?.as_str().map(str::to_owned),
        None => item.as_str().map(str::to_owned),
    };
    items.filter_map(text).collect()
}

/// An SPDX expression: `A OR B`, `(A OR B) AND C`, `A WITH B`; the old `A/B` is `A OR B`.
pub(crate) fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    either(&mut rest, allowed) && rest.is_empty()
}

fn either(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut good = both(rest, allowed);
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        good |= both(rest, allowed);
    }
    good
}

fn both(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut good = one(rest, allowed);
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        good &= one(rest, allowed);
    }
    good
}

fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    let Some((first, behind)) = rest.split_first() else { return false };
    *rest = behind;
    if *first == "(" {
        let good = either(rest, allowed);
        let closed = rest.first() == Some(&")");
        *rest = rest.get(1..).unwrap_or_default();
        return good && closed;
    }
    let mut name = (*first).to_owned();
    if let ["WITH", exception, behind @ ..] = *rest {
        name = format!("{name} WITH {exception}");
        *rest = behind;
    }
    allowed.contains(&name)
}
