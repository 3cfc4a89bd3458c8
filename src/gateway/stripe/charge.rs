//! Charging at Stripe, and what every possible answer means for the attempt.
//!
//! Why here: this table decides whether a customer can be charged twice, so it is one file, and
//! nearly all of it is pure.
//!
//! What must stay true:
//! - only an answer that says so is an approval or a decline; whatever cannot be read, breaks off
//!   or is a 5xx is [`ChargeOutcome::Unknown`];
//! - the same order always makes the same bytes, since Stripe compares them under one key.

use serde_json::{Value, json};

use super::client::{self, Client, WORDS};
use super::{money, view, webhook};
use crate::core::decline::{Advice, Category, Decline};
use crate::core::effect::{ChargeOrder, ChargeOutcome, InvoiceStatus};
use crate::core::event::PaymentMethodFacts;
use crate::gateway::wire::{Answer, Trouble};

/// Where our attempt is noted on a PaymentIntent of our own making: what a look-up searches for.
pub(super) const META_ATTEMPT: &str = "recoup_attempt";
/// Where the billing gateway's invoice is noted.
pub(super) const META_INVOICE: &str = "recoup_invoice";

/// Charges an invoice of Stripe's own, or beside another billing gateway.
pub(super) async fn charge(client: &Client, order: &ChargeOrder) -> ChargeOutcome {
    let sent = match (order.billing, money::to_stripe(order.amount)) {
        (true, _) => pay_invoice(client, order).await,
        (false, Some(amount)) => create_payment(client, order, amount).await,
        (false, None) => {
            let why = format!("Stripe cannot charge exactly {}", order.amount);
            return ChargeOutcome::Refused { why };
        }
    };
    let answer = match sent {
        Ok(answer) => answer,
        Err(trouble) => return trouble.into_outcome(),
    };
    let outcome = outcome_of(order, &answer);
    if order.billing && answer.status == 400 && matches!(outcome, ChargeOutcome::Refused { .. }) {
        return closed_or(client, order, outcome).await;
    }
    outcome
}

async fn pay_invoice(client: &Client, order: &ChargeOrder) -> Result<Answer, Trouble> {
    let mut form =
        vec![("off_session", "true"), ("expand[]", "payments.data.payment.payment_intent")];
    if let Some(token) = &order.token {
        form.push(("payment_method", token));
    }
    let path = ["v1", "invoices", &order.invoice, "pay"];
    client.post(&path, &form, &order.idempotency_key).await
}

async fn create_payment(
    client: &Client,
    order: &ChargeOrder,
    amount: i64,
) -> Result<Answer, Trouble> {
    let (amount, currency) = (amount.to_string(), order.amount.currency.code().to_lowercase());
    let (meta_attempt, meta_invoice) =
        (format!("metadata[{META_ATTEMPT}]"), format!("metadata[{META_INVOICE}]"));
    let mut form = vec![
        ("amount", amount.as_str()),
        ("currency", currency.as_str()),
        ("confirm", "true"),
        ("off_session", "true"),
        ("error_on_requires_action", "true"),
        ("expand[]", "latest_charge"),
        (meta_attempt.as_str(), order.attempt.as_str()),
        (meta_invoice.as_str(), order.invoice.as_str()),
    ];
    if let Some(customer) = &order.customer {
        form.push(("customer", customer));
    }
    if let Some(token) = &order.token {
        form.push(("payment_method", token));
    }
    client.post(&["v1", "payment_intents"], &form, &order.idempotency_key).await
}

/// What an answer to a charge means.
pub(super) fn outcome_of(order: &ChargeOrder, answer: &Answer) -> ChargeOutcome {
    let unknown = || ChargeOutcome::Unknown { why: WORDS.of(answer) };
    match answer.status {
        200..=299 => match answer.object() {
            Some(body) if order.billing => invoice_outcome(order, &body).unwrap_or_else(unknown),
            Some(body) => payment_outcome(&body, order).unwrap_or_else(unknown),
            None => unknown(),
        },
        // 409: the key is in use. 429: too many requests, or the object is locked. Not executed.
        409 | 429 => ChargeOutcome::Busy { retry_after_s: answer.wait_s() },
        408 | 424 => unknown(),
        400..=499 => match client::error_of(answer) {
            Some(error) => rejection(order, answer, &error),
            None if answer.status == 402 => unknown(),
            None => ChargeOutcome::Refused { why: WORDS.of(answer) },
        },
        // A redirect is not followed; a 5xx may have charged, and is stored under the key.
        _ => unknown(),
    }
}

fn rejection(order: &ChargeOrder, answer: &Answer, error: &Value) -> ChargeOutcome {
    let why = WORDS.of(answer);
    if wants_action(error) || answer.status == 402 || error["type"] == "card_error" {
        return declined(error, None, order);
    }
    if error["type"] == "idempotency_error" {
        // The key was executed before with other parameters: this call charged nothing, but an
        // earlier one, whose answer we never had, may have.
        return ChargeOutcome::Unknown { why };
    }
    if order.billing && says_closed(error) {
        ChargeOutcome::InvoiceClosed
    } else {
        ChargeOutcome::Refused { why }
    }
}

/// Whether an error means: the customer must confirm with the bank.
fn wants_action(error: &Value) -> bool {
    matches!(
        client::code_of(error),
        "authentication_required"
            | "invoice_payment_intent_requires_action"
            | "subscription_payment_intent_requires_action"
            | "payment_intent_authentication_failure"
    )
}

/// Stripe has no code for all of these; where its words are others, the invoice itself is read.
fn says_closed(error: &Value) -> bool {
    let message = error["message"].as_str().unwrap_or_default().to_lowercase();
    client::code_of(error) == "invoice_already_paid"
        || message.contains("invoice is already paid")
        || message.contains("invoice is void")
        || message.contains("invoice has been voided")
}

/// A 400 is also how Stripe answers for an invoice that is no longer open. Reading it charges
/// nothing; where it cannot be read the refusal stands.
async fn closed_or(client: &Client, order: &ChargeOrder, refused: ChargeOutcome) -> ChargeOutcome {
    let path = ["v1", "invoices", &order.invoice];
    match client.read("read the invoice", &path, &[]).await {
        Ok(invoice) if is_closed(&invoice) => ChargeOutcome::InvoiceClosed,
        _ => refused,
    }
}

fn is_closed(invoice: &Value) -> bool {
    matches!(view::invoice_status(invoice), Some(InvoiceStatus::Paid | InvoiceStatus::Void))
}

/// What the invoice in a successful answer says of the attempt; `None`: it does not say.
fn invoice_outcome(order: &ChargeOrder, invoice: &Value) -> Option<ChargeOutcome> {
    match view::invoice_status(invoice)? {
        InvoiceStatus::Paid => Some(approved_invoice(order, invoice)),
        InvoiceStatus::Void => Some(ChargeOutcome::InvoiceClosed),
        InvoiceStatus::Draft => None,
        InvoiceStatus::Open | InvoiceStatus::Uncollectible => {
            let payments = view::payments_of(invoice);
            let judged = payments.iter().find_map(|p| payment_outcome(p.object, order));
            let payment = payments.iter().find_map(|p| p.id()).map(str::to_owned);
            Some(judged.unwrap_or(ChargeOutcome::Pending { payment }))
        }
    }
}

/// The approval that a paid invoice proves.
pub(super) fn approved_invoice(order: &ChargeOrder, invoice: &Value) -> ChargeOutcome {
    let payments = view::payments_of(invoice);
    let payment = payments.first();
    let object = payment.map_or(&Value::Null, |p| p.object);
    ChargeOutcome::Approved {
        payment: payment.and_then(|p| p.id()).unwrap_or(&order.invoice).to_owned(),
        amount: view::amount(invoice, "/amount_paid"),
        network_transaction_id: view::network_transaction_id(object),
        method: facts(view::method_of(object), order),
    }
}

/// What a PaymentIntent says of the last attempt on it; `None`: it does not say.
pub(super) fn payment_outcome(payment: &Value, order: &ChargeOrder) -> Option<ChargeOutcome> {
    let id = view::owned(payment, "/id");
    match payment["status"].as_str()? {
        "succeeded" => Some(ChargeOutcome::Approved {
            payment: id.unwrap_or_else(|| order.idempotency_key.clone()),
            amount: view::amount(payment, "/amount_received")
                .or_else(|| view::amount(payment, "/amount")),
            network_transaction_id: view::network_transaction_id(payment),
            method: facts(view::method_of(payment), order),
        }),
        "processing" | "requires_capture" => Some(ChargeOutcome::Pending { payment: id }),
        "requires_action" | "requires_source_action" => {
            Some(declined(&json!({ "code": "authentication_required" }), Some(payment), order))
        }
        "requires_payment_method" | "requires_source" => {
            let error = last_error(payment)?;
            Some(declined(&error, Some(payment), order))
        }
        "canceled" => Some(ChargeOutcome::Refused { why: "the payment was canceled".to_owned() }),
        _ => None,
    }
}

/// The last refusal. The charge that it names, where it is expanded, knows the bank's own words.
fn last_error(payment: &Value) -> Option<Value> {
    let mut error = payment.get("last_payment_error").filter(|error| error.is_object())?.clone();
    let charge = &payment["latest_charge"];
    if charge.is_object() && error["charge"] == charge["id"] {
        error["charge"] = charge.clone();
    }
    Some(error)
}

fn declined(error: &Value, payment: Option<&Value>, order: &ChargeOrder) -> ChargeOutcome {
    let (mut decline, method) = webhook::decline_of_error(error);
    if wants_action(error) {
        needs_customer(&mut decline);
    }
    let known = payment.and_then(|p| view::owned(p, "/id"));
    let told = ["/payment_intent", "/charge"].into_iter().find_map(|p| view::id_at(error, p));
    ChargeOutcome::Declined {
        payment: known.or_else(|| told.map(str::to_owned)),
        decline,
        method: facts(method, order),
    }
}

/// Whatever the table says of the code: here the customer must confirm, and the card is fine.
fn needs_customer(decline: &mut Decline) {
    decline.category = Category::AuthenticationRequired;
    if decline.advice != Advice::Never {
        decline.advice = Advice::Authenticate;
    }
}

/// The token is what we charged, where Stripe does not repeat it.
fn facts(mut method: PaymentMethodFacts, order: &ChargeOrder) -> PaymentMethodFacts {
    method.token = method.token.or_else(|| order.token.clone());
    method
}
