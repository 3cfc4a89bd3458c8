//! The control endpoints under `/_sandbox/…`: the handle, for those who are not in this process.
//!
//! Why here: a developer's own tests drive `recoup sandbox` with curl. JSON in, JSON out; all paths
//! begin with `/_sandbox`.
//!
//! - `POST /subscribe` `{"card","amount","currency"}` and customer fields: a customer with card and
//!   subscription.
//! - `POST /customers`, `/payment-methods` (`{"customer","card","default"}`), `/subscriptions`,
//!   `/invoices`: makes one.
//! - `POST /subscriptions/{id}/bill`: makes the next invoice and tries it; `…/cancel`: ends it.
//! - `GET /invoices/{id}`, `POST /invoices/{id}/{attempt,void,refund,dispute}`: what happens to an
//!   invoice.
//! - `POST /customers/{id}/change-card` `{"card"}`: another card, as on the portal.
//! - `POST /http/customers`, `/http/cards`, `/http/invoices`: the `http` gateway's own.
//! - `POST /adyen/cards` `{"customer","card"}`: a stored card of a shopper; `/adyen/payments`
//!   `{"reference","shopper","amount","currency"}`: the merchant's own billing charges it;
//!   `/adyen/payments/{reference}/{refund,dispute}`: what happens to a payment.
//! - `POST /script`: outcomes in order, e.g. `{"target":{"customer":"cus_1"},"steps":[{"result":
//!   "decline","code":"insufficient_funds"},{"result":"approve","fault":"timeout_after"}]}`. A
//!   target is a `customer`, a `card`, a `gateway`, or a `call` (text in `POST /v1/…`).
//! - `POST /rules`: a behavior between two times, e.g. `{"target":{"gateway":"stripe"},"from":
//!   "2026-11-04T00:00:00Z","until":"2026-11-05T00:00:00Z","result":"approve","fault":
//!   "error_before"}`; `DELETE /rules` forgets scripts and rules.
//! - `GET /ledger`, `/events`, `/deliveries`, `/keys`: what happened.
//! - `PUT /webhooks` `{"gateway","url"}`; `PUT /webhook-faults` `{"duplicated":0.2,"dropped":0,
//!   "late":0,"late_seconds":60,"shuffled":0}`.
//! - `POST /clock/advance` `{"to"}` or `{"by_seconds"}`, with a test clock.
//!
//! What must stay true: an unreadable body is 400 with the reason, and changes nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::adyen::{self, NewAdyenPayment};
use super::deliver::WebhookFaults;
use super::http::{self, NewHttpCustomer, NewHttpInvoice};
use super::issuer::{Rule, Step, Target};
use super::shared::Shared;
use super::stripe::make::{self, NewBill, NewCustomer};
use super::stripe::{charging, invoices, subscriptions};
use super::world::World;
use super::{Kind, handle, webhook_url};

type Ready = State<Arc<Shared>>;

/// A body that cannot be used, or a thing that is not there.
enum Refused {
    Body(String),
    NotFound,
    NoTestClock,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Body(why) => (StatusCode::BAD_REQUEST, why),
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such thing".to_owned()),
            Self::NoTestClock => {
                (StatusCode::CONFLICT, "this sandbox runs on the machine's clock".to_owned())
            }
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}

type Answered = Result<Json<Value>, Refused>;

fn read<T: DeserializeOwned>(body: &str) -> Result<T, Refused> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    serde_json::from_str(body).map_err(|error| Refused::Body(error.to_string()))
}

fn found(value: Option<Value>) -> Answered {
    value.map(Json).ok_or(Refused::NotFound)
}

/// The routes; mounted at `/_sandbox`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/subscribe", post(subscribe))
        .route("/customers", post(customer))
        .route("/customers/{id}/change-card", post(change_card))
        .route("/payment-methods", post(method))
        .route("/subscriptions", post(subscription))
        .route("/subscriptions/{id}/{action}", post(act_on_subscription))
        .route("/invoices", post(invoice))
        .route("/invoices/{id}", get(show_invoice))
        .route("/invoices/{id}/{action}", post(act_on_invoice))
        .route("/http/customers", post(http_customer))
        .route("/http/cards", post(http_card))
        .route("/http/invoices", post(http_invoice))
        .route("/adyen/cards", post(adyen_card))
        .route("/adyen/payments", post(adyen_payment))
        .route("/adyen/payments/{reference}/{action}", post(act_on_adyen))
        .route("/script", post(script))
        .route("/rules", post(rule).delete(clear))
        .route("/webhooks", put(webhooks))
        .route("/webhook-faults", put(webhook_faults))
        .route("/clock/advance", post(advance))
        .route("/{what}", get(show))
}

#[derive(Deserialize)]
struct Subscribe {
    card: String,
    amount: i64,
    currency: String,
    #[serde(flatten)]
    customer: NewCustomer,
}

async fn subscribe(State(shared): Ready, body: String) -> Answered {
    let Subscribe { card, amount, currency, customer } = read(&body)?;
    let bill = NewBill::new("", amount, &currency);
    let made = shared.with(|world| handle::subscribe(world, customer, &card, bill));
    Ok(Json(json!(made)))
}

async fn customer(State(shared): Ready, body: String) -> Answered {
    let new: NewCustomer = read(&body)?;
    Ok(Json(json!({ "id": shared.with(|world| make::customer(world, new)) })))
}

#[derive(Deserialize)]
struct CardOf {
    #[serde(default)]
    customer: Option<String>,
    card: String,
    #[serde(default)]
    default: bool,
}

async fn change_card(State(shared): Ready, Path(id): Path<String>, body: String) -> Answered {
    let of: CardOf = read(&body)?;
    found(shared.with(|world| {
        world.stripe.customers.get(&id)?;
        Some(json!({ "id": handle::change_card(world, &id, &of.card) }))
    }))
}

async fn method(State(shared): Ready, body: String) -> Answered {
    let of: CardOf = read(&body)?;
    let id = shared.with(|world| {
        let id = make::method(world, of.customer.as_deref(), &of.card);
        if let Some(customer) = of.customer.as_deref().filter(|_| of.default) {
            make::set_default(world, customer, &id);
        }
        id
    });
    Ok(Json(json!({ "id": id })))
}

/// A bill of a customer who exists.
fn checked(world: &World, new: &NewBill) -> Option<()> {
    world.stripe.customers.get(&new.customer).map(|_| ())
}

async fn subscription(State(shared): Ready, body: String) -> Answered {
    let new: NewBill = read(&body)?;
    found(shared.with(|world| {
        checked(world, &new)?;
        Some(json!({ "id": make::subscription(world, new) }))
    }))
}

async fn act_on_subscription(
    State(shared): Ready,
    Path((id, action)): Path<(String, String)>,
) -> Answered {
    found(shared.with(|world| match action.as_str() {
        "bill" => {
            let invoice = make::bill(world, &id)?;
            Some(json!(handle::invoice_facts(world, &invoice)))
        }
        "cancel" => {
            world.stripe.subscriptions.get(&id)?;
            subscriptions::cancel(world, &id);
            Some(json!({ "id": id, "status": "canceled" }))
        }
        _ => None,
    }))
}

async fn invoice(State(shared): Ready, body: String) -> Answered {
    let new: NewBill = read(&body)?;
    found(shared.with(|world| {
        checked(world, &new)?;
        let id = make::invoice(world, new, None);
        Some(json!(handle::invoice_facts(world, &id)))
    }))
}

async fn show_invoice(State(shared): Ready, Path(id): Path<String>) -> Answered {
    found(shared.with(|world| handle::invoice_facts(world, &id)).map(|facts| json!(facts)))
}

async fn act_on_invoice(
    State(shared): Ready,
    Path((id, action)): Path<(String, String)>,
) -> Answered {
    found(shared.with(|world| {
        let invoice = world.stripe.invoices.get(&id)?;
        let open = charging::refuse_closed(invoice).is_none();
        let done = match action.as_str() {
            "attempt" if open => {
                charging::native_attempt(world, &id);
                true
            }
            "void" if open => {
                invoices::close_as(world, &id, "void", "invoice.voided");
                true
            }
            "refund" => handle::refund(world, &id),
            "dispute" => handle::dispute(world, &id),
            _ => false,
        };
        done.then(|| json!(handle::invoice_facts(world, &id)))
    }))
}

async fn http_customer(State(shared): Ready, body: String) -> Answered {
    let new: NewHttpCustomer = read(&body)?;
    Ok(Json(json!({ "id": shared.with(|world| http::make_customer(world, new)) })))
}

async fn http_card(State(shared): Ready, body: String) -> Answered {
    let of: CardOf = read(&body)?;
    let customer = of.customer.as_deref();
    Ok(Json(json!({ "token": shared.with(|world| http::make_card(world, customer, &of.card)) })))
}

async fn http_invoice(State(shared): Ready, body: String) -> Answered {
    let new: NewHttpInvoice = read(&body)?;
    let id = shared.with(|world| {
        let id = http::make_invoice(world, new);
        http::native_attempt(world, &id);
        id
    });
    Ok(Json(json!({ "id": id })))
}

async fn adyen_card(State(shared): Ready, body: String) -> Answered {
    let of: CardOf = read(&body)?;
    let shopper = of.customer.ok_or_else(|| Refused::Body("give `customer`".to_owned()))?;
    let id = shared.with(|world| adyen::model::make_card(world, &shopper, &of.card));
    Ok(Json(json!({ "id": id })))
}

async fn adyen_payment(State(shared): Ready, body: String) -> Answered {
    let new: NewAdyenPayment = read(&body)?;
    let psp = shared.with(|world| adyen::payments::bill(world, new));
    Ok(Json(json!({ "pspReference": psp })))
}

async fn act_on_adyen(
    State(shared): Ready,
    Path((reference, action)): Path<(String, String)>,
) -> Answered {
    let done = shared.with(|world| match action.as_str() {
        "refund" => adyen::modify::refund_of(world, &reference),
        "dispute" => adyen::modify::dispute(world, &reference),
        _ => false,
    });
    found(done.then(|| json!({ "reference": reference })))
}

#[derive(Deserialize)]
struct Script {
    target: Target,
    steps: Vec<Step>,
}

async fn script(State(shared): Ready, body: String) -> Answered {
    let Script { target, steps } = read(&body)?;
    let count = steps.len();
    shared.with(|world| world.issuer.queue(target, steps));
    Ok(Json(json!({ "queued": count })))
}

async fn rule(State(shared): Ready, body: String) -> Answered {
    let rule: Rule = read(&body)?;
    shared.with(|world| world.issuer.add_rule(rule));
    Ok(Json(json!({ "added": 1 })))
}

async fn clear(State(shared): Ready) -> Answered {
    shared.with(|world| world.issuer.clear());
    Ok(Json(json!({ "cleared": true })))
}

#[derive(Deserialize)]
struct Endpoint {
    gateway: Kind,
    url: Option<String>,
}

async fn webhooks(State(shared): Ready, body: String) -> Answered {
    let Endpoint { gateway, url } = read(&body)?;
    let url = url.map(|url| webhook_url(&url, gateway));
    shared.post.set_url(gateway, url.clone());
    Ok(Json(json!({ "gateway": gateway, "url": url })))
}

async fn webhook_faults(State(shared): Ready, body: String) -> Answered {
    let faults: WebhookFaults = read(&body)?;
    let answer = json!(faults);
    shared.post.set_faults(faults);
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Advance {
    BySeconds(i64),
    To(Timestamp),
}

async fn advance(State(shared): Ready, body: String) -> Answered {
    let advance: Advance = read(&body)?;
    if !shared.clock().is_test() {
        return Err(Refused::NoTestClock);
    }
    let to = match advance {
        Advance::To(to) => to,
        Advance::BySeconds(seconds) => shared.now() + SignedDuration::from_secs(seconds.max(0)),
    };
    shared.clock().advance_to(to);
    shared.tick();
    Ok(Json(json!({ "now": shared.now() })))
}

async fn show(State(shared): Ready, Path(what): Path<String>) -> Answered {
    found(match what.as_str() {
        "ledger" => Some(shared.with(|world| {
            json!({ "data": world.ledger,
                "double_charges": handle::double_charges(&world.ledger) })
        })),
        "events" => Some(shared.with(|world| json!({ "data": world.events }))),
        "deliveries" => Some(json!({ "data": shared.post.log() })),
        "keys" => Some(json!(shared.secrets)),
        _ => None,
    })
}
