//! What must not open, and what must not be read: sled's directory in every wrong state.

use std::fs;
use std::path::{Path, PathBuf};

use recoup::store::sled::{OpenOptions, SledStore};
use recoup::store::{Store as _, StoreError};

use super::open;
use super::samples::{at, case, fill, step, webhook};

/// A directory with a store that has a little of everything in it, closed.
async fn filled(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("store");
    let store = open(&path);
    fill(&store).await;
    drop(store);
    path
}

/// Changes rows behind the store's back.
fn tamper(path: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled::open(path).unwrap();
    change(&db);
    db.flush().unwrap();
}

fn refusal(path: &Path) -> String {
    match SledStore::open(path).map(|_| ()) {
        Err(StoreError::Unusable { why, .. }) => why,
        other => panic!("it opened, or failed otherwise: {other:?}"),
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_record_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    let key = format!("case/{}", case(1).id);
    tamper(&path, |db| {
        let mut bytes = db.get(&key).unwrap().unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        db.insert(&key, bytes).unwrap();
    });
    let store = open(&path);
    match store.case(&case(1).id).await {
        Err(StoreError::Damaged { what, why }) => {
            assert_eq!(what, key);
            assert!(why.contains("checksum"), "{why}");
        }
        other => panic!("the damage went unseen: {other:?}"),
    }
    assert!(store.case(&case(2).id).await.unwrap().is_some(), "the others can be read");
    assert!(store.check().is_err());
    let over_it = store.commit(step(&recoup::core::case::Case { revision: 2, ..case(1) })).await;
    assert!(matches!(over_it, Err(StoreError::Damaged { .. })), "{over_it:?}");
    assert!(store.health().is_ok(), "one bad record does not stop the others");
}

#[tokio::test]
async fn a_missing_and_a_swapped_part_of_a_long_record_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    open(&path).append(vec![webhook("a", 30_000), webhook("b", 30_000)]).await.unwrap();
    let part = |number: u64, part: u32| format!("~/input/{number:016x}/{part:04x}");
    tamper(&path, |db| {
        let of_b = db.get(part(2, 1)).unwrap().unwrap();
        db.insert(part(1, 1), of_b).unwrap().expect("it was there");
        db.remove(part(2, 2)).unwrap().expect("it was there");
    });
    let store = open(&path);
    for (id, sign) in [("a", "parts differ"), ("b", "part 2 of")] {
        match store.input(&super::samples::stripe(), id).await {
            Err(StoreError::Damaged { why, .. }) => assert!(why.contains(sign), "{why}"),
            other => panic!("the damage went unseen: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_index_row_is_found_by_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    open(&path).check().unwrap();
    tamper(&path, |db| {
        let due = db.scan_prefix("x/due/").keys().next().unwrap().unwrap();
        db.remove(due).unwrap();
    });
    let error = open(&path).check().unwrap_err().to_string();
    assert!(error.contains("x/due/"), "{error}");
}

#[tokio::test]
async fn without_its_marker_it_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    tamper(&path, |db| drop(db.remove("meta/marker").unwrap().unwrap()));
    let why = refusal(&path);
    assert!(why.contains("marker") && why.contains("recoup import"), "{why}");
}

#[tokio::test]
async fn a_database_that_opens_empty_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    for entry in fs::read_dir(&path).unwrap().flatten() {
        let name = entry.file_name();
        if name == "db" {
            fs::File::create(entry.path()).unwrap();
        } else if entry.path().is_file() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let why = refusal(&path);
    assert!(why.contains("its database is empty") && why.contains("recoup import"), "{why}");
    assert!(!refusal(&path).is_empty(), "nor at the second try");
}

#[tokio::test]
async fn a_directory_without_its_database_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    fs::remove_file(path.join("db")).unwrap();
    assert!(refusal(&path).contains("no database"));
    assert!(!path.join("db").exists(), "nothing was made");
}

#[tokio::test]
async fn a_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    tamper(dir.path(), |db| drop(db.insert("k", "v").unwrap()));
    assert!(refusal(dir.path()).contains("it is no store"));
}

#[tokio::test]
async fn a_later_format_is_left_to_the_later_recoup() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    let later = br#"{"format":99,"commits":1}"#;
    let mut row = vec![1];
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&row);
    checksum.update(later);
    row.extend(checksum.finalize().to_be_bytes());
    row.extend(later);
    tamper(&path, |db| drop(db.insert("meta/marker", row).unwrap()));
    assert!(refusal(&path).contains("later recoup"));
}

#[tokio::test]
async fn damaged_files_of_sled_do_not_open() {
    for name in ["conf", "snap"] {
        let dir = tempfile::tempdir().unwrap();
        let path = filled(&dir).await;
        drop(open(&path)); // sled writes its snapshot while it opens
        let files = fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path());
        let file = files
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(name))
            .max()
            .unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 5;
        bytes.truncate(last);
        fs::write(&file, bytes).unwrap();
        let refused = SledStore::open(&path).map(|_| ());
        assert!(matches!(refused, Err(StoreError::Unusable { .. })), "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_store_whose_making_was_interrupted_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("CREATING"), "").unwrap();
    drop(sled::open(&path).unwrap());
    let store = open(&path);
    store.append(vec![webhook("a", 9)]).await.unwrap();
    assert!(!path.join("CREATING").exists());
    drop(store);
    assert_eq!(open(&path).inbox(at(0), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_opening_is_refused_while_the_first_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    let first = open(&path);
    let second = SledStore::open(&path).map(|_| ());
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
    first.append(vec![webhook("new", 9)]).await.unwrap();
    drop(first);
    open(&path).check().unwrap();
}

#[test]
fn a_path_that_cannot_be_a_directory_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(!refusal(&file).is_empty());
    assert!(!refusal(&file.join("below")).is_empty());
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_nothing_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir).await;
    let options = OpenOptions { min_free_bytes: u64::MAX, ..OpenOptions::default() };
    let store = SledStore::open_with(&path, options).unwrap();
    assert!(store.health().unwrap_err().to_string().contains("MiB left"));
    let refused = store.append(vec![webhook("new", 9)]).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert!(store.case(&case(1).id).await.unwrap().is_some(), "it can be read");
    drop(store);
    let store = open(&path);
    assert_eq!(store.input(&super::samples::stripe(), "new").await.unwrap(), None);
    store.append(vec![webhook("new", 9)]).await.unwrap();
}
