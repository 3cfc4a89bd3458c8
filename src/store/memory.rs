//! The store in memory: for tests, the lab and the demo.
//!
//! Why here: the simulator runs the real worker over tens of thousands of small histories a second.
//! It keeps every rule of the embedded default (`store::rows`), and no bytes.
//!
//! What must stay true: its futures never wait; nothing is kept once it is dropped.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use super::feed::Feed;
use super::rows::overlay::Overlay;
use super::rows::value::{LinkKey, Stored as _, Value};
use super::rows::write::{self, Done, Session, Write};
use super::rows::{Backend, From, Rows, Scan, check};
use super::{StoreError, keys};

/// Everything in one ordered map.
#[derive(Debug)]
pub struct MemoryStore {
    inner: RwLock<Inner>,
    feed: Feed,
}

#[derive(Debug)]
struct Inner {
    map: Map,
    session: Session,
    closed: bool,
}

#[derive(Debug)]
struct Map(BTreeMap<String, Value>);

impl MemoryStore {
    /// An empty store. The link key is given: nothing is drawn here.
    pub fn new(link_key: [u8; 32]) -> Self {
        let mut rows = BTreeMap::new();
        rows.insert(keys::LINK_KEY.to_owned(), LinkKey(link_key).value());
        rows.insert(keys::RUN.to_owned(), Value::Number(1));
        let inner = Inner { map: Map(rows), session: Session::new(1), closed: false };
        Self { inner: RwLock::new(inner), feed: Feed::default() }
    }

    /// What a crash and a new start do: the next run begins, and whatever the last one had claimed
    /// is claimed by an earlier run. A store that was closed is open again.
    pub fn restart(&self) {
        let inner = &mut *self.write_lock();
        let run = inner.session.run + 1;
        inner.map.0.insert(keys::RUN.to_owned(), Value::Number(run));
        inner.session = Session::new(run);
        inner.closed = false;
    }

    /// Compares all index rows and counts with the records.
    pub fn check(&self) -> Result<(), StoreError> {
        check::check(self)
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> StoreError {
    StoreError::Refused("it is closed".to_owned())
}

#[async_trait]
impl Backend for MemoryStore {
    fn rows(&self) -> &dyn Rows {
        self
    }

    async fn write(&self, write: Write) -> Result<Done, StoreError> {
        let inner = &mut *self.write_lock();
        if inner.closed {
            return Err(closed());
        }
        let mut over = Overlay::new(&inner.map);
        let done = write::apply(&mut over, &mut inner.session, write)?;
        for (key, change) in over.into_changes() {
            match change {
                Some(value) => inner.map.0.insert(key, value),
                None => inner.map.0.remove(&key),
            };
        }
        Ok(done)
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn state(&self) -> Result<(), StoreError> {
        if self.read_lock().closed { Err(closed()) } else { Ok(()) }
    }

    async fn shut(&self) -> Result<(), StoreError> {
        self.write_lock().closed = true;
        Ok(())
    }
}

impl Rows for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError> {
        self.read_lock().map.get(key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(String, Value)>, StoreError> {
        self.read_lock().map.scan(scan)
    }
}

impl Rows for Map {
    fn get(&self, key: &str) -> Result<Option<Value>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(String, Value)>, StoreError> {
        if scan.is_void() {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(scan.begin.as_str()), Bound::Excluded(scan.end.as_str()));
        let found = self.0.range::<str, _>(bounds);
        let own = |(key, value): (&String, &Value)| (key.clone(), value.clone());
        Ok(match scan.from {
            From::Start => found.take(scan.limit).map(own).collect(),
            From::End => found.rev().take(scan.limit).map(own).collect(),
        })
    }
}
