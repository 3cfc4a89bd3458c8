//! Countries: their time zones and public holidays, read from `data/countries.toml`.
//!
//! Why here: holidays are rules that a person can check, not code; they are computed, so no table
//! of years runs out.
//!
//! What must stay true: every rule of the shipped table can be read (a test holds it, and compares
//! years of every country with known dates).

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use serde::Deserialize;

/// What is known of a country; its source and date are for people.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    zones: Vec<String>,
    #[serde(default)]
    holidays: Vec<String>,
}

/// A country with its rules read.
struct Country {
    zones: Vec<String>,
    holidays: Vec<Rule>,
}

/// On which day of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Easter(i32),
    Fixed(i8, i8),
    Nth(i8, Weekday, i8),
}

/// One holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    base: Base,
    next_monday: bool,
    saturday: Option<i32>,
    sunday: Option<i32>,
    since: i16,
    until: i16,
    except: i16,
    also: bool,
}

static COUNTRIES: LazyLock<HashMap<String, Country>> = LazyLock::new(|| {
    let entries: HashMap<String, Entry> =
        toml::from_str(include_str!("../data/countries.toml")).unwrap_or_default();
    let read = |(code, entry): (String, Entry)| {
        let holidays = entry.holidays.iter().filter_map(|rule| Rule::read(rule)).collect();
        (code, Country { zones: entry.zones, holidays })
    };
    entries.into_iter().map(read).collect()
});

/// The zones of a country; none where it is not known.
pub(super) fn zones(country: &str) -> &'static [String] {
    COUNTRIES.get(country).map_or(&[], |country| &country.zones)
}

/// Whether holidays of this country are known.
pub fn has_holidays(country: &str) -> bool {
    COUNTRIES.get(country).is_some_and(|country| !country.holidays.is_empty())
}

/// Whether `date` is a public holiday in `country`; never where its holidays are not known.
pub fn is_holiday(country: &str, date: Date) -> bool {
    COUNTRIES
        .get(country)
        .is_some_and(|country| country.holidays.iter().any(|rule| rule.falls_on(date)))
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let first = words.next()?;
        let base = if let Some(offset) = first.strip_prefix("easter") {
            Base::Easter(offset.parse().ok()?)
        } else if first == "nth" {
            let month = words.next()?.parse().ok()?;
            Base::Nth(month, weekday(words.next()?)?, words.next()?.parse().ok()?)
        } else {
            let (month, day) = first.split_once('-')?;
            Base::Fixed(month.parse().ok()?, day.parse().ok()?)
        };
        let mut rule = Self {
            base,
            next_monday: false,
            saturday: None,
            sunday: None,
            since: i16::MIN,
            until: i16::MAX,
            except: 0,
            also: false,
        };
        while let Some(word) = words.next() {
            match word {
                "monday" => rule.next_monday = true,
                "also" => rule.also = true,
                "since" => rule.since = words.next()?.parse().ok()?,
                "until" => rule.until = words.next()?.parse().ok()?,
                "not" => rule.except = words.next()?.parse().ok()?,
                _ if word.starts_with("sat") => rule.saturday = Some(word[3..].parse().ok()?),
                _ if word.starts_with("sun") => rule.sunday = Some(word[3..].parse().ok()?),
                _ => return None,
            }
        }
        Some(rule)
    }

    /// Whether it falls on `date`; the free day for a 1 January may lie in the year before.
    fn falls_on(&self, date: Date) -> bool {
        let years = [date.year(), date.year().saturating_add(1)];
        years.into_iter().any(|year| {
            let Some(day) = self.in_year(year) else { return false };
            day == date || self.instead_of(day) == Some(date)
        })
    }

    fn in_year(&self, year: i16) -> Option<Date> {
        if year < self.since || year > self.until || year == self.except {
            return None;
        }
        let day = match self.base {
            Base::Fixed(month, day) => Date::new(year, month, day).ok()?,
            Base::Easter(offset) => easter(year)?.checked_add(offset.days()).ok()?,
            Base::Nth(month, weekday, nth) => {
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()?
            }
        };
        let off = (7 - i32::from(day.weekday().to_monday_zero_offset())) % 7;
        if self.next_monday { day.checked_add(off.days()).ok() } else { Some(day) }
    }

    /// The day that is free as well, because the holiday itself falls on a weekend.
    fn instead_of(&self, day: Date) -> Option<Date> {
        let off = match day.weekday() {
            Weekday::Saturday => self.saturday?,
            Weekday::Sunday => self.sunday?,
            _ => return None,
        };
        day.checked_add(off.days()).ok()
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

/// Easter Sunday by the Gregorian computus (Meeus, Jones and Butcher).
fn easter(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    Date::new(year, (n / 31) as i8, (n % 31 + 1) as i8).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TABLE: &str = include_str!("../data/countries.toml");
    /// Country, year and the national holidays of it, as the states' own calendars give them.
    const KNOWN: &str = include_str!("../../../fixtures/holidays.txt");

    #[test]
    fn the_shipped_table_can_be_read_to_the_last_word() {
        let entries: HashMap<String, Entry> = toml::from_str(TABLE).unwrap();
        let raw: toml::Table = TABLE.parse().unwrap();
        for (code, entry) in &entries {
            assert!(!entry.zones.is_empty(), "{code} has no zone");
            for zone in &entry.zones {
                assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{code}: no zone {zone}");
            }
            for rule in &entry.holidays {
                assert!(Rule::read(rule).is_some(), "{code}: `{rule}` cannot be read");
            }
            let text = |key: &str| raw[code].get(key).and_then(toml::Value::as_str).unwrap_or("");
            let sourced = !text("source").is_empty() && text("checked").parse::<Date>().is_ok();
            assert!(entry.holidays.is_empty() || sourced, "{code} names no source and date");
        }
        for wanted in ["CO", "BR", "US", "ES", "FR", "IT", "PT", "MX", "GB", "DE"] {
            assert!(has_holidays(wanted), "{wanted}");
        }
    }

    #[test]
    fn over_years_the_rules_give_the_known_dates_and_no_others() {
        let mut compared = 0;
        for line in KNOWN.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (country, year) = (words.next().unwrap(), words.next().unwrap());
            let known: BTreeSet<Date> =
                words.map(|day| format!("{year}-{day}").parse().unwrap()).collect();
            let rules = &COUNTRIES[country].holidays;
            let national: Vec<_> = rules.iter().filter(|rule| !rule.also).collect();
            let first = Date::new(year.parse().unwrap(), 1, 1).unwrap();
            let days = first.series(1.day()).take_while(|day| day.year() == first.year());
            // A Sunday is left out: some regions of Spain move its holiday, and no preset opens it.
            let days = days.filter(|day| day.weekday() != Weekday::Sunday);
            let ours: BTreeSet<Date> =
                days.filter(|day| national.iter().any(|rule| rule.falls_on(*day))).collect();
            assert_eq!(ours, known, "{country} {year}: left by the rules, right as known");
            compared += known.len();
        }
        assert!(compared > 1_000, "{compared}");
    }

    #[test]
    fn easter_is_where_it_was() {
        for date in ["1818-03-22", "2000-04-23", "2024-03-31", "2025-04-20", "2038-04-25"] {
            let date: Date = date.parse().unwrap();
            assert_eq!(easter(date.year()), Some(date));
        }
    }
}
