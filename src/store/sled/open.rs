//! Opening: what is checked before a directory is taken for a store.
//!
//! Why here: sled opens a directory whose log was lost as an empty database, without a word. Every
//! case, and with it every charge that may be in flight, would be forgotten. So a directory that is
//! not new must hold our marker, or the store does not open.
//!
//! What must stay true: an existing directory is never made a new store, nor is an emptied one,
//! which a file beside it remembers; the message says what to do next.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::OpenOptions;
use super::disk::Disk;
use super::head::Head;
use super::replace;
use crate::store::rows::value::{FORMAT, LinkKey, Marker, Stored as _, Value};
use crate::store::rows::{get, number, overlay, upgrade};
use crate::store::{CURE, StoreError, keys};

/// Stands in a directory from before the database is made until it is durable with its marker.
const CREATING: &str = "CREATING";

/// Behind this stands in the file beside the directory how often the store was opened.
const RUNS: &str = "opened: ";

/// How long to wait between two tries to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The thread in which sled opens a database. It panics over some damaged files: who reports
/// panics may pass over this thread's, since they are answered with an error that says more.
pub const OPENING: &str = "recoup-opens-sled";

/// The directory of a store.
#[derive(Debug, Clone)]
pub(super) struct Home {
    path: PathBuf,
    /// Nothing was ever acknowledged from here.
    is_new: bool,
}

impl Home {
    /// Looks at the directory, and makes it where there is none.
    pub(super) fn find(path: &Path) -> Result<Self, StoreError> {
        let home = |is_new| Self { path: path.to_owned(), is_new };
        let found = home(false);
        replace::finish(path).map_err(|error| found.unusable(&error.to_string()))?;
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                found.never_held_a_store()?;
                fs::create_dir_all(path).map_err(|error| found.unusable(&error.to_string()))?;
                return home(true).announce();
            }
            Err(error) => return Err(found.unusable(&error.to_string())),
        };
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        if names.iter().any(|name| name == CREATING) {
            return Ok(home(true));
        }
        if names.iter().all(|name| name == "lost+found") {
            found.never_held_a_store()?;
            return home(true).announce();
        }
        if !names.iter().any(|name| name == "db") {
            return Err(found.unusable(&format!("it holds files, but no database; {CURE}")));
        }
        Ok(found)
    }

    /// Refuses a directory that is empty or gone, and held a store before.
    fn never_held_a_store(&self) -> Result<(), StoreError> {
        let Some(memory) = memory_of(&self.path) else { return Ok(()) };
        if !memory.try_exists().map_err(|error| self.unusable(&error.to_string()))? {
            return Ok(());
        }
        Err(self.unusable(&format!(
            "it held a store, and is empty or gone. Was its disk not mounted, or was it emptied? \
             {CURE}. To begin anew on purpose, and forget every charge in flight, remove {}",
            memory.display()
        )))
    }

    /// Leaves word beside the directory that it holds a store, and how often it was opened. Where
    /// nothing can be written there, as above a mounted disk, an emptied directory is not told from
    /// a new one, nor an older copy from the store.
    fn remember(&self, run: u64) {
        const WORDS: &str = "recoup keeps a store in the directory beside this file, and looks for \
            this file where that one is empty.\n";
        let Some(memory) = memory_of(&self.path) else { return };
        let new = memory.with_extension("recoup-store-new");
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(format!("{WORDS}{RUNS}{run}\n").as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &memory)
        });
        drop(written);
    }

    /// How often the store in this place was opened, as far as is remembered beside it.
    pub(super) fn ran(&self) -> u64 {
        let text = memory_of(&self.path).and_then(|memory| fs::read_to_string(memory).ok());
        let line = text.as_deref().and_then(|text| text.lines().find_map(|l| l.strip_prefix(RUNS)));
        line.and_then(|run| run.parse().ok()).unwrap_or_default()
    }

    /// Leaves word that a store is being made here, before sled writes anything.
    fn announce(self) -> Result<Self, StoreError> {
        let write = || -> io::Result<()> {
            let mut file = File::create(self.path.join(CREATING))?;
            file.write_all(b"recoup is making a store here; nothing is in it yet\n")?;
            file.sync_all()?;
            self.sync_directory()
        };
        write().map_err(|error| self.unusable(&error.to_string()))?;
        Ok(self)
    }

    /// From now on the directory holds a store.
    pub(super) fn settle(&self, run: u64) -> Result<(), StoreError> {
        self.remember(run);
        let settle = || -> io::Result<()> {
            match fs::remove_file(self.path.join(CREATING)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => self.sync_directory(),
            }
        };
        settle().map_err(|error| self.unusable(&error.to_string()))
    }

    /// Makes the names of the files durable, and the name of the directory.
    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Our own handle of the file that sled writes to. It is opened before the first write: an
    /// error in writing back is reported once to every handle that was open by then.
    pub(super) fn database_file(&self) -> Result<File, StoreError> {
        let open = || -> io::Result<File> {
            let file = File::options().read(true).write(true).open(self.path.join("db"))?;
            file.sync_all()?;
            File::open(self.path.join("conf"))?.sync_all()?;
            self.sync_directory()?;
            Ok(file)
        };
        open().map_err(|error| self.unusable(&error.to_string()))
    }

    /// Opens sled in it. A process that is just ending, or that just started another one, may hold
    /// the lock a moment longer.
    pub(super) fn open_sled(&self, options: &OpenOptions) -> Result<Disk, StoreError> {
        let mut patience = options.lock_patience;
        loop {
            match self.try_open_sled(options.cache_bytes) {
                Err(StoreError::Locked { .. }) if !patience.is_zero() => {
                    let pause = patience.min(LOCK_PAUSE);
                    std::thread::sleep(pause);
                    patience -= pause;
                }
                result => return result,
            }
        }
    }

    fn try_open_sled(&self, cache_bytes: u64) -> Result<Disk, StoreError> {
        let config = sled::Config::new().path(&self.path).cache_capacity(cache_bytes);
        let opening = std::thread::Builder::new().name(OPENING.to_owned());
        let opening = opening.spawn(move || config.open());
        let opened = opening.map_err(|error| self.unusable(&error.to_string()))?.join();
        let error = match opened {
            Ok(Ok(db)) => return Ok(Disk::new(db)),
            Ok(Err(error)) => error,
            Err(_) => return Err(self.unusable(&format!("it is damaged; {CURE}"))),
        };
        Err(match &error {
            sled::Error::Io(io) if io.to_string().contains("could not acquire lock") => {
                StoreError::Locked { path: self.path.display().to_string() }
            }
            sled::Error::Corruption { .. } => {
                self.unusable(&format!("its database is damaged; {CURE}"))
            }
            _ => self.unusable(&error.to_string()),
        })
    }

    /// Refuses a database that was opened empty, or that a later recoup wrote.
    pub(super) fn marker(&self, disk: &Disk) -> Result<Marker, StoreError> {
        let marker = get::<Marker>(disk, keys::MARKER)?;
        let marker = match marker {
            Some(marker) => Marker::clone(&marker),
            None if self.is_new && disk.is_empty() => Marker { format: FORMAT, commits: 0 },
            None => {
                let what = if disk.is_empty() { "its database is empty" } else { "it is no store" };
                return Err(self.unusable(&format!(
                    "{what}: the marker that every store of recoup holds is missing; {CURE}"
                )));
            }
        };
        if marker.format > FORMAT {
            return Err(self.unusable(&format!(
                "it was written by a later recoup (format {}, this one knows {FORMAT}); start \
                 that one, or export with it",
                marker.format
            )));
        }
        Ok(marker)
    }

    /// Refuses a database that knows fewer commits than were acknowledged from it.
    pub(super) fn holds_what_was_acknowledged(&self, marker: &Marker) -> Result<(), StoreError> {
        let head = Head::read(&self.path).map_err(|error| self.unusable(&error.to_string()))?;
        match head {
            Some(commits) if !self.is_new && commits > marker.commits => {
                Err(self.unusable(&format!(
                    "it is damaged: its end is missing. It holds {} commits, and {commits} were \
                 acknowledged; {CURE}",
                    marker.commits
                )))
            }
            _ => Ok(()),
        }
    }

    /// Where the number of commits is kept.
    pub(super) fn head(&self) -> Result<Head, StoreError> {
        Head::open(&self.path).map_err(|error| self.unusable(&error.to_string()))
    }

    fn unusable(&self, why: &str) -> StoreError {
        StoreError::Unusable { path: self.path.display().to_string(), why: why.to_owned() }
    }
}

/// The file that remembers the store in a directory. It is beside it, not in it: what empties the
/// one leaves the other; hidden, so that `*` passes over it, too.
pub(super) fn memory_of(directory: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(directory).ok()?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(path.with_file_name(format!(".{name}.recoup-store")))
}

/// What every opening writes: the number of the new run, and what a store is made with.
///
/// `ran` is how often the store in this place was opened, as the file beside it knows: a store that
/// knows of fewer is an older one, put in its place. When is for the caller to say.
pub(super) fn first_changes(
    disk: &Disk,
    found: &Marker,
    ran: u64,
) -> Result<(u64, overlay::Changes), StoreError> {
    let known = number(disk, keys::RUN)?;
    let run = known.max(ran) + 1;
    let marker = Marker { format: FORMAT, commits: found.commits + 1 };
    let mut changes = upgrade::changes(disk, found.format)?;
    changes.insert(keys::MARKER.to_owned(), Some(marker.value()));
    changes.insert(keys::RUN.to_owned(), Some(Value::Number(run)));
    if ran > known {
        changes.insert(keys::RESTORED.to_owned(), Some(Value::Time(Timestamp::MAX)));
    }
    if get::<LinkKey>(disk, keys::LINK_KEY)?.is_none() {
        changes.insert(keys::LINK_KEY.to_owned(), Some(draw_link_key()?.value()));
    }
    Ok((run, changes))
}

#[expect(clippy::disallowed_methods, reason = "the one random value of recoup: a store's own key")]
fn draw_link_key() -> Result<LinkKey, StoreError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StoreError::Refused(error.to_string()))?;
    Ok(LinkKey(key))
}
