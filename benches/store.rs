//! What the README says of the store: `cargo bench --bench store`.
//!
//! Figures are ratios within one run, since disks differ: appends against the disk's own
//! `fdatasync`, a tick of the scheduler against the number of open cases. The largest size takes
//! minutes and is left out unless `RECOUP_BENCH_LARGE=1`.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it prints, and stops at the first error"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use recoup::core::case::{Case, State, Timer};
use recoup::core::effect::{CheckOrder, CheckPurpose, Effect, Order};
use recoup::core::ids::{CaseId, EffectId, GatewayId};
use recoup::store::memory::MemoryStore;
use recoup::store::sled::{Device, OpenOptions, SledStore};
use recoup::store::{CaseWrite, Commit, ExportRecord, InboxBody, InboxRecord, Store};

/// Set for the process that only opens a store and says what that took.
const REOPEN: &str = "RECOUP_BENCH_REOPEN";

fn main() {
    if let Some(path) = std::env::var_os(REOPEN) {
        return reopen(Path::new(&path));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        group_commit().await;
        memory().await;
        let large = std::env::var_os("RECOUP_BENCH_LARGE").is_some();
        let sizes: &[u64] = if large { &[1_000, 100_000, 1_000_000] } else { &[1_000, 100_000] };
        let mut first = None;
        for size in sizes {
            let tick = open_cases(*size).await;
            let base = *first.get_or_insert(tick);
            println!("  tick against that of the smallest: {:.2}", tick / base);
        }
    });
}

/// A disk that counts its syncs.
#[derive(Default)]
struct Counting(AtomicU64);

impl Device for Counting {
    fn sync(&self, file: &File) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        file.sync_data()
    }
}

/// How often a second this disk makes 4 KiB durable.
fn raw_syncs(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("raw")).unwrap();
    let begin = Instant::now();
    let mut syncs = 0.0;
    while begin.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs += 1.0;
    }
    syncs / begin.elapsed().as_secs_f64()
}

async fn group_commit() {
    const APPENDS: usize = 40_000;
    for writers in [64, 256] {
        let dir = tempfile::tempdir().unwrap();
        let raw = raw_syncs(dir.path());
        let counting = Arc::new(Counting::default());
        let options = OpenOptions { device: counting.clone(), ..OpenOptions::default() };
        let store = SledStore::open_with(&dir.path().join("store"), options).unwrap();
        let store = Arc::new(store);
        let begin = Instant::now();
        let tasks = (0..writers).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in 0..APPENDS / writers {
                    store.append(vec![webhook(writer, n)]).await.unwrap();
                }
            })
        });
        join_all(tasks).await;
        let rate = APPENDS as f64 / begin.elapsed().as_secs_f64();
        let per_sync = APPENDS as f64 / counting.0.load(Ordering::Relaxed) as f64;
        println!("{writers} writers: {rate:.0} durable appends/s, {per_sync:.0} a sync");
        println!("  disk alone: {raw:.0} fdatasync/s; ratio {:.1}", rate / raw);
    }
}

fn webhook(writer: usize, n: usize) -> InboxRecord {
    InboxRecord {
        source: GatewayId::from("stripe"),
        id: format!("evt_{writer}_{n}"),
        received_at: Timestamp::UNIX_EPOCH,
        body: InboxBody::Webhook { body: vec![b'x'; 2_000], headers: Vec::new() },
    }
}

/// Small histories in memory: what the simulator's speed hangs on.
async fn memory() {
    const HISTORIES: u64 = 20_000;
    let begin = Instant::now();
    for n in 0..HISTORIES {
        let store = MemoryStore::new([0; 32]);
        store.append(vec![webhook(0, 1)]).await.unwrap();
        let mut held = case(n, 0);
        let step = |case: &Case| CaseWrite { case: case.clone(), ledger: Vec::new() };
        let opened = Commit {
            applied: vec![1],
            cases: vec![step(&held)],
            effects: vec![effect(&held, 1)],
            ..Commit::default()
        };
        store.commit(opened).await.unwrap();
        let claimed = store.claim(Timestamp::UNIX_EPOCH, 10).await.unwrap();
        held.revision = 2;
        let done = vec![claimed[0].effect.id.clone()];
        let settled = Commit { cases: vec![step(&held)], done, ..Commit::default() };
        store.commit(settled).await.unwrap();
        assert!(store.case(&held.id).await.unwrap().is_some());
    }
    let rate = HISTORIES as f64 / begin.elapsed().as_secs_f64();
    println!("memory: {rate:.0} histories of four writes a second");
}

/// Makes a store of so many open cases, 100 of them due; returns what a tick takes, in seconds.
async fn open_cases(size: u64) -> f64 {
    const DUE: u64 = 100;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = SledStore::open(&path).unwrap();
    let begin = Instant::now();
    let mut first = 0;
    while first < size {
        let last = (first + 500).min(size);
        let cases = (first..last).map(|n| case(n, if n < DUE { 0 } else { 1_000 + n }));
        let write = |case| CaseWrite { case, ledger: Vec::new() };
        let mut commit = Commit { cases: cases.map(write).collect(), ..Commit::default() };
        if first == 0 {
            let due = commit.cases.iter().take(DUE as usize);
            commit.effects = due.map(|write| effect(&write.case, 1)).collect();
        }
        store.commit(commit).await.unwrap();
        first = last;
    }
    println!("{size} open cases, made in {:.1} s", begin.elapsed().as_secs_f64());
    let tick = median_tick(&store, DUE as usize).await;
    println!("  tick (due, claim, load 100 cases): {:.2} ms", tick * 1e3);
    drop(store);
    let myself = std::env::current_exe().unwrap();
    let output = Command::new(myself).env(REOPEN, &path).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    tick
}

async fn median_tick(store: &SledStore, due: usize) -> f64 {
    let now = Timestamp::UNIX_EPOCH;
    let mut times = Vec::new();
    for _ in 0..31 {
        let begin = Instant::now();
        let cases = store.due(now, 100).await.unwrap();
        let claimed = store.claim(now, 100).await.unwrap();
        for id in &cases {
            assert!(store.case(id).await.unwrap().is_some());
        }
        times.push(begin.elapsed().as_secs_f64());
        assert_eq!((cases.len(), claimed.len()), (due, due));
        let retried = claimed.into_iter().map(|entry| (entry.effect.id, now)).collect();
        store.commit(Commit { retried, ..Commit::default() }).await.unwrap();
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn reopen(path: &Path) {
    let begin = Instant::now();
    let store = SledStore::open(path).unwrap();
    let opened = begin.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: ?");
    let bytes = std::fs::metadata(path.join("db")).unwrap().len();
    println!("  reopened in {opened:.2} s, {resident}, {} MiB on disk", bytes >> 20);
    drop(store);
}

/// The first case of the fixture, made into the case of another invoice.
fn case(n: u64, due: u64) -> Case {
    static SAMPLE: LazyLock<Case> = LazyLock::new(|| {
        let export = include_str!("../fixtures/stores/v1/expected.json");
        let records: Vec<ExportRecord> = serde_json::from_str(export).unwrap();
        let case = records.into_iter().find(|record| record.key.starts_with("case/")).unwrap();
        serde_json::from_value(case.value).unwrap()
    });
    let mut case = SAMPLE.clone();
    let due = Timestamp::from_second(due.cast_signed()).unwrap();
    case.invoice = format!("in_{n}");
    case.id = CaseId::of(&case.gateway, &case.invoice);
    case.revision = 1;
    case.customer = Some(format!("cus_{n}"));
    case.payments = vec![format!("pi_{n}")];
    case.opened_at = Timestamp::from_second(n.cast_signed()).unwrap();
    case.state = State::Scheduled;
    case.timers = BTreeMap::from([(Timer::NextAttempt, due)]);
    case
}

fn effect(case: &Case, sequence: u64) -> Effect {
    let order = Order::Check(CheckOrder {
        purpose: CheckPurpose::PreFlight,
        gateway: case.gateway.clone(),
        invoice: case.invoice.clone(),
        attempts: Vec::new(),
    });
    let id = EffectId::of(&case.id, sequence);
    Effect { id, case: case.id.clone(), not_before: Timestamp::UNIX_EPOCH, order }
}
