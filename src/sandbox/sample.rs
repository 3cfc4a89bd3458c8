//! One event of any gateway, made to order: what `recoup trigger` sends.
//!
//! Why here: the event is made by letting it happen in a world of its own, so it has exactly the
//! shape that the sandbox's webhooks have.
//!
//! What must stay true: a basil invoice carries no decline by itself; where a decline is asked for,
//! its payments are sent expanded (`payments.data[0].payment.payment_intent.last_payment_error`),
//! so that the reader learns the code without an API.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::adyen::{self, NewAdyenPayment};
use super::http::{self, NewHttpCustomer, NewHttpInvoice};
use super::issuer::{Step, Target};
use super::stripe::make::{self, NewBill, NewCustomer};
use super::stripe::shape::Expand;
use super::stripe::{charging, customers, invoices, parts, payments, subscriptions};
use super::world::World;
use super::{Kind, SandboxOptions, Shape, handle, ids};
use crate::clock::Clock;
use crate::core::money::Money;

/// What is to have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The customer must authenticate.
    ActionRequired,
    /// The customer disputes the payment.
    Disputed,
    /// A charge was refused.
    PaymentFailed,
    /// There is a new card.
    PaymentMethodUpdated,
    /// The invoice was paid.
    PaymentSucceeded,
    /// The payment was given back.
    Refunded,
    /// The subscription ended.
    SubscriptionCancelled,
    /// The invoice was voided.
    Voided,
}

/// Names of happenings; the first of each is the one that is listed.
const NAMES: [(&str, Happening); 20] = [
    ("payment_failed", Happening::PaymentFailed),
    ("payment_succeeded", Happening::PaymentSucceeded),
    ("voided", Happening::Voided),
    ("subscription_cancelled", Happening::SubscriptionCancelled),
    ("payment_method_updated", Happening::PaymentMethodUpdated),
    ("disputed", Happening::Disputed),
    ("refunded", Happening::Refunded),
    ("action_required", Happening::ActionRequired),
    ("paid", Happening::PaymentSucceeded),
    ("invoice_voided", Happening::Voided),
    ("subscription_canceled", Happening::SubscriptionCancelled),
    ("invoice.payment_failed", Happening::PaymentFailed),
    ("invoice.paid", Happening::PaymentSucceeded),
    ("invoice.voided", Happening::Voided),
    ("customer.subscription.deleted", Happening::SubscriptionCancelled),
    ("subscription.cancelled", Happening::SubscriptionCancelled),
    ("payment_method.attached", Happening::PaymentMethodUpdated),
    ("charge.dispute.created", Happening::Disputed),
    ("charge.refunded", Happening::Refunded),
    ("invoice.payment_action_required", Happening::ActionRequired),
];

/// How many of the names are listed; the others are other people's words for the same.
const LISTED: usize = 8;

impl Happening {
    /// By its name.
    pub fn find(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, happening)| *happening)
    }

    /// The names, one of each.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().take(LISTED).map(|(name, _)| *name)
    }

    /// The nearest name to one that is none.
    pub fn nearest(name: &str) -> Option<&'static str> {
        let near = |known: &'static str| (strsim::jaro_winkler(name, known), known);
        NAMES
            .iter()
            .map(|(known, _)| near(known))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known)
    }
}

/// An event to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// By which gateway.
    pub gateway: Kind,
    /// What happened.
    pub happening: Happening,
    /// To whom.
    pub customer: String,
    /// With which invoice.
    pub invoice: String,
    /// How much.
    pub amount: Money,
    /// Why, by the gateway's code.
    pub decline: Option<String>,
    /// When. The event's id follows from it, so two triggers are two events.
    pub at: Timestamp,
    /// In which version of Stripe's API.
    pub shape: Shape,
}

/// An event as it is sent.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// The gateway's own name of its type.
    pub kind: String,
    /// The body.
    pub body: Value,
}

/// The ids of a trigger's subscription and payment follow from the invoice, so that a failure and
/// a later payment of the same invoice are about the same things.
fn related(prefix: &str, invoice: &str) -> String {
    let bare = invoice.strip_prefix("in_").unwrap_or(invoice);
    format!("{prefix}_{bare}")
}

/// Makes the event; `None`: the gateway has no such event.
pub fn sample(wanted: &Wanted) -> Option<Sample> {
    let seed = ids::derived(&["trigger", &wanted.at.as_nanosecond().to_string()], 16);
    let options = SandboxOptions {
        seed: u64::from_str_radix(&seed, 16).unwrap_or_default(),
        clock: Clock::test(wanted.at),
        stripe_shape: wanted.shape,
        ..SandboxOptions::default()
    };
    let mut world = World::new(&options);
    world.base = "https://invoice.invalid".to_owned();
    world.issuer.queue(Target::Customer(wanted.customer.clone()), vec![first_step(wanted)]);
    let kind = match wanted.gateway {
        Kind::Stripe => stripe(&mut world, wanted),
        Kind::Adyen => adyen(&mut world, wanted)?,
        Kind::Http => http(&mut world, wanted),
    };
    let event = world.events.iter().rev().find(|event| event.kind == kind)?;
    let (id, mut body) = (event.id.clone(), event.body.clone());
    if wanted.gateway == Kind::Stripe && tells_decline(wanted) {
        body["data"]["object"] = expanded(&world, &wanted.invoice)?;
    }
    Some(Sample { id, kind: kind.to_owned(), body })
}

fn tells_decline(wanted: &Wanted) -> bool {
    wanted.happening == Happening::ActionRequired
        || wanted.happening == Happening::PaymentFailed && wanted.decline.is_some()
}

/// What becomes of the first charge.
fn first_step(wanted: &Wanted) -> Step {
    match (wanted.happening, wanted.decline.as_deref()) {
        (Happening::PaymentFailed | Happening::Voided, code) => {
            Step::decline(code.unwrap_or("generic_decline"))
        }
        (Happening::ActionRequired, _) => Step::require_authentication(),
        _ => Step::approve(),
    }
}

fn expanded(world: &World, invoice: &str) -> Option<Value> {
    let paths = ["payments.data.payment.payment_intent.latest_charge", "payment_intent"];
    let expand = Expand::new(paths.map(str::to_owned));
    Some(charging::writer(world).invoice(world.stripe.invoices.get(invoice)?, &expand))
}

/// Lets it happen at Stripe; the type of the event that tells it.
fn stripe(world: &mut World, wanted: &Wanted) -> &'static str {
    let subscription = related("sub", &wanted.invoice);
    begin(world, wanted, &subscription);
    let happening = wanted.happening;
    if happening == Happening::PaymentMethodUpdated {
        let method = make::method(world, None, "5555555555554444");
        customers::attach(world, &method, &wanted.customer);
        return "payment_method.attached";
    }
    charging::native_attempt(world, &wanted.invoice);
    match happening {
        Happening::ActionRequired => "invoice.payment_action_required",
        Happening::PaymentFailed => "invoice.payment_failed",
        Happening::PaymentSucceeded | Happening::PaymentMethodUpdated => "invoice.paid",
        Happening::Disputed => {
            handle::dispute(world, &wanted.invoice);
            "charge.dispute.created"
        }
        Happening::Refunded => {
            let charge = world.stripe.charges.values().next().cloned();
            if let Some(charge) = charge {
                payments::refund_charge(world, &charge, charge.amount);
            }
            "charge.refunded"
        }
        Happening::SubscriptionCancelled => {
            subscriptions::cancel(world, &subscription);
            "customer.subscription.deleted"
        }
        Happening::Voided => {
            invoices::close_as(world, &wanted.invoice, "void", "invoice.voided");
            "invoice.voided"
        }
    }
}

/// Customer, card, subscription, and an open invoice with its PaymentIntent.
fn begin(world: &mut World, wanted: &Wanted, subscription: &str) {
    let Money { minor, currency } = wanted.amount;
    let customer = NewCustomer {
        id: Some(wanted.customer.clone()),
        name: Some("Ada Sample".to_owned()),
        email: Some("ada@example.com".to_owned()),
        ..NewCustomer::default()
    };
    make::customer(world, customer);
    let method = make::method(world, Some(&wanted.customer), "4242424242424242");
    make::set_default(world, &wanted.customer, &method);
    let bill = |id: &str| NewBill {
        id: Some(id.to_owned()),
        ..NewBill::new(&wanted.customer, minor, currency.code())
    };
    make::subscription(world, bill(subscription));
    make::invoice(world, bill(&wanted.invoice), Some(subscription));
    let lower = currency.code().to_ascii_lowercase();
    let made = charging::new_intent(world, minor, &lower, Some(&wanted.customer));
    let intent = related("pi", &wanted.invoice);
    if let Some(mut of) = world.stripe.intents.remove(&made) {
        of.id.clone_from(&intent);
        of.invoice = Some(wanted.invoice.clone());
        world.stripe.intents.insert(intent.clone(), of);
    }
    if let Some(invoice) = world.stripe.invoices.get_mut(&wanted.invoice) {
        invoice.intent = Some(intent);
    }
}

/// Lets it happen at Adyen, which has neither subscriptions nor invoices; the code of the event
/// that tells it.
fn adyen(world: &mut World, wanted: &Wanted) -> Option<&'static str> {
    match wanted.happening {
        Happening::SubscriptionCancelled | Happening::Voided => return None,
        Happening::PaymentMethodUpdated => {
            let card = super::world::card_of(Kind::Adyen, "5555341244441115");
            adyen::model::store(world, &wanted.customer, card);
            return Some("recurring.token.created");
        }
        _ => {}
    }
    adyen::model::make_card(world, &wanted.customer, "4111111111111111");
    let new = NewAdyenPayment {
        reference: wanted.invoice.clone(),
        shopper: wanted.customer.clone(),
        amount: wanted.amount.minor,
        currency: wanted.amount.currency,
    };
    adyen::payments::bill(world, new);
    match wanted.happening {
        Happening::Disputed => {
            adyen::modify::dispute(world, &wanted.invoice);
            Some("CHARGEBACK")
        }
        Happening::Refunded => {
            adyen::modify::refund_of(world, &wanted.invoice);
            Some("REFUND")
        }
        _ => Some("AUTHORISATION"),
    }
}

/// Lets it happen at the `http` gateway; the type of the event that tells it.
fn http(world: &mut World, wanted: &Wanted) -> &'static str {
    let customer = NewHttpCustomer {
        id: Some(wanted.customer.clone()),
        email: Some("ada@example.com".to_owned()),
        ..NewHttpCustomer::default()
    };
    http::make_customer(world, customer);
    http::make_card(world, Some(&wanted.customer), "4242424242424242");
    let subscription = related("sub", &wanted.invoice);
    let new = NewHttpInvoice {
        id: Some(wanted.invoice.clone()),
        customer: wanted.customer.clone(),
        subscription: Some(subscription.clone()),
        amount: wanted.amount.minor,
        currency: wanted.amount.currency,
    };
    http::make_invoice(world, new);
    http::native_attempt(world, &wanted.invoice);
    let facts = http::events::customer(world, &wanted.customer);
    let about = json!({
        "invoice": wanted.invoice,
        "subscription": subscription,
        "customer": facts,
        "amount": wanted.amount.minor,
        "currency": wanted.amount.currency,
    });
    let kind = match wanted.happening {
        // The protocol has no event of its own for it: the decline's code says it.
        Happening::ActionRequired | Happening::PaymentFailed => return "invoice.payment_failed",
        Happening::PaymentSucceeded => return "invoice.paid",
        Happening::Disputed => "payment.disputed",
        Happening::PaymentMethodUpdated => {
            let token = http::make_card(world, Some(&wanted.customer), "5555555555554444");
            let method = http::card_json(&token, &world.http.card(&token));
            let data = json!({ "customer": facts, "payment_method": method });
            http::events::emit(world, "payment_method.updated", data);
            return "payment_method.updated";
        }
        Happening::Refunded => "invoice.refunded",
        Happening::SubscriptionCancelled => "subscription.cancelled",
        Happening::Voided => "invoice.voided",
    };
    http::events::emit(world, kind, about);
    kind
}

/// The event around an object of one's own, for tests of parsers.
pub fn stripe_event(shape: Shape, id: &str, kind: &str, at: Timestamp, object: Value) -> Value {
    parts::event(shape, id, kind, at, object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(gateway: Kind, happening: Happening) -> Wanted {
        Wanted {
            gateway,
            happening,
            customer: "cus_1".into(),
            invoice: "in_1".into(),
            amount: Money::new(2900, "usd".parse().unwrap()),
            decline: Some("insufficient_funds".into()),
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            shape: Shape::Basil,
        }
    }

    #[test]
    fn every_happening_makes_an_event_at_every_gateway_in_every_shape() {
        for (name, happening) in NAMES {
            for gateway in [Kind::Stripe, Kind::Http] {
                for shape in [Shape::Basil, Shape::Acacia, Shape::Legacy] {
                    let made = sample(&Wanted { shape, ..wanted(gateway, happening) });
                    assert!(made.is_some(), "{name} at {gateway:?} as {shape:?}");
                }
            }
        }
    }

    #[test]
    fn adyen_has_its_own_and_neither_subscriptions_nor_invoices() {
        for (name, happening) in NAMES {
            let made = sample(&wanted(Kind::Adyen, happening));
            let none = matches!(happening, Happening::SubscriptionCancelled | Happening::Voided);
            assert_eq!(made.is_none(), none, "{name}");
        }
        let body = sample(&wanted(Kind::Adyen, Happening::PaymentFailed)).unwrap().body;
        let item = &body["notificationItems"][0]["NotificationRequestItem"];
        assert_eq!(
            (&item["merchantReference"], &item["success"]),
            (&json!("in_1"), &json!("false"))
        );
        assert_eq!(item["reason"], "Not enough balance");
        assert_eq!(item["additionalData"]["refusalReasonRaw"], "51 : Not enough balance");
    }

    #[test]
    fn a_failed_payment_carries_its_decline_where_one_is_asked_for() {
        let mut asked = wanted(Kind::Stripe, Happening::PaymentFailed);
        let path = "/data/object/payments/data/0/payment/payment_intent/last_payment_error";
        let body = sample(&asked).unwrap().body;
        let error = body.pointer(path).unwrap();
        assert_eq!(error["decline_code"], "insufficient_funds");
        assert_eq!(error["code"], "card_declined");
        asked.decline = None;
        let body = sample(&asked).unwrap().body;
        assert_eq!(body.pointer("/data/object/payments"), None);
        assert_eq!(body.pointer("/data/object/payment_intent"), None);
        asked.shape = Shape::Acacia;
        let body = sample(&asked).unwrap().body;
        assert_eq!(body["data"]["object"]["payment_intent"], "pi_1");
        assert_eq!(body["data"]["object"]["subscription"], "sub_1");
    }

    #[test]
    fn two_moments_make_two_events_and_one_moment_makes_one() {
        let first = wanted(Kind::Http, Happening::PaymentFailed);
        let mut later = first.clone();
        assert_eq!(sample(&first).unwrap().body, sample(&later).unwrap().body);
        later.at = Timestamp::from_millisecond(1_800_000_000_001).unwrap();
        assert_ne!(sample(&first).unwrap().id, sample(&later).unwrap().id);
    }

    #[test]
    fn a_misspelled_name_finds_its_neighbor() {
        for (typed, meant) in [
            ("payment_faild", "payment_failed"),
            ("invoice.payment_faild", "invoice.payment_failed"),
            ("dispute", "disputed"),
            ("refund", "refunded"),
        ] {
            assert_eq!(Happening::nearest(typed), Some(meant));
        }
        assert_eq!(Happening::nearest("qqq"), None);
    }
}
