//! Lists as CSV, for spreadsheets and accountants.
//!
//! Why here: API, dashboard and command line write the same columns.
//!
//! What must stay true: no cell is a formula: what begins like one gets an apostrophe before it;
//! amounts are decimals beside their currency, exact to the minor unit; times are UTC.

use std::borrow::Cow;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::core::money::Money;
use crate::core::report::facts::{Facts, Fate};
use crate::core::report::messages::status;
use crate::store::MessageRecord;

/// A list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Attempts that were sent.
    Attempts,
    /// Cases.
    Cases,
    /// Messages.
    Messages,
    /// What gateways took.
    Payments,
}

impl Table {
    /// Its name, as in its file's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Cases => "cases",
            Self::Messages => "messages",
            Self::Payments => "payments",
        }
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Attempts => {
                &["case", "invoice", "customer", "at", "gateway", "amount", "currency", "outcome"]
            }
            Self::Cases => &[
                "case",
                "state",
                "gateway",
                "invoice",
                "customer",
                "amount",
                "currency",
                "opened_at",
                "ended_at",
                "began_with",
                "recovered_by",
                "through",
                "attempts",
                "messages",
                "arm",
            ],
            Self::Messages => &[
                "message",
                "case",
                "at",
                "kind",
                "channel",
                "locale",
                "to",
                "subject",
                "status",
                "delivered",
                "opened",
                "clicked",
                "acted",
            ],
            Self::Payments => &[
                "captured_at",
                "gateway",
                "payment",
                "invoice",
                "case",
                "customer",
                "amount",
                "currency",
                "fee",
                "recorded_as_paid_elsewhere",
                "refunded",
                "kind",
            ],
        }
    }
}

/// One line.
pub type Row = Vec<String>;

/// Cases.
pub fn cases<'a>(all: impl Iterator<Item = &'a Facts>) -> Vec<Row> {
    let row = |case: &Facts| {
        let [amount, currency] = money(case.amount);
        vec![
            case.id.to_string(),
            case.state.as_str().to_owned(),
            case.gateway.to_string(),
            case.invoice.clone(),
            text(case.customer.as_ref()),
            amount,
            currency,
            case.opened_at.to_string(),
            text(case.ended_at),
            word(case.category),
            case.by.map(word).unwrap_or_default(),
            text(case.via.as_ref()),
            case.tried.len().to_string(),
            case.messages.len().to_string(),
            case.arm.map(|arm| arm.as_str().to_owned()).unwrap_or_default(),
        ]
    };
    all.map(row).collect()
}

/// The attempts of cases.
pub fn attempts<'a>(all: impl Iterator<Item = &'a Facts>) -> Vec<Row> {
    let rows = all.flat_map(|case| {
        case.tried.iter().map(|tried| {
            let [amount, currency] = money(tried.amount);
            vec![
                case.id.to_string(),
                case.invoice.clone(),
                text(case.customer.as_ref()),
                tried.at.to_string(),
                tried.gateway.to_string(),
                amount,
                currency,
                word(tried.outcome),
            ]
        })
    });
    rows.collect()
}

/// One message, with what its case knows of it.
pub fn message(record: &MessageRecord, case: Option<&crate::core::case::Case>) -> Row {
    let known = case.and_then(|case| case.messages.iter().find(|m| m.id == record.id));
    let facts = known.map(crate::core::report::facts::Told::of);
    let is = |fate: Fate| {
        let known = facts.as_ref().map(|told| told.fates[fate as usize]);
        known.map_or("", |is| if is { "yes" } else { "no" }).to_owned()
    };
    vec![
        record.id.to_string(),
        record.case.to_string(),
        record.at.to_string(),
        record.kind.as_str().to_owned(),
        record.channel.as_str().to_owned(),
        record.locale.clone(),
        record.to.clone(),
        record.subject.clone(),
        status(known.map_or(record.status, |known| known.status)).to_owned(),
        is(Fate::Delivered),
        is(Fate::Opened),
        is(Fate::Clicked),
        is(Fate::Acted),
    ]
}

/// The amount as a decimal, and its currency.
pub fn money(amount: Money) -> [String; 2] {
    let text = amount.to_string();
    let number = text.split(' ').next().unwrap_or_default().to_owned();
    [number, amount.currency.code().to_owned()]
}

/// What may not be known.
pub fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The word of the API.
pub fn word(value: impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

/// The file.
pub fn write(table: Table, rows: Vec<Row>) -> String {
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    // Into memory; what cannot be written there cannot be answered either.
    let _ = out.write_record(table.columns());
    for row in rows {
        let _ = out.write_record(row.iter().map(|cell| harmless(cell).into_owned()));
    }
    String::from_utf8(out.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// The file as an answer.
pub(super) fn answer(table: Table, rows: Vec<Row>) -> Response {
    let mut answer = write(table, rows).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = format!("attachment; filename=\"recoup-{}.csv\"", table.name());
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    answer
}

/// A spreadsheet runs what begins so; a number that is below nothing does not run.
fn harmless(cell: &str) -> Cow<'_, str> {
    let begins = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let is_number = || cell.strip_prefix('-').is_some_and(|rest| rest.parse::<f64>().is_ok());
    if begins && !is_number() { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_nothing_breaks_its_line() {
        for (cell, kept) in [
            ("=HYPERLINK(\"http://evil.example\")", "'=HYPERLINK(\"http://evil.example\")"),
            ("+57 300", "'+57 300"),
            ("-2+3", "'-2+3"),
            ("-12.50", "-12.50"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("in_1", "in_1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), kept);
        }
        let row = |cell: &str| vec![cell.to_owned(); Table::Attempts.columns().len()];
        let file = write(Table::Attempts, vec![row("a,\"b\"\r\nc")]);
        let mut read = csv::Reader::from_reader(file.as_bytes());
        let rows: Vec<_> = read.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(&rows[0][0], "a,\"b\"\r\nc");
    }
}
