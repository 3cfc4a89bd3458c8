//! `GET /messages` and `GET /reports/messages`: what went out, and what became of it.
//!
//! What must stay true: every share has its denominator beside it; what a machine fetched is never
//! counted as read by a person.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::input::Query;
use crate::core::case::{Case, Message, MessageStatus};
use crate::core::ids::{CaseId, MessageId};
use crate::http::view::{message_json, status};
use crate::http::{AppState, Problem};
use crate::store::{CaseFilter, MessageRecord};

/// Messages that one call looks through at most; a rare filter is continued from the last row.
const LOOKED_AT: usize = 5_000;

const FILTERS: &[&str] =
    &["case", "customer", "channel", "kind", "locale", "status", "limit", "starting_after"];

/// The complaint rate above which mail providers turn mail away, and a warning before it. Google
/// and Yahoo ask for less than 0.1 % and act at 0.3 %.
const COMPLAINTS: (f64, f64) = (0.001, 0.003);

/// Messages below which a rate says nothing.
const ENOUGH: u64 = 100;

/// `GET /messages`: newest first.
pub(super) async fn list(
    State(state): State<AppState>,
    query: RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::read(query, FILTERS)?;
    let mut cases = HashMap::new();
    if let Some(case) = query.get("case") {
        let records = state.store.messages_of(&CaseId::from(case)).await?;
        let mut data = Vec::new();
        for record in &records {
            data.extend(shown(&state, &mut cases, &query, record).await?);
        }
        return Ok(Json(json!({ "data": data, "has_more": false })));
    }
    let limit = query.limit()?;
    let mut after = query.get("starting_after").map(MessageId::from);
    let (mut data, mut looked_at) = (Vec::new(), 0);
    loop {
        let page = state.store.list_messages(after.as_ref(), limit).await?;
        for (index, record) in page.data.iter().enumerate() {
            looked_at += 1;
            data.extend(shown(&state, &mut cases, &query, record).await?);
            if data.len() == limit {
                let has_more = page.has_more || index + 1 < page.data.len();
                return Ok(Json(json!({ "data": data, "has_more": has_more })));
            }
        }
        after = page.data.last().map(|record| record.id.clone());
        if !page.has_more || looked_at >= LOOKED_AT || after.is_none() {
            return Ok(Json(json!({ "data": data, "has_more": page.has_more })));
        }
    }
}

/// A message, if the filters let it pass.
async fn shown(
    state: &AppState,
    cases: &mut HashMap<CaseId, Option<Case>>,
    query: &Query,
    record: &MessageRecord,
) -> Result<Option<Value>, Problem> {
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let passes = is("channel", record.channel.as_str())
        && is("kind", record.kind.as_str())
        && is("locale", &record.locale);
    if !passes {
        return Ok(None);
    }
    if !cases.contains_key(&record.case) {
        cases.insert(record.case.clone(), state.store.case(&record.case).await?);
    }
    let case = cases.get(&record.case).and_then(Option::as_ref);
    let customer = case.and_then(|case| case.customer.as_deref()).unwrap_or_default();
    let json = message_json(record, case);
    let status = json.get("status").and_then(Value::as_str).unwrap_or_default();
    let passes = is("customer", customer) && is("status", status);
    Ok(passes.then_some(json))
}

/// What became of some messages.
#[derive(Clone, Default)]
struct Tally {
    by_status: BTreeMap<&'static str, u64>,
    delivered: u64,
    opened: u64,
    prefetched: u64,
    clicked: u64,
    acted: u64,
    undelivered: u64,
    complained: u64,
    unsubscribed: u64,
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

    fn sent(&self) -> u64 {
        self.by_status.get(status(MessageStatus::Sent)).copied().unwrap_or_default()
    }

    fn json(&self) -> Value {
        let share = |part: u64| {
            let sent = self.sent();
            (sent > 0).then(|| part as f64 / sent as f64)
        };
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
            "acted_share": share(self.acted),
            "complaint_rate": share(self.complained),
            "unsubscribe_rate": share(self.unsubscribed),
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
                "{told} were reported as unwanted: mail providers turn mail away at 0.3 %; take \
                 `{channel}` out of reminders.channels until you know why"
            ),
        })
    }
}

/// `GET /reports/messages`: by number in the case, kind, channel and locale.
pub(super) async fn report(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let mut total = Tally::default();
    let mut by: [BTreeMap<String, Tally>; 4] = Default::default();
    let each = |case: &Case| {
        for (index, message) in case.messages.iter().enumerate() {
            total.add(message);
            let locale = message.locale.clone().unwrap_or_else(|| "unknown".to_owned());
            let keys = [
                (index + 1).to_string(),
                message.kind.as_str().to_owned(),
                message.channel.as_str().to_owned(),
                locale,
            ];
            for (tallies, key) in by.iter_mut().zip(keys) {
                tallies.entry(key).or_default().add(message);
            }
        }
    };
    state.each_case(&CaseFilter::default(), usize::MAX, each).await?;
    let warnings: Vec<_> =
        by[2].iter().filter_map(|(channel, tally)| tally.warning(channel)).collect();
    let [by_number, by_kind, by_channel, by_locale] = by.map(|tallies| {
        let json = tallies.iter().map(|(key, tally)| (key.clone(), tally.json()));
        Value::Object(json.collect())
    });
    Ok(Json(json!({
        "total": total.json(),
        "by_number": by_number,
        "by_kind": by_kind,
        "by_channel": by_channel,
        "by_locale": by_locale,
        "warnings": warnings,
    })))
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
