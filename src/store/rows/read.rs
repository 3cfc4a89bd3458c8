//! Reads: how each question is answered from the rows.
//!
//! Why here: once for both embedded stores. A read takes no part in the order of writes; where it
//! needs several rows, a write may come between them, so a row that a list names and that has gone
//! meanwhile is passed over.
//!
//! What must stay true: what is due is found at the cost of what is due, not of what is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::value::{LinkKey, Stored, Value, Waiting};
use super::{Rows, Scan, damaged, get, number};
use crate::core::card::Card;
use crate::core::case::{Case, State};
use crate::core::customer::Customer;
use crate::core::ids::{CardKey, CaseId, GatewayId, MessageId};
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::core::learning::routing::Routing;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::core::reputation::Reputation;
use crate::store::{
    Backlog, CaseFilter, InboxEntry, InboxRecord, MessageRecord, Page, Restoring, StoreError, keys,
};

/// How many rows of a list are read at once.
const CHUNK: usize = 256;

pub(crate) fn own<T: Stored + Clone>(rows: &dyn Rows, key: &str) -> Result<Option<T>, StoreError> {
    Ok(get::<T>(rows, key)?.map(Arc::unwrap_or_clone))
}

pub(crate) fn case(rows: &dyn Rows, id: &CaseId) -> Result<Option<Case>, StoreError> {
    own(rows, &keys::case(id))
}

pub(crate) fn is_closed(rows: &dyn Rows, id: &CaseId) -> Result<bool, StoreError> {
    Ok(rows.get(&keys::closed(id))?.is_some())
}

pub(crate) fn customer(rows: &dyn Rows, id: &str) -> Result<Option<Customer>, StoreError> {
    own(rows, &keys::customer(id))
}

pub(crate) fn policy(rows: &dyn Rows, version: &str) -> Result<Option<Policy>, StoreError> {
    own(rows, &keys::policy(version))
}

pub(crate) fn policies(rows: &dyn Rows) -> Result<BTreeMap<String, Policy>, StoreError> {
    let found =
        rows.scan(&Scan::first(keys::POLICIES, keys::end_of(keys::POLICIES), usize::MAX))?;
    let policy = |(key, value): (String, Value)| match Policy::of(value) {
        Some(policy) => Ok((keys::last_part(&key).to_owned(), Arc::unwrap_or_clone(policy))),
        None => Err(damaged(&key, "it is no policy")),
    };
    found.into_iter().map(policy).collect()
}

pub(crate) fn cards(
    rows: &dyn Rows,
    wanted: &[CardKey],
) -> Result<BTreeMap<CardKey, Card>, StoreError> {
    let mut cards = BTreeMap::new();
    for key in wanted {
        cards.extend(own(rows, &keys::card(key))?.map(|card| (key.clone(), card)));
    }
    Ok(cards)
}

/// The lowest numbers first among those that were never deferred and those whose time has come.
pub(crate) fn inbox(
    rows: &dyn Rows,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<InboxEntry>, StoreError> {
    if number(rows, keys::COUNT_INBOX)? == 0 {
        return Ok(Vec::new());
    }
    let due_until = format!("{}{}", keys::READY, keys::after_time(now));
    let mut numbers = Vec::new();
    for scan in [
        Scan::first(keys::READY, keys::deferred(), limit),
        Scan::first(keys::deferred(), due_until, limit),
    ] {
        let found = rows.scan(&scan)?;
        numbers.extend(found.iter().filter_map(|(key, _)| keys::read_number(keys::last_part(key))));
    }
    numbers.sort_unstable();
    numbers.truncate(limit);
    let mut entries = Vec::with_capacity(numbers.len());
    for number in numbers {
        let Some(waiting) = get::<Waiting>(rows, &keys::waiting(number))? else { continue };
        let Some(record) = own(rows, &keys::input(number))? else {
            return Err(damaged(&keys::input(number), "it is not there, and waits to be applied"));
        };
        let Waiting { tries, not_before } = *waiting;
        entries.push(InboxEntry { number, record, tries, not_before });
    }
    Ok(entries)
}

pub(crate) fn input(
    rows: &dyn Rows,
    source: &GatewayId,
    id: &str,
) -> Result<Option<InboxRecord>, StoreError> {
    match number(rows, &keys::seen(source, id))? {
        0 => Ok(None),
        number => own(rows, &keys::input(number)),
    }
}

fn ids_under(rows: &dyn Rows, prefix: &str, limit: usize) -> Result<Vec<CaseId>, StoreError> {
    let found = rows.scan(&Scan::first(prefix, keys::end_of(prefix), limit))?;
    Ok(found.iter().map(|(key, _)| CaseId::from(keys::last_part(key))).collect())
}

pub(crate) fn open_cases_of(rows: &dyn Rows, customer: &str) -> Result<Vec<CaseId>, StoreError> {
    ids_under(rows, &keys::open_of(customer), usize::MAX)
}

pub(crate) fn open_cases_of_subscription(
    rows: &dyn Rows,
    subscription: &str,
) -> Result<Vec<CaseId>, StoreError> {
    ids_under(rows, &keys::open_of_subscription(subscription), usize::MAX)
}

pub(crate) fn case_of_payment(
    rows: &dyn Rows,
    payment: &str,
) -> Result<Option<CaseId>, StoreError> {
    Ok(ids_under(rows, &keys::payment(payment), 1)?.pop())
}

pub(crate) fn due(
    rows: &dyn Rows,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<CaseId>, StoreError> {
    let until = format!("{}{}", keys::DUE, keys::after_time(now));
    let found = rows.scan(&Scan::first(keys::DUE, until, limit))?;
    Ok(found.iter().map(|(key, _)| CaseId::from(keys::last_part(key))).collect())
}

pub(crate) fn next_due(rows: &dyn Rows) -> Result<Option<Timestamp>, StoreError> {
    let run = number(rows, keys::RUN)?;
    let first = |begin: String, end: String, part: usize| -> Result<_, StoreError> {
        let found = rows.scan(&Scan::first(begin, end, 1))?;
        Ok(found.first().and_then(|(key, _)| keys::read_time(keys::part_at(key, part))))
    };
    let mut times = vec![
        first(keys::DUE.to_owned(), keys::end_of(keys::DUE), 2)?,
        first(keys::deferred(), keys::end_of(keys::READY), 2)?,
        first(keys::CLAIMED.to_owned(), keys::claimed_by(run), 3)?,
    ];
    for lane in lanes(rows)? {
        let end = keys::end_of(&lane);
        times.push(first(lane, end, 3)?);
    }
    Ok(times.into_iter().flatten().min())
}

/// Where the lanes begin in which effects wait that nobody has begun.
pub(crate) fn lanes(rows: &dyn Rows) -> Result<Vec<String>, StoreError> {
    let mut lanes = Vec::new();
    let mut begin = keys::LANES.to_owned();
    while let Some((key, _)) = rows.scan(&Scan::first(begin, keys::end_of(keys::LANES), 1))?.pop() {
        let lane = format!("{}{}/", keys::LANES, keys::part_at(&key, 2));
        begin = keys::end_of(&lane);
        lanes.push(lane);
    }
    Ok(lanes)
}

pub(crate) fn backlog(rows: &dyn Rows) -> Result<Backlog, StoreError> {
    Ok(Backlog {
        inbox: number(rows, keys::COUNT_INBOX)?,
        outbox: number(rows, keys::COUNT_OUTBOX)?,
    })
}

pub(crate) fn count_cases(rows: &dyn Rows) -> Result<BTreeMap<State, u64>, StoreError> {
    let mut counts = BTreeMap::new();
    for state in State::ALL {
        counts.insert(state, number(rows, keys::count_of(state))?);
    }
    Ok(counts)
}

pub(crate) fn ledger(rows: &dyn Rows, case: &CaseId) -> Result<Vec<LedgerEntry>, StoreError> {
    let prefix = keys::ledger_of(case);
    let found = rows.scan(&Scan::first(&prefix, keys::end_of(&prefix), usize::MAX))?;
    let entry = |(key, value): (String, Value)| {
        LedgerEntry::of(value).ok_or_else(|| damaged(&key, "it is no ledger entry"))
    };
    found.into_iter().map(|row| entry(row).map(Arc::unwrap_or_clone)).collect()
}

pub(crate) fn messages_of(
    rows: &dyn Rows,
    case: &CaseId,
) -> Result<Vec<MessageRecord>, StoreError> {
    let prefix = keys::messages_of(case);
    let found = rows.scan(&Scan::first(&prefix, keys::end_of(&prefix), usize::MAX))?;
    let mut messages = Vec::with_capacity(found.len());
    for (key, _) in found {
        messages.extend(message(rows, keys::last_part(&key))?);
    }
    Ok(messages)
}

/// What was learned: of gateways as it was last kept whole, and what came since.
pub(crate) fn learned(rows: &dyn Rows) -> Result<Arc<Learned>, StoreError> {
    let learned = get::<Learned>(rows, keys::LEARNED)?.unwrap_or_default();
    let mut routing = get::<Routing>(rows, keys::ROUTING)?.unwrap_or_default();
    for outcome in outcomes(rows, routing.taught())? {
        Arc::make_mut(&mut routing).teach(&outcome);
    }
    Ok(Arc::new(Learned { routing, ..Learned::clone(&learned) }))
}

pub(crate) fn reputation(rows: &dyn Rows) -> Result<Reputation, StoreError> {
    let known = get::<Reputation>(rows, keys::REPUTATION)?;
    Ok(known.map(Arc::unwrap_or_clone).unwrap_or_default())
}

pub(crate) fn outcomes(rows: &dyn Rows, from: u64) -> Result<Vec<Outcome>, StoreError> {
    let (begin, end) = (keys::outcome(from), keys::end_of(keys::OUTCOMES));
    let found = rows.scan(&Scan::first(begin, end, usize::MAX))?;
    let outcome = |(key, value): (String, Value)| {
        Outcome::of(value).ok_or_else(|| damaged(&key, "it is no outcome"))
    };
    found.into_iter().map(|row| outcome(row).map(Arc::unwrap_or_clone)).collect()
}

pub(crate) fn cases_written_to(rows: &dyn Rows, address: &str) -> Result<Vec<CaseId>, StoreError> {
    let prefix = keys::written_to(address);
    let found = rows.scan(&Scan::first(&prefix, keys::end_of(&prefix), usize::MAX))?;
    Ok(found.iter().map(|(key, _)| CaseId::from(keys::last_part(key))).collect())
}

fn message(rows: &dyn Rows, id: &str) -> Result<Option<MessageRecord>, StoreError> {
    own(rows, &keys::message(&MessageId::from(id)))
}

pub(crate) fn list_cases(
    rows: &dyn Rows,
    filter: &CaseFilter,
    after: Option<&CaseId>,
    limit: usize,
) -> Result<Page<Case>, StoreError> {
    let list = keys::list_for(filter);
    let end = match (after, filter.until) {
        (None, None) => keys::end_of(&list),
        // Keys round up to the millisecond: what is too late by less than that does not pass.
        (None, Some(until)) => keys::end_of(&format!("{list}{}/", keys::time(until))),
        (Some(id), _) => match case(rows, id)? {
            None => return Ok(Page { data: Vec::new(), has_more: false }),
            Some(last) => keys::listed(&list, last.opened_at, last.id.as_str()),
        },
    };
    let begin = filter.since.map_or_else(|| list.clone(), |at| format!("{list}{}", keys::time(at)));
    page(rows, (begin, end), limit, |id| {
        Ok(case(rows, &CaseId::from(id))?.filter(|case| passes(case, filter)))
    })
}

fn passes(case: &Case, filter: &CaseFilter) -> bool {
    filter.state.is_none_or(|state| case.state == state)
        && filter.customer.as_ref().is_none_or(|it| case.customer.as_ref() == Some(it))
        && filter.invoice.as_ref().is_none_or(|it| case.invoice == *it)
        && filter.gateway.as_ref().is_none_or(|it| case.gateway == *it)
        && filter.since.is_none_or(|it| case.opened_at >= it)
        && filter.until.is_none_or(|it| case.opened_at < it)
}

pub(crate) fn list_messages(
    rows: &dyn Rows,
    after: Option<&MessageId>,
    limit: usize,
) -> Result<Page<MessageRecord>, StoreError> {
    let list = keys::SENT.to_owned();
    let end = match after {
        None => keys::end_of(&list),
        Some(id) => match message(rows, id.as_str())? {
            None => return Ok(Page { data: Vec::new(), has_more: false }),
            Some(last) => keys::listed(&list, last.at, last.id.as_str()),
        },
    };
    page(rows, (list, end), limit, |id| message(rows, id))
}

/// The last `limit` rows of a list that `load` finds and lets pass, the last first.
pub(crate) fn page<T>(
    rows: &dyn Rows,
    (begin, mut end): (String, String),
    limit: usize,
    load: impl Fn(&str) -> Result<Option<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut data = Vec::new();
    loop {
        let wanted = limit.saturating_sub(data.len()).saturating_add(1).min(CHUNK);
        let found = rows.scan(&Scan::last(begin.clone(), end, wanted))?;
        for (key, _) in &found {
            let Some(row) = load(keys::last_part(key))? else { continue };
            if data.len() == limit {
                return Ok(Page { data, has_more: true });
            }
            data.push(row);
        }
        match found.into_iter().next_back() {
            Some((last, _)) => end = last,
            None => return Ok(Page { data, has_more: false }),
        }
    }
}

pub(crate) fn link_key(rows: &dyn Rows) -> Result<[u8; 32], StoreError> {
    let key = get::<LinkKey>(rows, keys::LINK_KEY)?;
    key.map(|key| key.0).ok_or_else(|| damaged(keys::LINK_KEY, "it is not there"))
}

pub(crate) fn test_clock(rows: &dyn Rows) -> Result<Option<Timestamp>, StoreError> {
    time(rows, keys::TEST_CLOCK)
}

pub(crate) fn held_since(rows: &dyn Rows) -> Result<Option<Timestamp>, StoreError> {
    time(rows, keys::HELD)
}

pub(crate) fn restored(rows: &dyn Rows) -> Result<Option<Restoring>, StoreError> {
    Ok(Restoring::of(time(rows, keys::RESTORED)?, time(rows, keys::RECONCILED)?))
}

fn time(rows: &dyn Rows, key: &str) -> Result<Option<Timestamp>, StoreError> {
    match rows.get(key)? {
        None => Ok(None),
        Some(Value::Time(time)) => Ok(Some(time)),
        Some(_) => Err(damaged(key, "it is not a time")),
    }
}
