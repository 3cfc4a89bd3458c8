//! The `http` gateway: any payment system, by a small protocol.
//!
//! Why here: a merchant whose payment system recoup does not know writes these few routes in front
//! of it. `webhook` is pure; `client` sends; `outcome` says what an answer means for an attempt.
//!
//! What must stay true: an answer that cannot be read is never a decline; every call that changes
//! something has an idempotency key.

use async_trait::async_trait;
use secrecy::SecretString;

use super::profile::Profile;
use super::wire::{BuildError, Timeouts};
use super::{
    CallError, Gateway, GatewaySettings, HostedRequest, HostedSession, MalformedBody, Rejection,
    WebhookRequest, shared,
};
use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::core::policy::Capabilities;

mod client;
mod outcome;
mod signature;
pub mod webhook;

/// The protocol asks for keys that are kept; a day is what most systems behind it keep them for.
const KEY_WINDOW_S: u32 = 24 * 3600;

/// Twice (30 s for our own time-out + 240 s in which the system behind may still be working + 30 s
/// until a read shows it) = 600 s.
const HORIZON_S: u32 = 2 * (30 + 240 + 30);

/// What the protocol is like. It has no read of an invoice, and no retries of its own that it would
/// not announce (`next_native_attempt_at`).
pub fn profile() -> Profile {
    Profile {
        events: &[
            "invoice.payment_failed",
            "invoice.paid",
            "invoice.voided",
            "invoice.refunded",
            "subscription.cancelled",
            "payment_method.updated",
            "payment.disputed",
            "charge.updated",
        ],
        found_by: "`GET /charges?idempotency_key=…`",
        ..Profile::plain("http", "any, by the http protocol", capabilities())
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: Vec::new(),
        native_retries_switchable: false,
        read_invoice: false,
        hosted_update: true,
        page_takes_payment: false,
        token_only: false,
        paid_out_of_band: true,
        refund: true,
        subscriptions: true,
        pays_invoice_once: false,
        native_retries_visible: true,
        native_retry_window_s: 0,
        key_window_s: KEY_WINDOW_S,
        horizon_s: HORIZON_S,
    }
}

/// A payment system that speaks recoup's protocol.
#[derive(Debug)]
pub struct HttpGateway {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl HttpGateway {
    /// The system that the settings name; `api_base` must be there.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, profile: profile(), webhook_secrets, client })
    }
}

#[async_trait]
impl Gateway for HttpGateway {
    shared::pure_half!();

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
    }

    /// The protocol's events are whole: there is nothing to fetch.
    async fn complete(&self, mut event: Event) -> Result<Event, CallError> {
        event.needs_fetch = None;
        Ok(event)
    }

    async fn invoice(&self, _invoice: &str) -> Result<InvoiceView, CallError> {
        let why = "the http protocol has no read of an invoice".to_owned();
        Err(CallError::Permanent { what: "read the invoice", why })
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        self.client.charge(order).await
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        self.client.look_up(attempt).await
    }

    async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError> {
        self.client.refund(order, key).await
    }

    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError> {
        self.client.hosted_session(request).await
    }

    /// The protocol's card-update session makes the new method the one that is charged: there is
    /// nothing left to do.
    async fn adopt_method(&self, _order: &AdoptOrder, _key: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn mark_paid(
        &self,
        order: &MarkPaidOrder,
        key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        self.client.mark_paid(order, key).await
    }

    async fn close(&self, order: &CloseOrder, key: &str) -> Result<(), CallError> {
        self.client.close(order, key).await
    }
}
