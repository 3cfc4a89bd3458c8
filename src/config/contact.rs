//! Contact policies: the shipped ones, each a file with its source and date, and the merchant's own
//! that are laid over one of them.
//!
//! What must stay true: every shipped file can be read (a test holds it); one's own policy takes
//! over from its base whatever it does not name, day by day.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::schema::Config;
use crate::core::customer::Channel;
use crate::core::policy::{ChannelCap, ContactPolicy, HolidayRule};

/// The policy that holds where none is named.
pub(super) const DEFAULT_POLICY: &str = "default";

/// The shipped policies.
const PRESETS: [(&str, &str); 5] = [
    (DEFAULT_POLICY, include_str!("contact/default.toml")),
    ("co-ley-2300", include_str!("contact/co-ley-2300.toml")),
    ("us-tcpa", include_str!("contact/us-tcpa.toml")),
    ("br", include_str!("contact/br.toml")),
    ("eu", include_str!("contact/eu.toml")),
];

/// A shipped policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Where it says so.
    pub source: String,
    /// When that was read last.
    pub checked: String,
    /// What it asks for.
    pub policy: ContactRules,
}

/// One `[contact_policies.NAME]`; what is absent is as in its base.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactRules {
    /// The shipped policy that it is laid over.
    pub base: Option<String>,
    /// Hours of each day on which a message may go.
    #[serde(default)]
    pub hours: Weekdays,
    /// Messages a day at most.
    pub per_day: Option<u32>,
    /// Messages in any seven days at most.
    pub per_week: Option<u32>,
    /// Hours between two messages at least.
    pub gap_hours: Option<u32>,
    /// Different channels in any seven days at most.
    pub channels_per_week: Option<u32>,
    /// Whether a public holiday is a day like any other.
    pub holidays: Option<HolidayRule>,
    /// Channels on which nothing goes out until the customer has said yes.
    pub consent: Option<Vec<Channel>>,
    /// Caps of single channels.
    #[serde(default)]
    pub channels: BTreeMap<Channel, ChannelCap>,
}

/// Hours of the days of a week: `[from, to]`, or `[]` for none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weekdays {
    /// From, to.
    pub monday: Option<Vec<u8>>,
    /// From, to.
    pub tuesday: Option<Vec<u8>>,
    /// From, to.
    pub wednesday: Option<Vec<u8>>,
    /// From, to.
    pub thursday: Option<Vec<u8>>,
    /// From, to.
    pub friday: Option<Vec<u8>>,
    /// From, to.
    pub saturday: Option<Vec<u8>>,
    /// From, to.
    pub sunday: Option<Vec<u8>>,
}

impl Weekdays {
    /// Whether no day is named.
    pub fn is_empty(&self) -> bool {
        self.days().iter().all(|day| day.is_none())
    }

    fn days(&self) -> [Option<&Vec<u8>>; 7] {
        [
            &self.monday,
            &self.tuesday,
            &self.wednesday,
            &self.thursday,
            &self.friday,
            &self.saturday,
            &self.sunday,
        ]
        .map(Option::as_ref)
    }
}

impl ContactRules {
    /// Laid over `base`.
    fn over(&self, base: ContactPolicy, name: &str) -> ContactPolicy {
        let mut hours = base.hours;
        for (day, own) in hours.iter_mut().zip(self.hours.days()) {
            match own.map(Vec::as_slice) {
                Some([from, to]) => *day = Some((*from, *to)),
                Some(_) => *day = None,
                None => {}
            }
        }
        let mut per_channel = base.per_channel;
        per_channel.extend(self.channels.iter().map(|(channel, cap)| (*channel, *cap)));
        ContactPolicy {
            name: name.to_owned(),
            hours,
            per_day: self.per_day.unwrap_or(base.per_day),
            gap_hours: self.gap_hours.unwrap_or(base.gap_hours),
            per_week: self.per_week.or(base.per_week),
            channels_per_week: self.channels_per_week.or(base.channels_per_week),
            per_channel,
            holidays: self.holidays.unwrap_or(base.holidays),
            consent: self.consent.clone().unwrap_or(base.consent),
        }
    }

    /// The policy that these rules make.
    pub fn policy(&self, name: &str) -> ContactPolicy {
        let base = self.base.as_deref().and_then(shipped_policy);
        self.over(base.unwrap_or_else(|| ContactPolicy::closed(name)), name)
    }
}

/// The names of the shipped policies.
pub(super) fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The shipped policy of this name, with its source.
pub fn preset(name: &str) -> Option<Preset> {
    let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
    toml::from_str(text).ok()
}

fn shipped_policy(name: &str) -> Option<ContactPolicy> {
    Some(preset(name)?.policy.policy(name))
}

impl Config {
    /// When a customer may be contacted.
    pub fn contact_policy(&self) -> ContactPolicy {
        let name = &self.reminders.contact_policy;
        let own = self.contact_policies.get(name).map(|own| own.policy(name));
        own.or_else(|| shipped_policy(name)).unwrap_or_else(|| ContactPolicy::closed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_policy_is_whole_and_names_its_source_and_date() {
        for (name, text) in PRESETS {
            let preset: Preset = toml::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(preset.source.len() > 20, "{name}");
            assert!(preset.checked.parse::<jiff::civil::Date>().is_ok(), "{name}");
            let policy = shipped_policy(name).unwrap();
            assert!(policy.hours.iter().flatten().count() >= 5, "{name}");
            assert!(policy.hours.iter().flatten().all(|(from, to)| *from >= 7 && *to <= 20));
            assert_eq!((policy.name.as_str(), policy.per_day), (name, 1));
        }
        let co = shipped_policy("co-ley-2300").unwrap();
        assert_eq!((co.hours[5], co.hours[6]), (Some((8, 15)), None));
        assert_eq!((co.channels_per_week, co.holidays), (Some(1), HolidayRule::Closed));
    }

    #[test]
    fn ones_own_policy_takes_over_what_it_does_not_name() {
        let rules: ContactRules = toml::from_str(
            "base = \"co-ley-2300\"\nper_week = 2\n[hours]\nmonday = [9, 12]\nsaturday = []\n\
             [channels.sms]\nper_week = 1\n",
        )
        .unwrap();
        let own = rules.policy("mine");
        assert_eq!(own.hours[0], Some((9, 12)));
        assert_eq!((own.hours[1], own.hours[5], own.hours[6]), (Some((7, 19)), None, None));
        assert_eq!((own.per_week, own.channels_per_week), (Some(2), Some(1)));
        assert_eq!(own.per_channel[&Channel::Sms].per_week, Some(1));
        assert_eq!((own.name.as_str(), own.holidays), ("mine", HolidayRule::Closed));
    }
}
