//! Everything at Stripe that is neither a charge nor a look-up: refunds, the hosted card update,
//! adopting a new card, marking an invoice as paid elsewhere, closing.
//!
//! Why here: each is one or two calls that say "done" also when it was done already.
//!
//! What must stay true: a call that is repeated with its key changes nothing twice; two calls of
//! one order never share a key, since Stripe binds a key to one path and one form.

use serde_json::Value;

use super::client::{self, Client, WORDS};
use super::{look_up, view};
use crate::core::effect::{
    AdoptOrder, CloseOrder, InvoiceStatus, InvoiceView, MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::policy::{InvoiceAction, SubscriptionAction};
use crate::gateway::{CallError, HostedPurpose, HostedRequest, HostedSession, shared};

/// The invoice as it is now.
pub(super) async fn invoice(client: &Client, id: &str) -> Result<InvoiceView, CallError> {
    let invoice = look_up::read_invoice(client, id).await?;
    view::invoice_view(&invoice).ok_or_else(|| CallError::Transient {
        what: "read the invoice",
        why: "it has no readable state".to_owned(),
    })
}

/// Gives a payment back whole. One that is given back already is done.
pub(super) async fn refund(
    client: &Client,
    order: &RefundOrder,
    key: &str,
) -> Result<(), CallError> {
    const WHAT: &str = "refund the charge";
    let payment = payment_of(client, &order.charge).await?;
    let field = if payment.starts_with("pi_") { "payment_intent" } else { "charge" };
    let form = [(field, payment.as_str())];
    let sent = client.post(&["v1", "refunds"], &form, key).await;
    let answer = sent.map_err(|trouble| trouble.into_call_error(WHAT))?;
    if client::error_of(&answer).is_some_and(|e| client::code_of(&e) == "charge_already_refunded") {
        return Ok(());
    }
    let refund = WORDS.object(WHAT, Ok(answer))?;
    match refund["status"].as_str() {
        Some(status @ ("failed" | "canceled")) => {
            Err(CallError::Permanent { what: WHAT, why: format!("the refund is {status}") })
        }
        _ => Ok(()),
    }
}

/// Where an approval told no payment it names the invoice: then the invoice knows its payment.
async fn payment_of(client: &Client, charge: &str) -> Result<String, CallError> {
    if !charge.starts_with("in_") {
        return Ok(charge.to_owned());
    }
    let invoice = look_up::read_invoice(client, charge).await?;
    let payments = view::payments_of(&invoice);
    let paid = payments.iter().find(|p| p.paid).and_then(|p| p.id());
    paid.map(str::to_owned).ok_or_else(|| CallError::Permanent {
        what: "refund the charge",
        why: "the invoice names no payment".to_owned(),
    })
}

/// A page of Stripe's for the customer.
pub(super) async fn hosted_session(
    client: &Client,
    request: &HostedRequest,
) -> Result<HostedSession, CallError> {
    match request.purpose {
        HostedPurpose::UpdateCard => portal_session(client, request).await,
        HostedPurpose::Authenticate | HostedPurpose::PayInvoice => {
            const WHAT: &str = "open the invoice's page";
            let invoice = client.read(WHAT, &["v1", "invoices", &request.invoice], &[]).await?;
            shared::session(WHAT, view::text(&invoice, "/hosted_invoice_url"))
        }
    }
}

async fn portal_session(
    client: &Client,
    request: &HostedRequest,
) -> Result<HostedSession, CallError> {
    const WHAT: &str = "open a card-update session";
    let form = [
        ("customer", request.customer.as_str()),
        ("return_url", request.abandoned_url()),
        ("flow_data[type]", "payment_method_update"),
        ("flow_data[after_completion][type]", "redirect"),
        ("flow_data[after_completion][redirect][return_url]", &request.return_url),
    ];
    let path = ["v1", "billing_portal", "sessions"];
    let session = client.write(WHAT, &path, &form, &request.idempotency_key).await?;
    shared::session(WHAT, view::text(&session, "/url"))
}

/// Makes the new card the one that Stripe charges for this subscription. The customer's default is
/// of no use where the subscription has its own.
pub(super) async fn adopt_method(
    client: &Client,
    order: &AdoptOrder,
    key: &str,
) -> Result<(), CallError> {
    const WHAT: &str = "adopt the new payment method";
    let token = order.token.as_str();
    if let Some(id) = subscription_with_own_method(client, order).await? {
        let form = [("default_payment_method", token)];
        return client.write(WHAT, &["v1", "subscriptions", &id], &form, key).await.map(drop);
    }
    let form = [("invoice_settings[default_payment_method]", token)];
    client.write(WHAT, &["v1", "customers", &order.customer], &form, key).await.map(drop)
}

async fn subscription_with_own_method(
    client: &Client,
    order: &AdoptOrder,
) -> Result<Option<String>, CallError> {
    let Some(id) = &order.subscription else { return Ok(None) };
    let path = ["v1", "subscriptions", id];
    let subscription = client.read("read the subscription", &path, &[]).await?;
    let own = ["/default_payment_method", "/default_source"]
        .into_iter()
        .any(|pointer| view::id_at(&subscription, pointer).is_some());
    Ok(own.then(|| id.clone()))
}

/// Records that the invoice was paid elsewhere. Stripe charges nothing for it.
pub(super) async fn mark_paid(
    client: &Client,
    order: &MarkPaidOrder,
    key: &str,
) -> Result<MarkPaidOutcome, CallError> {
    const WHAT: &str = "mark the invoice as paid";
    let path = ["v1", "invoices", &order.invoice, "pay"];
    let sent = client.post(&path, &[("paid_out_of_band", "true")], key).await;
    let answer = sent.map_err(|trouble| trouble.into_call_error(WHAT))?;
    if answer.is_success() {
        let invoice = WORDS.object(WHAT, Ok(answer))?;
        return is_paid(&invoice).then_some(MarkPaidOutcome::Done).ok_or_else(|| {
            let why = "the answer does not say that it is paid".to_owned();
            CallError::Transient { what: WHAT, why }
        });
    }
    if answer.is_transient() {
        return Err(WORDS.error(WHAT, &answer));
    }
    // Refused: paid already? By us, under a key that Stripe has forgotten, or by real money?
    let invoice = look_up::read_invoice(client, &order.invoice).await?;
    Ok(match is_paid(&invoice) {
        true if view::paid_out_of_band(&invoice) => MarkPaidOutcome::Done,
        true => MarkPaidOutcome::AlreadyPaid,
        false => MarkPaidOutcome::Failed { why: WORDS.of(&answer) },
    })
}

fn is_paid(invoice: &Value) -> bool {
    view::invoice_status(invoice) == Some(InvoiceStatus::Paid)
}

/// Ends subscription and invoice as the merchant decided. The second is tried even when the first
/// fails, and the first failure is told.
pub(super) async fn close(client: &Client, order: &CloseOrder, key: &str) -> Result<(), CallError> {
    let subscription = close_subscription(client, order, key).await;
    let invoice = close_invoice(client, order, key).await;
    subscription.and(invoice)
}

async fn close_subscription(
    client: &Client,
    order: &CloseOrder,
    key: &str,
) -> Result<(), CallError> {
    let Some(id) = order.subscription.as_deref() else { return Ok(()) };
    match order.subscription_action {
        SubscriptionAction::Keep => Ok(()),
        SubscriptionAction::Cancel => cancel(client, id).await,
        SubscriptionAction::Pause => {
            let form = [("pause_collection[behavior]", "void")];
            let path = ["v1", "subscriptions", id];
            let key = format!("{key}-subscription");
            client.write("pause the subscription", &path, &form, &key).await.map(drop)
        }
    }
}

/// A canceled subscription answers 404 to a second cancel, but can still be read.
async fn cancel(client: &Client, id: &str) -> Result<(), CallError> {
    const WHAT: &str = "cancel the subscription";
    let path = ["v1", "subscriptions", id];
    let ended = WORDS.success(WHAT, client.delete(&path).await);
    let is_so = async { Ok(client.read(WHAT, &path, &[]).await?["status"] == "canceled") };
    shared::made(ended, is_so).await
}

async fn close_invoice(client: &Client, order: &CloseOrder, key: &str) -> Result<(), CallError> {
    const WHAT: &str = "close the invoice";
    let (action, wanted) = match order.invoice_action {
        InvoiceAction::Keep => return Ok(()),
        InvoiceAction::Uncollectible => ("mark_uncollectible", InvoiceStatus::Uncollectible),
        InvoiceAction::Void => ("void", InvoiceStatus::Void),
    };
    let path = ["v1", "invoices", &order.invoice, action];
    let closed = client.write(WHAT, &path, &[], &format!("{key}-invoice")).await;
    let is_so = async {
        let invoice = client.read(WHAT, &path[..3], &[]).await?;
        Ok(view::invoice_status(&invoice) == Some(wanted))
    };
    shared::made(closed, is_so).await
}
