//! Products, prices, and what the API bills by them: subscriptions, invoice items, draft invoices.
//!
//! Why here: a developer's own integration makes its subscriptions over the API, with the official
//! library; it meets them here as at Stripe.
//!
//! What must stay true: a new subscription is `incomplete` until its first invoice is paid; a draft
//! takes items and no money; nothing is made by a call that is refused.

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::charging::{emit_invoice, emit_subscription};
use super::customers::merge_metadata;
use super::make::{self, NewBill};
use super::model::Metadata;
use super::parts::unix;
use super::{Answered, errors, page, unknown};
use crate::sandbox::api::{Call, Reply};
use crate::sandbox::world::World;

/// What is sold.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    id: String,
    name: String,
    metadata: Metadata,
    created: Timestamp,
}

/// What it costs.
#[derive(Debug, Clone)]
pub(crate) struct Price {
    id: String,
    product: String,
    amount: i64,
    currency: String,
    /// `month`, `year` …; `None`: once.
    interval: Option<String>,
    created: Timestamp,
}

impl Product {
    fn object(&self) -> Value {
        json!({
            "id": self.id, "object": "product", "active": true, "created": unix(self.created),
            "default_price": null, "description": null, "images": [], "livemode": false,
            "metadata": self.metadata, "name": self.name, "type": "service",
            "updated": unix(self.created),
        })
    }
}

impl Price {
    /// As the API writes it.
    pub(super) fn object(&self) -> Value {
        let recurring = self.interval.as_ref().map(|interval| {
            json!({ "interval": interval, "interval_count": 1, "meter": null,
                "trial_period_days": null, "usage_type": "licensed" })
        });
        json!({
            "id": self.id, "object": "price", "active": true, "billing_scheme": "per_unit",
            "created": unix(self.created), "currency": self.currency, "livemode": false,
            "lookup_key": null, "metadata": {}, "nickname": null, "product": self.product,
            "type": if recurring.is_some() { "recurring" } else { "one_time" },
            "recurring": recurring,
            "unit_amount": self.amount, "unit_amount_decimal": self.amount.to_string(),
        })
    }
}

/// `/v1/products`.
pub(super) fn route_products(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (true, []) => {
            let name = call.text("name").ok_or_else(|| errors::missing("name"))?.to_owned();
            let id = new_product(world, name, call);
            show_product(world, &id)
        }
        (false, []) => {
            let of = |p: &Product| (p.id.clone(), p.created.as_second(), p.object());
            Ok(page(call, world.stripe.products.values().map(of).collect()))
        }
        (false, [id]) => show_product(world, id),
        _ => Err(unknown(call)),
    }
}

fn new_product(world: &mut World, name: String, call: &Call) -> String {
    let id = call.text("id").map_or_else(|| world.ids.next("prod"), str::to_owned);
    let mut metadata = Metadata::new();
    merge_metadata(&mut metadata, call);
    let product = Product { id: id.clone(), name, metadata, created: world.now };
    world.stripe.products.insert(id.clone(), product);
    id
}

fn show_product(world: &World, id: &str) -> Answered {
    let product = world.stripe.products.get(id).map(Product::object);
    product.map(|p| Reply::new(200, p)).ok_or_else(|| errors::no_such("product", id))
}

/// `/v1/prices`.
pub(super) fn route_prices(world: &mut World, call: &Call, rest: &[&str]) -> Answered {
    match (call.method == Method::POST, rest) {
        (true, []) => {
            let id = new_price(world, call, "")?;
            show_price(world, &id)
        }
        (false, []) => {
            let product = call.text("product");
            let fits = world.stripe.prices.values();
            let fits = fits.filter(|price| product.is_none_or(|id| id == price.product));
            let of = |p: &Price| (p.id.clone(), p.created.as_second(), p.object());
            Ok(page(call, fits.map(of).collect()))
        }
        (false, [id]) => show_price(world, id),
        _ => Err(unknown(call)),
    }
}

fn show_price(world: &World, id: &str) -> Answered {
    let price = world.stripe.prices.get(id).map(Price::object);
    price.map(|p| Reply::new(200, p)).ok_or_else(|| errors::no_such("price", id))
}

/// Makes a price of the parameters under `at` (`""`, or `items/0/price_data/`).
fn new_price(world: &mut World, call: &Call, at: &str) -> Result<String, Reply> {
    let field = |name: &str| call.text(&format!("{at}{name}"));
    let (amount, currency) = amount_of(field("unit_amount"), field("currency"), "unit_amount")?;
    let interval = field("recurring/interval").map(str::to_owned);
    let named = field("product_data/name").map(str::to_owned);
    let product = match (field("product").map(str::to_owned), named) {
        (Some(id), _) if world.stripe.products.contains_key(&id) => id,
        (Some(id), _) => return Err(errors::no_such("product", &id)),
        (None, Some(name)) => {
            let id = world.ids.next("prod");
            let (metadata, created) = (Metadata::new(), world.now);
            let product = Product { id: id.clone(), name, metadata, created };
            world.stripe.products.insert(id.clone(), product);
            id
        }
        (None, None) => return Err(errors::missing("product")),
    };
    let id = world.ids.next("price");
    let created = world.now;
    let price = Price { id: id.clone(), product, amount, currency, interval, created };
    world.stripe.prices.insert(id.clone(), price);
    Ok(id)
}

/// An amount that is charged, with its currency.
fn amount_of(
    amount: Option<&str>,
    currency: Option<&str>,
    name: &'static str,
) -> Result<(i64, String), Reply> {
    let amount = amount.ok_or_else(|| errors::missing(name))?;
    let amount = amount.parse::<i64>().ok().filter(|amount| *amount >= 0).ok_or_else(|| {
        errors::invalid_code("parameter_invalid_integer", "Invalid positive integer", Some(name))
    })?;
    let currency = currency.ok_or_else(|| errors::missing("currency"))?;
    if currency.parse::<crate::core::money::Currency>().is_err() {
        return Err(errors::invalid(&format!("Invalid currency: {currency}"), Some("currency")));
    }
    Ok((amount, currency.to_ascii_lowercase()))
}

fn customer_of(world: &World, call: &Call) -> Result<String, Reply> {
    let id = call.text("customer").ok_or_else(|| errors::missing("customer"))?;
    if world.stripe.customers.contains_key(id) {
        return Ok(id.to_owned());
    }
    let message = format!("No such customer: '{id}'");
    Err(errors::invalid_code("resource_missing", &message, Some("customer")))
}

/// `POST /v1/subscriptions`: one item, by price or price data. Its id.
pub(super) fn subscribe(world: &mut World, call: &Call) -> Result<String, Reply> {
    let customer = customer_of(world, call)?;
    let own = call.text("default_payment_method").map(str::to_owned);
    let method = own.clone().or_else(|| world.stripe.customers[&customer].default_method.clone());
    let owner = method.as_ref().and_then(|id| world.stripe.methods.get(id)?.customer.clone());
    let pays_now = match call.text("payment_behavior") {
        None | Some("allow_incomplete") => true,
        Some("default_incomplete") => false,
        Some(other) => {
            let message = format!("The sandbox knows no payment_behavior of '{other}'.");
            return Err(errors::invalid(&message, Some("payment_behavior")));
        }
    };
    if pays_now && owner.as_ref() != Some(&customer) {
        let message = "This customer has no attached payment source or default payment method. \
                       Please consider adding a default payment method.";
        return Err(errors::invalid_code("resource_missing", message, None));
    }
    let price = match call.text("items/0/price") {
        Some(id) => id.to_owned(),
        None if call.params.pointer("/items/0/price_data").is_some() => {
            new_price(world, call, "items/0/price_data/")?
        }
        None => return Err(errors::missing("items")),
    };
    let Some(price) = world.stripe.prices.get(&price).cloned() else {
        let message = format!("No such price: '{price}'");
        return Err(errors::invalid_code("resource_missing", &message, Some("items[0][price]")));
    };
    let quantity = call.text("items/0/quantity").map_or(Ok(1), str::parse::<i64>);
    let quantity = quantity.ok().filter(|quantity| (1..=1_000_000).contains(quantity));
    let quantity =
        quantity.ok_or_else(|| errors::invalid("Invalid integer", Some("items[0][quantity]")))?;
    let name = world.stripe.products.get(&price.product).map(|product| product.name.clone());
    let mut bill = NewBill::new(&customer, price.amount * quantity, &price.currency);
    bill.description = name.unwrap_or(bill.description);
    bill.default_payment_method = own;
    let id = make::subscription(world, bill);
    if let Some(subscription) = world.stripe.subscriptions.get_mut(&id) {
        subscription.status = "incomplete";
        subscription.price = Some(price.id);
        merge_metadata(&mut subscription.metadata, call);
    }
    emit_subscription(world, "customer.subscription.created", &id);
    if pays_now {
        make::bill(world, &id);
    } else {
        make::open_bill(world, &id);
    }
    Ok(id)
}

/// `POST /v1/invoiceitems`: onto a draft, or kept for the customer's next one.
pub(super) fn add_item(world: &mut World, call: &Call) -> Answered {
    let customer = customer_of(world, call)?;
    let (amount, currency) = amount_of(call.text("amount"), call.text("currency"), "amount")?;
    let draft = call.text("invoice");
    if let Some(id) = draft {
        let invoice = world.stripe.invoices.get_mut(id);
        let invoice = invoice.ok_or_else(|| errors::no_such("invoice", id))?;
        if invoice.status != "draft" || invoice.customer != customer {
            let message = "The invoice must be a draft of this customer.";
            return Err(errors::invalid(message, Some("invoice")));
        }
        invoice.add(amount, &currency, call.text("description"))?;
    }
    let id = world.ids.next("ii");
    let object = json!({
        "id": id, "object": "invoiceitem", "amount": amount, "currency": currency,
        "customer": customer, "date": unix(world.now), "description": call.text("description"),
        "invoice": draft, "livemode": false, "metadata": {}, "quantity": 1,
    });
    if draft.is_none() {
        let description = call.text("description").map(str::to_owned);
        world.stripe.items.push(Item { customer, amount, currency, description });
    }
    Ok(Reply::new(200, object))
}

/// What waits for a customer's next invoice.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    customer: String,
    amount: i64,
    currency: String,
    description: Option<String>,
}

/// `POST /v1/invoices`: a draft, with what waits where the call includes it. Its id.
pub(super) fn draft(world: &mut World, call: &Call) -> Result<String, Reply> {
    let customer = customer_of(world, call)?;
    let waiting = || world.stripe.items.iter().filter(|item| item.customer == customer);
    let takes = call.text("pending_invoice_items_behavior") == Some("include");
    let first = waiting().next().filter(|_| takes).map(|item| item.currency.clone());
    let currency = call.text("currency").map(str::to_ascii_lowercase).or(first);
    let currency = currency.unwrap_or_else(|| "usd".to_owned());
    // An invoice has one currency: lines in another wait for an invoice in theirs.
    let fits = |item: &Item| takes && item.customer == customer && item.currency == currency;
    let (taken, left) =
        std::mem::take(&mut world.stripe.items).into_iter().partition::<Vec<_>, _>(fits);
    world.stripe.items = left;
    let mut bill = NewBill::new(&customer, 0, &currency);
    bill.description = call.text("description").unwrap_or("Invoice").to_owned();
    let id = make::invoice(world, bill, None);
    if let Some(invoice) = world.stripe.invoices.get_mut(&id) {
        invoice.status = "draft";
        invoice.auto_advance = call.flag("auto_advance");
        for item in &taken {
            invoice.add(item.amount, &item.currency, item.description.as_deref())?;
        }
        merge_metadata(&mut invoice.metadata, call);
    }
    emit_invoice(world, "invoice.created", &id);
    Ok(id)
}

/// `POST /v1/invoices/{id}/finalize`.
pub(super) fn finalize(world: &mut World, id: &str) -> Result<(), Reply> {
    let Some(invoice) = world.stripe.invoices.get_mut(id) else {
        return Err(errors::no_such("invoice", id));
    };
    if invoice.status != "draft" {
        let message = "This invoice is already finalized, you can't re-finalize it.";
        return Err(errors::invalid_code("invoice_not_editable", message, None));
    }
    invoice.status = "open";
    let nothing_owed = invoice.amount == 0;
    emit_invoice(world, "invoice.finalized", id);
    if nothing_owed {
        super::charging::close_paid(world, id, false);
    }
    Ok(())
}
