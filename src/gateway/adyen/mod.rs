//! Adyen: signed notifications in, charges of stored cards out.
//!
//! Why here: one folder a gateway. `webhook`, `event`, `refusal`, `signature` and `money` are pure;
//! `client` sends; `charge` decides what an answer means; `manage` does the rest.
//!
//! Adyen has no subscriptions and no invoices: the merchant's reference of a payment stands for the
//! invoice. It has no look-up by reference either: what became of an attempt is found by sending
//! the same request again under its key, which Adyen answers as it did the first time.
//!
//! What must stay true: an answer that cannot be read is never a decline; every call that changes
//! something has an idempotency key; nothing here holds state.

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
mod event;
mod manage;
mod money;
mod refusal;
mod signature;
pub mod webhook;

/// Auto Rescue's window is a calendar month, unless a payment names another.
const NATIVE_RETRY_WINDOW_S: u32 = 31 * 24 * 3600;

/// Adyen's pages have given a week and a month as the least that a key is kept for; a day less an
/// hour, for clocks that differ and for a request that waits on the way, is within both.
const KEY_WINDOW_S: u32 = 23 * 3600;

/// Twice (30 s for our own time-out + 300 s in which Adyen may still be working on a request that
/// we gave up + nothing for a look-up, which there is not) = 660 s. "Not found" is never answered.
const HORIZON_S: u32 = 2 * (30 + 300);

/// What any merchant account is like.
pub fn profile() -> Profile {
    Profile {
        kind: "adyen",
        name: "Adyen",
        capabilities: capabilities(),
        idempotency: Idempotency::Header("Idempotency-Key"),
        found_by: "sending the same request again under its key",
        hosted: Hosted::PayByLink,
        invoice_page: false,
        proves: Proves::SomeFields,
        acknowledgement: Acknowledgement::Text("[accepted]"),
        query_is_signed: false,
        tells_history: false,
        // Adyen publishes none for payments: a modest one of ours.
        requests_per_second: Some(20),
        native_retries: NativeRetryFacts {
            what: "Auto Rescue, where Adyen has switched it on: retries within a month",
            switch_off: Some("Adyen's support, who switched it on; or never send `autoRescue`"),
        },
        regions: &[],
        events: &[
            "AUTHORISATION",
            "AUTORESCUE",
            "CANCEL_AUTORESCUE",
            "CAPTURE_FAILED",
            "CANCELLATION",
            "CANCEL_OR_REFUND",
            "REFUND",
            "REFUND_FAILED",
            "REQUEST_FOR_INFORMATION",
            "NOTIFICATION_OF_CHARGEBACK",
            "CHARGEBACK",
            "CHARGEBACK_REVERSED",
            "SECOND_CHARGEBACK",
            "RECURRING_CONTRACT",
            "recurring.token.created",
            "recurring.token.updated",
            "recurring.token.disabled",
        ],
        rights: &[
            "Checkout webservice role",
            "Merchant Recurring role (stored cards)",
            "Merchant PAL Charge role, where the account asks for it",
        ],
        unproven: &[
            "the address of the live environment",
            "how long an idempotency key is kept: a day is relied on",
            "that `autoRescue` = false in a payment keeps Auto Rescue off where it is on for the \
             whole account",
            "the scheme's id of an earlier payment together with a stored card",
            "the names of the roles of an API credential",
            "the form of `refusalReasonRaw`: `51 : text`",
        ],
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        look_up: false,
        resend_tells: true,
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
        native_retry_window_s: NATIVE_RETRY_WINDOW_S,
        key_window_s: KEY_WINDOW_S,
        horizon_s: HORIZON_S,
    }
}

/// A merchant account at Adyen.
#[derive(Debug)]
pub struct Adyen {
    id: GatewayId,
    profile: Profile,
    webhook_secrets: Vec<SecretString>,
    client: client::Client,
}

impl Adyen {
    /// The account that the settings name.
    pub fn new(settings: GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let client = client::Client::new(&settings, timeouts)?;
        let GatewaySettings { id, webhook_secrets, .. } = settings;
        Ok(Self { id, profile: profile(), webhook_secrets, client })
    }
}

#[async_trait]
impl Gateway for Adyen {
    shared::pure_half!();

    fn items(&self, request: &WebhookRequest<'_>) -> Result<Vec<Vec<u8>>, MalformedBody> {
        webhook::items(request)
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        webhook::parse(request)
    }

    /// What decides is signed, and there is no read of a payment: nothing is fetched.
    async fn complete(&self, mut event: Event) -> Result<Event, CallError> {
        event.needs_fetch = None;
        Ok(event)
    }

    async fn invoice(&self, _invoice: &str) -> Result<InvoiceView, CallError> {
        cannot("read the invoice", "Adyen has no invoices")
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        charge::charge(&self.client, order).await
    }

    async fn look_up(&self, _attempt: &AttemptRef) -> LookUpAnswer {
        LookUpAnswer::Unavailable { why: "Adyen has no look-up by reference".to_owned() }
    }

    async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError> {
        manage::refund(&self.client, order, key).await
    }

    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError> {
        manage::hosted_session(&self.client, request).await
    }

    /// A charge names its card: there is none to be made the usual one.
    async fn adopt_method(&self, _order: &AdoptOrder, _key: &str) -> Result<(), CallError> {
        Ok(())
    }

    async fn mark_paid(
        &self,
        _order: &MarkPaidOrder,
        _key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        let why = "Adyen has no invoices: note it where yours are".to_owned();
        Ok(MarkPaidOutcome::Failed { why })
    }

    async fn close(&self, order: &CloseOrder, _key: &str) -> Result<(), CallError> {
        manage::close(order)
    }

    async fn check_access(&self) -> Result<String, CallError> {
        manage::check_access(&self.client).await
    }
}
