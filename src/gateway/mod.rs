//! Gateways: the trait that every payment gateway is behind, and the values it speaks in.
//!
//! Why here: worker and http name no gateway. Each gateway is a folder of the same shape:
//! `webhook.rs` (pure: verify, parse), `client.rs` (IO), `declines.csv` (its codes).
//!
//! What must stay true: an answer that cannot be read is [`ChargeOutcome::Unknown`], never a
//! decline; a webhook that is not authentic is refused with the exact reason; no error text holds
//! a secret.

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, RefundOrder,
};
use crate::core::event::Event;
use crate::core::ids::GatewayId;
use crate::core::money::Money;
use crate::core::policy::Capabilities;
use crate::core::report::captures::Capture;

#[cfg(feature = "adyen")]
pub mod adyen;
#[cfg_attr(not(feature = "gateways"), allow(dead_code))]
mod amount;
#[cfg(feature = "braintree")]
pub mod braintree;
#[cfg(feature = "checkout")]
pub mod checkout;
#[cfg_attr(not(feature = "gateways"), allow(dead_code))]
pub mod facts;
pub mod history;
#[cfg(feature = "http")]
pub mod http;
pub mod kinds;
#[cfg(feature = "mercadopago")]
pub mod mercadopago;
mod pace;
pub mod profile;
pub mod reach;
#[cfg_attr(not(feature = "gateways"), allow(dead_code))]
pub mod reference;
pub mod shadow;
#[cfg_attr(not(feature = "gateways"), allow(dead_code, unused_imports, unused_macros))]
mod shared;
#[cfg_attr(not(feature = "gateways"), allow(dead_code))]
pub(crate) mod signature;
#[cfg(feature = "stripe")]
pub mod stripe;
#[cfg_attr(not(feature = "gateways"), allow(dead_code))]
pub mod wire;
#[cfg(feature = "wompi")]
pub mod wompi;

pub use history::Known;
pub use kinds::{KINDS, kind};
pub use profile::Profile;
pub use signature::TOLERANCE_S;

/// Under which name the query of a webhook's address is kept among its headers, where the gateway
/// signs it. No header can have this name.
pub const KEPT_QUERY: &str = "?query";

/// A webhook as it arrived: the raw bytes, the headers, the time.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// The raw body, untouched.
    pub body: &'a [u8],
    /// Headers in their order of arrival; names in any case.
    pub headers: &'a [(String, String)],
    /// The full URL with its query, where the scheme signs it.
    pub url: Option<&'a str>,
    /// The real time: senders sign in real time, even under a test clock.
    pub now: Timestamp,
}

impl<'a> WebhookRequest<'a> {
    /// The first header of this name, in any case; an empty one is absent.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.trim().is_empty())
    }

    /// The query of the address, of the one that it arrived at or of the one that was kept.
    pub fn query(&self) -> Option<&'a str> {
        let arrived = self.url.and_then(|url| url.split_once('?')).map(|(_, query)| query);
        arrived.or_else(|| self.header(KEPT_QUERY))
    }
}

/// Which check a webhook failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    /// The body cannot be read.
    MalformedBody,
    /// The signature header cannot be read.
    MalformedHeader,
    /// The signature is absent or empty.
    MissingHeader,
    /// Readable, and no signature matches.
    NoSignatureMatch,
    /// Signed too far in the future.
    TimestampInFuture,
    /// Signed too long ago.
    TimestampTooOld,
}

impl RejectionCode {
    /// The code as in the interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedBody => "malformed_body",
            Self::MalformedHeader => "malformed_header",
            Self::MissingHeader => "missing_header",
            Self::NoSignatureMatch => "no_signature_match",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::TimestampTooOld => "timestamp_too_old",
        }
    }
}

/// A webhook that is refused: which check failed, and what usually causes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("verify the webhook: {} ({hint})", code.as_str())]
pub struct Rejection {
    /// Which check.
    pub code: RejectionCode,
    /// The item of a batch that failed, from 0.
    pub item: Option<usize>,
    /// What to look at, in plain words; never a secret.
    pub hint: String,
}

impl Rejection {
    /// A refusal of the whole request.
    pub fn new(code: RejectionCode, hint: impl Into<String>) -> Self {
        Self { code, item: None, hint: hint.into() }
    }
}

/// A body that is no event of this gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the webhook body: {0}")]
pub struct MalformedBody(pub String);

/// A call that did not answer the question. Says whether asking again can help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The object does not exist, the key has no right to it, or the gateway cannot do this.
    #[error("{what}: {why}")]
    Permanent {
        /// Which call.
        what: &'static str,
        /// Why, without secrets.
        why: String,
    },
    /// Not reached, too busy, or unreadable: ask again later.
    #[error("{what}: {why}")]
    Transient {
        /// Which call.
        what: &'static str,
        /// Why, without secrets.
        why: String,
    },
}

impl CallError {
    /// Whether asking again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

/// What the customer is to do on the gateway's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostedPurpose {
    /// Confirm the open payment with the bank.
    Authenticate,
    /// Pay the open invoice by any means that the gateway offers.
    PayInvoice,
    /// Give a new card.
    UpdateCard,
}

/// What a fresh hosted session is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedRequest {
    /// What the customer is to do.
    pub purpose: HostedPurpose,
    /// The billing gateway's id of the customer.
    pub customer: String,
    /// The subscription, where one is known.
    pub subscription: Option<String>,
    /// The open invoice.
    pub invoice: String,
    /// What is owed: the amount of a pay-by-link.
    pub amount: Money,
    /// What the customer buys, in words, where known.
    pub description: Option<String>,
    /// Where the customer comes back to.
    pub return_url: String,
    /// Several clicks within half an hour give one session.
    pub idempotency_key: String,
}

impl HostedRequest {
    /// Where the customer comes back to who did nothing: the page without the word that it is done.
    pub fn abandoned_url(&self) -> &str {
        self.return_url.split('?').next().unwrap_or(&self.return_url)
    }
}

/// A page of the gateway's own that the customer is sent to. Short-lived: made at the click.
#[derive(Clone, PartialEq, Eq)]
pub struct HostedSession {
    /// Where to send the customer. A secret: never logged.
    pub url: String,
}

/// One payment gateway.
///
/// `verify`, `items`, `parse` and `classify` are pure; the rest does one call each and bounds its
/// own time. What a gateway cannot do is said in its [`Profile`]; the call then answers
/// [`CallError::Permanent`].
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Its id in the merchant file.
    fn id(&self) -> &GatewayId;

    /// What it is like: what it can do, how it is connected.
    fn profile(&self) -> &Profile;

    /// What it can do.
    fn capabilities(&self) -> &Capabilities {
        &self.profile().capabilities
    }

    /// Whether a webhook is authentic, by any of the configured secrets.
    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), Rejection>;

    /// The items of an authentic body, each a body of its own that [`Gateway::parse`] reads: a
    /// batch is kept item by item, all or none. Most gateways send one event at a time.
    fn items(&self, request: &WebhookRequest<'_>) -> Result<Vec<Vec<u8>>, MalformedBody> {
        Ok(vec![request.body.to_vec()])
    }

    /// The answer to a `GET` by which the gateway checks that the webhook's address is ours;
    /// `None`: it has no such check. `query` is the raw query.
    fn answer_challenge(&self, _query: &str) -> Option<Result<String, Rejection>> {
        None
    }

    /// The events of an authentic body. Unknown types are `Other`, not errors.
    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody>;

    /// Category and advice of a refusal.
    fn classify(&self, raw: &RawDecline) -> Decline;

    /// Completes an event that says `needs_fetch`. What cannot be found stays unknown.
    async fn complete(&self, event: Event) -> Result<Event, CallError>;

    /// The invoice as it is now.
    async fn invoice(&self, invoice: &str) -> Result<InvoiceView, CallError>;

    /// Charges without the customer present, once for each idempotency key.
    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome;

    /// Finds out what became of an attempt. Never charges.
    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer;

    /// Gives a charge back, once for each idempotency key.
    async fn refund(&self, order: &RefundOrder, key: &str) -> Result<(), CallError>;

    /// A fresh hosted session.
    async fn hosted_session(&self, request: &HostedRequest) -> Result<HostedSession, CallError>;

    /// Makes a method the one that the failed charge's field points to: the subscription's own
    /// where it has one, else the customer's.
    async fn adopt_method(&self, order: &AdoptOrder, key: &str) -> Result<(), CallError>;

    /// Records that an invoice was paid elsewhere.
    async fn mark_paid(
        &self,
        order: &MarkPaidOrder,
        key: &str,
    ) -> Result<MarkPaidOutcome, CallError>;

    /// Ends subscription and invoice as the merchant decided.
    async fn close(&self, order: &CloseOrder, key: &str) -> Result<(), CallError>;

    /// Reads something harmless, to see whether the key is accepted. Gives what was read, in words.
    async fn check_access(&self) -> Result<String, CallError> {
        cannot("check the key", "this gateway has no read that tells")
    }

    /// What was captured here in a span of time, for reconciliation. A gateway whose API lists no
    /// captures by time says so.
    async fn captures(
        &self,
        _since: Timestamp,
        _until: Timestamp,
    ) -> Result<Vec<Capture>, CallError> {
        cannot("list what was captured", "its API has no list of captures by time that is read")
    }

    /// Where the gateway sends its webhooks; `None`: it has no read that tells.
    async fn endpoints(&self) -> Option<Result<Vec<Endpoint>, CallError>> {
        None
    }

    /// What the gateway knows since then: its events, and what is owed without having been told.
    /// Where [`Profile::tells_history`] is false there is no such read.
    async fn known_since(&self, _since: Timestamp) -> Result<Vec<Known>, CallError> {
        cannot("read what the gateway knows", "it has no such read")
    }
}

/// Where a gateway sends its webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub url: String,
    /// Whether it sends there at all.
    pub enabled: bool,
    /// Which events; `*` is all.
    pub events: Vec<String>,
}

/// The answer of a call that a gateway has not got.
pub fn cannot<T>(what: &'static str, why: &str) -> Result<T, CallError> {
    Err(CallError::Permanent { what, why: why.to_owned() })
}

/// What every client is made from.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// The gateway's id.
    pub id: GatewayId,
    /// Its API's address without a path; `None`: the gateway's own.
    pub api_base: Option<String>,
    /// The key of its API.
    pub api_key: SecretString,
    /// The webhook secrets; several while one is rotated.
    pub webhook_secrets: Vec<SecretString>,
    /// The merchant's account there: Adyen's `merchant_account`, Braintree's `merchant_id`,
    /// Checkout.com's `processing_channel`.
    pub account: Option<String>,
    /// The public half of a pair of keys (Braintree, Wompi).
    pub public_key: Option<SecretString>,
    /// Signs what is sent, where that is another secret than the API's key (Wompi).
    pub integrity_secret: Option<SecretString>,
    /// How many requests a second its API is sent at most; `None`: what the gateway publishes.
    pub requests_per_second: Option<u32>,
}

impl GatewaySettings {
    /// Id and key; no webhook secret, the gateway's own address.
    pub fn new(id: GatewayId, api_key: SecretString) -> Self {
        Self {
            id,
            api_base: None,
            api_key,
            webhook_secrets: Vec::new(),
            account: None,
            public_key: None,
            integrity_secret: None,
            requests_per_second: None,
        }
    }
}
