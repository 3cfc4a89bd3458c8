//! The contact policy: the first moment at which a customer may be written to.
//!
//! Why here: who writes at night, on a holiday or twice a day loses the customer. Law says the same
//! in many places.
//!
//! What must stay true: no message is decided for a moment outside the policy (design I6), and what
//! is allowed is asked in one way, when a message is planned and right before it leaves. A moment
//! that never comes is said, not guessed. Where it is not known where the customer is, every place
//! where they may be must allow it.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};

use super::consent::Contacted;
use super::customer::{Channel, Customer};
use super::fault::{Mutant, fault};
use super::policy::{ContactPolicy, HolidayRule, Policy};

mod country;

pub use country::{has_holidays, is_holiday};

/// How far ahead an allowed moment is looked for.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 21);

/// Moments that are tried at most: a wall, each is later than the one before.
const TRIES_AT_MOST: u32 = 500;

/// Where the customer is, as far as is known.
#[derive(Debug, Clone)]
pub struct Place {
    /// Every zone that may be theirs; at least one.
    zones: Vec<TimeZone>,
    /// Whose holidays they keep.
    country: Option<String>,
}

impl Place {
    /// A place of one zone.
    pub fn of_zone(zone: TimeZone) -> Self {
        Self { zones: vec![zone], country: None }
    }

    /// Whether two moments are on one day, wherever the customer may be.
    pub fn is_one_day(&self, a: Timestamp, b: Timestamp) -> bool {
        let day = |at: Timestamp, zone: &TimeZone| at.to_zoned(zone.clone()).date();
        self.zones.iter().all(|zone| day(a, zone) == day(b, zone))
    }

    /// The customer's own zone, else those of their country, else the merchant's; the customer's
    /// country, else the one that their language names, else the merchant's.
    pub fn of(customer: &Customer, policy: &Policy) -> Self {
        let contact = &customer.contact;
        let region = |locale: &str| {
            let parts = locale.split(['-', '_']).skip(1);
            parts.map(str::to_ascii_uppercase).find(|part| part.len() == 2)
        };
        let own = contact.country.as_ref().map(|country| country.to_ascii_uppercase());
        let own = own.or_else(|| contact.locale.as_deref().and_then(region));
        let known = |name: &str| TimeZone::get(name).ok();
        let zone = contact.time_zone.as_deref().and_then(known);
        let zones: Vec<_> = match (zone, &own) {
            (Some(zone), _) => vec![zone],
            (None, Some(own)) => country::zones(own).iter().filter_map(|z| known(z)).collect(),
            (None, None) => Vec::new(),
        };
        let merchants = || vec![known(&policy.time_zone).unwrap_or(TimeZone::UTC)];
        Self {
            zones: if zones.is_empty() { merchants() } else { zones },
            country: own.or_else(|| region(&policy.locale)),
        }
    }
}

/// What is to be sent, and what was.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// By which channel.
    pub channel: Channel,
    /// Where the customer is.
    pub place: &'a Place,
    /// The other messages of the customer, over all cases; also those that are about to go.
    pub contacted: &'a [Contacted],
}

/// The first allowed moment at or after `from`, and why it is not `from` itself.
/// `None` when there is none in three weeks.
pub fn next_allowed(
    policy: &ContactPolicy,
    ask: Ask<'_>,
    from: Timestamp,
) -> Option<(Timestamp, Option<String>)> {
    let (mut at, mut first) = (from, None);
    for _ in 0..TRIES_AT_MOST {
        let Some((later, why)) = blocked(policy, ask, at) else { return Some((at, first)) };
        first.get_or_insert(why);
        if later <= at || later.duration_since(from) > HORIZON {
            return None;
        }
        at = later;
    }
    None
}

/// Why a message may not go at this very moment; `None` when it may.
pub fn closed(policy: &ContactPolicy, ask: Ask<'_>, now: Timestamp) -> Option<String> {
    blocked(policy, ask, now).map(|(_, why)| why)
}

/// What stands against `at`, and the next moment that is worth a try.
fn blocked(policy: &ContactPolicy, ask: Ask<'_>, at: Timestamp) -> Option<(Timestamp, String)> {
    if fault(Mutant::MessageAtAnyTime) {
        return None;
    }
    let gap = SignedDuration::from_hours(i64::from(policy.gap_hours));
    let near = |contacted: &&Contacted| at.duration_since(contacted.at).abs() < gap;
    if let Some(near) = ask.contacted.iter().filter(near).max_by_key(|contacted| contacted.at) {
        return Some((near.at + gap, format!("{} h after the last message", policy.gap_hours)));
    }
    ask.place.zones.iter().find_map(|zone| {
        let local = at.to_zoned(zone.clone());
        let closed = || {
            let tomorrow = local.date().tomorrow().ok()?;
            tomorrow.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp())
        };
        if let Some(why) = capped(policy, ask, &local).or_else(|| day_off(policy, ask, &local)) {
            return Some((closed().unwrap_or(at), why));
        }
        let (opens, closes) = policy.hours[weekday_index(local.date().weekday())]?;
        let why = || format!("between {opens}:00 and {closes}:00 of the customer's day");
        let hour = local.hour();
        if hour < opens as i8 {
            let opening = local.date().at(opens as i8, 0, 0, 0).to_zoned(zone.clone()).ok();
            return Some((opening.map_or(at, |moment| moment.timestamp()), why()));
        }
        (hour >= closes as i8).then(|| (closed().unwrap_or(at), why()))
    })
}

/// Whether a cap of the day or the week is reached.
fn capped(policy: &ContactPolicy, ask: Ask<'_>, local: &Zoned) -> Option<String> {
    let (date, zone) = (local.date(), local.time_zone());
    let dated: Vec<(Date, Option<Channel>)> = ask
        .contacted
        .iter()
        .map(|contacted| (contacted.at.to_zoned(zone.clone()).date(), contacted.channel))
        .collect();
    let on_day = |by: Option<Channel>| {
        dated
            .iter()
            .filter(move |(day, channel)| *day == date && by.is_none_or(|by| is(*channel, by)))
    };
    if on_day(None).count() >= policy.per_day as usize {
        return Some(format!("at most {} a day", policy.per_day));
    }
    let weeks = || weeks_around(date);
    let in_week = |by: Option<Channel>, (from, to): (Date, Date)| {
        let within = dated.iter().filter(|(day, _)| (from..=to).contains(day));
        within.filter(|(_, channel)| by.is_none_or(|by| is(*channel, by))).count()
    };
    if let Some(cap) = policy.per_week
        && weeks().any(|week| in_week(None, week) >= cap as usize)
    {
        return Some(format!("at most {cap} a week"));
    }
    let own = policy.per_channel.get(&ask.channel).copied().unwrap_or_default();
    let name = ask.channel.as_str();
    if own.per_day.is_some_and(|cap| on_day(Some(ask.channel)).count() >= cap as usize) {
        return Some(format!("at most {} a day by {name}", own.per_day.unwrap_or_default()));
    }
    if let Some(cap) = own.per_week
        && weeks().any(|week| in_week(Some(ask.channel), week) >= cap as usize)
    {
        return Some(format!("at most {cap} a week by {name}"));
    }
    let others = |(from, to): (Date, Date)| {
        let within = dated.iter().filter(|(day, _)| (from..=to).contains(day));
        let mut channels: Vec<_> = within.filter_map(|(_, channel)| *channel).collect();
        channels.push(ask.channel);
        channels.sort();
        channels.dedup();
        channels.len()
    };
    let cap = policy.channels_per_week?;
    weeks()
        .any(|week| others(week) > cap as usize)
        .then(|| format!("at most {cap} of the channels a week"))
}

/// Messages of before their channel was kept count on each.
fn is(channel: Option<Channel>, by: Channel) -> bool {
    channel.is_none_or(|channel| channel == by)
}

/// Every seven days that hold `date`: a week of the calendar is one of them, wherever it begins.
fn weeks_around(date: Date) -> impl Iterator<Item = (Date, Date)> {
    (0..7).filter_map(move |back: i64| {
        let from = date.checked_sub(back.days()).ok()?;
        Some((from, from.checked_add(6.days()).ok()?))
    })
}

fn day_off(policy: &ContactPolicy, ask: Ask<'_>, local: &Zoned) -> Option<String> {
    let date = local.date();
    if policy.hours[weekday_index(date.weekday())].is_none() {
        return Some("not on this weekday".to_owned());
    }
    let country = ask.place.country.as_deref()?;
    let holiday = policy.holidays == HolidayRule::Closed && is_holiday(country, date);
    holiday.then(|| format!("a public holiday in {country}"))
}

fn weekday_index(weekday: Weekday) -> usize {
    weekday.to_monday_zero_offset() as usize
}

#[cfg(test)]
mod tests;
