//! What is done at Braintree besides charging: refunds, the card of a subscription, its end, and
//! what is owed now.
//!
//! Why here: one call each, and what each refusal means.
//!
//! What must stay true: Braintree has no idempotency keys, so everything here is made so that doing
//! it twice is doing it once: a charge is given back whole or not at all.

use serde_json::{Value, json};

use super::client::{Client, WORDS, names_error};
use super::look_up;
use super::objects::subscription_of;
use crate::core::effect::{
    AdoptOrder, CloseOrder, InvoiceStatus, InvoiceView, MarkPaidOutcome, RefundOrder,
};
use crate::core::policy::{InvoiceAction, SubscriptionAction};
use crate::gateway::facts::{count, text};
use crate::gateway::{CallError, cannot};

/// The charge was given back before.
const REFUNDED_ALREADY: &str = "91512";
/// It is just being settled, or not yet: later it can be given back.
const NOT_SETTLED: [&str; 3] = ["91506", "91574", "91504"];
/// The subscription has ended before.
const ENDED_ALREADY: [&str; 2] = ["81905", "81901"];

/// Gives a charge back: taken back while it is not settled, refunded whole afterwards.
pub(super) async fn refund(client: &Client, order: &RefundOrder) -> Result<(), CallError> {
    const WHAT: &str = "refund the charge";
    let transaction = look_up::transaction(client, &order.charge).await?;
    let path = |action| ["transactions", &order.charge, action];
    let sent = match text(&transaction, "/status") {
        Some("voided") => return Ok(()),
        Some("settling" | "settled" | "settlement_confirmed") => {
            // No sum: the whole, which can be given back only once.
            client.post(&path("refund"), &json!({ "transaction": {} })).await
        }
        _ => client.act(&path("void")).await,
    };
    let answer = sent.map_err(|trouble| trouble.into_call_error(WHAT))?;
    if answer.is_success() || names_error(&answer, &[REFUNDED_ALREADY]) {
        return Ok(());
    }
    match WORDS.error(WHAT, &answer) {
        CallError::Permanent { what, why } if names_error(&answer, &NOT_SETTLED) => {
            Err(CallError::Transient { what, why })
        }
        error => Err(error),
    }
}

/// Makes a card the subscription's own, else the customer's default.
pub(super) async fn adopt_method(client: &Client, order: &AdoptOrder) -> Result<(), CallError> {
    const WHAT: &str = "charge the subscription to the new card";
    let sent = match &order.subscription {
        Some(subscription) => {
            let body = json!({ "subscription": { "payment_method_token": order.token } });
            client.put(&["subscriptions", subscription], &body).await
        }
        None => {
            let body = json!({ "payment_method": { "options": { "make_default": true } } });
            client.put(&["payment_methods", "any", &order.token], &body).await
        }
    };
    WORDS.success(WHAT, sent).map(drop)
}

/// Braintree has no invoice that could be marked.
pub(super) fn mark_paid() -> MarkPaidOutcome {
    let why = "Braintree has no invoices: give the subscription a discount of this sum, or cancel \
               it, so that Braintree does not charge it too";
    MarkPaidOutcome::Failed { why: why.to_owned() }
}

/// Ends the subscription as the merchant decided. Braintree cannot pause one, and has no invoice:
/// the operator is told, after what can be done is done.
pub(super) async fn close(client: &Client, order: &CloseOrder) -> Result<(), CallError> {
    const WHAT: &str = "close the subscription";
    match (&order.subscription, order.subscription_action) {
        (None, _) | (_, SubscriptionAction::Keep) => {}
        (Some(_), SubscriptionAction::Pause) => {
            return cannot(WHAT, "Braintree cannot pause a subscription");
        }
        (Some(id), SubscriptionAction::Cancel) => cancel(client, id).await?,
    }
    match order.invoice_action {
        InvoiceAction::Keep => Ok(()),
        _ => cannot("close the invoice", "Braintree has no invoices"),
    }
}

async fn cancel(client: &Client, id: &str) -> Result<(), CallError> {
    const WHAT: &str = "cancel the subscription";
    let sent = client.act(&["subscriptions", id, "cancel"]).await;
    let answer = sent.map_err(|trouble| trouble.into_call_error(WHAT))?;
    if answer.is_success() || names_error(&answer, &ENDED_ALREADY) {
        return Ok(());
    }
    Err(WORDS.error(WHAT, &answer))
}

/// What is owed now: of a subscription's period by the subscription, of an order id of the
/// merchant's by the transactions that carry it.
pub(super) async fn invoice(client: &Client, invoice: &str) -> Result<InvoiceView, CallError> {
    const WHAT: &str = "read what is owed";
    if let Some(id) = subscription_of(invoice) {
        let subscription = look_up::subscription(client, WHAT, id).await?;
        return view(&subscription).ok_or_else(|| {
            let why = "the subscription has no status that is known".to_owned();
            CallError::Transient { what: WHAT, why }
        });
    }
    let found = look_up::of_invoice(client, invoice).await?;
    let paid = look_up::paid(&found, invoice);
    Ok(view_of(if paid { InvoiceStatus::Paid } else { InvoiceStatus::Open }))
}

fn view(subscription: &Value) -> Option<InvoiceView> {
    let status = match text(subscription, "/status")? {
        "Past Due" => InvoiceStatus::Open,
        // Active alone is not proof: it may not have been told as past due yet.
        "Active" if look_up::newest_is_approved(subscription) => InvoiceStatus::Paid,
        "Active" => InvoiceStatus::Open,
        "Pending" => InvoiceStatus::Draft,
        "Canceled" | "Expired" => InvoiceStatus::Void,
        _ => return None,
    };
    let attempt_count = count(subscription, "/failure_count");
    Some(InvoiceView { attempt_count, ..view_of(status) })
}

fn view_of(status: InvoiceStatus) -> InvoiceView {
    InvoiceView {
        status,
        amount_remaining: None,
        paid_out_of_band: false,
        next_native_attempt_at: None,
        attempt_count: None,
    }
}

/// Reads the plans: harmless, and every key may.
pub(super) async fn check_access(client: &Client) -> Result<String, CallError> {
    let plans = Client::object("check the key", "plans", client.get(&["plans"]).await)?;
    let count = plans.as_array().map_or(0, Vec::len);
    Ok(format!("the key reads {count} plans"))
}
