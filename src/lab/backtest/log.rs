//! The log of a merchant's attempts, read from CSV.
//!
//! Why here: what is wrong with a log must be known before anything is concluded from it. Each bad
//! line is named with its field; lines are put in the order of time, and that is said.
//!
//! What must stay true: no cell becomes a number that is not finite; a line is used whole or not at
//! all, and what was left out is counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::fees::exact;
use crate::core::decline::Category;
use crate::core::ids::GatewayId;
use crate::core::learning::facts::Facts;
use crate::core::learning::routing::{Answer, Outcome};
use crate::core::worth::Fees;

/// Columns that must be there.
const REQUIRED: [&str; 9] = [
    "attempted_at",
    "invoice",
    "attempt",
    "gateway",
    "country",
    "network",
    "three_ds",
    "amount",
    "approved",
];
/// Columns that are used where they are there.
const USED: [&str; 3] = ["propensity", "category", "technical"];

/// One attempt of the log.
#[derive(Debug, Clone)]
pub struct Line {
    /// What is learned from it. Its facts' `tried_here` is of its own gateway.
    pub outcome: Outcome,
    /// Which invoice, by number.
    pub invoice: usize,
    /// Earlier attempts of the invoice, by gateway, in the order of [`Log::gateways`].
    pub earlier: Vec<u32>,
    /// With which probability the merchant's own routing chose this gateway, where the log says it.
    pub propensity: Option<f64>,
}

/// What is wrong with a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The line, from 1.
    pub line: u64,
    /// The column.
    pub field: String,
    /// What is wrong.
    pub why: String,
}

/// A log that was read.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Its attempts, in the order of time.
    pub lines: Vec<Line>,
    /// Every gateway in it, by name.
    pub gateways: Vec<GatewayId>,
    /// How many invoices.
    pub invoices: usize,
    /// Lines that cannot be used.
    pub bad: Vec<BadLine>,
    /// What else is worth knowing of it, in plain sentences.
    pub notes: Vec<String>,
}

/// Reads a log. The error is what makes it unreadable as a whole; bad lines are in the result.
pub fn read(text: &[u8], fees: &Fees) -> Result<Log, BadLine> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let unreadable = |why: String| BadLine { line: 1, field: "header".into(), why };
    let header = reader.headers().map_err(|error| unreadable(error.to_string()))?.clone();
    let missing: Vec<_> =
        REQUIRED.iter().filter(|name| !header.iter().any(|column| column == **name)).collect();
    if let Some(name) = missing.first() {
        return Err(BadLine {
            line: 1,
            field: (**name).to_owned(),
            why: "the column is missing".into(),
        });
    }
    let mut log = Log::default();
    let mut invoices = BTreeMap::new();
    for record in reader.records() {
        let (line, parsed) = match &record {
            Err(error) => (error.position().map_or(0, csv::Position::line), {
                Err(("line".to_owned(), "it is no line of this table".to_owned()))
            }),
            Ok(record) => {
                let cells = Cells { header: &header, record, fees };
                (record.position().map_or(0, csv::Position::line), cells.line(&mut invoices))
            }
        };
        match parsed {
            Ok(parsed) => log.lines.push(parsed),
            Err((field, why)) => log.bad.push(BadLine { line, field, why }),
        }
    }
    log.invoices = invoices.len();
    let known = |name: &&str| REQUIRED.contains(name) || USED.contains(name);
    let unknown: Vec<_> = header.iter().filter(|name| !known(name)).collect();
    if !unknown.is_empty() {
        log.notes.push(format!("Columns that nothing is learned from: {}.", unknown.join(", ")));
    }
    put_in_order(&mut log);
    Ok(log)
}

/// Sorts by time, and counts what came before each attempt of an invoice.
fn put_in_order(log: &mut Log) {
    let times: Vec<_> = log.lines.iter().map(|line| line.outcome.at).collect();
    let back = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    if back > 0 {
        let note =
            format!("{back} lines are earlier than the line before; they were sorted by time.");
        log.notes.push(note);
    }
    log.lines.sort_by_key(|line| line.outcome.at);
    let mut gateways: Vec<_> = log.lines.iter().map(|l| l.outcome.gateway.clone()).collect();
    gateways.sort_unstable();
    gateways.dedup();
    let mut tried = vec![vec![0; gateways.len()]; log.invoices];
    for line in &mut log.lines {
        let Ok(own) = gateways.binary_search(&line.outcome.gateway) else { continue };
        let tried = &mut tried[line.invoice];
        line.earlier.clone_from(tried);
        line.outcome.facts.tried_here = tried[own];
        tried[own] += 1;
    }
    log.gateways = gateways;
}

struct Cells<'a> {
    header: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
    fees: &'a Fees,
}

type Bad = (String, String);

impl Cells<'_> {
    fn cell(&self, column: &str) -> &str {
        let at = self.header.iter().position(|name| name == column);
        at.and_then(|at| self.record.get(at)).unwrap_or_default()
    }

    fn checked<T>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        want: &str,
    ) -> Result<T, Bad> {
        let cell = self.cell(column);
        parse(cell).ok_or_else(|| match cell {
            "" => (column.to_owned(), format!("it is empty, and should be {want}")),
            cell => (column.to_owned(), format!("`{}` is not {want}", shortened(cell))),
        })
    }

    fn line(&self, invoices: &mut BTreeMap<String, usize>) -> Result<Line, Bad> {
        let at: Timestamp =
            self.checked("attempted_at", |cell| cell.parse().ok(), "an RFC 3339 time")?;
        let invoice = self.checked("invoice", some, "the invoice's id")?;
        let gateway = GatewayId::from(self.checked("gateway", some, "a gateway")?.as_str());
        if !self.fees.contains_key(&gateway) {
            let why = format!("the fees name no gateway `{}`", shortened(gateway.as_str()));
            return Err(("gateway".into(), why));
        }
        let approved = self.checked("approved", boolean, "0 or 1")?;
        let technical =
            self.checked("technical", |cell| boolean(or(cell, "0")), "0, 1 or nothing")?;
        let propensity = self.checked("propensity", propensity, "above 0 and at most 1")?;
        let facts = self.facts()?.at(at, &TimeZone::UTC);
        let next = invoices.len();
        let invoice = *invoices.entry(invoice).or_insert(next);
        let answer = match (approved, technical) {
            (true, _) => Answer::Approved,
            (false, false) => Answer::Declined,
            (false, true) => Answer::Technical,
        };
        let outcome = Outcome { at, gateway, facts, answer };
        Ok(Line { outcome, invoice, earlier: Vec::new(), propensity })
    }

    fn facts(&self) -> Result<Facts, Bad> {
        let name = |column| some(self.cell(column)).map(|name| name.to_lowercase());
        Ok(Facts {
            network: name("network"),
            country: name("country"),
            category: self.checked("category", category, "one of our categories")?,
            amount: self.checked("amount", amount, "an amount above 0")?,
            three_ds: self.checked(
                "three_ds",
                |cell| if cell.is_empty() { Some(None) } else { boolean(cell).map(Some) },
                "0, 1 or nothing",
            )?,
            attempt: self.checked("attempt", positive, "a number from 1")?,
            ..Facts::default()
        })
    }
}

fn shortened(cell: &str) -> String {
    cell.chars().take(24).collect()
}

fn or<'a>(cell: &'a str, default: &'a str) -> &'a str {
    if cell.is_empty() { default } else { cell }
}

fn some(cell: &str) -> Option<String> {
    (!cell.is_empty()).then(|| cell.to_owned())
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "0" | "false" => Some(false),
        "1" | "true" => Some(true),
        _ => None,
    }
}

fn amount(cell: &str) -> Option<i64> {
    exact(cell).filter(|amount| *amount > 0)
}

fn positive(cell: &str) -> Option<u32> {
    cell.parse().ok().filter(|number| *number > 0)
}

fn category(cell: &str) -> Option<Option<Category>> {
    if cell.is_empty() {
        return Some(None);
    }
    serde_json::from_value(serde_json::Value::from(cell)).ok().map(Some)
}

/// A propensity of zero would give its attempt infinite weight.
fn propensity(cell: &str) -> Option<Option<f64>> {
    if cell.is_empty() {
        return Some(None);
    }
    let value: f64 = cell.parse().ok()?;
    (value > 0.0 && value <= 1.0).then_some(Some(value))
}
