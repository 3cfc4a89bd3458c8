//! Notifications of the sandbox of Adyen.
//!
//! Why here: one writer for the gateway and for `recoup trigger`. What is signed in an item is
//! added when it is sent, with the key of the endpoint.
//!
//! What must stay true: `success` and `live` are text, as Adyen writes them; `additionalData` is
//! there always, since the signature goes into it.

use serde_json::{Value, json};

use super::model::{Payment, Stored};
use super::words;
use crate::sandbox::Kind;
use crate::sandbox::cards::Card;
use crate::sandbox::world::World;

/// What an item is about, beside its payment.
pub(crate) struct About<'a> {
    pub(crate) code: &'a str,
    pub(crate) success: bool,
    /// Of the modification; absent: the payment itself.
    pub(crate) psp: Option<&'a str>,
    pub(crate) reason: &'a str,
    pub(crate) amount: Value,
}

/// What `additionalData` tells of a card.
pub(crate) fn card_facts(card: &Card) -> Value {
    json!({
        "cardSummary": card.last4,
        "expiryDate": format!("{}/{}", card.exp_month, card.exp_year),
        "cardIssuingCountry": card.country,
        "issuerCountry": card.country,
        "fundingSource": card.funding.to_ascii_uppercase(),
        "paymentMethod": words::brand(card),
        "alias": card.fingerprint,
        "aliasType": "Default",
    })
}

/// What `additionalData` tells of a payment, in an answer and in a notification.
pub(crate) fn facts(payment: &Payment) -> Value {
    let mut facts = card_facts(&payment.card);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts[name] = json!(value);
        }
    };
    add("shopperReference", payment.shopper.clone());
    add("recurring.shopperReference", payment.shopper.clone());
    add("recurring.recurringDetailReference", payment.token.clone());
    add("tokenization.storedPaymentMethodId", payment.token.clone());
    add("refusalReasonRaw", payment.refusal.as_ref().and_then(words::raw));
    let advice = payment.refusal.as_ref().and_then(|r| r.network_advice_code.clone());
    add("merchantAdviceCode", advice.map(|number| format!("{number} : Advice {number}")));
    let approved = payment.result == "Authorised";
    add("networkTxReference", approved.then(|| format!("MCC{}", payment.psp)));
    if let Some(rescue) = &payment.rescue {
        add("retry.rescueReference", Some(rescue.reference.clone()));
        add("retry.rescueScheduled", Some(rescue.next.is_some().to_string()));
        add("retry.orderAttemptNumber", Some(rescue.made.to_string()));
    }
    facts
}

/// Tells of a payment.
pub(crate) fn of_payment(world: &mut World, payment: &Payment, about: &About<'_>) {
    let psp = about.psp.unwrap_or(&payment.psp);
    let mut item = json!({
        "additionalData": facts(payment),
        "amount": about.amount,
        "eventCode": about.code,
        "eventDate": world.now.to_string(),
        "merchantAccountCode": super::MERCHANT_ACCOUNT,
        "merchantReference": payment.reference,
        "paymentMethod": words::brand(&payment.card),
        "pspReference": psp,
        "reason": about.reason,
        "success": about.success.to_string(),
    });
    if about.psp.is_some() {
        item["originalReference"] = json!(payment.psp);
    }
    let id = format!("{psp}:{}:{}", about.code, about.success);
    let body = json!({
        "live": "false", "notificationItems": [{ "NotificationRequestItem": item }],
    });
    world.emit(Kind::Adyen, about.code, id, body);
}

/// Tells what became of an authorisation.
pub(crate) fn authorisation(world: &mut World, payment: &Payment) {
    let success = payment.result == "Authorised";
    let reason = match &payment.refusal {
        Some(refusal) => words::reason(refusal).1.to_owned(),
        None => {
            let (month, year) = (payment.card.exp_month, payment.card.exp_year);
            format!("0{}:{}:{month:02}/{year}", &payment.psp[..5], payment.card.last4)
        }
    };
    let about = About {
        code: "AUTHORISATION",
        success,
        psp: None,
        reason: &reason,
        amount: words::amount(payment.amount),
    };
    of_payment(world, payment, &about);
}

/// Tells of a stored card: `created`, `alreadyExisting`, `disabled`.
pub(crate) fn token(world: &mut World, what: &str, stored: &Stored) {
    let event = super::model::next_id(world, "event");
    let kind = format!("recurring.token.{what}");
    let body = json!({
        "createdAt": world.now.to_string(),
        "environment": "test",
        "eventId": event,
        "type": kind,
        "version": "1",
        "data": {
            "merchantAccount": super::MERCHANT_ACCOUNT,
            "operation": what,
            "shopperReference": stored.shopper,
            "storedPaymentMethodId": stored.id,
            "type": words::brand(&stored.card),
        },
    });
    world.emit(Kind::Adyen, &kind, event, body);
}
