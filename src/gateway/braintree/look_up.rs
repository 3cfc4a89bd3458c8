//! Finding out what became of an attempt at Braintree.
//!
//! Why here: it has no idempotency keys, so after a time-out only its records tell.
//!
//! How: by the transaction's id where we have it; else by the order id, which names our attempt;
//! and where a subscription was charged again, by the subscription's own transactions since,
//! because it is unproven that a retried charge keeps the order id that it was sent with.
//!
//! What must stay true: nothing here charges; a list that cannot be read is "unavailable", never
//! "not found"; money that the subscription was charged since the attempt counts as the attempt's,
//! a refusal without our name does not.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::client::Client;
use super::kind::is_credit;
use super::objects::{self, Status, status};
use super::{charge, outcome, xml};
use crate::core::effect::{AttemptRef, ChargeOrder, ChargeOutcome, LookUpAnswer};
use crate::core::schedule;
use crate::gateway::facts::{id, text, time};
use crate::gateway::{CallError, reference, shared};

const WHAT: &str = "look up the charge";
/// How far Braintree's clock may be from ours.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// How many transactions of one order id are looked at.
const MOST: usize = 50;

/// What became of an attempt.
pub(super) async fn look_up(client: &Client, attempt: &AttemptRef) -> LookUpAnswer {
    shared::answer(find(client, attempt).await)
}

async fn find(client: &Client, attempt: &AttemptRef) -> Result<Option<ChargeOutcome>, CallError> {
    let order = &attempt.charge;
    if let Some(payment) = &attempt.payment {
        let transaction = transaction(client, payment).await?;
        return outcome_of(order, &transaction).map(Some);
    }
    let name = charge::order_id(order);
    let named = by_order_id(client, "is", &name).await?;
    let ours: Vec<&Value> =
        named.iter().filter(|t| text(t, "/order_id") == Some(name.as_str())).collect();
    if let Some(transaction) = most_telling(&ours) {
        return outcome_of(order, transaction).map(Some);
    }
    match charge::retried(order) {
        Some(subscription) => {
            let subscription = self::subscription(client, WHAT, subscription).await?;
            charged_since(attempt, &subscription)
        }
        None => Ok(None),
    }
}

fn unreadable(why: &str) -> CallError {
    CallError::Transient { what: WHAT, why: why.to_owned() }
}

fn outcome_of(order: &ChargeOrder, transaction: &Value) -> Result<ChargeOutcome, CallError> {
    outcome::of_transaction(order, transaction)
        .ok_or_else(|| unreadable("the transaction has no status that is known"))
}

/// Of several with one order id, the one that took or may take money.
fn most_telling<'a>(transactions: &[&'a Value]) -> Option<&'a Value> {
    let rank = |transaction: &&&Value| match status(transaction) {
        Some(Status::Approved) => 4,
        None => 3,
        Some(Status::Pending) => 2,
        Some(Status::Declined) => 1,
        Some(Status::Void) => 0,
    };
    transactions.iter().max_by_key(rank).copied()
}

/// What the subscription was charged while the attempt may have been on its way. What came later
/// is another charge, perhaps of Braintree's own.
fn charged_since(
    attempt: &AttemptRef,
    subscription: &Value,
) -> Result<Option<ChargeOutcome>, CallError> {
    let transactions = subscription.get("transactions").filter(|list| list.is_array());
    let transactions = transactions.ok_or_else(|| unreadable("no transactions in the answer"))?;
    let since = attempt.first_sent_at.checked_sub(SKEW).unwrap_or(attempt.first_sent_at);
    let of_another = |t: &Value| {
        let named = id(t, "/order_id").and_then(|order| reference::read(&order).attempt);
        named.is_some_and(|named| named != attempt.charge.attempt)
    };
    let horizon = SignedDuration::from_secs(i64::from(super::HORIZON_S));
    let until = schedule::after(attempt.first_sent_at, horizon);
    let mut telling = Vec::new();
    for transaction in xml::several(Some(transactions)) {
        let decided = matches!(status(transaction), Some(Status::Declined | Status::Void));
        if decided || of_another(transaction) || is_credit(transaction) {
            continue;
        }
        let made = time(transaction, "/created_at");
        let made = made.ok_or_else(|| unreadable("a transaction without its time"))?;
        if (since..=until).contains(&made) {
            telling.push(transaction);
        }
    }
    most_telling(&telling).map(|found| outcome_of(&attempt.charge, found)).transpose()
}

/// One transaction.
pub(super) async fn transaction(client: &Client, payment: &str) -> Result<Value, CallError> {
    let sent = client.get(&["transactions", payment]).await;
    Client::object("read the transaction", "transaction", sent)
}

/// One subscription.
pub(super) async fn subscription(
    client: &Client,
    what: &'static str,
    id: &str,
) -> Result<Value, CallError> {
    Client::object(what, "subscription", client.get(&["subscriptions", id]).await)
}

/// The transactions whose order id `is`, or `starts_with`, a text: first their ids, then what they
/// are, as Braintree's libraries search.
pub(super) async fn by_order_id(
    client: &Client,
    how: &str,
    text: &str,
) -> Result<Vec<Value>, CallError> {
    let path = ["transactions", "advanced_search_ids"];
    let mut search = json!({ "order_id": { how: text } });
    let sent = client.post(&path, &json!({ "search": search })).await;
    let results = Client::object(WHAT, "search_results", sent)?;
    let listed = results.get("ids").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| unreadable("no list of ids in the answer"))?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    if listed.len() > MOST {
        return Err(unreadable("more transactions with this order id than can be read"));
    }
    search["ids"] = json!(listed);
    let path = ["transactions", "advanced_search"];
    let sent = client.post(&path, &json!({ "search": search })).await;
    let page = Client::object(WHAT, "credit_card_transactions", sent)?;
    let found: Vec<Value> = xml::several(page.get("transaction")).into_iter().cloned().collect();
    let all = listed.iter().all(|wanted| found.iter().any(|t| t.get("id") == Some(wanted)));
    all.then_some(found).ok_or_else(|| unreadable("not all that was found can be read"))
}

/// All transactions of an order of the merchant's: its own, and the attempts of ours.
pub(super) async fn of_invoice(client: &Client, invoice: &str) -> Result<Vec<Value>, CallError> {
    let mut found = by_order_id(client, "is", invoice).await?;
    let ours = format!("{invoice}{}", reference::MARK);
    found.extend(by_order_id(client, "starts_with", &ours).await?);
    Ok(found)
}

/// Whether any of these took money for the invoice.
pub(super) fn paid(transactions: &[Value], invoice: &str) -> bool {
    let of_it = |t: &&Value| {
        text(t, "/order_id").is_some_and(|order| reference::read(order).invoice == invoice)
    };
    let approved = |t: &Value| status(t) == Some(Status::Approved) && !is_credit(t);
    transactions.iter().filter(of_it).any(approved)
}

/// The newest charge of a subscription took money.
pub(super) fn newest_is_approved(subscription: &Value) -> bool {
    objects::newest(subscription, |t| !is_credit(t))
        .is_some_and(|t| status(t) == Some(Status::Approved))
}
