//! The retry schedule: on which day, and at which hour of the customer's day, an attempt is made.
//!
//! Why here: few attempts, evenly spaced over the window, are a strong baseline; in replayed bank
//! balances window and spacing explain most of what comes back. A learned plan of days
//! (`learning::timing`) is an argument; without one the smart schedule is the even one. Technical
//! failures are off the schedule: they are retried soon.
//!
//! What must stay true: a delay that the network stated is kept to the second; never two customers
//! of a merchant at the same moment because of the schedule alone; a plan moves days, it adds none.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::ids::pick;
use super::policy::Schedule;

/// Attempts are made between this hour of the customer's day …
const FIRST_HOUR: i8 = 9;
/// … and this many seconds later: a bank's approvals are looked at by people who are awake.
const HOURS_SPREAD_S: u64 = 3 * 3600;

/// What a schedule is laid out over.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// From when the days count.
    pub from: Timestamp,
    /// Days in which attempts are made.
    pub window_days: u32,
    /// Attempts on the schedule at most.
    pub max_attempts: u32,
    /// Attempts on the schedule that were made.
    pub made: u32,
    /// Not before: the network's delay, the category's, the gap to the last attempt.
    pub earliest: Timestamp,
    /// The customer's time zone.
    pub zone: &'a TimeZone,
    /// What spreads the customers over the hours: the case's id.
    pub salt: &'a str,
    /// The days of the attempts that are left, as learned evidence puts them; only the smart
    /// schedule follows it.
    pub plan: Option<&'a [u32]>,
}

/// The next slot, and which of how many it is; `None` when the schedule has no slot left.
pub fn next_slot(schedule: &Schedule, frame: &Frame<'_>) -> Option<Slot> {
    let made = frame.made as usize;
    let slots = slots(schedule, frame.plan, frame.window_days, frame.max_attempts);
    // A plan holds only what is left; other schedules hold what was made, too.
    let (of, passed) = match slots.kind {
        Laid::Ahead => (made + slots.seconds.len(), made),
        Laid::Whole => (slots.seconds.len(), 0),
    };
    let skip = made - passed;
    // Attempts left are laid on the last slots that are still ahead.
    slots.seconds.into_iter().enumerate().skip(skip).find_map(|(index, seconds)| {
        let index = index + passed;
        let day = frame.from + SignedDuration::from_secs(seconds);
        let at = in_the_morning(day, frame, index);
        let at =
            if at < frame.earliest && frame.earliest <= day + SLACK { frame.earliest } else { at };
        (at >= frame.earliest).then_some(Slot { at, number: index + 1, of })
    })
}

/// A slot that was missed by no more than this is made up for; one missed by more is skipped.
const SLACK: SignedDuration = SignedDuration::from_hours(36);

/// One place on the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// When.
    pub at: Timestamp,
    /// Which, from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

/// Whether a layout holds all attempts, or those that are left.
enum Laid {
    Ahead,
    Whole,
}

/// Offsets of slots from the start, in seconds.
struct Slots {
    kind: Laid,
    seconds: Vec<i64>,
}

const DAY: i64 = 86_400;

fn slots(schedule: &Schedule, plan: Option<&[u32]>, window: u32, attempts: u32) -> Slots {
    let whole_days = |days: &[u32]| days.iter().map(|day| i64::from(*day) * DAY).collect();
    let (kind, seconds) = match (schedule, plan) {
        (Schedule::Smart, Some(days)) => {
            // What is beyond the window or the number of attempts is no plan of this schedule.
            let within = days.iter().filter(|day| **day <= window).take(attempts as usize);
            (Laid::Ahead, whole_days(&within.copied().collect::<Vec<_>>()))
        }
        (Schedule::Days(days), _) => (Laid::Whole, whole_days(days)),
        (Schedule::Even | Schedule::Smart, _) => {
            let (window, count) = (i64::from(window), i64::from(attempts));
            (Laid::Whole, (1..=count).map(|slot| window * DAY * slot / count).collect())
        }
    };
    Slots { kind, seconds }
}

/// The slots in whole days after the failure, for worlds that know no hours; to the nearest day.
pub fn days(schedule: &Schedule, plan: Option<&[u32]>, window: u32, attempts: u32) -> Vec<u32> {
    let slots = slots(schedule, plan, window, attempts);
    let nearest = |seconds: i64| u32::try_from((seconds + DAY / 2) / DAY).unwrap_or(u32::MAX);
    slots.seconds.into_iter().map(nearest).collect()
}

/// The same local day, in the morning hours, spread over the customers.
fn in_the_morning(day: Timestamp, frame: &Frame<'_>, index: usize) -> Timestamp {
    let local = day.to_zoned(frame.zone.clone());
    let spread = pick(HOURS_SPREAD_S, &["hour", frame.salt, &index.to_string()]);
    let morning = local
        .with()
        .time(Time::constant(FIRST_HOUR, 0, 0, 0))
        .build()
        .and_then(|zoned| zoned.checked_add((spread as i64).seconds()));
    morning.map_or(day, |zoned| zoned.timestamp())
}

/// A moment of this day, in the morning hours of the zone, spread over the cases.
pub fn morning_of(day: Date, zone: &TimeZone, salt: &str) -> Timestamp {
    let spread = pick(HOURS_SPREAD_S, &["hour", salt, "day"]);
    let first = day.at(FIRST_HOUR, 0, 0, 0).to_zoned(zone.clone());
    let moment = first.and_then(|zoned| zoned.checked_add((spread as i64).seconds()));
    moment.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// So long after a moment; at the end of the calendar where it leads out of it.
pub fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// When a technical failure is retried: `delay` and up to a tenth more.
pub fn soon(now: Timestamp, delay_s: u64, salt: &str, number: u32) -> Timestamp {
    let spread = pick(delay_s / 10 + 1, &["soon", salt, &number.to_string()]);
    after(now, SignedDuration::from_secs((delay_s + spread) as i64))
}

/// A moment of a case's own between ten minutes and an hour from now.
pub fn within_the_hour(now: Timestamp, salt: &str, number: u32) -> Timestamp {
    let seconds = 600 + pick(3_000, &["hour", salt, &number.to_string()]);
    after(now, SignedDuration::from_secs(seconds as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: f64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + (days * 86_400.0) as i64).unwrap()
    }

    fn frame(zone: &TimeZone, made: u32, earliest: Timestamp) -> Frame<'_> {
        Frame {
            from: at(0.0),
            window_days: 28,
            max_attempts: 4,
            made,
            earliest,
            zone,
            salt: "case_1",
            plan: None,
        }
    }

    #[test]
    fn four_attempts_are_a_week_apart() {
        let zone = TimeZone::get("America/Bogota").unwrap();
        let mut days = Vec::new();
        for made in 0..4 {
            let slot = next_slot(&Schedule::Even, &frame(&zone, made, at(0.0))).unwrap();
            let local = slot.at.to_zoned(zone.clone());
            assert!((9..12).contains(&local.hour()), "{local}");
            days.push((slot.at.as_second() - at(0.0).as_second()) as f64 / 86_400.0);
        }
        for (made, day) in days.iter().enumerate() {
            assert!((day - 7.0 * (made + 1) as f64).abs() < 1.0, "{days:?}");
        }
        assert_eq!(next_slot(&Schedule::Even, &frame(&zone, 4, at(0.0))), None);
    }

    #[test]
    fn a_stated_delay_is_kept_and_passed_slots_are_skipped() {
        let zone = TimeZone::UTC;
        let slot = next_slot(&Schedule::Even, &frame(&zone, 0, at(10.0))).unwrap();
        assert_eq!(slot.number, 2);
        assert!(slot.at >= at(10.0));
        let slot = next_slot(&Schedule::Even, &frame(&zone, 3, at(28.5))).unwrap();
        assert_eq!(slot.at, at(28.5), "the last one is made up for");
        assert_eq!(next_slot(&Schedule::Even, &frame(&zone, 0, at(40.0))), None);
    }

    #[test]
    fn customers_are_spread() {
        let zone = TimeZone::UTC;
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..50 {
            let salt = format!("case_{n}");
            let frame = Frame { salt: &salt, ..frame(&zone, 0, at(0.0)) };
            seen.insert(next_slot(&Schedule::Even, &frame).unwrap().at);
        }
        assert!(seen.len() > 45, "{}", seen.len());
    }

    #[test]
    fn a_plan_moves_the_days_of_the_smart_schedule_alone() {
        let zone = TimeZone::UTC;
        let plan = [9, 12, 26];
        let planned = Frame { plan: Some(&plan), ..frame(&zone, 1, at(1.0)) };
        let slot = next_slot(&Schedule::Smart, &planned).unwrap();
        assert_eq!((slot.number, slot.of), (2, 4));
        let day = (slot.at.as_second() - at(0.0).as_second()) as f64 / 86_400.0;
        assert!((day - 9.0).abs() < 1.0, "{day}");
        let late = Frame { earliest: at(10.0), ..planned };
        assert_eq!(next_slot(&Schedule::Smart, &late).unwrap().at, at(10.0), "it is made up for");
        let unplanned = frame(&zone, 1, at(1.0));
        assert_eq!(next_slot(&Schedule::Even, &planned), next_slot(&Schedule::Even, &unplanned));
        assert_eq!(next_slot(&Schedule::Smart, &unplanned), next_slot(&Schedule::Even, &unplanned));
    }

    #[test]
    fn a_plan_adds_no_attempt_and_leaves_no_window() {
        assert_eq!(days(&Schedule::Smart, Some(&[3, 9, 40]), 28, 2), [3, 9]);
        assert_eq!(days(&Schedule::Smart, None, 28, 3), [9, 19, 28]);
        assert_eq!(days(&Schedule::Days(vec![3, 8]), Some(&[9]), 28, 4), [3, 8]);
    }
}
