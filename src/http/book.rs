//! The book: what reports count of every case, kept in memory and brought up to date by what was
//! written since.
//!
//! Why here: a dashboard that reads a hundred thousand cases for each page is no dashboard. The
//! first view reads all of them, in a task of its own; every later one reads only what the store
//! tells was written since. A store that does not tell is read anew when a minute has passed.
//!
//! What must stay true: a view shows every write that was told to its caller before the view was
//! asked for, where the store tells its changes; nothing here is ever written anywhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use crate::clock::real_now;
use crate::core::case::Case;
use crate::core::customer::Customer;
use crate::core::ids::CaseId;
use crate::core::report::facts::Facts;
use crate::store::feed::{Changes, Touched};
use crate::store::{CaseFilter, Store, StoreError};

/// Cases that are read at a time.
const PAGE: usize = 500;
/// How long a view waits for the first reading before it says how far that is.
const PATIENCE: Duration = Duration::from_secs(4);
/// After how long a store that tells no changes is read anew, in seconds.
const STALE_S: i64 = 60;
/// More changes than this at once are read as a whole.
const MANY: usize = 8_192;

/// What is kept in memory of one store.
#[derive(Clone, Default)]
pub struct Book {
    shelf: Arc<RwLock<Shelf>>,
    /// Who reads: one at a time.
    reading: Arc<Mutex<()>>,
    progress: Arc<AtomicUsize>,
}

/// What is on the shelf.
#[derive(Default)]
pub struct Shelf {
    /// Cases by their opening.
    cases: BTreeMap<(Timestamp, CaseId), Facts>,
    /// By customer's key: what a search finds, in small letters, one thing a line.
    people: HashMap<String, Person>,
    mark: Option<u64>,
    read_at: Option<Timestamp>,
    /// Counts what changed: the same number, the same content.
    version: u64,
}

/// What a list shows of a customer, and finds them by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    name: Option<String>,
    sought: Box<str>,
}

/// Why there is no view.
pub(super) enum BookError {
    /// The first reading goes on: so many cases are read.
    Reading(usize),
    /// The store does not answer.
    Store(StoreError),
}

impl From<StoreError> for BookError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Book {
    /// The shelf as of now; says how far it is where the first reading takes longer than that.
    pub(super) async fn look(
        &self,
        store: &Arc<dyn Store>,
    ) -> Result<OwnedRwLockReadGuard<Shelf>, BookError> {
        match tokio::time::timeout(PATIENCE, self.look_patiently(store)).await {
            Ok(shelf) => Ok(shelf?),
            Err(_) => Err(BookError::Reading(self.progress.load(Ordering::Relaxed))),
        }
    }

    /// The shelf as of now, however long that takes.
    pub(super) async fn look_patiently(
        &self,
        store: &Arc<dyn Store>,
    ) -> Result<OwnedRwLockReadGuard<Shelf>, StoreError> {
        // A reader that goes away takes no reading with it: the next one finds it done.
        let (book, store) = (self.clone(), Arc::clone(store));
        let read = tokio::spawn(async move { book.catch_up(store.as_ref()).await });
        let broke = |_| StoreError::Refused("reading the cases broke off".to_owned());
        read.await.map_err(broke)??;
        Ok(Arc::clone(&self.shelf).read_owned().await)
    }

    /// Reads what was written since the last time.
    async fn catch_up(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _one = self.reading.lock().await;
        let (mark, read_at) = {
            let shelf = self.shelf.read().await;
            (shelf.mark, shelf.read_at)
        };
        let changes = store.changes(mark.filter(|_| read_at.is_some())).await?;
        match &changes.touched {
            Some(touched) if touched.len() <= MANY => self.read_some(store, changes).await,
            _ if changes.mark.is_none() && read_at.is_some_and(is_fresh) => Ok(()),
            _ => self.read_all(store, changes.mark).await,
        }
    }

    async fn read_some(&self, store: &dyn Store, changes: Changes) -> Result<(), StoreError> {
        let mut touched = changes.touched.unwrap_or_default();
        touched.sort();
        touched.dedup();
        let (mut cases, mut customers) = (Vec::new(), Vec::new());
        for one in &touched {
            match one {
                Touched::Case(id) => cases.extend(store.case(id).await?),
                Touched::Customer(key) => customers.extend(store.customer(key).await?),
            }
        }
        let shelf = &mut *self.shelf.write().await;
        cases.iter().for_each(|case| shelf.put(case));
        customers.iter().for_each(|customer| shelf.know(customer));
        shelf.mark = changes.mark;
        shelf.version += u64::from(!touched.is_empty());
        Ok(())
    }

    async fn read_all(&self, store: &dyn Store, mark: Option<u64>) -> Result<(), StoreError> {
        let mut fresh = Shelf { mark, ..Shelf::default() };
        if mark.is_none() {
            // This store is read anew every minute: whom it knew then it need not ask for again.
            fresh.people = self.shelf.read().await.people.clone();
        }
        self.progress.store(0, Ordering::Relaxed);
        let mut after = None;
        loop {
            let page = store.list_cases(&CaseFilter::default(), after.as_ref(), PAGE).await?;
            for case in &page.data {
                fresh.put(case);
                let key = case.customer_key();
                if !fresh.people.contains_key(&key)
                    && let Some(customer) = store.customer(&key).await?
                {
                    fresh.know(&customer);
                }
            }
            self.progress.fetch_add(page.data.len(), Ordering::Relaxed);
            after = page.data.last().map(|case| case.id.clone());
            if !page.has_more || after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let shelf = &mut *self.shelf.write().await;
        fresh.version = shelf.version + 1;
        fresh.read_at = Some(real_now());
        *shelf = fresh;
        Ok(())
    }
}

fn is_fresh(read_at: Timestamp) -> bool {
    real_now().as_second() - read_at.as_second() < STALE_S
}

impl Shelf {
    /// A shelf of cases that are in no store.
    pub(super) fn of(cases: &[Case], customers: &[Customer]) -> Self {
        let mut shelf = Self::default();
        cases.iter().for_each(|case| shelf.put(case));
        customers.iter().for_each(|customer| shelf.know(customer));
        shelf
    }

    fn put(&mut self, case: &Case) {
        let facts = Facts::of(case);
        let place = (case.opened_at, case.id.clone());
        let newer = self.cases.get(&place).is_none_or(|old| old.revision <= facts.revision);
        if newer {
            self.cases.insert(place, facts);
        }
    }

    fn know(&mut self, customer: &Customer) {
        let contact = &customer.contact;
        let cards = customer.methods.iter().filter_map(|method| method.facts.last4.as_deref());
        let words = [Some(customer.id.as_str()), contact.name.as_deref(), contact.email.as_deref()];
        let mut words: Vec<_> = words.into_iter().flatten().chain(cards).collect();
        words.dedup();
        let sought = words.join("\n").to_lowercase().into();
        self.people.insert(customer.id.clone(), Person { name: contact.name.clone(), sought });
    }

    /// Every case, the oldest first.
    pub(super) fn cases(&self) -> impl DoubleEndedIterator<Item = &Facts> + Clone {
        self.cases.values()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    /// The same number, the same content.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// A customer's name, where it is known.
    pub(super) fn name(&self, key: &str) -> Option<&str> {
        self.people.get(key)?.name.as_deref()
    }

    /// Whether a case is about what was typed: its invoice or case id, or the customer's id, name,
    /// address or card.
    pub(super) fn finds(&self, case: &Facts, typed: &str) -> bool {
        if typed.is_empty() {
            return true;
        }
        let key = crate::core::case::customer_key(case.customer.as_deref(), &case.invoice);
        let of_person = self.people.get(&key).is_some_and(|person| person.sought.contains(typed));
        of_person
            || case.invoice.to_lowercase().contains(typed)
            || case.id.as_str() == typed
            || case.customer.as_ref().is_some_and(|id| id.to_lowercase().contains(typed))
    }
}
