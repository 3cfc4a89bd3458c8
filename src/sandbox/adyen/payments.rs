//! Payments of the sandbox of Adyen: with a stored card, with a card's number, by the merchant's
//! own billing.
//!
//! Why here: one place in which a payment is decided, captured and told.
//!
//! What must stay true: a payment that is authorised is captured at once, as accounts are set up
//! for subscriptions; it stands in the ledger under the invoice that its reference names.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::model::{self, NewAdyenPayment, Payment};
use super::{error, lacks, notify, rescue, words};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::cards::{self, Card};
use crate::sandbox::issuer::{Answer, Fault, Step};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{self, Capture, World};

/// `POST /payments`.
pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let mut payment = read(world, call)?;
    let step = asked_for(call).unwrap_or_else(|| decide(world, &payment));
    if step.fault.is_some_and(Fault::is_before_effect) {
        return Ok(Reply::new(500, Value::Null).scripted(&step));
    }
    if call.flag("storePaymentMethod")
        && let Some(shopper) = payment.shopper.clone()
        && payment.token.is_none()
        && step.answer == Answer::Approve
    {
        payment.token = Some(model::store(world, &shopper, payment.card.clone()));
    }
    payment.psp = model::next_id(world, "payment");
    let rescued = call.text("shopperInteraction") == Some("ContAuth")
        && call.params.pointer("/additionalData/autoRescue") != Some(&json!("false"));
    let psp = keep(world, payment);
    if rescued {
        rescue::begin(world, &psp, &step.answer);
    }
    come_true(world, &psp, &step.answer);
    Ok(show(world, &psp).scripted(&step))
}

fn decide(world: &mut World, payment: &Payment) -> Step {
    let token = payment.token.clone().unwrap_or_default();
    world.decide(Kind::Adyen, payment.shopper.as_deref(), &token, &payment.card)
}

/// `additionalData.RequestedTestAcquirerResponseCode` asks for a refusal by its number.
fn asked_for(call: &Call) -> Option<Step> {
    let code = call.text("additionalData/RequestedTestAcquirerResponseCode")?;
    Some(Step::from(Answer::Decline(words::of_code(code)?)))
}

fn keep(world: &mut World, payment: Payment) -> String {
    let psp = payment.psp.clone();
    world.adyen.payments.insert(psp.clone(), payment);
    psp
}

/// Lets the answer come true, now or later.
fn come_true(world: &mut World, psp: &str, answer: &Answer) {
    if let Answer::Pending { seconds, then } = answer {
        let due = world.now + SignedDuration::from_secs((*seconds).max(1));
        let then = world::settled(then).clone();
        if let Some(payment) = world.adyen.payments.get_mut(psp) {
            payment.due = Some((due, then));
        }
        return;
    }
    settle(world, psp, answer);
}

fn read(world: &World, call: &Call) -> Result<Payment, Reply> {
    let amount = call.params.get("amount").ok_or_else(|| lacks("100", "amount"))?;
    let amount =
        words::money(amount).ok_or_else(|| error(422, "137", "Invalid amount specified"))?;
    let reference = call.text("reference").ok_or_else(|| lacks("130", "reference"))?;
    if call.text("returnUrl").is_none() {
        return Err(lacks("14_030", "returnUrl"));
    }
    let method = call.params.get("paymentMethod").filter(|method| method.is_object());
    let method = method.ok_or_else(|| lacks("14_004", "paymentMethod"))?;
    let shopper = call.text("shopperReference");
    let (token, card) = card_in(world, method, shopper)?;
    Ok(Payment {
        psp: String::new(),
        reference: reference.to_owned(),
        amount,
        token,
        card,
        shopper: shopper.map(str::to_owned),
        result: "Pending",
        refusal: None,
        refunded: 0,
        key: call.key(),
        due: None,
        rescue: None,
    })
}

/// The card that is to be charged: a stored one, or one by its number.
fn card_in(
    world: &World,
    method: &Value,
    shopper: Option<&str>,
) -> Result<(Option<String>, Card), Reply> {
    let text = |name: &str| method.get(name).and_then(Value::as_str);
    let stored = text("storedPaymentMethodId").or_else(|| text("recurringDetailReference"));
    if let Some(token) = stored {
        let shopper = shopper.ok_or_else(|| lacks("14_006", "shopperReference"))?;
        let card = model::card_of(world, token, Some(shopper));
        let card = card.ok_or_else(|| error(422, "800", "Contract not found"))?;
        return Ok((Some(token.to_owned()), card));
    }
    let number = text("number").or_else(|| text("encryptedCardNumber"));
    let number = number.ok_or_else(|| lacks("101", "number"))?;
    let card = cards::find(Kind::Adyen, number.trim_start_matches("test_"));
    let card = card.ok_or_else(|| error(422, "101", "Invalid card number"))?;
    Ok((None, card))
}

/// Writes a final outcome down and tells it.
pub(super) fn settle(world: &mut World, psp: &str, answer: &Answer) {
    let Some(payment) = world.adyen.payments.get_mut(psp) else { return };
    payment.due = None;
    (payment.result, payment.refusal) = match answer {
        Answer::Approve => ("Authorised", None),
        Answer::Decline(refusal) => ("Refused", Some(refusal.clone())),
        Answer::RequireAuthentication => ("Refused", Some(Refusal::of("authentication_required"))),
        Answer::Pending { .. } => return,
    };
    let payment = payment.clone();
    if payment.result == "Authorised" && payment.amount.is_positive() {
        capture(world, &payment);
    }
    notify::authorisation(world, &payment);
}

/// A reference of recoup's names the invoice before the attempt.
fn invoice_of(reference: &str) -> String {
    let invoice = reference.rsplit_once("-recoup-").map_or(reference, |(invoice, _)| invoice);
    invoice.to_owned()
}

fn capture(world: &mut World, payment: &Payment) {
    world.ledger.push(Capture {
        gateway: Kind::Adyen,
        invoice: Some(invoice_of(&payment.reference)),
        customer: payment.shopper.clone(),
        payment: payment.psp.clone(),
        amount: payment.amount,
        at: world.now,
        idempotency_key: payment.key.clone(),
        refunded: 0,
    });
}

/// What `/payments` answers about a payment.
pub(super) fn show(world: &World, psp: &str) -> Reply {
    let Some(payment) = world.adyen.payments.get(psp) else {
        return error(404, "000", "no such payment");
    };
    let mut body = json!({
        "pspReference": payment.psp,
        "resultCode": payment.result,
        "merchantReference": payment.reference,
        "amount": words::amount(payment.amount),
        "paymentMethod": { "brand": words::brand(&payment.card), "type": "scheme" },
        "additionalData": notify::facts(payment),
    });
    if let Some(refusal) = &payment.refusal {
        let (code, reason) = words::reason(refusal);
        body["refusalReasonCode"] = json!(code);
        body["refusalReason"] = json!(reason);
    }
    Reply::new(200, body)
}

/// `POST /paymentMethods`.
pub(super) fn methods(world: &World, call: &Call) -> Reply {
    let stored = model::of_shopper(world, call.text("shopperReference")).map(|stored| {
        json!({
            "id": stored.id, "type": "scheme", "brand": words::brand(&stored.card),
            "lastFour": stored.card.last4,
        })
    });
    let stored: Vec<Value> = stored.collect();
    let cards = json!({
        "name": "Cards", "type": "scheme", "brands": ["visa", "mc", "amex", "discover", "diners"],
    });
    Reply::new(200, json!({ "paymentMethods": [cards], "storedPaymentMethods": stored }))
}

/// The merchant's own billing charges the shopper's newest stored card.
pub(crate) fn bill(world: &mut World, new: NewAdyenPayment) -> String {
    let stored = model::of_shopper(world, Some(&new.shopper)).last().cloned();
    let card = stored
        .as_ref()
        .map_or_else(|| world::card_of(Kind::Adyen, "tok_declined"), |stored| stored.card.clone());
    let payment = Payment {
        psp: model::next_id(world, "payment"),
        reference: new.reference,
        amount: crate::core::money::Money::new(new.amount, new.currency),
        token: stored.map(|stored| stored.id),
        card,
        shopper: Some(new.shopper),
        result: "Pending",
        refusal: None,
        refunded: 0,
        key: None,
        due: None,
        rescue: None,
    };
    let step = decide(world, &payment);
    let answer = world::settled(&step.answer).clone();
    let psp = keep(world, payment);
    rescue::begin(world, &psp, &answer);
    settle(world, &psp, &answer);
    psp
}

/// What has become due: pending outcomes, and Auto Rescue's attempts.
pub(crate) fn perform_due(world: &mut World) {
    let now = world.now;
    let due: Vec<(String, Answer)> = world
        .adyen
        .payments
        .values()
        .filter_map(|payment| {
            let (at, answer) = payment.due.as_ref()?;
            (*at <= now).then(|| (payment.psp.clone(), answer.clone()))
        })
        .collect();
    for (psp, answer) in due {
        settle(world, &psp, &answer);
    }
    rescue::perform_due(world);
}
