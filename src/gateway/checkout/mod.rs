//! Checkout.com: signed events in, merchant-initiated payments with a stored card out.
//!
//! Why here: one folder a gateway. `webhook` and what it is made of (`signature`, `objects`,
//! `naming`, `money`) are pure; `client` sends; `outcome` decides what an answer means; `look_up`
//! finds an attempt again.
//!
//! What must stay true: an answer that cannot be read is never a decline; a charge is never sent
//! twice, since a key is kept only with an answer of success.
//!
//! Unproven, see [`profile`]: nothing here was tried against Checkout.com itself.

use async_trait::async_trait;
use secrecy::SecretString;

use super::profile::{Acknowledgement, Hosted, Idempotency, NativeRetryFacts, Profile, Proves};
use super::wire::{BuildError, Timeouts};
use super::{
    CallError, Gateway, GatewaySettings, HostedRequest, HostedSession, MalformedBody, Rejection,
    WebhookRequest, cannot, shared,
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
mod look_up;
mod money;
mod naming;
mod objects;
mod outcome;
mod signature;
pub mod webhook;

/// Checkout.com keeps a key for 24 hours, but only with an answer of success: a charge that took
/// effect behind a 5xx would be made again. So nothing is ever sent twice; the reference finds it.
const KEY_WINDOW_S: u32 = 0;

/// Twice (30 s for our own time-out + 300 s in which Checkout.com may still be working on a request
/// that we gave up + 600 s until the list of payments, a beta without a stated lag, shows it) =
/// 1860 s.
const HORIZON_S: u32 = 2 * (30 + 300 + 600);

/// What any Checkout.com account is like.
pub fn profile() -> Profile {
    Profile {
        kind: "checkout",
        name: "Checkout.com",
        capabilities: capabilities(),
        idempotency: Idempotency::Header(client::KEY_HEADER),
        found_by: "its reference, `GET /payments?reference=…`",
        hosted: Hosted::PayByLink,
        invoice_page: false,
        proves: Proves::Body,
        acknowledgement: Acknowledgement::Json,
        query_is_signed: false,
        tells_history: false,
        // checkout.com/docs/resources/api-rate-limits: 100 reads and 100 writes a second for the
        // whole account. Half of that leaves the rest to the merchant's own checkout.
        requests_per_second: Some(50),
        native_retries: NativeRetryFacts {
            what: "Smart Dunning and downtime retries, where the account or the payment asks for \
                   them",
            switch_off: Some("the account manager, for the whole account; recoup asks for none"),
        },
        regions: &[],
        events: &[
            "payment_declined",
            "payment_approved",
            "payment_captured",
            "payment_capture_declined",
            "payment_pending",
            "payment_authentication_failed",
            "payment_canceled",
            "payment_expired",
            "payment_voided",
            "payment_returned",
            "payment_retry_scheduled",
            "payment_refunded",
            "dispute_received",
            "dispute_evidence_required",
            "dispute_accepted",
            "dispute_canceled",
            "dispute_expired",
            "dispute_lost",
            "dispute_resolved",
            "dispute_won",
        ],
        rights: &["gateway:payment", "gateway:payment-details", "gateway:payment-refunds", "vault"],
        unproven: &[
            "a live account's own address, with a prefix",
            "80 characters of a reference instead of 50, and 30 with American Express",
            "the lag of the list of payments",
            "the bodies of refunds, disputes, scheduled retries and the card updater",
            "`partner_response_code` as the issuer's code",
            "the scopes of a key",
        ],
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: true,
        currencies: Vec::new(),
        native_retries_switchable: true,
        read_invoice: false,
        hosted_update: true,
        page_takes_payment: true,
        token_only: false,
        paid_out_of_band: false,
        refund: true,
        subscriptions: false,
        pays_invoice_once: false,
        native_retries_visible: true,
        native_retry_window_s: 0,
        key_window_s: KEY_WINDOW_S,
        horizon_s: HORIZON_S,
    }
}

/// A Checkout.com account.
#[derive(Debug)]
pub struct Checkout {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl Checkout {
    /// The account that the settings name; `account` is its processing channel.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, profile: profile(), webhook_secrets, client })
    }
}

#[async_trait]
impl Gateway for Checkout {
    shared::pure_half!();

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
    }

    /// The body is signed whole: there is nothing to fetch.
    async fn complete(&self, mut event: Event) -> Result<Event, CallError> {
        event.needs_fetch = None;
        Ok(event)
    }

    async fn invoice(&self, _invoice: &str) -> Result<InvoiceView, CallError> {
        cannot("read the invoice", "Checkout.com has no invoices")
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        self.client.charge(order).await
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        look_up::look_up(&self.client, attempt).await
    }

    async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError> {
        self.client.refund(order, key).await
    }

    /// The page takes the amount with any card, and authenticates: it serves both purposes.
    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError> {
        self.client.payment_link(request).await
    }

    /// Checkout.com has no subscriptions: which card is charged next, the merchant's own billing
    /// decides.
    async fn adopt_method(&self, _order: &AdoptOrder, _key: &str) -> Result<(), CallError> {
        cannot("adopt the new payment method", "the merchant's own billing chooses the card")
    }

    async fn mark_paid(
        &self,
        _order: &MarkPaidOrder,
        _key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        Ok(MarkPaidOutcome::Failed { why: "Checkout.com has no invoices".to_owned() })
    }

    async fn close(&self, order: &CloseOrder, _key: &str) -> Result<(), CallError> {
        shared::close_nothing(order, "Checkout.com has neither subscriptions nor invoices")
    }

    async fn check_access(&self) -> Result<String, CallError> {
        self.client.payments("read the list of payments", "recoup-access-check").await?;
        Ok("the list of payments can be read".to_owned())
    }
}
