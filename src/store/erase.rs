//! Erasing: a person's data goes, the books stay.
//!
//! Why here: what is kept of a customer stands in many records (theirs, their cases', messages,
//! the raw events), and has to go from all of them. Over the trait, so that it is the same for
//! every store.
//!
//! What must stay true: amounts, invoices, payments, outcomes, times and decisions stay, under a
//! reference that no longer names anybody; nothing is erased while a case is open or an outcome
//! unknown; that an event came stays known, so that it is not applied again; a crash in the middle
//! is mended by doing it again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    CaseFilter, CaseWrite, Commit, ExportRecord, InboxBody, InboxRecord, MessageRecord, SideRecord,
    SideTable, Store, StoreError,
};
use crate::core::case::{AttemptOutcome, Case};
use crate::core::customer::{Channel, PaymentMethod};
use crate::core::delivery::address_key;
use crate::core::ids::{CaseId, digest};
use crate::core::ledger::{EntryKind, LedgerEntry};

/// Records that are read at once.
const PAGE: usize = 256;

/// Records that are changed at once.
const BATCH: usize = 200;

/// A text shorter than this names nobody.
const SHORTEST: usize = 3;

/// Stands before the reference of somebody who is forgotten.
const FORGOTTEN: &str = "forgotten_";

/// Stands where a name stood.
const GONE: &str = "erased";

/// Where an event, an answer or a note of the audit list may name somebody.
const SIDES: [SideTable; 4] =
    [SideTable::Audit, SideTable::Delivery, SideTable::Event, SideTable::Kept];

/// Says whom a record of the inbox is about: ids, addresses, names, as its gateway reads it.
pub type About<'a> = dyn Fn(&InboxRecord) -> Vec<String> + Send + Sync + 'a;

/// What was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Customers whose record is gone.
    pub customers: usize,
    /// Cases that name nobody any more.
    pub cases: usize,
    /// Messages whose text and address are gone.
    pub messages: usize,
    /// Raw events and other inputs whose content is gone.
    pub inputs: usize,
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// A case is open, or something of it is under way.
    #[error("forget a customer whose case {0} is open or not settled: stop it first")]
    Open(CaseId),
    /// Nobody has this id.
    #[error("forget this customer: nothing is known of one with this id")]
    Unknown,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long what is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days after which the content of raw events is erased; 0: never.
    pub raw_events_days: u32,
    /// Days after the end of a customer's last case after which they are forgotten; 0: never.
    pub customers_days: u32,
}

/// The reference under which the books keep somebody who is forgotten.
pub fn reference(customer: &str) -> String {
    format!("{FORGOTTEN}{}", digest(&["forgotten", customer]))
}

/// Forgets one customer, by the billing gateway's id.
pub async fn forget(
    store: &dyn Store,
    customer: &str,
    about: &About<'_>,
    now: Timestamp,
) -> Result<Erased, EraseError> {
    let person = Person::find(store, customer).await?;
    if person.cases.is_empty() && !person.is_recorded {
        return Err(EraseError::Unknown);
    }
    if let Some(case) = person.cases.iter().find(|case| !is_settled(case)) {
        return Err(EraseError::Open(case.id.clone()));
    }
    let inputs = empty_inputs(store, |record| person.is_in(record, about)).await?;
    unname_sides(store, &person).await?;
    let mut erased = erase(store, &person, now).await?;
    erased.inputs = inputs;
    Ok(erased)
}

/// Erases what is older than it may be.
pub async fn expire(
    store: &dyn Store,
    retention: Retention,
    about: &About<'_>,
    now: Timestamp,
) -> Result<Erased, EraseError> {
    let mut erased = Erased::default();
    if let Some(before) = days_ago(retention.raw_events_days, now) {
        erased.inputs = empty_inputs(store, |record| record.received_at < before).await?;
    }
    let Some(before) = days_ago(retention.customers_days, now) else { return Ok(erased) };
    for customer in ended_before(store, before).await? {
        match forget(store, &customer, about, now).await {
            Ok(more) => {
                erased.customers += more.customers;
                erased.cases += more.cases;
                erased.messages += more.messages;
                erased.inputs += more.inputs;
            }
            // Opened meanwhile, or an outcome that nobody knows yet: another day.
            Err(EraseError::Open(_) | EraseError::Unknown) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(erased)
}

fn days_ago(days: u32, now: Timestamp) -> Option<Timestamp> {
    let span = jiff::SignedDuration::from_hours(24 * i64::from(days));
    if days == 0 { None } else { now.checked_sub(span).ok() }
}

/// Over, and nothing of it can come back from a gateway.
fn is_settled(case: &Case) -> bool {
    let unknown = |outcome| outcome == AttemptOutcome::Unknown;
    case.state.is_ended()
        && case.pending.is_empty()
        && case.timers.is_empty()
        && !case.attempts.iter().any(|attempt| unknown(attempt.outcome))
}

/// The customers all of whose cases ended before.
async fn ended_before(store: &dyn Store, before: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut over: BTreeMap<String, bool> = BTreeMap::new();
    let (filter, mut after): (CaseFilter, Option<CaseId>) = (CaseFilter::default(), None);
    loop {
        let page = store.list_cases(&filter, after.as_ref(), PAGE).await?;
        for case in &page.data {
            let is_over = is_settled(case) && case.ended_at.is_some_and(|ended| ended < before);
            *over.entry(case.customer_key()).or_insert(true) &= is_over;
        }
        after = page.data.last().map(|case| case.id.clone());
        if !page.has_more || after.is_none() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let old = over.into_iter().filter(|(customer, over)| *over && !is_forgotten(customer));
    Ok(old.map(|(customer, _)| customer).collect())
}

fn is_forgotten(customer: &str) -> bool {
    customer.starts_with(FORGOTTEN)
}

/// Somebody, and everything by which they are named.
struct Person {
    id: String,
    is_recorded: bool,
    /// Records that say by which names other gateways know them.
    aliases: Vec<String>,
    cases: Vec<Case>,
    /// Digests of addresses that were written to.
    addresses: BTreeSet<String>,
    /// What is theirs alone: id, name, addresses.
    own: BTreeSet<String>,
    /// That, and what the books keep: invoices, subscriptions, payments.
    names: BTreeSet<String>,
}

impl Person {
    async fn find(store: &dyn Store, id: &str) -> Result<Self, StoreError> {
        let record = store.customer(id).await?;
        let mut person = Self {
            id: id.to_owned(),
            is_recorded: record.is_some(),
            aliases: Vec::new(),
            cases: cases_of(store, id).await?,
            addresses: BTreeSet::new(),
            own: BTreeSet::from([id.to_owned()]),
            names: BTreeSet::new(),
        };
        let contact = record.as_ref().map(|record| &record.contact);
        let said = contact.map(|it| [&it.name, &it.email, &it.phone]);
        person.own.extend(said.into_iter().flatten().flatten().cloned());
        for (channel, address) in [
            (Channel::Email, contact.and_then(|it| it.email.as_deref())),
            (Channel::Sms, contact.and_then(|it| it.phone.as_deref())),
        ] {
            person.addresses.extend(address.map(|address| address_key(channel, address)));
        }
        let methods = record.iter().flat_map(|record| &record.methods);
        person.aliases.extend(methods.clone().filter_map(PaymentMethod::alias));
        person.own.extend(methods.filter_map(|method| method.gateway_customer.clone()));
        for case in &person.cases {
            person.names.insert(case.invoice.clone());
            person.names.extend(case.subscription.clone());
            person.names.extend(case.payments.iter().cloned());
            person.addresses.extend(case.messages.iter().filter_map(|m| m.track.address.clone()));
        }
        for case in &person.cases {
            for message in store.messages_of(&case.id).await? {
                person.own.insert(message.to);
                person.addresses.extend(message.address);
            }
        }
        person.own.retain(|name| name.len() >= SHORTEST);
        person.names.retain(|name| name.len() >= SHORTEST);
        person.names.extend(person.own.iter().cloned());
        Ok(person)
    }

    /// Whether a record of the inbox is about them.
    fn is_in(&self, record: &InboxRecord, about: &About<'_>) -> bool {
        let of_case = |id: &CaseId| self.cases.iter().any(|case| case.id == *id);
        match &record.body {
            InboxBody::Customer { customer, .. }
            | InboxBody::Consent { customer, .. }
            | InboxBody::PaymentMethods { customer, .. } => *customer == self.id,
            InboxBody::Operator { case, .. }
            | InboxBody::Page { case, .. }
            | InboxBody::Delivery { case, .. } => of_case(case),
            InboxBody::Reply { address, .. } => self.addresses.contains(address),
            InboxBody::Webhook { body, .. } => {
                let raw = String::from_utf8_lossy(body);
                self.names.iter().any(|name| names(&raw, name))
                    || about(record).iter().any(|named| self.names.contains(named))
            }
            InboxBody::Channel { .. } | InboxBody::Emptied | InboxBody::Learning(_) => false,
        }
    }
}

/// Whether the text names this as a word of its own: `cus_1` is not in `cus_12`.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        before.is_none_or(|c| !is_part(c)) && after.is_none_or(|c| !is_part(c))
    })
}

/// Takes the person's own names out of what was told to others, or noted beside the cases.
async fn unname_sides(store: &dyn Store, person: &Person) -> Result<(), StoreError> {
    for table in SIDES {
        for record in pages(store, &format!("side/{}/", table.as_str())).await? {
            let Ok(record) = serde_json::from_value::<SideRecord>(record.value) else { continue };
            let mut next = record.next();
            match next.body.get_mut("about") {
                // Of a line of the audit list only whom it is about: who did it stays.
                Some(about) if table == SideTable::Audit => unname(about, &person.own),
                _ => unname(&mut next.body, &person.own),
            }
            if next.body != record.body {
                store.write_sides(vec![next.into()]).await?;
            }
        }
    }
    Ok(())
}

fn unname(value: &mut Value, own: &BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| unname(item, own)),
        Value::Object(fields) => fields.values_mut().for_each(|field| unname(field, own)),
        Value::String(text) => {
            for name in own.iter().filter(|name| !name.is_empty()) {
                if names(text, name) {
                    *text = text.replace(name, GONE);
                }
            }
        }
        _ => {}
    }
}

async fn cases_of(store: &dyn Store, customer: &str) -> Result<Vec<Case>, StoreError> {
    let filter = CaseFilter { customer: Some(customer.to_owned()), ..CaseFilter::default() };
    let (mut cases, mut after): (Vec<Case>, Option<CaseId>) = (Vec::new(), None);
    loop {
        let page = store.list_cases(&filter, after.as_ref(), PAGE).await?;
        after = page.data.last().map(|case| case.id.clone());
        cases.extend(page.data);
        if !page.has_more || after.is_none() {
            return Ok(cases);
        }
    }
}

/// Empties the applied inputs that are chosen; how many.
async fn empty_inputs(
    store: &dyn Store,
    chosen: impl Fn(&InboxRecord) -> bool,
) -> Result<usize, StoreError> {
    let waiting: BTreeSet<u64> = pages(store, "waiting/")
        .await?
        .iter()
        .filter_map(|record| number_of(&record.key))
        .collect();
    let (mut after, mut emptied) = ("input/".to_owned(), 0);
    loop {
        let page = store.export(Some(&after), PAGE).await?;
        let Some(last) = page.last() else { return Ok(emptied) };
        after.clone_from(&last.key);
        let inputs: Vec<_> =
            page.iter().filter(|record| record.key.starts_with("input/")).collect();
        let mut numbers = Vec::new();
        for record in &inputs {
            let Some(number) = number_of(&record.key) else { continue };
            let Ok(input) = serde_json::from_value::<InboxRecord>(record.value.clone()) else {
                continue;
            };
            let old = input.body != InboxBody::Emptied && !waiting.contains(&number);
            if old && chosen(&input) {
                numbers.push(number);
            }
        }
        for batch in numbers.chunks(BATCH) {
            store.commit(Commit { emptied: batch.to_vec(), ..Commit::default() }).await?;
            emptied += batch.len();
        }
        if inputs.len() < page.len() {
            return Ok(emptied);
        }
        tokio::task::yield_now().await;
    }
}

/// All records whose key begins so.
async fn pages(store: &dyn Store, prefix: &str) -> Result<Vec<ExportRecord>, StoreError> {
    let (mut records, mut after) = (Vec::new(), prefix.to_owned());
    loop {
        let page = store.export(Some(&after), PAGE).await?;
        let Some(last) = page.last() else { return Ok(records) };
        after.clone_from(&last.key);
        let all = page.len();
        let before = records.len();
        records.extend(page.into_iter().filter(|record| record.key.starts_with(prefix)));
        if records.len() - before < all {
            return Ok(records);
        }
    }
}

fn number_of(key: &str) -> Option<u64> {
    u64::from_str_radix(key.rsplit('/').next()?, 16).ok()
}

/// Takes the person out of their cases, messages and record, in one transaction.
async fn erase(store: &dyn Store, person: &Person, now: Timestamp) -> Result<Erased, EraseError> {
    let name = reference(&person.id);
    let forgotten = std::iter::once(&person.id).chain(&person.aliases).cloned().collect();
    let mut commit = Commit { forgotten, ..Commit::default() };
    for case in &person.cases {
        let messages = store.messages_of(&case.id).await?;
        commit.messages.extend(messages.into_iter().map(without_words));
        commit.cases.push(without_person(case, &name, now));
    }
    let erased = Erased {
        customers: usize::from(person.is_recorded),
        cases: commit.cases.len(),
        messages: commit.messages.len(),
        inputs: 0,
    };
    store.commit(commit).await?;
    Ok(erased)
}

/// That it was sent, when, how and of what kind stays.
fn without_words(message: MessageRecord) -> MessageRecord {
    MessageRecord {
        to: String::new(),
        subject: String::new(),
        text: String::new(),
        html: None,
        answer: String::new(),
        address: None,
        ..message
    }
}

fn without_person(case: &Case, name: &str, now: Timestamp) -> CaseWrite {
    let mut case = case.clone();
    case.revision += 1;
    case.customer = case.customer.map(|_| name.to_owned());
    case.description = None;
    case.token = None;
    case.route = None;
    for attempt in &mut case.attempts {
        attempt.charge.customer = attempt.charge.customer.take().map(|_| name.to_owned());
        attempt.charge.token = None;
    }
    for message in &mut case.messages {
        message.track.address = None;
    }
    case.ledger_sequence += 1;
    let entry = LedgerEntry {
        sequence: case.ledger_sequence,
        at: now,
        kind: EntryKind::Person,
        text: "the customer's personal data was erased; the books stay".to_owned(),
        decision: None,
    };
    CaseWrite { case, ledger: vec![entry] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_of_its_own() {
        assert!(names(r#"{"customer":"cus_1"}"#, "cus_1"));
        assert!(names("to ana@nube.example, today", "ana@nube.example"));
        assert!(!names(r#"{"customer":"cus_12"}"#, "cus_1"));
        assert!(!names("xcus_1", "cus_1") && !names("", "cus_1"));
    }

    #[test]
    fn what_was_told_to_others_loses_the_name_and_nothing_else() {
        let mut told = serde_json::json!({
            "data": {"customer": "cus_1", "amount": 2900, "other": "cus_12"},
            "sent": ["{\"customer\":\"cus_1\"}"],
        });
        unname(&mut told, &BTreeSet::from(["cus_1".to_owned()]));
        let kept = serde_json::json!({
            "data": {"customer": "erased", "amount": 2900, "other": "cus_12"},
            "sent": ["{\"customer\":\"erased\"}"],
        });
        assert_eq!(told, kept);
    }

    #[test]
    fn a_reference_names_nobody_and_is_always_the_same() {
        assert_eq!(reference("ana@nube.example"), reference("ana@nube.example"));
        assert_ne!(reference("a"), reference("b"));
        assert!(!reference("ana@nube.example").contains("ana"));
    }
}
