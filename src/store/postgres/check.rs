//! The check: every column and count compared with the records.
//!
//! Why here: columns are written with each step and never looked at as a whole. Tests run this
//! after everything that they do to a store.
//!
//! What must stay true: a store that passes has exactly the due time that each case's record says.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use super::connect::Conn;
use super::rows::{CaseRows, MessageRows, record};
use crate::core::case::Case;
use crate::core::effect::Effect;
use crate::store::rows::damaged;
use crate::store::{InboxRecord, MessageRecord, StoreError, keys};

/// Compares everything; the error names the first that differs.
pub(super) async fn check(conn: &Conn) -> Result<(), StoreError> {
    let (payments, counts) = cases(conn).await?;
    let held = conn.query("SELECT payment, case_id FROM payments", &[]).await?;
    let held: BTreeSet<(String, String)> =
        held.iter().map(|row| (row.get(0), row.get(1))).collect();
    if held != payments {
        return Err(damaged("payments", "they differ from what the cases say"));
    }
    let held = conn.query("SELECT state, cases FROM state_counts WHERE cases <> 0", &[]).await?;
    let held: BTreeMap<String, i64> = held.iter().map(|row| (row.get(0), row.get(1))).collect();
    if held != counts {
        return Err(damaged("state_counts", format!("{held:?}, and the cases say {counts:?}")));
    }
    messages(conn).await?;
    effects(conn).await?;
    inputs(conn).await
}

type OfCases = (BTreeSet<(String, String)>, BTreeMap<String, i64>);

async fn cases(conn: &Conn) -> Result<OfCases, StoreError> {
    let (mut payments, mut counts) = OfCases::default();
    let rows = conn
        .query(
            "SELECT id, record, revision, state, ended, customer, subscription, invoice, gateway,
                 opened_at, due_at FROM cases",
            &[],
        )
        .await?;
    for row in &rows {
        let id: &str = row.get(0);
        let case: Case = record(id, row.get(1))?;
        let mut right = CaseRows::default();
        right.push(&case)?;
        if held(row) != right_of(&right) {
            return Err(damaged(id, "its columns differ from its record"));
        }
        payments.extend(right.payment.into_iter().zip(right.payment_case));
        *counts.entry(case.state.as_str().to_owned()).or_default() += 1;
    }
    Ok((payments, counts))
}

fn held(row: &Row) -> String {
    let (id, revision, state): (&str, i64, &str) = (row.get(0), row.get(2), row.get(3));
    let (ended, customer): (bool, Option<String>) = (row.get(4), row.get(5));
    let (subscription, invoice): (Option<String>, &str) = (row.get(6), row.get(7));
    let (gateway, opened_at, due_at): (&str, i64, Option<i64>) =
        (row.get(8), row.get(9), row.get(10));
    format!(
        "{id} {revision} {state} {ended} {customer:?} {subscription:?} {invoice} {gateway} \
         {opened_at} {due_at:?}"
    )
}

fn right_of(rows: &CaseRows) -> String {
    format!(
        "{} {} {} {} {:?} {:?} {} {} {} {:?}",
        rows.id[0],
        rows.revision[0],
        rows.state[0],
        rows.ended[0],
        rows.customer[0],
        rows.subscription[0],
        rows.invoice[0],
        rows.gateway[0],
        rows.opened_at[0],
        rows.due_at[0]
    )
}

async fn messages(conn: &Conn) -> Result<(), StoreError> {
    let sql = "SELECT id, record, case_id, sent_at, address FROM messages";
    for row in &conn.query(sql, &[]).await? {
        let id: &str = row.get(0);
        let message: MessageRecord = record(id, row.get(1))?;
        let mut right = MessageRows::default();
        right.push(&message)?;
        let held: (String, i64, Option<String>) = (row.get(2), row.get(3), row.get(4));
        let right = (right.case_id.remove(0), right.sent_at[0], right.address.remove(0));
        if held != right {
            return Err(damaged(id, "its columns differ from its record"));
        }
    }
    Ok(())
}

async fn effects(conn: &Conn) -> Result<(), StoreError> {
    for row in &conn.query("SELECT id, record, lane FROM effects", &[]).await? {
        let id: &str = row.get(0);
        let effect: Effect = record(id, row.get(1))?;
        if effect.order.lane().as_str() != row.get::<_, &str>(2) {
            return Err(damaged(id, "it stands in another lane"));
        }
    }
    Ok(())
}

async fn inputs(conn: &Conn) -> Result<(), StoreError> {
    let sql = "SELECT number, seen, record FROM inputs";
    for row in &conn.query(sql, &[]).await? {
        let key = keys::input(row.get::<_, i64>(0).unsigned_abs());
        let input: InboxRecord = record(&key, row.get(2))?;
        if keys::seen(&input.source, &input.id) != row.get::<_, &str>(1) {
            return Err(damaged(&key, "it is kept under another id"));
        }
    }
    let sql = "SELECT number FROM waiting w
        WHERE NOT EXISTS (SELECT 1 FROM inputs i WHERE i.number = w.number)
        UNION ALL SELECT next FROM counters
        WHERE name = 'input' AND next <= (SELECT max(number) FROM inputs)";
    match conn.query(sql, &[]).await?.first() {
        None => Ok(()),
        Some(row) => Err(damaged("waiting", format!("no input {}", row.get::<_, i64>(0)))),
    }
}
