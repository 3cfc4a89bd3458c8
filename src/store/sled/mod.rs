//! The store in sled: the embedded default, one directory on one machine.
//!
//! Why here: a single binary needs a database that comes with it. sled 0.34.7 is used in the one
//! way that survived every power cut in measurement: one tree, one writing thread (`committer`),
//! and after sled's `flush` an `fdatasync` of our own.
//!
//! What must stay true:
//! - a write returns when it is durable, and nothing is written after the first error;
//! - an emptied, damaged or later store does not open (`open`), nor one that lost commits (`head`).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::feed::Feed;
use super::rows::write::{Done, Session, Write};
use super::rows::{Backend, Rows, check};
use super::{Freeze, StoreError};

mod committer;
mod disk;
mod head;
mod open;
mod place;
pub mod replace;

use committer::{Committer, Request, Stopped};
use disk::Disk;
use open::Home;
pub use open::OPENING;
use place::Place;

/// How many writes may wait for the committer; more wait for their place.
const QUEUE: usize = 2 * committer::GROUP;

/// What the store does to the disk besides sled. A test puts its own in between, to count and to
/// fail.
pub trait Device: Send + Sync {
    /// Called before each group of writes.
    fn before_write(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes durable what was written to the database file.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// The real disk.
#[derive(Debug, Clone, Copy)]
pub struct RealDevice;

impl Device for RealDevice {}

/// How a store is opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// Memory for sled's cache of pages.
    pub cache_bytes: u64,
    /// With less free space than this on its disk the store takes no writes: sled does not survive
    /// a full disk well.
    pub min_free_bytes: u64,
    /// How long to wait for another process to let the directory go.
    pub lock_patience: Duration,
    /// The disk.
    pub device: Arc<dyn Device>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 256 * 1024 * 1024,
            min_free_bytes: 64 * 1024 * 1024,
            lock_patience: Duration::from_secs(2),
            device: Arc::new(RealDevice),
        }
    }
}

/// A store in a directory.
pub struct SledStore {
    disk: Disk,
    directory: PathBuf,
    place: Place,
    feed: Feed,
    stopped: Stopped,
    queue: Option<mpsc::Sender<Request>>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl SledStore {
    /// Opens the store in this directory, and makes it where there is none. Blocks.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, OpenOptions::default())
    }

    /// As [`SledStore::open`], otherwise than usual.
    pub fn open_with(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        let home = Home::find(path)?;
        let disk = home.open_sled(&options)?;
        let marker = home.marker(&disk)?;
        home.holds_what_was_acknowledged(&marker)?;
        let (run, changes) = open::first_changes(&disk, &marker, home.ran())?;
        let stopped = Stopped::default();
        let file = home.database_file()?;
        let place = Place::of(path, &file, options.min_free_bytes)?;
        let mut committer = Committer {
            disk: disk.clone(),
            file,
            head: home.head()?,
            device: options.device,
            place: place.clone(),
            session: Session::new(run),
            commits: marker.commits,
            stopped: Arc::clone(&stopped),
        };
        committer.make_durable(&changes)?;
        committer.sync_head()?;
        home.settle(run)?;
        let (queue, requests) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("recoup-committer".to_owned());
        let thread = thread
            .spawn(move || committer.run(requests))
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let committer = Mutex::new(Some(thread));
        let directory = path.to_owned();
        let feed = Feed::default();
        Ok(Self { disk, directory, place, feed, stopped, queue: Some(queue), committer })
    }

    /// Compares all index rows and counts with the records. Reads everything.
    pub fn check(&self) -> Result<(), StoreError> {
        check::check(&self.disk)
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<committer::Answer>) -> Request,
    ) -> Result<Done, StoreError> {
        let (reply, answer) = oneshot::channel();
        let Some(queue) = &self.queue else { return Err(gone()) };
        queue.send(request(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> StoreError {
    StoreError::Refused("its writing thread has ended; restart".to_owned())
}

#[async_trait]
impl Backend for SledStore {
    fn rows(&self) -> &dyn Rows {
        &self.disk
    }

    async fn write(&self, write: Write) -> Result<Done, StoreError> {
        if write.erases() {
            let refused = |error: io::Error| StoreError::Refused(error.to_string());
            replace::note_erased(&self.directory).map_err(refused)?;
        }
        self.ask(|reply| Request::Write(write, reply)).await
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn state(&self) -> Result<(), StoreError> {
        if let Some(why) = self.stopped.get() {
            return Err(StoreError::Refused(why.clone()));
        }
        if self.queue.as_ref().is_none_or(mpsc::Sender::is_closed) {
            return Err(gone());
        }
        self.place.check()
    }

    async fn freeze(&self) -> Result<Freeze, StoreError> {
        let (thaw, thawed) = oneshot::channel();
        self.ask(|reply| Request::Freeze(reply, thawed)).await?;
        Ok(Freeze::until(thaw))
    }

    async fn shut(&self) -> Result<(), StoreError> {
        self.ask(Request::Close).await.map(drop)
    }
}

impl Drop for SledStore {
    /// Everything that was asked for is done before the directory is let go.
    fn drop(&mut self) {
        self.queue = None;
        let mut committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = committer.take() {
            let _ = thread.join();
        }
    }
}
