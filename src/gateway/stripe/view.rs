//! Tolerant views of Stripe's objects: every field may be absent, null, an id or expanded.
//!
//! Why here: a strict type turns a successful charge whose body lacks one field into an error, and
//! then nobody knows whether money was taken (`docs/adr/0003-own-stripe-client.md`). These views
//! read what is there, in the shapes since 2025-03-31 and in the ones before.
//!
//! What must stay true: reading never fails and never panics; what is not there is `None`.

use serde_json::Value;

use super::money;
use crate::core::effect::{InvoiceStatus, InvoiceView};
use crate::core::event::PaymentMethodFacts;
use crate::core::money::Money;
use crate::gateway::facts::{count, currency};
pub(super) use crate::gateway::facts::{owned, text, time};

/// The id of a reference, whether it is expanded or not.
pub(super) fn id_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    let found = value.pointer(pointer)?;
    found.as_str().or_else(|| found["id"].as_str()).filter(|id| !id.is_empty())
}

/// The amount at a JSON pointer, in the object's `currency`.
pub(super) fn amount(value: &Value, pointer: &str) -> Option<Money> {
    money::from_stripe(value.pointer(pointer)?.as_i64()?, currency(value, "/currency")?)
}

/// The objects of a list.
pub(super) fn data(list: &Value) -> &[Value] {
    list["data"].as_array().map_or(&[], Vec::as_slice)
}

/// The state of an invoice; shapes of before 2011 only say `paid`.
pub(super) fn invoice_status(invoice: &Value) -> Option<InvoiceStatus> {
    match invoice["status"].as_str() {
        Some("draft") => Some(InvoiceStatus::Draft),
        Some("open") => Some(InvoiceStatus::Open),
        Some("paid") => Some(InvoiceStatus::Paid),
        Some("uncollectible") => Some(InvoiceStatus::Uncollectible),
        Some("void") => Some(InvoiceStatus::Void),
        _ => (invoice["paid"].as_bool() == Some(true)).then_some(InvoiceStatus::Paid),
    }
}

/// One payment of an invoice: a PaymentIntent, or its id; else a charge's id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payment<'a> {
    /// The PaymentIntent or charge: an id, or expanded.
    pub(super) object: &'a Value,
    /// It paid the invoice.
    pub(super) paid: bool,
    default: bool,
}

impl<'a> Payment<'a> {
    fn of_list(item: &'a Value) -> Option<Self> {
        let payment = &item["payment"];
        let object = ["payment_intent", "charge"]
            .into_iter()
            .map(|name| &payment[name])
            .find(|object| !object.is_null())?;
        Some(Self {
            object,
            paid: item["status"] == "paid",
            default: item["is_default"].as_bool().unwrap_or(false),
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> Option<&'a str> {
        self.object.as_str().or_else(|| self.object["id"].as_str())
    }
}

/// The payments in a list of InvoicePayments, the one that counts first: paid, else the default.
pub(super) fn payments_in(list: &Value) -> Vec<Payment<'_>> {
    let mut found: Vec<_> = data(list).iter().filter_map(Payment::of_list).collect();
    found.sort_by_key(|payment| (!payment.paid, !payment.default));
    found
}

/// The payments that an invoice tells of, in either shape.
pub(super) fn payments_of(invoice: &Value) -> Vec<Payment<'_>> {
    let listed = payments_in(&invoice["payments"]);
    if !listed.is_empty() {
        return listed;
    }
    let paid = invoice_status(invoice) == Some(InvoiceStatus::Paid);
    ["payment_intent", "charge"]
        .into_iter()
        .map(|name| &invoice[name])
        .find(|object| !object.is_null())
        .map(|object| Payment { object, paid, default: true })
        .into_iter()
        .collect()
}

/// Whether an invoice is paid by money that Stripe did not move.
///
/// Shapes since 2025-03-31 do not say so in one field: what was paid off Stripe is counted, and a
/// paid invoice that had something to collect and has no payment was marked by hand.
pub(super) fn paid_out_of_band(invoice: &Value) -> bool {
    if invoice_status(invoice) != Some(InvoiceStatus::Paid) {
        return false;
    }
    if let Some(said) = invoice["paid_out_of_band"].as_bool() {
        return said;
    }
    let off_stripe = invoice["amount_paid_off_stripe"].as_i64().unwrap_or(0) > 0;
    let was_due = invoice["amount_due"].as_i64().unwrap_or(0) > 0;
    let lists_payments = invoice["payments"]["data"].is_array();
    off_stripe || (was_due && lists_payments && !payments_of(invoice).iter().any(|p| p.paid))
}

/// An invoice in recoup's words; `None` when it has no readable state.
pub(super) fn invoice_view(invoice: &Value) -> Option<InvoiceView> {
    Some(InvoiceView {
        status: invoice_status(invoice)?,
        amount_remaining: amount(invoice, "/amount_remaining"),
        paid_out_of_band: paid_out_of_band(invoice),
        next_native_attempt_at: time(invoice, "/next_payment_attempt"),
        attempt_count: count(invoice, "/attempt_count"),
    })
}

/// What a PaymentIntent or charge tells of the card: an expanded charge or payment method the most.
pub(super) fn method_of(payment: &Value) -> PaymentMethodFacts {
    let sources = [
        "/latest_charge/payment_method_details",
        "/payment_method",
        "/last_payment_error/payment_method",
        "/payment_method_details",
    ];
    let mut facts = sources
        .into_iter()
        .filter_map(|pointer| payment.pointer(pointer))
        .filter(|value| value.is_object())
        .map(super::webhook::card_facts)
        .find(|facts| facts.last4.is_some())
        .unwrap_or_default();
    let token = ["/payment_method", "/latest_charge/payment_method"]
        .into_iter()
        .find_map(|pointer| id_at(payment, pointer));
    facts.token = facts.token.or_else(|| token.map(str::to_owned));
    facts
}

/// The scheme's id of the payment, where the charge is expanded.
pub(super) fn network_transaction_id(payment: &Value) -> Option<String> {
    ["/latest_charge", ""].into_iter().find_map(|charge| {
        owned(payment, &format!("{charge}/payment_method_details/card/network_transaction_id"))
    })
}
