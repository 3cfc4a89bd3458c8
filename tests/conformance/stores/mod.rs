//! The suite over every store, and what is particular to each.

mod cases;
mod damage;
mod damage_at_random;
mod durability;
mod effects;
mod erase;
mod fixture;
mod inbox;
mod kept;
mod kill;
mod portable;
mod postgres;
mod power;
mod proxy;
mod samples;
mod side;

use std::path::Path;
use std::sync::Arc;

use recoup::store::memory::MemoryStore;
use recoup::store::postgres::PostgresStore;
use recoup::store::sled::SledStore;
use recoup::store::{Store, StoreError};

use crate::database;

/// One store under test, which can be dropped and opened again.
pub(crate) enum Subject {
    Memory(Arc<MemoryStore>),
    Postgres { store: Option<Arc<PostgresStore>>, url: String },
    Sled { store: Option<Arc<SledStore>>, dir: tempfile::TempDir },
}

impl Subject {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryStore::new([7; 32])))
    }

    pub(crate) fn sled() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Arc::new(open(&dir.path().join("store"))));
        Self::Sled { store, dir }
    }

    /// `None`: PostgreSQL is not installed, which was said.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = database::fresh()?;
        let store = Some(Arc::new(PostgresStore::open(&url).await.unwrap()));
        Some(Self::Postgres { store, url })
    }

    /// The store as the worker sees it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Postgres { store, .. } => store.clone().expect("it is open"),
            Self::Sled { store, .. } => store.clone().expect("it is open"),
        }
    }

    /// The process ends and starts again.
    pub(crate) async fn reopen(&mut self) {
        match self {
            Self::Memory(store) => store.restart(),
            Self::Postgres { store, url } => {
                drop(store.take());
                // It died without a word, and its lease has run out.
                let dead = "UPDATE runs SET ended_at = now() WHERE ended_at IS NULL";
                database::shared().unwrap().sql_in(url, dead);
                *store = Some(Arc::new(PostgresStore::open(url).await.unwrap()));
            }
            Self::Sled { store, dir } => {
                drop(store.take());
                *store = Some(Arc::new(open(&dir.path().join("store"))));
            }
        }
    }

    /// Every index row and count is what the records say.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.check(),
            Self::Postgres { store, .. } => store.as_ref().expect("it is open").check().await,
            Self::Sled { store, .. } => store.as_ref().expect("it is open").check(),
        }
    }
}

pub(crate) fn open(path: &Path) -> SledStore {
    SledStore::open(path).unwrap()
}

/// Runs each test over each store, and checks its indexes afterwards.
macro_rules! for_every_store {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                let mut subject = $crate::stores::Subject::memory();
                super::$test(&mut subject).await;
                subject.check().await.unwrap();
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                let Some(mut subject) = $crate::stores::Subject::postgres().await else { return };
                super::$test(&mut subject).await;
                subject.check().await.unwrap();
                subject.reopen().await;
                subject.check().await.unwrap();
            })*
        }
        mod sled {
            $(#[tokio::test]
            async fn $test() {
                let mut subject = $crate::stores::Subject::sled();
                super::$test(&mut subject).await;
                subject.check().await.unwrap();
                subject.reopen().await;
                subject.check().await.unwrap();
            })*
        }
    };
}
pub(crate) use for_every_store;
