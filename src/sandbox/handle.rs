//! The control handle: what a test or the demo does to the gateways from inside the process.
//!
//! Why here: a story needs customers, cards and failures, and no real API has a door for those.
//!
//! What must stay true: everything here can also be done over HTTP, under `/_sandbox/…`.

use jiff::Timestamp;
use serde::Serialize;

use super::adyen::{self, NewAdyenPayment};
use super::http::{self, NewHttpCustomer, NewHttpInvoice};
use super::issuer::{Rule, Step, Target};
use super::stripe::make::{self, NewBill, NewCustomer};
use super::stripe::{charging, customers, invoices, payments, subscriptions};
use super::world::{Capture, EventRecord, World};
use super::{Kind, Sandbox};

/// A customer with a card and a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscribed {
    /// The customer.
    pub customer: String,
    /// Their default method.
    pub payment_method: String,
    /// Their subscription.
    pub subscription: String,
}

/// An invoice as Stripe's sandbox knows it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvoiceFacts {
    /// Its id.
    pub id: String,
    /// `open`, `paid`, `void` or `uncollectible`.
    pub status: String,
    /// How often it was tried.
    pub attempt_count: u32,
    /// When the gateway itself tries again.
    pub next_attempt: Option<Timestamp>,
    /// Paid elsewhere.
    pub out_of_band: bool,
    /// Its PaymentIntent.
    pub payment_intent: Option<String>,
    /// Where the customer can confirm and pay.
    pub hosted_invoice_url: String,
}

pub(super) fn invoice_facts(world: &World, id: &str) -> Option<InvoiceFacts> {
    let invoice = world.stripe.invoices.get(id)?;
    Some(InvoiceFacts {
        id: invoice.id.clone(),
        status: invoice.status.to_owned(),
        attempt_count: invoice.attempt_count,
        next_attempt: invoice.next_attempt,
        out_of_band: invoice.out_of_band,
        payment_intent: invoice.intent.clone(),
        hosted_invoice_url: format!("{}/stripe/pages/invoice/{}", world.base, invoice.page),
    })
}

pub(super) fn subscribe(
    world: &mut World,
    new: NewCustomer,
    card: &str,
    bill: NewBill,
) -> Subscribed {
    let customer = make::customer(world, new);
    let payment_method = make::method(world, Some(&customer), card);
    make::set_default(world, &customer, &payment_method);
    let subscription = make::subscription(world, NewBill { customer: customer.clone(), ..bill });
    Subscribed { customer, payment_method, subscription }
}

pub(super) fn change_card(world: &mut World, customer: &str, card: &str) -> String {
    let method = make::method(world, None, card);
    customers::attach(world, &method, customer);
    make::set_default(world, customer, &method);
    customers::emit_customer(world, customer);
    method
}

pub(super) fn dispute(world: &mut World, invoice: &str) -> bool {
    let charges = world.stripe.charges.values().rev();
    let paid = charges
        .filter(|charge| charge.invoice.as_deref() == Some(invoice))
        .find(|charge| charge.status == "succeeded");
    let Some(charge) = paid.map(|charge| charge.id.clone()) else { return false };
    charging::dispute(world, &charge);
    true
}

pub(super) fn refund(world: &mut World, invoice: &str) -> bool {
    let charges = world.stripe.charges.values();
    let paid = charges.filter(|charge| charge.invoice.as_deref() == Some(invoice));
    let mut paid = paid.filter(|charge| charge.status == "succeeded");
    let Some(charge) = paid.next_back().cloned() else { return false };
    payments::refund_charge(world, &charge, charge.amount - charge.refunded);
    true
}

impl Sandbox {
    /// Stripe: makes a customer.
    pub fn create_customer(&self, new: NewCustomer) -> String {
        self.shared.with(|world| make::customer(world, new))
    }

    /// Stripe: makes a method of a test card (number, token or short name) and attaches it.
    pub fn create_payment_method(&self, customer: &str, card: &str) -> String {
        self.shared.with(|world| make::method(world, Some(customer), card))
    }

    /// Stripe: makes a method the customer's default.
    pub fn set_default_payment_method(&self, customer: &str, method: &str) {
        self.shared.with(|world| make::set_default(world, customer, method));
    }

    /// Stripe: makes a subscription; nothing is billed yet.
    pub fn create_subscription(&self, new: NewBill) -> String {
        self.shared.with(|world| make::subscription(world, new))
    }

    /// Stripe: makes a customer with a card and a subscription; `bill.customer` is filled in.
    pub fn subscribe(&self, new: NewCustomer, card: &str, bill: NewBill) -> Subscribed {
        self.shared.with(|world| subscribe(world, new, card, bill))
    }

    /// Stripe: an open invoice without a subscription; nothing is tried yet.
    pub fn create_invoice(&self, new: NewBill) -> String {
        self.shared.with(|world| make::invoice(world, new, None))
    }

    /// Stripe: makes the next invoice of a subscription and tries it, as the card and the script
    /// say. `None`: the subscription does not exist, is paused, or has ended.
    pub fn bill(&self, subscription: &str) -> Option<String> {
        self.shared.with(|world| make::bill(world, subscription))
    }

    /// Stripe: lets the account itself try an open invoice once more.
    pub fn native_attempt(&self, invoice: &str) {
        self.shared.with(|world| charging::native_attempt(world, invoice));
    }

    /// Stripe: the customer gives another card, as on the portal.
    pub fn change_card(&self, customer: &str, card: &str) -> String {
        self.shared.with(|world| change_card(world, customer, card))
    }

    /// Stripe: voids an open invoice.
    pub fn void_invoice(&self, invoice: &str) {
        self.shared.with(|world| invoices::close_as(world, invoice, "void", "invoice.voided"));
    }

    /// Stripe: ends a subscription.
    pub fn cancel_subscription(&self, subscription: &str) {
        self.shared.with(|world| subscriptions::cancel(world, subscription));
    }

    /// Stripe: the customer disputes the paid charge of an invoice; `false`: it has none.
    pub fn dispute_invoice(&self, invoice: &str) -> bool {
        self.shared.with(|world| dispute(world, invoice))
    }

    /// Stripe: gives the paid charge of an invoice back; `false`: it has none.
    pub fn refund_invoice(&self, invoice: &str) -> bool {
        self.shared.with(|world| refund(world, invoice))
    }

    /// Stripe: an invoice as it is now.
    pub fn invoice(&self, id: &str) -> Option<InvoiceFacts> {
        self.shared.with(|world| invoice_facts(world, id))
    }

    /// `http`: makes a customer.
    pub fn create_http_customer(&self, new: NewHttpCustomer) -> String {
        self.shared.with(|world| http::make_customer(world, new))
    }

    /// `http`: makes a token for a test card; the default of `customer` where one is given.
    pub fn create_http_card(&self, customer: Option<&str>, card: &str) -> String {
        self.shared.with(|world| http::make_card(world, customer, card))
    }

    /// `http`: makes a subscription.
    pub fn create_http_subscription(&self, customer: &str) -> String {
        self.shared.with(|world| http::make_subscription(world, customer))
    }

    /// `http`: bills an invoice and tries it with the customer's default token (none: a declined
    /// card), which sends `invoice.payment_failed` or `invoice.paid`.
    pub fn bill_http(&self, new: NewHttpInvoice) -> String {
        self.shared.with(|world| {
            let id = http::make_invoice(world, new);
            http::native_attempt(world, &id);
            id
        })
    }

    /// Adyen: stores a test card for a shopper; nothing is told of it.
    pub fn create_adyen_card(&self, shopper: &str, card: &str) -> String {
        self.shared.with(|world| adyen::model::make_card(world, shopper, card))
    }

    /// Adyen: the merchant's own billing charges the shopper's stored card (none: a declined one),
    /// which sends an AUTHORISATION. Gives its pspReference.
    pub fn bill_adyen(&self, new: NewAdyenPayment) -> String {
        self.shared.with(|world| adyen::payments::bill(world, new))
    }

    /// Queues outcomes: each charge (or call) takes the next one.
    pub fn script(&self, target: Target, steps: impl IntoIterator<Item = Step>) {
        let steps = steps.into_iter().collect();
        self.shared.with(|world| world.issuer.queue(target, steps));
    }

    /// Adds a behavior between two times of the clock; the one that was added last wins.
    pub fn schedule(&self, rule: Rule) {
        self.shared.with(|world| world.issuer.add_rule(rule));
    }

    /// Forgets all scripts and schedules.
    pub fn clear_script(&self) {
        self.shared.with(|world| world.issuer.clear());
    }

    /// Every capture that ever happened, at every gateway, in order.
    pub fn ledger(&self) -> Vec<Capture> {
        self.shared.with(|world| world.ledger.clone())
    }

    /// Invoices with more than one capture that was not given back: none, or somebody was
    /// charged twice.
    pub fn double_charges(&self) -> Vec<String> {
        self.shared.with(|world| double_charges(&world.ledger))
    }

    /// Every event that was made, at every gateway, in order.
    pub fn events(&self) -> Vec<EventRecord> {
        self.shared.with(|world| world.events.clone())
    }

    /// The captures of one invoice at one gateway.
    pub fn captures_of(&self, gateway: Kind, invoice: &str) -> Vec<Capture> {
        let mut ledger = self.ledger();
        ledger.retain(|c| c.gateway == gateway && c.invoice.as_deref() == Some(invoice));
        ledger
    }
}

pub(super) fn double_charges(ledger: &[Capture]) -> Vec<String> {
    let mut kept = std::collections::BTreeMap::<&str, usize>::new();
    for capture in ledger.iter().filter(|capture| !capture.is_refunded()) {
        if let Some(invoice) = &capture.invoice {
            *kept.entry(invoice).or_insert(0) += 1;
        }
    }
    kept.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id.to_owned()).collect()
}
