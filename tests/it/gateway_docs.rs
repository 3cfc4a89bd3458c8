//! The tables and pages about gateways are made from, or held against, the program's own data.
//!
//! `RECOUP_BLESS=1` writes the table of docs/GATEWAYS.md anew.

use std::path::{Path, PathBuf};

use recoup::gateway::KINDS;
use recoup::gateway::profile::{Acknowledgement, Hosted, Idempotency, Profile, Proves};

const BEGIN: &str = "<!-- profiles -->\n";
const END: &str = "<!-- /profiles -->";

fn doc(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn profiles() -> Vec<Profile> {
    KINDS.iter().map(|kind| (kind.profile)()).collect()
}

type Row = (&'static str, fn(&Profile) -> String);

const ROWS: [Row; 16] = [
    ("a signed webhook proves", |p| match p.proves {
        Proves::Body => "the body".into(),
        Proves::SomeFields => "some fields".into(),
        Proves::Pointer => "that something happened".into(),
    }),
    ("acknowledged by", |p| match p.acknowledgement {
        Acknowledgement::Json => "200".into(),
        Acknowledgement::Text(text) => format!("200 `{text}`"),
    }),
    ("the same charge is known by", |p| match p.idempotency {
        Idempotency::Header(name) => format!("`{name}`"),
        Idempotency::UniqueReference(name) => format!("`{name}`, taken once"),
        Idempotency::Reference(name) => format!("`{name}`, searched"),
    }),
    ("key", |p| match p.capabilities.key_window_s {
        0 => "never".into(),
        seconds => span(seconds),
    }),
    ("look up", |p| yes(p.capabilities.look_up)),
    ("… by", |p| p.found_by.into()),
    ("final", |p| span(p.capabilities.horizon_s)),
    ("network id", |p| yes(p.capabilities.network_transaction_id)),
    ("a customer is sent to", |p| match p.hosted {
        Hosted::CardUpdate => "a card update".into(),
        Hosted::PayByLink => "a pay-by-link".into(),
        Hosted::Nothing => "-".into(),
    }),
    ("reads the invoice", |p| yes(p.capabilities.read_invoice)),
    ("marks it as paid elsewhere", |p| yes(p.capabilities.paid_out_of_band)),
    ("refunds", |p| yes(p.capabilities.refund)),
    ("pauses or cancels a subscription", |p| yes(p.capabilities.subscriptions)),
    ("own retries", |p| match (p.native_retries.what, p.native_retries.switch_off) {
        ("", _) => "none".into(),
        (_, Some(_)) => "can be switched off".into(),
        (_, None) => "cannot be switched off".into(),
    }),
    ("currencies", |p| {
        let codes: Vec<_> = p.capabilities.currencies.iter().map(|c| c.code()).collect();
        if codes.is_empty() { "any".to_owned() } else { codes.join(", ") }
    }),
    ("tells its history", |p| yes(p.tells_history)),
];

fn yes(can: bool) -> String {
    if can { "yes" } else { "-" }.to_owned()
}

fn span(seconds: u32) -> String {
    match seconds {
        s if s >= 2 * 86_400 => format!("{} days", s / 86_400),
        s if s >= 7_200 => format!("{} h", s / 3_600),
        s => format!("{} min", s / 60),
    }
}

fn table() -> String {
    let profiles = profiles();
    let cells = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = cells(
        std::iter::once(String::new())
            .chain(profiles.iter().map(|p| format!("`{}`", p.kind)))
            .collect(),
    );
    table.push_str(&format!("|{}\n", "---|".repeat(profiles.len() + 1)));
    for (name, cell) in ROWS {
        table.push_str(&cells(
            std::iter::once(name.to_owned()).chain(profiles.iter().map(cell)).collect(),
        ));
    }
    table
}

#[test]
fn the_table_is_what_the_program_says() {
    let path = doc("GATEWAYS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (shown, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("RECOUP_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(shown, table(), "RECOUP_BLESS=1 writes it anew");
}

#[test]
fn each_gateway_has_a_page_that_names_what_the_program_names() {
    for profile in profiles() {
        let path = doc(&format!("gateways/{}.md", profile.kind));
        let page = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let missing: Vec<_> = profile.events.iter().filter(|name| !page.contains(*name)).collect();
        assert!(missing.is_empty(), "{}: does not name {missing:?}", path.display());
        let title = page.lines().next().unwrap_or_default();
        assert!(title.starts_with("# "), "{}", path.display());
        assert!(page.contains("What it cannot do"), "{}", path.display());
        let unproven = profile.unproven.is_empty() || page.contains("## Unproven");
        assert!(unproven, "{}: what is unproven is told", path.display());
        assert!(page.contains(&format!("kind = \"{}\"", profile.kind)), "{}", path.display());
    }
}
