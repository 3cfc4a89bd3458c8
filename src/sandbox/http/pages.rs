//! The `http` sandbox's hosted card-update page.
//!
//! Why here: `POST /card-update-sessions` must lead somewhere.
//!
//! What must stay true: a saved card becomes the customer's default and is told by
//! `payment_method.updated`.

use jiff::SignedDuration;
use serde_json::json;

use super::model::{card_json, make_card, make_customer};
use super::{NewHttpCustomer, error, events};
use crate::sandbox::Kind;
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::page;
use crate::sandbox::server::Shown;
use crate::sandbox::world::{Session, World};

const SESSION_LIVES: SignedDuration = SignedDuration::from_hours(1);

/// `POST /card-update-sessions`.
pub(super) fn open(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let customer = call.text("customer");
    let customer = customer.ok_or_else(|| error(400, "missing_field", "give `customer`"))?;
    let expires = world.now + SESSION_LIVES;
    let secret = world.open_session(Session {
        gateway: Kind::Http,
        customer: customer.to_owned(),
        return_url: call.text("return_url").map(str::to_owned),
        expires,
    });
    let url = format!("{}/http/pages/card/{secret}", world.base);
    Ok(Reply::new(200, json!({ "url": url, "expires_at": expires.to_string() })))
}

/// `GET` of the page.
pub(crate) fn show(world: &World, secret: &str) -> Shown {
    let session = world.sessions.get(secret);
    match session.filter(|s| s.gateway == Kind::Http && s.expires > world.now) {
        Some(session) => {
            Shown::page(200, page::card_form(&session.customer, session.return_url.as_deref()))
        }
        None => Shown::gone(),
    }
}

/// `POST` of the page: another card.
pub(crate) fn save(world: &mut World, secret: &str, card: &str) -> Shown {
    let session = world.sessions.get(secret).filter(|s| s.gateway == Kind::Http);
    let Some(session) = session.filter(|session| session.expires > world.now).cloned() else {
        return Shown::gone();
    };
    let id = session.customer;
    if !world.http.customers.contains_key(&id) {
        make_customer(
            world,
            NewHttpCustomer { id: Some(id.clone()), ..NewHttpCustomer::default() },
        );
    }
    let token = make_card(world, Some(&id), card);
    let method = card_json(&token, &world.http.card(&token));
    let data = json!({ "customer": events::customer(world, &id), "payment_method": method });
    events::emit(world, "payment_method.updated", data);
    Shown::back(session.return_url, "Your card was saved.")
}
