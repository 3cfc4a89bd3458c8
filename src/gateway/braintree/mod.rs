//! Braintree: signed notifications in, charges of its subscriptions (or beside another billing
//! gateway) out.
//!
//! Why here: one folder a gateway. `webhook`, `signature`, `kind`, `objects`, `xml` and `outcome`
//! are pure; `client` sends; `charge` and `look_up` decide what is charged and what became of it;
//! `manage` does the rest.
//!
//! What must stay true: an answer that cannot be read is never a decline; Braintree knows no
//! idempotency keys, so a charge is sent once and then looked up; nothing here holds state.

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
mod countries;
mod kind;
mod look_up;
mod manage;
mod objects;
mod outcome;
mod signature;
pub mod webhook;
mod xml;

/// A merchant may set two retries of its own, each up to ten days after the one before (unproven).
const NATIVE_RETRY_WINDOW_S: u32 = 20 * 24 * 3600;

/// Twice (30 s for our own time-out + 300 s in which Braintree may still be working on a request
/// that we gave up; its own libraries wait 60 s + 300 s until a search shows it) = 1260 s.
const HORIZON_S: u32 = 2 * (30 + 300 + 300);

/// What any Braintree merchant is like.
pub fn profile() -> Profile {
    Profile {
        kind: "braintree",
        name: "Braintree",
        capabilities: capabilities(),
        idempotency: Idempotency::Reference("order_id"),
        found_by: "a search for the order id, and the transactions of the subscription",
        hosted: Hosted::Nothing,
        invoice_page: false,
        proves: Proves::Body,
        acknowledgement: Acknowledgement::Json,
        query_is_signed: false,
        tells_history: false,
        // Braintree publishes none: a modest one of ours.
        requests_per_second: Some(20),
        native_retries: NativeRetryFacts {
            what: "retries of a subscription that is past due, as often as the merchant set",
            switch_off: Some("Control Panel → Settings → Processing → Recurring Billing → Edit"),
        },
        regions: &[],
        events: EVENTS,
        rights: &[
            "a user whose role may create, search, void and refund transactions",
            "and read and change subscriptions, plans and payment methods, and read merchant \
             accounts",
        ],
        unproven: &[
            "a retried charge of a subscription keeps the order id that it was sent with",
            "an order id may be 255 characters long",
            "a stored card takes the network transaction id of another vault",
            "what a real notification carries beyond the libraries' samples",
            "where its own retries are set, and how long they go on",
            "the rights of a role",
            "how soon a search shows a new transaction",
        ],
    }
}

const EVENTS: &[&str] = &[
    "subscription_charged_successfully",
    "subscription_charged_unsuccessfully",
    "subscription_went_past_due",
    "subscription_went_active",
    "subscription_canceled",
    "subscription_expired",
    "transaction_settled",
    "transaction_settlement_declined",
    "transaction_retried",
    "dispute_opened",
    "dispute_won",
    "dispute_lost",
    "payment_method_customer_data_updated",
    "payment_method_revoked_by_customer",
];

fn capabilities() -> Capabilities {
    Capabilities {
        look_up: true,
        resend_tells: false,
        network_transaction_id: true,
        currencies: Vec::new(),
        native_retries_switchable: true,
        read_invoice: true,
        hosted_update: false,
        page_takes_payment: false,
        token_only: false,
        paid_out_of_band: false,
        refund: true,
        subscriptions: true,
        pays_invoice_once: false,
        native_retries_visible: false,
        native_retry_window_s: NATIVE_RETRY_WINDOW_S,
        // No key is ever recognised: what was sent is not sent again.
        key_window_s: 0,
        horizon_s: HORIZON_S,
    }
}

/// A Braintree merchant.
#[derive(Debug)]
pub struct Braintree {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl Braintree {
    /// The merchant that the settings name. The pair of API keys verifies the webhooks; further
    /// pairs (`PUBLIC:PRIVATE`), while one is replaced, are webhook secrets.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, api_key, public_key, webhook_secrets, .. } = settings;
        let own = public_key.map(|public| signature::pair(&public, &api_key));
        let webhook_secrets = own.into_iter().chain(webhook_secrets).collect();
        Ok(Self { id, profile: profile(), webhook_secrets, client })
    }
}

#[async_trait]
impl Gateway for Braintree {
    shared::pure_half!();

    fn answer_challenge(&self, query: &str) -> Option<Result<String, Rejection>> {
        Some(signature::answer_challenge(query, &self.webhook_secrets))
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
    }

    /// The whole body is signed, and nothing more is read before it is applied.
    async fn complete(&self, mut event: Event) -> Result<Event, CallError> {
        event.needs_fetch = None;
        Ok(event)
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

    async fn refund(&self, order: &RefundOrder, _key: &str) -> Result<(), CallError> {
        manage::refund(&self.client, order).await
    }

    async fn hosted_session(&self, _request: &HostedRequest) -> Result<HostedSession, CallError> {
        cannot("open a page for the customer", "Braintree hosts none: the merchant's own is needed")
    }

    async fn adopt_method(&self, order: &AdoptOrder, _key: &str) -> Result<(), CallError> {
        manage::adopt_method(&self.client, order).await
    }

    async fn mark_paid(
        &self,
        _order: &MarkPaidOrder,
        _key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        Ok(manage::mark_paid())
    }

    async fn close(&self, order: &CloseOrder, _key: &str) -> Result<(), CallError> {
        manage::close(&self.client, order).await
    }

    async fn check_access(&self) -> Result<String, CallError> {
        manage::check_access(&self.client).await
    }
}
