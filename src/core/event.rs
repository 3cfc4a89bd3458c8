//! The normalised event: what any gateway's webhook says, in recoup's words.
//!
//! Why here: the core and the worker never see a gateway's own JSON. Each `gateway/*/webhook.rs`
//! turns its bytes into these values; `recoup parse` prints them.
//!
//! What must stay true: what is not known is `None`, never guessed; amounts are ISO minor units.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::customer::Profile;
use super::decline::Decline;
use super::ids::GatewayId;
use super::money::Money;

/// What happened, in one of the kinds that every gateway is mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The customer must authenticate (3-D Secure, SCA) before the charge can go through.
    ActionRequired,
    /// A dispute was won, lost or withdrawn.
    DisputeClosed,
    /// The customer disputes the payment.
    Disputed,
    /// The billing gateway wrote the invoice off.
    InvoiceUncollectible,
    /// The invoice was voided: nothing is owed any more.
    InvoiceVoided,
    /// Known sender, nothing for us.
    Other,
    /// A part was given back; does not stop a case.
    PartiallyRefunded,
    /// A charge was refused.
    PaymentFailed,
    /// A payment method was removed.
    PaymentMethodRemoved,
    /// A payment method was added, replaced or refreshed.
    PaymentMethodUpdated,
    /// The invoice or charge was paid.
    PaymentSucceeded,
    /// Pending, or a pointer whose outcome must be read.
    PaymentUnknown,
    /// The whole amount was given back.
    Refunded,
    /// The subscription ended, was cancelled or expired.
    SubscriptionCancelled,
    /// The subscription was paused.
    SubscriptionPaused,
    /// Anything else about the subscription.
    SubscriptionUpdated,
}

/// Whether the billing gateway itself still plans to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NativeRetry {
    /// It will not retry by itself.
    None,
    /// It will.
    Planned,
}

/// What a gateway event tells about a card (or other means of payment).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethodFacts {
    /// The gateway's token.
    pub token: Option<String>,
    /// `visa`, `mastercard`, `amex`, …
    pub network: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// Expiry as `2030-03`.
    pub exp: Option<String>,
    /// The issuer's country, ISO 3166 alpha-2.
    pub country: Option<String>,
    /// `credit`, `debit` or `prepaid`.
    pub funding: Option<String>,
    /// The same number gives the same fingerprint, within one account.
    pub fingerprint: Option<String>,
}

impl PaymentMethodFacts {
    /// `None` when nothing at all is known, as the interface wants it.
    pub fn known(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// What must be read at the gateway before anything is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsFetch {
    /// The gateway's name of the object: `invoice`, `invoice_payment`, …
    pub object: String,
    /// Its id; for `invoice_payment` the id of the payment.
    pub id: String,
}

/// How a customer can be reached, as far as an event tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// First name or full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number in E.164.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// BCP 47 language tag, e.g. `es-CO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// IANA time zone, e.g. `America/Bogota`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// ISO 3166 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// One normalised gateway event. The JSON shape is the one that `recoup parse` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The gateway's event id: with the gateway the key of the inbox.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When, by the gateway's clock.
    pub occurred_at: Option<Timestamp>,
    /// The billing invoice.
    pub invoice: Option<String>,
    /// The subscription.
    pub subscription: Option<String>,
    /// The gateway's id of the customer.
    pub customer: Option<String>,
    /// The gateway's id of the payment.
    pub payment: Option<String>,
    /// Failed: what is left to collect. Paid: what was paid. Refund, dispute: the sum of this
    /// event.
    pub amount: Option<Money>,
    /// How often the billing gateway has tried.
    pub attempt_count: Option<u32>,
    /// Whether it will try again by itself; `None` when it does not say.
    pub native_retry: Option<NativeRetry>,
    /// When it will.
    pub next_native_attempt_at: Option<Timestamp>,
    /// Why it was refused.
    pub decline: Option<Decline>,
    /// The card.
    pub payment_method: Option<PaymentMethodFacts>,
    /// What to read first.
    pub needs_fetch: Option<NeedsFetch>,
    /// What stands for the invoice where the gateway has none, e.g. a subscription and its billing
    /// period. Not printed by `recoup parse`.
    #[serde(default, skip_serializing)]
    pub stands_for_invoice: Option<String>,
    /// The customer was there: a checkout of theirs, no charge by agreement. Its failure is nothing
    /// to get back. Not printed by `recoup parse`.
    #[serde(default, skip_serializing)]
    pub customer_present: bool,
    /// How to reach the customer. Not printed by `recoup parse`.
    #[serde(default, skip_serializing)]
    pub contact: Contact,
    /// What campaigns go by, where the gateway tells it: tags, and since when they are a customer.
    /// Not printed by `recoup parse`.
    #[serde(default, skip_serializing)]
    pub profile: Profile,
    /// What the customer buys, in words ("Pro plan"). Not printed by `recoup parse`.
    #[serde(default, skip_serializing)]
    pub description: Option<String>,
    /// The idempotency key of our own charge that this event is about, where the gateway returns
    /// it.
    #[serde(default, skip_serializing)]
    pub idempotency_key: Option<String>,
    /// The gateway that told it, where that is not the one that owns the case's invoice.
    #[serde(default, skip)]
    pub elsewhere: Option<GatewayId>,
}

impl Event {
    /// An event of which only id and kind are known; fill in the rest.
    pub fn new(id: impl Into<String>, kind: EventKind) -> Self {
        Self {
            id: id.into(),
            kind,
            occurred_at: None,
            invoice: None,
            subscription: None,
            customer: None,
            payment: None,
            amount: None,
            attempt_count: None,
            native_retry: None,
            next_native_attempt_at: None,
            decline: None,
            payment_method: None,
            needs_fetch: None,
            stands_for_invoice: None,
            customer_present: false,
            contact: Contact::default(),
            profile: Profile::default(),
            description: None,
            idempotency_key: None,
            elsewhere: None,
        }
    }
}
