//! What became of messages: counted by their number in the case, kind, channel and language.
//!
//! Why here: the API and the dashboard show the same numbers.
//!
//! What must stay true: every rate stands beside its denominator; what a machine fetched is never
//! counted as read by a person; a rate has its ceiling beside it.

use std::collections::BTreeMap;

use super::facts::{Facts, Fate, Told};
use super::select::Span;
use crate::core::case::MessageStatus;
use crate::core::view::StatusView;

/// The complaint rate above which mail providers turn mail away, and a warning before it. Google
/// and Yahoo ask for less than 0.1 % and act at 0.3 %.
pub const COMPLAINTS: (f64, f64) = (0.001, 0.003);

/// Messages below which a rate says nothing.
pub const ENOUGH: u64 = 100;

/// What became of some messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By how far they got, in the API's words.
    pub by_status: BTreeMap<&'static str, u64>,
    fates: [u64; Fate::ALL.len()],
}

impl Tally {
    fn add(&mut self, told: &Told) {
        *self.by_status.entry(status(told.status)).or_default() += 1;
        for (count, is) in self.fates.iter_mut().zip(told.fates) {
            *count += u64::from(is);
        }
    }

    /// How many were accepted by a provider.
    pub fn sent(&self) -> u64 {
        self.by_status.get(status(MessageStatus::Sent)).copied().unwrap_or_default()
    }

    /// Of how many this was reported.
    pub fn count(&self, fate: Fate) -> u64 {
        self.fates[fate as usize]
    }

    /// Of which share of the sent ones.
    pub fn share(&self, fate: Fate) -> Option<f64> {
        let sent = self.sent();
        (sent > 0).then(|| self.count(fate) as f64 / sent as f64)
    }

    /// What an operator should hear of the complaints.
    pub fn warning(&self, channel: &str) -> Option<String> {
        let complained = self.count(Fate::Complained);
        let rate = complained as f64 / self.sent().max(1) as f64;
        let (aim, ceiling) = COMPLAINTS;
        if self.sent() < ENOUGH || rate < aim {
            return None;
        }
        let told = format!("{complained} of {} messages by {channel}", self.sent());
        Some(match rate < ceiling {
            true => {
                format!("{told} were reported as unwanted: mail providers want less than 0.1 %")
            }
            false => format!(
                "{told} were reported as unwanted: mail providers turn mail away at 0.3 %; \
                 `recoup channels` says whether it is stopped"
            ),
        })
    }
}

/// The status of a message, as the API names it.
pub fn status(status: MessageStatus) -> &'static str {
    StatusView::from(status).as_str()
}

/// All messages, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageReport {
    /// All together.
    pub total: Tally,
    /// By the step of the campaign.
    pub by_step: BTreeMap<String, Tally>,
    /// By their number in the case, from 1.
    pub by_number: BTreeMap<usize, Tally>,
    /// By what they say.
    pub by_kind: BTreeMap<String, Tally>,
    /// By channel.
    pub by_channel: BTreeMap<String, Tally>,
    /// By language.
    pub by_locale: BTreeMap<String, Tally>,
}

impl MessageReport {
    /// Of the messages that these cases sent, or decided to, in this time.
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a Facts>, span: Span) -> Self {
        let mut report = Self::default();
        for case in cases {
            let numbered = (1..).zip(&case.messages);
            for (number, told) in numbered.filter(|(_, told)| span.holds(told.at)) {
                let step = told.step.map_or_else(|| "none".to_owned(), |step| step.to_string());
                report.by_step.entry(step).or_default().add(told);
                report.total.add(told);
                report.by_number.entry(number).or_default().add(told);
                report.by_kind.entry(told.kind.as_str().to_owned()).or_default().add(told);
                report.by_channel.entry(told.channel.as_str().to_owned()).or_default().add(told);
                let locale = told.locale.as_deref().unwrap_or("unknown").to_owned();
                report.by_locale.entry(locale).or_default().add(told);
            }
        }
        report
    }

    /// What an operator should hear.
    pub fn warnings(&self) -> Vec<String> {
        let told = self.by_channel.iter().filter_map(|(channel, tally)| tally.warning(channel));
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_warned_of_where_mail_providers_act() {
        let of = |sent, complained| {
            let mut tally = Tally::default();
            tally.by_status.insert("sent", sent);
            tally.fates[Fate::Complained as usize] = complained;
            tally.warning("email")
        };
        assert_eq!(of(99, 5), None, "too few to tell");
        assert_eq!(of(1_001, 1), None);
        assert!(of(1_000, 1).is_some_and(|text| text.contains("0.1 %")));
        assert!(of(1_000, 3).is_some_and(|text| text.contains("0.3 %")));
    }
}
