//! News: what a step means to the merchant's own systems.
//!
//! Why here: the events that leave follow from two states of a case, before and after a step, and
//! from nothing else; so they are as reproducible as the step.
//!
//! What must stay true: a step that changed nothing that is told has no news; a case ends once.

use serde::{Deserialize, Serialize};

use super::{AttemptOutcome, Case, Message, MessageStatus, State};
use crate::core::money::Money;

/// What happened to a case, as the merchant's systems are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum News {
    /// A failed payment became known.
    #[serde(rename = "case.opened")]
    CaseOpened,
    /// The next attempt has a time.
    #[serde(rename = "attempt.scheduled")]
    AttemptScheduled,
    /// An attempt of ours was refused, or could not be made.
    #[serde(rename = "attempt.failed")]
    AttemptFailed,
    /// A provider took a message.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// A message was not taken, or did not arrive.
    #[serde(rename = "message.failed")]
    MessageFailed,
    /// The customer followed a link: a provider says so, or they used the page.
    #[serde(rename = "link.opened")]
    LinkOpened,
    /// The card was changed.
    #[serde(rename = "card.updated")]
    CardUpdated,
    /// What the banner in the merchant's own front end says may be another thing now.
    #[serde(rename = "banner.changed")]
    BannerChanged,
    /// Paid.
    #[serde(rename = "case.recovered")]
    CaseRecovered,
    /// Nothing helped.
    #[serde(rename = "case.exhausted")]
    CaseExhausted,
    /// Cancelled, voided, refunded, disputed, excluded, or stopped by a person.
    #[serde(rename = "case.stopped")]
    CaseStopped,
}

impl News {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::CaseOpened,
        Self::AttemptScheduled,
        Self::AttemptFailed,
        Self::MessageSent,
        Self::MessageFailed,
        Self::LinkOpened,
        Self::CardUpdated,
        Self::BannerChanged,
        Self::CaseRecovered,
        Self::CaseExhausted,
        Self::CaseStopped,
    ];

    /// The name, as events carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CaseOpened => "case.opened",
            Self::AttemptScheduled => "attempt.scheduled",
            Self::AttemptFailed => "attempt.failed",
            Self::MessageSent => "message.sent",
            Self::MessageFailed => "message.failed",
            Self::LinkOpened => "link.opened",
            Self::CardUpdated => "card.updated",
            Self::BannerChanged => "banner.changed",
            Self::CaseRecovered => "case.recovered",
            Self::CaseExhausted => "case.exhausted",
            Self::CaseStopped => "case.stopped",
        }
    }
}

/// What a step that led from `before` (none: it opened the case) to `after` tells, in the order in
/// which it is told.
pub fn news(before: Option<&Case>, after: &Case) -> Vec<News> {
    let mut news = Vec::new();
    if before.is_none() {
        news.push(News::CaseOpened);
    }
    news.extend(after.attempts.iter().filter(|a| failed(a.outcome)).filter_map(|attempt| {
        let known = before.and_then(|b| {
            b.attempts.iter().find(|known| known.charge.attempt == attempt.charge.attempt)
        });
        (!known.is_some_and(|known| failed(known.outcome))).then_some(News::AttemptFailed)
    }));
    for message in &after.messages {
        let known = before.and_then(|b| b.messages.iter().find(|known| known.id == message.id));
        let became = |is: fn(&Message) -> bool| is(message) && !known.is_some_and(is);
        if became(|m| m.status == MessageStatus::Sent) {
            news.push(News::MessageSent);
        }
        let lost =
            |m: &Message| m.status == MessageStatus::Failed || m.track.undelivered_at.is_some();
        if became(lost) {
            news.push(News::MessageFailed);
        }
    }
    if before.is_some_and(|before| opened_link(before, after)) {
        news.push(News::LinkOpened);
    }
    if after.card_updated && !before.is_some_and(|before| before.card_updated) {
        news.push(News::CardUpdated);
    }
    if before.and_then(banner) != banner(after) {
        news.push(News::BannerChanged);
    }
    news.extend(next(before, after));
    news
}

fn failed(outcome: AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Declined | AttemptOutcome::Error)
}

fn opened_link(before: &Case, after: &Case) -> bool {
    let signs = |case: &Case| {
        let tracks = case.messages.iter().map(|message| &message.track);
        tracks.map(|t| usize::from(t.clicked_at.or(t.acted_at).is_some())).sum::<usize>()
    };
    signs(after) > signs(before)
        || after.page_used && !before.page_used
        || after.page != before.page
}

/// What a case brings into its customer's banner: an amount, once they have been asked for it, and
/// whether a person holds the case. The day on which access ends stands in the banner beforehand.
fn banner(case: &Case) -> Option<(Money, bool)> {
    let open = was_asked(case) && !case.state.is_ended();
    open.then_some((case.amount, case.state == State::Paused))
}

/// Whether the customer may know of the failure: they were written to, or are about to be.
pub fn was_asked(case: &Case) -> bool {
    let written = !case.messages.is_empty() || !case.along.is_empty();
    written || case.state == State::AwaitingCustomer
}

/// Where the case goes from here: to an end, or to an attempt at another time than was known.
fn next(before: Option<&Case>, after: &Case) -> Option<News> {
    let was = before.map(|before| before.state);
    match after.state {
        State::Recovered if was != Some(after.state) => Some(News::CaseRecovered),
        State::Exhausted if was != Some(after.state) => Some(News::CaseExhausted),
        State::Stopped if was != Some(after.state) => Some(News::CaseStopped),
        State::Scheduled => {
            let planned = |case: &Case| {
                let planned = case.state == State::Scheduled && case.next.what == "attempt";
                case.next.at.filter(|_| planned)
            };
            let at = planned(after)?;
            (before.and_then(planned) != Some(at)).then_some(News::AttemptScheduled)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::core::case::{Next, tests_case};

    fn planned(at: Timestamp) -> Case {
        let mut case = tests_case();
        case.state = State::Scheduled;
        case.next = Next { at: Some(at), what: "attempt".into(), why: "payday".into() };
        case
    }

    #[test]
    fn a_case_that_opens_tells_so_and_when_it_is_tried() {
        let case = planned(Timestamp::UNIX_EPOCH);
        assert_eq!(news(None, &case), [News::CaseOpened, News::AttemptScheduled]);
        assert_eq!(news(Some(&case), &case), []);
    }

    #[test]
    fn another_time_is_news_and_the_same_one_is_not() {
        let first = planned(Timestamp::UNIX_EPOCH);
        let later = planned(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1));
        assert_eq!(news(Some(&first), &later), [News::AttemptScheduled]);
        let mut paused = first.clone();
        paused.state = State::Paused;
        assert_eq!(news(Some(&first), &paused), []);
        assert_eq!(news(Some(&paused), &first), [News::AttemptScheduled], "it goes on");
    }

    #[test]
    fn an_end_is_told_once() {
        let open = planned(Timestamp::UNIX_EPOCH);
        for (state, told) in [
            (State::Recovered, News::CaseRecovered),
            (State::Exhausted, News::CaseExhausted),
            (State::Stopped, News::CaseStopped),
        ] {
            let ended = Case { state, ..open.clone() };
            assert_eq!(news(Some(&open), &ended), [told]);
            assert_eq!(news(Some(&ended), &ended), []);
        }
    }

    #[test]
    fn the_page_and_the_card_are_told() {
        let open = planned(Timestamp::UNIX_EPOCH);
        let used = Case { page_used: true, ..open.clone() };
        assert_eq!(news(Some(&open), &used), [News::LinkOpened]);
        let updated = Case { card_updated: true, ..used.clone() };
        assert_eq!(news(Some(&used), &updated), [News::CardUpdated]);
    }

    #[test]
    fn the_banner_changes_when_the_customer_is_asked_and_when_it_is_over() {
        let silent = planned(Timestamp::UNIX_EPOCH);
        let asked = Case { state: State::AwaitingCustomer, ..silent.clone() };
        assert_eq!(news(Some(&silent), &asked), [News::BannerChanged]);
        let less = Case { amount: Money::new(900, asked.amount.currency), ..asked.clone() };
        assert_eq!(news(Some(&asked), &less), [News::BannerChanged]);
        assert_eq!(
            news(Some(&asked), &Case { page_used: true, ..asked.clone() }),
            [News::LinkOpened]
        );
        let paid = Case { state: State::Recovered, ..asked.clone() };
        assert_eq!(news(Some(&asked), &paid), [News::BannerChanged, News::CaseRecovered]);
        let quiet = Case { state: State::Recovered, ..silent.clone() };
        assert_eq!(news(Some(&silent), &quiet), [News::CaseRecovered], "there was none");
    }

    #[test]
    fn names_are_those_that_are_serialized() {
        for kind in News::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
