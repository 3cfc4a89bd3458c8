//! The report on messages over a store: for the API and for the dashboard.
//!
//! Why here: both show the same numbers, as of the recovery report.
//!
//! What must stay true: every share has its denominator beside it; what a machine fetched is never
//! counted as read by a person; a message counts once, though a report came twice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::AppState;
use super::report::Span;
use super::view::status;
use crate::core::case::{Case, Message, MessageStatus};
use crate::store::{CaseFilter, StoreError};

/// The complaint rate above which mail providers turn mail away, and a warning before it. Google
/// and Yahoo ask for less than 0.1 % and act at 0.3 %.
const COMPLAINTS: (f64, f64) = (0.001, 0.003);

/// Messages below which a rate says nothing.
const ENOUGH: u64 = 100;

/// By what messages are told apart.
const GROUPS: [&str; 5] = ["by_step", "by_number", "by_kind", "by_channel", "by_locale"];

/// Which of them is by channel.
const BY_CHANNEL: usize = 3;

/// What became of some messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    by_status: BTreeMap<&'static str, u64>,
    pub(super) delivered: u64,
    pub(super) opened: u64,
    pub(super) prefetched: u64,
    pub(super) clicked: u64,
    pub(super) acted: u64,
    pub(super) undelivered: u64,
    pub(super) complained: u64,
    pub(super) unsubscribed: u64,
}

impl Tally {
    fn add(&mut self, message: &Message) {
        let track = &message.track;
        *self.by_status.entry(status(message.status)).or_default() += 1;
        for (count, at) in [
            (&mut self.delivered, track.delivered_at),
            (&mut self.opened, track.opened_at),
            (&mut self.clicked, track.clicked_at),
            (&mut self.acted, track.acted_at),
            (&mut self.undelivered, track.undelivered_at),
            (&mut self.complained, track.complained_at),
            (&mut self.unsubscribed, track.unsubscribed_at),
        ] {
            *count += u64::from(at.is_some());
        }
        let machine_only = track.prefetched_at.is_some() && track.opened_at.is_none();
        self.prefetched += u64::from(machine_only);
    }

    /// Messages that a provider took.
    pub(super) fn sent(&self) -> u64 {
        self.by_status.get(status(MessageStatus::Sent)).copied().unwrap_or_default()
    }

    /// A part of those that were sent; none where none were.
    pub(super) fn share(&self, part: u64) -> Option<f64> {
        let sent = self.sent();
        (sent > 0).then(|| part as f64 / sent as f64)
    }

    fn json(&self) -> Value {
        json!({
            "sent": self.sent(),
            "by_status": self.by_status,
            "delivered": self.delivered,
            "opened": self.opened,
            "opened_by_machine_only": self.prefetched,
            "clicked": self.clicked,
            "acted": self.acted,
            "undelivered": self.undelivered,
            "complained": self.complained,
            "unsubscribed": self.unsubscribed,
            "delivered_share": self.share(self.delivered),
            "opened_share": self.share(self.opened),
            "clicked_share": self.share(self.clicked),
            "acted_share": self.share(self.acted),
            "bounce_rate": self.share(self.undelivered),
            "complaint_rate": self.share(self.complained),
            "unsubscribe_rate": self.share(self.unsubscribed),
        })
    }

    /// What an operator should hear of the complaints.
    fn warning(&self, channel: &str) -> Option<String> {
        let rate = self.complained as f64 / self.sent().max(1) as f64;
        let (aim, ceiling) = COMPLAINTS;
        if self.sent() < ENOUGH || rate < aim {
            return None;
        }
        let told = format!("{} of {} messages by {channel}", self.complained, self.sent());
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

/// What became of messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    span: Span,
    /// Of all of them.
    pub(super) total: Tally,
    /// In the order of [`GROUPS`].
    groups: [BTreeMap<String, Tally>; GROUPS.len()],
}

impl Messages {
    /// Reads the cases and counts the messages of this time; of those not sent yet, by when they
    /// were decided.
    pub(super) async fn of(state: &AppState, span: Span) -> Result<Self, StoreError> {
        let mut messages = Self { span, ..Self::default() };
        let each = |case: &Case| {
            case.messages.iter().enumerate().for_each(|(index, one)| messages.add(index, one));
        };
        // A message is never older than its case.
        let filter = CaseFilter { until: span.until, ..CaseFilter::default() };
        state.each_case(&filter, usize::MAX, each).await?;
        Ok(messages)
    }

    fn add(&mut self, index: usize, message: &Message) {
        let too_early = self.span.since.is_some_and(|since| message.at < since);
        let too_late = self.span.until.is_some_and(|until| message.at >= until);
        if too_early || too_late {
            return;
        }
        self.total.add(message);
        let keys = [
            message.step.map_or_else(|| "none".to_owned(), |step| step.to_string()),
            (index + 1).to_string(),
            message.kind.as_str().to_owned(),
            message.channel.as_str().to_owned(),
            message.locale.clone().unwrap_or_else(|| "unknown".to_owned()),
        ];
        for (tallies, key) in self.groups.iter_mut().zip(keys) {
            tallies.entry(key).or_default().add(message);
        }
    }

    /// Each group by its name, with its rows.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&'static str, &BTreeMap<String, Tally>)> {
        GROUPS.into_iter().zip(&self.groups)
    }

    /// What an operator should hear.
    pub(super) fn warnings(&self) -> Vec<String> {
        let channels = self.groups[BY_CHANNEL].iter();
        channels.filter_map(|(channel, tally)| tally.warning(channel)).collect()
    }

    /// As the API answers it.
    pub(super) fn json(&self) -> Value {
        let mut report = json!({
            "since": self.span.since,
            "until": self.span.until,
            "total": self.total.json(),
            "warnings": self.warnings(),
        });
        for (name, tallies) in self.groups() {
            let rows = tallies.iter().map(|(key, tally)| (key.clone(), tally.json()));
            report[name] = Value::Object(rows.collect());
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_warned_of_where_mail_providers_act() {
        let of = |sent, complained| {
            let by_status = BTreeMap::from([("sent", sent)]);
            Tally { by_status, complained, ..Tally::default() }.warning("email")
        };
        assert_eq!(of(99, 5), None, "too few to tell");
        assert_eq!(of(1_001, 1), None);
        assert!(of(1_000, 1).is_some_and(|text| text.contains("0.1 %")));
        assert!(of(1_000, 3).is_some_and(|text| text.contains("0.3 %")));
    }
}
