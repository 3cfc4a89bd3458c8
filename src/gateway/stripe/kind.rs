//! Which of our kinds a Stripe event is.
//!
//! Why here: one table to read beside Stripe's list of event types.
//!
//! What must stay true: the name decides, except where one name stands for several things and the
//! object says which; what we do not know is `Other`, never an error.

use serde_json::Value;

use crate::core::event::EventKind;
use crate::gateway::facts::text;

/// What the event says: its object, and what the object was before. Both null for thin events.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) object: &'a Value,
    pub(super) previous: &'a Value,
}

/// The kind of the event type `name` (without the `v1.` of thin events).
pub(super) fn kind(name: &str, change: Change<'_>) -> EventKind {
    use EventKind as K;
    match name {
        "invoice.payment_failed" | "payment_intent.payment_failed" | "charge.failed" => {
            K::PaymentFailed
        }
        "invoice.paid"
        | "invoice.payment_succeeded"
        | "invoice_payment.paid"
        | "payment_intent.succeeded" => K::PaymentSucceeded,
        "charge.succeeded" | "charge.captured" => charge_succeeded(change.object),
        "invoice.payment_action_required" | "payment_intent.requires_action" => K::ActionRequired,
        "payment_intent.processing" | "charge.pending" => K::PaymentUnknown,
        "invoice.voided" => K::InvoiceVoided,
        "invoice.marked_uncollectible" => K::InvoiceUncollectible,
        "charge.refunded" => refunded(change.object),
        "payment_method.attached"
        | "payment_method.updated"
        | "payment_method.automatically_updated"
        | "payment_method.card_automatically_updated"
        | "customer.source.created"
        | "customer.source.updated"
        | "setup_intent.succeeded" => K::PaymentMethodUpdated,
        "payment_method.detached" | "customer.source.deleted" => K::PaymentMethodRemoved,
        "customer.updated" => customer_updated(change.previous),
        "checkout.session.completed" => checkout(change.object),
        _ if name.starts_with("charge.dispute.") => dispute(name, change.object),
        _ if name.starts_with("customer.subscription.") => subscription(name, change),
        _ => K::Other,
    }
}

/// Authorized only: nothing is paid yet.
fn charge_succeeded(charge: &Value) -> EventKind {
    match charge.get("captured").and_then(Value::as_bool) {
        Some(false) => EventKind::Other,
        _ => EventKind::PaymentSucceeded,
    }
}

fn refunded(charge: &Value) -> EventKind {
    match charge.get("refunded").and_then(Value::as_bool) {
        Some(false) => EventKind::PartiallyRefunded,
        _ => EventKind::Refunded,
    }
}

/// A new default, of either kind.
fn customer_updated(previous: &Value) -> EventKind {
    let default = previous.pointer("/invoice_settings/default_payment_method").is_some();
    if default || previous.get("default_source").is_some() {
        EventKind::PaymentMethodUpdated
    } else {
        EventKind::Other
    }
}

fn checkout(session: &Value) -> EventKind {
    if text(session, "/mode") == Some("setup") {
        EventKind::PaymentMethodUpdated
    } else {
        EventKind::Other
    }
}

fn dispute(name: &str, dispute: &Value) -> EventKind {
    match name.strip_prefix("charge.dispute.") {
        Some("created") => return EventKind::Disputed,
        Some("closed") => return EventKind::DisputeClosed,
        Some("updated" | "funds_withdrawn" | "funds_reinstated") => {}
        _ => return EventKind::Other,
    }
    match text(dispute, "/status") {
        Some("won" | "lost" | "warning_closed" | "prevented") => EventKind::DisputeClosed,
        _ => EventKind::Disputed,
    }
}

fn subscription(name: &str, change: Change<'_>) -> EventKind {
    match name.strip_prefix("customer.subscription.") {
        Some("deleted") => return EventKind::SubscriptionCancelled,
        Some("paused") => return EventKind::SubscriptionPaused,
        Some("updated") => {}
        _ => return EventKind::SubscriptionUpdated,
    }
    match text(change.object, "/status") {
        Some("canceled" | "incomplete_expired") => EventKind::SubscriptionCancelled,
        Some("paused") => EventKind::SubscriptionPaused,
        _ if collection_was_paused(change) => EventKind::SubscriptionPaused,
        _ => EventKind::SubscriptionUpdated,
    }
}

/// Collection is paused, and this very event paused it.
fn collection_was_paused(change: Change<'_>) -> bool {
    let paused = change.object.get("pause_collection").is_some_and(Value::is_object);
    paused && (change.previous.is_null() || change.previous.get("pause_collection").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(name: &str, object: Value, previous: Value, wanted: EventKind) {
        let found = kind(name, Change { object: &object, previous: &previous });
        assert_eq!(found, wanted, "{name} {object} {previous}");
    }

    #[test]
    fn a_subscription_is_paused_only_when_the_event_says_so() {
        let name = "customer.subscription.updated";
        let paused = json!({"status": "active", "pause_collection": {"behavior": "void"}});
        check(name, json!({"status": "past_due"}), json!({}), EventKind::SubscriptionUpdated);
        check(name, json!({"status": "unpaid"}), json!({}), EventKind::SubscriptionUpdated);
        check(name, json!({"status": "canceled"}), json!({}), EventKind::SubscriptionCancelled);
        check(name, json!({"status": "paused"}), json!({}), EventKind::SubscriptionPaused);
        check(
            name,
            paused.clone(),
            json!({"pause_collection": null}),
            EventKind::SubscriptionPaused,
        );
        check(name, paused, json!({"metadata": {}}), EventKind::SubscriptionUpdated);
        check(
            "customer.subscription.resumed",
            json!({}),
            Value::Null,
            EventKind::SubscriptionUpdated,
        );
        check(
            "customer.subscription.deleted",
            json!({}),
            Value::Null,
            EventKind::SubscriptionCancelled,
        );
    }

    #[test]
    fn a_customers_update_counts_only_when_the_default_changed() {
        let name = "customer.updated";
        let previous = json!({"invoice_settings": {"default_payment_method": null}});
        check(name, json!({}), previous, EventKind::PaymentMethodUpdated);
        check(
            name,
            json!({}),
            json!({"default_source": "card_1"}),
            EventKind::PaymentMethodUpdated,
        );
        check(name, json!({}), json!({"invoice_settings": {"footer": null}}), EventKind::Other);
        check(name, json!({}), json!({"email": "a@b.example"}), EventKind::Other);
    }

    #[test]
    fn disputes_close_by_name_or_by_status() {
        check(
            "charge.dispute.created",
            json!({"status": "warning_needs_response"}),
            Value::Null,
            EventKind::Disputed,
        );
        check(
            "charge.dispute.updated",
            json!({"status": "under_review"}),
            Value::Null,
            EventKind::Disputed,
        );
        check(
            "charge.dispute.funds_reinstated",
            json!({"status": "won"}),
            Value::Null,
            EventKind::DisputeClosed,
        );
        check(
            "charge.dispute.closed",
            json!({"status": "lost"}),
            Value::Null,
            EventKind::DisputeClosed,
        );
    }

    #[test]
    fn the_rest_goes_by_name() {
        check("charge.succeeded", json!({"captured": false}), Value::Null, EventKind::Other);
        check(
            "charge.succeeded",
            json!({"captured": true}),
            Value::Null,
            EventKind::PaymentSucceeded,
        );
        check(
            "charge.refunded",
            json!({"refunded": false}),
            Value::Null,
            EventKind::PartiallyRefunded,
        );
        check("charge.refunded", json!({"refunded": true}), Value::Null, EventKind::Refunded);
        check(
            "checkout.session.completed",
            json!({"mode": "subscription"}),
            Value::Null,
            EventKind::Other,
        );
        check(
            "checkout.session.completed",
            json!({"mode": "setup"}),
            Value::Null,
            EventKind::PaymentMethodUpdated,
        );
        for other in
            ["invoice.upcoming", "invoice.finalization_failed", "refund.failed", "brand.new", ""]
        {
            check(other, json!({}), Value::Null, EventKind::Other);
        }
    }
}
