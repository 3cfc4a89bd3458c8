//! Making Stripe's objects: the back door that the API does not have.
//!
//! Why here: the control handle, the hosted pages, `recoup trigger` and the API's own create calls
//! make the same objects.
//!
//! What must stay true: an invoice is made open, and nothing is charged by making it.

use serde::{Deserialize, Serialize};

use super::charging;
use super::model::{Customer, Invoice, Metadata, PaymentMethod, Subscription};
use crate::sandbox::Kind;
use crate::sandbox::world::{self, World};

/// A customer to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewCustomer {
    /// Its id; absent: the next one.
    pub id: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number in E.164.
    pub phone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
    /// IANA time zone; Stripe has no field for it, so it goes into the metadata as `time_zone`.
    pub time_zone: Option<String>,
}

/// A subscription, or an invoice of its own, to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewBill {
    /// Its id; absent: the next one.
    #[serde(default)]
    pub id: Option<String>,
    /// The customer.
    pub customer: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217, in any case.
    pub currency: String,
    /// What the customer buys.
    #[serde(default = "plan")]
    pub description: String,
    /// The subscription's own default method.
    #[serde(default)]
    pub default_payment_method: Option<String>,
}

fn plan() -> String {
    "Pro plan".to_owned()
}

impl NewBill {
    /// `amount` minor units of `currency`, owed by `customer`.
    pub fn new(customer: &str, amount: i64, currency: &str) -> Self {
        Self {
            id: None,
            customer: customer.to_owned(),
            amount,
            currency: currency.to_ascii_lowercase(),
            description: plan(),
            default_payment_method: None,
        }
    }
}

pub(crate) fn customer(world: &mut World, new: NewCustomer) -> String {
    let id = new.id.unwrap_or_else(|| world.ids.next("cus"));
    let mut metadata = Metadata::new();
    if let Some(zone) = new.time_zone {
        metadata.insert("time_zone".into(), zone.into());
    }
    let customer = Customer {
        id: id.clone(),
        name: new.name,
        email: new.email,
        phone: new.phone,
        locale: new.locale,
        country: new.country,
        default_method: None,
        metadata,
        created: world.now,
    };
    world.stripe.customers.insert(id.clone(), customer);
    id
}

/// A method of a test card; an unknown name gives a card that the seeded issuer decides about.
pub(crate) fn method(world: &mut World, customer: Option<&str>, card: &str) -> String {
    let id = world.ids.next("pm");
    let method = PaymentMethod {
        id: id.clone(),
        customer: customer.map(str::to_owned),
        card: world::card_of(Kind::Stripe, card),
        created: world.now,
    };
    world.stripe.methods.insert(id.clone(), method);
    id
}

/// Makes a method the customer's default, without a webhook.
pub(crate) fn set_default(world: &mut World, customer: &str, method: &str) {
    if let Some(customer) = world.stripe.customers.get_mut(customer) {
        customer.default_method = Some(method.to_owned());
    }
}

pub(crate) fn subscription(world: &mut World, new: NewBill) -> String {
    let id = new.id.unwrap_or_else(|| world.ids.next("sub"));
    let subscription = Subscription {
        id: id.clone(),
        customer: new.customer,
        status: "active",
        default_method: new.default_payment_method,
        amount: new.amount,
        currency: new.currency.to_ascii_lowercase(),
        description: new.description,
        price: None,
        latest_invoice: None,
        paused: None,
        metadata: Metadata::new(),
        created: world.now,
        ended: None,
    };
    world.stripe.subscriptions.insert(id.clone(), subscription);
    id
}

/// An open invoice that nothing was tried on.
pub(crate) fn invoice(world: &mut World, new: NewBill, subscription: Option<&str>) -> String {
    let id = new.id.unwrap_or_else(|| world.ids.next("in"));
    let number = world.ids.next("SBX").replacen("SBX_", "SBX-", 1).to_ascii_uppercase();
    let invoice = Invoice {
        id: id.clone(),
        number,
        customer: new.customer,
        subscription: subscription.map(str::to_owned),
        description: new.description,
        amount: new.amount,
        paid: 0,
        currency: new.currency.to_ascii_lowercase(),
        status: "open",
        attempt_count: 0,
        attempted: false,
        auto_advance: true,
        next_attempt: None,
        out_of_band: false,
        intent: None,
        page: world.ids.secret(&id),
        metadata: Metadata::new(),
        created: world.now,
        closed: None,
    };
    world.stripe.invoices.insert(id.clone(), invoice);
    id
}

/// Bills a subscription once: makes its invoice and makes the account's first try at it.
pub(crate) fn bill(world: &mut World, subscription: &str) -> Option<String> {
    let id = open_bill(world, subscription)?;
    charging::native_attempt(world, &id);
    Some(id)
}

/// Makes a subscription's next invoice, and tries nothing.
pub(crate) fn open_bill(world: &mut World, subscription: &str) -> Option<String> {
    let of = world.stripe.subscriptions.get(subscription)?;
    if of.ended.is_some() || of.paused.is_some() {
        return None;
    }
    let mut new = NewBill::new(&of.customer, of.amount, &of.currency);
    new.description.clone_from(&of.description);
    let id = invoice(world, new, Some(subscription));
    if let Some(of) = world.stripe.subscriptions.get_mut(subscription) {
        of.latest_invoice = Some(id.clone());
    }
    charging::emit_invoice(world, "invoice.finalized", &id);
    Some(id)
}
