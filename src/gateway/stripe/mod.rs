//! Stripe: signed events in, charges of its invoices (or beside another billing gateway) out.
//!
//! Why here: one folder a gateway. `webhook` and `money` are pure; `client` sends; `charge` and
//! `look_up` decide what an answer means; `complete` reads what an event only points at; `manage`
//! does the rest; `view` reads Stripe's objects whatever they lack.
//!
//! What must stay true: an answer that cannot be read is never a decline; every call that changes
//! something has an idempotency key; nothing here holds state.

use async_trait::async_trait;
use secrecy::SecretString;

use super::wire::{BuildError, Timeouts};
use super::{
    CallError, Gateway, GatewaySettings, HostedRequest, HostedSession, MalformedBody, Rejection,
    WebhookRequest,
};
use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::core::policy::Capabilities;

#[cfg(feature = "async-stripe")]
pub mod async_stripe;
mod charge;
mod client;
mod complete;
mod kind;
mod look_up;
mod manage;
pub mod money;
mod objects;
mod refusal;
mod signature;
mod view;
pub mod webhook;

pub use client::API_VERSION;

/// Smart Retries are recommended at eight tries in two weeks, and on by default. A merchant may
/// choose up to two months; then the event says so with its date.
const NATIVE_RETRY_WINDOW_S: u32 = 14 * 24 * 3600;

/// Stripe may forget a key once it is 24 hours old, and then the call runs again. The hour less is
/// for clocks that differ and for a request that waits on the way.
const KEY_WINDOW_S: u32 = 23 * 3600;

/// Twice (30 s for our own time-out + 300 s in which Stripe may still be working on a request that
/// we gave up + 120 s until a read shows it) = 900 s.
const HORIZON_S: u32 = 2 * (30 + 300 + 120);

/// A Stripe account.
#[derive(Debug)]
pub struct Stripe {
    id: GatewayId,
    capabilities: Capabilities,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl Stripe {
    /// The account that the settings name.
    pub fn new(settings: GatewaySettings) -> Result<Self, BuildError> {
        Self::with_timeouts(settings, Timeouts::default())
    }

    /// As [`Stripe::new`], with other time-outs.
    pub fn with_timeouts(
        settings: GatewaySettings,
        timeouts: Timeouts,
    ) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, capabilities: Self::what_it_can_do(), webhook_secrets, client })
    }

    /// What any Stripe account can do.
    pub fn what_it_can_do() -> Capabilities {
        Capabilities {
            look_up: true,
            read_invoice: true,
            hosted_update: true,
            paid_out_of_band: true,
            refund: true,
            subscriptions: true,
            pays_invoice_once: true,
            native_retries_visible: true,
            native_retry_window_s: NATIVE_RETRY_WINDOW_S,
            key_window_s: KEY_WINDOW_S,
            horizon_s: HORIZON_S,
        }
    }
}

#[async_trait]
impl Gateway for Stripe {
    fn id(&self) -> &GatewayId {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "stripe"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection> {
        webhook::verify(request, &self.webhook_secrets)
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
    }

    fn classify(&self, raw: &RawDecline) -> Decline {
        webhook::classify(raw)
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        complete::complete(&self.client, event).await
    }

    async fn invoice(&self, invoice: &str) -> Result<InvoiceView, CallError> {
        manage::invoice(&self.client, invoice).await
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        charge::charge(&self.client, order).await
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        look_up::look_up(&self.client, attempt).await
    }

    async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError> {
        manage::refund(&self.client, order, key).await
    }

    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError> {
        manage::hosted_session(&self.client, request).await
    }

    async fn adopt_method(&self, order: &AdoptOrder, key: &str) -> Result<(), CallError> {
        manage::adopt_method(&self.client, order, key).await
    }

    async fn mark_paid(
        &self,
        order: &MarkPaidOrder,
        key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        manage::mark_paid(&self.client, order, key).await
    }

    async fn close(&self, order: &CloseOrder, key: &str) -> Result<(), CallError> {
        manage::close(&self.client, order, key).await
    }
}
