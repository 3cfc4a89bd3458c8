//! What the `http` sandbox knows: customers, cards, invoices, subscriptions, charges.
//!
//! Why here: the gateway may be the billing gateway (then it has invoices) or a second one (then
//! it only charges tokens for invoices that it has never heard of). Both must work.
//!
//! What must stay true: an invoice that it does not know is not an error.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error, events};
use crate::core::money::Currency;
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::cards::Card;
use crate::sandbox::issuer::Answer;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{self, World};

/// A customer of the `http` gateway.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewHttpCustomer {
    /// The id; absent: the next one.
    pub id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number in E.164.
    pub phone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
}

/// An invoice that the `http` gateway bills itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewHttpInvoice {
    /// The id; absent: the next one.
    #[serde(default)]
    pub id: Option<String>,
    /// The customer.
    pub customer: String,
    /// The subscription.
    #[serde(default)]
    pub subscription: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: Currency,
}

#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) facts: NewHttpCustomer,
    pub(crate) default_token: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) subscription: Option<String>,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) status: &'static str,
    pub(crate) attempt_count: u32,
}

/// One charge.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) token: String,
    pub(crate) customer: Option<String>,
    pub(crate) invoice: Option<String>,
    /// `approved`, `declined`, `pending` or `requires_action`.
    pub(crate) status: &'static str,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) refunded: i64,
    pub(crate) key: Option<String>,
    pub(crate) due: Option<(Timestamp, Answer)>,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) customers: BTreeMap<String, Customer>,
    pub(crate) cards: BTreeMap<String, Card>,
    pub(crate) invoices: BTreeMap<String, Invoice>,
    /// Subscription and whether it is `active`, `paused` or `cancelled`, with its customer.
    pub(crate) subscriptions: BTreeMap<String, (String, &'static str)>,
    pub(crate) charges: BTreeMap<String, Charge>,
}

impl Account {
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.charges.values().filter_map(|charge| charge.due.as_ref().map(|due| due.0)).min()
    }

    /// The card behind a token: a known one, a test token, or one for the seeded issuer.
    pub(crate) fn card(&self, token: &str) -> Card {
        self.cards.get(token).cloned().unwrap_or_else(|| world::card_of(Kind::Http, token))
    }
}

/// Makes a customer.
pub(crate) fn make_customer(world: &mut World, new: NewHttpCustomer) -> String {
    let id = new.id.clone().unwrap_or_else(|| world.ids.next("c"));
    let customer = Customer { facts: new, default_token: None };
    world.http.customers.insert(id.clone(), customer);
    id
}

/// Makes a token for a test card; the customer's default where one is given.
pub(crate) fn make_card(world: &mut World, customer: Option<&str>, card: &str) -> String {
    let token = world.ids.next("card");
    world.http.cards.insert(token.clone(), world::card_of(Kind::Http, card));
    if let Some(customer) = customer.and_then(|id| world.http.customers.get_mut(id)) {
        customer.default_token = Some(token.clone());
    }
    token
}

/// Makes a subscription.
pub(crate) fn make_subscription(world: &mut World, customer: &str) -> String {
    let id = world.ids.next("hsub");
    world.http.subscriptions.insert(id.clone(), (customer.to_owned(), "active"));
    id
}

/// Makes an open invoice, without an attempt.
pub(crate) fn make_invoice(world: &mut World, new: NewHttpInvoice) -> String {
    let id = new.id.unwrap_or_else(|| world.ids.next("hin"));
    let invoice = Invoice {
        id: id.clone(),
        customer: new.customer,
        subscription: new.subscription,
        amount: new.amount,
        currency: new.currency,
        status: "open",
        attempt_count: 0,
    };
    world.http.invoices.insert(id.clone(), invoice);
    id
}

/// `POST /invoices/{id}/paid`: somebody else took the money.
pub(super) fn mark_paid(world: &mut World, call: &Call, id: &str) -> Result<Reply, Reply> {
    if call.text("gateway").is_none() {
        return Err(error(400, "missing_field", "`gateway` says where the money came in"));
    }
    match world.http.invoices.get_mut(id) {
        Some(invoice) if invoice.status == "paid" => {
            Err(error(409, "already_paid", "the invoice is paid already"))
        }
        Some(invoice) if invoice.status != "open" => {
            Err(error(422, "invoice_closed", "the invoice is not open"))
        }
        Some(invoice) => {
            invoice.status = "paid";
            events::emit_invoice(world, "invoice.paid", id, None);
            Ok(Reply::new(200, json!({ "id": id, "status": "paid" })))
        }
        None => Err(error(404, "not_found", "no such invoice")),
    }
}

/// `POST /subscriptions/{id}/{pause,cancel}`.
pub(super) fn move_subscription(
    world: &mut World,
    id: &str,
    status: &'static str,
) -> Result<Reply, Reply> {
    let Some(subscription) = world.http.subscriptions.get_mut(id) else {
        return Err(error(404, "not_found", "no such subscription"));
    };
    subscription.1 = status;
    let customer = subscription.0.clone();
    if status == "cancelled" {
        let data = json!({ "subscription": id, "customer": events::customer(world, &customer) });
        events::emit(world, "subscription.cancelled", data);
    }
    Ok(Reply::new(200, json!({ "id": id, "status": status })))
}

/// A card as the protocol shows it.
pub(crate) fn card_json(token: &str, card: &Card) -> Value {
    json!({
        "token": token,
        "network": card.brand,
        "last4": card.last4,
        "exp": format!("{:04}-{:02}", card.exp_year, card.exp_month),
        "fingerprint": card.fingerprint,
        "country": card.country,
        "funding": card.funding,
    })
}
