//! Writes: what each one checks and which rows it changes.
//!
//! Why here: the rules of [`Store`](crate::store::Store) that both embedded stores keep, as plain
//! functions over an overlay. They run one after the other, so each sees all earlier ones: that is
//! what makes "seen before" and "changed meanwhile" exact.
//!
//! What must stay true: a function that returns an error may leave its overlay half done; its
//! caller throws the overlay away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::overlay::Overlay;
use super::value::{EffectRow, Value, Waiting};
use super::{Rows as _, Scan, get, number, portable, read};
use crate::core::case::Case;
use crate::core::effect::Effect;
use crate::core::fault::{Mutant, fault};
use crate::core::ids::{CaseId, EffectId};
use crate::core::lane::Lane;
use crate::core::learning::Relearn;
use crate::core::ledger::LedgerEntry;
use crate::core::policy::Policy;
use crate::store::{
    Appended, CaseWrite, Claimed, Commit, ExportRecord, InboxBody, InboxRecord, OutboxEntry,
    Restoring, Room, SideRecord, SideWrite, StoreError, keys,
};

/// One write.
#[derive(Debug)]
pub(crate) enum Write {
    Append(Vec<InboxRecord>),
    Claim { now: Timestamp, room: Room },
    Commit(Box<Commit>),
    Hold(Option<Timestamp>),
    Import(Vec<ExportRecord>),
    Policy(Box<Policy>),
    Restored(Restoring),
    Side(Vec<SideWrite>),
    TestClock(Timestamp),
}

impl Write {
    /// Roughly how many bytes it will write: what bounds a group.
    pub(crate) fn weight(&self) -> usize {
        const SMALL: usize = 4 * 1024;
        /// What was learned, of a large merchant: of days, and as much of gateways.
        const LEARNED: usize = 512 * 1024;
        match self {
            Self::Append(records) => records.iter().map(|r| SMALL + raw_len(&r.body)).sum(),
            Self::Commit(commit) => {
                let learned = commit.learned.as_ref().map_or(0, |_| LEARNED);
                let routing = commit.routing.as_ref().map_or(0, |_| LEARNED);
                let small = 1 + commit.cases.len() + commit.messages.len() + commit.side.len();
                SMALL * small + learned + routing
            }
            Self::Import(records) => SMALL * records.len(),
            Self::Side(writes) => SMALL * writes.len(),
            Self::Claim { .. }
            | Self::Hold(_)
            | Self::Policy(_)
            | Self::Restored(_)
            | Self::TestClock(_) => SMALL,
        }
    }
}

fn raw_len(body: &InboxBody) -> usize {
    match body {
        InboxBody::Webhook { body, .. } => body.len() * 4 / 3,
        InboxBody::Learning(Relearn::Merge(text) | Relearn::Replace(text)) => text.len(),
        _ => 0,
    }
}

impl Write {
    /// Whether it takes away what somebody wants gone.
    pub(crate) fn erases(&self) -> bool {
        let Self::Commit(commit) = self else { return false };
        !commit.forgotten.is_empty() || !commit.emptied.is_empty()
    }
}

/// What came of a write.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Of [`Write::Append`].
    pub(crate) appended: Vec<Appended>,
    /// Of [`Write::Claim`].
    pub(crate) claimed: Claimed,
}

/// What the writes of one run of the process share.
#[derive(Debug)]
pub(crate) struct Session {
    /// The number of this run.
    pub(crate) run: u64,
    /// An import has begun, and nothing else was written since.
    pub(crate) importing: bool,
}

impl Session {
    /// A run that has not written yet.
    pub(crate) fn new(run: u64) -> Self {
        Self { run, importing: false }
    }
}

/// Does one write on an overlay.
pub(crate) fn apply(
    over: &mut Overlay<'_>,
    session: &mut Session,
    write: Write,
) -> Result<Done, StoreError> {
    if let Write::Import(records) = write {
        portable::import(over, session, records)?;
        return Ok(Done::default());
    }
    let done = match write {
        Write::Append(records) => Done { appended: append(over, records)?, ..Done::default() },
        Write::Claim { now, room } => {
            Done { claimed: claim(over, session.run, now, &room)?, ..Done::default() }
        }
        Write::Commit(whole) => commit(over, *whole).map(|()| Done::default())?,
        Write::Hold(Some(since)) => {
            over.put_value(keys::HELD.to_owned(), Value::Time(since))?;
            Done::default()
        }
        Write::Hold(None) => {
            over.remove(keys::HELD.to_owned())?;
            Done::default()
        }
        Write::Import(_) => Done::default(),
        Write::Policy(policy) => {
            over.put(keys::policy(&policy.version()), *policy)?;
            Done::default()
        }
        Write::Restored(Restoring { at, is_over }) => {
            over.put_value(keys::RESTORED.to_owned(), Value::Time(at))?;
            if is_over {
                over.put_value(keys::RECONCILED.to_owned(), Value::Time(at))?;
            }
            Done::default()
        }
        Write::Side(writes) => {
            put_sides(over, writes)?;
            Done::default()
        }
        Write::TestClock(now) => {
            over.put_value(keys::TEST_CLOCK.to_owned(), Value::Time(now))?;
            Done::default()
        }
    };
    session.importing &= over.is_unchanged();
    Ok(done)
}

fn append(over: &mut Overlay<'_>, records: Vec<InboxRecord>) -> Result<Vec<Appended>, StoreError> {
    let mut appended = Vec::with_capacity(records.len());
    for record in records {
        let seen = over.get(&keys::seen(&record.source, &record.id))?.is_some();
        if seen && !fault(Mutant::NoDeduplication) {
            appended.push(Appended::Duplicate);
            continue;
        }
        let number = over.next_number(keys::NEXT_INPUT)?;
        over.put(keys::input(number), record)?;
        over.put(keys::waiting(number), Waiting { tries: 0, not_before: None })?;
        appended.push(Appended::New(number));
    }
    Ok(appended)
}

fn commit(over: &mut Overlay<'_>, commit: Commit) -> Result<(), StoreError> {
    for number in commit.applied {
        waiting(over, number)?;
        over.remove(keys::waiting(number))?;
    }
    let (deferred, postponed) = (commit.deferred.into_iter(), commit.postponed.into_iter());
    for ((number, at), tried) in deferred.map(|one| (one, 1)).chain(postponed.map(|one| (one, 0))) {
        let tries = waiting(over, number)?.tries.saturating_add(tried);
        over.put(keys::waiting(number), Waiting { tries, not_before: Some(at) })?;
    }
    for write in commit.cases {
        put_case(over, write)?;
    }
    for (invoice, at) in commit.closed {
        over.put_value(keys::closed(&invoice), Value::Time(at))?;
    }
    for card in commit.cards {
        over.put(keys::card(&card.key), card)?;
    }
    for customer in commit.customers {
        over.put(keys::customer(&customer.id), customer)?;
    }
    settle_effects(over, commit.done, commit.retried, commit.cancelled)?;
    for effect in commit.effects {
        put_effect(over, effect)?;
    }
    for message in commit.messages {
        over.put(keys::message(&message.id), message)?;
    }
    for customer in commit.forgotten {
        over.remove(keys::customer(&customer))?;
    }
    for number in commit.emptied {
        empty_input(over, number)?;
    }
    if let Some(learned) = commit.learned {
        over.put_value(keys::LEARNED.to_owned(), Value::Learned(learned))?;
    }
    if let Some(reputation) = commit.reputation {
        over.put(keys::REPUTATION.to_owned(), reputation)?;
    }
    for (number, outcome) in commit.outcomes {
        let key = keys::outcome(number);
        if over.get(&key)?.is_some() {
            return Err(applied(format!("outcome {number}")));
        }
        over.put(key, outcome)?;
    }
    if let Some(routing) = commit.routing {
        forget_outcomes(over, routing.oldest_needed())?;
        over.put_value(keys::ROUTING.to_owned(), Value::Routing(routing))?;
    }
    put_sides(over, commit.side)
}

fn put_sides(over: &mut Overlay<'_>, writes: Vec<SideWrite>) -> Result<(), StoreError> {
    for write in writes {
        match write {
            SideWrite::Put(record) => {
                let key = keys::side(record.table, &record.key);
                let held = get::<SideRecord>(over, &key)?.map_or(0, |held| held.revision);
                if record.revision != held + 1 {
                    return Err(StoreError::Changed { what: key });
                }
                over.put(key, *record)?;
            }
            SideWrite::Remove(table, key) => over.remove(keys::side(table, &key))?,
        }
    }
    Ok(())
}

/// Its source and id stay, by which it is known when it comes again; an id that was made of a
/// customer's is replaced, since nobody sends it twice.
fn empty_input(over: &mut Overlay<'_>, number: u64) -> Result<(), StoreError> {
    if over.get(&keys::waiting(number))?.is_some() {
        return Ok(());
    }
    let Some(held) = get::<InboxRecord>(&*over, &keys::input(number))? else { return Ok(()) };
    let mut record = InboxRecord { body: InboxBody::Emptied, ..InboxRecord::clone(&held) };
    if matches!(held.body, InboxBody::PaymentMethods { .. }) {
        record.id = format!("emptied:{number}");
    }
    over.put(keys::input(number), record)
}

/// Those older than this one are in the counts, and no tree grows from them any more.
fn forget_outcomes(over: &mut Overlay<'_>, oldest: u64) -> Result<(), StoreError> {
    let old = over.scan(&Scan::first(keys::OUTCOMES, keys::outcome(oldest), usize::MAX))?;
    for (key, _) in old {
        over.remove(key)?;
    }
    Ok(())
}

fn waiting(over: &Overlay<'_>, number: u64) -> Result<Arc<Waiting>, StoreError> {
    get(over, &keys::waiting(number))?.ok_or_else(|| applied(format!("input {number}")))
}

fn applied(what: String) -> StoreError {
    StoreError::Applied { what }
}

fn put_case(over: &mut Overlay<'_>, write: CaseWrite) -> Result<(), StoreError> {
    let CaseWrite { case, ledger } = write;
    let key = keys::case(&case.id);
    let held = get::<Case>(over, &key)?.map_or(0, |held| held.revision);
    if case.revision != held + 1 {
        return Err(StoreError::Conflict { case: case.id });
    }
    for entry in ledger {
        put_entry(over, &case.id, entry)?;
    }
    over.put(key, case)
}

/// The ledger is append-only: an entry under a number that is taken is a step made twice.
fn put_entry(over: &mut Overlay<'_>, case: &CaseId, entry: LedgerEntry) -> Result<(), StoreError> {
    let key = keys::ledger(case, entry.sequence);
    if over.get(&key)?.is_some() {
        return Err(StoreError::Conflict { case: case.clone() });
    }
    over.put(key, entry)
}

fn put_effect(over: &mut Overlay<'_>, effect: Effect) -> Result<(), StoreError> {
    let key = keys::effect(&effect.id);
    if over.get(&key)?.is_some() {
        return Err(StoreError::Conflict { case: effect.case });
    }
    let order = over.next_number(keys::NEXT_EFFECT)?;
    let ready_at = effect.not_before;
    over.put(key, EffectRow { effect, tries: 0, claimed_by: None, ready_at, order })
}

fn settle_effects(
    over: &mut Overlay<'_>,
    done: Vec<EffectId>,
    retried: Vec<(EffectId, Timestamp)>,
    cancelled: Vec<EffectId>,
) -> Result<(), StoreError> {
    for id in done {
        effect(over, &id)?.ok_or_else(|| applied(format!("the outcome of effect {id}")))?;
        over.remove(keys::effect(&id))?;
    }
    for (id, ready_at) in retried {
        let row = effect(over, &id)?;
        let row = row.ok_or_else(|| applied(format!("the outcome of effect {id}")))?;
        let tries = row.tries.saturating_add(1);
        let row = EffectRow { tries, claimed_by: None, ready_at, ..EffectRow::clone(&row) };
        over.put(keys::effect(&id), row)?;
    }
    for id in cancelled {
        if effect(over, &id)?.is_some_and(|row| row.claimed_by.is_none()) {
            over.remove(keys::effect(&id))?;
        }
    }
    Ok(())
}

fn effect(over: &Overlay<'_>, id: &EffectId) -> Result<Option<Arc<EffectRow>>, StoreError> {
    get(over, &keys::effect(id))
}

/// What other runs had begun, and what is ready and nobody has begun, by time.
fn claim(
    over: &mut Overlay<'_>,
    run: u64,
    now: Timestamp,
    room: &Room,
) -> Result<Claimed, StoreError> {
    if number(over, keys::COUNT_OUTBOX)? == 0 {
        return Ok(Claimed::default());
    }
    let mut rows = Vec::new();
    for scan in [
        Scan::first(keys::CLAIMED, keys::claimed_by(run), room.total),
        Scan::first(keys::claimed_by(run + 1), keys::end_of(keys::CLAIMED), room.total),
    ] {
        rows.extend(effects(over, &over.scan(&scan)?)?);
    }
    let mut crowded = BTreeSet::new();
    let of: BTreeMap<String, &Lane> =
        room.of.keys().map(|lane| (keys::lane(lane.as_str()), lane)).collect();
    for lane in read::lanes(over)? {
        let place = of.get(&lane).map_or(room.each.min(room.total), |lane| room.of(lane));
        let ready_until = format!("{lane}{}", keys::after_time(now));
        // One more than there is room for tells whether anybody is left.
        let found = over.scan(&Scan::first(lane, ready_until, place.saturating_add(1)))?;
        let mut ready = effects(over, &found)?;
        if ready.len() > place {
            crowded.extend(ready.pop().map(|row| row.effect.order.lane()));
        }
        rows.extend(ready);
    }
    rows.sort_by_key(|row| (row.ready_at, row.order));
    let left = rows.split_off(rows.len().min(room.total));
    crowded.extend(left.iter().map(|row| row.effect.order.lane()));
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let EffectRow { effect, tries, claimed_by, .. } = EffectRow::clone(&row);
        let key = keys::effect(&effect.id);
        entries.push(OutboxEntry { effect, tries, claimed_by });
        over.put(key, EffectRow { claimed_by: Some(run), ..EffectRow::clone(&row) })?;
    }
    Ok(Claimed { entries, crowded })
}

fn effects(
    over: &Overlay<'_>,
    found: &[(String, Value)],
) -> Result<Vec<Arc<EffectRow>>, StoreError> {
    let mut rows = Vec::with_capacity(found.len());
    for (key, _) in found {
        rows.extend(effect(over, &EffectId::from(keys::last_part(key)))?);
    }
    Ok(rows)
}
