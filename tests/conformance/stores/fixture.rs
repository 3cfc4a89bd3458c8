//! Old data opens in new code: `fixtures/stores/v1` was written by the first released format.
//!
//! `RECOUP_BLESS=1 cargo test --test conformance fixture` writes it anew. That is right only while
//! no release has written this format; afterwards a new format gets a directory of its own, and the
//! old ones stay as they are.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use recoup::store::{ExportRecord, Store as _};

use super::open;
use super::samples::{at, case, fill, policy, stripe, webhook};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores/v1")
}

/// sled's own files; its empty directory of blobs is left out, and it makes it anew.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let name = entry.file_name();
        let of_sled = name == "db" || name == "conf" || name.to_string_lossy().starts_with("snap");
        if of_sled {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

async fn bless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = open(&path);
    fill(&store).await;
    store.put_policy(&policy()).await.unwrap();
    store.check().unwrap();
    let records = store.export(None, 10_000).await.unwrap();
    drop(store);
    let _ = fs::remove_dir_all(fixture());
    copy_files(&path, &fixture().join("store"));
    let expected = serde_json::to_string_pretty(&records).unwrap();
    fs::write(fixture().join("expected.json"), expected + "\n").unwrap();
}

/// Everything that was written is still read; a field that came later has its default.
pub(crate) fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| holds(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| holds(a, b))
        }
        (found, expected) => found == expected,
    }
}

#[tokio::test]
async fn the_first_format_opens() {
    if std::env::var_os("RECOUP_BLESS").is_some() {
        bless().await;
    }
    let dir = tempfile::tempdir().unwrap();
    copy_files(&fixture().join("store"), dir.path());
    let store = open(dir.path());
    store.check().unwrap();
    let expected = fs::read(fixture().join("expected.json")).unwrap();
    let expected: Vec<ExportRecord> = serde_json::from_slice(&expected).unwrap();
    let found = store.export(None, 10_000).await.unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.key, expected.key);
        assert!(holds(&found.value, &expected.value), "{found:#?}\nis not\n{expected:#?}");
    }
    assert_eq!(found.len(), expected.len());
    // And it goes on from there.
    assert_eq!(store.case(&case(1).id).await.unwrap(), Some(case(1)));
    assert_eq!(store.input(&stripe(), "evt_2").await.unwrap(), Some(webhook("evt_2", 20_000)));
    assert_eq!(store.policy(&policy().version()).await.unwrap(), Some(policy()));
    assert_eq!(store.claim(at(9_999), 99).await.unwrap().len(), 10);
    let new = store.append(vec![webhook("evt_1", 9), webhook("evt_4", 9)]).await.unwrap();
    assert_eq!(new, [recoup::store::Appended::Duplicate, recoup::store::Appended::New(4)]);
}
