//! Effects: what the core asks for, and the outcomes that come back.
//!
//! Why here: the core performs nothing. Each effect is written to the outbox in the same
//! transaction as the case, is performed by `worker::executor`, and its outcome is the case's next
//! input. The effect's id is derived, and is the idempotency key of what it does.
//!
//! What must stay true: an effect holds everything that is needed to perform it again, byte for
//! byte, after a crash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::customer::Channel;
use super::decline::{Category, Decline};
use super::event::{Contact, PaymentMethodFacts};
use super::ids::{AttemptId, CaseId, EffectId, GatewayId, MessageId};
use super::money::Money;
use super::policy::{InvoiceAction, MessageKind, SubscriptionAction};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Its id and idempotency key.
    pub id: EffectId,
    /// The case that asked for it and gets the outcome.
    pub case: CaseId,
    /// Not to be performed before.
    pub not_before: Timestamp,
    /// What to do.
    pub order: Order,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Make the payment method the one that the subscription (else the customer) is charged by.
    AdoptMethod(AdoptOrder),
    /// Charge.
    Charge(ChargeOrder),
    /// Look up attempts, and read the invoice.
    Check(CheckOrder),
    /// End the subscription and the invoice as the merchant decided.
    Close(CloseOrder),
    /// Record at the billing gateway that the invoice was paid elsewhere.
    MarkPaid(MarkPaidOrder),
    /// Give a charge back.
    Refund(RefundOrder),
    /// Send a message.
    Send(MessageOrder),
}

impl Order {
    /// What is asked for, in a word: for logs and traces.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AdoptMethod(_) => "adopt_method",
            Self::Charge(_) => "charge",
            Self::Check(_) => "check",
            Self::Close(_) => "close",
            Self::MarkPaid(_) => "mark_paid",
            Self::Refund(_) => "refund",
            Self::Send(_) => "send",
        }
    }
}

/// Make `token` the method that the failed charge's field points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptOrder {
    /// The billing gateway.
    pub gateway: GatewayId,
    /// Its id of the customer.
    pub customer: String,
    /// The subscription whose charge failed.
    pub subscription: Option<String>,
    /// The new method's token.
    pub token: String,
}

/// A charge without the customer present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeOrder {
    /// Our attempt.
    pub attempt: AttemptId,
    /// Its number within the case, from 1.
    pub number: u32,
    /// Through which gateway.
    pub gateway: GatewayId,
    /// Sent with every send of this attempt.
    pub idempotency_key: String,
    /// The token at that gateway; `None`: the billing gateway's own default for the invoice.
    pub token: Option<String>,
    /// The id of the customer at this gateway: its own where one is known, else the billing
    /// gateway's.
    pub customer: Option<String>,
    /// The subscription at the billing gateway, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The billing gateway's id of the invoice.
    pub invoice: String,
    /// How much.
    pub amount: Money,
    /// Whether `gateway` owns the invoice: it is paid there, not charged beside it.
    pub billing: bool,
    /// The scheme's id of the first payment of the agreement.
    pub network_transaction_id: Option<String>,
}

/// Enough of an attempt to find it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRef {
    /// The charge as it was sent.
    pub charge: ChargeOrder,
    /// The gateway's id of it, where we learned one.
    pub payment: Option<String>,
    /// When it was first sent: what a gateway without a look-up by key searches from.
    pub first_sent_at: Timestamp,
}

/// Why a look-up is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckPurpose {
    /// After the last attempt: look once more before giving up.
    ClosingSweep,
    /// Before a new attempt: everything earlier, once more.
    PreFlight,
    /// The outcome of one attempt is unknown.
    Resolve,
    /// The store was restored: what happened since the copy?
    Restored,
    /// The customer says that it is paid.
    SaysPaid,
}

/// Look up attempts, and read the invoice where the gateway can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOrder {
    /// Why.
    pub purpose: CheckPurpose,
    /// The billing gateway.
    pub gateway: GatewayId,
    /// The invoice.
    pub invoice: String,
    /// The attempts to look up.
    pub attempts: Vec<AttemptRef>,
}

/// The end of a case that nothing helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseOrder {
    /// The billing gateway.
    pub gateway: GatewayId,
    /// The subscription, where one is known.
    pub subscription: Option<String>,
    /// What becomes of it.
    pub subscription_action: SubscriptionAction,
    /// The invoice.
    pub invoice: String,
    /// What becomes of it.
    pub invoice_action: InvoiceAction,
}

/// An invoice that was paid through another gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkPaidOrder {
    /// The billing gateway.
    pub gateway: GatewayId,
    /// The invoice.
    pub invoice: String,
    /// Where the money came in; `None`: a person said so.
    pub paid_at: Option<GatewayId>,
    /// That gateway's id of the charge.
    pub charge: Option<String>,
}

/// A charge to give back whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOrder {
    /// Where it was made.
    pub gateway: GatewayId,
    /// Our attempt.
    pub attempt: AttemptId,
    /// The gateway's id of the charge.
    pub charge: String,
    /// How much.
    pub amount: Money,
}

/// A message to render and send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOrder {
    /// Its id.
    pub id: MessageId,
    /// What it says.
    pub kind: MessageKind,
    /// How it goes out.
    pub channel: Channel,
    /// To whom, in which language and zone: a copy as of the decision.
    pub contact: Contact,
    /// The exact amount.
    pub amount: Money,
    /// What the customer buys, where known.
    pub description: Option<String>,
    /// The card's last four, where known.
    pub last4: Option<String>,
    /// Why it failed: chooses the reason's words. Never shown raw.
    pub category: Category,
    /// When we try again, where we do.
    pub retry_at: Option<Timestamp>,
    /// What will happen when nothing helps, and when.
    pub ends_at: Option<Timestamp>,
    /// What becomes of the subscription then.
    pub subscription_action: SubscriptionAction,
    /// The customer's further open invoices: one message speaks of all of them. Those whose case
    /// ends are taken out right before it leaves. Of a thank-you: what is still owed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_owed: Vec<OwedInvoice>,
    /// In shadow mode: it is written out and kept, and never handed to a provider.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

impl MessageOrder {
    /// What is owed in all, one sum for each currency: amounts of different currencies are never
    /// summed.
    pub fn totals(&self) -> Vec<Money> {
        let mut totals = vec![self.amount];
        for amount in self.also_owed.iter().map(|owed| owed.amount) {
            match totals.iter_mut().find(|total| total.currency == amount.currency) {
                Some(total) => total.minor = total.minor.saturating_add(amount.minor),
                None => totals.push(amount),
            }
        }
        totals
    }
}

/// A further open invoice of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedInvoice {
    /// Its case.
    pub case: CaseId,
    /// The billing gateway's id of it.
    pub invoice: String,
    /// What is left to pay.
    pub amount: Money,
    /// What the customer buys, where known.
    pub description: Option<String>,
    /// When its own final action comes, where nothing helps.
    pub ends_at: Option<Timestamp>,
}

/// What came of a charge, or what a look-up found of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeOutcome {
    /// The money is taken.
    Approved {
        /// The gateway's id of the charge.
        payment: String,
        /// What was taken, where the gateway says.
        amount: Option<Money>,
        /// The scheme's id of the payment.
        network_transaction_id: Option<String>,
        /// What was learned of the card.
        method: PaymentMethodFacts,
    },
    /// The same key is being worked on, or too many requests: nothing new happened. Same key later.
    Busy {
        /// How long to wait.
        retry_after_s: u32,
    },
    /// Definitely refused.
    Declined {
        /// The gateway's id of the charge.
        payment: Option<String>,
        /// Why.
        decline: Decline,
        /// What was learned of the card.
        method: PaymentMethodFacts,
    },
    /// The invoice is not open any more: nothing was charged. What it is now, the invoice tells.
    InvoiceClosed,
    /// No byte of the request left this machine: definitely not charged.
    NotSent {
        /// What happened, without secrets.
        why: String,
    },
    /// The gateway has taken it and not decided yet.
    Pending {
        /// The gateway's id of the charge.
        payment: Option<String>,
    },
    /// The gateway refused the request itself (rights, format): definitely not charged.
    Refused {
        /// What it said, without secrets.
        why: String,
    },
    /// Time-out, broken connection, 5xx, unreadable answer: nobody knows.
    Unknown {
        /// What happened, without secrets.
        why: String,
    },
}

/// The answer of one look-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there are a few at a time, and most are Found")]
pub enum LookUpAnswer {
    /// The gateway knows it.
    Found(ChargeOutcome),
    /// The gateway does not know it (yet).
    NotFound,
    /// The gateway did not answer, or has no look-up.
    Unavailable {
        /// Why, without secrets.
        why: String,
    },
}

/// An invoice's state at its billing gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Not final yet.
    Draft,
    /// Owed.
    Open,
    /// Paid.
    Paid,
    /// Written off.
    Uncollectible,
    /// Void.
    Void,
}

/// An invoice as its billing gateway knows it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceView {
    /// Its state.
    pub status: InvoiceStatus,
    /// What is left to collect.
    pub amount_remaining: Option<Money>,
    /// It was marked as paid elsewhere.
    pub paid_out_of_band: bool,
    /// When the gateway itself will try again.
    pub next_native_attempt_at: Option<Timestamp>,
    /// How often the gateway itself has tried.
    pub attempt_count: Option<u32>,
}

/// What a [`CheckOrder`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The invoice; `None` where the gateway has no such read.
    pub invoice: Option<InvoiceView>,
    /// Why the invoice could not be read, where it should have been.
    pub invoice_error: Option<String>,
    /// One answer for each attempt asked for.
    pub attempts: Vec<(AttemptId, LookUpAnswer)>,
}

/// What came of marking an invoice as paid elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkPaidOutcome {
    /// It was paid there already, by somebody else: two captures.
    AlreadyPaid,
    /// Recorded.
    Done,
    /// Not possible; the operator is told.
    Failed {
        /// Why, without secrets.
        why: String,
    },
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendOutcome {
    /// Taken back before anybody began to send it.
    Dropped {
        /// Why.
        why: String,
    },
    /// Not accepted.
    Failed {
        /// The provider's own words.
        answer: String,
    },
    /// Not accepted, since nothing reaches this address.
    Unreachable {
        /// The provider's own words.
        answer: String,
    },
    /// Not accepted, since the customer told the provider that they want none.
    Unwanted {
        /// The provider's own words.
        answer: String,
    },
    /// Accepted by the provider.
    Sent {
        /// The provider's own words.
        answer: String,
        /// The subject, as sent.
        subject: String,
        /// The text part, as sent.
        text: String,
        /// The HTML part, as sent.
        html: Option<String>,
        /// The language that it went out in.
        locale: String,
    },
    /// We died between handing it over and hearing of it. It is not sent again.
    Unknown,
    /// In shadow mode: it was written out, and nothing was sent.
    Withheld {
        /// The language that it would have gone out in.
        locale: String,
    },
}

/// The outcome of an effect: the next input of its case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of [`Order::AdoptMethod`], [`Order::Close`]: done, or why not.
    Acted(Result<(), String>),
    /// Of [`Order::Charge`].
    Charge(ChargeOutcome),
    /// Of [`Order::Check`].
    Checked(CheckReport),
    /// Of [`Order::MarkPaid`].
    MarkedPaid(MarkPaidOutcome),
    /// Of [`Order::Refund`].
    Refunded(Result<(), String>),
    /// Of [`Order::Send`].
    Sent(SendOutcome),
}
