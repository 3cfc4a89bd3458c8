//! Outbound: carries events to the merchant's own systems.
//!
//! Why here: the worker's loop turns it beside the effects. What is to be sent stands in the store,
//! written by the transaction that decided it; this takes what is due, sends it, and writes what
//! came of it.
//!
//! What must stay true:
//! - at least once, always under the same `webhook-id`: a delivery is over only by an answer, or
//!   after three days;
//! - endpoints do not wait for one another, and each has a bounded number of calls under way;
//! - of one case, at one endpoint, a later event waits for an earlier one, but not for more than an
//!   hour of failures: an event that an endpoint cannot take holds up no others.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use crate::clock::real_now;
use crate::core::ids::pick;
use crate::gateway::wire::BuildError;
use crate::store::outbound::{
    Delivery, DeliveryState, Endpoint, EndpointRecord, KEPT_FOR, Sent, Try, delivery_of, has_ended,
};
use crate::store::{SideRecord, SideTable, SideWrite, Store, StoreError, kept};

mod send;

use send::{Poster, Reply};

/// Calls under way to one endpoint.
const CALLS: usize = 8;
/// Deliveries of one endpoint that are looked at in one turn.
const LOOK: usize = 64;
/// Another process may take a call over after so long: longer than a call can take.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// Gaps between tries, in seconds; the last goes on.
const GAPS_S: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT_S: i64 = 86_400;
/// After so long of failures a later event of the same case no longer waits.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);
/// How often old deliveries are looked for.
const TIDY_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Old records that are removed at a time.
const TIDY_AT_ONCE: usize = 500;

type Finished = (SideRecord, Delivery, Reply);

/// Carries events to endpoints.
pub struct Outbound {
    store: Arc<dyn Store>,
    endpoints: Arc<[Endpoint]>,
    poster: Arc<Poster>,
    running: JoinSet<Finished>,
    finished: Vec<Finished>,
    /// Keys of the deliveries under way, by endpoint.
    flying: BTreeMap<String, BTreeSet<String>>,
    next: Option<Timestamp>,
    tidied_at: Option<Timestamp>,
}

impl Outbound {
    /// For these endpoints.
    pub fn new(store: Arc<dyn Store>, endpoints: Arc<[Endpoint]>) -> Result<Self, BuildError> {
        let poster = Arc::new(Poster::new()?);
        let (running, finished, flying) = Default::default();
        let (next, tidied_at) = (None, None);
        Ok(Self { store, endpoints, poster, running, finished, flying, next, tidied_at })
    }

    /// Whether no call is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.finished.is_empty()
    }

    /// When the next delivery is due, later than the last turn.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.next
    }

    /// Waits until a call comes back; for ever where none is under way.
    pub(super) async fn joined(&mut self) {
        match self.running.join_next().await {
            Some(one) => self.finished.extend(one.ok()),
            None => std::future::pending().await,
        }
    }

    /// Does what can be done now. `false`: there was nothing.
    pub(super) async fn turn(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let mut busy = self.take_back(now).await?;
        for endpoint in self.endpoints.clone().iter() {
            busy |= self.start(endpoint, now).await?;
        }
        self.tidy(now).await?;
        self.next = None;
        for endpoint in self.endpoints.clone().iter() {
            let ahead =
                self.store.sides_due(SideTable::Delivery, &endpoint.id, Timestamp::MAX, LOOK);
            let times = ahead.await?.into_iter().filter_map(|record| record.due);
            self.next = times.filter(|due| *due > now).chain(self.next).min();
        }
        Ok(busy)
    }

    /// Writes what came of the calls that are back.
    async fn take_back(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        while let Some(one) = self.running.try_join_next() {
            self.finished.extend(one.ok());
        }
        let busy = !self.finished.is_empty();
        while let Some((record, delivery, reply)) = self.finished.last().cloned() {
            let mut writes = Vec::new();
            if reply.status == Some(410) {
                writes.push(self.end(&record, now).await?);
            }
            let (after, due) = judged(delivery, &reply, (&record.key, now));
            count(&after);
            writes.push(after.next(&record, due).into());
            match self.store.write_sides(writes).await {
                // Asked for anew meanwhile: that stands.
                Ok(()) | Err(StoreError::Changed { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Some(flying) = self.flying.get_mut(&record.lane) {
                flying.remove(&record.key);
            }
            self.finished.pop();
        }
        Ok(busy)
    }

    /// An endpoint that said 410 gets nothing more.
    async fn end(&self, record: &SideRecord, now: Timestamp) -> Result<SideWrite, StoreError> {
        tracing::warn!(endpoint = record.lane, "an endpoint answered 410: it gets no more events");
        let known = self.store.side(SideTable::Endpoint, &record.lane).await?;
        let fresh = || SideRecord::new(SideTable::Endpoint, record.lane.clone(), now);
        let ended = EndpointRecord {
            ended_at: Some(now),
            why: Some(format!("it answered 410 to {}", record.key)),
        };
        Ok(known.map_or_else(fresh, |known| known.next()).with(&ended).into())
    }

    /// Sends what is due at one endpoint, as far as it has room.
    async fn start(&mut self, endpoint: &Endpoint, now: Timestamp) -> Result<bool, StoreError> {
        let flying = self.flying.entry(endpoint.id.clone()).or_default().clone();
        let room = CALLS.saturating_sub(flying.len());
        if room == 0 {
            return Ok(false);
        }
        let due = self.store.sides_due(SideTable::Delivery, &endpoint.id, now, LOOK).await?;
        if due.is_empty() {
            return Ok(false);
        }
        if has_ended(&*self.store, &endpoint.id).await? {
            return self.end_all(due).await;
        }
        let mut leaving: Vec<(SideRecord, Delivery)> = Vec::new();
        let mut busy = false;
        for record in due {
            if leaving.len() == room {
                break;
            }
            let delivery = delivery_of(&record)?;
            let ahead = self.ahead_of(&record).await?;
            match ahead {
                _ if flying.contains(&record.key) => {}
                Some(first) if flying.contains(&first.key) => {}
                Some(first) if leaving.iter().any(|(own, _)| own.key == first.key) => {}
                Some(first) if !delivery_of(&first)?.is_hopeless(now) => {
                    let until = first.due.filter(|due| *due > now).unwrap_or(now + LEASE);
                    busy |= self.write(delivery.next(&record, Some(until))).await?;
                }
                _ => leaving.push((record, delivery)),
            }
        }
        for (record, delivery) in leaving {
            busy |= self.send(endpoint, record, delivery, now).await?;
        }
        Ok(busy)
    }

    /// Claims a delivery and sends it. `false`: another process has it.
    async fn send(
        &mut self,
        endpoint: &Endpoint,
        record: SideRecord,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let claimed = delivery.next(&record, Some(now + LEASE));
        if !self.write(claimed.clone()).await? {
            return Ok(false);
        }
        self.flying.entry(endpoint.id.clone()).or_default().insert(claimed.key.clone());
        let event = self.store.side(SideTable::Event, &delivery.event).await?;
        let event = event.map(|event| event.read::<Sent>()).transpose()?;
        let (poster, endpoint) = (self.poster.clone(), endpoint.clone());
        self.running.spawn(async move {
            let Some(event) = event else {
                return (claimed, delivery, Reply::none("its body is no longer kept"));
            };
            let sending = AssertUnwindSafe(poster.post(&endpoint, &delivery.event, event.body));
            let reply = sending.catch_unwind().await;
            let reply = reply.unwrap_or_else(|_| Reply::none("sending it broke down"));
            (claimed, delivery, reply)
        });
        Ok(true)
    }

    /// The earliest delivery that stands before this one in its queue.
    async fn ahead_of(&self, record: &SideRecord) -> Result<Option<SideRecord>, StoreError> {
        let Some(queue) = &record.group else { return Ok(None) };
        let queue = self.store.sides_of(SideTable::Delivery, queue).await?;
        Ok(queue.into_iter().next().filter(|first| first.key != record.key))
    }

    async fn end_all(&self, due: Vec<SideRecord>) -> Result<bool, StoreError> {
        for record in due {
            let ended = Delivery { state: DeliveryState::Ended, ..delivery_of(&record)? };
            count(&ended);
            self.write(ended.next(&record, None)).await?;
        }
        Ok(true)
    }

    /// Writes a record. `false`: somebody else did meanwhile.
    async fn write(&self, record: SideRecord) -> Result<bool, StoreError> {
        match self.store.write_sides(vec![record.into()]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Changed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets what is old.
    async fn tidy(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.tidied_at.is_some_and(|last| now.duration_since(last) < TIDY_EVERY) {
            return Ok(());
        }
        let before = now - KEPT_FOR;
        // Answers are kept by the real clock, whatever a test clock says.
        let answered_before = real_now() - kept::KEPT_FOR;
        for (table, before) in [
            (SideTable::Delivery, before),
            (SideTable::Event, before),
            (SideTable::Kept, answered_before),
        ] {
            let old = self.store.sides_before(table, before, TIDY_AT_ONCE).await?;
            if old.is_empty() {
                continue;
            }
            let gone = old.into_iter().map(|record| SideWrite::Remove(table, record.key));
            self.store.write_sides(gone.collect()).await?;
        }
        self.tidied_at = Some(now);
        Ok(())
    }
}

impl Delivery {
    /// Whether later events of its case wait for it no longer.
    fn is_hopeless(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now.duration_since(since) >= PATIENCE)
    }
}

/// What an answer makes of a delivery, and when it is tried again.
fn judged(
    mut delivery: Delivery,
    reply: &Reply,
    (key, now): (&str, Timestamp),
) -> (Delivery, Option<Timestamp>) {
    delivery.note(Try { at: now, status: reply.status, answer: reply.answer.clone() });
    delivery.state = match reply.status {
        Some(200..=299) => DeliveryState::Delivered,
        Some(410) => DeliveryState::Ended,
        _ if now >= delivery.give_up_at => DeliveryState::GaveUp,
        _ => DeliveryState::Pending,
    };
    if delivery.state != DeliveryState::Pending {
        return (delivery, None);
    }
    delivery.failing_since.get_or_insert(now);
    let again = (now + gap(&delivery, reply, key)).min(delivery.give_up_at);
    (delivery, Some(again))
}

/// The wait before the next try: up to a tenth more than planned, so that not all come at once.
fn gap(delivery: &Delivery, reply: &Reply, key: &str) -> SignedDuration {
    let tried = (delivery.tried as usize).saturating_sub(1);
    let planned = GAPS_S[tried.min(GAPS_S.len() - 1)];
    let asked = reply.retry_after_s.unwrap_or(0).clamp(0, LONGEST_WAIT_S);
    let wait = planned.max(asked);
    let more = pick(wait.unsigned_abs() / 10 + 1, &[key, &tried.to_string()]);
    SignedDuration::from_secs(wait + more.cast_signed())
}

fn count(delivery: &Delivery) {
    let outcome = match delivery.state {
        DeliveryState::Pending => "retried",
        state => state.as_str(),
    };
    metrics::counter!("recoup_webhook_deliveries_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + s).unwrap()
    }

    fn delivery() -> Delivery {
        let endpoint = Endpoint {
            id: "whe_1".into(),
            url: "https://app.example/h".into(),
            secret: "x".into(),
            events: Vec::new(),
            private_network: false,
        };
        Delivery::new("evt_1", "case.opened", &endpoint, at(0))
    }

    fn reply(status: u16) -> Reply {
        Reply { status: Some(status), answer: String::new(), retry_after_s: None }
    }

    #[test]
    fn it_is_tried_for_three_days_with_growing_gaps_and_then_given_up() {
        let (mut delivery, mut now, mut gaps) = (delivery(), at(0), Vec::new());
        loop {
            let (after, due) = judged(delivery, &reply(500), ("whd_1", now));
            delivery = after;
            let Some(due) = due else { break };
            gaps.push(due.duration_since(now).as_secs());
            now = due;
        }
        assert_eq!(delivery.state, DeliveryState::GaveUp);
        assert_eq!(now, at(72 * 3600), "the last try is at the end of three days");
        // The last gap is cut off by the end.
        assert!(gaps[..gaps.len() - 1].is_sorted(), "{gaps:?}");
        assert!((5..=6).contains(&gaps[0]) && gaps.len() >= 9, "{gaps:?}");
    }

    #[test]
    fn only_an_answer_ends_it() {
        for (status, state) in [
            (200, DeliveryState::Delivered),
            (204, DeliveryState::Delivered),
            (301, DeliveryState::Pending),
            (400, DeliveryState::Pending),
            (410, DeliveryState::Ended),
            (429, DeliveryState::Pending),
            (503, DeliveryState::Pending),
        ] {
            let (after, due) = judged(delivery(), &reply(status), ("whd_1", at(1)));
            assert_eq!(after.state, state, "{status}");
            assert_eq!(due.is_some(), state == DeliveryState::Pending, "{status}");
        }
        let (after, due) = judged(delivery(), &Reply::none("time-out"), ("whd_1", at(1)));
        assert_eq!((after.state, due.is_some()), (DeliveryState::Pending, true));
    }

    #[test]
    fn a_longer_wait_is_kept_when_asked_for_and_a_shorter_one_is_not() {
        let wait = |asked| {
            let reply = Reply { retry_after_s: Some(asked), ..reply(429) };
            judged(delivery(), &reply, ("whd_1", at(0))).1.unwrap().duration_since(at(0)).as_secs()
        };
        assert!((3_600..=3_961).contains(&wait(3_600)));
        assert!((5..=6).contains(&wait(1)) && (5..=6).contains(&wait(-7)));
        assert!(wait(i64::MAX) <= 72 * 3600);
    }

    #[test]
    fn later_events_of_a_case_wait_for_an_hour_of_failures() {
        let (failing, _) = judged(delivery(), &reply(500), ("whd_1", at(0)));
        assert!(!delivery().is_hopeless(at(9_999)) && !failing.is_hopeless(at(3_599)));
        assert!(failing.is_hopeless(at(3_600)));
    }
}
