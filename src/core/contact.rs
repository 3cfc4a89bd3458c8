//! The contact policy: the first moment at which a customer may be written to.
//!
//! Why here: who writes at night, or twice a day, loses the customer. Law says the same in many
//! places.
//!
//! What must stay true: no message is decided for a moment outside the policy (design I6). A
//! moment that never comes is said, not guessed.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::consent::Contacted;
use super::policy::ContactPolicy;

/// How far ahead an allowed moment is looked for.
const HORIZON_DAYS: i64 = 14;

/// The first allowed moment at or after `from`, and why it is not `from` itself.
/// `None` when there is none in two weeks.
pub fn next_allowed(
    policy: &ContactPolicy,
    zone: &TimeZone,
    contacted_at: &[Contacted],
    from: Timestamp,
) -> Option<(Timestamp, Option<String>)> {
    let gap = SignedDuration::from_hours(i64::from(policy.gap_hours));
    let after_gap = contacted_at.iter().map(|c| c.at).max().map(|last| last + gap);
    let start = after_gap.filter(|t| *t > from).unwrap_or(from);
    let mut why = (start > from).then(|| format!("{} h after the last message", policy.gap_hours));
    for day in 0..=HORIZON_DAYS {
        let date = start.to_zoned(zone.clone()).date().checked_add(day.days()).ok()?;
        let sent =
            contacted_at.iter().filter(|c| c.at.to_zoned(zone.clone()).date() == date).count();
        if sent >= policy.per_day as usize {
            why = Some(format!("at most {} a day", policy.per_day));
            continue;
        }
        let Some((opens, closes)) = policy.hours[weekday_index(date.weekday())] else {
            why = Some("not on this weekday".to_owned());
            continue;
        };
        let moment = |hour: u8| {
            // 24 is the end of the day: the next one's first moment.
            let (hour, date) = if hour >= 24 { (0, date.tomorrow().ok()?) } else { (hour, date) };
            let time = Time::new(hour as i8, 0, 0, 0).ok()?;
            date.to_datetime(time).to_zoned(zone.clone()).ok().map(|z| z.timestamp())
        };
        let (opens_at, closes_at) = (moment(opens)?, moment(closes)?);
        if start < opens_at {
            let hours = format!("between {opens}:00 and {closes}:00 of the customer's day");
            return Some((opens_at, Some(why.unwrap_or(hours))));
        }
        if start < closes_at {
            return Some((start, why));
        }
        why = Some(format!("between {opens}:00 and {closes}:00 of the customer's day"));
    }
    None
}

/// Whether a message may go at this very moment: the hours, and the cap of the day.
pub fn is_open(
    policy: &ContactPolicy,
    zone: &TimeZone,
    contacted_at: &[Contacted],
    now: Timestamp,
) -> bool {
    let local = now.to_zoned(zone.clone());
    let (date, hour) = (local.date(), local.hour());
    let sent = contacted_at.iter().filter(|c| c.at.to_zoned(zone.clone()).date() == date).count();
    let hours = policy.hours[weekday_index(date.weekday())];
    let open = hours.is_some_and(|(opens, closes)| opens as i8 <= hour && hour < closes as i8);
    open && sent < policy.per_day as usize
}

fn weekday_index(weekday: Weekday) -> usize {
    weekday.to_monday_zero_offset() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> ContactPolicy {
        ContactPolicy {
            name: "default".into(),
            hours: [Some((8, 20)); 7],
            per_day: 1,
            gap_hours: 12,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn allowed(policy: &ContactPolicy, sent: &[&str], from: &str) -> Option<String> {
        let zone = TimeZone::get("America/Bogota").unwrap();
        let sent: Vec<_> = sent.iter().map(|t| Contacted { at: at(t), channel: None }).collect();
        next_allowed(policy, &zone, &sent, at(from)).map(|(t, _)| t.to_string())
    }

    #[test]
    fn hours_are_the_customers() {
        let cases = [
            ("2026-11-21T15:00:00Z", "2026-11-21T15:00:00Z"), // 10:00 in Bogotá
            ("2026-11-21T08:00:00Z", "2026-11-21T13:00:00Z"), // 03:00 → 08:00
            ("2026-11-22T01:00:00Z", "2026-11-22T13:00:00Z"), // 20:00 is too late
            ("2026-11-22T00:59:59Z", "2026-11-22T00:59:59Z"),
        ];
        for (from, want) in cases {
            assert_eq!(allowed(&policy(), &[], from).as_deref(), Some(want), "{from}");
        }
    }

    #[test]
    fn one_a_day_means_the_customers_day() {
        let sent = ["2026-11-21T13:00:00Z"];
        let next = allowed(&policy(), &sent, "2026-11-21T22:00:00Z");
        assert_eq!(next.as_deref(), Some("2026-11-22T13:00:00Z"));
    }

    #[test]
    fn a_policy_without_hours_never_allows() {
        let closed = ContactPolicy { hours: [None; 7], ..policy() };
        assert_eq!(allowed(&closed, &[], "2026-11-21T15:00:00Z"), None);
        let until_midnight = ContactPolicy { hours: [Some((8, 24)); 7], ..policy() };
        let late = "2026-11-22T04:30:00Z";
        assert_eq!(allowed(&until_midnight, &[], late).as_deref(), Some(late));
    }
}
