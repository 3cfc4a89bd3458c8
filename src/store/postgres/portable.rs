//! Export and import: the same records under the same keys as any other store.
//!
//! Why here: a store moves between one machine and a database, both ways, and is compared by count
//! and digest.
//!
//! What must stay true: the order is that of the keys; an export sees one moment, also while
//! processes work on the database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_postgres::Row;

use super::Inner;
use super::commit::{count, put_case_rows, put_messages, put_records};
use super::connect::Conn;
use super::rows::{CaseRows, big, json, limit, record};
use crate::core::effect::Effect;
use crate::store::rows::damaged;
use crate::store::rows::portable::{LOCAL, META, read, record as exported, refused};
use crate::store::rows::value::{EffectRow, Stored as _, Value, Waiting};
use crate::store::{ExportRecord, StoreError, keys};

/// Where the records of each table stand, in the order of their keys.
const TABLES: [&str; 13] = [
    "card", "case", "closed", "customer", "effect", "input", "ledger", "message", "meta",
    "outcome", "policy", "side", "waiting",
];

/// A page of records behind `after`; the first one begins a moment, the empty one ends it.
pub(super) async fn export(
    inner: &Inner,
    after: Option<&str>,
    at_most: usize,
) -> Result<Vec<ExportRecord>, StoreError> {
    let mut held = inner.exporting.lock().await;
    if after.is_none() {
        *held = None;
    }
    let conn = match held.take() {
        Some(conn) => conn,
        None => {
            let conn = inner.place.connect(None).await?;
            conn.batch(
                "SET idle_in_transaction_session_timeout = 0;
                 BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )
            .await?;
            conn
        }
    };
    let after = after.unwrap_or_default();
    let mut records: Vec<ExportRecord> = Vec::new();
    let behind = keys::part_at(after, 0);
    for table in TABLES.into_iter().filter(|table| *table >= behind) {
        let after = if table == behind { after } else { "" };
        for (key, value) in page(&conn, table, after, at_most - records.len()).await? {
            records.push(exported(key, value)?);
        }
        if records.len() == at_most {
            break;
        }
    }
    if !records.is_empty() {
        *held = Some(conn);
    }
    Ok(records)
}

/// Records of one table behind the key `after`, which may be empty.
async fn page(
    conn: &Conn,
    table: &str,
    after: &str,
    at_most: usize,
) -> Result<Vec<(String, Value)>, StoreError> {
    let (last, room) = (keys::last_part(after), limit(at_most));
    let number = big(keys::read_number(last).unwrap_or_default());
    let rows = match table {
        "case" => conn.query(CASES, &[&last, &room]).await?,
        "effect" => conn.query(EFFECTS, &[&last, &room]).await?,
        "message" => conn.query(MESSAGES, &[&last, &room]).await?,
        "input" => conn.query(INPUTS, &[&number, &room]).await?,
        "waiting" => conn.query(WAITING, &[&number, &room]).await?,
        "ledger" => conn.query(LEDGER, &[&keys::part_at(after, 1), &number, &room]).await?,
        "side" => conn.query(SIDES, &[&keys::part_at(after, 1), &last, &room]).await?,
        "meta" => return meta(conn, after, at_most).await,
        _ => {
            let prefix = format!("{table}/");
            let from = if after.is_empty() { &prefix } else { after };
            conn.query(RECORDS, &[&from, &keys::end_of(&prefix), &room]).await?
        }
    };
    rows.iter().map(|row| value_of(table, row)).collect()
}

const RECORDS: &str =
    "SELECT key, value FROM records WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3";
const CASES: &str = "SELECT id, record FROM cases WHERE id > $1 ORDER BY id LIMIT $2";
const MESSAGES: &str = "SELECT id, record FROM messages WHERE id > $1 ORDER BY id LIMIT $2";
const EFFECTS: &str = "SELECT id, record, tries, claimed_by, ready_text, place FROM effects
    WHERE id > $1 ORDER BY id LIMIT $2";
const INPUTS: &str = "SELECT number, record FROM inputs WHERE number > $1 ORDER BY number LIMIT $2";
const WAITING: &str = "SELECT number, tries, not_before FROM waiting WHERE number > $1
    ORDER BY number LIMIT $2";
const SIDES: &str = "SELECT key, record, side FROM sides
    WHERE (side, key) > ($1, $2) ORDER BY side, key LIMIT $3";
const LEDGER: &str = "SELECT case_id, record, sequence FROM ledger
    WHERE (case_id, sequence) > ($1, $2) ORDER BY case_id, sequence LIMIT $3";

fn value_of(table: &str, row: &Row) -> Result<(String, Value), StoreError> {
    let key = match table {
        "case" | "effect" | "message" => format!("{table}/{}", row.get::<_, &str>(0)),
        "side" => format!("side/{}/{}", row.get::<_, &str>(2), row.get::<_, &str>(0)),
        "input" => keys::input(row.get::<_, i64>(0).unsigned_abs()),
        "waiting" => keys::waiting(row.get::<_, i64>(0).unsigned_abs()),
        "ledger" => {
            let sequence = keys::number(row.get::<_, i64>(2).unsigned_abs());
            format!("ledger/{}/{sequence}", row.get::<_, &str>(0))
        }
        _ => row.get::<_, &str>(0).to_owned(),
    };
    let value = match table {
        "effect" => effect(&key, row)?.value(),
        "waiting" => waiting(&key, row)?.value(),
        _ => parse(&key, row.get(1))?,
    };
    Ok((key, value))
}

fn parse(key: &str, text: &str) -> Result<Value, StoreError> {
    let mut from = serde_json::Deserializer::from_str(text);
    Value::read(key, &mut from).map_err(|error| damaged(key, error.to_string()))
}

fn effect(key: &str, row: &Row) -> Result<EffectRow, StoreError> {
    let effect: Effect = record(key, row.get(1))?;
    Ok(EffectRow {
        effect,
        tries: row.get::<_, i32>(2).unsigned_abs(),
        claimed_by: row.get::<_, Option<i64>>(3).map(i64::unsigned_abs),
        ready_at: super::rows::time(key, row.get(4))?,
        order: row.get::<_, i64>(5).unsigned_abs(),
    })
}

fn waiting(key: &str, row: &Row) -> Result<Waiting, StoreError> {
    let not_before: Option<&str> = row.get(2);
    Ok(Waiting {
        tries: row.get::<_, i32>(1).unsigned_abs(),
        not_before: not_before.map(|text| super::rows::time(key, text)).transpose()?,
    })
}

async fn meta(
    conn: &Conn,
    after: &str,
    at_most: usize,
) -> Result<Vec<(String, Value)>, StoreError> {
    let mut all = BTreeMap::new();
    let rows = conn.query(RECORDS, &[&META, &keys::end_of(META), &i64::MAX]).await?;
    for row in &rows {
        let (key, value) = value_of("meta", row)?;
        if !LOCAL.contains(&key.as_str()) {
            all.insert(key, value);
        }
    }
    // A store that has given no number yet knows none.
    let next = conn.query("SELECT name, next FROM counters WHERE next > 1", &[]).await?;
    for row in &next {
        let key = match row.get(0) {
            "input" => keys::NEXT_INPUT,
            "effect" => keys::NEXT_EFFECT,
            _ => continue,
        };
        all.insert(key.to_owned(), Value::Number(row.get::<_, i64>(1).unsigned_abs()));
    }
    Ok(all.into_iter().filter(|(key, _)| key.as_str() > after).take(at_most).collect())
}

/// Takes over records, as `store::rows::portable` does.
pub(super) async fn import(
    conn: &Conn,
    goes_on: bool,
    records: Vec<ExportRecord>,
) -> Result<(), StoreError> {
    let is_open = goes_on || is_empty(conn).await?;
    let mut given = BTreeMap::new();
    for ExportRecord { key, value } in records {
        let value = read(&key, value)?;
        given.insert(key, value);
    }
    let mut held = held(conn, given.keys()).await?;
    let mut fresh = Vec::new();
    for (key, value) in given {
        match held.remove(&key) {
            Some(held) if held == value => {}
            Some(_) if !key.starts_with(META) => {
                return Err(refused(format!("it holds another record under {key}")));
            }
            _ => fresh.push((key, value)),
        }
    }
    if !is_open && !fresh.is_empty() {
        return Err(refused("it is not empty".to_owned()));
    }
    put(conn, fresh).await
}

async fn is_empty(conn: &Conn) -> Result<bool, StoreError> {
    let rows = conn
        .query(
            "SELECT NOT EXISTS (SELECT 1 FROM inputs) AND NOT EXISTS (SELECT 1 FROM cases)
                 AND NOT EXISTS (SELECT 1 FROM effects) AND NOT EXISTS (SELECT 1 FROM messages)
                 AND NOT EXISTS (SELECT 1 FROM ledger) AND NOT EXISTS (SELECT 1 FROM waiting)
                 AND NOT EXISTS (SELECT 1 FROM sides)
                 AND NOT EXISTS (SELECT 1 FROM records WHERE key NOT LIKE 'meta/%')",
            &[],
        )
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// What the store has under these keys, as an export would say it.
async fn held<'a>(
    conn: &Conn,
    wanted: impl Iterator<Item = &'a String>,
) -> Result<HashMap<String, Value>, StoreError> {
    let mut by_table: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in wanted {
        by_table.entry(keys::part_at(key, 0)).or_default().push(key);
    }
    let mut held = HashMap::new();
    for (table, wanted) in by_table {
        let parts: Vec<&str> = wanted.iter().map(|key| keys::last_part(key)).collect();
        let number = |part: &&str| big(keys::read_number(part).unwrap_or_default());
        let numbers: Vec<i64> = parts.iter().map(number).collect();
        let rows = match table {
            "meta" => {
                held.extend(meta(conn, "", usize::MAX).await?);
                continue;
            }
            "case" => {
                conn.query("SELECT id, record FROM cases WHERE id = ANY ($1)", &[&parts]).await?
            }
            "message" => {
                conn.query("SELECT id, record FROM messages WHERE id = ANY ($1)", &[&parts]).await?
            }
            "effect" => {
                let sql = "SELECT id, record, tries, claimed_by, ready_text, place FROM effects
                    WHERE id = ANY ($1)";
                conn.query(sql, &[&parts]).await?
            }
            "input" => {
                let sql = "SELECT number, record FROM inputs WHERE number = ANY ($1)";
                conn.query(sql, &[&numbers]).await?
            }
            "waiting" => {
                let sql = "SELECT number, tries, not_before FROM waiting WHERE number = ANY ($1)";
                conn.query(sql, &[&numbers]).await?
            }
            "side" => {
                let sides: Vec<&str> = wanted.iter().map(|key| keys::part_at(key, 1)).collect();
                let sql = "SELECT s.key, s.record, s.side FROM sides s
                    JOIN unnest($1::text[], $2::text[]) AS w (side, key) USING (side, key)";
                conn.query(sql, &[&sides, &parts]).await?
            }
            "ledger" => {
                let cases: Vec<&str> = wanted.iter().map(|key| keys::part_at(key, 1)).collect();
                let sql = "SELECT l.case_id, l.record, l.sequence FROM ledger l
                    JOIN unnest($1::text[], $2::bigint[]) AS w (case_id, sequence)
                        USING (case_id, sequence)";
                conn.query(sql, &[&cases, &numbers]).await?
            }
            _ => {
                let sql = "SELECT key, value FROM records WHERE key = ANY ($1)";
                conn.query(sql, &[&wanted]).await?
            }
        };
        for row in &rows {
            let (key, value) = value_of(table, row)?;
            held.insert(key, crate::store::rows::portable::portable(value));
        }
    }
    Ok(held)
}

/// Effects, column by column.
#[derive(Default)]
struct EffectRows {
    id: Vec<String>,
    place: Vec<i64>,
    ready_at: Vec<i64>,
    ready_text: Vec<String>,
    record: Vec<String>,
    tries: Vec<i32>,
    claimed_by: Vec<Option<i64>>,
    lane: Vec<String>,
}

/// What waits, column by column.
#[derive(Default)]
struct WaitingRows {
    number: Vec<i64>,
    tries: Vec<i32>,
    ready_at: Vec<Option<i64>>,
    not_before: Vec<Option<String>>,
}

/// Rows of effects, inputs, ledgers and of what waits.
#[derive(Default)]
struct Rest {
    effects: EffectRows,
    inputs: (Vec<i64>, Vec<String>, Vec<String>),
    ledger: (Vec<String>, Vec<i64>, Vec<String>),
    waiting: WaitingRows,
    counters: (Vec<&'static str>, Vec<i64>),
}

async fn put(conn: &Conn, fresh: Vec<(String, Value)>) -> Result<(), StoreError> {
    let (mut cases, mut messages, mut plain) = (CaseRows::default(), vec![], BTreeMap::new());
    let mut sides = Vec::new();
    let (mut counts, mut rest) = (BTreeMap::<&str, i64>::new(), Rest::default());
    for (key, value) in fresh {
        match value {
            Value::Case(case) => {
                cases.push(&case)?;
                *counts.entry(case.state.as_str()).or_default() += 1;
            }
            Value::Message(message) => messages.push(Arc::unwrap_or_clone(message)),
            // As it was put there, at whatever revision.
            Value::Side(record) => sides.push(Arc::unwrap_or_clone(record)),
            Value::Effect(row) => rest.effect(&key, &row)?,
            Value::Input(_) | Value::Ledger(_) | Value::Waiting(_) => {
                rest.numbered(&key, &value)?
            }
            Value::Number(next) => {
                let name = if key == keys::NEXT_INPUT { "input" } else { "effect" };
                rest.counters.0.push(name);
                rest.counters.1.push(big(next));
            }
            other => drop(plain.insert(key.clone(), json(&key, &other)?)),
        }
    }
    if !cases.id.is_empty() {
        put_case_rows(conn, &cases).await?;
    }
    count(conn, counts).await?;
    put_messages(conn, &messages).await?;
    put_records(conn, plain).await?;
    super::side::import(conn, &sides).await?;
    rest.put(conn).await
}

impl Rest {
    fn effect(&mut self, key: &str, row: &EffectRow) -> Result<(), StoreError> {
        let rows = &mut self.effects;
        rows.id.push(keys::last_part(key).to_owned());
        rows.place.push(big(row.order));
        rows.ready_at.push(keys::millis(row.ready_at));
        rows.ready_text.push(row.ready_at.to_string());
        rows.record.push(json(key, &row.effect)?);
        rows.tries.push(i32::try_from(row.tries).unwrap_or(i32::MAX));
        rows.claimed_by.push(row.claimed_by.map(big));
        rows.lane.push(row.effect.order.lane().as_str().to_owned());
        Ok(())
    }

    fn numbered(&mut self, key: &str, value: &Value) -> Result<(), StoreError> {
        let number = big(keys::read_number(keys::last_part(key)).unwrap_or_default());
        match value {
            Value::Input(input) => {
                self.inputs.0.push(number);
                self.inputs.1.push(keys::seen(&input.source, &input.id));
                self.inputs.2.push(json(key, input.as_ref())?);
            }
            Value::Ledger(entry) => {
                self.ledger.0.push(keys::part_at(key, 1).to_owned());
                self.ledger.1.push(number);
                self.ledger.2.push(json(key, entry.as_ref())?);
            }
            Value::Waiting(waiting) => {
                let rows = &mut self.waiting;
                rows.number.push(number);
                rows.tries.push(i32::try_from(waiting.tries).unwrap_or(i32::MAX));
                rows.ready_at.push(waiting.not_before.map(keys::millis));
                rows.not_before.push(waiting.not_before.map(|at| at.to_string()));
            }
            _ => {}
        }
        Ok(())
    }

    async fn put(&self, conn: &Conn) -> Result<(), StoreError> {
        let rows = &self.effects;
        conn.execute(
            "INSERT INTO effects (id, place, ready_at, ready_text, record, tries, claimed_by, lane)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
                 $6::integer[], $7::bigint[], $8::text[])",
            &[
                &rows.id,
                &rows.place,
                &rows.ready_at,
                &rows.ready_text,
                &rows.record,
                &rows.tries,
                &rows.claimed_by,
                &rows.lane,
            ],
        )
        .await?;
        let (numbers, seen, records) = &self.inputs;
        conn.execute(
            "INSERT INTO inputs (number, seen, record)
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])",
            &[numbers, seen, records],
        )
        .await?;
        let (cases, sequences, records) = &self.ledger;
        conn.execute(
            "INSERT INTO ledger (case_id, sequence, record)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])",
            &[cases, sequences, records],
        )
        .await?;
        let rows = &self.waiting;
        conn.execute(
            "INSERT INTO waiting (number, tries, ready_at, not_before)
             SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[])",
            &[&rows.number, &rows.tries, &rows.ready_at, &rows.not_before],
        )
        .await?;
        let (names, next) = &self.counters;
        conn.execute(
            "UPDATE counters c SET next = n.next
             FROM unnest($1::text[], $2::bigint[]) AS n (name, next) WHERE c.name = n.name",
            &[names, next],
        )
        .await
        .map(drop)
    }
}
