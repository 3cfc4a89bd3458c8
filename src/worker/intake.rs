//! Intake: from an input of the inbox to events that can be applied.
//!
//! Why here: some webhooks only say "something happened to X". What they point to is read through
//! the gateway's API before anything is decided: beside the worker's loop ([`super::reading`]), so
//! that a gateway that hangs holds up its own events and no others.
//!
//! What must stay true: an event whose invoice is known is never held back for long; one that
//! names none waits until it can be read, and is never thrown away before [`PATIENCE`]. Where a
//! signature proves only that something happened, nothing of the body decides anything: what cannot
//! be read at the gateway is not applied.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};

use super::Gateways;
use super::spread::spread;
use crate::core::decline::{Category, Decline};
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::gateway::profile::Proves;
use crate::gateway::{CallError, Gateway, WebhookRequest};
use crate::store::{InboxBody, InboxEntry};

/// Objects that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// Waits between two attempts to read an object; the last goes on.
const WAITS_S: [i64; 6] = [2, 10, 60, 600, 3_600, 14_400];
/// How often an object is asked for before the event is applied as it is: about three days.
const PATIENCE: u32 = 24;

/// What is known of an input before anything is read.
pub(super) enum Seen {
    /// It can be applied.
    Whole(Taken),
    /// These events point to what this gateway has to be asked for.
    Unread(Arc<dyn Gateway>, Vec<Event>),
}

/// What became of one input.
#[derive(Debug, Clone)]
pub(super) enum Taken {
    /// Events to apply.
    Events(Vec<Event>),
    /// What it points to cannot be read now.
    Later(Timestamp),
    /// A person's doing: needs no intake.
    Person,
    /// Nobody had time for it: it comes back then, and was not tried.
    PutOff(Timestamp),
}

/// Takes inputs in.
pub(super) struct Intake<'a> {
    gateways: &'a Gateways,
}

impl<'a> Intake<'a> {
    pub(super) fn new(gateways: &'a Gateways) -> Self {
        Self { gateways }
    }

    /// Takes in a batch, in order.
    pub(super) async fn take_all(&self, entries: &[InboxEntry], now: Timestamp) -> Vec<Taken> {
        let takes: Vec<_> = entries.iter().map(|entry| self.take(entry, now)).collect();
        futures::stream::iter(takes).buffered(READS_AT_ONCE).collect().await
    }

    async fn take(&self, entry: &InboxEntry, now: Timestamp) -> Taken {
        match self.look_at(entry, now) {
            Seen::Whole(taken) => taken,
            Seen::Unread(gateway, events) => read_safely(gateway, events, entry, now).await,
        }
    }

    /// What can be said of an input without asking anybody.
    pub(super) fn look_at(&self, entry: &InboxEntry, now: Timestamp) -> Seen {
        catch_unwind(AssertUnwindSafe(|| self.parse(entry, now)))
            .unwrap_or_else(|_| Seen::Whole(broken(entry, now)))
    }

    fn parse(&self, entry: &InboxEntry, now: Timestamp) -> Seen {
        let InboxBody::Webhook { body, headers } = &entry.record.body else {
            return Seen::Whole(Taken::Person);
        };
        let Some(gateway) = self.gateways.get(&entry.record.source) else {
            return Seen::Whole(nobody_reads(entry, now));
        };
        let request = WebhookRequest { body, headers, url: None, now: entry.record.received_at };
        let events = match gateway.parse(&request) {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(gateway = %gateway.id(), %error, "an accepted event is unreadable");
                count_unreadable();
                return Seen::Whole(Taken::Events(Vec::new()));
            }
        };
        if events.iter().any(|event| event.needs_fetch.is_some()) {
            return Seen::Unread(gateway.clone(), events);
        }
        Seen::Whole(whole(gateway.as_ref(), events))
    }
}

/// Reads what the events of an input point to. What breaks the program is set aside.
pub(super) async fn read_safely(
    gateway: Arc<dyn Gateway>,
    events: Vec<Event>,
    entry: &InboxEntry,
    now: Timestamp,
) -> Taken {
    let reading = AssertUnwindSafe(read(gateway.as_ref(), events, entry, now));
    reading.catch_unwind().await.unwrap_or_else(|_| broken(entry, now))
}

async fn read(
    gateway: &dyn Gateway,
    events: Vec<Event>,
    entry: &InboxEntry,
    now: Timestamp,
) -> Taken {
    let mut complete = Vec::with_capacity(events.len());
    for event in events {
        if event.needs_fetch.is_none() {
            complete.push(event);
            continue;
        }
        let proven = gateway.profile().proves != Proves::Pointer;
        let (usable, id) = (proven && is_usable(&event), event.id.clone());
        match gateway.complete(event.clone()).await {
            Ok(event) => complete.push(event),
            Err(error) if must_wait(&error, proven, usable, entry.tries) => {
                tracing::warn!(gateway = %gateway.id(), event = %id, %error, "read later");
                return Taken::Later(later(entry, now));
            }
            Err(error) if !proven => {
                tracing::error!(gateway = %gateway.id(), event = %id, %error, "not applied");
                count_unreadable();
            }
            Err(error) => {
                tracing::warn!(gateway = %gateway.id(), event = %id, %error, "taken as it is");
                complete.push(event);
            }
        }
    }
    whole(gateway, complete)
}

/// Events that nothing is missing of.
fn whole(gateway: &dyn Gateway, mut events: Vec<Event>) -> Taken {
    events.iter_mut().for_each(name_what_is_owed);
    events.iter().filter_map(|event| event.decline.as_ref()).for_each(|decline| {
        count_unknown(gateway.id(), decline);
    });
    Taken::Events(events)
}

/// A gateway without invoices names what is owed in another way.
fn name_what_is_owed(event: &mut Event) {
    if event.invoice.is_none() {
        event.invoice = event.stands_for_invoice.take();
    }
}

/// Whether the event can be applied without what it points to.
fn is_usable(event: &Event) -> bool {
    event.invoice.is_some() && event.amount.is_some()
}

/// What a pointer points at is waited for after a definite refusal too: the key may be mended, the
/// object may only not be there yet, and thrown away it is lost.
fn must_wait(error: &CallError, proven: bool, usable: bool, tries: u32) -> bool {
    tries < PATIENCE && !usable && (error.is_transient() || !proven)
}

/// The gateway is not in the configuration. That may be a slip, so what came from it is kept for a
/// while.
fn nobody_reads(entry: &InboxEntry, now: Timestamp) -> Taken {
    let gateway = &entry.record.source;
    if entry.tries < PATIENCE {
        tracing::warn!(%gateway, "an event of a gateway that is not in the configuration is kept");
        return Taken::Later(later(entry, now));
    }
    tracing::error!(%gateway, "an event of a gateway that is not in the configuration is given up");
    count_unreadable();
    Taken::Events(Vec::new())
}

/// When an input is taken up again. Many that failed together come back one by one.
fn later(entry: &InboxEntry, now: Timestamp) -> Timestamp {
    let wait = SignedDuration::from_secs(WAITS_S[(entry.tries as usize).min(WAITS_S.len() - 1)]);
    now + spread(wait, &entry.record.id)
}

/// An input that breaks the program: it is tried again, and then set aside. Its bytes are kept all
/// the same.
pub(super) fn broken(entry: &InboxEntry, now: Timestamp) -> Taken {
    /// How often it is tried: what broke may have been somebody else's doing.
    const TRIES: u32 = 5;
    let (source, id) = (&entry.record.source, &entry.record.id);
    tracing::error!(%source, %id, "an input breaks the program, which is a defect");
    if entry.tries + 1 < TRIES {
        return Taken::Later(later(entry, now));
    }
    tracing::error!(%source, %id, "it is set aside: nothing follows from it");
    count_unreadable();
    Taken::Events(Vec::new())
}

/// An accepted event that is given up: nobody could read it.
fn count_unreadable() {
    metrics::counter!("recoup_events_unreadable_total").increment(1);
}

/// A decline whose code is in no table is counted and named, so that somebody adds it.
pub(super) fn count_unknown(gateway: &GatewayId, decline: &Decline) {
    if decline.category == Category::Unknown
        && (decline.code.is_some() || decline.network_code.is_some())
    {
        let code = decline.shown_code().unwrap_or("free text");
        metrics::counter!("recoup_declines_unknown_total", "gateway" => gateway.to_string())
            .increment(1);
        tracing::warn!(%gateway, code, "this decline code is in no table: treated with caution");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_a_pointer_waits_after_a_definite_refusal_too() {
        let what = "read the payment";
        let definite = CallError::Permanent { what, why: "HTTP 401".to_owned() };
        let passing = CallError::Transient { what, why: "HTTP 500".to_owned() };
        for (error, proven, usable, wanted) in [
            (&definite, false, false, true),
            (&definite, true, false, false),
            (&passing, true, false, true),
            (&passing, true, true, false),
        ] {
            assert_eq!(must_wait(error, proven, usable, 0), wanted, "{error:?} {proven} {usable}");
            assert!(!must_wait(error, proven, usable, PATIENCE), "patience has an end");
        }
    }
}
