//! Stripe: signed events in, charges of its invoices (or beside another billing gateway) out.
//!
//! Why here: one folder a gateway. `webhook` and `money` are pure; `client` sends; `charge` and
//! `look_up` decide what an answer means; `complete` reads what an event only points at; `manage`
//! does the rest; `history` tells what was missed; `livemode` keeps the other world's events out;
//! `view` reads Stripe's objects whatever they lack.
//!
//! What must stay true: an answer that cannot be read is never a decline; every call that changes
//! something has an idempotency key; nothing here holds state.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use super::profile::{Acknowledgement, Hosted, Idempotency, NativeRetryFacts, Profile, Proves};
use super::wire::{BuildError, Timeouts};
use super::{
    CallError, Endpoint, Gateway, GatewaySettings, HostedRequest, HostedSession, Known,
    MalformedBody, Rejection, WebhookRequest, shared,
};
use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::core::policy::Capabilities;
use crate::core::report::captures::Capture;

#[cfg(feature = "async-stripe")]
pub mod async_stripe;
mod charge;
mod client;
mod complete;
mod history;
mod kind;
mod livemode;
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

/// What any Stripe account is like.
pub fn profile() -> Profile {
    Profile {
        kind: "stripe",
        name: "Stripe",
        capabilities: capabilities(),
        idempotency: Idempotency::Header("Idempotency-Key"),
        found_by: "reading the invoice and its payments, or PaymentIntents by our attempt's id",
        hosted: Hosted::CardUpdate,
        invoice_page: true,
        proves: Proves::Body,
        acknowledgement: Acknowledgement::Json,
        query_is_signed: false,
        tells_history: true,
        // docs.stripe.com/rate-limits: 100 a second in live mode, 25 in a sandbox and for one kind
        // of request. The smallest of them leaves the rest to the merchant's own checkout.
        requests_per_second: Some(25),
        native_retries: NativeRetryFacts {
            what: "Smart Retries, on for new accounts: up to eight in two weeks",
            switch_off: Some("Dashboard → Billing → Revenue recovery → Retries"),
        },
        regions: &[],
        events: &[
            "invoice.payment_failed",
            "invoice.paid",
            "invoice.voided",
            "invoice.marked_uncollectible",
            "invoice.payment_action_required",
            "payment_intent.payment_failed",
            "payment_intent.succeeded",
            "charge.failed",
            "charge.refunded",
            "charge.dispute.created",
            "charge.dispute.closed",
            "customer.updated",
            "customer.subscription.updated",
            "customer.subscription.deleted",
            "customer.subscription.paused",
            "setup_intent.succeeded",
            "payment_method.attached",
            "payment_method.automatically_updated",
            "payment_method.detached",
        ],
        rights: &[
            "write: PaymentIntents, Invoices, Refunds, Customers, Subscriptions, Customer Portal",
            "read: Charges, Invoice Payments, Events, Payment Methods",
        ],
        unproven: &["events are readable for 30 days", "the rights of a restricted key"],
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: Vec::new(),
        native_retries_switchable: true,
        read_invoice: true,
        hosted_update: true,
        page_takes_payment: false,
        token_only: false,
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

/// A Stripe account.
#[derive(Debug)]
pub struct Stripe {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    mode: Option<livemode::Mode>,
    client: client::Client,
}

impl Stripe {
    /// The account that the settings name.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let mode = livemode::Mode::of_key(&settings.api_key);
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, profile: profile(), webhook_secrets, mode, client })
    }
}

#[async_trait]
impl Gateway for Stripe {
    shared::pure_half!();

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        let mut events = webhook::parse(request)?;
        livemode::leave_out_strangers(self.mode, request.body, &mut events);
        Ok(events)
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

    async fn check_access(&self) -> Result<String, CallError> {
        history::check_access(&self.client).await
    }

    async fn captures(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Capture>, CallError> {
        history::captures(&self.client, since, until).await
    }

    async fn endpoints(&self) -> Option<Result<Vec<Endpoint>, CallError>> {
        Some(history::endpoints(&self.client).await)
    }

    async fn known_since(&self, since: Timestamp) -> Result<Vec<Known>, CallError> {
        history::known_since(&self.client, self.profile.events, since).await
    }
}
