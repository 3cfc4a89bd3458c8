//! Replacing a store by a fresh copy of itself.
//!
//! Why here: two directories cannot change places in one step, so the steps are such that each
//! opening can finish them. `NAME.copy` is made whole and closed; `NAME` becomes `NAME.old`,
//! `NAME.copy` becomes `NAME`, `NAME.old` is removed.
//!
//! What must stay true: `NAME.old` is there only when `NAME.copy` was whole.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// In a store from which something was erased since it was made.
const ERASED: &str = "erased";

/// Leaves word that old pages hold what was erased.
pub(super) fn note_erased(directory: &Path) -> io::Result<()> {
    File::create(directory.join(ERASED))?.sync_all()
}

/// Whether old pages of the store in this directory hold what was erased.
pub fn holds_erased(directory: &Path) -> bool {
    directory.join(ERASED).exists()
}

/// An empty place for the copy.
pub fn copy_beside(path: &Path) -> Result<PathBuf, StoreError> {
    let copy = beside(path, "copy");
    forget(&copy).map_err(|error| unusable(&copy, &error))?;
    Ok(copy)
}

/// Puts the copy, which is whole and closed, in the place of the store.
pub fn put_in_place(path: &Path) -> Result<(), StoreError> {
    let put = || -> io::Result<()> {
        fs::rename(path, beside(path, "old"))?;
        sync_parent(path)?;
        match fs::rename(beside(path, "copy"), path) {
            // Another process that opened it meanwhile has done so.
            Err(error) if !path.exists() => return Err(error),
            _ => {}
        }
        keep_memory(path);
        sync_parent(path)?;
        forget(&beside(path, "copy"))?;
        forget(&beside(path, "old"))
    };
    put().map_err(|error| unusable(path, &error))
}

/// Ends what was interrupted.
pub(super) fn finish(path: &Path) -> io::Result<()> {
    let (copy, old) = (beside(path, "copy"), beside(path, "old"));
    if !old.exists() {
        return Ok(());
    }
    if !path.exists() && copy.exists() {
        fs::rename(&copy, path)?;
        keep_memory(path);
        sync_parent(path)?;
    }
    if path.exists() { forget(&old) } else { Ok(()) }
}

/// What is remembered of the copy is from now on what is remembered of the store: else the copy,
/// which was opened less often, would pass for one of before.
fn keep_memory(path: &Path) {
    let memory = super::open::memory_of;
    if let (Some(of_copy), Some(own)) = (memory(&beside(path, "copy")), memory(path)) {
        drop(fs::rename(of_copy, own));
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

/// Removes a directory and the file that remembers it.
fn forget(path: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match fs::remove_dir_all(path) {
        Err(error) if !gone(&error) => return Err(error),
        _ => {}
    }
    let memory = super::open::memory_of(path);
    match memory.map(fs::remove_file) {
        Some(Err(error)) if !gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable { path: path.display().to_string(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &Path, text: &str) {
        fs::create_dir(path).unwrap();
        fs::write(path.join("db"), text).unwrap();
    }

    #[test]
    fn wherever_it_stops_the_next_opening_finds_one_whole_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let text = || fs::read_to_string(path.join("db")).unwrap();
        // Before anything was moved: the copy is nothing yet.
        with(&path, "old");
        with(&beside(&path, "copy"), "new");
        finish(&path).unwrap();
        assert_eq!(text(), "old");
        // Between the two.
        fs::rename(&path, beside(&path, "old")).unwrap();
        finish(&path).unwrap();
        assert_eq!(text(), "new");
        assert!(!beside(&path, "old").exists());
        // Before the old one was removed.
        with(&beside(&path, "old"), "old");
        finish(&path).unwrap();
        assert_eq!(text(), "new");
        assert!(!beside(&path, "old").exists());
        with(&beside(&path, "copy"), "newer");
        put_in_place(&path).unwrap();
        assert_eq!(text(), "newer");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
