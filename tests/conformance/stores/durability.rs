//! When a write is acknowledged: after the sync, in groups, and never after an error.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use recoup::store::Appended::New;
use recoup::store::sled::{Device, OpenOptions, SledStore};
use recoup::store::{Store as _, StoreError};

use super::open;
use super::samples::{at, case, step, webhook};

/// A disk that counts, and that a test can hold up or break.
#[derive(Default)]
struct Bench {
    syncs: AtomicUsize,
    fail_write: AtomicBool,
    fail_sync: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

impl Bench {
    fn open(self: &Arc<Self>, dir: &tempfile::TempDir) -> Arc<SledStore> {
        let device: Arc<dyn Device> = self.clone();
        let options = OpenOptions { device, ..OpenOptions::default() };
        Arc::new(SledStore::open_with(&dir.path().join("store"), options).unwrap())
    }

    fn hold(&self, hold: bool) {
        *self.held.lock().unwrap() = hold;
        self.released.notify_all();
    }

    fn syncs(&self) -> usize {
        self.syncs.load(Ordering::SeqCst)
    }
}

impl Device for Bench {
    fn before_write(&self) -> io::Result<()> {
        let full = self.fail_write.load(Ordering::SeqCst);
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        file.sync_data()
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(Bench::default());
    let store = bench.open(&dir);
    let before = bench.syncs();
    bench.hold(true);
    let mut append = Box::pin(store.append(vec![webhook("a", 9)]));
    for _ in 0..100 {
        assert!(futures::poll!(append.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    bench.hold(false);
    assert_eq!(append.await.unwrap(), [New(1)]);
    assert_eq!(bench.syncs(), before + 1);
}

#[tokio::test]
async fn many_writers_share_few_syncs() {
    const WRITERS: usize = 500;
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(Bench::default());
    let store = bench.open(&dir);
    let before = bench.syncs();
    // The first write holds the disk until all others wait behind it.
    bench.hold(true);
    let mut waiting = Vec::new();
    for n in 0..WRITERS {
        let store = Arc::clone(&store);
        // Unconstrained: tokio's budget would keep the later ones from reaching the queue.
        let mut append = Box::pin(tokio::task::unconstrained(async move {
            store.append(vec![webhook(&format!("e{n}"), 100)]).await
        }));
        assert!(futures::poll!(append.as_mut()).is_pending(), "write {n} waits for the disk");
        waiting.push(append);
    }
    bench.hold(false);
    for append in waiting {
        append.await.unwrap();
    }
    let syncs = bench.syncs() - before;
    assert!((1..=3).contains(&syncs), "{syncs} syncs for {WRITERS} writes");
    assert_eq!(store.backlog().await.unwrap().inbox, WRITERS as u64);
}

#[tokio::test]
async fn what_changes_nothing_syncs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(Bench::default());
    let store = bench.open(&dir);
    store.append(vec![webhook("a", 9)]).await.unwrap();
    let before = bench.syncs();
    assert!(store.claim(at(0), 100).await.unwrap().is_empty());
    store.append(vec![webhook("a", 9)]).await.unwrap();
    assert_eq!(bench.syncs(), before);
    store.append(vec![webhook("b", 9)]).await.unwrap();
    assert_eq!(bench.syncs(), before + 1);
}

async fn refuses_for_ever(bench: &Bench, store: &SledStore) {
    let refused = store.append(vec![webhook("b", 9)]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    bench.fail_sync.store(false, Ordering::SeqCst);
    bench.fail_write.store(false, Ordering::SeqCst);
    // The disk is well again; the store must not believe it.
    assert!(store.append(vec![webhook("c", 9)]).await.is_err());
    assert!(store.commit(step(&case(1))).await.is_err());
    assert!(store.claim(at(0), 9).await.is_err());
    assert!(store.put_test_clock(at(0)).await.is_err());
    let why = store.health().unwrap_err().to_string();
    assert!(why.contains("restarted"), "{why}");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(Bench::default());
    let store = bench.open(&dir);
    store.append(vec![webhook("a", 9)]).await.unwrap();
    bench.fail_sync.store(true, Ordering::SeqCst);
    refuses_for_ever(&bench, &store).await;
    drop(store);
    let store = open(&dir.path().join("store"));
    let entries = store.inbox(at(0), 9).await.unwrap();
    assert_eq!(entries[0].record.id, "a", "what was acknowledged is there");
    assert!(entries.iter().all(|entry| entry.record.id != "c"), "what came after is not");
    store.check().unwrap();
}

#[tokio::test]
async fn a_full_disk_acknowledges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(Bench::default());
    let store = bench.open(&dir);
    store.append(vec![webhook("a", 9)]).await.unwrap();
    bench.fail_write.store(true, Ordering::SeqCst);
    refuses_for_ever(&bench, &store).await;
    drop(store);
    let store = open(&dir.path().join("store"));
    assert_eq!(store.backlog().await.unwrap().inbox, 1);
    store.append(vec![webhook("b", 9)]).await.unwrap();
}

#[test]
fn a_store_that_cannot_sync_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Arc::new(Bench::default());
    bench.fail_sync.store(true, Ordering::SeqCst);
    let device: Arc<dyn Device> = bench.clone();
    let options = OpenOptions { device, ..OpenOptions::default() };
    let path = dir.path().join("store");
    assert!(SledStore::open_with(&path, options).is_err());
    // Nothing was ever acknowledged from there, so it can be made anew.
    assert!(SledStore::open(&path).is_ok());
}

/// sled moves pages over 128 KiB into files that nobody syncs.
#[tokio::test]
async fn no_record_is_ever_moved_out_of_the_synced_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    for round in 0..8_i64 {
        let ids = 0..24;
        let records = ids.map(|n| webhook(&format!("e{round}-{n}"), 3_000 * (n + 1))).collect();
        store.append(records).await.unwrap();
        for n in 0..24 {
            let mut held = case(n);
            held.revision = (round + 1).unsigned_abs();
            held.flags = vec!["x".repeat(4_000)];
            store.commit(step(&held)).await.unwrap();
        }
    }
    let moved = std::fs::read_dir(path.join("blobs")).unwrap().count();
    assert_eq!(moved, 0);
    drop(store);
    let store = open(&path);
    store.check().unwrap();
    assert_eq!(std::fs::read_dir(path.join("blobs")).unwrap().count(), 0);
}
