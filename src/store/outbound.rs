//! Outbound events: what is kept of each, of its way to each endpoint, and of the endpoints.
//!
//! Why here: the worker writes and sends them, the API shows them and asks for them again; both
//! speak of the same records.
//!
//! What must stay true: an event's bytes are written once, and every try sends the same; a delivery
//! is in the store from the transaction on that decided what it tells.

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{SideRecord, SideTable, Store, StoreError};
use crate::core::case::news::News;
use crate::core::ids::{CaseId, digest};
use crate::core::schema::{Described, Schemas, object, one_of};

/// How long a delivery is tried.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// How long deliveries are kept.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Tries that are kept of one delivery, the newest.
const TRIES_KEPT: usize = 20;

/// An endpoint of the merchant, from the merchant file.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Derived from its address.
    pub id: String,
    /// Where to.
    pub url: String,
    /// Signs.
    pub secret: SecretString,
    /// What it wants to hear of; empty: everything.
    pub events: Vec<News>,
    /// It may be in a private network.
    pub private_network: bool,
}

impl Endpoint {
    /// The id of the endpoint at this address.
    pub fn id_of(url: &str) -> String {
        format!("whe_{}", &digest(&["endpoint", url])[..12])
    }

    /// Whether it wants to hear of this.
    pub fn wants(&self, news: News) -> bool {
        self.events.is_empty() || self.events.contains(&news)
    }
}

/// What is known of an endpoint beside what the merchant file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// Since when nothing is sent there: it answered 410.
    pub ended_at: Option<Timestamp>,
    /// Why, in words.
    pub why: Option<String>,
}

/// An event, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The body, byte for byte.
    pub body: String,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The endpoint took it.
    Delivered,
    /// The endpoint has ended, by a 410.
    Ended,
    /// Tried for three days in vain.
    GaveUp,
    /// On its way.
    Pending,
}

one_of! {
    "DeliveryState" DeliveryState { Pending, Delivered, GaveUp, Ended }
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::GaveUp, Self::Ended];

    /// The name as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Ended => "ended",
            Self::GaveUp => "gave_up",
            Self::Pending => "pending",
        }
    }
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// When.
    pub at: Timestamp,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The beginning of the answer, or why there was none.
    pub answer: String,
}

impl Described for Try {
    fn schema(all: &mut Schemas) -> serde_json::Value {
        all.named("WebhookTry", |all| {
            let fields = vec![
                ("at", "When.", Timestamp::schema(all)),
                ("status", "The HTTP status.", Option::<u16>::schema(all)),
                ("answer", "The beginning of the answer, or why none came.", String::schema(all)),
            ];
            object("One try to deliver.", fields)
        })
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The event: its `webhook-id`.
    pub event: String,
    /// What it tells.
    pub kind: String,
    /// Where to.
    pub endpoint: String,
    /// The case that it is about.
    pub case: Option<CaseId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// The newest tries, oldest first.
    pub tries: Vec<Try>,
    /// How often it was tried since it was last asked for.
    pub tried: u32,
    /// The last try is then.
    pub give_up_at: Timestamp,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// The idempotency key under which it was last asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

impl Delivery {
    /// A delivery that was not tried yet.
    pub fn new(event: &str, kind: &str, to: &Endpoint, at: Timestamp) -> Self {
        Self {
            event: event.to_owned(),
            kind: kind.to_owned(),
            endpoint: to.id.clone(),
            case: None,
            state: DeliveryState::Pending,
            tries: Vec::new(),
            tried: 0,
            give_up_at: at + GIVE_UP_AFTER,
            failing_since: None,
            asked: None,
        }
    }

    /// The deliveries of one case to one endpoint go in order.
    pub fn queue(&self) -> Option<String> {
        self.case.as_ref().map(|case| format!("{}/{case}", self.endpoint))
    }

    /// Its record, new; the key keeps the order of the events.
    pub fn record(&self, at: Timestamp) -> SideRecord {
        let order = self.event.strip_prefix("evt_").unwrap_or(&self.event);
        let to = self.endpoint.strip_prefix("whe_").unwrap_or(&self.endpoint);
        let record = SideRecord::new(SideTable::Delivery, format!("whd_{order}_{to}"), at);
        self.on(record, Some(at))
    }

    /// The next revision of its record, to be looked at again at `due`.
    pub fn next(&self, record: &SideRecord, due: Option<Timestamp>) -> SideRecord {
        self.on(record.next(), due)
    }

    fn on(&self, record: SideRecord, due: Option<Timestamp>) -> SideRecord {
        let queue = self.queue().filter(|_| self.state == DeliveryState::Pending);
        record.with(self).in_lane(&self.endpoint).in_group(queue).due_at(due)
    }

    /// Notes a try.
    pub fn note(&mut self, one: Try) {
        self.tried = self.tried.saturating_add(1);
        self.tries.push(one);
        let old = self.tries.len().saturating_sub(TRIES_KEPT);
        self.tries.drain(..old);
    }

    /// Lets it be tried anew from now on, for as long as a new one.
    pub fn again(&mut self, now: Timestamp) {
        self.state = DeliveryState::Pending;
        self.tried = 0;
        self.failing_since = None;
        self.give_up_at = now + GIVE_UP_AFTER;
    }
}

/// An event and its deliveries to these endpoints.
pub fn event(
    id: &str,
    (kind, body): (&str, String),
    case: Option<&CaseId>,
    to: &[&Endpoint],
    at: Timestamp,
) -> Vec<SideRecord> {
    let mut records = vec![SideRecord::new(SideTable::Event, id, at).with(&Sent { body })];
    records.extend(to.iter().map(|endpoint| {
        let delivery = Delivery { case: case.cloned(), ..Delivery::new(id, kind, endpoint, at) };
        delivery.record(at)
    }));
    records
}

/// The id of an event: the order of the text is the order in which the events of a case came.
pub fn event_id(at: Timestamp, case: &str, revision: u64, number: usize) -> String {
    let (millis, revision) = (at.as_millisecond().max(0), revision & 0xff_ffff);
    let mark = digest(&["event", case, &revision.to_string(), &number.to_string()]);
    format!("evt_{millis:012x}{revision:06x}{number:04x}{}", &mark[..8])
}

/// Whether an endpoint gets nothing any more.
pub async fn has_ended(store: &dyn Store, endpoint: &str) -> Result<bool, StoreError> {
    let record = store.side(SideTable::Endpoint, endpoint).await?;
    let known = record.map(|record| record.read::<EndpointRecord>()).transpose()?;
    Ok(known.is_some_and(|known| known.ended_at.is_some()))
}

/// Reads the delivery of a record.
pub fn delivery_of(record: &SideRecord) -> Result<Delivery, StoreError> {
    record.read()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + s).unwrap()
    }

    #[test]
    fn the_order_of_the_ids_is_the_order_of_the_events() {
        let ids = [
            event_id(at(0), "case_1", 9, 0),
            event_id(at(0), "case_1", 9, 1),
            event_id(at(0), "case_1", 10, 0),
            event_id(at(1), "case_1", 11, 0),
        ];
        assert!(ids.is_sorted(), "{ids:?}");
        assert_ne!(event_id(at(0), "case_1", 9, 0), event_id(at(0), "case_2", 9, 0));
    }

    #[test]
    fn what_is_over_stands_in_no_queue() {
        let endpoint = Endpoint {
            id: Endpoint::id_of("https://app.example/h"),
            url: "https://app.example/h".into(),
            secret: "x".into(),
            events: vec![News::CaseOpened],
            private_network: false,
        };
        assert!(endpoint.wants(News::CaseOpened) && !endpoint.wants(News::CaseStopped));
        let case = CaseId::from("case_1");
        let mut delivery = Delivery {
            case: Some(case),
            ..Delivery::new("evt_1", "case.opened", &endpoint, at(0))
        };
        let record = delivery.record(at(0));
        assert!(record.group.is_some() && record.due == Some(at(0)));
        delivery.state = DeliveryState::Delivered;
        let done = delivery.next(&record, None);
        assert_eq!((done.group, done.due, done.revision), (None, None, 2));
        for n in 0..50 {
            delivery.note(Try { at: at(n), status: Some(500), answer: String::new() });
        }
        assert_eq!((delivery.tries.len(), delivery.tried), (TRIES_KEPT, 50));
    }
}
