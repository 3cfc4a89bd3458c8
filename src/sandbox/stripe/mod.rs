//! Sandbox Stripe: its API, its webhooks and its hosted pages, with state.
//!
//! Why here: recoup must meet the real protocol (forms with brackets, idempotency keys, error
//! bodies, three API shapes) and not a stand-in for it.
//!
//! What must stay true: what this answers is what Stripe documents; what Stripe would answer and
//! this cannot is a 404 that says so.

use std::cmp::Reverse;

use axum::http::Method;
use serde_json::Value;

use super::Kind;
use super::api::{Call, Reply, Wire};
use super::shared::Shared;
use super::world::World;

pub(crate) mod catalog;
pub(crate) mod charging;
pub(crate) mod customers;
pub(crate) mod errors;
pub(crate) mod invoices;
pub(crate) mod make;
pub(crate) mod model;
pub(crate) mod objects;
pub(crate) mod pages;
pub(crate) mod parts;
pub(crate) mod payments;
pub(crate) mod shape;
pub(crate) mod subscriptions;

pub(crate) use charging::perform_due;
pub(crate) use model::Account;
pub use shape::Shape;

use objects::Writer;
use shape::Expand;

/// Stripe's wire.
#[derive(Debug)]
pub(crate) struct Stripe;

impl Wire for Stripe {
    const KIND: Kind = Kind::Stripe;
    const KEEPS_BROKEN: bool = true;

    fn authorize(shared: &Shared, call: &Call) -> Option<Reply> {
        let given = call.header("authorization").unwrap_or_default();
        let expected = format!("Bearer {}", shared.secrets.stripe_api_key);
        (given != expected).then(errors::unauthorized)
    }

    fn handle(world: &mut World, call: &Call) -> Reply {
        route(world, call).unwrap_or_else(|error| error)
    }

    fn key_in_use() -> Reply {
        errors::key_in_use()
    }

    fn key_conflict(key: &str) -> Reply {
        errors::key_conflict(key)
    }

    fn broken(status: u16) -> Value {
        errors::broken(status)
    }
}

/// An answer, or an error's answer.
pub(crate) type Answered = Result<Reply, Reply>;

fn route(world: &mut World, call: &Call) -> Answered {
    let parts = call.parts();
    let rest = parts.strip_prefix(&["v1"]).unwrap_or(&[]);
    let post = call.method == Method::POST;
    match (post, rest) {
        (_, ["invoices", rest @ ..]) => invoices::route(world, call, rest),
        (false, ["invoice_payments"]) => invoices::list_payments(world, call),
        (_, ["payment_intents", rest @ ..]) => payments::route(world, call, rest),
        (_, ["charges", rest @ ..]) => payments::route_charges(world, call, rest),
        (_, ["refunds", rest @ ..]) => payments::route_refunds(world, call, rest),
        (_, ["customers", rest @ ..]) => customers::route(world, call, rest),
        (_, ["payment_methods", rest @ ..]) => customers::route_methods(world, call, rest),
        (true, ["billing_portal", "sessions"]) => customers::portal_session(world, call),
        (_, ["products", rest @ ..]) => catalog::route_products(world, call, rest),
        (_, ["prices", rest @ ..]) => catalog::route_prices(world, call, rest),
        (true, ["invoiceitems"]) => catalog::add_item(world, call),
        (_, ["subscriptions", rest @ ..]) => subscriptions::route(world, call, rest),
        (false, ["events", rest @ ..]) => events(world, call, rest),
        (false, ["account"]) => Ok(account()),
        _ => Err(unknown(call)),
    }
}

/// A URL that is not there.
pub(crate) fn unknown(call: &Call) -> Reply {
    errors::no_such_url(call.method.as_str(), &call.path)
}

/// A writer in the version that the call asks for.
pub(crate) fn writer<'a>(world: &'a World, call: &Call) -> Writer<'a> {
    let asked = call.header("stripe-version").map(Shape::of_version);
    Writer { account: &world.stripe, shape: asked.unwrap_or(world.stripe.shape), base: &world.base }
}

/// The `expand[]` of a call; of a list, without the leading `data.`.
pub(crate) fn expand(call: &Call) -> Expand {
    let paths = call.params.get("expand").and_then(Value::as_array);
    let paths = paths.into_iter().flatten().filter_map(Value::as_str);
    Expand::new(paths.map(|path| path.strip_prefix("data.").unwrap_or(path).to_owned()))
}

/// Answers a list: newest first, `limit`, `starting_after`, `created[…]`.
pub(crate) fn page(call: &Call, items: Vec<(String, i64, Value)>) -> Reply {
    let limit = call.text("limit").and_then(|text| text.parse().ok()).unwrap_or(10_usize);
    let mut items: Vec<_> =
        items.into_iter().filter(|(_, created, _)| created_fits(call, *created)).collect();
    // Ids of one kind count upwards, so they order what was created in the same second.
    items.sort_by_key(|(id, created, _)| Reverse((*created, id.len(), id.clone())));
    if let Some(after) = call.text("starting_after")
        && let Some(at) = items.iter().position(|(id, _, _)| id == after)
    {
        items.drain(..=at);
    }
    let has_more = items.len() > limit;
    let data = items.into_iter().take(limit).map(|(_, _, object)| object).collect();
    Reply::new(200, parts::list(&call.path, data, has_more))
}

fn created_fits(call: &Call, created: i64) -> bool {
    let bound = |name| call.text(name).and_then(|text| text.parse::<i64>().ok());
    bound("created").is_none_or(|at| created == at)
        && bound("created/gte").is_none_or(|at| created >= at)
        && bound("created/gt").is_none_or(|at| created > at)
        && bound("created/lte").is_none_or(|at| created <= at)
        && bound("created/lt").is_none_or(|at| created < at)
}

fn events(world: &World, call: &Call, rest: &[&str]) -> Answered {
    let ours = world.events.iter().filter(|event| event.gateway == Kind::Stripe);
    match rest {
        [] => {
            let wanted = call.text("type");
            let types = call.params.get("types").and_then(Value::as_array);
            let delivered = call.text("delivery_success").map(|text| text == "true");
            let fits = ours
                .filter(|event| wanted.is_none_or(|kind| kind == event.kind))
                .filter(|event| types.is_none_or(|kinds| kinds.contains(&event.kind[..].into())))
                .filter(|event| delivered.is_none_or(|yes| yes == event.delivered));
            let items =
                fits.map(|event| (event.id.clone(), event.created.as_second(), event.body.clone()));
            Ok(page(call, items.collect()))
        }
        [id] => ours
            .into_iter()
            .find(|event| event.id == *id)
            .map(|event| Reply::new(200, event.body.clone()))
            .ok_or_else(|| errors::no_such("event", id)),
        _ => Err(unknown(call)),
    }
}

fn account() -> Reply {
    Reply::new(
        200,
        serde_json::json!({
            "id": "acct_sandbox",
            "object": "account",
            "business_profile": { "name": "Sandbox" },
            "charges_enabled": true,
            "country": "US",
            "default_currency": "usd",
            "details_submitted": true,
            "email": null,
            "payouts_enabled": true,
            "type": "standard",
        }),
    )
}
