//! What a page of the dashboard is asked for: its query, read once.
//!
//! Why here: a figure's link and the list behind it speak the same words, so both are made and read
//! in one place.
//!
//! What must stay true: a word that cannot be read is told, never passed over: a list that filters
//! less than it says is a wrong list.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as NoSuchWord, StrDeserializer};

use super::Trouble;
use crate::core::ids::GatewayId;
use crate::core::report::WINDOWS;
use crate::core::report::select::{Selection, Span, Standing, Within};

/// Every word that a query may have.
const WORDS: [&str; 22] = [
    "arm",
    "back",
    "back_since",
    "back_until",
    "by",
    "channel",
    "currency",
    "decline",
    "done",
    "format",
    "gateway",
    "of",
    "page",
    "period",
    "q",
    "sample",
    "seen",
    "since",
    "state",
    "step",
    "until",
    "via",
];

/// A word of its own: it filters by a report's window.
const WINDOW: &str = "window";

/// A query, word by word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Trouble> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

/// Times that people ask for, in the merchant's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    ThisMonth,
    LastMonth,
    ThirtyDays,
    ThisYear,
    Ever,
}

impl Period {
    /// Every one, with its word and its name.
    pub(super) const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::ThisMonth, "month", "This month"),
        (Self::LastMonth, "last", "Last month"),
        (Self::ThirtyDays, "30d", "Last 30 days"),
        (Self::ThisYear, "year", "This year"),
        (Self::Ever, "all", "All time"),
    ];

    /// The first day, and the first that is too late.
    pub(super) fn days(self, today: Date) -> (Option<Date>, Option<Date>) {
        let month = today.first_of_month();
        let start = match self {
            Self::ThisMonth => month,
            Self::LastMonth => {
                return (month.checked_sub(1.month()).ok(), Some(month));
            }
            Self::ThirtyDays => today.saturating_sub(29.days()),
            Self::ThisYear => today.first_of_year(),
            Self::Ever => return (None, None),
        };
        (Some(start), None)
    }
}

impl Asked {
    /// Reads a query.
    pub(super) fn read(query: &str) -> Result<Self, Trouble> {
        let mut words = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim().chars().take(200).collect::<String>();
            if !WORDS.contains(&name.as_ref()) && name != WINDOW {
                return Err(Trouble::Asked(format!("There is no filter called “{name}”.")));
            }
            if !value.is_empty() {
                words.insert(name.into_owned(), value);
            }
        }
        Ok(Self(words))
    }

    /// The value of a word.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The same, with another value of one word; an empty one takes it out.
    pub(super) fn with(&self, name: &str, value: impl ToString) -> Self {
        let mut words = self.0.clone();
        let value = value.to_string();
        match value.as_str() {
            "" => words.remove(name),
            _ => words.insert(name.to_owned(), value),
        };
        Self(words)
    }

    /// Only what was made up, or only what is real.
    pub(super) fn is_sample(&self) -> bool {
        self.text("sample").is_some()
    }

    /// Whether anything is filtered.
    pub(super) fn filters(&self) -> bool {
        let plain = ["page", "sample", "done", "seen", "format"];
        self.0.keys().any(|name| !plain.contains(&name.as_str()))
    }

    /// The words one by one, for the hidden fields of a form.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The address of a page with this query.
    pub(super) fn href(&self, path: &str) -> String {
        let pairs = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.0.iter())
            .finish();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{pairs}") }
    }

    /// The page of a list, from 1.
    pub(super) fn page(&self) -> Result<usize, Trouble> {
        let page = self.parsed::<usize>("page")?.unwrap_or(1);
        if page == 0 { Err(wrong("page", "0")) } else { Ok(page) }
    }

    /// The period; this month where nothing is said.
    pub(super) fn period(&self) -> Result<Period, Trouble> {
        let Some(word) = self.text("period") else { return Ok(Period::ThisMonth) };
        let known = Period::ALL.into_iter().find(|(_, name, _)| *name == word);
        known.map(|(period, ..)| period).ok_or_else(|| wrong("period", word))
    }

    /// Which cases are asked for.
    pub(super) fn selection(&self, zone: &TimeZone, now: Timestamp) -> Result<Selection, Trouble> {
        let step = |text: &str| text.parse().ok();
        let channel = |text: &str| match text {
            "none" => Some(None),
            text => word(text).map(Some),
        };
        Ok(Selection {
            opened: self.span("since", "until", zone)?,
            back: self.back(zone)?,
            standing: self.read_as("state", Standing::read)?,
            currency: self.parsed("currency")?,
            category: self.read_as("decline", word)?,
            by: self.read_as("by", word)?,
            via: self.text("via").map(GatewayId::from),
            gateway: self.text("gateway").map(GatewayId::from),
            step: self.read_as("step", step)?,
            channel: self.read_as("channel", channel)?,
            arm: self.read_as("arm", word)?,
            within: self.within(now)?,
        })
    }

    fn back(&self, zone: &TimeZone) -> Result<Option<Span>, Trouble> {
        let asked = self.0.keys().any(|name| name.starts_with("back_"));
        Ok(asked.then_some(self.span("back_since", "back_until", zone)?))
    }

    fn within(&self, now: Timestamp) -> Result<Option<Within>, Trouble> {
        let days = |text: &str| text.parse().ok().filter(|days| WINDOWS.contains(days));
        let back = self.text("back").is_some();
        let days = self.read_as(WINDOW, days)?;
        Ok(days.map(|days| Within { days, now, back }))
    }

    fn span(&self, since: &str, until: &str, zone: &TimeZone) -> Result<Span, Trouble> {
        let at = |name: &str| {
            let moment = |text: &str| {
                let midnight = |date: Date| date.to_zoned(zone.clone()).ok();
                text.parse().ok().and_then(midnight).map(|at: Zoned| at.timestamp())
            };
            self.read_as(name, moment)
        };
        Ok(Span { since: at(since)?, until: at(until)? })
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Trouble> {
        self.read_as(name, |text| text.parse().ok())
    }

    fn read_as<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Trouble> {
        let read = |text| read(text).ok_or_else(|| wrong(name, text));
        self.text(name).map(read).transpose()
    }
}

/// A value by the word that stands for it in the API.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    T::deserialize(StrDeserializer::<NoSuchWord>::new(text)).ok()
}

fn wrong(name: &str, value: &str) -> Trouble {
    Trouble::Asked(format!("“{value}” is no {name} that can be asked for."))
}
