//! The committer: the one thread that writes.
//!
//! Why here: an `fdatasync` takes as long for a thousand writes as for one. The thread takes all
//! writes that wait, up to a limit, makes one batch of them, makes it durable, and only then
//! answers each. sled's own `flush` is not enough: on Linux it ends in `sync_file_range`, which
//! loses acknowledged data in a power cut, so the database file is synced through a handle of ours.
//!
//! What must stay true:
//! - nothing is answered with success before it is durable;
//! - after an error in writing or syncing, nothing is written any more. A failed sync may have
//!   thrown the pages away, so that a second one succeeds and means nothing.

use std::fs::File;
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use super::Device;
use super::disk::Disk;
use super::head::Head;
use super::place::Place;
use crate::store::rows::overlay::{Changes, Overlay};
use crate::store::rows::value::{FORMAT, Marker};
use crate::store::rows::write::{self, Done, Session, Write};
use crate::store::{StoreError, keys};

/// Writes in one group at the most.
pub(super) const GROUP: usize = 1_024;

/// Bytes in one group, roughly, at the most; one write may be longer.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What came of a write.
pub(super) type Answer = Result<Done, StoreError>;

/// What the committer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// Write, and answer when it is durable.
    Write(Write, oneshot::Sender<Answer>),
    /// Answer when everything before is durable, and write nothing until the other end is gone.
    Freeze(oneshot::Sender<Answer>, oneshot::Receiver<()>),
    /// Answer when everything before is durable, and refuse everything behind.
    Close(oneshot::Sender<Answer>),
}

/// Why nothing is written any more.
pub(super) type Stopped = Arc<OnceLock<String>>;

/// The state of the thread.
pub(super) struct Committer {
    pub(super) disk: Disk,
    pub(super) file: File,
    pub(super) head: Head,
    pub(super) device: Arc<dyn Device>,
    pub(super) place: Place,
    pub(super) session: Session,
    pub(super) commits: u64,
    pub(super) stopped: Stopped,
}

impl Committer {
    /// Takes requests until nobody can ask any more.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = Vec::new();
            let mut weight = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Write(write, reply) => {
                        weight += write.weight();
                        group.push((write, reply));
                    }
                    Request::Freeze(reply, thaw) => {
                        self.group(std::mem::take(&mut group));
                        let _ = reply.send(Ok(Done::default()));
                        // Nothing is ever sent: it ends when the holder lets go.
                        let _ = thaw.blocking_recv();
                    }
                    Request::Close(reply) => {
                        self.group(std::mem::take(&mut group));
                        let _ = self.stopped.set("it is closed".to_owned());
                        let _ = reply.send(Ok(Done::default()));
                    }
                }
                let more = group.len() < GROUP && weight < GROUP_BYTES;
                next = if more { queue.try_recv().ok() } else { None };
            }
            self.group(group);
        }
    }

    /// Does a group of writes, and answers each.
    fn group(&mut self, group: Vec<(Write, oneshot::Sender<Answer>)>) {
        let (writes, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        for (answer, reply) in self.write(writes).into_iter().zip(replies) {
            let _ = reply.send(answer); // whoever asked may have gone
        }
    }

    fn write(&mut self, writes: Vec<Write>) -> Vec<Answer> {
        let refused = |why: &StoreError, count| (0..count).map(|_| Err(why.clone())).collect();
        let count = writes.len();
        if let Err(why) = self.may_write() {
            return refused(&why, count);
        }
        let (answers, changes) = match self.stack(writes) {
            Ok(stacked) => stacked,
            Err(why) => return refused(&why, count),
        };
        if changes.is_empty() {
            return answers; // what they saw was made durable by an earlier group
        }
        match self.make_durable(&changes) {
            Ok(()) => answers,
            Err(why) => refused(&why, count),
        }
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if let Some(why) = self.stopped.get() {
            return Err(StoreError::Refused(why.clone()));
        }
        self.place.check()
    }

    /// Every write on top of those before it; one that fails leaves nothing.
    fn stack(&mut self, writes: Vec<Write>) -> Result<(Vec<Answer>, Changes), StoreError> {
        let mut group = Overlay::new(&self.disk);
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            let mut own = Overlay::new(&group);
            let answer = write::apply(&mut own, &mut self.session, write);
            if answer.is_ok() {
                let changes = own.into_changes();
                group.extend(changes);
            }
            answers.push(answer);
        }
        if !group.is_unchanged() {
            let marker = Marker { format: FORMAT, commits: self.commits + 1 };
            group.put(keys::MARKER.to_owned(), marker)?;
        }
        Ok((answers, group.into_changes()))
    }

    /// Makes the file of the head itself durable, once.
    pub(super) fn sync_head(&self) -> Result<(), StoreError> {
        self.head.sync().map_err(|error| StoreError::Refused(error.to_string()))
    }

    /// Writes and syncs; an error is the end of all writing.
    pub(super) fn make_durable(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let io = |error: std::io::Error| StoreError::Refused(error.to_string());
        let done = self
            .device
            .before_write()
            .map_err(io)
            .and_then(|()| self.disk.write(changes))
            .and_then(|()| self.device.sync(&self.file).map_err(io))
            .and_then(|()| self.head.set(self.commits + 1).map_err(io));
        match done {
            Ok(()) => {
                self.commits += 1;
                Ok(())
            }
            Err(error) => {
                let why = format!("it failed, and takes nothing until it is restarted: {error}");
                let _ = self.stopped.set(why.clone());
                Err(StoreError::Refused(why))
            }
        }
    }
}
