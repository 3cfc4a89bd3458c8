//! `kill -9`: what was acknowledged is there, whole, whenever the process dies.
//!
//! The test binary runs itself as the process to be killed. It prints a line for every write that
//! was acknowledged; the lines that the parent has read are what must be found again.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use futures::future::join_all;
use recoup::core::case::Case;
use recoup::store::sled::{Device, OpenOptions, RealDevice, SledStore};
use recoup::store::{Appended, Store as _};

use super::open;
use super::samples::{at, case, effect, step, stripe, webhook};

const CHILD: &str = "RECOUP_TEST_KILL_CHILD";
const FLUSH_ONLY: &str = "RECOUP_TEST_FLUSH_ONLY";
const ROUNDS: u64 = 20;
const WRITERS: u64 = 8;

#[test]
fn every_acknowledged_write_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(open(&path));
    let mut random = fastrand::Rng::with_seed(20_261_121);
    let mut acked = Vec::new();
    for round in 0..ROUNDS {
        let mut writer = Writer::start(&path, round, Sync::Real);
        writer.acknowledges(random.usize(1..400));
        let new = writer.dies();
        verify(&path, &new).unwrap();
        acked.extend(new);
    }
    verify(&path, &acked).unwrap();
    let steps = acked.iter().filter(|line| line.starts_with("step ")).count();
    assert!(steps > 100 && acked.len() > 500, "too little was acknowledged to mean anything");
}

/// What makes a write durable before it is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// What the store does.
    Real,
    /// sled's own `flush`, and nothing else.
    FlushOnly,
}

/// sled without a sync of ours.
struct FlushOnly;

impl Device for FlushOnly {
    fn sync(&self, _: &std::fs::File) -> std::io::Result<()> {
        Ok(())
    }
}

/// A process that writes to a store for as long as it lives.
pub(crate) struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    acked: Vec<String>,
}

impl Writer {
    pub(crate) fn start(path: &Path, round: u64, sync: Sync) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["stores::kill::the_child_that_is_killed", "--exact", "--nocapture", "--ignored"])
            .env(CHILD, path)
            .env("RECOUP_TEST_KILL_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if sync == Sync::FlushOnly {
            command.env(FLUSH_ONLY, "1");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, acked: Vec::new() }
    }

    /// Reads until it has acknowledged so many writes.
    pub(crate) fn acknowledges(&mut self, enough: usize) {
        while self.acked.len() < enough {
            let line = self.lines.next().expect("it writes until it is killed").unwrap();
            self.acked.extend(line.strip_prefix("acked ").map(str::to_owned));
        }
    }

    /// Kills it; what it had acknowledged, to the last line.
    pub(crate) fn dies(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // What it said before it died counts too; the last line may be cut off.
        let rest: Vec<String> = self.lines.map_while(Result::ok).collect();
        let whole = rest.iter().filter_map(|line| line.strip_prefix("acked ")?.strip_suffix('.'));
        self.acked.extend(whole.map(|line| format!("{line}.")));
        self.acked
    }

    /// Kills it after the power went; what had been acknowledged by then.
    pub(crate) fn dies_in_the_dark(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.acked
    }
}

/// Opens the store and finds everything in it.
pub(crate) fn verify(path: &Path, acked: &[String]) -> Result<(), String> {
    let store = SledStore::open(path).map_err(|error| format!("it does not open: {error}"))?;
    store.check().map_err(|error| format!("it is torn: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let is_lost = |line: &&String| !runtime.block_on(holds(&store, line));
    match acked.iter().filter(is_lost).count() {
        0 => Ok(()),
        lost => Err(format!("{lost} of {} acknowledged writes are lost", acked.len())),
    }
}

async fn holds(store: &SledStore, line: &str) -> bool {
    match line.strip_suffix('.').expect("whole lines only").split_once(' ').unwrap() {
        ("event", id) => {
            store.input(&stripe(), id).await.is_ok_and(|found| found == Some(webhook(id, 300)))
        }
        ("step", of) => {
            let (n, revision) = of.split_once(' ').unwrap();
            let id = case(n.parse().unwrap()).id;
            let revision: u64 = revision.parse().unwrap();
            let held = store.case(&id).await.ok().flatten();
            held.is_some_and(|held| held.revision >= revision)
                && store.ledger(&id).await.is_ok_and(|entries| entries.len() as u64 >= revision)
        }
        other => panic!("an unknown line: {other:?}"),
    }
}

/// Not a test by itself: the process that [`every_acknowledged_write_survives_a_kill`] kills.
#[test]
#[ignore = "run by its parent only"]
fn the_child_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let round: u64 = std::env::var("RECOUP_TEST_KILL_ROUND").unwrap().parse().unwrap();
    let flush_only = std::env::var_os(FLUSH_ONLY).is_some();
    let device: Arc<dyn Device> =
        if flush_only { Arc::new(FlushOnly) } else { Arc::new(RealDevice) };
    let options = OpenOptions { device, ..OpenOptions::default() };
    let store = SledStore::open_with(Path::new(&path), options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(join_all((0..WRITERS).map(|writer| write_for_ever(&store, round, writer))));
}

async fn write_for_ever(store: &SledStore, round: u64, writer: u64) {
    let n = (round * WRITERS + writer).cast_signed();
    for count in 1.. {
        let id = format!("e-{round}-{writer}-{count}");
        let new = store.append(vec![webhook(&id, 300)]).await.unwrap();
        assert!(matches!(new[..], [Appended::New(_)]));
        println!("acked event {id}.");
        let held = Case { revision: count, ..case(n) };
        let asked = vec![effect(&held, count, at(0))];
        let whole = recoup::store::Commit { effects: asked, ..step(&held) };
        store.commit(whole).await.unwrap();
        println!("acked step {n} {count}.");
    }
}
