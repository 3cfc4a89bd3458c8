//! The world: everything the sandbox gateways know, behind one lock.
//!
//! Why here: a charge touches the issuer, the ledger, an account and the webhooks together. Under
//! one lock and without waiting in between, a call is done as a whole or not at all.
//!
//! What must stay true: the ledger holds every capture that ever happened, in order. Due work
//! (pending outcomes, native retries) is done at its own due time, before anything newer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::cards::{self, Card};
use super::deliver::Outgoing;
use super::idempotency::Keys;
use super::ids::Ids;
use super::issuer::{Answer, Asked, Issuer, Step};
use super::{Kind, SandboxOptions, adyen, http, stripe};
use crate::core::money::Money;

/// One capture: money that was really taken. The list of them is what double charges are seen in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capture {
    /// Where.
    pub gateway: Kind,
    /// For which invoice, where one was named.
    pub invoice: Option<String>,
    /// From which customer.
    pub customer: Option<String>,
    /// Stripe's PaymentIntent; Adyen's pspReference; the `http` gateway's charge.
    pub payment: String,
    /// How much.
    pub amount: Money,
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// The key that the call carried.
    pub idempotency_key: Option<String>,
    /// How much of it was given back, in minor units.
    pub refunded: i64,
}

impl Capture {
    /// Whether all of it was given back.
    pub fn is_refunded(&self) -> bool {
        self.refunded >= self.amount.minor
    }
}

/// One event as it was made; [`Sandbox::events`](super::Sandbox::events) lists them.
#[derive(Debug, Clone, Serialize)]
pub struct EventRecord {
    /// Which gateway.
    pub gateway: Kind,
    /// Its id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, by the sandbox's clock.
    pub created: Timestamp,
    /// The body as it is sent.
    pub body: Value,
    /// Whether a receiver has taken it.
    pub delivered: bool,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    /// The time at which the present work happens.
    pub(crate) now: Timestamp,
    /// `http://address`, for links.
    pub(crate) base: String,
    pub(crate) ids: Ids,
    pub(crate) issuer: Issuer,
    pub(crate) keys: Keys,
    pub(crate) stripe: stripe::Account,
    pub(crate) adyen: adyen::Account,
    pub(crate) http: http::Account,
    pub(crate) ledger: Vec<Capture>,
    pub(crate) events: Vec<EventRecord>,
    /// Events that wait for their delivery, in order.
    pub(crate) outgoing: Vec<Outgoing>,
    /// Hosted sessions: the secret part of the link, and what it opens.
    pub(crate) sessions: BTreeMap<String, Session>,
}

/// One hosted card-update session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) gateway: Kind,
    pub(crate) customer: String,
    pub(crate) return_url: Option<String>,
    pub(crate) expires: Timestamp,
}

impl World {
    pub(crate) fn new(options: &SandboxOptions) -> Self {
        Self {
            now: options.clock.now(),
            base: String::new(),
            ids: Ids::new(options.seed),
            issuer: Issuer::new(options.seed, options.approve_share),
            keys: Keys::default(),
            stripe: stripe::Account::new(options),
            adyen: adyen::Account::new(&options.native_retry_days),
            http: http::Account::default(),
            ledger: Vec::new(),
            events: Vec::new(),
            outgoing: Vec::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// Does everything that is due up to `now`, each at its own time, and stands at `now`.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        while let Some(due) = self.next_due().filter(|due| *due <= now) {
            self.now = self.now.max(due);
            stripe::perform_due(self);
            adyen::payments::perform_due(self);
            http::perform_due(self);
        }
        self.now = self.now.max(now);
    }

    fn next_due(&self) -> Option<Timestamp> {
        let due = [self.stripe.next_due(), self.adyen.next_due(), self.http.next_due()];
        due.into_iter().flatten().min()
    }

    /// Asks the issuer about a charge of `card`.
    pub(crate) fn decide(
        &mut self,
        gateway: Kind,
        customer: Option<&str>,
        token: &str,
        card: &Card,
    ) -> Step {
        self.issuer.decide(Asked {
            gateway,
            customer,
            token,
            fingerprint: &card.fingerprint,
            own: card.answer.as_ref(),
            now: self.now,
        })
    }

    /// A new hosted session's secret.
    pub(crate) fn open_session(&mut self, session: Session) -> String {
        let number = self.ids.next("ses");
        let secret = self.ids.secret(&number);
        self.sessions.insert(secret.clone(), session);
        secret
    }

    /// Keeps an event and queues it for delivery.
    pub(crate) fn emit(&mut self, gateway: Kind, kind: &str, id: String, body: Value) {
        self.outgoing.push(Outgoing {
            gateway,
            id: id.clone(),
            kind: kind.to_owned(),
            body: body.to_string(),
        });
        self.events.push(EventRecord {
            gateway,
            id,
            kind: kind.to_owned(),
            created: self.now,
            body,
            delivered: false,
        });
    }
}

/// What a settled answer is: approved, refused, or wants the customer.
pub(crate) fn settled(answer: &Answer) -> &Answer {
    match answer {
        Answer::Pending { then, .. } => settled(then),
        answer => answer,
    }
}

/// The card of a test number or token, else one that the seeded issuer decides about.
pub(crate) fn card_of(gateway: Kind, name: &str) -> Card {
    cards::find(gateway, name).unwrap_or_else(|| cards::unknown(gateway, name))
}
