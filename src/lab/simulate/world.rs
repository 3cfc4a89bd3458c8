//! A world file: one failed charge a line, and the days on which a charge would be approved.
//!
//! Why here: it is how anybody judges a schedule on data of their own. A line is read strictly; a
//! value that cannot be is named with file, line and field.
//!
//! What must stay true: a bad line is never used in part. It ends the reading, or is counted and
//! left out when that was asked for.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::civil::Date;
use serde_json::Value;

use crate::core::decline::Category;
use crate::core::learning::timing::Charge;
use crate::lab::bad_file::BadFile;

/// The last day offset that a line may name.
pub const LAST_DAY: u32 = 60;
/// The longest line, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// One failed charge of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldCase {
    /// Its name.
    pub case: String,
    /// Whose.
    pub customer: String,
    /// What results are told by; a policy does not see it.
    pub group: String,
    /// When it failed.
    pub failed_on: Date,
    /// Why.
    pub category: Category,
    /// The customer's earlier charges, oldest first.
    pub past: Vec<Charge>,
    /// For each gateway, in the order of their names, the days on which it would approve: bit n is
    /// day n after the failure.
    pub opens: Vec<u64>,
}

/// What to do with a line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLines {
    /// It ends the reading.
    Refuse,
    /// It is left out and counted.
    Skip,
}

/// A world, and how many lines were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// The cases, in the order of the file.
    pub cases: Vec<WorldCase>,
    /// Lines that were left out.
    pub skipped: u64,
}

/// Reads a world file.
pub fn read(path: &Path, bad: BadLines) -> Result<World, BadFile> {
    let name = path.display().to_string();
    let io = |source| BadFile::Io { file: name.clone(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut world = World { cases: Vec::new(), skipped: 0 };
    for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(io)?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match case_of(&line) {
            Ok(case) => world.cases.push(case),
            Err(_) if bad == BadLines::Skip => world.skipped += 1,
            Err(Wrong { field, why }) => {
                return Err(BadFile::Line {
                    file: name,
                    line: number + 1,
                    field: field.to_owned(),
                    why,
                });
            }
        }
    }
    if world.cases.is_empty() {
        return Err(BadFile::Empty { file: name });
    }
    Ok(world)
}

/// What is wrong with which field.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    field: &'static str,
    why: String,
}

fn wrong<T>(field: &'static str, why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { field, why: why.into() })
}

fn case_of(line: &[u8]) -> Result<WorldCase, Wrong> {
    if line.len() > LONGEST_LINE {
        return wrong("line", format!("longer than {LONGEST_LINE} bytes"));
    }
    let row: Value = match serde_json::from_slice(line) {
        Ok(row @ Value::Object(_)) => row,
        Ok(_) => return wrong("line", "is no JSON object"),
        Err(error) => return wrong("line", format!("is no JSON: {error}")),
    };
    let failed_on = date(row.get("failed_on"), "failed_on")?;
    let category = row.get("category").cloned().unwrap_or(Value::Null);
    let Ok(category) = serde_json::from_value::<Category>(category) else {
        return wrong("category", "is no category of declines (`recoup classify --help`)");
    };
    Ok(WorldCase {
        case: text(&row, "case")?,
        customer: text(&row, "customer")?,
        group: match row.get("group") {
            None | Some(Value::Null) => String::new(),
            Some(_) => text(&row, "group")?,
        },
        failed_on,
        category,
        past: past(row.get("past"), failed_on)?,
        opens: opens(row.get("opens"))?,
    })
}

fn text(row: &Value, field: &'static str) -> Result<String, Wrong> {
    match row.get(field).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        Some(_) => wrong(field, "is empty"),
        None => wrong(field, "is missing, or no text"),
    }
}

fn date(value: Option<&Value>, field: &'static str) -> Result<Date, Wrong> {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    match text.parse::<Date>() {
        // Dates far from any merchant's life would overflow sums of days.
        Ok(date) if (1900..=2200).contains(&date.year()) => Ok(date),
        Ok(_) => wrong(field, format!("{text} is not between the years 1900 and 2200")),
        Err(_) => wrong(field, "is no date like 2026-03-01"),
    }
}

fn past(value: Option<&Value>, failed_on: Date) -> Result<Vec<Charge>, Wrong> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let Some(rows) = value.as_array() else { return wrong("past", "is no list") };
    let mut past = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(2), Some(approved)) =
            (row.as_array().map(Vec::len), row.get(1).and_then(Value::as_bool))
        else {
            return wrong("past", "has an entry that is not [date, true or false]");
        };
        let on = date(row.get(0), "past")?;
        if on >= failed_on {
            return wrong("past", format!("{on} is not before `failed_on`"));
        }
        past.push(Charge { on, approved });
    }
    past.sort_unstable_by_key(|charge| charge.on);
    Ok(past)
}

fn opens(value: Option<&Value>) -> Result<Vec<u64>, Wrong> {
    match value {
        Some(Value::Array(days)) => Ok(vec![mask(days)?]),
        Some(Value::Object(gateways)) if !gateways.is_empty() => {
            let sorted: BTreeMap<_, _> = gateways.iter().collect();
            let masks = sorted.values().map(|days| match days.as_array() {
                Some(days) => mask(days),
                None => wrong("opens", "has a gateway without a list of days"),
            });
            masks.collect()
        }
        _ => wrong("opens", "is neither a list of days nor an object of gateways with lists"),
    }
}

fn mask(days: &[Value]) -> Result<u64, Wrong> {
    let mut mask = 0;
    for day in days {
        match day.as_u64() {
            Some(day) if (1..=u64::from(LAST_DAY)).contains(&day) => mask |= 1 << day,
            _ => return wrong("opens", format!("{day} is no whole day from 1 to {LAST_DAY}")),
        }
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"case":"a","customer":"c","group":"g","failed_on":"2026-03-01",
        "category":"insufficient_funds","past":[["2026-02-01",true]],"opens":[1,5]}"#;

    fn field_of(from: &str, to: &str) -> &'static str {
        let line = GOOD.replace(from, to);
        assert_ne!(line, GOOD);
        case_of(line.as_bytes()).unwrap_err().field
    }

    #[test]
    fn a_line_is_read() {
        let case = case_of(GOOD.as_bytes()).unwrap();
        assert_eq!(case.opens, [0b10_0010]);
        assert_eq!(case.past.len(), 1);
        let two = GOOD.replace("[1,5]", r#"{"b":[2],"a":[1]}"#);
        assert_eq!(case_of(two.as_bytes()).unwrap().opens, [0b10, 0b100]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(field_of("2026-03-01", "2026-02-30"), "failed_on");
        assert_eq!(field_of("2026-03-01", "9999-12-31"), "failed_on");
        assert_eq!(field_of("insufficient_funds", "poverty"), "category");
        assert_eq!(field_of("2026-02-01", "2026-03-01\",\"x"), "past");
        assert_eq!(field_of("2026-02-01", "2026-03-02"), "past");
        assert_eq!(field_of("[1,5]", "[0]"), "opens");
        assert_eq!(field_of("[1,5]", "[1.5]"), "opens");
        assert_eq!(field_of("[1,5]", "[61]"), "opens");
        assert_eq!(field_of("[1,5]", "{\"a\":7}"), "opens");
        assert_eq!(field_of("\"c\"", "7"), "customer");
        assert_eq!(case_of(b"{").unwrap_err().field, "line");
        assert_eq!(case_of(b"[]").unwrap_err().field, "line");
    }
}
