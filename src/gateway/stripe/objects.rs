//! What each of Stripe's objects adds to an event.
//!
//! Why here: one function an object, beside Stripe's API reference. Ids may be text or expanded
//! objects everywhere; fields that moved between API versions are looked for in every place.
//!
//! What must stay true: on success there is no decline; an amount without a currency is nothing; an
//! invoice that failed without its reason, and a payment without its invoice, say what to fetch.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::kind::Change;
use super::money::from_stripe;
use super::refusal::charge_card;
use super::webhook::{card_facts, decline_of_charge, decline_of_error};
use crate::core::customer::{Profile, tags_of};
use crate::core::decline::Decline;
use crate::core::event::{Contact, Event, EventKind, NativeRetry, NeedsFetch, PaymentMethodFacts};
use crate::core::money::Money;
use crate::gateway::facts::{self, count, currency, id, id_of, minor, owned, text, time};

/// Fills in what the object tells. `name` is the event's type.
pub(super) fn fill(event: &mut Event, name: &str, change: Change<'_>) {
    let object = change.object;
    let word = text(object, "/object").unwrap_or_else(|| object_of(name));
    match word {
        "invoice" => invoice(event, object),
        "payment_intent" => payment_intent(event, object),
        "charge" => charge(event, change),
        "invoice_payment" => invoice_payment(event, object),
        "refund" => refund(event, object),
        "dispute" => dispute(event, object),
        "subscription" => subscription(event, object),
        "payment_method" | "card" | "source" | "bank_account" => method(event, change),
        "customer" => customer(event, object),
        "setup_intent" => setup_intent(event, object),
        "checkout.session" => checkout_session(event, object),
        "radar.early_fraud_warning" => event.payment = payment_of(object),
        _ => event.customer = id(object, "/customer"),
    }
}

/// Old API versions leave `object` out of some objects: the name of the event says it.
fn object_of(name: &str) -> &str {
    match name {
        _ if name.starts_with("charge.dispute.") => "dispute",
        _ if name.starts_with("customer.subscription.") => "subscription",
        _ if name.starts_with("customer.source.") => "source",
        _ if name.starts_with("checkout.session.") => "checkout.session",
        _ => name.split('.').next().unwrap_or_default(),
    }
}

fn invoice(event: &mut Event, invoice: &Value) {
    event.invoice = id_of(invoice);
    event.amount = invoice_amount(event.kind, invoice);
    from_invoice(event, invoice);
    let payments = payments(invoice);
    event.payment = payments.first().copied().and_then(id_of);
    let method = invoice.get("default_payment_method").or_else(|| invoice.get("default_source"));
    event.payment_method = method.map(card_facts).and_then(PaymentMethodFacts::known);
    if is_refusal(event.kind)
        && let Some((decline, card)) = payments.into_iter().find_map(decline_of)
    {
        event.decline = Some(decline);
        event.payment_method = card.known().or(event.payment_method.take());
    }
    if event.kind == EventKind::PaymentFailed && event.decline.is_none() {
        event.needs_fetch = event.invoice.as_deref().map(|id| needs("invoice", id));
    }
}

/// What an invoice tells, also one that is expanded inside another object.
fn from_invoice(event: &mut Event, invoice: &Value) {
    event.subscription = [
        "/parent/subscription_details/subscription",
        "/subscription",
        "/subscription_details/subscription",
        "/lines/data/0/parent/subscription_item_details/subscription",
        "/lines/data/0/subscription",
    ]
    .iter()
    .find_map(|pointer| id(invoice, pointer));
    event.customer = id(invoice, "/customer");
    event.attempt_count = count(invoice, "/attempt_count");
    event.next_native_attempt_at = time(invoice, "/next_payment_attempt");
    event.native_retry = match invoice.get("next_payment_attempt") {
        None => None,
        Some(Value::Null) => Some(NativeRetry::None),
        Some(_) => event.next_native_attempt_at.map(|_| NativeRetry::Planned),
    };
    event.contact = contact(
        &[
            (invoice, ["/customer_email", "/customer_name", "/customer_phone"]),
            (expanded(invoice, "/customer"), PLAIN),
        ],
        &[(invoice, "/customer_address/country"), (invoice, "/customer/address/country")],
    );
    event.contact.locale = owned(invoice, "/customer/preferred_locales/0");
    event.profile = profile(expanded(invoice, "/customer"));
    event.description = [
        "/lines/data/0/description",
        "/lines/data/0/plan/nickname",
        "/lines/data/0/price/nickname",
        "/description",
    ]
    .iter()
    .find_map(|pointer| text(invoice, pointer))
    .map(plain_line);
}

fn invoice_amount(kind: EventKind, invoice: &Value) -> Option<Money> {
    if kind == EventKind::PaymentSucceeded {
        return money(invoice, &["/amount_paid"]);
    }
    money(invoice, &["/amount_remaining", "/amount_due"])
}

/// The payments of an invoice, PaymentIntents or Charges, as ids or expanded; the one that Stripe
/// calls the default first.
fn payments(invoice: &Value) -> Vec<&Value> {
    let listed = invoice.pointer("/payments/data").and_then(Value::as_array);
    let mut listed: Vec<&Value> = listed.into_iter().flatten().collect();
    listed.sort_by_key(|entry| entry.get("is_default").and_then(Value::as_bool) != Some(true));
    let listed = listed.into_iter().filter_map(payment_in);
    let own = ["payment_intent", "charge"].into_iter().filter_map(|name| invoice.get(name));
    listed.chain(own).filter(|payment| id_of(payment).is_some()).collect()
}

/// The PaymentIntent or Charge of one InvoicePayment.
fn payment_in(entry: &Value) -> Option<&Value> {
    ["/payment/payment_intent", "/payment/charge"]
        .iter()
        .filter_map(|pointer| entry.pointer(pointer))
        .find(|payment| id_of(payment).is_some())
}

/// What is bought, of Stripe's line "1 × Pro plan (at $29.00 / month)": the price is told
/// elsewhere.
fn plain_line(line: &str) -> String {
    let line = line.strip_prefix("1 × ").unwrap_or(line);
    let bare = line.strip_suffix(')').and_then(|line| line.rsplit_once(" (at "));
    bare.map_or(line, |(name, _)| name).to_owned()
}

fn payment_intent(event: &mut Event, intent: &Value) {
    payment_with_invoice(event, intent, id_of(intent));
    event.amount = match event.kind {
        EventKind::PaymentSucceeded => money(intent, &["/amount_received", "/amount"]),
        _ => money(intent, &["/amount"]),
    };
    let method = intent.get("payment_method").map(card_facts).and_then(PaymentMethodFacts::known);
    let charged = intent.get("latest_charge").map(charge_card).and_then(PaymentMethodFacts::known);
    event.payment_method = method.or(charged);
    if is_refusal(event.kind)
        && let Some((decline, card)) = decline_of(intent)
    {
        event.decline = Some(decline);
        event.payment_method = card.known().or(event.payment_method.take());
    }
    let billing = expanded(intent, "/last_payment_error/payment_method/billing_details");
    let contact = contact(
        &[
            (intent, ["/receipt_email", "/shipping/name", "/shipping/phone"]),
            (expanded(intent, "/customer"), PLAIN),
            (billing, PLAIN),
        ],
        &[(intent, "/customer/address/country"), (billing, "/address/country")],
    );
    event.contact = either(contact, std::mem::take(&mut event.contact));
}

fn charge(event: &mut Event, change: Change<'_>) {
    let charge = change.object;
    payment_with_invoice(event, charge, payment_of(charge).or_else(|| id_of(charge)));
    event.amount = match event.kind {
        EventKind::Refunded | EventKind::PartiallyRefunded => refunded_now(change),
        EventKind::PaymentSucceeded => money(charge, &["/amount_captured", "/amount"]),
        _ => money(charge, &["/amount"]),
    };
    event.payment_method = charge_card(charge).known();
    if is_refusal(event.kind) {
        event.decline = decline_of(charge).map(|(decline, _)| decline);
    }
    let billing = expanded(charge, "/billing_details");
    let contact = contact(
        &[
            (charge, ["/receipt_email", "/shipping/name", "/shipping/phone"]),
            (billing, PLAIN),
            (expanded(charge, "/customer"), PLAIN),
        ],
        &[(billing, "/address/country")],
    );
    event.contact = either(contact, std::mem::take(&mut event.contact));
}

/// What both kinds of payment have: the invoice, perhaps expanded, or the need to look for it.
fn payment_with_invoice(event: &mut Event, payment: &Value, payment_id: Option<String>) {
    if let Some(invoice) = payment.get("invoice").filter(|invoice| invoice.is_object()) {
        from_invoice(event, invoice);
    }
    event.invoice = id(payment, "/invoice");
    event.customer = id(payment, "/customer").or(event.customer.take());
    event.payment = payment_id;
    find_invoice(event);
}

/// Since 2025 a payment does not name its invoice.
fn find_invoice(event: &mut Event) {
    if event.invoice.is_none() && event.kind != EventKind::Other {
        event.needs_fetch = event.payment.as_deref().map(|id| needs("invoice_payment", id));
    }
}

/// What this event gave back: the difference to before, else the newest refund, else the sum.
fn refunded_now(Change { object, previous }: Change<'_>) -> Option<Money> {
    let total = minor(object, "/amount_refunded");
    let before = minor(previous, "/amount_refunded");
    let difference = total.zip(before).map(|(total, before)| total - before);
    let newest = object
        .pointer("/refunds/data")
        .and_then(Value::as_array)
        .and_then(|refunds| refunds.iter().max_by_key(|r| r.get("created").and_then(Value::as_i64)))
        .and_then(|refund| minor(refund, "/amount"));
    let amount = difference.filter(|amount| *amount > 0).or(newest).or(total)?;
    from_stripe(amount, currency(object, "/currency")?)
}

fn invoice_payment(event: &mut Event, entry: &Value) {
    if let Some(invoice) = entry.get("invoice").filter(|invoice| invoice.is_object()) {
        from_invoice(event, invoice);
    }
    event.invoice = id(entry, "/invoice");
    event.payment = payment_in(entry).and_then(id_of);
    event.amount = money(entry, &["/amount_paid", "/amount_requested"]);
}

fn refund(event: &mut Event, refund: &Value) {
    event.payment = payment_of(refund);
    event.amount = money(refund, &["/amount"]);
}

fn dispute(event: &mut Event, dispute: &Value) {
    event.payment = payment_of(dispute);
    event.amount = money(dispute, &["/amount"]);
    event.invoice =
        id(dispute, "/charge/invoice").or_else(|| id(dispute, "/payment_intent/invoice"));
    event.customer = id(dispute, "/charge/customer");
    event.payment_method =
        dispute.get("charge").map(charge_card).and_then(PaymentMethodFacts::known);
    find_invoice(event);
}

fn subscription(event: &mut Event, subscription: &Value) {
    event.subscription = id_of(subscription);
    event.customer = id(subscription, "/customer");
    let person = expanded(subscription, "/customer");
    event.contact = contact(&[(person, PLAIN)], &[(person, "/address/country")]);
}

fn method(event: &mut Event, Change { object, previous }: Change<'_>) {
    // A method that was removed names its customer only as it was before.
    event.customer = id(object, "/customer").or_else(|| id(previous, "/customer"));
    event.payment_method = card_facts(object).known();
    let billing = expanded(object, "/billing_details");
    event.contact = contact(&[(billing, PLAIN)], &[(billing, "/address/country")]);
}

fn customer(event: &mut Event, customer: &Value) {
    event.customer = id_of(customer);
    let default = customer
        .pointer("/invoice_settings/default_payment_method")
        .filter(|method| !method.is_null())
        .or_else(|| customer.get("default_source"));
    event.payment_method = default.map(card_facts).and_then(PaymentMethodFacts::known);
    event.contact = contact(&[(customer, PLAIN)], &[(customer, "/address/country")]);
    event.contact.locale = owned(customer, "/preferred_locales/0");
    event.profile = profile(customer);
}

/// The metadata of a customer in which a merchant keeps tags: `vip, yearly`.
const TAGS: &str = "/metadata/recoup_tags";

/// What campaigns go by: tags, and the day on which Stripe has had the customer since.
pub(super) fn profile(customer: &Value) -> Profile {
    Profile {
        tags: customer.pointer(TAGS).and_then(Value::as_str).map(|tags| tags_of(tags.split(','))),
        customer_since: time(customer, "/created").map(|at| at.to_zoned(TimeZone::UTC).date()),
        consents: Vec::new(),
    }
}

fn setup_intent(event: &mut Event, intent: &Value) {
    event.customer = id(intent, "/customer");
    event.payment_method =
        intent.get("payment_method").map(card_facts).and_then(PaymentMethodFacts::known);
}

fn checkout_session(event: &mut Event, session: &Value) {
    event.customer = id(session, "/customer");
    event.subscription = id(session, "/subscription");
    event.invoice = id(session, "/invoice");
    event.payment = id(session, "/payment_intent");
    let method = session.pointer("/setup_intent/payment_method");
    event.payment_method = method.map(card_facts).and_then(PaymentMethodFacts::known);
    let details = expanded(session, "/customer_details");
    event.contact = contact(&[(details, PLAIN)], &[(details, "/address/country")]);
}

/// The refusal that a PaymentIntent or Charge tells of; `None` where it tells of none.
fn decline_of(payment: &Value) -> Option<(Decline, PaymentMethodFacts)> {
    if let Some(error) = payment.get("last_payment_error").filter(|error| error.is_object()) {
        let (decline, card) = decline_of_error(error);
        return Some((decline, card));
    }
    if let Some(charge) = payment.get("latest_charge").filter(|charge| charge.is_object()) {
        return decline_of(charge);
    }
    let refused = text(payment, "/failure_code").or_else(|| text(payment, "/outcome/reason"));
    refused.map(|_| decline_of_charge(payment))
}

/// The PaymentIntent, else the Charge.
fn payment_of(object: &Value) -> Option<String> {
    id(object, "/payment_intent").or_else(|| id(object, "/charge"))
}

fn is_refusal(kind: EventKind) -> bool {
    matches!(kind, EventKind::PaymentFailed | EventKind::ActionRequired)
}

fn needs(object: &str, id: &str) -> NeedsFetch {
    NeedsFetch { object: object.to_owned(), id: id.to_owned() }
}

/// The first of the amounts that is there, in ISO minor units.
fn money(object: &Value, pointers: &[&str]) -> Option<Money> {
    let amount = pointers.iter().find_map(|pointer| minor(object, pointer))?;
    from_stripe(amount, currency(object, "/currency")?)
}

/// Where e-mail, name and phone stand in most objects.
const PLAIN: [&str; 3] = ["/email", "/name", "/phone"];

/// The object at a pointer; null where there is only an id, or nothing.
fn expanded<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).filter(|inner| inner.is_object()).unwrap_or(&Value::Null)
}

/// The first e-mail, name, phone and country that can be read.
fn contact(people: &[(&Value, [&str; 3])], countries: &[(&Value, &str)]) -> Contact {
    let first = |field: usize| {
        people.iter().filter_map(move |(person, pointers)| text(person, pointers[field]))
    };
    Contact {
        email: first(0).find_map(facts::email),
        name: first(1).map(str::to_owned).next(),
        phone: first(2).find_map(facts::phone),
        country: countries.iter().filter_map(|(v, p)| text(v, p)).find_map(facts::country),
        ..Contact::default()
    }
}

fn either(first: Contact, second: Contact) -> Contact {
    Contact {
        name: first.name.or(second.name),
        email: first.email.or(second.email),
        phone: first.phone.or(second.phone),
        locale: first.locale.or(second.locale),
        time_zone: first.time_zone.or(second.time_zone),
        country: first.country.or(second.country),
    }
}
