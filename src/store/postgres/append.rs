//! Appending: webhooks become durable, many at once.
//!
//! Why here: a commit at the database takes as long for a thousand events as for one. One task
//! takes all that wait, writes them with one statement, and answers each when the commit is done.
//!
//! What must stay true:
//! - nothing is answered with success before the commit is;
//! - numbers are given under the counter's lock, which is held to the end: a lower number never
//!   appears behind a higher one, and each sees all that was seen before;
//! - when the answer to the commit was lost, what is there is read, not assumed.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::connect::{Conn, Slot, away, told};
use super::rows::json;
use crate::store::{Appended, InboxRecord, StoreError, keys};

/// Callers in one group at the most.
const GROUP: usize = 1_024;
/// Bytes in one group, roughly, at the most.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// How many callers may wait; more wait for their place.
pub(super) const QUEUE: usize = 2 * GROUP;

const LOCK: &str = "SELECT next FROM counters WHERE name = 'input' FOR UPDATE";
const SEEN: &str = "SELECT seen, number FROM inputs WHERE seen = ANY($1)";
const INSERT: &str = "WITH fresh AS (
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) AS f (number, seen, record)
    ), i AS (
        INSERT INTO inputs (number, seen, record) SELECT number, seen, record FROM fresh
    ), w AS (
        INSERT INTO waiting (number) SELECT number FROM fresh
    ) UPDATE counters SET next = $4 WHERE name = 'input'";

/// An input as it is written.
struct Fresh {
    seen: String,
    record: String,
}

/// One caller's inputs.
pub(super) struct Job {
    fresh: Vec<Fresh>,
    reply: oneshot::Sender<Result<Vec<Appended>, StoreError>>,
}

/// What a caller waits for.
pub(super) type Answer = oneshot::Receiver<Result<Vec<Appended>, StoreError>>;

impl Job {
    /// Made where it is asked for, so that many are made at the same time.
    pub(super) fn of(records: &[InboxRecord]) -> Result<(Self, Answer), StoreError> {
        let fresh = records.iter().map(|record| {
            let seen = keys::seen(&record.source, &record.id);
            Ok(Fresh { record: json(&seen, record)?, seen })
        });
        let (reply, answer) = oneshot::channel();
        Ok((Self { fresh: fresh.collect::<Result<_, StoreError>>()?, reply }, answer))
    }

    fn weight(&self) -> usize {
        self.fresh.iter().map(|fresh| fresh.record.len()).sum()
    }
}

/// Takes jobs until nobody can ask any more; `done` hears how each group ended.
pub(super) async fn run(
    mut queue: mpsc::Receiver<Job>,
    slot: Slot,
    done: impl Fn(Result<(), &StoreError>) + Send,
) {
    while let Some(first) = queue.recv().await {
        let mut weight = first.weight();
        let mut group = vec![first];
        while group.len() < GROUP && weight < GROUP_BYTES {
            let Ok(next) = queue.try_recv() else { break };
            weight += next.weight();
            group.push(next);
        }
        let answers = append(&slot, &group).await;
        done(answers.as_ref().map(|_| ()));
        let mut answers = answers.map(Vec::into_iter);
        for job in group {
            let answer = match &mut answers {
                Ok(answers) => Ok(answers.by_ref().take(job.fresh.len()).collect()),
                Err(error) => Err(error.clone()),
            };
            let _ = job.reply.send(answer); // whoever asked may have gone
        }
    }
}

/// A group's inputs, those that came twice in it once; and the place of each of the callers'.
struct Group<'a> {
    fresh: Vec<&'a Fresh>,
    /// Of every input of the callers: the first one like it, and whether it is that one itself.
    first: Vec<(usize, bool)>,
}

impl<'a> Group<'a> {
    fn of(jobs: &'a [Job]) -> Self {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let (mut fresh, mut first) = (Vec::new(), Vec::new());
        for one in jobs.iter().flat_map(|job| &job.fresh) {
            let place = *known.entry(&one.seen).or_insert(fresh.len());
            first.push((place, place == fresh.len()));
            if place == fresh.len() {
                fresh.push(one);
            }
        }
        Self { fresh, first }
    }
}

async fn append(slot: &Slot, jobs: &[Job]) -> Result<Vec<Appended>, StoreError> {
    let group = Group::of(jobs);
    let mut given = HashMap::new();
    let conn = slot.get().await?;
    let new = match write(&conn, &group, &mut given).await {
        // The session is lost, maybe with the answer to the commit: what is there tells.
        Err(StoreError::Away(_)) if !conn.is_well() => {
            write(&slot.get().await?, &group, &mut given).await?
        }
        other => other?,
    };
    let appended = |&(place, is_first): &(usize, bool)| match new.get(place) {
        Some(&Some(number)) if is_first => Appended::New(number.unsigned_abs()),
        _ => Appended::Duplicate,
    };
    Ok(group.first.iter().map(appended).collect())
}

/// One transaction: the number of each input that is new. `given` remembers the numbers of an
/// attempt whose end is not known.
async fn write(
    conn: &Arc<Conn>,
    group: &Group<'_>,
    given: &mut HashMap<String, i64>,
) -> Result<Vec<Option<i64>>, StoreError> {
    let result = transaction(conn, group, given).await;
    if result.is_err() {
        conn.give_up(); // whatever is open there is rolled back
    }
    result
}

async fn transaction(
    conn: &Arc<Conn>,
    group: &Group<'_>,
    given: &mut HashMap<String, i64>,
) -> Result<Vec<Option<i64>>, StoreError> {
    let (lock, seen) = (conn.statement(LOCK).await?, conn.statement(SEEN).await?);
    let ids: Vec<&str> = group.fresh.iter().map(|fresh| fresh.seen.as_str()).collect();
    let client = conn.client();
    // Sent together, done in this order: what was seen is looked up under the lock.
    let (begun, next, known) = conn
        .limited(async {
            let ids: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&ids];
            let all = futures::join!(
                client.batch_execute("BEGIN"),
                client.query_one(&lock, &[]),
                client.query(&seen, &ids),
            );
            Ok(all)
        })
        .await?;
    begun.map_err(|error| told(&error))?;
    let mut next: i64 = next.map_err(|error| told(&error))?.get(0);
    let known = known.map_err(|error| told(&error))?;
    let known: HashMap<&str, i64> = known.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut new = Vec::with_capacity(ids.len());
    let (mut numbers, mut seen, mut records) = (Vec::new(), Vec::new(), Vec::new());
    for fresh in &group.fresh {
        if let Some(number) = known.get(fresh.seen.as_str()) {
            // Ours, from before the answer was lost?
            new.push(Some(*number).filter(|number| given.get(&fresh.seen) == Some(number)));
            continue;
        }
        new.push(Some(next));
        given.insert(fresh.seen.clone(), next);
        numbers.push(next);
        seen.push(fresh.seen.as_str());
        records.push(fresh.record.as_str());
        next += 1;
    }
    if numbers.is_empty() {
        conn.batch("ROLLBACK").await?;
        return Ok(new);
    }
    let insert = conn.statement(INSERT).await?;
    let (inserted, committed) = conn
        .limited(async {
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&numbers, &seen, &records, &next];
            let both =
                futures::join!(client.execute(&insert, &params), client.batch_execute("COMMIT"),);
            Ok(both)
        })
        .await?;
    match inserted.map_err(|error| told(&error))? {
        1 => committed.map_err(|error| told(&error))?,
        _ => return Err(away("its counter of inputs is missing")),
    }
    Ok(new)
}
