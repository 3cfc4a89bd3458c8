//! The place: whether the directory still is where the store was opened, with room to write.
//!
//! Why here: a database whose files are removed while it runs goes on in files that have no name,
//! and all that it acknowledges is gone with the process. A full disk sled does not survive well.
//!
//! What must stay true: both are looked at before each group of writes, and neither ends the
//! process: what can be mended is waited for, and what is only in memory and in nameless files
//! stays there to be rescued.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Where a store is, and what it insists on.
#[derive(Debug, Clone)]
pub(super) struct Place {
    database: PathBuf,
    identity: Identity,
    min_free_bytes: u64,
}

impl Place {
    /// The place of the store in this directory, whose database file is open as `file`.
    pub(super) fn of(
        directory: &Path,
        file: &File,
        min_free_bytes: u64,
    ) -> Result<Self, StoreError> {
        let refused = |error: std::io::Error| StoreError::Refused(error.to_string());
        let identity = identity(&file.metadata().map_err(refused)?);
        Ok(Self { database: directory.join("db"), identity, min_free_bytes })
    }

    /// Whether it may be written to now.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.database.metadata() {
            Ok(found) if identity(&found) == self.identity => {}
            Ok(_) => return Err(self.gone("another file stands at")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.gone("it was removed from"));
            }
            Err(error) => return Err(StoreError::Refused(error.to_string())),
        }
        match fs2::available_space(&self.database) {
            Ok(free) if free >= self.min_free_bytes => Ok(()),
            Ok(free) => Err(StoreError::Full(format!(
                "its disk has {} MiB left, and {} are kept free",
                free >> 20,
                self.min_free_bytes >> 20
            ))),
            Err(error) => Err(StoreError::Refused(error.to_string())),
        }
    }

    fn gone(&self, what: &str) -> StoreError {
        StoreError::Full(format!(
            "its database is open, but {what} {path}; nothing is acknowledged any more. Do not end \
             this process: stop it with SIGSTOP, copy the open file out of /proc/{process}/fd into \
             a new directory as `db`, and start on that",
            path = self.database.display(),
            process = std::process::id(),
        ))
    }
}

/// Which file it is, whatever its name.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(file: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino())
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}
