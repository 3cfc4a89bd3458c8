//! The rules over one file. Each gives what is wrong with it.

use std::collections::BTreeSet;

use crate::source::{Source, names};

/// Which rooms a room may know. `main` and `lib` are no rooms; `core` knows none.
const ROOMS: [(&str, &[&str]); 12] = [
    ("core", &[]),
    ("clock", &[]),
    ("telemetry", &["core"]),
    ("gateway", &["core"]),
    ("store", &["core"]),
    ("message", &["core"]),
    ("channel", &["core", "message", "gateway"]),
    ("config", &["core", "message"]),
    ("sandbox", &["core", "clock"]),
    ("worker", &["core", "clock", "store", "gateway", "channel", "message", "telemetry"]),
    ("http", &["core", "clock", "store", "gateway", "channel", "message", "lab"]),
    ("lab", &["core", "clock", "store", "gateway", "channel", "message", "config", "worker"]),
];

/// What only `cli` and `lab` may name: they put concrete parts together.
const CONCRETE: [&str; 13] = [
    "store::sled",
    "store::postgres",
    "store::memory",
    "gateway::stripe",
    "gateway::adyen",
    "gateway::braintree",
    "gateway::mercadopago",
    "gateway::wompi",
    "gateway::checkout",
    "gateway::http",
    "channel::email",
    "channel::sms",
    "channel::whatsapp",
];

/// Who else may name a concrete part, and why.
const MAY_NAME: [(&str, &str, &str); 8] = [
    ("gateway/kinds.rs", "gateway::stripe", "the table of kinds"),
    ("gateway/kinds.rs", "gateway::adyen", "the table of kinds"),
    ("gateway/kinds.rs", "gateway::braintree", "the table of kinds"),
    ("gateway/kinds.rs", "gateway::mercadopago", "the table of kinds"),
    ("gateway/kinds.rs", "gateway::wompi", "the table of kinds"),
    ("gateway/kinds.rs", "gateway::checkout", "the table of kinds"),
    ("gateway/kinds.rs", "gateway::http", "the table of kinds"),
    ("gateway/http/webhook.rs", "gateway::stripe", "the protocol speaks Stripe's decline codes"),
];

/// What has no place where time, randomness and IO are arguments.
const IMPURE: [&str; 17] = [
    "tokio",
    "axum",
    "reqwest",
    "sled",
    "tracing",
    "metrics",
    "getrandom",
    "fastrand",
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "std::process",
    "SystemTime",
    "Instant",
    "::now(",
    "crate::clock",
];

/// Longest file of `src/`; a table of tests may be longer.
pub(crate) const MAX_LINES: usize = 500;
/// Longest `main.rs`.
pub(crate) const MAX_MAIN: usize = 60;
/// Longest line of Rust.
pub(crate) const MAX_COLUMNS: usize = 100;

pub(crate) fn opens_with_what_it_is(source: &Source) -> Vec<String> {
    let opens = source.text.lines().next().is_some_and(|line| line.starts_with("//! "));
    if opens { Vec::new() } else { vec![format!("{}: the first line is no `//!`", source.path)] }
}

pub(crate) fn is_pure(source: &Source) -> Vec<String> {
    let code = source.code();
    let impure = IMPURE.iter().filter(|word| names(&code, word));
    impure.map(|word| format!("{}: names {word}", source.path)).collect()
}

pub(crate) fn knows_only_its_rooms(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return match room.as_str() {
            "cli" | "lib" | "main" => Vec::new(),
            _ => vec![format!("{}: the room `{room}` is not in the table", source.path)],
        };
    };
    let is_room = |name: &str| name == "cli" || ROOMS.iter().any(|(known, _)| *known == name);
    let known: BTreeSet<String> =
        source.paths().iter().map(|path| path.split("::").next().unwrap().to_owned()).collect();
    let wrong = known
        .iter()
        .filter(|name| is_room(name) && **name != room && !allowed.contains(&name.as_str()));
    wrong.map(|name| format!("{}: `{room}` may not know `{name}`", source.path)).collect()
}

pub(crate) fn names_nothing_concrete(source: &Source) -> Vec<String> {
    if ["cli", "lab"].contains(&source.room().as_str()) {
        return Vec::new();
    }
    let own = source.module().join("::");
    let below = |path: &str, top: &str| path == top || path.starts_with(&format!("{top}::"));
    let paths = source.paths();
    let named = CONCRETE.iter().filter(|part| {
        let excused = MAY_NAME.iter().any(|(file, may, _)| *file == source.path && may == *part);
        !excused && !below(&own, part) && paths.iter().any(|path| below(path, part))
    });
    named.map(|part| format!("{}: names {part}", source.path)).collect()
}

pub(crate) fn is_short(source: &Source) -> Vec<String> {
    let limit = if source.path == "main.rs" { MAX_MAIN } else { MAX_LINES };
    let lines = source.text.lines().count();
    let mut wrong = Vec::new();
    if lines > limit && !source.is_test() {
        wrong.push(format!("{}: {lines} lines, at most {limit}", source.path));
    }
    wrong.extend(has_short_lines(source));
    wrong
}

pub(crate) fn has_short_lines(source: &Source) -> Vec<String> {
    let long = source.text.lines().enumerate().filter(|(_, l)| l.chars().count() > MAX_COLUMNS);
    long.map(|(n, _)| format!("{}:{}: over {MAX_COLUMNS} columns", source.path, n + 1)).collect()
}

pub(crate) fn leaves_nothing_open(source: &Source) -> Vec<String> {
    let marks = [["FIX", "ME"], ["TO", "DO"], ["X", "XX"], ["fn ", "get_"]].map(|m| m.concat());
    let mut wrong = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let hit = marks.iter().find(|mark| match mark.strip_prefix("fn ") {
            Some(_) => line.contains(mark.as_str()),
            None => names(line, mark),
        });
        wrong.extend(hit.map(|mark| format!("{}:{}: {mark}", source.path, number + 1)));
    }
    wrong
}

/// Hosts that may stand in the tree: those of examples, loopback, and what the product talks to.
fn is_known_host(host: &str) -> bool {
    const KNOWN: &[&str] = &[
        "localhost",
        "127.0.0.1",
        "0.0.0.0",
        "api.stripe.com",
        "api.checkout.com",
        "api.sandbox.checkout.com",
        "api.braintreegateway.com",
        "api.sandbox.braintreegateway.com",
        "checkout-test.adyen.com",
        "api.twilio.com",
        "graph.facebook.com",
        "prefix-checkout-live.adyenpayments.com",
        "dashboard.stripe.com",
        "stripe.com",
        "api.mercadopago.com",
        "production.wompi.co",
        "sandbox.wompi.co",
        "checkout.wompi.co",
        "example.com",
        "developers.tabapay.com",
        "help.maast.com",
        "docs.payzu.com.br",
        "developer.paypal.com",
        "keepachangelog.com",
        "json-schema.org",
        "semver.org",
        "www.standardwebhooks.com",
    ];
    // Where SNS signs from, and what only looks like it.
    let amazon = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
    let reserved = [".example", ".test", ".invalid"].iter().any(|end| host.ends_with(end));
    // A short name without a dot is made up in a test; a placeholder is filled in at run time.
    reserved || amazon || KNOWN.contains(&host) || !host.contains('.')
}

pub(crate) fn names_no_machine(source: &Source) -> Vec<String> {
    let folders = [["/ho", "me/"], ["/ro", "ot/"], ["/wo", "rk/"], ["/Use", "rs/"]];
    let mut wrong = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let at = format!("{}:{}", source.path, number + 1);
        for folder in folders.iter().map(|parts| parts.concat()) {
            let starts = |(at, _): (usize, &str)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._}-".contains(c))
            };
            if line.match_indices(&folder).any(starts) {
                wrong.push(format!("{at}: a path of a machine, {folder}"));
            }
        }
        for (start, scheme) in line.match_indices("://") {
            let host = &line[start + scheme.len()..];
            let end = host.find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)));
            let host = host[..end.unwrap_or(host.len())].trim_end_matches('.');
            if !is_known_host(host) {
                wrong.push(format!("{at}: an unknown host, {host}"));
            }
        }
    }
    wrong
}
