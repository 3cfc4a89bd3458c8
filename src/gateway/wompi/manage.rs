//! Everything at Wompi that is neither a charge nor a look-up: completing events, voiding, the
//! payment link.
//!
//! Why here: each is one or two calls that say "done" also when it was done already.
//!
//! What must stay true: an event tells what the transaction says, not what the webhook said; a
//! customer is only sent to Wompi's own page.
//!
//! Unproven: the calls that void a transaction and make a payment link, and the link's address.

use serde_json::{Value, json};

use super::client::{Client, WORDS, data_of};
use super::objects;
use super::webhook::TRANSACTION;
use crate::core::effect::{CloseOrder, RefundOrder};
use crate::core::event::Event;
use crate::core::policy::{InvoiceAction, SubscriptionAction};
use crate::gateway::amount::MAX_EXACT;
use crate::gateway::facts::{id, text};
use crate::gateway::{CallError, HostedRequest, HostedSession, cannot, reference, shared};

/// Where the customers of payment links pay.
const LINKS: &str = "https://checkout.wompi.co/l/";

/// The event, filled from the transaction that it points at.
pub(super) async fn complete(client: &Client, mut event: Event) -> Result<Event, CallError> {
    let Some(wanted) = event.needs_fetch.take() else { return Ok(event) };
    if wanted.object != TRANSACTION {
        return Ok(event);
    }
    let path = ["v1", "transactions", &wanted.id];
    let transaction = client.read("read the transaction", &path, &[]).await?;
    objects::fill(&mut event, &transaction);
    event.payment = Some(wanted.id);
    if let Some(link) = id(&transaction, "/payment_link_id") {
        event.invoice = invoice_of_link(client, &link).await?.or(event.invoice.take());
    }
    Ok(event)
}

/// A link's transactions have references of Wompi's own: the link's words name the invoice.
async fn invoice_of_link(client: &Client, link: &str) -> Result<Option<String>, CallError> {
    match client.read("read the payment link", &["v1", "payment_links", link], &[]).await {
        Ok(link) => Ok(text(&link, "/description").and_then(|words| {
            let named = reference::read(words);
            (named.invoice != words).then_some(named.invoice)
        })),
        // Without the link's words the debt would be taken for another one.
        Err(error) => Err(error),
    }
}

/// Voids a transaction. One that is void already is done.
pub(super) async fn refund(client: &Client, order: &RefundOrder) -> Result<(), CallError> {
    const WHAT: &str = "refund the charge";
    let path = ["v1", "transactions", &order.charge, "void"];
    let voided = WORDS.success(WHAT, client.post(&path, &json!({})).await);
    let is_so = async { Ok(client.read(WHAT, &path[..3], &[]).await?["status"] == "VOIDED") };
    shared::made(voided, is_so).await
}

/// A page on which the amount is paid, once, by any means.
pub(super) async fn hosted_session(
    client: &Client,
    request: &HostedRequest,
) -> Result<HostedSession, CallError> {
    const WHAT: &str = "make a payment link";
    let cents = request.amount.minor;
    if request.amount.currency.code() != "COP" || !(1..=MAX_EXACT).contains(&cents) {
        return cannot(WHAT, "Wompi charges Colombian pesos only");
    }
    let body = json!({
        "name": request.description.as_deref().unwrap_or(&request.invoice),
        "description": reference::of_link(&request.invoice, &request.idempotency_key),
        "single_use": true,
        "collect_shipping": false,
        "currency": "COP",
        "amount_in_cents": cents,
        "redirect_url": request.return_url,
    });
    let link = data_of(WHAT, client.post(&["v1", "payment_links"], &body).await)?;
    let plain = |id: &String| id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let why = "the answer has no link to send the customer to".to_owned();
    let id = id(&link, "/id").filter(plain).ok_or(CallError::Permanent { what: WHAT, why })?;
    Ok(HostedSession { url: format!("{LINKS}{id}") })
}

/// Wompi has no subscriptions and no invoices.
pub(super) fn close(order: &CloseOrder) -> Result<(), CallError> {
    let keeps =
        order.subscription_action == SubscriptionAction::Keep || order.subscription.is_none();
    match keeps && order.invoice_action == InvoiceAction::Keep {
        true => Ok(()),
        false => cannot("close the subscription", "Wompi has no subscriptions and no invoices"),
    }
}

/// Searches a transaction that is not there, which takes the private key.
pub(super) async fn check_access(client: &Client) -> Result<String, CallError> {
    let query = [("reference", "recoup-check")];
    let list: Value = client.read("search transactions", &["v1", "transactions"], &query).await?;
    match list.is_array() {
        true => Ok("transactions can be searched".to_owned()),
        false => cannot("search transactions", "the answer is no list"),
    }
}
