//! Finding out at Stripe what became of an attempt. Never charges.
//!
//! Why here: after a time-out this is the only way forward that cannot charge twice (design I2).
//! An invoice of Stripe's own is its own record: what happened to it since the attempt was sent is
//! what happened to the attempt. A charge beside another billing gateway carries our attempt's id.
//!
//! What must stay true: an older failure is not taken for this attempt's; "not found" is said only
//! when everything that could hold the attempt was read.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::charge::{self, META_ATTEMPT};
use super::client::Client;
use super::view;
use crate::core::effect::{AttemptRef, ChargeOutcome, InvoiceStatus, LookUpAnswer};
use crate::gateway::{CallError, shared};

/// How far Stripe's clock and ours may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// How far before the first send the search begins: `created` is Stripe's clock, and a machine may
/// have been minutes off before it was corrected.
const SEARCH_MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// How many PaymentIntents one page holds: Stripe's most.
const PAGE: &str = "100";
/// How many pages are read before the search is given up. A customer with 500 payments in one
/// search window is a fault that a person must see.
const MAX_PAGES: usize = 5;

/// What became of `attempt`.
pub(super) async fn look_up(client: &Client, attempt: &AttemptRef) -> LookUpAnswer {
    let found = if attempt.charge.billing {
        on_invoice(client, attempt).await
    } else {
        by_metadata(client, attempt).await
    };
    shared::answer(found)
}

type Found = Result<Option<ChargeOutcome>, CallError>;

async fn on_invoice(client: &Client, attempt: &AttemptRef) -> Found {
    let invoice = read_invoice(client, &attempt.charge.invoice).await?;
    let status = view::invoice_status(&invoice).ok_or_else(|| CallError::Transient {
        what: "read the invoice",
        why: "it has no readable state".to_owned(),
    })?;
    if status == InvoiceStatus::Paid && !view::paid_out_of_band(&invoice) {
        return Ok(Some(charge::approved_invoice(&attempt.charge, &invoice)));
    }
    let mut payments: Vec<String> =
        view::payments_of(&invoice).iter().filter_map(|p| p.id()).map(str::to_owned).collect();
    payments.extend(attempt.payment.clone().filter(|id| !payments.contains(id)));
    for payment in payments.iter().filter(|id| id.starts_with("pi_")) {
        let payment = read_payment(client, payment).await?;
        let outcome = charge::payment_outcome(&payment, &attempt.charge);
        if let Some(outcome) = outcome.filter(|o| is_of_attempt(o, &payment, attempt)) {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// Whether what a PaymentIntent tells can be this attempt's doing. An approval and a pending charge
/// stand for themselves; a failure counts only when it happened since we first sent.
fn is_of_attempt(outcome: &ChargeOutcome, payment: &Value, attempt: &AttemptRef) -> bool {
    let since = attempt.first_sent_at - SKEW;
    let charged_at = view::time(payment, "/latest_charge/created");
    match outcome {
        ChargeOutcome::Approved { .. } | ChargeOutcome::Pending { .. } => true,
        ChargeOutcome::Declined { .. } if waits_for_customer(payment) => {
            charged_at.is_none_or(|at| at >= since)
        }
        ChargeOutcome::Declined { .. } => {
            charged_at.or_else(|| view::time(payment, "/created")).is_some_and(|at| at >= since)
        }
        _ => false,
    }
}

fn waits_for_customer(payment: &Value) -> bool {
    matches!(payment["status"].as_str(), Some("requires_action" | "requires_source_action"))
}

/// The invoice with its payments; where Stripe does not tell them with it, they are asked for.
pub(super) async fn read_invoice(client: &Client, id: &str) -> Result<Value, CallError> {
    let path = ["v1", "invoices", id];
    let expand = [("expand[]", "payments.data.payment.payment_intent")];
    let mut invoice = client.read("read the invoice", &path, &expand).await?;
    if view::payments_of(&invoice).is_empty() && !invoice["payments"]["data"].is_array() {
        let query = [("invoice", id), ("expand[]", "data.payment.payment_intent")];
        let path = ["v1", "invoice_payments"];
        let listed = client.read("read the invoice's payments", &path, &query).await;
        match listed {
            Ok(list) => invoice["payments"] = list,
            // An account on an old version has no such list, and told all it knows.
            Err(CallError::Permanent { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(invoice)
}

/// A PaymentIntent with its last charge.
pub(super) async fn read_payment(client: &Client, id: &str) -> Result<Value, CallError> {
    let path = ["v1", "payment_intents", id];
    client.read("read the payment", &path, &[("expand[]", "latest_charge")]).await
}

/// The PaymentIntent that carries our attempt's id.
async fn by_metadata(client: &Client, attempt: &AttemptRef) -> Found {
    if let Some(id) = attempt.payment.as_deref().filter(|id| id.starts_with("pi_")) {
        return judged(&read_payment(client, id).await?, attempt).map(Some);
    }
    let mut after: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = search(client, attempt, after.as_deref()).await?;
        let ours = |p: &&Value| p["metadata"][META_ATTEMPT] == attempt.charge.attempt.as_str();
        if let Some(payment) = view::data(&page).iter().find(ours) {
            return judged(payment, attempt).map(Some);
        }
        after = view::data(&page).last().and_then(|p| view::owned(p, "/id"));
        if page["has_more"].as_bool() != Some(true) || after.is_none() {
            return Ok(None);
        }
    }
    Err(CallError::Transient {
        what: "search the payment",
        why: format!("more than {MAX_PAGES} pages of payments since the attempt"),
    })
}

/// Our own PaymentIntent is there: whatever it says, "not found" would be wrong.
fn judged(payment: &Value, attempt: &AttemptRef) -> Result<ChargeOutcome, CallError> {
    charge::payment_outcome(payment, &attempt.charge).ok_or_else(|| CallError::Transient {
        what: "read the payment",
        why: "it has no readable state".to_owned(),
    })
}

/// One page of what was created since shortly before the first send. The search endpoint of
/// Stripe's lags behind; the list does not.
async fn search(
    client: &Client,
    attempt: &AttemptRef,
    after: Option<&str>,
) -> Result<Value, CallError> {
    let since: Timestamp = attempt.first_sent_at - SEARCH_MARGIN;
    let since = since.as_second().to_string();
    let mut query =
        vec![("created[gte]", since.as_str()), ("limit", PAGE), ("expand[]", "data.latest_charge")];
    query.extend(attempt.charge.customer.as_deref().map(|customer| ("customer", customer)));
    query.extend(after.map(|id| ("starting_after", id)));
    let page = client.read("search the payment", &["v1", "payment_intents"], &query).await?;
    if !page["data"].is_array() {
        let why = "the answer is no list".to_owned();
        return Err(CallError::Transient { what: "search the payment", why });
    }
    Ok(page)
}
