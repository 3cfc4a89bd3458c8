//! Completing Mercado Pago's events, every one of which only points at what happened.
//!
//! Why here: the webhook's body is not signed, and holds an id. What is read through the API with
//! our own key is what happened, whoever sent the webhook.
//!
//! What must stay true: one debt is one invoice: the payment of an instalment is told under the
//! instalment's id, never under the reference that all instalments of a subscription share; what
//! cannot be read stays unknown, and decides nothing.

use serde_json::Value;

use super::client::{Client, results};
use super::objects;
use super::webhook::{CARD, CHARGEBACK, INSTALMENT, PAYMENT, PREAPPROVAL};
use crate::core::event::{Event, EventKind};
use crate::gateway::CallError;
use crate::gateway::facts::id;

/// The event, filled from the object that it points at.
pub(super) async fn complete(client: &Client, mut event: Event) -> Result<Event, CallError> {
    let Some(wanted) = event.needs_fetch.take() else { return Ok(event) };
    match wanted.object.as_str() {
        PAYMENT => from_payment(client, &mut event, &wanted.id).await?,
        INSTALMENT => from_instalment(client, &mut event, &wanted.id).await?,
        CHARGEBACK => from_chargeback(client, &mut event, &wanted.id).await?,
        CARD => from_card(client, &mut event, &wanted.id).await?,
        PREAPPROVAL => {
            let path = ["preapproval", &wanted.id];
            let preapproval = client.read("read the subscription", &path, &[]).await?;
            objects::fill_from_preapproval(&mut event, &preapproval);
        }
        _ => {}
    }
    Ok(event)
}

/// A payment; where it pays an instalment of a subscription, what the instalment says of it.
async fn from_payment(client: &Client, event: &mut Event, id: &str) -> Result<(), CallError> {
    let payment = read_payment(client, id).await?;
    objects::fill_from_payment(event, &payment);
    let subscription = objects::subscription_of(&payment).filter(|_| !objects::is_ours(&payment));
    if subscription.is_some() {
        event.invoice = None;
        let told = event.kind;
        let instalment = instalment_of(client, id).await?;
        lay_over(event, &instalment);
        if event.payment.as_deref() != Some(id) {
            // The instalment has moved on to another payment: this one is history.
            event.kind = if told == EventKind::PaymentFailed { EventKind::Other } else { told };
            event.payment = Some(id.to_owned());
        }
    }
    Ok(())
}

/// What the payment tells stays, what the instalment tells of the debt is laid over it. Money that
/// was given or taken back is told by the payment alone: the instalment stays paid.
fn lay_over(event: &mut Event, instalment: &Value) {
    let (kind, customer) = (event.kind, event.customer.clone());
    objects::fill_from_instalment(event, instalment);
    let taken_back = matches!(kind, EventKind::Refunded | EventKind::Disputed);
    let decided = matches!(event.kind, EventKind::PaymentFailed | EventKind::PaymentSucceeded);
    if taken_back || !decided {
        event.kind = kind;
    }
    event.customer = event.customer.take().or(customer);
}

async fn read_payment(client: &Client, id: &str) -> Result<Value, CallError> {
    client.read("read the payment", &["v1", "payments", id], &[]).await
}

/// The instalment that a payment pays. It may be found a little later than the payment.
async fn instalment_of(client: &Client, payment: &str) -> Result<Value, CallError> {
    const WHAT: &str = "find the payment's instalment";
    let path = ["authorized_payments", "search"];
    let list = client.read(WHAT, &path, &[("payment_id", payment)]).await?;
    let found = results(&list).and_then(<[Value]>::first).cloned();
    let why = "the subscription's instalment is not there yet".to_owned();
    found.ok_or(CallError::Transient { what: WHAT, why })
}

/// An instalment. It names no card, so after a failure its payment is read too; a payment that is
/// not ours to read must not stop a case.
async fn from_instalment(client: &Client, event: &mut Event, id: &str) -> Result<(), CallError> {
    let instalment = read_instalment(client, id).await?;
    objects::fill_from_instalment(event, &instalment);
    event.invoice = Some(id.to_owned());
    let failed = event.kind == EventKind::PaymentFailed;
    let Some(payment) = event.payment.clone().filter(|_| failed) else { return Ok(()) };
    match read_payment(client, &payment).await {
        Ok(payment) => {
            let mut told = Event::new(event.id.clone(), event.kind);
            objects::fill_from_payment(&mut told, &payment);
            event.payment_method = told.payment_method;
            event.contact = told.contact;
            event.customer = event.customer.take().or(told.customer);
            Ok(())
        }
        Err(error) if error.is_transient() => Err(error),
        Err(_) => Ok(()),
    }
}

/// The instalment (`authorized_payment`) of a subscription.
pub(super) async fn read_instalment(client: &Client, id: &str) -> Result<Value, CallError> {
    client.read("read the instalment", &["authorized_payments", id], &[]).await
}

/// A chargeback, and the payment that it takes back.
async fn from_chargeback(
    client: &Client,
    event: &mut Event,
    chargeback: &str,
) -> Result<(), CallError> {
    let path = ["v1", "chargebacks", chargeback];
    let chargeback = client.read("read the chargeback", &path, &[]).await?;
    if let Some(payment) = id(&chargeback, "/payments/0") {
        from_payment(client, event, &payment).await?;
    }
    objects::fill_from_chargeback(event, &chargeback);
    Ok(())
}

/// A card that was brought up to date. Customer and card come from the unsigned body: only what the
/// account's own customer really has is told.
async fn from_card(client: &Client, event: &mut Event, card: &str) -> Result<(), CallError> {
    let Some(customer) = event.customer.clone() else { return Ok(()) };
    let path = ["v1", "customers", &customer, "cards", card];
    let card = client.read("read the card", &path, &[]).await;
    if card.is_err() {
        event.customer = None;
    }
    objects::fill_from_card(event, &card?);
    Ok(())
}
