//! The head: beside the database, how many commits it must hold.
//!
//! Why here: sled cuts off what it cannot read at the end of its log and opens with the rest, as if
//! the lost commits had never been. So after each sync their number is written into a file of its
//! own, and a database that knows fewer has lost some. It costs no sync: what a power cut leaves
//! here is an older number, which asks for less.
//!
//! What must stay true: a number is written only when its commits are on disk, so that a whole
//! database is never behind its head.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The file's name, in the directory of the store.
pub(super) const NAME: &str = "head";

/// The head of one store, open for writing.
#[derive(Debug)]
pub(super) struct Head(File);

impl Head {
    /// How many commits the store in this directory must hold; `None` where nobody can say.
    pub(super) fn read(directory: &Path) -> io::Result<Option<u64>> {
        match fs::read_to_string(directory.join(NAME)) {
            Ok(text) => Ok(parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens it for writing.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        File::options().create(true).truncate(false).write(true).open(path).map(Self)
    }

    /// From now on the store must hold so many.
    pub(super) fn set(&mut self, commits: u64) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(line(commits).as_bytes())
    }

    /// Makes the file itself durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Always of the same length: it is written over the one before, in one piece.
fn line(commits: u64) -> String {
    let number = format!("{commits:016x}");
    format!("{number} {:08x}\n", crc32fast::hash(number.as_bytes()))
}

fn parse(text: &str) -> Option<u64> {
    let commits = u64::from_str_radix(text.get(..16)?, 16).ok()?;
    (line(commits) == text).then_some(commits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_stands_and_a_torn_one_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Head::read(dir.path()).unwrap(), None);
        let mut head = Head::open(dir.path()).unwrap();
        for commits in [1, 77, u64::MAX, 5] {
            head.set(commits).unwrap();
            assert_eq!(Head::read(dir.path()).unwrap(), Some(commits));
        }
        let whole = fs::read(dir.path().join(NAME)).unwrap();
        for torn in [&whole[..9], &[0; 26][..], &[0xff; 26][..], b""] {
            fs::write(dir.path().join(NAME), torn).unwrap();
            assert_eq!(Head::read(dir.path()).unwrap(), None, "{torn:?}");
        }
    }
}
