//! Test events at a live key, and live ones at a test key.
//!
//! Why here: a webhook's secret does not say of which mode it is, and somebody who copies the wrong
//! one would have real invoices of one world charged with cards of the other. `verify` cannot know
//! it; the client does, by its key.
//!
//! What must stay true: such an event is kept and acknowledged, since it is authentic, and nothing
//! follows from it; where the key or the event does not tell its mode, nothing is left out.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::core::event::{Event, EventKind};

/// The world that a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Real money.
    Live,
    /// None.
    Test,
}

impl Mode {
    /// By the key's beginning; `None`: it does not tell.
    pub(super) fn of_key(key: &SecretString) -> Option<Self> {
        const BEGINNINGS: [(&str, Mode); 4] = [
            ("sk_live_", Mode::Live),
            ("rk_live_", Mode::Live),
            ("sk_test_", Mode::Test),
            ("rk_test_", Mode::Test),
        ];
        let key = key.expose_secret();
        BEGINNINGS.iter().find(|(beginning, _)| key.starts_with(beginning)).map(|(_, mode)| *mode)
    }

    fn of_body(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let live = body.get("livemode")?.as_bool()?;
        Some(if live { Self::Live } else { Self::Test })
    }
}

/// Makes events of the other world such that nothing follows from them, and counts them.
pub(super) fn leave_out_strangers(mode: Option<Mode>, body: &[u8], events: &mut [Event]) {
    let told = Mode::of_body(body);
    if mode.is_none() || told.is_none() || mode == told {
        return;
    }
    for event in events {
        tracing::warn!(event = %event.id, "an event of the other mode (live, test) is left out");
        metrics::counter!("recoup_events_of_other_mode_total").increment(1);
        let occurred_at = event.occurred_at;
        *event = Event { occurred_at, ..Event::new(event.id.clone(), EventKind::Other) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_after(key: &str, body: &str) -> EventKind {
        let mut events = [Event::new("evt_1", EventKind::PaymentFailed)];
        events[0].invoice = Some("in_1".to_owned());
        leave_out_strangers(Mode::of_key(&key.into()), body.as_bytes(), &mut events);
        assert_eq!(events[0].id, "evt_1");
        assert_eq!(events[0].invoice.is_none(), events[0].kind == EventKind::Other);
        events[0].kind
    }

    #[test]
    fn an_event_of_the_other_world_is_left_out() {
        let (live, test) = (r#"{"livemode":true}"#, r#"{"livemode":false}"#);
        for (key, body, kind) in [
            ("sk_live_1", live, EventKind::PaymentFailed),
            ("sk_live_1", test, EventKind::Other),
            ("rk_live_1", test, EventKind::Other),
            ("sk_test_1", test, EventKind::PaymentFailed),
            ("rk_test_1", live, EventKind::Other),
            ("made_up", live, EventKind::PaymentFailed),
            ("sk_live_1", "{}", EventKind::PaymentFailed),
            ("sk_live_1", r#"{"livemode":"no"}"#, EventKind::PaymentFailed),
            ("sk_live_1", "no JSON", EventKind::PaymentFailed),
        ] {
            assert_eq!(kind_after(key, body), kind, "{key} {body}");
        }
    }
}
