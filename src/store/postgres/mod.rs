//! The store in PostgreSQL: for more than one machine.
//!
//! Why here: any number of `recoup serve` on one database. Every process takes webhooks (`append`)
//! and performs effects (`claim`); one at a time applies what comes in (`run`, `commit`).
//!
//! What must stay true:
//! - a write returns when the database has committed it;
//! - a worker's write locks its own run first, so that a process which was taken over from writes
//!   nothing any more;
//! - when the database is away, nothing is assumed about what was under way: it is read again;
//! - the process outlives the database's absence.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

mod append;
mod check;
mod claim;
mod commit;
mod connect;
mod listen;
mod migrate;
mod portable;
mod read;
mod rows;
mod run;
mod side;
mod store;
mod tls;
mod work;

pub use connect::OpenOptions;

use connect::{Place, Slot};
use work::Lane;

use super::rows::value::LinkKey;
use super::{Returned, Shared, StoreError};
use crate::core::ids::EffectId;

/// No run.
const NONE: i64 = 0;

/// A store in a database.
pub struct PostgresStore {
    inner: Arc<Inner>,
    appends: mpsc::Sender<append::Job>,
}

/// What the store and its background tasks share.
struct Inner {
    place: Arc<Place>,
    readers: Vec<Slot>,
    next_reader: AtomicUsize,
    beat: Slot,
    lane: tokio::sync::Mutex<Lane>,
    /// The session of an export under way, which sees one moment.
    exporting: tokio::sync::Mutex<Option<connect::Conn>>,
    run: AtomicI64,
    /// An import has begun, and nothing else was written since.
    importing: AtomicBool,
    leading: AtomicBool,
    /// The heartbeat found this run ended, and the worker was not told yet.
    untold: AtomicBool,
    asked_to_lead: Mutex<Option<Instant>>,
    /// Why it cannot be written to.
    trouble: RwLock<Option<StoreError>>,
    closed: AtomicBool,
    wakers: Mutex<Vec<Arc<Notify>>>,
    news: Notify,
}

impl PostgresStore {
    /// Opens the store at this URL, and makes its tables where there are none.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, OpenOptions::default()).await
    }

    /// As [`PostgresStore::open`], otherwise than usual.
    pub async fn open_with(url: &str, options: OpenOptions) -> Result<Self, StoreError> {
        let readers = options.connections.max(1);
        let place = Arc::new(Place::of(url, options)?);
        let conn = place.connect(None).await?;
        migrate::migrate(&conn, &place, draw_link_key).await?;
        let slot = || Slot::new(place.clone());
        let inner = Arc::new(Inner {
            place: place.clone(),
            readers: (0..readers).map(|_| slot()).collect(),
            next_reader: AtomicUsize::new(0),
            beat: slot(),
            lane: tokio::sync::Mutex::new(Lane::new(slot())),
            exporting: tokio::sync::Mutex::default(),
            run: AtomicI64::new(NONE),
            importing: AtomicBool::new(false),
            leading: AtomicBool::new(false),
            untold: AtomicBool::new(false),
            asked_to_lead: Mutex::default(),
            trouble: RwLock::default(),
            closed: AtomicBool::new(false),
            wakers: Mutex::default(),
            news: Notify::new(),
        });
        let (appends, queue) = mpsc::channel(append::QUEUE);
        let of_group = Arc::downgrade(&inner);
        tokio::spawn(append::run(queue, slot(), move |ended| {
            if let Some(inner) = of_group.upgrade() {
                inner.note(ended.err());
                inner.news.notify_one();
            }
        }));
        let store = Self { inner, appends };
        run::keep_alive(&store);
        Ok(store)
    }

    /// Compares all columns and counts with the records. Reads everything.
    pub async fn check(&self) -> Result<(), StoreError> {
        check::check(&*self.inner.reader().await?).await
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.inner.closed.store(true, Ordering::Relaxed);
        self.inner.news.notify_one();
    }
}

impl Inner {
    /// A session for a read; several reads share it.
    async fn reader(&self) -> Result<Arc<connect::Conn>, StoreError> {
        let next = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        let conn = self.readers[next].get().await;
        if let Err(error) = &conn {
            self.note(Some(error));
        }
        conn
    }

    /// The number of this process's run, if it has begun one.
    fn run(&self) -> Option<i64> {
        Some(self.run.load(Ordering::SeqCst)).filter(|run| *run != NONE)
    }

    fn is_leading(&self) -> bool {
        self.leading.load(Ordering::SeqCst)
    }

    /// This run was ended by another process. The next begins with the next write. `false`: that
    /// was known.
    fn deposed(&self, run: i64) -> bool {
        self.leading.store(false, Ordering::SeqCst);
        let news = self.run.compare_exchange(run, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if news {
            tracing::warn!(run, "another process has taken over the work of this one");
        }
        news
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Keeps in mind how the last write or heartbeat ended.
    fn note(&self, error: Option<&StoreError>) {
        let trouble = error.filter(|error| {
            matches!(error, StoreError::Away(_) | StoreError::Full(_) | StoreError::Refused(_))
        });
        let mut held = self.trouble.write().unwrap_or_else(PoisonError::into_inner);
        match (&*held, trouble) {
            (None, Some(error)) => tracing::error!(%error, "the store takes no writes"),
            (Some(_), None) if error.is_none() => tracing::info!("the store takes writes again"),
            _ => {}
        }
        if error.is_none() || trouble.is_some() {
            *held = trouble.cloned();
        }
    }

    fn health(&self) -> Result<(), StoreError> {
        if self.is_closed() {
            return Err(closed());
        }
        let held = self.trouble.read().unwrap_or_else(PoisonError::into_inner);
        held.clone().map_or(Ok(()), Err)
    }

    /// Wakes the workers of this process.
    fn wake_all(&self) {
        let wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.iter().for_each(|wake| wake.notify_one());
    }

    /// Whether it is time to ask for the lead once more.
    fn may_ask_to_lead(&self) -> bool {
        let mut asked = self.asked_to_lead.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = self.place.options.lease / 10;
        let may = asked.is_none_or(|asked| asked.elapsed() >= pause);
        if may {
            *asked = Some(Instant::now());
        }
        may
    }
}

fn closed() -> StoreError {
    StoreError::Refused("it is closed".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the one random value of recoup: a store's own key")]
fn draw_link_key() -> Result<String, StoreError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StoreError::Refused(error.to_string()))?;
    rows::json(super::keys::LINK_KEY, &LinkKey(key))
}

#[async_trait]
impl Shared for PostgresStore {
    async fn lead(&self) -> Result<bool, StoreError> {
        if self.inner.is_leading() {
            return Ok(true);
        }
        if !self.inner.may_ask_to_lead() {
            return Ok(false);
        }
        self.inner.work(work::Work::Lead).await?;
        Ok(self.inner.is_leading())
    }

    async fn give_back(&self, returned: &[Returned]) -> Result<(), StoreError> {
        self.inner.work(work::Work::GiveBack(returned)).await?;
        self.inner.news.notify_one();
        Ok(())
    }

    async fn given_back(&self, limit: usize) -> Result<Vec<Returned>, StoreError> {
        read::given_back(&*self.inner.reader().await?, limit).await
    }

    async fn reclaim(&self, known: &BTreeSet<EffectId>) -> Result<BTreeSet<EffectId>, StoreError> {
        Ok(self.inner.work(work::Work::Reclaim(known)).await?.held)
    }

    fn wake_on(&self, wake: Arc<Notify>) {
        let mut wakers = self.inner.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.push(wake);
        if wakers.len() == 1 {
            listen::start(&self.inner);
        }
    }
}

/// The clock's milliseconds up to which something is ready.
fn until(now: Timestamp) -> i64 {
    now.as_millisecond()
}
