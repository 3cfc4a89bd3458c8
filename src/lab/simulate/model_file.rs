//! The file of the issuer model: its numbers, each with its source, read and checked.
//!
//! Why here: the built-in numbers are mostly assumed. Whoever knows better about their own banks
//! writes them into a file of the same form (`recoup simulate --print-model` gives the shipped
//! one).
//!
//! What must stay true: a file that is taken has every number that the model asks for, each one
//! finite and within its bounds; what is wrong is named with file, line and field.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use toml::Spanned;

use crate::core::decline::Category;
use crate::lab::bad_file::BadFile;

/// The shipped file.
pub const SHIPPED: &str = include_str!("../data/issuer_model.toml");

/// One number of the model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// In the file's own model.
    pub value: f64,
    /// How much a draw moves it.
    pub spread: f64,
    /// Where it is from.
    pub source: String,
}

/// When some people are paid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// How many of them, against the other calendars of the country.
    pub share: f64,
    /// Days of the month; 31 is the last one.
    #[serde(default)]
    pub dates: Vec<i8>,
    /// Or: so many days apart.
    pub every: Option<i32>,
    /// Where it is from.
    pub source: String,
}

/// The file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its numbers.
    pub parameters: BTreeMap<String, Parameter>,
    /// What each cause looks like: categories with their weights.
    pub codes: BTreeMap<String, BTreeMap<Category, f64>>,
    /// Paydays by country.
    pub calendars: BTreeMap<String, Vec<Calendar>>,
}

#[expect(clippy::expect_used, reason = "a file of the program itself; a test parses it")]
static FILE: LazyLock<Arc<File>> = LazyLock::new(|| {
    let read =
        parse("issuer_model.toml", SHIPPED).expect("the shipped issuer model is well-formed");
    Arc::new(read)
});

/// The shipped model.
pub fn shipped() -> Arc<File> {
    FILE.clone()
}

/// A model of one's own.
///
/// # Errors
/// The file cannot be read, or is no model.
pub fn read(path: &Path) -> Result<Arc<File>, BadFile> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| BadFile::Io { file: file.clone(), source })?;
    parse(&file, &text).map(Arc::new)
}

/// The file as it is written, with the places of what may be wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    parameters: BTreeMap<String, Spanned<Parameter>>,
    codes: BTreeMap<String, Spanned<BTreeMap<Category, f64>>>,
    calendars: BTreeMap<String, Spanned<Vec<Spanned<Calendar>>>>,
}

/// The names of the numbers that the model asks for.
const NAMES: [&str; 24] = [
    "cause_funds",
    "cause_risk",
    "cause_permanent",
    "cause_technical",
    "cause_gateway",
    "payday_success",
    "drain_per_day",
    "top_up_per_day",
    "never_funded",
    "risk_clears_per_day",
    "fixable",
    "fix_per_day",
    "fix_is_told",
    "technical_clears_per_day",
    "base_logit",
    "recent_attempt_logit",
    "earlier_attempt_logit",
    "gateway_offset_logit",
    "bad_bank",
    "outage_good",
    "outage_bad",
    "code_changes",
    "advised",
    "advice_wrong",
];
/// The causes that have codes.
const CAUSES: [&str; 5] = ["funds", "risk", "permanent", "technical", "gateway"];
/// No logit of anybody's bank is further from nothing.
const LARGEST_LOGIT: f64 = 20.0;

fn parse(file: &str, text: &str) -> Result<File, BadFile> {
    let bad = |at: Option<usize>, field: &str, why: String| BadFile::Line {
        file: file.to_owned(),
        line: text[..at.unwrap_or(0).min(text.len())].lines().count().max(1),
        field: field.to_owned(),
        why,
    };
    let written: Written = toml::from_str(text).map_err(|error| {
        // Up to and with the character at which it stumbled.
        let at = error.span().map(|span| span.start + 1);
        bad(at, "", error.message().to_owned())
    })?;
    let check = Check { bad: &bad };
    check.parameters(&written.parameters)?;
    check.codes(&written.codes)?;
    check.calendars(&written.calendars)?;
    let calendars = written.calendars.into_iter().map(|(country, calendars)| {
        (country, calendars.into_inner().into_iter().map(Spanned::into_inner).collect())
    });
    let parameters = written.parameters.into_iter().map(|(name, p)| (name, p.into_inner()));
    let codes = written.codes.into_iter().map(|(cause, codes)| (cause, codes.into_inner()));
    Ok(File {
        parameters: parameters.collect(),
        codes: codes.collect(),
        calendars: calendars.collect(),
    })
}

struct Check<'a> {
    bad: &'a dyn Fn(Option<usize>, &str, String) -> BadFile,
}

impl Check<'_> {
    fn fail(&self, at: usize, field: String, why: impl Into<String>) -> BadFile {
        // The line in which it begins has at least its first character.
        (self.bad)(Some(at + 1), &field, why.into())
    }

    fn parameters(&self, all: &BTreeMap<String, Spanned<Parameter>>) -> Result<(), BadFile> {
        for name in NAMES {
            if !all.contains_key(name) {
                let why = "it is missing; `--print-model` shows a whole file".to_owned();
                return Err((self.bad)(None, &format!("parameters.{name}"), why));
            }
        }
        for (name, parameter) in all {
            let at = parameter.span().start;
            let Parameter { value, spread, .. } = parameter.get_ref();
            let field = |last: &str| format!("parameters.{name}{last}");
            if !NAMES.contains(&name.as_str()) {
                return Err(self.fail(at, field(""), "the model asks for no such number"));
            }
            let logit = name.ends_with("_logit");
            if !value.is_finite() {
                return Err(self.fail(at, field(".value"), "it must be a number"));
            }
            if logit && value.abs() > LARGEST_LOGIT {
                return Err(self.fail(at, field(".value"), "it must be within -20 and 20"));
            }
            if !logit && !(0.0..=1.0).contains(value) {
                return Err(self.fail(at, field(".value"), "it must be within 0 and 1"));
            }
            if !(0.0..=LARGEST_LOGIT).contains(spread) {
                return Err(self.fail(at, field(".spread"), "it must be within 0 and 20"));
            }
        }
        Ok(())
    }

    fn codes(
        &self,
        all: &BTreeMap<String, Spanned<BTreeMap<Category, f64>>>,
    ) -> Result<(), BadFile> {
        for cause in CAUSES {
            if !all.contains_key(cause) {
                return Err((self.bad)(None, &format!("codes.{cause}"), "it is missing".into()));
            }
        }
        for (cause, codes) in all {
            let fail = |why: &str| self.fail(codes.span().start, format!("codes.{cause}"), why);
            if !CAUSES.contains(&cause.as_str()) {
                return Err(fail("the model has no such cause"));
            }
            let weights = codes.get_ref().values();
            if !are_weights(weights.copied()) {
                return Err(fail("weights must be 0 or more, and one above 0"));
            }
        }
        Ok(())
    }

    fn calendars(
        &self,
        all: &BTreeMap<String, Spanned<Vec<Spanned<Calendar>>>>,
    ) -> Result<(), BadFile> {
        for (country, calendars) in all {
            let shares = calendars.get_ref().iter().map(|calendar| calendar.get_ref().share);
            if !are_weights(shares) {
                let field = format!("calendars.{country}.share");
                let why = "shares must be 0 or more, and one above 0";
                return Err(self.fail(calendars.span().start, field, why));
            }
            for calendar in calendars.get_ref() {
                let at = calendar.span().start;
                let field = |last: &str| format!("calendars.{country}.{last}");
                let Calendar { dates, every, .. } = calendar.get_ref();
                if dates.is_empty() == every.is_none() {
                    return Err(self.fail(at, field("dates"), "give either `dates` or `every`"));
                }
                if !dates.iter().all(|date| (1..=31).contains(date)) {
                    return Err(self.fail(at, field("dates"), "days of a month are 1 to 31"));
                }
                if every.is_some_and(|every| !(1..=366).contains(&every)) {
                    return Err(self.fail(at, field("every"), "it must be 1 to 366 days"));
                }
            }
        }
        Ok(())
    }
}

fn are_weights(weights: impl Iterator<Item = f64> + Clone) -> bool {
    let sum: f64 = weights.clone().sum();
    sum.is_finite() && sum > 0.0 && weights.into_iter().all(|weight| weight >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_source() {
        let file = shipped();
        assert!(file.parameters.values().all(|parameter| !parameter.source.is_empty()));
        assert!(file.calendars.values().flatten().all(|calendar| !calendar.source.is_empty()));
    }

    fn said(from: &str, to: &str) -> String {
        assert!(SHIPPED.contains(from), "{from}");
        parse("my.toml", &SHIPPED.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_model_is_named_with_line_and_field() {
        let line = |text: &str| {
            let at = SHIPPED.find(text).unwrap();
            SHIPPED[..at].lines().count() + 1
        };
        let (funds, gateway) = (line("[parameters.cause_funds]"), line("funds = {"));
        for (from, to, why) in [
            (
                "value = 0.44",
                "value = 1.44",
                format!("line {funds}, field `parameters.cause_funds"),
            ),
            ("value = 0.44", "value = nan", "it must be a number".into()),
            ("value = 0.44", "value = \"x\"", format!("line {}, ", funds + 1)),
            ("spread = 0.15", "spread = -1.0", "parameters.cause_funds.spread".into()),
            ("[parameters.cause_funds]", "[parameters.cause_fun]", "cause_funds`: it is".into()),
            ("insufficient_funds = 0.45", "insufficient_funds = -1.0", format!("line {gateway}, ")),
            ("insufficient_funds = 0.45", "no_such = 0.45", format!("line {gateway}, ")),
            ("dates = [15, 31]", "dates = [15, 32]", "calendars.CO.dates".into()),
            ("dates = [15, 31]", "", "either `dates` or `every`".into()),
            ("share = 0.75", "share = -0.75", "calendars.CO.share".into()),
        ] {
            let found = said(from, to);
            assert!(
                found.starts_with("understand my.toml, line ") && found.contains(&why),
                "{found}"
            );
        }
    }
}
