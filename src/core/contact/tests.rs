//! The first allowed moment, told by example.

use super::*;
use crate::core::event::Contact;
use crate::core::policy::ChannelCap;

fn policy() -> ContactPolicy {
    ContactPolicy {
        name: "default".into(),
        hours: [Some((8, 20)); 7],
        per_day: 1,
        gap_hours: 12,
        ..ContactPolicy::closed("")
    }
}

/// Ley 2300 de 2023.
fn colombian() -> ContactPolicy {
    let weekday = Some((7, 19));
    ContactPolicy {
        name: "co-ley-2300".into(),
        hours: [weekday, weekday, weekday, weekday, weekday, Some((8, 15)), None],
        per_day: 1,
        channels_per_week: Some(1),
        holidays: HolidayRule::Closed,
        ..ContactPolicy::closed("")
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn bogota() -> Place {
    let zone = TimeZone::get("America/Bogota").unwrap();
    Place { country: Some("CO".into()), ..Place::of_zone(zone) }
}

fn sent(times: &[&str]) -> Vec<Contacted> {
    times
        .iter()
        .map(|t| Contacted {
            at: at(t),
            channel: Some(Channel::Email),
            withheld: false,
            open: false,
        })
        .collect()
}

fn allowed_at(
    policy: &ContactPolicy,
    place: &Place,
    contacted: &[Contacted],
    from: &str,
) -> Option<(String, Option<String>)> {
    let ask = Ask { channel: Channel::Email, place, contacted };
    let (moment, why) = next_allowed(policy, ask, at(from))?;
    assert_eq!(closed(policy, ask, moment), None, "{moment}");
    Some((moment.to_string(), why))
}

fn allowed(policy: &ContactPolicy, times: &[&str], from: &str) -> Option<String> {
    allowed_at(policy, &bogota(), &sent(times), from).map(|(moment, _)| moment)
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
    let next = allowed(&policy(), &["2026-11-21T13:00:00Z"], "2026-11-21T22:00:00Z");
    assert_eq!(next.as_deref(), Some("2026-11-22T13:00:00Z"));
}

#[test]
fn a_policy_without_hours_never_allows() {
    assert_eq!(allowed(&ContactPolicy::closed("none"), &[], "2026-11-21T15:00:00Z"), None);
    let until_midnight = ContactPolicy { hours: [Some((8, 24)); 7], ..policy() };
    let late = "2026-11-22T04:30:00Z";
    assert_eq!(allowed(&until_midnight, &[], late).as_deref(), Some(late));
}

#[test]
fn in_colombia_nobody_is_written_to_on_sundays_holidays_and_evenings() {
    let cases = [
        // Saturday 15:00 in Bogotá is too late; Sunday is closed; Monday opens at 7.
        ("2026-11-21T20:00:00Z", "2026-11-23T12:00:00Z", "between 8:00 and 15:00"),
        // Saturday 14:59 is fine.
        ("2026-11-21T19:59:00Z", "2026-11-21T19:59:00Z", ""),
        // Monday 16 November 2026: Independence of Cartagena, moved.
        ("2026-11-16T15:00:00Z", "2026-11-17T12:00:00Z", "a public holiday in CO"),
        // Maundy Thursday and Good Friday; Saturday opens at 8.
        ("2027-03-25T15:00:00Z", "2027-03-27T13:00:00Z", "a public holiday in CO"),
    ];
    for (from, want, reason) in cases {
        let (moment, why) = allowed_at(&colombian(), &bogota(), &[], from).unwrap();
        assert_eq!(moment, want, "{from}");
        assert!(why.unwrap_or_default().starts_with(reason), "{from}");
    }
}

#[test]
fn a_second_channel_waits_until_its_week_is_over() {
    let by_sms = [Contacted {
        at: at("2026-11-17T15:00:00Z"),
        channel: Some(Channel::Sms),
        withheld: false,
        open: false,
    }];
    let from = "2026-11-19T15:00:00Z";
    let (moment, why) = allowed_at(&colombian(), &bogota(), &by_sms, from).unwrap();
    assert_eq!(moment, "2026-11-24T12:00:00Z", "the Tuesday after");
    assert_eq!(why.as_deref(), Some("at most 1 of the channels a week"));
    // The same channel the next day is fine.
    assert_eq!(allowed(&colombian(), &["2026-11-17T15:00:00Z"], from).as_deref(), Some(from));
}

#[test]
fn caps_of_the_week_count_any_seven_days_also_what_is_about_to_go() {
    let two = ContactPolicy { per_week: Some(2), gap_hours: 0, ..policy() };
    let times = ["2026-11-16T15:00:00Z", "2026-11-19T15:00:00Z"];
    let next = allowed(&two, &times, "2026-11-20T15:00:00Z");
    assert_eq!(next.as_deref(), Some("2026-11-23T13:00:00Z"));
    // A message that is planned for the 25th counts against the 20th as well.
    let times = ["2026-11-19T15:00:00Z", "2026-11-25T15:00:00Z"];
    let next = allowed(&two, &times, "2026-11-20T15:00:00Z");
    assert_eq!(next.as_deref(), Some("2026-11-26T13:00:00Z"));
    let cap = ChannelCap { per_day: None, per_week: Some(1) };
    let one =
        ContactPolicy { per_channel: [(Channel::Email, cap)].into(), gap_hours: 0, ..policy() };
    let next = allowed(&one, &["2026-11-16T15:00:00Z"], "2026-11-20T15:00:00Z");
    assert_eq!(next.as_deref(), Some("2026-11-23T13:00:00Z"));
}

#[test]
fn nights_in_which_clocks_change_have_their_hours() {
    let whole = ContactPolicy { hours: [Some((0, 24)); 7], per_day: 24, ..policy() };
    let early = ContactPolicy { hours: [Some((2, 4)); 7], per_day: 24, ..policy() };
    let place = |name: &str| Place::of_zone(TimeZone::get(name).unwrap());
    // In Santiago the clock goes from 23:59 to 01:00 on 6 September 2026: the day begins at one.
    let gap = allowed_at(&early, &place("America/Santiago"), &[], "2026-09-06T04:30:00Z");
    assert_eq!(gap.unwrap().0, "2026-09-06T05:00:00Z");
    // In New York two o'clock is left out on 8 March 2026: three is within [2, 4).
    let (moment, _) =
        allowed_at(&early, &place("America/New_York"), &[], "2026-03-08T06:00:00Z").unwrap();
    assert_eq!(moment, "2026-03-08T07:00:00Z");
    // And one o'clock comes twice on 1 November: both are open where the whole day is.
    for from in ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"] {
        let found = allowed_at(&whole, &place("America/New_York"), &[], from).unwrap();
        assert_eq!(found, (from.to_owned(), None));
    }
}

#[test]
fn who_may_be_anywhere_in_a_country_is_written_to_when_it_is_day_everywhere() {
    let policy_of = |time_zone: &str, locale: &str| Policy {
        time_zone: time_zone.into(),
        locale: locale.into(),
        ..crate::core::case::tests_policy()
    };
    let mut customer = Customer::new("cus_1");
    let merchant = policy_of("America/Bogota", "es-CO");
    let place = Place::of(&customer, &merchant);
    assert_eq!((place.zones.len(), place.country.as_deref()), (1, Some("CO")));
    customer.contact = Contact { country: Some("US".into()), ..Contact::default() };
    let place = Place::of(&customer, &merchant);
    // 08:00 in New York is 02:00 or 03:00 in Honolulu: it waits for 08:00 there.
    let (moment, _) = allowed_at(&policy(), &place, &[], "2026-11-23T13:00:00Z").unwrap();
    assert_eq!(moment, "2026-11-23T18:00:00Z");
    // Behind 20:00 in New York it waits for the next day, though Honolulu has afternoon.
    let (moment, _) = allowed_at(&policy(), &place, &[], "2026-11-24T01:00:00Z").unwrap();
    assert_eq!(moment, "2026-11-24T18:00:00Z");
    // A zone that cannot be is no zone; a language names a country.
    customer.contact.time_zone = Some("Mars/Olympus".into());
    customer.contact.country = None;
    customer.contact.locale = Some("pt-PT".into());
    let place = Place::of(&customer, &policy_of("no/zone", "en"));
    assert_eq!((place.zones.len(), place.country.as_deref()), (2, Some("PT")));
    customer.contact.locale = Some("pt".into());
    let place = Place::of(&customer, &policy_of("no/zone", "en"));
    assert_eq!((place.zones, place.country), (vec![TimeZone::UTC], None));
}
