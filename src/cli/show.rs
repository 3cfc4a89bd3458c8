//! What the commands about cases share: finding a case, and showing it to a person.
//!
//! Why here: `cases`, `explain`, `plan` and the actions show the same case in the same words.
//!
//! What must stay true: a person reads local times, a program the API's own JSON.

use crate::core::ledger::with_times;
use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::backend::Backend;
use crate::core::money::Money;

/// Columns of a time as [`Zone::show`] writes it.
pub(super) const TIME_WIDTH: usize = 21;

/// Columns of a line of text.
const COLUMNS: usize = 100;

/// A text over as many lines as it takes: the first begins with `first`, the others with as many
/// blanks, or with `rest`.
pub(super) fn wrap(first: &str, rest: Option<&str>, text: &str) -> String {
    let rest = rest.map_or_else(|| " ".repeat(first.chars().count()), str::to_owned);
    let mut lines = Vec::new();
    let (mut line, mut bare) = (first.to_owned(), true);
    for word in text.split(' ') {
        let gap = usize::from(!bare);
        if !bare && line.chars().count() + gap + word.chars().count() > COLUMNS {
            lines.push(std::mem::replace(&mut line, rest.clone()));
            bare = true;
        }
        if !bare {
            line.push(' ');
        }
        line.push_str(word);
        bare = false;
    }
    lines.push(line);
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// A time zone that people read times in.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    zone: TimeZone,
    name: String,
}

impl Zone {
    /// The zone of this name; UTC where there is none.
    pub(super) fn of(name: &str) -> Self {
        match TimeZone::get(name) {
            Ok(zone) => Self { zone, name: name.to_owned() },
            Err(_) => Self { zone: TimeZone::UTC, name: "UTC".to_owned() },
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// `Mon  5 Jan 2026 09:12`.
    pub(super) fn show(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%a %e %b %Y %H:%M").to_string()
    }

    /// A text in which the times are shown in this zone.
    pub(super) fn localize(&self, text: &str) -> String {
        with_times(text, |at| self.show(at).replace("  ", " "))
    }

    /// A time of RFC 3339, or the first moment of a day here.
    pub(super) fn parse(&self, text: &str) -> Option<Timestamp> {
        let day = |date: Date| date.to_zoned(self.zone.clone()).ok().map(|day| day.timestamp());
        text.parse().ok().or_else(|| text.parse().ok().and_then(day))
    }
}

/// What is shown of a case.
#[derive(Debug, Deserialize)]
pub(super) struct CaseView {
    /// Its id.
    pub(super) id: String,
    /// Its state.
    pub(super) state: String,
    /// Why it is in this state.
    pub(super) reason: String,
    /// The invoice.
    pub(super) invoice: String,
    /// The customer.
    pub(super) customer: Option<String>,
    /// What is owed.
    pub(super) amount: Money,
    /// When it opened.
    pub(super) opened_at: Timestamp,
    /// When it ended.
    pub(super) ended_at: Option<Timestamp>,
    /// Whether it is held out of the smart schedule, or compared with those that are.
    #[serde(default)]
    pub(super) arm: Option<String>,
    /// What a person should look at.
    #[serde(default)]
    pub(super) flags: Vec<String>,
    /// The next step.
    pub(super) next: NextView,
}

/// The next step of a case.
#[derive(Debug, Deserialize)]
pub(super) struct NextView {
    /// When.
    pub(super) at: Option<Timestamp>,
    /// What.
    pub(super) what: String,
    /// Why.
    pub(super) why: String,
}

impl CaseView {
    /// From the API's JSON.
    pub(super) fn read(case: &Value) -> anyhow::Result<Self> {
        Self::deserialize(case).context("read the case that the service answered")
    }

    /// Whether it is over.
    pub(super) fn is_ended(&self) -> bool {
        self.ended_at.is_some()
    }

    /// The next step in one line: `attempt  Tue  6 Jan 2026 09:12`.
    pub(super) fn next_line(&self, zone: &Zone) -> String {
        match (self.is_ended(), self.next.at) {
            (true, _) => "-".to_owned(),
            (false, Some(at)) => format!("{} {}", words(&self.next.what), zone.show(at)),
            (false, None) => words(&self.next.what),
        }
    }

    /// The case above its ledger: what it is, where it stands, what comes next.
    pub(super) fn header(&self, zone: &Zone) -> String {
        let customer = self.customer.as_deref().unwrap_or("not named");
        let opened = zone.show(self.opened_at).replace("  ", " ");
        let mut lines = vec![
            format!("{}  {}", self.id, words(&self.state)),
            format!("  {}, invoice {}, customer {customer}", self.amount, self.invoice),
            format!("  opened   {opened}"),
        ];
        if let Some(at) = self.ended_at {
            lines.push(format!("  ended    {}", zone.show(at).replace("  ", " ")));
        }
        if self.arm.as_deref() == Some("holdout") {
            let text = "of the smart schedule: even spacing, to measure what it adds";
            lines.push(format!("  held out {text}"));
        }
        lines.push(wrap("  because  ", None, &zone.localize(&self.reason)));
        if !self.is_ended() {
            let next = self.next_line(zone).replace("  ", " ");
            let why = &self.next.why;
            let why = if *why == self.reason || why.is_empty() {
                String::new()
            } else {
                format!(": {}", zone.localize(why))
            };
            lines.push(wrap("  next     ", None, &format!("{next}{why}")));
        }
        let flags = self.flags.iter();
        lines.extend(flags.map(|flag| wrap("  look at  ", None, &zone.localize(flag))));
        lines.join("\n")
    }
}

/// A name of the API as words: `awaiting_customer` is `awaiting customer`.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A field of an object as text; empty where it is none.
pub(super) fn text(object: &Value, name: &str) -> String {
    object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Columns as wide as their widest cell, under their heads.
pub(super) fn columns(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = [heads].into_iter().chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            format!("{cell:<width$}")
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The case that a person names: by its id, or by its invoice's.
pub(super) async fn find_case(backend: &Backend, named: &str) -> anyhow::Result<Value> {
    let is_id = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if named.starts_with("case_")
        && is_id(named)
        && let Some(case) = backend.find(&["cases", named]).await?
    {
        return Ok(case);
    }
    if named.is_empty() {
        bail!("find a case: give the id of a case or of its invoice");
    }
    let list = backend.get(&["cases"], &[("invoice", named)]).await?;
    let mut found = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    match found.len() {
        0 => bail!(
            "find `{named}`: there is no case of this id, and none of this invoice; `recoup cases` \
             lists them, also `--customer ID`"
        ),
        1 => Ok(found.remove(0)),
        _ => {
            let ids: Vec<_> =
                found.iter().filter_map(|case| case.get("id").and_then(Value::as_str)).collect();
            bail!(
                "find `{named}`: several gateways have this invoice; give one of {}",
                ids.join(", ")
            )
        }
    }
}

/// The id of a case as the API answered it.
pub(super) fn id_of(case: &Value) -> anyhow::Result<&str> {
    case.get("id").and_then(Value::as_str).context("read the case that the service answered")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_a_text_are_the_readers() {
        let bogota = Zone::of("America/Bogota");
        assert_eq!(
            bogota.localize("planned for 2026-01-05T14:12:59.5Z: attempt 1 of 4, not 2026."),
            "planned for Mon 5 Jan 2026 09:12: attempt 1 of 4, not 2026."
        );
        assert_eq!(bogota.show("2026-01-05T14:12:59Z".parse().unwrap()).len(), TIME_WIDTH);
    }

    #[test]
    fn long_texts_are_wrapped_and_keep_every_word() {
        let text = "word ".repeat(60);
        let wrapped = wrap("  why: ", None, text.trim());
        assert!(wrapped.lines().all(|line| line.chars().count() <= COLUMNS), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().filter(|w| *w == "word").count(), 60);
        assert!(wrapped.lines().nth(1).unwrap().starts_with("       word"));
        assert_eq!(wrap("| ", Some("| "), ""), "|");
    }

    #[test]
    fn a_day_begins_where_the_merchant_is() {
        let bogota = Zone::of("America/Bogota");
        let parsed = |text: &str| bogota.parse(text).map(|at| at.to_string());
        assert_eq!(parsed("2026-01-31").as_deref(), Some("2026-01-31T05:00:00Z"));
        assert_eq!(parsed("2026-01-31T09:00:00Z").as_deref(), Some("2026-01-31T09:00:00Z"));
        assert_eq!(parsed("tomorrow"), None);
        assert_eq!(Zone::of("Nowhere/Land").name(), "UTC");
    }
}
