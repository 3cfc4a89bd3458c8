//! What the sandbox of Adyen knows: stored cards, payments, links.
//!
//! Why here: a stored card belongs to a shopper; a payment has a reference of the merchant's, which
//! is all that names an invoice here.
//!
//! What must stay true: a stored card of one shopper cannot be charged for another.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error, notify, words};
use crate::core::money::{Currency, Money};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::cards::{self, Card};
use crate::sandbox::issuer::Answer;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{self, World};

/// A payment that the merchant's own billing makes, with the shopper's newest stored card.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewAdyenPayment {
    /// The merchant's reference: recoup's invoice.
    pub reference: String,
    /// The shopper.
    pub shopper: String,
    /// ISO minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: Currency,
}

/// A stored card.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) shopper: String,
    pub(crate) card: Card,
}

/// One payment.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) psp: String,
    pub(crate) reference: String,
    pub(crate) amount: Money,
    pub(crate) token: Option<String>,
    pub(crate) card: Card,
    pub(crate) shopper: Option<String>,
    /// Adyen's `resultCode`.
    pub(crate) result: &'static str,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) refunded: i64,
    pub(crate) key: Option<String>,
    pub(crate) due: Option<(Timestamp, Answer)>,
    /// Which attempt of Auto Rescue's this is, and whether another is scheduled.
    pub(crate) rescue: Option<Rescue>,
}

/// How Auto Rescue stands after a payment.
#[derive(Debug, Clone)]
pub(crate) struct Rescue {
    pub(crate) reference: String,
    /// The first payment.
    pub(crate) original: String,
    /// Attempts made, the first one too.
    pub(crate) made: u32,
    /// When the next is made.
    pub(crate) next: Option<Timestamp>,
}

/// A pay-by-link.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) reference: String,
    pub(crate) amount: Money,
    pub(crate) shopper: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) stores: bool,
    pub(crate) expires: Timestamp,
    pub(crate) paid: bool,
}

/// The account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) stored: BTreeMap<String, Stored>,
    pub(crate) payments: BTreeMap<String, Payment>,
    /// By the secret part of the link.
    pub(crate) links: BTreeMap<String, Link>,
    /// Days between Auto Rescue's attempts; empty: it is not switched on.
    pub(crate) rescue_days: Vec<i64>,
    serial: u64,
}

impl Account {
    pub(crate) fn new(rescue_days: &[i64]) -> Self {
        Self { rescue_days: rescue_days.to_vec(), ..Self::default() }
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let due = |payment: &Payment| {
            let settles = payment.due.as_ref().map(|due| due.0);
            let rescued = payment.rescue.as_ref().and_then(|rescue| rescue.next);
            [settles, rescued].into_iter().flatten().min()
        };
        self.payments.values().filter_map(due).min()
    }
}

/// A new id: sixteen characters, as Adyen's are.
pub(crate) fn next_id(world: &mut World, kind: &str) -> String {
    world.adyen.serial += 1;
    let number = world.adyen.serial.to_string();
    let text = world.ids.secret(&format!("adyen {kind} {number}"));
    text[..16].to_ascii_uppercase()
}

/// Stores a test card for a shopper.
pub(crate) fn make_card(world: &mut World, shopper: &str, card: &str) -> String {
    keep(world, shopper, world::card_of(Kind::Adyen, card)).0.id
}

/// Stores a card for a shopper, and tells it.
pub(crate) fn store(world: &mut World, shopper: &str, card: Card) -> String {
    let (stored, known) = keep(world, shopper, card);
    notify::token(world, if known { "alreadyExisting" } else { "created" }, &stored);
    stored.id
}

/// Stores a card for a shopper. The same card is stored once: then it was known.
fn keep(world: &mut World, shopper: &str, card: Card) -> (Stored, bool) {
    let known =
        world.adyen.stored.values().find(|stored| {
            stored.shopper == shopper && stored.card.fingerprint == card.fingerprint
        });
    let known = known.map(|stored| stored.id.clone());
    let was_known = known.is_some();
    let id = known.unwrap_or_else(|| next_id(world, "token"));
    let stored = Stored { id: id.clone(), shopper: shopper.to_owned(), card };
    world.adyen.stored.insert(id, stored.clone());
    (stored, was_known)
}

/// The card of a token: a stored one of this shopper, or a test card by its name.
pub(crate) fn card_of(world: &World, token: &str, shopper: Option<&str>) -> Option<Card> {
    match world.adyen.stored.get(token) {
        Some(stored) => (Some(stored.shopper.as_str()) == shopper).then(|| stored.card.clone()),
        None => cards::find(Kind::Adyen, token),
    }
}

/// `GET /storedPaymentMethods`.
pub(super) fn list(world: &World, call: &Call) -> Reply {
    let shopper = call.text("shopperReference");
    let stored = of_shopper(world, shopper).map(|stored| {
        json!({
            "id": stored.id,
            "type": "scheme",
            "brand": words::brand(&stored.card),
            "lastFour": stored.card.last4,
            "expiryMonth": format!("{:02}", stored.card.exp_month),
            "expiryYear": stored.card.exp_year.to_string(),
            "shopperReference": stored.shopper,
            "supportedRecurringProcessingModels":
                ["CardOnFile", "Subscription", "UnscheduledCardOnFile"],
        })
    });
    let body = json!({
        "merchantAccount": super::MERCHANT_ACCOUNT,
        "shopperReference": shopper,
        "storedPaymentMethods": stored.collect::<Vec<Value>>(),
    });
    Reply::new(200, body)
}

pub(super) fn of_shopper<'a>(
    world: &'a World,
    shopper: Option<&'a str>,
) -> impl Iterator<Item = &'a Stored> {
    world.adyen.stored.values().filter(move |stored| Some(stored.shopper.as_str()) == shopper)
}

/// `DELETE /storedPaymentMethods/{id}`.
pub(super) fn disable(world: &mut World, call: &Call, id: &str) -> Result<Reply, Reply> {
    let shopper = call.text("shopperReference").map(str::to_owned);
    let known = world.adyen.stored.get(id).filter(|s| Some(&s.shopper) == shopper.as_ref());
    let Some(stored) = known.cloned() else {
        return Err(error(422, "800", "Contract not found"));
    };
    world.adyen.stored.remove(id);
    notify::token(world, "disabled", &stored);
    Ok(Reply::new(204, Value::Null))
}
