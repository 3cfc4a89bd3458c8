//! Everything at Mercado Pago that is neither a charge nor a look-up: refunds, pages for the
//! customer, the subscription's card, closing, and what an instalment looks like now.
//!
//! Why here: each is one or two calls that say "done" also when it was done already.
//!
//! What must stay true: a call that is repeated with its key changes nothing twice; a customer is
//! only sent to an address of the web.

use serde_json::{Value, json};

use super::client::{Client, WORDS};
use super::complete::read_instalment;
use super::{look_up, money};
use crate::core::effect::{AdoptOrder, CloseOrder, InvoiceStatus, InvoiceView, RefundOrder};
use crate::core::policy::{InvoiceAction, SubscriptionAction};
use crate::gateway::facts::{count, id, text};
use crate::gateway::{CallError, HostedRequest, HostedSession, cannot, reference, shared};

/// The debt as it is now: an instalment by its id, else the payments with this reference.
pub(super) async fn invoice(client: &Client, invoice: &str) -> Result<InvoiceView, CallError> {
    if invoice.bytes().all(|b| b.is_ascii_digit()) {
        match read_instalment(client, invoice).await {
            Ok(instalment) => return Ok(view_of(&instalment)),
            Err(error) if error.is_transient() => return Err(error),
            // A number of the merchant's own.
            Err(_) => {}
        }
    }
    let payments = look_up::by_reference(client, invoice).await?;
    let paid = payments.iter().any(|payment| payment["status"] == "approved");
    Ok(InvoiceView {
        status: if paid { InvoiceStatus::Paid } else { InvoiceStatus::Open },
        amount_remaining: None,
        paid_out_of_band: false,
        next_native_attempt_at: None,
        attempt_count: None,
    })
}

fn view_of(instalment: &Value) -> InvoiceView {
    let status = match (text(instalment, "/payment/status"), text(instalment, "/status")) {
        (Some("approved"), _) => InvoiceStatus::Paid,
        (_, Some("cancelled")) => InvoiceStatus::Void,
        _ => InvoiceStatus::Open,
    };
    let open = status == InvoiceStatus::Open;
    InvoiceView {
        status,
        amount_remaining: money::amount(instalment, "/transaction_amount").filter(|_| open),
        paid_out_of_band: false,
        next_native_attempt_at: None,
        attempt_count: count(instalment, "/retry_attempt").and_then(|n| n.checked_add(1)),
    }
}

/// Gives a payment back whole. One that is given back already is done.
pub(super) async fn refund(
    client: &Client,
    order: &RefundOrder,
    key: &str,
) -> Result<(), CallError> {
    const WHAT: &str = "refund the charge";
    let path = ["v1", "payments", &order.charge, "refunds"];
    let sent = WORDS.object(WHAT, client.post(&path, &json!({}), key).await);
    let given = sent.and_then(|refund| match text(&refund, "/status") {
        Some(status @ ("rejected" | "cancelled")) => {
            Err(CallError::Permanent { what: WHAT, why: format!("the refund is {status}") })
        }
        _ => Ok(()),
    });
    let is_so = async { Ok(client.read(WHAT, &path[..3], &[]).await?["status"] == "refunded") };
    shared::made(given, is_so).await
}

/// The subscription's own page, where a card is given for it; without a living subscription a page
/// on which the amount is paid with any card.
pub(super) async fn hosted_session(
    client: &Client,
    request: &HostedRequest,
) -> Result<HostedSession, CallError> {
    const WHAT: &str = "open the subscription's page";
    if let Some(subscription) = &request.subscription {
        let preapproval = client.read(WHAT, &["preapproval", subscription], &[]).await?;
        if text(&preapproval, "/status") != Some("cancelled") {
            return shared::session(WHAT, text(&preapproval, "/init_point"));
        }
    }
    pay_by_link(client, request).await
}

async fn pay_by_link(client: &Client, request: &HostedRequest) -> Result<HostedSession, CallError> {
    const WHAT: &str = "make a pay-by-link";
    let Some(price) = money::to_number(request.amount) else {
        return cannot(WHAT, "the amount cannot be written exactly");
    };
    let title = request.description.as_deref().unwrap_or(&request.invoice);
    let back = &request.return_url;
    let body = json!({
        "items": [{
            "title": title, "quantity": 1, "unit_price": price,
            "currency_id": request.amount.currency.code(),
        }],
        "external_reference": reference::of_link(&request.invoice, &request.idempotency_key),
        "back_urls": { "success": back, "pending": back, "failure": back },
    });
    let path = ["checkout", "preferences"];
    let sent = client.post(&path, &body, &request.idempotency_key).await;
    shared::session(WHAT, text(&WORDS.object(WHAT, sent)?, "/init_point"))
}

/// Makes a saved card the one that the subscription is charged by. Without a subscription there is
/// no such field: a charge names its card.
pub(super) async fn adopt_method(
    client: &Client,
    order: &AdoptOrder,
    key: &str,
) -> Result<(), CallError> {
    const WHAT: &str = "adopt the new payment method";
    let Some(subscription) = &order.subscription else { return Ok(()) };
    let sent = client.card_token(&order.customer, &order.token, key).await;
    let Some(token) = id(&WORDS.object(WHAT, sent)?, "/id") else {
        let why = "the card token cannot be read".to_owned();
        return Err(CallError::Transient { what: WHAT, why });
    };
    let body = json!({ "card_token_id": token });
    let sent = client.put(&["preapproval", subscription], &body).await;
    WORDS.success(WHAT, sent).map(drop)
}

/// Pauses or cancels the subscription. Mercado Pago has no call that ends an instalment: the
/// operator is told, after the subscription's part is done.
pub(super) async fn close(client: &Client, order: &CloseOrder) -> Result<(), CallError> {
    let status = match order.subscription_action {
        SubscriptionAction::Keep => None,
        SubscriptionAction::Pause => Some("paused"),
        SubscriptionAction::Cancel => Some("cancelled"),
    };
    if let Some((id, status)) = order.subscription.as_deref().zip(status) {
        set_status(client, id, status).await?;
    }
    match order.invoice_action {
        InvoiceAction::Keep => Ok(()),
        _ => cannot("close the invoice", "Mercado Pago has no call that ends an instalment"),
    }
}

/// A subscription that is so already may refuse to be set so: then it is read.
async fn set_status(client: &Client, id: &str, status: &str) -> Result<(), CallError> {
    const WHAT: &str = "close the subscription";
    let path = ["preapproval", id];
    let sent = client.put(&path, &json!({ "status": status })).await;
    let is_so = async { Ok(client.read(WHAT, &path, &[]).await?["status"] == status) };
    shared::made(WORDS.success(WHAT, sent), is_so).await
}

/// Reads whose account it is.
pub(super) async fn check_access(client: &Client) -> Result<String, CallError> {
    let account = client.read("read the account", &["users", "me"], &[]).await?;
    let (id, site) = (id(&account, "/id"), text(&account, "/site_id"));
    let currency = site.and_then(money::currency_of_site).map_or("unknown", |c| c.code());
    let id = id.unwrap_or_else(|| "without a number".to_owned());
    Ok(format!("account {id} of {}, charging in {currency}", site.unwrap_or("an unknown site")))
}
