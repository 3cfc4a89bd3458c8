//! Stripe's objects on the wire: the one place that writes their JSON.
//!
//! Why here: the API, the webhooks, `recoup trigger`, the demo and tests must not each have their
//! own idea of an invoice.
//!
//! What must stay true: a field that the shape's version does not have is absent, not null; a
//! basil invoice says nothing about a decline unless its payments are expanded.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::catalog::Price;
use super::model::{
    Account, Charge, Customer, Invoice, LastError, PaymentIntent, PaymentMethod, Refund,
    Subscription,
};
use super::parts::{card, decline, details, list, unix};
use super::shape::{Expand, Shape};
use crate::sandbox::refusal::Refusal;

/// Writes objects of one account in one version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) account: &'a Account,
    pub(crate) shape: Shape,
    /// `http://address`, for hosted pages.
    pub(crate) base: &'a str,
}

impl Writer<'_> {
    pub(crate) fn customer(self, customer: &Customer, expand: &Expand) -> Value {
        let method = customer.default_method.as_deref();
        let inner = expand.under("invoice_settings");
        json!({
            "id": customer.id,
            "object": "customer",
            "address": customer.country.as_ref().map(|country| json!({
                "city": null, "country": country, "line1": null, "line2": null,
                "postal_code": null, "state": null,
            })),
            "balance": 0,
            "created": unix(customer.created),
            "currency": null,
            "default_source": null,
            "delinquent": false,
            "description": null,
            "email": customer.email,
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method":
                    self.method_or_id(method, &inner, "default_payment_method"),
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": customer.metadata,
            "name": customer.name,
            "phone": customer.phone,
            "preferred_locales": customer.locale.iter().collect::<Vec<_>>(),
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }

    pub(crate) fn method(self, method: &PaymentMethod) -> Value {
        json!({
            "id": method.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": {
                "address": { "city": null, "country": null, "line1": null, "line2": null,
                    "postal_code": null, "state": null },
                "email": null, "name": null, "phone": null, "tax_id": null,
            },
            "card": card(&method.card),
            "created": unix(method.created),
            "customer": method.customer,
            "livemode": false,
            "metadata": {},
            "type": "card",
        })
    }

    /// The customer that an object names: its id, or itself where that is asked for.
    fn customer_or_id(self, id: Option<&str>, expand: &Expand) -> Value {
        let found = id.and_then(|id| self.account.customers.get(id));
        found.filter(|_| expand.has("customer")).map_or_else(
            || json!(id),
            |customer| self.customer(customer, &expand.under("customer")),
        )
    }

    fn method_or_id(self, id: Option<&str>, expand: &Expand, field: &str) -> Value {
        let found = id.and_then(|id| self.account.methods.get(id)).filter(|_| expand.has(field));
        found.map_or_else(|| json!(id), |method| self.method(method))
    }

    pub(crate) fn subscription(self, subscription: &Subscription, expand: &Expand) -> Value {
        let month = 30 * 24 * 3600;
        let start = unix(subscription.created);
        let latest = subscription.latest_invoice.as_deref();
        json!({
            "id": subscription.id,
            "object": "subscription",
            "billing_cycle_anchor": start,
            "cancel_at": null,
            "cancel_at_period_end": false,
            "canceled_at": subscription.ended.map(unix),
            "collection_method": "charge_automatically",
            "created": start,
            "currency": subscription.currency,
            "customer": self.customer_or_id(Some(&subscription.customer), expand),
            "default_payment_method": self.method_or_id(
                subscription.default_method.as_deref(), expand, "default_payment_method"),
            "default_source": null,
            "description": subscription.description,
            "ended_at": subscription.ended.map(unix),
            "items": list("/v1/subscription_items", vec![json!({
                "id": subscription.id.replacen("sub_", "si_", 1),
                "object": "subscription_item",
                "created": start,
                "current_period_end": start + month,
                "current_period_start": start,
                "metadata": {},
                "price": self.price_of(subscription),
                "quantity": 1,
                "subscription": subscription.id,
            })], false),
            "latest_invoice": latest
                .and_then(|id| self.account.invoices.get(id))
                .filter(|_| expand.has("latest_invoice"))
                .map_or_else(|| json!(latest),
                    |invoice| self.invoice(invoice, &expand.under("latest_invoice"))),
            "livemode": false,
            "metadata": subscription.metadata,
            "pause_collection": subscription.paused.as_ref()
                .map(|behavior| json!({ "behavior": behavior, "resumes_at": null })),
            "start_date": start,
            "status": subscription.status,
        })
    }

    /// The price that a subscription was made by; one of its own where it was made without.
    fn price_of(self, subscription: &Subscription) -> Value {
        let price = subscription.price.as_ref().and_then(|id| self.account.prices.get(id));
        price.map_or_else(
            || {
                json!({
                    "id": subscription.id.replacen("sub_", "price_", 1),
                    "object": "price",
                    "currency": subscription.currency,
                    "nickname": subscription.description,
                    "recurring": { "interval": "month", "interval_count": 1 },
                    "type": "recurring",
                    "unit_amount": subscription.amount,
                })
            },
            Price::object,
        )
    }

    /// An invoice, in the shape of the version.
    pub(crate) fn invoice(self, invoice: &Invoice, expand: &Expand) -> Value {
        let mut object = self.invoice_base(invoice);
        object["customer"] = self.customer_or_id(Some(&invoice.customer), expand);
        let Some(fields) = object.as_object_mut() else { return object };
        let subscription = invoice.subscription.as_ref();
        let metadata =
            subscription.and_then(|id| self.account.subscriptions.get(id)).map(|s| &s.metadata);
        if self.shape == Shape::Basil {
            let details = json!({ "metadata": metadata, "subscription": subscription });
            fields.insert(
                "parent".into(),
                match subscription {
                    Some(_) => json!({ "quote_details": null, "subscription_details": details,
                    "type": "subscription_details" }),
                    None => Value::Null,
                },
            );
            if expand.has("payments") {
                fields.insert("payments".into(), self.payments_of(invoice, expand));
            }
            return object;
        }
        let intent = invoice.intent.as_ref().and_then(|id| self.account.intents.get(id));
        fields.insert("paid".into(), json!(invoice.status == "paid"));
        fields.insert("paid_out_of_band".into(), json!(invoice.out_of_band));
        fields.insert("subscription".into(), json!(subscription));
        fields.insert("charge".into(), json!(intent.and_then(|intent| intent.charges.last())));
        fields.insert(
            "payment_intent".into(),
            match intent {
                Some(intent) if expand.has("payment_intent") => {
                    self.intent(intent, &expand.under("payment_intent"))
                }
                intent => json!(intent.map(|intent| &intent.id)),
            },
        );
        if self.shape == Shape::Acacia {
            fields.insert("subscription_details".into(), json!({ "metadata": metadata }));
        }
        object
    }

    fn invoice_base(self, invoice: &Invoice) -> Value {
        let customer = self.account.customers.get(&invoice.customer);
        let at = |status: &str| invoice.closed.filter(|_| invoice.status == status).map(unix);
        let month = 30 * 24 * 3600;
        let created = unix(invoice.created);
        json!({
            "id": invoice.id,
            "object": "invoice",
            "account_country": "US",
            "account_name": "Sandbox",
            "amount_due": invoice.amount,
            "amount_overpaid": 0,
            "amount_paid": invoice.paid,
            "amount_remaining": invoice.remaining(),
            "attempt_count": invoice.attempt_count,
            "attempted": invoice.attempted,
            "auto_advance": invoice.auto_advance,
            "billing_reason": if invoice.subscription.is_some() { "subscription_cycle" }
                else { "manual" },
            "collection_method": "charge_automatically",
            "created": created,
            "currency": invoice.currency,
            "customer": invoice.customer,
            "customer_address": customer.and_then(|c| c.country.as_ref()).map(|country| json!({
                "city": null, "country": country, "line1": null, "line2": null,
                "postal_code": null, "state": null })),
            "customer_email": customer.and_then(|c| c.email.as_ref()),
            "customer_name": customer.and_then(|c| c.name.as_ref()),
            "customer_phone": customer.and_then(|c| c.phone.as_ref()),
            "default_payment_method": null,
            "default_source": null,
            "description": null,
            "due_date": null,
            "ending_balance": 0,
            "hosted_invoice_url": format!("{}/stripe/pages/invoice/{}", self.base, invoice.page),
            "invoice_pdf": null,
            "lines": list(&format!("/v1/invoices/{}/lines", invoice.id), vec![json!({
                "id": invoice.id.replacen("in_", "il_", 1),
                "object": "line_item",
                "amount": invoice.amount,
                "currency": invoice.currency,
                "description": format!("1 × {}", invoice.description),
                "invoice": invoice.id,
                "livemode": false,
                "metadata": {},
                "period": { "end": created + month, "start": created },
                "quantity": 1,
            })], false),
            "livemode": false,
            "metadata": invoice.metadata,
            "next_payment_attempt": invoice.next_attempt.map(unix),
            "number": invoice.number,
            "period_end": created,
            "period_start": created - month,
            "status": invoice.status,
            "status_transitions": {
                "finalized_at": created,
                "marked_uncollectible_at": at("uncollectible"),
                "paid_at": at("paid"),
                "voided_at": at("void"),
            },
            "subtotal": invoice.amount,
            "total": invoice.amount,
            "webhooks_delivered_at": created,
        })
    }

    fn payments_of(self, invoice: &Invoice, expand: &Expand) -> Value {
        let inner = expand.under("payments.data");
        let data = invoice.intent.iter().map(|_| self.invoice_payment(invoice, &inner)).collect();
        list("/v1/invoice_payments", data, false)
    }

    /// What links an invoice to its PaymentIntent since basil.
    pub(crate) fn invoice_payment(self, invoice: &Invoice, expand: &Expand) -> Value {
        let intent = invoice.intent.as_ref().and_then(|id| self.account.intents.get(id));
        let inner = expand.under("payment.payment_intent");
        let payment = match intent {
            Some(intent) if expand.has("payment.payment_intent") => self.intent(intent, &inner),
            intent => json!(intent.map(|intent| &intent.id)),
        };
        let paid = invoice.status == "paid" && !invoice.out_of_band;
        json!({
            "id": invoice.id.replacen("in_", "inpay_", 1),
            "object": "invoice_payment",
            "amount_paid": paid.then_some(invoice.paid),
            "amount_requested": invoice.amount,
            "created": unix(invoice.created),
            "currency": invoice.currency,
            "invoice": invoice.id,
            "is_default": true,
            "livemode": false,
            "payment": { "type": "payment_intent", "payment_intent": payment },
            "status": if paid { "paid" } else { "open" },
            "status_transitions": {
                "canceled_at": null,
                "paid_at": invoice.closed.filter(|_| paid).map(unix),
            },
        })
    }

    pub(crate) fn intent(self, intent: &PaymentIntent, expand: &Expand) -> Value {
        let latest = intent.charges.last().and_then(|id| self.account.charges.get(id));
        let mut object = json!({
            "id": intent.id,
            "object": "payment_intent",
            "amount": intent.amount,
            "amount_capturable": 0,
            "amount_received": if intent.status == "succeeded" { intent.amount } else { 0 },
            "canceled_at": null,
            "capture_method": "automatic",
            "client_secret": format!("{}_secret_sandbox", intent.id),
            "confirmation_method": "automatic",
            "created": unix(intent.created),
            "currency": intent.currency,
            "customer": self.customer_or_id(intent.customer.as_deref(), expand),
            "description": intent.description,
            "last_payment_error": intent.last_error.as_ref().map(|error| self.last_error(error)),
            "livemode": false,
            "metadata": intent.metadata,
            "next_action": (intent.status == "requires_action").then(|| json!({
                "type": "use_stripe_sdk", "use_stripe_sdk": {} })),
            "payment_method":
                self.method_or_id(intent.method.as_deref(), expand, "payment_method"),
            "payment_method_types": ["card"],
            "processing": null,
            "setup_future_usage": null,
            "status": intent.status,
        });
        let Some(fields) = object.as_object_mut() else { return object };
        if self.shape == Shape::Legacy {
            let all = intent.charges.iter().filter_map(|id| self.account.charges.get(id));
            let data = all.map(|charge| self.charge(charge, &Expand::default())).collect();
            fields.insert("charges".into(), list("/v1/charges", data, false));
        } else {
            fields.insert(
                "latest_charge".into(),
                match latest {
                    Some(charge) if expand.has("latest_charge") => {
                        self.charge(charge, &expand.under("latest_charge"))
                    }
                    charge => json!(charge.map(|charge| &charge.id)),
                },
            );
        }
        if self.shape != Shape::Basil {
            fields.insert("invoice".into(), json!(intent.invoice));
        }
        object
    }

    /// A decline as an error tells it.
    pub(crate) fn last_error(self, error: &LastError) -> Value {
        let mut object = decline(self.shape, &error.refusal);
        object["charge"] = json!(error.charge);
        if let Some(method) = self.account.methods.get(&error.method) {
            object["payment_method"] = self.method(method);
        }
        object
    }

    pub(crate) fn charge(self, charge: &Charge, expand: &Expand) -> Value {
        let method = self.account.methods.get(&charge.method);
        let failed = charge.refusal.as_ref();
        let mut object = json!({
            "id": charge.id,
            "object": "charge",
            "amount": charge.amount,
            "amount_captured": if charge.status == "succeeded" { charge.amount } else { 0 },
            "amount_refunded": charge.refunded,
            "billing_details": { "address": null, "email": null, "name": null, "phone": null },
            "captured": charge.status == "succeeded",
            "created": unix(charge.created),
            "currency": charge.currency,
            "customer": self.customer_or_id(charge.customer.as_deref(), expand),
            "description": null,
            "disputed": charge.disputed,
            "failure_code": failed.map(Refusal::wrapper),
            "failure_message": failed.map(Refusal::message),
            "livemode": false,
            "metadata": charge.metadata,
            "outcome": self.outcome(charge),
            "paid": charge.status == "succeeded",
            "payment_intent": charge.intent,
            "payment_method": charge.method,
            "payment_method_details": method.map(|method| details(&method.card, charge)),
            "receipt_url": null,
            "refunded": charge.refunded >= charge.amount,
            "status": charge.status,
        });
        if let Some(intent) = self.account.intents.get(&charge.intent)
            && expand.has("payment_intent")
        {
            object["payment_intent"] = self.intent(intent, &expand.under("payment_intent"));
        }
        if self.shape != Shape::Basil {
            object["invoice"] = json!(charge.invoice);
        }
        object
    }

    fn outcome(self, charge: &Charge) -> Value {
        let Some(refusal) = charge.refusal.as_ref() else {
            return json!({ "network_status": "approved_by_network", "reason": null,
                "risk_level": "normal", "seller_message": "Payment complete.",
                "type": "authorized" });
        };
        let mut outcome = json!({
            "network_status": "declined_by_network",
            "reason": refusal.code,
            "risk_level": "normal",
            "seller_message": format!("The bank returned the decline code `{}`.", refusal.code),
            "type": "issuer_declined",
        });
        if self.shape != Shape::Legacy {
            outcome["advice_code"] = json!(refusal.advice_code);
            outcome["network_advice_code"] = json!(refusal.network_advice_code);
            outcome["network_decline_code"] = json!(refusal.network_decline_code);
        }
        outcome
    }

    pub(crate) fn refund(self, refund: &Refund) -> Value {
        json!({
            "id": refund.id,
            "object": "refund",
            "amount": refund.amount,
            "charge": refund.charge,
            "created": unix(refund.created),
            "currency": refund.currency,
            "metadata": {},
            "payment_intent": refund.intent,
            "reason": null,
            "status": "succeeded",
        })
    }

    pub(crate) fn dispute(self, charge: &Charge, id: &str, at: Timestamp) -> Value {
        json!({
            "id": id,
            "object": "dispute",
            "amount": charge.amount,
            "charge": charge.id,
            "created": unix(at),
            "currency": charge.currency,
            "evidence_details": { "due_by": unix(at) + 7 * 24 * 3600, "has_evidence": false },
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": {},
            "payment_intent": charge.intent,
            "reason": "fraudulent",
            "status": "needs_response",
        })
    }
}
