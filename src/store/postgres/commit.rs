//! A step, or a batch of steps, as one transaction.
//!
//! Why here: the rules of [`Store::commit`](crate::store::Store::commit), in SQL: what is checked
//! is locked, and a check that fails rolls everything back. The transaction is behind the fence, so
//! nobody else writes cases, customers or cards meanwhile.
//!
//! What must stay true: the checks are those of `store::rows::write`; the conformance suite holds
//! both to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::connect::Conn;
use super::rows::{CaseRows, MessageRows, big, json, limit, record};
use super::side;
use crate::core::case::State;
use crate::core::effect::Effect;
use crate::core::ids::{CaseId, EffectId};
use crate::core::learning::Learned;
use crate::core::learning::outcome::Outcome;
use crate::store::{CaseWrite, Commit, InboxBody, InboxRecord, MessageRecord, StoreError, keys};

/// Writes everything of it; what fails leaves the transaction to be rolled back.
pub(super) async fn commit(conn: &Conn, run: i64, commit: Commit) -> Result<(), StoreError> {
    take_inputs(conn, &commit.applied).await?;
    put_off(conn, &commit.deferred, 1).await?;
    put_off(conn, &commit.postponed, 0).await?;
    put_cases(conn, &commit.cases).await?;
    let records = plain_records(&commit)?;
    put_records(conn, records).await?;
    settle(conn, run, &commit).await?;
    put_effects(conn, &commit.effects).await?;
    put_messages(conn, &commit.messages).await?;
    forget(conn, &commit.forgotten).await?;
    empty_inputs(conn, &commit.emptied).await?;
    put_outcomes(conn, &commit.outcomes).await?;
    side::put(conn, &commit.side).await?;
    if let Some(routing) = &commit.routing {
        conn.execute(
            "DELETE FROM records WHERE key >= $1 AND key < $2",
            &[&keys::OUTCOMES, &keys::outcome(routing.oldest_needed())],
        )
        .await?;
    }
    Ok(())
}

fn applied(what: String) -> StoreError {
    StoreError::Applied { what }
}

async fn take_inputs(conn: &Conn, taken: &[u64]) -> Result<(), StoreError> {
    if !taken.is_empty() {
        let numbers: Vec<i64> = taken.iter().copied().map(big).collect();
        let gone = conn.execute("DELETE FROM waiting WHERE number = ANY ($1)", &[&numbers]).await?;
        if gone != taken.len() as u64 {
            return Err(applied(format!("one of the inputs {taken:?}")));
        }
    }
    Ok(())
}

/// Inputs that come back later; so many tries are counted for each.
async fn put_off(conn: &Conn, deferred: &[(u64, Timestamp)], tried: i32) -> Result<(), StoreError> {
    if deferred.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = deferred.iter().map(|(number, _)| big(*number)).collect();
    let ready: Vec<i64> = deferred.iter().map(|(_, at)| keys::millis(*at)).collect();
    let texts: Vec<String> = deferred.iter().map(|(_, at)| at.to_string()).collect();
    let changed = conn
        .execute(
            "UPDATE waiting w SET tries = w.tries + $4, ready_at = d.ready, not_before = d.text
             FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS d (number, ready, text)
             WHERE w.number = d.number",
            &[&numbers, &ready, &texts, &tried],
        )
        .await?;
    if changed != deferred.len() as u64 {
        return Err(applied(format!("one of the inputs {numbers:?}")));
    }
    Ok(())
}

async fn put_cases(conn: &Conn, writes: &[CaseWrite]) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut rows = CaseRows::default();
    for write in writes {
        rows.push(&write.case)?;
    }
    let held = conn
        .query("SELECT id, revision, state FROM cases WHERE id = ANY ($1) FOR UPDATE", &[&rows.id])
        .await?;
    let held: HashMap<&str, (i64, &str)> =
        held.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for (write, id) in writes.iter().zip(&rows.id) {
        let before = held.get(id.as_str());
        if big(write.case.revision) != before.map_or(0, |(revision, _)| *revision) + 1 {
            return Err(StoreError::Conflict { case: write.case.id.clone() });
        }
        if let Some((_, state)) = before {
            *counts.entry(state).or_default() -= 1;
        }
        *counts.entry(write.case.state.as_str()).or_default() += 1;
    }
    put_ledger(conn, writes).await?;
    put_case_rows(conn, &rows).await?;
    count(conn, counts).await
}

async fn put_ledger(conn: &Conn, writes: &[CaseWrite]) -> Result<(), StoreError> {
    let (mut cases, mut sequences, mut records) = (Vec::new(), Vec::new(), Vec::new());
    for write in writes {
        for entry in &write.ledger {
            cases.push(keys::part(write.case.id.as_str()));
            sequences.push(big(entry.sequence));
            records.push(json(&keys::ledger(&write.case.id, entry.sequence), entry)?);
        }
    }
    if cases.is_empty() {
        return Ok(());
    }
    let written = conn
        .query(
            "INSERT INTO ledger (case_id, sequence, record)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
             ON CONFLICT DO NOTHING RETURNING case_id, sequence",
            &[&cases, &sequences, &records],
        )
        .await?;
    if written.len() == cases.len() {
        return Ok(());
    }
    let written: Vec<(&str, i64)> = written.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut asked = cases.iter().map(String::as_str).zip(sequences.iter().copied());
    let taken = asked.find(|entry| !written.contains(entry)).map_or("", |(case, _)| case);
    Err(StoreError::Conflict { case: CaseId::from(taken) })
}

/// Puts case rows with their payments.
pub(super) async fn put_case_rows(conn: &Conn, rows: &CaseRows) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO cases (id, revision, state, ended, customer, subscription, invoice, gateway,
             opened_at, due_at, record)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::boolean[], $5::text[],
             $6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::text[])
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, state = excluded.state,
             ended = excluded.ended, customer = excluded.customer,
             subscription = excluded.subscription, invoice = excluded.invoice,
             gateway = excluded.gateway, opened_at = excluded.opened_at,
             due_at = excluded.due_at, record = excluded.record",
        &[
            &rows.id,
            &rows.revision,
            &rows.state,
            &rows.ended,
            &rows.customer,
            &rows.subscription,
            &rows.invoice,
            &rows.gateway,
            &rows.opened_at,
            &rows.due_at,
            &rows.record,
        ],
    )
    .await?;
    conn.execute(
        "WITH gone AS (
             DELETE FROM payments p WHERE p.case_id = ANY ($1) AND NOT EXISTS
                 (SELECT 1 FROM unnest($2::text[], $3::text[]) AS k (payment, case_id)
                  WHERE k.payment = p.payment AND k.case_id = p.case_id)
         ) INSERT INTO payments (payment, case_id)
         SELECT DISTINCT * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING",
        &[&rows.id, &rows.payment, &rows.payment_case],
    )
    .await
    .map(drop)
}

/// Adds to the counts of cases by state.
pub(super) async fn count(
    conn: &Conn,
    counts: impl IntoIterator<Item = (&str, i64)>,
) -> Result<(), StoreError> {
    let (states, by): (Vec<&str>, Vec<i64>) = counts.into_iter().filter(|(_, by)| *by != 0).unzip();
    if states.is_empty() {
        return Ok(());
    }
    conn.execute(
        "INSERT INTO state_counts (state, cases) SELECT * FROM unnest($1::text[], $2::bigint[])
         ON CONFLICT (state) DO UPDATE SET cases = state_counts.cases + excluded.cases",
        &[&states, &by],
    )
    .await
    .map(drop)
}

/// What stands under its key alone.
fn plain_records(commit: &Commit) -> Result<BTreeMap<String, String>, StoreError> {
    let mut records = BTreeMap::new();
    for (invoice, at) in &commit.closed {
        let key = keys::closed(invoice);
        records.insert(key.clone(), json(&key, at)?);
    }
    for card in &commit.cards {
        let key = keys::card(&card.key);
        records.insert(key.clone(), json(&key, card)?);
    }
    for customer in &commit.customers {
        let key = keys::customer(&customer.id);
        records.insert(key.clone(), json(&key, customer)?);
    }
    if let Some(learned) = &commit.learned {
        // What it says of gateways has rows of its own.
        let learned = Learned { routing: Arc::default(), ..Learned::clone(learned) };
        records.insert(keys::LEARNED.to_owned(), json(keys::LEARNED, &learned)?);
    }
    if let Some(reputation) = &commit.reputation {
        records.insert(keys::REPUTATION.to_owned(), json(keys::REPUTATION, reputation)?);
    }
    if let Some(routing) = &commit.routing {
        records.insert(keys::ROUTING.to_owned(), json(keys::ROUTING, routing.as_ref())?);
    }
    Ok(records)
}

/// Puts records under their keys.
pub(super) async fn put_records(
    conn: &Conn,
    records: BTreeMap<String, String>,
) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<String>, Vec<String>) = records.into_iter().unzip();
    conn.execute(
        "INSERT INTO records (key, value) SELECT * FROM unnest($1::text[], $2::text[])
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        &[&keys, &values],
    )
    .await
    .map(drop)
}

/// Takes a record away.
pub(super) async fn remove_record(conn: &Conn, key: &str) -> Result<(), StoreError> {
    conn.execute("DELETE FROM records WHERE key = $1", &[&key]).await.map(drop)
}

async fn settle(conn: &Conn, run: i64, commit: &Commit) -> Result<(), StoreError> {
    let parts = |ids: &mut dyn Iterator<Item = &EffectId>| -> Vec<String> {
        ids.map(|id| keys::part(id.as_str())).collect()
    };
    if !commit.done.is_empty() {
        let ids = parts(&mut commit.done.iter());
        // Held by this run, or given back by whoever held it.
        let gone = conn
            .execute(
                "DELETE FROM effects
                 WHERE id = ANY ($1) AND (claimed_by = $2 OR returned IS NOT NULL)",
                &[&ids, &run],
            )
            .await?;
        if gone != ids.len() as u64 {
            return Err(applied(format!("the outcome of one of the effects {ids:?}")));
        }
    }
    if !commit.retried.is_empty() {
        let ids = parts(&mut commit.retried.iter().map(|(id, _)| id));
        let ready: Vec<i64> = commit.retried.iter().map(|(_, at)| keys::millis(*at)).collect();
        let texts: Vec<String> = commit.retried.iter().map(|(_, at)| at.to_string()).collect();
        let changed = conn
            .execute(
                "UPDATE effects e SET tries = e.tries + 1, claimed_by = NULL, begun_by = NULL,
                     ready_at = r.ready, ready_text = r.text
                 FROM unnest($1::text[], $2::bigint[], $3::text[]) AS r (id, ready, text)
                 WHERE e.id = r.id AND e.claimed_by = $4 AND e.returned IS NULL",
                &[&ids, &ready, &texts, &run],
            )
            .await?;
        if changed != ids.len() as u64 {
            return Err(applied(format!("the outcome of one of the effects {ids:?}")));
        }
    }
    if !commit.cancelled.is_empty() {
        let ids = parts(&mut commit.cancelled.iter());
        conn.execute("DELETE FROM effects WHERE id = ANY ($1) AND claimed_by IS NULL", &[&ids])
            .await?;
    }
    Ok(())
}

async fn put_effects(conn: &Conn, effects: &[Effect]) -> Result<(), StoreError> {
    if effects.is_empty() {
        return Ok(());
    }
    let rows = conn
        .query(
            "UPDATE counters SET next = next + $1 WHERE name = 'effect' RETURNING next - $1",
            &[&limit(effects.len())],
        )
        .await?;
    let first: i64 = rows.first().map_or(1, |row| row.get(0));
    let mut ids = Vec::with_capacity(effects.len());
    let (mut places, mut ready, mut texts, mut records) = (vec![], vec![], vec![], vec![]);
    let mut lanes = Vec::with_capacity(effects.len());
    for (place, effect) in (first..).zip(effects) {
        lanes.push(effect.order.lane().as_str().to_owned());
        places.push(place);
        ready.push(keys::millis(effect.not_before));
        texts.push(effect.not_before.to_string());
        records.push(json(&keys::effect(&effect.id), effect)?);
        ids.push(keys::part(effect.id.as_str()));
    }
    let written = conn
        .query(
            "INSERT INTO effects (id, place, ready_at, ready_text, record, lane)
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
                 $6::text[])
             ON CONFLICT DO NOTHING RETURNING place",
            &[&ids, &places, &ready, &texts, &records, &lanes],
        )
        .await?;
    let written: Vec<i64> = written.iter().map(|row| row.get(0)).collect();
    match effects.iter().zip(&places).find(|(_, place)| !written.contains(place)) {
        None => Ok(()),
        Some((effect, _)) => Err(StoreError::Conflict { case: effect.case.clone() }),
    }
}

/// Puts messages.
pub(super) async fn put_messages(
    conn: &Conn,
    messages: &[MessageRecord],
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    let by_id: BTreeMap<_, _> = messages.iter().map(|message| (&message.id, message)).collect();
    let mut rows = MessageRows::default();
    for message in by_id.into_values() {
        rows.push(message)?;
    }
    conn.execute(
        "INSERT INTO messages (id, case_id, sent_at, address, record)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
         ON CONFLICT (id) DO UPDATE SET case_id = excluded.case_id, sent_at = excluded.sent_at,
             address = excluded.address, record = excluded.record",
        &[&rows.id, &rows.case_id, &rows.sent_at, &rows.address, &rows.record],
    )
    .await
    .map(drop)
}

async fn forget(conn: &Conn, customers: &[String]) -> Result<(), StoreError> {
    if customers.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = customers.iter().map(|id| keys::customer(id)).collect();
    conn.execute("DELETE FROM records WHERE key = ANY ($1)", &[&names]).await.map(drop)
}

/// As `store::rows::write` does: what waits stays as it is.
async fn empty_inputs(conn: &Conn, numbers: &[u64]) -> Result<(), StoreError> {
    if numbers.is_empty() {
        return Ok(());
    }
    let wanted: Vec<i64> = numbers.iter().copied().map(big).collect();
    let sql = "SELECT number, record FROM inputs i WHERE number = ANY ($1)
        AND NOT EXISTS (SELECT 1 FROM waiting w WHERE w.number = i.number) FOR UPDATE";
    for row in &conn.query(sql, &[&wanted]).await? {
        let number: i64 = row.get(0);
        let key = keys::input(number.unsigned_abs());
        let mut input: InboxRecord = record(&key, row.get(1))?;
        if matches!(input.body, InboxBody::PaymentMethods { .. }) {
            input.id = format!("emptied:{number}");
        }
        input.body = InboxBody::Emptied;
        let (seen, text) = (keys::seen(&input.source, &input.id), json(&key, &input)?);
        let sql = "UPDATE inputs SET seen = $2, record = $3 WHERE number = $1";
        conn.execute(sql, &[&number, &seen, &text]).await?;
    }
    Ok(())
}

async fn put_outcomes(conn: &Conn, outcomes: &[(u64, Outcome)]) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (number, outcome) in outcomes {
        let key = keys::outcome(*number);
        values.push(json(&key, outcome)?);
        names.push(key);
    }
    let written = conn
        .execute(
            "INSERT INTO records (key, value) SELECT * FROM unnest($1::text[], $2::text[])
             ON CONFLICT DO NOTHING",
            &[&names, &values],
        )
        .await?;
    if written == names.len() as u64 {
        return Ok(());
    }
    Err(applied(format!("one of the outcomes {names:?}")))
}

/// The words that the database knows states by.
pub(super) fn state_of(word: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.as_str() == word)
}
