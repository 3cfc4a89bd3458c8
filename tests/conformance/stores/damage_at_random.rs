//! Damage is never silent: whatever happens to the files of a store, it refuses to open, or names
//! the damaged record, or still has everything. It never opens with less, as if it were whole.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use recoup::store::sled::SledStore;
use recoup::store::{InboxRecord, Store as _, StoreError};

use super::open;
use super::samples::{case, fill, step, stripe, webhook};

const SEEDS: u64 = 60;
const INPUTS: usize = 150;

/// What was done to the files.
#[derive(Debug)]
enum Damage {
    /// The end of the database is cut off at this byte.
    Cut(u64),
    /// Bytes of the database are other ones.
    Scribbled(u64, Vec<u8>),
    /// A file is gone.
    Removed(PathBuf),
    /// A file is empty.
    Emptied(PathBuf),
}

impl Damage {
    fn at_random(path: &Path, random: &mut fastrand::Rng) -> Self {
        let database = fs::metadata(path.join("db")).unwrap().len();
        let at = random.u64(0..database);
        let files = fs::read_dir(path).unwrap().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
        files.sort();
        let file = files.swap_remove(random.usize(..files.len()));
        match random.u8(..8) {
            0..3 => Self::Cut(at),
            3..6 => {
                let length = [1, 1, 64, 4096, 600_000][random.usize(..5)];
                Self::Scribbled(at, (0..length).map(|_| random.u8(..)).collect())
            }
            6 => Self::Removed(file),
            _ => Self::Emptied(file),
        }
    }

    fn strike(&self, path: &Path) {
        let database = || File::options().write(true).open(path.join("db")).unwrap();
        match self {
            Self::Cut(at) => database().set_len(*at).unwrap(),
            Self::Scribbled(at, bytes) => database().write_all_at(bytes, *at).unwrap(),
            Self::Removed(file) => fs::remove_file(file).unwrap(),
            Self::Emptied(file) => drop(File::create(file).unwrap()),
        }
    }
}

fn inputs() -> Vec<InboxRecord> {
    (0..INPUTS).map(|n| webhook(&format!("random_{n}"), 40 * n)).collect()
}

async fn filled(path: &Path) {
    let store = open(path);
    fill(&store).await;
    for input in inputs() {
        store.append(vec![input]).await.unwrap();
    }
    for n in 100..140 {
        store.commit(step(&case(n))).await.unwrap();
    }
}

/// What became of it: `true` when it refused, `false` when everything is there.
async fn is_refused(path: &Path, damage: &Damage) -> bool {
    let store = match SledStore::open(path) {
        Ok(store) => store,
        Err(StoreError::Unusable { why, .. }) => {
            assert!(!why.is_empty());
            return true;
        }
        Err(StoreError::Damaged { .. }) => return true,
        Err(other) => panic!("{damage:?}: {other}"),
    };
    let mut refused = false;
    for input in inputs() {
        match store.input(&stripe(), &input.id).await {
            Ok(Some(found)) => assert_eq!(found, input, "{damage:?}"),
            Ok(None) => panic!("{damage:?}: {} is gone, and the store opened", input.id),
            Err(StoreError::Damaged { .. }) => refused = true,
            Err(other) => panic!("{damage:?}: {other}"),
        }
    }
    for n in 100..140 {
        match store.case(&case(n).id).await {
            Ok(found) => assert_eq!(found, Some(case(n)), "{damage:?}"),
            Err(StoreError::Damaged { .. }) => refused = true,
            Err(other) => panic!("{damage:?}: {other}"),
        }
    }
    refused
}

#[tokio::test]
async fn damage_is_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    filled(&whole).await;
    drop(open(&whole)); // so that there is a snapshot, too
    let mut refused = 0;
    for seed in 0..SEEDS {
        let path = dir.path().join(format!("store-{seed}"));
        fs::create_dir(&path).unwrap();
        for entry in fs::read_dir(&whole).unwrap().flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
            }
        }
        let damage = Damage::at_random(&path, &mut fastrand::Rng::with_seed(seed));
        damage.strike(&path);
        refused += u64::from(is_refused(&path, &damage).await);
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(refused > SEEDS / 3, "only {refused} of {SEEDS} damages were seen");
}
