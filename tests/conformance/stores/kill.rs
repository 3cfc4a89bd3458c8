//! `kill -9`: what was acknowledged is there, whole, whenever the process dies.
//!
//! The test binary runs itself as the process to be killed. It prints a line for every write that
//! was acknowledged; the lines that the parent has read are what must be found again.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use futures::future::join_all;
use recoup::core::case::Case;
use recoup::store::{Appended, Store as _};

use super::open;
use super::samples::{at, case, effect, step, stripe, webhook};

const CHILD: &str = "RECOUP_TEST_KILL_CHILD";
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
        let new = round_of(&path, round, random.usize(1..400));
        verify(&path, &new);
        acked.extend(new);
    }
    verify(&path, &acked);
    let steps = acked.iter().filter(|line| line.starts_with("step ")).count();
    assert!(steps > 100 && acked.len() > 500, "too little was acknowledged to mean anything");
}

/// Runs a child until it has acknowledged so many writes, kills it, returns what it had said.
fn round_of(path: &Path, round: u64, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["stores::kill::the_child_that_is_killed", "--exact", "--nocapture", "--ignored"])
        .env(CHILD, path)
        .env("RECOUP_TEST_KILL_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = Vec::new();
    while acked.len() < enough {
        let line = lines.next().expect("it writes until it is killed").unwrap();
        acked.extend(line.strip_prefix("acked ").map(str::to_owned));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts too; the last line may be cut off.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let whole = rest.iter().filter_map(|line| line.strip_prefix("acked ")?.strip_suffix('.'));
    acked.extend(whole.map(|line| format!("{line}.")));
    acked
}

fn verify(path: &Path, acked: &[String]) {
    let store = open(path);
    store.check().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for line in acked {
        let line = line.strip_suffix('.').expect("whole lines only");
        let found = runtime.block_on(async {
            match line.split_once(' ').unwrap() {
                ("event", id) => {
                    store.input(&stripe(), id).await.unwrap() == Some(webhook(id, 300))
                }
                ("step", of) => {
                    let (n, revision) = of.split_once(' ').unwrap();
                    let id = case(n.parse().unwrap()).id;
                    let revision: u64 = revision.parse().unwrap();
                    let held = store.case(&id).await.unwrap();
                    held.is_some_and(|held| held.revision >= revision)
                        && store.ledger(&id).await.unwrap().len() as u64 >= revision
                }
                other => panic!("an unknown line: {other:?}"),
            }
        });
        assert!(found, "acknowledged and lost: {line}");
    }
}

/// Not a test by itself: the process that [`every_acknowledged_write_survives_a_kill`] kills.
#[test]
#[ignore = "run by its parent only"]
fn the_child_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let round: u64 = std::env::var("RECOUP_TEST_KILL_ROUND").unwrap().parse().unwrap();
    let store = open(Path::new(&path));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(join_all((0..WRITERS).map(|writer| write_for_ever(&store, round, writer))));
}

async fn write_for_ever(store: &recoup::store::sled::SledStore, round: u64, writer: u64) {
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
