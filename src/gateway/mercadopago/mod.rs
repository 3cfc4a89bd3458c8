//! Mercado Pago: signed pointers in, charges of saved cards out.
//!
//! Why here: one folder a gateway. `webhook`, `signature`, `objects` and `money` are pure; `client`
//! sends; `charge` and `look_up` decide what an answer means; `complete` reads what an event points
//! at; `manage` does the rest.
//!
//! What must stay true: an answer that cannot be read is never a decline; nothing of a webhook but
//! its id is believed; nothing here holds state.

use async_trait::async_trait;
use secrecy::SecretString;

use super::profile::{Acknowledgement, Hosted, Idempotency, NativeRetryFacts, Profile, Proves};
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

mod charge;
mod client;
mod complete;
mod look_up;
mod manage;
mod money;
mod objects;
mod signature;
pub mod webhook;

/// A refused instalment is tried up to four times more. Over how long is in no source that was
/// read; ten days is what is said of it.
const NATIVE_RETRY_WINDOW_S: u32 = 10 * 24 * 3600;

/// A charge is never sent again to find out what became of it: its card token, which is good for
/// one use, makes every send another body under the same key.
const KEY_WINDOW_S: u32 = 0;

/// Twice (30 s for our own time-out + 300 s in which Mercado Pago may still be working on a request
/// that we gave up + 300 s until the search shows it) = 1260 s. Nothing is published on either, so
/// both are taken long.
const HORIZON_S: u32 = 2 * (30 + 300 + 300);

/// What any account of Mercado Pago is like.
pub fn profile() -> Profile {
    Profile {
        kind: "mercadopago",
        name: "Mercado Pago",
        capabilities: capabilities(),
        idempotency: Idempotency::Header("X-Idempotency-Key"),
        found_by: "searching payments by `external_reference`, which names invoice and attempt",
        hosted: Hosted::CardUpdate,
        invoice_page: false,
        proves: Proves::Pointer,
        acknowledgement: Acknowledgement::Json,
        query_is_signed: true,
        tells_history: false,
        // Mercado Pago publishes none: a modest one of ours.
        requests_per_second: Some(20),
        native_retries: NativeRetryFacts {
            what: "a refused instalment of a subscription is tried up to four times more; after \
                   three refused instalments the subscription is cancelled",
            switch_off: None,
        },
        regions: &["AR", "BR", "CL", "CO", "MX", "PE", "UY"],
        events: &[
            "payment",
            "subscription_authorized_payment",
            "subscription_preapproval",
            "topic_chargebacks_wh",
            "automatic-payments",
        ],
        rights: &["the production Access Token of the application that owns the subscriptions"],
        unproven: &[
            "an id with letters is signed in lower case",
            "the list of a payment's states (in_mediation, charged_back and their details)",
            "a saved card is charged without its security code only where the account is enabled",
            "the currency of a charge is the one of the account's country",
            "the instalment's own retries end within ten days",
            "a chargeback is decided when `coverage_applied` is set",
            "how long a payment takes until the search shows it",
        ],
    }
}

/// `read_invoice` stays off although [`Gateway::invoice`] answers: to the core it also means that
/// an invoice can be charged without naming a card, which Mercado Pago cannot.
fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: false,
        currencies: money::currencies(),
        native_retries_switchable: false,
        read_invoice: true,
        hosted_update: true,
        page_takes_payment: true,
        token_only: true,
        paid_out_of_band: false,
        refund: true,
        subscriptions: true,
        pays_invoice_once: false,
        native_retries_visible: true,
        native_retry_window_s: NATIVE_RETRY_WINDOW_S,
        key_window_s: KEY_WINDOW_S,
        horizon_s: HORIZON_S,
    }
}

/// An account of Mercado Pago.
#[derive(Debug)]
pub struct MercadoPago {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl MercadoPago {
    /// The account that the settings name.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, profile: profile(), webhook_secrets, client })
    }
}

#[async_trait]
impl Gateway for MercadoPago {
    shared::pure_half!();

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
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
        _order: &MarkPaidOrder,
        _key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        let why = "Mercado Pago has no call that marks an instalment as paid elsewhere".to_owned();
        Ok(MarkPaidOutcome::Failed { why })
    }

    async fn close(&self, order: &CloseOrder, _key: &str) -> Result<(), CallError> {
        manage::close(&self.client, order).await
    }

    async fn check_access(&self) -> Result<String, CallError> {
        manage::check_access(&self.client).await
    }
}
