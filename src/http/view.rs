//! What the API shows of a case, a message, a customer.
//!
//! Why here: the stored values may change their form; what programs read may not (additions are
//! welcome). So nothing stored is serialized to the outside as it is.
//!
//! What must stay true: no token of a payment method and no link is in a case.

use axum::Json;
use serde::Serialize;
use serde_json::{Value, json};

use crate::core::case::Case;
use crate::core::customer::{Channel, Customer, PaymentMethod};
use crate::core::ledger::LedgerEntry;
use crate::core::report::messages::status;
use crate::core::view::{CaseView, EntryView, HappenedView};
use crate::store::MessageRecord;

/// A list that is whole: what is in it is few by its nature, so nobody pages through it.
pub(super) fn whole(data: impl Serialize) -> Json<Value> {
    Json(json!({ "data": data, "has_more": false }))
}

/// A case as the API shows it.
pub fn case_json(case: &Case) -> Value {
    json!(CaseView::from(case))
}

/// A ledger entry.
pub(super) fn entry_json(entry: &LedgerEntry) -> Value {
    json!(EntryView::from(entry))
}

/// A message exactly as sent, with what its case knows of it since.
pub(super) fn message_json(record: &MessageRecord, case: Option<&Case>) -> Value {
    let known = case.and_then(|case| case.messages.iter().find(|m| m.id == record.id));
    json!({
        "status": status(known.map_or(record.status, |known| known.status)),
        "happened": known.map(|known| HappenedView::from(&known.track)),
        "id": record.id,
        "case": record.case,
        "kind": record.kind,
        "channel": record.channel,
        "to": record.to,
        "at": record.at,
        "locale": record.locale,
        "subject": record.subject,
        "text": record.text,
        "html": record.html,
        "answer": record.answer,
    })
}

/// A customer.
pub(super) fn customer_json(customer: &Customer) -> Value {
    let contact = &customer.contact;
    let suppressed: Vec<_> = [Channel::Email, Channel::Sms, Channel::Whatsapp]
        .into_iter()
        .filter_map(|channel| customer.suppressed_on(channel))
        .map(|s| json!({ "channel": s.channel, "at": s.at, "why": s.why }))
        .collect();
    json!({
        "id": customer.id,
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "locale": contact.locale,
        "time_zone": contact.time_zone,
        "country": contact.country,
        "channels": customer.channels,
        "excluded": customer.excluded,
        "reminders_stopped": customer.reminders_stopped,
        "tags": customer.tags,
        "customer_since": customer.customer_since,
        "consents": customer.consents,
        "suppressed": suppressed,
    })
}

/// A payment method, in the form that it is given in.
pub(super) fn method_json(method: &PaymentMethod) -> Value {
    let facts = &method.facts;
    json!({
        "gateway": method.gateway,
        "token": facts.token,
        "network": facts.network,
        "last4": facts.last4,
        "exp": facts.exp,
        "fingerprint": facts.fingerprint,
        "country": facts.country,
        "funding": facts.funding,
        "gateway_customer": method.gateway_customer,
        "network_transaction_id": method.network_transaction_id,
        "default": method.default,
        "consent": method.consent,
        "card": method.card,
    })
}
