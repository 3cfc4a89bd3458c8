//! Intake: from an input of the inbox to events that can be applied.
//!
//! Why here: some webhooks only say "something happened to X". What they point to is read through
//! the gateway's API before anything is decided, many at a time, before the batch is applied.
//!
//! What must stay true: an event whose invoice is known is never held back for long; one that
//! names none waits until it can be read, and is never thrown away before [`PATIENCE`]. Where a
//! signature proves only that something happened, nothing of the body decides anything: what cannot
//! be read at the gateway is not applied.

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::Gateways;
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

/// What became of one input.
pub(super) enum Taken {
    /// Events to apply.
    Events(Vec<Event>),
    /// What it points to cannot be read now.
    Later(Timestamp),
    /// A person's doing: needs no intake.
    Person,
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
        let InboxBody::Webhook { body, headers } = &entry.record.body else {
            return Taken::Person;
        };
        let Some(gateway) = self.gateways.get(&entry.record.source) else {
            return nobody_reads(entry, now);
        };
        let request = WebhookRequest { body, headers, url: None, now: entry.record.received_at };
        let events = match gateway.parse(&request) {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(gateway = %gateway.id(), %error, "an accepted event is unreadable");
                count_unreadable();
                return Taken::Events(Vec::new());
            }
        };
        let mut taken = self.complete(gateway.as_ref(), events, entry, now).await;
        if let Taken::Events(events) = &mut taken {
            events.iter_mut().for_each(name_what_is_owed);
            events.iter().filter_map(|e| e.decline.as_ref()).for_each(|decline| {
                count_unknown(gateway.id(), decline);
            });
        }
        taken
    }

    async fn complete(
        &self,
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
                    return Taken::Later(now + wait(entry.tries));
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
        Taken::Events(complete)
    }
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
        return Taken::Later(now + wait(entry.tries));
    }
    tracing::error!(%gateway, "an event of a gateway that is not in the configuration is given up");
    count_unreadable();
    Taken::Events(Vec::new())
}

fn wait(tries: u32) -> SignedDuration {
    SignedDuration::from_secs(WAITS_S[(tries as usize).min(WAITS_S.len() - 1)])
}

/// An input that breaks the program: when it is tried again; `None`: it is set aside. Its bytes are
/// kept all the same.
pub(super) fn poisonous(entry: &InboxEntry, now: Timestamp) -> Option<Timestamp> {
    /// How often it is tried: what broke may have been somebody else's doing.
    const TRIES: u32 = 5;
    let (source, id) = (&entry.record.source, &entry.record.id);
    tracing::error!(%source, %id, "an input breaks the program, which is a defect");
    if entry.tries + 1 < TRIES {
        return Some(now + wait(entry.tries));
    }
    tracing::error!(%source, %id, "it is set aside: nothing follows from it");
    count_unreadable();
    None
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
