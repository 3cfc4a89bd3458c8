//! Charging at sandbox Stripe: what a try does to invoice, PaymentIntent and Charge, and which
//! webhooks it sends.
//!
//! Why here: a manual pay, the account's own retry, the hosted page and a standalone PaymentIntent
//! all end here, so that they agree.
//!
//! What must stay true: a paid or closed invoice is never charged; every success is in the ledger
//! once; `attempt_count` does not rise on manual tries after the first.

use jiff::SignedDuration;
use serde_json::Value;

use super::errors;
use super::model::{Charge, Invoice, LastError, Metadata, PaymentIntent, Pending};
use super::objects::Writer;
use super::parts;
use super::shape::{Expand, Shape};
use crate::core::money::Money;
use crate::sandbox::Kind;
use crate::sandbox::api::Reply;
use crate::sandbox::issuer::{Answer, Fault, Step};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{self, Capture, World};

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The account's own schedule.
    Native,
    /// The customer, on a hosted page.
    Hosted,
    /// The API, without the customer.
    OffSession,
    /// The API, with the customer (`off_session=false`).
    OnSession,
}

/// What came of a try.
#[derive(Debug)]
pub(crate) enum Tried {
    Approved,
    Declined(Refusal),
    NeedsCustomer,
    Pending,
}

/// One try to be made.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) origin: Origin,
    pub(crate) method: String,
    pub(crate) key: Option<String>,
}

/// Emits an event about an object.
pub(crate) fn emit(world: &mut World, kind: &str, object: Value) {
    let id = world.ids.next("evt");
    let event = parts::event(world.stripe.shape, &id, kind, world.now, object);
    world.emit(Kind::Stripe, kind, id, event);
}

/// A writer in the account's own version, as events are written.
pub(crate) fn writer(world: &World) -> Writer<'_> {
    Writer { account: &world.stripe, shape: world.stripe.shape, base: &world.base }
}

pub(crate) fn emit_invoice(world: &mut World, kind: &str, id: &str) {
    let Some(invoice) = world.stripe.invoices.get(id) else { return };
    let object = writer(world).invoice(invoice, &Expand::default());
    emit(world, kind, object);
}

fn emit_intent(world: &mut World, kind: &str, id: &str) {
    let Some(intent) = world.stripe.intents.get(id) else { return };
    let object = writer(world).intent(intent, &Expand::default());
    emit(world, kind, object);
}

fn emit_charge(world: &mut World, kind: &str, id: &str) {
    let Some(charge) = world.stripe.charges.get(id) else { return };
    let object = writer(world).charge(charge, &Expand::default());
    emit(world, kind, object);
}

pub(crate) fn emit_subscription(world: &mut World, kind: &str, id: &str) {
    let Some(subscription) = world.stripe.subscriptions.get(id) else { return };
    let object = writer(world).subscription(subscription, &Expand::default());
    emit(world, kind, object);
}

/// Why an invoice cannot be charged, where it cannot.
pub(crate) fn refuse_closed(invoice: &Invoice) -> Option<Reply> {
    match invoice.status {
        "open" | "uncollectible" => None,
        "paid" => Some(errors::invalid("Invoice is already paid", None)),
        "void" => Some(errors::invalid("Invoice is voided; it can no longer be paid", None)),
        _ => Some(errors::invalid("Invoice must be finalized before it can be paid", None)),
    }
}

/// Charges an open invoice. The caller has checked that it may be charged.
pub(crate) fn charge_invoice(
    world: &mut World,
    id: &str,
    attempt: &Try,
) -> Result<(Tried, Step), Reply> {
    let Some(invoice) = world.stripe.invoices.get(id).cloned() else {
        return Err(errors::no_such("invoice", id));
    };
    let intent = intent_of(world, &invoice);
    if world.stripe.intents.get(&intent).is_some_and(|intent| intent.pending.is_some()) {
        return Err(errors::invalid_code(
            "payment_intent_unexpected_state",
            "The payment of this invoice is still processing.",
            None,
        ));
    }
    let (tried, step) = charge_intent(world, &intent, attempt)?;
    if step.fault.is_some_and(Fault::is_before_effect) {
        return Ok((tried, step));
    }
    if let Some(invoice) = world.stripe.invoices.get_mut(id) {
        invoice.attempted = true;
        if attempt.origin == Origin::Native || invoice.attempt_count == 0 {
            invoice.attempt_count += 1;
        }
    }
    if attempt.origin == Origin::Native {
        plan_native(world, id, &tried);
    }
    settle_invoice(world, id, &tried);
    Ok((tried, step))
}

/// The invoice's PaymentIntent; made at its first try.
fn intent_of(world: &mut World, invoice: &Invoice) -> String {
    if let Some(intent) = &invoice.intent {
        return intent.clone();
    }
    let id = new_intent(world, invoice.remaining(), &invoice.currency, Some(&invoice.customer));
    if let Some(intent) = world.stripe.intents.get_mut(&id) {
        intent.invoice = Some(invoice.id.clone());
        intent.description = Some("Subscription update".to_owned());
    }
    if let Some(invoice) = world.stripe.invoices.get_mut(&invoice.id) {
        invoice.intent = Some(id.clone());
    }
    id
}

/// A new PaymentIntent that nothing was charged on yet.
pub(crate) fn new_intent(
    world: &mut World,
    amount: i64,
    currency: &str,
    customer: Option<&str>,
) -> String {
    let id = world.ids.next("pi");
    let intent = PaymentIntent {
        id: id.clone(),
        amount,
        currency: currency.to_owned(),
        customer: customer.map(str::to_owned),
        invoice: None,
        method: None,
        status: "requires_payment_method",
        last_error: None,
        charges: Vec::new(),
        description: None,
        metadata: Metadata::new(),
        created: world.now,
        pending: None,
    };
    world.stripe.intents.insert(id.clone(), intent);
    id
}

/// Charges a PaymentIntent.
pub(crate) fn charge_intent(
    world: &mut World,
    id: &str,
    attempt: &Try,
) -> Result<(Tried, Step), Reply> {
    let Some(method) = world.stripe.methods.get(&attempt.method).cloned() else {
        return Err(errors::no_such("PaymentMethod", &attempt.method));
    };
    let customer = world.stripe.intents.get(id).and_then(|intent| intent.customer.clone());
    let mut step = world.decide(Kind::Stripe, customer.as_deref(), &method.id, &method.card);
    if matches!(attempt.origin, Origin::Native | Origin::Hosted) {
        // What breaks on the way to the API does not concern tries that do not come that way.
        step.fault = None;
    }
    if step.fault.is_some_and(Fault::is_before_effect) {
        return Ok((Tried::Pending, step));
    }
    let present = matches!(attempt.origin, Origin::OnSession | Origin::Hosted);
    let tried = match &step.answer {
        Answer::RequireAuthentication if present => Tried::Approved,
        answer => tried(answer),
    };
    let charge = open_charge(world, id, attempt);
    if let Answer::Pending { seconds, then } = &step.answer {
        pend(world, id, (*seconds, then, attempt.origin));
    } else {
        close_charge(world, id, charge.as_deref(), &tried);
    }
    if method.card.disputes
        && let (Tried::Approved, Some(charge)) = (&tried, &charge)
    {
        dispute(world, charge);
    }
    Ok((tried, step))
}

fn tried(answer: &Answer) -> Tried {
    match answer {
        Answer::Approve => Tried::Approved,
        Answer::Decline(refusal) => Tried::Declined(refusal.clone()),
        Answer::RequireAuthentication => Tried::NeedsCustomer,
        Answer::Pending { .. } => Tried::Pending,
    }
}

fn open_charge(world: &mut World, intent: &str, attempt: &Try) -> Option<String> {
    let id = world.ids.next("ch");
    let now = world.now;
    let intent = world.stripe.intents.get_mut(intent)?;
    intent.method = Some(attempt.method.clone());
    intent.charges.push(id.clone());
    let charge = Charge {
        id: id.clone(),
        intent: intent.id.clone(),
        amount: intent.amount,
        currency: intent.currency.clone(),
        customer: intent.customer.clone(),
        invoice: intent.invoice.clone(),
        method: attempt.method.clone(),
        status: "pending",
        refusal: None,
        refunded: 0,
        disputed: false,
        metadata: intent.metadata.clone(),
        created: now,
        key: attempt.key.clone(),
    };
    world.stripe.charges.insert(id.clone(), charge);
    Some(id)
}

fn pend(world: &mut World, intent: &str, what: (i64, &Answer, Origin)) {
    let (seconds, then, origin) = what;
    let due = world.now + SignedDuration::from_secs(seconds.max(1));
    if let Some(intent) = world.stripe.intents.get_mut(intent) {
        intent.status = "processing";
        let then = world::settled(then).clone();
        intent.pending = Some(Pending { due, then, native: origin == Origin::Native });
    }
    emit_intent(world, "payment_intent.processing", intent);
}

/// Writes a final outcome to the Charge and the PaymentIntent, and tells the webhooks.
fn close_charge(world: &mut World, intent: &str, charge: Option<&str>, tried: &Tried) {
    let Some(charge) = charge else { return };
    match tried {
        Tried::Approved => {
            mark(world, intent, charge, ("succeeded", "succeeded", None));
            capture(world, charge);
            emit_charge(world, "charge.succeeded", charge);
            emit_intent(world, "payment_intent.succeeded", intent);
        }
        Tried::Declined(refusal) => {
            mark(world, intent, charge, ("failed", "requires_payment_method", Some(refusal)));
            emit_charge(world, "charge.failed", charge);
            emit_intent(world, "payment_intent.payment_failed", intent);
        }
        Tried::NeedsCustomer => {
            let refusal = Refusal::of("authentication_required");
            let status = if world.stripe.intents.get(intent).is_some_and(|i| i.invoice.is_some()) {
                "requires_action"
            } else {
                "requires_payment_method"
            };
            mark(world, intent, charge, ("failed", status, Some(&refusal)));
            emit_charge(world, "charge.failed", charge);
            let kind = if status == "requires_action" {
                "payment_intent.requires_action"
            } else {
                "payment_intent.payment_failed"
            };
            emit_intent(world, kind, intent);
        }
        Tried::Pending => {}
    }
}

fn mark(
    world: &mut World,
    intent: &str,
    charge: &str,
    to: (&'static str, &'static str, Option<&Refusal>),
) {
    let (charge_status, intent_status, refusal) = to;
    let Some(charge) = world.stripe.charges.get_mut(charge) else { return };
    charge.status = charge_status;
    charge.refusal = refusal.cloned();
    let Some(intent) = world.stripe.intents.get_mut(intent) else { return };
    intent.status = intent_status;
    intent.pending = None;
    intent.last_error = refusal.map(|refusal| LastError {
        refusal: refusal.clone(),
        charge: Some(charge.id.clone()),
        method: charge.method.clone(),
    });
    if intent_status == "requires_payment_method" {
        intent.method = None;
    }
}

fn capture(world: &mut World, charge: &str) {
    let Some(charge) = world.stripe.charges.get(charge) else { return };
    let Ok(currency) = charge.currency.parse() else { return };
    world.ledger.push(Capture {
        gateway: Kind::Stripe,
        invoice: charge.invoice.clone(),
        customer: charge.customer.clone(),
        payment: charge.intent.clone(),
        amount: Money::new(charge.amount, currency),
        at: world.now,
        idempotency_key: charge.key.clone(),
        refunded: 0,
    });
}

/// Writes an outcome to the invoice and its subscription.
fn settle_invoice(world: &mut World, id: &str, tried: &Tried) {
    match tried {
        Tried::Approved => close_paid(world, id, false),
        Tried::Pending => {}
        Tried::Declined(_) => {
            emit_invoice(world, "invoice.payment_failed", id);
            move_subscription(world, id, "past_due");
        }
        Tried::NeedsCustomer => {
            emit_invoice(world, "invoice.payment_action_required", id);
            emit_invoice(world, "invoice.payment_failed", id);
            move_subscription(world, id, "past_due");
        }
    }
}

/// The invoice is paid, by a charge or elsewhere.
pub(crate) fn close_paid(world: &mut World, id: &str, out_of_band: bool) {
    let now = world.now;
    let Some(invoice) = world.stripe.invoices.get_mut(id) else { return };
    invoice.status = "paid";
    invoice.paid = invoice.amount;
    invoice.out_of_band = out_of_band;
    invoice.attempted = true;
    invoice.next_attempt = None;
    invoice.closed = Some(now);
    emit_invoice(world, "invoice.paid", id);
    if !out_of_band {
        emit_invoice(world, "invoice.payment_succeeded", id);
        emit_invoice_payment(world, id);
    }
    move_subscription(world, id, "active");
}

fn emit_invoice_payment(world: &mut World, id: &str) {
    if world.stripe.shape != Shape::Basil {
        return;
    }
    let Some(invoice) = world.stripe.invoices.get(id) else { return };
    let object = writer(world).invoice_payment(invoice, &Expand::default());
    emit(world, "invoice_payment.paid", object);
}

fn move_subscription(world: &mut World, invoice: &str, status: &'static str) {
    let id = world.stripe.invoices.get(invoice).and_then(|invoice| invoice.subscription.clone());
    let Some(subscription) = id.as_ref().and_then(|id| world.stripe.subscriptions.get_mut(id))
    else {
        return;
    };
    // One that was never paid stays incomplete.
    let first_fails = subscription.status == "incomplete" && status == "past_due";
    if subscription.status != status && subscription.ended.is_none() && !first_fails {
        subscription.status = status;
        let id = subscription.id.clone();
        emit_subscription(world, "customer.subscription.updated", &id);
    }
}

/// Sets when the account itself tries again, before the event of this try is written.
fn plan_native(world: &mut World, id: &str, tried: &Tried) {
    let days = world.stripe.native_days.clone();
    let now = world.now;
    let Some(invoice) = world.stripe.invoices.get_mut(id) else { return };
    let never = matches!(tried, Tried::Declined(refusal)
        if refusal.advice_code.as_deref() == Some("do_not_try_again"));
    let tries = usize::try_from(invoice.attempt_count).unwrap_or(usize::MAX);
    let next = days.get(tries.saturating_sub(1)).filter(|_| !never && invoice.auto_advance);
    let failed = !matches!(tried, Tried::Approved);
    invoice.next_attempt =
        next.filter(|_| failed).map(|days| now + SignedDuration::from_hours(24 * days));
}

/// A dispute of a charge.
pub(crate) fn dispute(world: &mut World, charge: &str) {
    let id = world.ids.next("dp");
    let Some(charge) = world.stripe.charges.get_mut(charge) else { return };
    charge.disputed = true;
    let charge = charge.clone();
    let object = writer(world).dispute(&charge, &id, world.now);
    emit(world, "charge.dispute.created", object);
}

/// Pending outcomes and the account's own retries, due now.
pub(crate) fn perform_due(world: &mut World) {
    let now = world.now;
    let due = |at: Option<jiff::Timestamp>| at.is_some_and(|at| at <= now);
    let intents: Vec<PaymentIntent> = world
        .stripe
        .intents
        .values()
        .filter(|intent| due(intent.pending.as_ref().map(|pending| pending.due)))
        .cloned()
        .collect();
    for intent in intents {
        settle_pending(world, &intent);
    }
    let invoices: Vec<String> = world
        .stripe
        .invoices
        .values()
        .filter(|invoice| due(invoice.next_attempt))
        .map(|invoice| invoice.id.clone())
        .collect();
    for id in invoices {
        native_attempt(world, &id);
    }
}

fn settle_pending(world: &mut World, intent: &PaymentIntent) {
    let Some(pending) = &intent.pending else { return };
    if let Some(intent) = world.stripe.intents.get_mut(&intent.id) {
        intent.pending = None;
    }
    let tried = tried(&pending.then);
    close_charge(world, &intent.id, intent.charges.last().map(String::as_str), &tried);
    let Some(invoice) = &intent.invoice else { return };
    let open = world.stripe.invoices.get(invoice).is_some_and(|i| refuse_closed(i).is_none());
    if !open {
        return;
    }
    if pending.native {
        plan_native(world, invoice, &tried);
    }
    settle_invoice(world, invoice, &tried);
}

/// The account's own try; the first one of an invoice too.
pub(crate) fn native_attempt(world: &mut World, id: &str) {
    let Some(invoice) = world.stripe.invoices.get_mut(id) else { return };
    invoice.next_attempt = None;
    let invoice = invoice.clone();
    if invoice.status != "open" {
        return;
    }
    let Some(method) = world.stripe.method_for(&invoice) else {
        emit_invoice(world, "invoice.payment_failed", id);
        return;
    };
    let attempt = Try { origin: Origin::Native, method, key: None };
    // Nobody asked: what came of it, the webhooks tell.
    let _ = charge_invoice(world, id, &attempt);
}
