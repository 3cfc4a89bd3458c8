//! What sandbox Stripe knows: its objects as plain values, without any wire format.
//!
//! Why here: `objects` writes them in the shape of an API version, `charging` changes them.
//!
//! What must stay true: one PaymentIntent for an invoice; one Charge for each try.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::catalog::{Item, Price, Product};
use super::errors;
use super::shape::Shape;
use crate::sandbox::SandboxOptions;
use crate::sandbox::api::Reply;
use crate::sandbox::cards::Card;
use crate::sandbox::issuer::Answer;
use crate::sandbox::refusal::Refusal;

/// Free key-value data.
pub(crate) type Metadata = Map<String, Value>;

#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) country: Option<String>,
    /// `invoice_settings.default_payment_method`.
    pub(crate) default_method: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct PaymentMethod {
    pub(crate) id: String,
    pub(crate) customer: Option<String>,
    pub(crate) card: Card,
    pub(crate) created: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) status: &'static str,
    pub(crate) default_method: Option<String>,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) description: String,
    /// The price that it was made by, where it was made by one.
    pub(crate) price: Option<String>,
    pub(crate) latest_invoice: Option<String>,
    /// `pause_collection.behavior`.
    pub(crate) paused: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: Timestamp,
    pub(crate) ended: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) customer: String,
    pub(crate) subscription: Option<String>,
    pub(crate) description: String,
    pub(crate) amount: i64,
    pub(crate) paid: i64,
    pub(crate) currency: String,
    pub(crate) status: &'static str,
    pub(crate) attempt_count: u32,
    pub(crate) attempted: bool,
    pub(crate) auto_advance: bool,
    pub(crate) next_attempt: Option<Timestamp>,
    pub(crate) out_of_band: bool,
    pub(crate) intent: Option<String>,
    /// The secret part of the hosted page's address.
    pub(crate) page: String,
    pub(crate) metadata: Metadata,
    pub(crate) created: Timestamp,
    pub(crate) closed: Option<Timestamp>,
}

impl Invoice {
    pub(crate) fn remaining(&self) -> i64 {
        self.amount - self.paid
    }

    /// One more line of a draft.
    pub(crate) fn add(
        &mut self,
        amount: i64,
        currency: &str,
        description: Option<&str>,
    ) -> Result<(), Reply> {
        if self.amount > 0 && self.currency != currency {
            let message = format!("The invoice is in {}, not in {currency}.", self.currency);
            return Err(errors::invalid(&message, Some("currency")));
        }
        let too_much = || errors::invalid("The amount is too large.", Some("amount"));
        self.amount = self.amount.checked_add(amount).ok_or_else(too_much)?;
        currency.clone_into(&mut self.currency);
        if let Some(description) = description {
            description.clone_into(&mut self.description);
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) last_error: Option<LastError>,
    pub(crate) charges: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) created: Timestamp,
    pub(crate) pending: Option<Pending>,
}

/// The refusal, and what was charged.
#[derive(Debug, Clone)]
pub(crate) struct LastError {
    pub(crate) refusal: Refusal,
    pub(crate) charge: Option<String>,
    pub(crate) method: String,
}

/// A charge whose outcome comes later.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) due: Timestamp,
    pub(crate) then: Answer,
    pub(crate) native: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) method: String,
    /// `succeeded`, `failed` or `pending`.
    pub(crate) status: &'static str,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) refunded: i64,
    pub(crate) disputed: bool,
    pub(crate) metadata: Metadata,
    pub(crate) created: Timestamp,
    pub(crate) key: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) charge: String,
    pub(crate) intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) created: Timestamp,
}

/// The account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) shape: Shape,
    /// Days between the account's own retries; empty: it does not retry.
    pub(crate) native_days: Vec<i64>,
    pub(crate) customers: BTreeMap<String, Customer>,
    pub(crate) methods: BTreeMap<String, PaymentMethod>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) invoices: BTreeMap<String, Invoice>,
    pub(crate) intents: BTreeMap<String, PaymentIntent>,
    pub(crate) charges: BTreeMap<String, Charge>,
    pub(crate) refunds: BTreeMap<String, Refund>,
    pub(crate) products: BTreeMap<String, Product>,
    pub(crate) prices: BTreeMap<String, Price>,
    /// Lines that wait for their customer's next invoice.
    pub(crate) items: Vec<Item>,
}

impl Account {
    pub(crate) fn new(options: &SandboxOptions) -> Self {
        Self {
            shape: options.stripe_shape,
            native_days: options.native_retry_days.clone(),
            customers: BTreeMap::new(),
            methods: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            invoices: BTreeMap::new(),
            intents: BTreeMap::new(),
            charges: BTreeMap::new(),
            refunds: BTreeMap::new(),
            products: BTreeMap::new(),
            prices: BTreeMap::new(),
            items: Vec::new(),
        }
    }

    /// When the account has something to do by itself.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let pending = self.intents.values().filter_map(|i| i.pending.as_ref().map(|p| p.due));
        let native = self.invoices.values().filter_map(|invoice| invoice.next_attempt);
        pending.chain(native).min()
    }

    /// The method that an invoice is charged by: the subscription's own, else the customer's.
    pub(crate) fn method_for(&self, invoice: &Invoice) -> Option<String> {
        let own = invoice.subscription.as_ref().and_then(|id| self.subscriptions.get(id));
        own.and_then(|subscription| subscription.default_method.clone()).or_else(|| {
            self.customers.get(&invoice.customer).and_then(|c| c.default_method.clone())
        })
    }
}
