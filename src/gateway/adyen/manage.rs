//! Everything at Adyen that is not a charge: refunds, the pay-by-link, the check of the key.
//!
//! Why here: each is one call.
//!
//! What must stay true: a call that is repeated with its key changes nothing twice; a link is for
//! the amount that is owed, and names the invoice.

use serde_json::json;

use super::client::{Client, WORDS};
use super::money;
use crate::core::effect::{CloseOrder, RefundOrder};
use crate::gateway::facts::text;
use crate::gateway::{CallError, HostedRequest, HostedSession, cannot, reference, shared};

/// The longest description that Adyen takes.
const DESCRIPTION_MAX: usize = 280;

/// Gives a payment back whole. Adyen only takes the request here; what came of it, a webhook tells.
pub(super) async fn refund(
    client: &Client,
    order: &RefundOrder,
    key: &str,
) -> Result<(), CallError> {
    const WHAT: &str = "refund the charge";
    let Some(amount) = money::write(order.amount) else {
        return cannot(WHAT, "Adyen cannot express this amount");
    };
    let body = json!({ "amount": amount, "reference": key });
    let sent = client.post(&["payments", &order.charge, "refunds"], body, key).await;
    WORDS.success(WHAT, sent).map(drop)
}

/// A page of Adyen's where what is owed is paid with any card, which is stored for what comes.
pub(super) async fn hosted_session(
    client: &Client,
    request: &HostedRequest,
) -> Result<HostedSession, CallError> {
    const WHAT: &str = "open a pay-by-link";
    let Some(amount) = money::write(request.amount) else {
        return cannot(WHAT, "Adyen cannot express this amount");
    };
    let mut body = json!({
        "amount": amount,
        "reference": reference::of_link(&request.invoice, &request.idempotency_key),
        "shopperReference": request.customer,
        "storePaymentMethodMode": "enabled",
        "recurringProcessingModel": "Subscription",
        "returnUrl": request.return_url,
    });
    if let Some(words) = &request.description {
        body["description"] = json!(words.chars().take(DESCRIPTION_MAX).collect::<String>());
    }
    let sent = client.post(&["paymentLinks"], body, &request.idempotency_key).await;
    let link = WORDS.object(WHAT, sent)?;
    shared::session(WHAT, text(&link, "/url"))
}

/// Adyen has neither subscriptions nor invoices: they are the merchant's own.
pub(super) fn close(order: &CloseOrder) -> Result<(), CallError> {
    shared::close_nothing(order, "Adyen has no subscriptions and no invoices: they are yours")
}

/// Asks which means of payment there are.
pub(super) async fn check_access(client: &Client) -> Result<String, CallError> {
    let sent = client.ask(&["paymentMethods"], json!({})).await;
    let answer = WORDS.object("ask for the payment methods", sent)?;
    let count = answer["paymentMethods"].as_array().map_or(0, Vec::len);
    Ok(format!("the account {} has {count} payment methods", client.account))
}
