//! The suite over every embedded store, and what is particular to sled.

mod cases;
mod damage;
mod damage_at_random;
mod durability;
mod effects;
mod erase;
mod fixture;
mod inbox;
mod kill;
mod portable;
mod power;
mod samples;
mod side;

use std::path::Path;
use std::sync::Arc;

use recoup::store::memory::MemoryStore;
use recoup::store::sled::SledStore;
use recoup::store::{Store, StoreError};

/// One store under test, which can be dropped and opened again.
pub(crate) enum Subject {
    Memory(Arc<MemoryStore>),
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

    /// The store as the worker sees it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Sled { store, .. } => store.clone().expect("it is open"),
        }
    }

    /// The process ends and starts again.
    pub(crate) fn reopen(&mut self) {
        match self {
            Self::Memory(store) => store.restart(),
            Self::Sled { store, dir } => {
                drop(store.take());
                *store = Some(Arc::new(open(&dir.path().join("store"))));
            }
        }
    }

    /// Every index row and count is what the records say.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Memory(store) => store.check(),
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
                subject.check().unwrap();
            })*
        }
        mod sled {
            $(#[tokio::test]
            async fn $test() {
                let mut subject = $crate::stores::Subject::sled();
                super::$test(&mut subject).await;
                subject.check().unwrap();
                subject.reopen();
                subject.check().unwrap();
            })*
        }
    };
}
pub(crate) use for_every_store;
