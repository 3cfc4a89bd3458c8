//! What Stripe knows since a time: its events, and the open invoices that a charge failed for.
//!
//! Why here: webhooks get lost: an endpoint was down for days, a type was not switched on. The list
//! of events finds those; an invoice whose event is too old, or of a type that nobody listens to,
//! is found by its own state.
//!
//! What must stay true: the oldest comes first, as webhooks would have; an event keeps Stripe's own
//! id, so that one that arrived is known again; an invoice's id is made of it and its count of
//! attempts, so that the same state is told once; a list that does not end is an error, never a
//! part that looks whole.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::charge::{META_ATTEMPT, META_INVOICE};
use super::client::Client;
use super::{view, webhook};
use crate::core::report::captures::Capture;
use crate::gateway::{CallError, Endpoint, Known, WebhookRequest};

/// How many one page holds: Stripe's most.
const PAGE: &str = "100";
/// How many pages one list may have: ten thousand events.
const MAX_PAGES: usize = 100;
/// How many types one list of events may be asked for.
const MAX_TYPES: usize = 20;

/// The events of these types, and the open invoices that a charge failed for.
pub(super) async fn known_since(
    client: &Client,
    types: &[&str],
    since: Timestamp,
) -> Result<Vec<Known>, CallError> {
    let since = since.as_second().to_string();
    let mut events = Vec::new();
    for types in types.chunks(MAX_TYPES) {
        let mut query = vec![("created[gte]", since.as_str())];
        query.extend(types.iter().map(|name| ("types[]", *name)));
        events.extend(all(client, "read the list of events", "events", &query).await?);
    }
    events.sort_by_key(|event| event["created"].as_i64());
    let query = [
        ("status", "open"),
        ("collection_method", "charge_automatically"),
        ("created[gte]", since.as_str()),
    ];
    let mut invoices = all(client, "read the open invoices", "invoices", &query).await?;
    invoices.reverse();
    let mut known: Vec<Known> = events.iter().filter_map(known_event).collect();
    known.extend(invoices.iter().filter_map(known_invoice));
    Ok(known)
}

/// The charges that took money in a span of time, whoever made them: an invoice's is told apart by
/// its PaymentIntent, ours beside another billing gateway by their mark.
pub(super) async fn captures(
    client: &Client,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<Capture>, CallError> {
    let (since, until) = (since.as_second().to_string(), until.as_second().to_string());
    let query = [("created[gte]", since.as_str()), ("created[lt]", until.as_str())];
    let charges = all(client, "read the list of charges", "charges", &query).await?;
    Ok(charges.iter().filter_map(capture).collect())
}

fn capture(charge: &Value) -> Option<Capture> {
    let taken = charge["status"] == "succeeded" && charge["captured"] != false;
    let ids = [view::id_at(charge, "/payment_intent"), view::id_at(charge, "/id")];
    let amount =
        view::amount(charge, "/amount_captured").or_else(|| view::amount(charge, "/amount"));
    let invoice = view::id_at(charge, "/invoice");
    let meta = |name: &str| charge["metadata"][name].as_str();
    Some(Capture {
        ids: ids.into_iter().flatten().map(str::to_owned).collect(),
        at: view::time(charge, "/created")?,
        amount: amount.filter(|_| taken)?,
        refunded: view::amount(charge, "/amount_refunded").map_or(0, |given| given.minor),
        invoice: invoice.or_else(|| meta(META_INVOICE)).map(str::to_owned),
        marked: meta(META_ATTEMPT).is_some(),
    })
}

/// Every page of one list, the newest first.
async fn all(
    client: &Client,
    what: &'static str,
    list: &str,
    query: &[(&str, &str)],
) -> Result<Vec<Value>, CallError> {
    let mut items: Vec<Value> = Vec::new();
    for _ in 0..MAX_PAGES {
        let after = items.last().and_then(|item| view::owned(item, "/id"));
        let mut query = query.to_vec();
        query.push(("limit", PAGE));
        query.extend(after.as_deref().map(|id| ("starting_after", id)));
        let mut page = client.read(what, &["v1", list], &query).await?;
        let Value::Array(data) = page["data"].take() else {
            let why = "the answer is no list".to_owned();
            return Err(CallError::Transient { what, why });
        };
        let ends = data.is_empty() || page["has_more"].as_bool() != Some(true);
        items.extend(data);
        if ends {
            return Ok(items);
        }
    }
    let why = format!("more than {MAX_PAGES} pages: ask for a shorter time");
    Err(CallError::Permanent { what, why })
}

fn known_event(event: &Value) -> Option<Known> {
    let (id, name) = (view::owned(event, "/id")?, view::text(event, "/type")?);
    let of = view::text(event, "/data/object/id");
    Some(Known {
        id,
        what: of.map_or_else(|| name.to_owned(), |of| format!("{name} of {of}")),
        invoice: invoice_of(event),
        by_case: false,
        body: event.to_string().into_bytes(),
    })
}

/// The invoice, as the parser of webhooks reads it.
fn invoice_of(event: &Value) -> Option<String> {
    let body = event.to_string();
    let request = WebhookRequest {
        body: body.as_bytes(),
        headers: &[],
        url: None,
        now: Timestamp::UNIX_EPOCH,
    };
    webhook::parse(&request).ok()?.into_iter().next()?.invoice
}

/// An open invoice that was charged in vain, as the event that nobody heard. One that was not
/// charged yet is none of ours.
fn known_invoice(invoice: &Value) -> Option<Known> {
    let id = view::owned(invoice, "/id")?;
    let attempts = invoice["attempt_count"].as_u64().filter(|attempts| *attempts > 0)?;
    let at = ["/status_transitions/finalized_at", "/created"];
    let at = at.into_iter().find_map(|at| view::time(invoice, at));
    let event = json!({
        "id": format!("recoup-gap-{id}-{attempts}"),
        "object": "event",
        "type": "invoice.payment_failed",
        "created": at.map(Timestamp::as_second),
        "livemode": invoice["livemode"],
        "data": { "object": invoice },
    });
    Some(Known {
        id: view::owned(&event, "/id")?,
        what: format!("open invoice {id}, tried {attempts} × in vain"),
        invoice: Some(id),
        by_case: true,
        body: event.to_string().into_bytes(),
    })
}

/// Where Stripe sends its webhooks.
pub(super) async fn endpoints(client: &Client) -> Result<Vec<Endpoint>, CallError> {
    let found = all(client, "read the webhook endpoints", "webhook_endpoints", &[]).await?;
    let endpoint = |one: &Value| {
        let events = one["enabled_events"].as_array().into_iter().flatten();
        Some(Endpoint {
            url: one["url"].as_str()?.to_owned(),
            enabled: one["status"].as_str() == Some("enabled"),
            events: events.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    };
    Ok(found.iter().filter_map(endpoint).collect())
}

/// Whether the key is accepted: the account, else, where the key may not read it, one event.
pub(super) async fn check_access(client: &Client) -> Result<String, CallError> {
    match client.read("read the account", &["v1", "account"], &[]).await {
        Ok(account) => {
            let id = view::text(&account, "/id").unwrap_or("without an id");
            Ok(format!("the account {id} can be read"))
        }
        Err(error) if error.is_transient() => Err(error),
        Err(_) => {
            let path = ["v1", "events"];
            client.read("read the list of events", &path, &[("limit", "1")]).await?;
            Ok("the list of events can be read".to_owned())
        }
    }
}
