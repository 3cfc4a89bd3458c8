//! What an event is about: one invoice, one subscription, or all that a customer owes.
//!
//! Why here: it decides which cases are stepped, before any of them is loaded.
//!
//! What must stay true: an event that may stop a charge reaches every case that it is about.

use crate::core::event::{Event, EventKind};
use crate::core::ids::{CaseId, GatewayId};

/// Events that say nothing of one invoice, but of all that the customer owes.
pub(super) fn is_about_customer(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::PaymentMethodRemoved
            | EventKind::PaymentMethodUpdated
            | EventKind::SubscriptionCancelled
            | EventKind::SubscriptionPaused
    )
}

/// Events that say something of one subscription; the gateway may name no customer with it.
pub(super) fn is_about_subscription(kind: EventKind) -> bool {
    matches!(kind, EventKind::SubscriptionCancelled | EventKind::SubscriptionPaused)
}

/// Under which name the end of a subscription is kept among what is closed: a failure of it that is
/// told late opens no case.
pub(super) fn end_of(billing: &GatewayId, subscription: &str) -> CaseId {
    CaseId::of(billing, &format!("subscription/{subscription}"))
}

/// Events after which an invoice is owed no more.
pub(super) fn settles(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Disputed
            | EventKind::InvoiceUncollectible
            | EventKind::InvoiceVoided
            | EventKind::PaymentSucceeded
            | EventKind::Refunded
    )
}

/// An event that opens no case is counted, and named for whoever looks for it.
pub(super) fn refuse(event: &Event, reason: &'static str) {
    metrics::counter!("recoup_events_refused_total", "reason" => reason).increment(1);
    let invoice = event.invoice.as_deref().unwrap_or_default();
    tracing::warn!(event = %event.id, invoice, reason, "an event that opens no case");
}

/// The span in which a case decides; it names the event that it follows from.
pub(super) fn deciding(case: &CaseId, event: Option<&Event>) -> tracing::Span {
    tracing::debug_span!("decide", %case, event = event.map(|event| event.id.as_str()))
}
