//! Wompi (Colombia): checksummed pointers in, charges of payment sources out.
//!
//! Why here: one folder a gateway. `webhook`, `signature` and `objects` are pure; `client` sends;
//! `charge` and `look_up` decide what an answer means; `manage` does the rest.
//!
//! What must stay true: an answer that cannot be read is never a decline; what a webhook says is
//! read again before it decides anything; nothing here holds state.

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

mod charge;
mod client;
mod look_up;
mod manage;
mod objects;
mod signature;
pub mod webhook;

/// A reference is taken once and for ever: sent again it is refused and looked up, never charged a
/// second time. No case lives as long as a year.
const KEY_WINDOW_S: u32 = 365 * 24 * 3600;

/// Twice (30 s for our own time-out + 300 s in which Wompi may still be working on a request that
/// we gave up + 120 s until a search shows it) = 900 s. Nothing is published on it.
const HORIZON_S: u32 = 2 * (30 + 300 + 120);

/// What any merchant at Wompi is like.
pub fn profile() -> Profile {
    Profile {
        kind: "wompi",
        name: "Wompi",
        capabilities: capabilities(),
        idempotency: Idempotency::UniqueReference("reference"),
        found_by: "searching transactions by `reference`, which names invoice and attempt",
        hosted: Hosted::PayByLink,
        invoice_page: false,
        proves: Proves::Pointer,
        acknowledgement: Acknowledgement::Json,
        query_is_signed: false,
        tells_history: false,
        // Wompi publishes none: a modest one of ours.
        requests_per_second: Some(20),
        native_retries: NativeRetryFacts { what: "", switch_off: None },
        regions: &["CO"],
        events: &["transaction.updated"],
        rights: &["the private key (prv_…), the events secret, the integrity secret"],
        unproven: &[
            "a payment source tells the e-mail address that a charge must name",
            "`recurrent` marks a charge without the customer",
            "a transaction is voided by POST /v1/transactions/{id}/void, only before it is settled",
            "payment links, their address and that they give back their description",
            "status_message, processor_response_code and the other details of a card",
            "how a reference that is taken is refused",
        ],
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: "COP".parse().into_iter().collect(),
        native_retries_switchable: false,
        read_invoice: false,
        hosted_update: true,
        page_takes_payment: true,
        token_only: false,
        paid_out_of_band: false,
        refund: true,
        subscriptions: false,
        pays_invoice_once: false,
        native_retries_visible: false,
        native_retry_window_s: 0,
        key_window_s: KEY_WINDOW_S,
        horizon_s: HORIZON_S,
    }
}

/// A merchant at Wompi.
#[derive(Debug)]
pub struct Wompi {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl Wompi {
    /// The merchant that the settings name.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, profile: profile(), webhook_secrets, client })
    }
}

#[async_trait]
impl Gateway for Wompi {
    shared::pure_half!();

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        manage::complete(&self.client, event).await
    }

    async fn invoice(&self, _invoice: &str) -> Result<InvoiceView, CallError> {
        cannot("read the invoice", "Wompi has no invoices")
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        charge::charge(&self.client, order).await
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        look_up::look_up(&self.client, attempt).await
    }

    async fn refund(&self, order: &RefundOrder, _key: &str) -> Result<(), CallError> {
        manage::refund(&self.client, order).await
    }

    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError> {
        manage::hosted_session(&self.client, request).await
    }

    /// A charge names its payment source: there is nothing to adopt it for.
    async fn adopt_method(&self, _order: &AdoptOrder, _key: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn mark_paid(
        &self,
        _order: &MarkPaidOrder,
        _key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        Ok(MarkPaidOutcome::Failed { why: "Wompi has no invoices".to_owned() })
    }

    async fn close(&self, order: &CloseOrder, _key: &str) -> Result<(), CallError> {
        manage::close(order)
    }

    async fn check_access(&self) -> Result<String, CallError> {
        manage::check_access(&self.client).await
    }
}
