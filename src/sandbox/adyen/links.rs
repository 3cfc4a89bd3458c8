//! Pay-by-link of the sandbox of Adyen, and its page.
//!
//! Why here: it is where recoup sends a customer who has to give another card.
//!
//! What must stay true: a link is paid once; nothing happens on GET; the card is stored where the
//! link was made so, and told by `recurring.token.created`.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::model::{self, Link, Payment};
use super::{error, lacks, payments, words};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::issuer::Answer;
use crate::sandbox::page;
use crate::sandbox::server::Shown;
use crate::sandbox::world::{self, World};

/// How long a link lives where the call does not say.
const LIVES: SignedDuration = SignedDuration::from_hours(24);

/// `POST /paymentLinks`.
pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let amount = call.params.get("amount").ok_or_else(|| lacks("100", "amount"))?;
    let amount =
        words::money(amount).ok_or_else(|| error(422, "137", "Invalid amount specified"))?;
    let reference = call.text("reference").ok_or_else(|| lacks("130", "reference"))?.to_owned();
    let stores = matches!(call.text("storePaymentMethodMode"), Some("enabled" | "askForConsent"));
    if stores && call.text("recurringProcessingModel").is_none() {
        return Err(lacks("14_032", "recurringProcessingModel"));
    }
    let told = call.text("expiresAt").and_then(|text| text.parse().ok());
    let id = format!("PL{}", &model::next_id(world, "link")[..14]);
    let link = Link {
        id: id.clone(),
        reference,
        amount,
        shopper: call.text("shopperReference").map(str::to_owned),
        return_url: call.text("returnUrl").map(str::to_owned),
        stores,
        expires: told.unwrap_or(world.now + LIVES),
        paid: false,
    };
    let secret = world.ids.secret(&id);
    let body = as_json(world, &secret, &link);
    world.adyen.links.insert(secret, link);
    Ok(Reply::new(201, body))
}

fn as_json(world: &World, secret: &str, link: &Link) -> Value {
    let status = match link.paid {
        true => "completed",
        false if link.expires <= world.now => "expired",
        false => "active",
    };
    json!({
        "id": link.id,
        "status": status,
        "url": format!("{}/adyen/pages/link/{secret}", world.base),
        "merchantAccount": super::MERCHANT_ACCOUNT,
        "amount": words::amount(link.amount),
        "reference": link.reference,
        "shopperReference": link.shopper,
        "returnUrl": link.return_url,
        "expiresAt": link.expires.to_string(),
    })
}

/// `GET /paymentLinks/{id}`.
pub(super) fn show(world: &World, id: &str) -> Result<Reply, Reply> {
    let found = world.adyen.links.iter().find(|(_, link)| link.id == id);
    found
        .map(|(secret, link)| Reply::new(200, as_json(world, secret, link)))
        .ok_or_else(|| error(404, "000", "no such payment link"))
}

/// `GET` of the page.
pub(crate) fn show_page(world: &World, secret: &str) -> Shown {
    match world.adyen.links.get(secret) {
        Some(link) if link.paid => {
            Shown::page(200, page::message("Paid", "This link is paid. There is nothing to pay."))
        }
        Some(link) if link.expires > world.now => {
            let shopper = link.shopper.as_deref().unwrap_or("unknown");
            Shown::page(200, page::card_form(shopper, link.return_url.as_deref()))
        }
        _ => Shown::gone(),
    }
}

/// `POST` of the page: the customer pays with this card.
pub(crate) fn pay(world: &mut World, secret: &str, card: &str) -> Shown {
    let link = world.adyen.links.get(secret).filter(|link| link.expires > world.now);
    let Some(link) = link.cloned().filter(|link| !link.paid) else {
        return show_page(world, secret);
    };
    let card = world::card_of(Kind::Adyen, card);
    let step = world.decide(Kind::Adyen, link.shopper.as_deref(), "", &card);
    let answer = match world::settled(&step.answer) {
        // The customer is there and confirms.
        Answer::RequireAuthentication => Answer::Approve,
        answer => answer.clone(),
    };
    let approved = answer == Answer::Approve;
    let token = link.shopper.as_ref().filter(|_| link.stores && approved);
    let token = token.map(|shopper| model::store(world, &shopper.clone(), card.clone()));
    let payment = Payment {
        psp: model::next_id(world, "payment"),
        reference: link.reference,
        amount: link.amount,
        token,
        card,
        shopper: link.shopper,
        result: "Pending",
        refusal: None,
        refunded: 0,
        key: None,
        due: None,
        rescue: None,
    };
    let psp = payment.psp.clone();
    world.adyen.payments.insert(psp.clone(), payment);
    payments::settle(world, &psp, &answer);
    if !approved {
        return Shown::page(402, page::message("Refused", "Your bank refused. Try another card."));
    }
    if let Some(link) = world.adyen.links.get_mut(secret) {
        link.paid = true;
    }
    Shown::back(link.return_url, "Thank you.")
}
