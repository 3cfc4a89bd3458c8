//! Refunds and reversals of the sandbox of Adyen.
//!
//! Why here: Adyen only takes the request; what came of it, a notification tells.
//!
//! What must stay true: the answer says `received`, whatever follows; no more is given back than
//! was taken.

use serde_json::{Value, json};

use super::notify::{self, About};
use super::{error, lacks, model, words};
use crate::core::money::Money;
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::world::World;

/// `POST /payments/{psp}/refunds`.
pub(super) fn refund(world: &mut World, call: &Call, psp: &str) -> Result<Reply, Reply> {
    let amount = call.params.get("amount").ok_or_else(|| lacks("100", "amount"))?;
    let amount = words::money(amount).filter(|amount| amount.is_positive());
    let amount = amount.ok_or_else(|| error(422, "137", "Invalid amount specified"))?;
    let reference = call.text("reference").map(str::to_owned);
    give_back(world, psp, Some(amount), reference, "REFUND")
}

/// `POST /payments/{psp}/reversals` and `…/cancels`: all of it.
pub(super) fn reverse(world: &mut World, psp: &str) -> Result<Reply, Reply> {
    give_back(world, psp, None, None, "CANCEL_OR_REFUND")
}

fn give_back(
    world: &mut World,
    psp: &str,
    amount: Option<Money>,
    reference: Option<String>,
    code: &str,
) -> Result<Reply, Reply> {
    let known = world.adyen.payments.get_mut(psp);
    let Some(payment) = known else {
        return Err(error(422, "167", "Original pspReference required for this operation"));
    };
    let left = payment.amount.minor - payment.refunded;
    let amount = amount.unwrap_or(Money::new(left, payment.amount.currency));
    let taken = payment.result == "Authorised" && amount.currency == payment.amount.currency;
    let possible = taken && amount.minor <= left && amount.is_positive();
    if possible {
        payment.refunded += amount.minor;
    }
    let payment = payment.clone();
    if possible {
        let captured =
            world.ledger.iter_mut().find(|c| c.gateway == Kind::Adyen && c.payment == payment.psp);
        if let Some(capture) = captured {
            capture.refunded += amount.minor;
        }
    }
    let modification = model::next_id(world, "modification");
    let about = About {
        code,
        success: possible,
        psp: Some(&modification),
        reason: if possible { "" } else { "Insufficient balance on payment" },
        amount: words::amount(amount),
    };
    notify::of_payment(world, &payment, &about);
    Ok(Reply::new(201, received(&modification, &payment.psp, (amount, reference))))
}

fn received(modification: &str, payment: &str, what: (Money, Option<String>)) -> Value {
    json!({
        "merchantAccount": super::MERCHANT_ACCOUNT,
        "paymentPspReference": payment,
        "pspReference": modification,
        "status": "received",
        "amount": words::amount(what.0),
        "reference": what.1,
    })
}

/// The customer disputes the payment of an invoice; `false`: it has none.
pub(crate) fn dispute(world: &mut World, reference: &str) -> bool {
    let paid = world
        .adyen
        .payments
        .values()
        .find(|payment| payment.reference == reference && payment.result == "Authorised");
    let Some(payment) = paid.cloned() else { return false };
    let modification = model::next_id(world, "chargeback");
    let about = About {
        code: "CHARGEBACK",
        success: true,
        psp: Some(&modification),
        reason: "Other Fraud-Card Absent Environment",
        amount: words::amount(payment.amount),
    };
    notify::of_payment(world, &payment, &about);
    true
}

/// Gives the payment of an invoice back; `false`: it has none.
pub(crate) fn refund_of(world: &mut World, reference: &str) -> bool {
    let paid = world
        .adyen
        .payments
        .values()
        .find(|payment| payment.reference == reference && payment.result == "Authorised");
    let Some((psp, amount)) = paid.map(|payment| (payment.psp.clone(), payment.amount)) else {
        return false;
    };
    give_back(world, &psp, Some(amount), None, "REFUND").is_ok()
}
