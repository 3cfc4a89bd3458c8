//! What each of Braintree's notifications means.
//!
//! Why here: a table that a person can check beside Braintree's list of kinds.
//!
//! What must stay true: a kind that is not here is `Other`; a transaction whose status is not known
//! is never a failure.

use serde_json::Value;

use super::objects::{Status, status};
use crate::core::event::EventKind;
use crate::gateway::facts::text;

/// What a notification of this kind about this transaction (where it is about one) means.
pub(super) fn kind(name: &str, transaction: Option<&Value>) -> EventKind {
    match name {
        "subscription_charged_unsuccessfully" | "subscription_went_past_due" => {
            EventKind::PaymentFailed
        }
        "subscription_charged_successfully" | "subscription_went_active" => {
            EventKind::PaymentSucceeded
        }
        "subscription_canceled" | "subscription_expired" => EventKind::SubscriptionCancelled,
        "subscription_billing_skipped" | "subscription_trial_ended" => {
            EventKind::SubscriptionUpdated
        }
        // A credit gives money back. Whether that was the whole charge is not told.
        "transaction_settled" if transaction.is_some_and(is_credit) => EventKind::PartiallyRefunded,
        "transaction_settlement_declined" if transaction.is_some_and(is_credit) => EventKind::Other,
        "transaction_settled" => EventKind::PaymentSucceeded,
        "transaction_settlement_declined" => EventKind::PaymentFailed,
        "transaction_retried" | "local_payment_completed" | "local_payment_funded" => {
            transaction.map_or(EventKind::Other, by_status)
        }
        "dispute_opened" | "dispute_under_review" | "dispute_disputed" => EventKind::Disputed,
        "dispute_won"
        | "dispute_lost"
        | "dispute_accepted"
        | "dispute_auto_accepted"
        | "dispute_expired" => EventKind::DisputeClosed,
        "payment_method_customer_data_updated"
        | "grantor_updated_granted_payment_method"
        | "recipient_updated_granted_payment_method" => EventKind::PaymentMethodUpdated,
        "payment_method_revoked_by_customer" | "granted_payment_method_revoked" => {
            EventKind::PaymentMethodRemoved
        }
        _ => EventKind::Other,
    }
}

fn by_status(transaction: &Value) -> EventKind {
    match status(transaction) {
        Some(Status::Approved) => EventKind::PaymentSucceeded,
        Some(Status::Declined) => EventKind::PaymentFailed,
        Some(Status::Pending) => EventKind::PaymentUnknown,
        Some(Status::Void) | None => EventKind::Other,
    }
}

/// A refund.
pub(super) fn is_credit(transaction: &Value) -> bool {
    text(transaction, "/type") == Some("credit")
}
