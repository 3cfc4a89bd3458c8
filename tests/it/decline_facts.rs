//! `classify` against the tables of decline codes beside the repository, where they are: every code
//! of each gateway, of the networks, and every number of Mastercard's advice.

use std::path::Path;

use recoup::core::decline::{Classified, Decline, RawDecline};
use recoup::gateway;
use serde_json::Value;

/// The file, and the kind of gateway whose codes it holds.
const GATEWAYS: [(&str, &str); 2] = [("stripe", "stripe"), ("checkout_com", "checkout")];

/// The rows of a table, each by its columns' names; `None`: it is not at hand.
fn rows(file: &str) -> Option<Vec<Vec<(String, String)>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/facts/declines")
        .join(file)
        .with_extension("csv");
    let mut reader = csv::Reader::from_reader(std::fs::File::open(path).ok()?);
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        names.iter().cloned().zip(row.iter().map(str::to_owned)).collect()
    });
    Some(rows.collect())
}

fn column<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    &row.iter().find(|(key, _)| key == name).unwrap().1
}

fn classify(kind: &str, raw: &RawDecline) -> Classified {
    (gateway::kind(kind).unwrap().classify)(raw)
}

/// Category and advice in the spelling of the tables.
fn words(decline: &Decline) -> (String, String) {
    let decline = serde_json::to_value(decline).unwrap();
    let word = |name: &str| decline[name].as_str().unwrap().to_owned();
    (word("category"), word("advice"))
}

fn wanted(row: &[(String, String)]) -> (String, String) {
    (column(row, "normalised_category").to_owned(), column(row, "advice").to_owned())
}

#[test]
fn every_gateways_codes() {
    for (file, kind) in GATEWAYS {
        let Some(rows) = rows(file) else { continue };
        assert!(rows.len() > 50, "{file}");
        for row in rows {
            let code = column(&row, "raw_code");
            let raw = RawDecline { code: Some(code.to_owned()), ..RawDecline::default() };
            let found = classify(kind, &raw);
            assert_eq!(words(&found.decline), wanted(&row), "{kind} {code}");
            assert!(found.known, "{kind} {code}");
        }
    }
}

#[test]
fn every_code_of_the_networks() {
    let Some(rows) = rows("iso8583") else { return };
    assert!(rows.len() > 100);
    for row in rows {
        let code = column(&row, "raw_code");
        let raw = RawDecline { network_code: Some(code.to_owned()), ..RawDecline::default() };
        // Whatever the gateway, the networks' codes are the same.
        for kind in gateway::KINDS {
            let found = classify(kind.kind, &raw);
            assert_eq!(words(&found.decline), wanted(&row), "{} {code}", kind.kind);
        }
    }
}

#[test]
fn every_number_of_mastercards_advice() {
    let Some(rows) = rows("mastercard_mac") else { return };
    for row in rows {
        let number = column(&row, "mac");
        let raw = RawDecline {
            network_advice_code: Some(number.to_owned()),
            network: Some("mastercard".to_owned()),
            ..RawDecline::default()
        };
        let decline = classify("stripe", &raw).decline;
        let (category, advice) = words(&decline);
        assert_eq!(advice, column(&row, "advice"), "{number}");
        let hours = column(&row, "min_delay_h").parse::<u64>().ok();
        assert_eq!(decline.min_delay_seconds, hours.map(|h| h * 3600), "{number}");
        let hint = column(&row, "normalised_category_hint");
        let hint = if hint == "keep_category" { "unknown" } else { hint };
        assert_eq!(Value::from(category), Value::from(hint), "{number}");
    }
}
