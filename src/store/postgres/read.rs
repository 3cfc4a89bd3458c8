//! Reads: how each question is answered from the tables.
//!
//! Why here: single statements on sessions that reads share. Each sees what was committed when it
//! began.
//!
//! What must stay true: what is due is found at the cost of what is due; the order is that of the
//! keys of the embedded stores.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::commit::state_of;
use super::connect::Conn;
use super::rows::{limit, record, time};
use super::until;
use crate::core::card::Card;
use crate::core::case::{Case, State};
use crate::core::ids::{CardKey, CaseId, GatewayId, MessageId};
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::core::learning::routing::Routing;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::store::rows::damaged;
use crate::store::{
    Backlog, CaseFilter, InboxEntry, InboxRecord, MessageRecord, Page, Returned, StoreError, keys,
};

/// The record under a key.
pub(super) async fn get<T: DeserializeOwned>(
    conn: &Conn,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let rows = conn.query("SELECT value FROM records WHERE key = $1", &[&key]).await?;
    rows.first().map(|row| record(key, row.get(0))).transpose()
}

fn records<T: DeserializeOwned>(key: &str, rows: &[Row]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| record(key, row.get(0))).collect()
}

fn ids(rows: &[Row]) -> Vec<CaseId> {
    rows.iter().map(|row| CaseId::from(row.get::<_, &str>(0))).collect()
}

pub(super) async fn inbox(
    conn: &Conn,
    now: Timestamp,
    at_most: usize,
) -> Result<Vec<InboxEntry>, StoreError> {
    // Deferred ones by their time, the others by number; then all of them by number.
    let rows = conn
        .query(
            "WITH fresh AS (
                 SELECT number FROM waiting WHERE ready_at IS NULL ORDER BY number LIMIT $2
             ), again AS (
                 SELECT number FROM waiting WHERE ready_at <= $1
                 ORDER BY ready_at, number LIMIT $2
             ), ready AS (
                 SELECT number FROM fresh UNION ALL SELECT number FROM again
                 ORDER BY number LIMIT $2
             ) SELECT i.record, w.number, w.tries, w.not_before
             FROM ready JOIN waiting w USING (number) JOIN inputs i USING (number)
             ORDER BY w.number",
            &[&until(now), &limit(at_most)],
        )
        .await?;
    rows.iter().map(inbox_entry).collect()
}

fn inbox_entry(row: &Row) -> Result<InboxEntry, StoreError> {
    let number = row.get::<_, i64>(1).unsigned_abs();
    let not_before: Option<&str> = row.get(3);
    Ok(InboxEntry {
        number,
        record: record(&keys::input(number), row.get(0))?,
        tries: row.get::<_, i32>(2).unsigned_abs(),
        not_before: not_before.map(|text| time(&keys::waiting(number), text)).transpose()?,
    })
}

pub(super) async fn input(
    conn: &Conn,
    source: &GatewayId,
    id: &str,
) -> Result<Option<InboxRecord>, StoreError> {
    let seen = keys::seen(source, id);
    let rows = conn.query("SELECT record FROM inputs WHERE seen = $1", &[&seen]).await?;
    rows.first().map(|row| record(&seen, row.get(0))).transpose()
}

pub(super) async fn case(conn: &Conn, id: &CaseId) -> Result<Option<Case>, StoreError> {
    let part = keys::part(id.as_str());
    let rows = conn.query("SELECT record FROM cases WHERE id = $1", &[&part]).await?;
    rows.first().map(|row| record(&keys::case(id), row.get(0))).transpose()
}

pub(super) async fn open_cases_of(conn: &Conn, customer: &str) -> Result<Vec<CaseId>, StoreError> {
    let sql = "SELECT id FROM cases WHERE customer = $1 AND NOT ended ORDER BY opened_at, id";
    Ok(ids(&conn.query(sql, &[&keys::part(customer)]).await?))
}

pub(super) async fn open_cases_of_subscription(
    conn: &Conn,
    subscription: &str,
) -> Result<Vec<CaseId>, StoreError> {
    let sql = "SELECT id FROM cases WHERE subscription = $1 AND subscription IS NOT NULL
        AND NOT ended ORDER BY opened_at, id";
    Ok(ids(&conn.query(sql, &[&keys::part(subscription)]).await?))
}

pub(super) async fn case_of_payment(
    conn: &Conn,
    payment: &str,
) -> Result<Option<CaseId>, StoreError> {
    let sql = "SELECT c.id FROM payments p JOIN cases c ON c.id = p.case_id
        WHERE p.payment = $1 ORDER BY c.opened_at, c.id LIMIT 1";
    Ok(ids(&conn.query(sql, &[&keys::part(payment)]).await?).pop())
}

pub(super) async fn cards(
    conn: &Conn,
    wanted: &[CardKey],
) -> Result<BTreeMap<CardKey, Card>, StoreError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let names: Vec<String> = wanted.iter().map(keys::card).collect();
    let sql = "SELECT key, value FROM records WHERE key = ANY ($1)";
    let rows = conn.query(sql, &[&names]).await?;
    let values: HashMap<&str, &str> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut cards = BTreeMap::new();
    for (key, name) in wanted.iter().zip(&names) {
        if let Some(value) = values.get(name.as_str()) {
            cards.insert(key.clone(), record(name, value)?);
        }
    }
    Ok(cards)
}

/// What was learned: of gateways as it was last kept whole, and what came since.
pub(super) async fn learned(conn: &Conn) -> Result<Arc<Learned>, StoreError> {
    // One statement: what was kept whole and the outcomes since are of one moment.
    let rows = conn
        .query(
            "SELECT key, value FROM records WHERE key IN ('meta/learned', 'meta/routing')
                 OR (key >= 'outcome/' AND key < 'outcome0') ORDER BY key",
            &[],
        )
        .await?;
    let mut learned = Learned::default();
    let mut routing = Routing::default();
    for row in &rows {
        match row.get(0) {
            keys::LEARNED => learned = record(keys::LEARNED, row.get(1))?,
            keys::ROUTING => routing = record(keys::ROUTING, row.get(1))?,
            key => {
                let number = keys::read_number(keys::last_part(key)).unwrap_or_default();
                if number >= routing.taught() {
                    routing.teach(&record::<Outcome>(key, row.get(1))?);
                }
            }
        }
    }
    learned.routing = Arc::new(routing);
    Ok(Arc::new(learned))
}

pub(super) async fn outcomes(conn: &Conn, from: u64) -> Result<Vec<Outcome>, StoreError> {
    let sql = "SELECT value FROM records WHERE key >= $1 AND key < 'outcome0' ORDER BY key";
    records(keys::OUTCOMES, &conn.query(sql, &[&keys::outcome(from)]).await?)
}

pub(super) async fn policies(conn: &Conn) -> Result<BTreeMap<String, Policy>, StoreError> {
    let sql = "SELECT key, value FROM records WHERE key >= 'policy/' AND key < 'policy0'";
    let rows = conn.query(sql, &[]).await?;
    let policy = |row: &Row| {
        let key: &str = row.get(0);
        Ok((keys::last_part(key).to_owned(), record(key, row.get(1))?))
    };
    rows.iter().map(policy).collect()
}

pub(super) async fn due(
    conn: &Conn,
    now: Timestamp,
    at_most: usize,
) -> Result<Vec<CaseId>, StoreError> {
    let sql = "SELECT id FROM cases WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    Ok(ids(&conn.query(sql, &[&until(now), &limit(at_most)]).await?))
}

pub(super) async fn next_due(
    conn: &Conn,
    run: Option<i64>,
) -> Result<Option<Timestamp>, StoreError> {
    let rows = conn
        .query(
            "SELECT least(
                 (SELECT min(due_at) FROM cases WHERE due_at IS NOT NULL),
                 (SELECT min(ready_at) FROM effects WHERE claimed_by IS NULL),
                 (SELECT min(ready_at) FROM waiting WHERE ready_at IS NOT NULL),
                 (SELECT min(ready_at) FROM effects e
                  WHERE e.claimed_by IS NOT NULL AND e.returned IS NULL
                      AND e.claimed_by IS DISTINCT FROM $1 AND NOT EXISTS
                      (SELECT 1 FROM runs r WHERE r.run = e.claimed_by AND r.ended_at IS NULL)))",
            &[&run],
        )
        .await?;
    let millis: Option<i64> = rows.first().and_then(|row| row.get(0));
    Ok(millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
}

pub(super) async fn given_back(conn: &Conn, at_most: usize) -> Result<Vec<Returned>, StoreError> {
    let sql = "SELECT returned FROM effects WHERE returned_place IS NOT NULL
        ORDER BY returned_place LIMIT $1";
    records("effect/", &conn.query(sql, &[&limit(at_most)]).await?)
}

pub(super) async fn backlog(conn: &Conn) -> Result<Backlog, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM effects)";
    let rows = conn.query(sql, &[]).await?;
    let count = |column| rows.first().map_or(0, |row| row.get::<_, i64>(column).unsigned_abs());
    Ok(Backlog { inbox: count(0), outbox: count(1) })
}

pub(super) async fn count_cases(conn: &Conn) -> Result<BTreeMap<State, u64>, StoreError> {
    let rows = conn.query("SELECT state, cases FROM state_counts", &[]).await?;
    let mut counts: BTreeMap<State, u64> = State::ALL.into_iter().map(|state| (state, 0)).collect();
    for row in &rows {
        if let Some(state) = state_of(row.get(0)) {
            counts.insert(state, row.get::<_, i64>(1).unsigned_abs());
        }
    }
    Ok(counts)
}

pub(super) async fn ledger(conn: &Conn, case: &CaseId) -> Result<Vec<LedgerEntry>, StoreError> {
    let sql = "SELECT record FROM ledger WHERE case_id = $1 ORDER BY sequence";
    let rows = conn.query(sql, &[&keys::part(case.as_str())]).await?;
    records(&keys::ledger_of(case), &rows)
}

pub(super) async fn messages_of(
    conn: &Conn,
    case: &CaseId,
) -> Result<Vec<MessageRecord>, StoreError> {
    let sql = "SELECT record FROM messages WHERE case_id = $1 ORDER BY sent_at, id";
    records("message/", &conn.query(sql, &[&keys::part(case.as_str())]).await?)
}

pub(super) async fn cases_written_to(
    conn: &Conn,
    address: &str,
) -> Result<Vec<CaseId>, StoreError> {
    let sql = "SELECT DISTINCT case_id FROM messages WHERE address = $1 ORDER BY case_id";
    Ok(ids(&conn.query(sql, &[&keys::part(address)]).await?))
}

pub(super) async fn list_messages(
    conn: &Conn,
    after: Option<&MessageId>,
    at_most: usize,
) -> Result<Page<MessageRecord>, StoreError> {
    let more = limit(at_most).saturating_add(1);
    let rows = match after.map(|id| keys::part(id.as_str())) {
        None => {
            let sql = "SELECT record FROM messages ORDER BY sent_at DESC, id DESC LIMIT $1";
            conn.query(sql, &[&more]).await?
        }
        Some(id) => {
            let sql = "SELECT record FROM messages
                WHERE (sent_at, id) < (SELECT sent_at, id FROM messages WHERE id = $2)
                ORDER BY sent_at DESC, id DESC LIMIT $1";
            conn.query(sql, &[&more, &id]).await?
        }
    };
    page(records("message/", &rows)?, at_most)
}

fn page<T>(mut data: Vec<T>, at_most: usize) -> Result<Page<T>, StoreError> {
    let has_more = data.len() > at_most;
    data.truncate(at_most);
    Ok(Page { data, has_more })
}

/// One statement for every filter: what is absent does not narrow. The bounds are on whole
/// milliseconds, so the last word on `since` and `until` is on the record.
pub(super) async fn list_cases(
    conn: &Conn,
    filter: &CaseFilter,
    after: Option<&CaseId>,
    at_most: usize,
) -> Result<Page<Case>, StoreError> {
    let mut last: Option<(i64, String)> = None;
    if let Some(id) = after {
        let part = keys::part(id.as_str());
        let rows = conn.query("SELECT opened_at FROM cases WHERE id = $1", &[&part]).await?;
        let Some(row) = rows.first() else { return page(Vec::new(), at_most) };
        last = Some((row.get(0), part));
    }
    let mut data: Vec<Case> = Vec::new();
    loop {
        let wanted = at_most.saturating_sub(data.len()).saturating_add(1);
        let found = listed(conn, filter, last.as_ref(), wanted).await?;
        let is_all = found.len() < wanted;
        last = found.last().map(|(at, id, _)| (*at, id.clone()));
        data.extend(found.into_iter().map(|(.., case)| case).filter(|case| in_time(case, filter)));
        if is_all || data.len() > at_most {
            return page(data, at_most);
        }
    }
}

fn in_time(case: &Case, filter: &CaseFilter) -> bool {
    filter.since.is_none_or(|it| case.opened_at >= it)
        && filter.until.is_none_or(|it| case.opened_at < it)
}

async fn listed(
    conn: &Conn,
    filter: &CaseFilter,
    last: Option<&(i64, String)>,
    at_most: usize,
) -> Result<Vec<(i64, String, Case)>, StoreError> {
    const HEAD: &str = "SELECT opened_at, id, record FROM cases WHERE ";
    const TAIL: &str = " AND ($2::text IS NULL OR customer = $2)
        AND ($3::text IS NULL OR invoice = $3) AND ($4::text IS NULL OR gateway = $4)
        AND ($5::text IS NULL OR state = $5) AND opened_at >= $6 AND opened_at <= $7
        AND ($8::text IS NULL OR (opened_at, id) < ($9, $8))
        ORDER BY opened_at DESC, id DESC LIMIT $1";
    let customer = filter.customer.as_deref().map(keys::part);
    let invoice = filter.invoice.as_deref().map(keys::part);
    let gateway = filter.gateway.as_ref().map(|gateway| keys::part(gateway.as_str()));
    let state = filter.state.map(State::as_str);
    let since = filter.since.map_or(i64::MIN, keys::millis);
    let until = filter.until.map_or(i64::MAX, keys::millis);
    let (before, id) = last.map_or((0, None), |(at, id)| (*at, Some(id.as_str())));
    // Planned anew for its values each time: what narrows most is not the same for each.
    let narrow = match filter {
        CaseFilter { invoice: Some(_), .. } => "invoice = $3",
        CaseFilter { customer: Some(_), .. } => "customer = $2",
        CaseFilter { state: Some(_), .. } => "state = $5",
        _ => "true",
    };
    let sql = format!("{HEAD}{narrow}{TAIL}");
    let rows = conn
        .limited(conn.client().query(
            &sql,
            &[&limit(at_most), &customer, &invoice, &gateway, &state, &since, &until, &id, &before],
        ))
        .await?;
    let row = |row: &Row| {
        let id: &str = row.get(1);
        Ok((row.get(0), id.to_owned(), record(id, row.get(2))?))
    };
    rows.iter().map(row).collect()
}

pub(super) async fn link_key(conn: &Conn) -> Result<[u8; 32], StoreError> {
    let key: Option<crate::store::rows::value::LinkKey> = get(conn, keys::LINK_KEY).await?;
    key.map(|key| key.0).ok_or_else(|| damaged(keys::LINK_KEY, "it is not there"))
}
