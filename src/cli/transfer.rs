//! Moving a store: the lines of an export, written, verified and read.
//!
//! Why here: `export`, `import` and `backup` share one format. A file is a header line, a line for
//! each record in the order of keys, and a trailer with their number and the SHA-256 of everything
//! before it.
//!
//! What must stay true: nothing is imported from a file that is cut off or changed; a file holds
//! the link key and personal data, so it is made readable for its owner only.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal as _, Read as _, Write};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::{ExportRecord, Store, canonical};

/// The version of the file's format.
const VERSION: u32 = 1;

/// Records that are moved at once.
const PAGE: usize = 256;

/// A line of an export that is longer than this is not one of ours.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    recoup_export: u32,
    written_by: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    records: u64,
    sha256: String,
}

/// What was moved: the same for the same records, wherever they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// How many.
    pub(super) records: u64,
    sha256: String,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, SHA-256 {}", self.records, self.sha256)
    }
}

/// Sums records up, as any store of this version exports them.
#[derive(Default)]
struct Summing {
    records: u64,
    sum: Sha256,
}

impl Summing {
    fn add(&mut self, record: &ExportRecord) -> anyhow::Result<()> {
        self.records += 1;
        self.sum.update(serde_json::to_vec(record)?);
        self.sum.update(b"\n");
        Ok(())
    }

    fn done(self) -> Moved {
        Moved { records: self.records, sha256: hex::encode(self.sum.finalize()) }
    }
}

/// Sums up everything that a store holds.
pub(super) async fn sum(store: &dyn Store) -> anyhow::Result<Moved> {
    let mut summing = Summing::default();
    let mut last: Option<String> = None;
    loop {
        let page = store.export(last.as_deref(), PAGE).await?;
        let Some(end) = page.last() else { return Ok(summing.done()) };
        last = Some(end.key.clone());
        page.iter().try_for_each(|record| summing.add(record))?;
    }
}

/// Writes lines, and sums them up.
struct Lines<W> {
    out: W,
    sum: Sha256,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.sum.update(&line);
        self.out.write_all(&line).context("write the export")
    }
}

/// Writes everything in the store; returns what that was.
pub(super) async fn write(store: &dyn Store, out: impl Write) -> anyhow::Result<Moved> {
    let mut lines = Lines { out, sum: Sha256::new() };
    let written_by = concat!("recoup ", env!("CARGO_PKG_VERSION")).to_owned();
    lines.line(&Header { recoup_export: VERSION, written_by })?;
    let mut progress = Progress::new("exported");
    let mut summing = Summing::default();
    let mut last: Option<String> = None;
    loop {
        let page = store.export(last.as_deref(), PAGE).await?;
        let Some(end) = page.last() else { break };
        last = Some(end.key.clone());
        for record in &page {
            summing.add(record)?;
            lines.line(record)?;
        }
        progress.add(page.len());
    }
    let records = progress.done();
    let sha256 = hex::encode(lines.sum.clone().finalize());
    lines.line(&Trailer { records, sha256 })?;
    lines.out.flush().context("write the export")?;
    Ok(summing.done())
}

/// Writes a file under another name first: there is a whole one, or none.
pub(super) async fn write_file(store: &dyn Store, path: &Path) -> anyhow::Result<Moved> {
    let shown = path.display();
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let file = private_file(Path::new(&part)).with_context(|| format!("create {shown}.part"))?;
    let mut out = io::BufWriter::new(&file);
    let moved = write(store, &mut out).await?;
    drop(out);
    file.sync_all().with_context(|| format!("write {shown}"))?;
    std::fs::rename(&part, path).with_context(|| format!("write {shown}"))?;
    Ok(moved)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Goes through the lines of an export, and through the trailer that vouches for them.
fn read(
    mut input: impl BufRead,
    mut each: impl FnMut(ExportRecord) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut sum = Sha256::new();
    let mut records = 0;
    for number in 1.. {
        let mut line = String::new();
        let read = input.by_ref().take(LONGEST_LINE).read_line(&mut line);
        read.with_context(|| format!("read line {number}"))?;
        ensure!(line.ends_with('\n'), "read line {number}: the file is cut off");
        if number == 1 {
            check_header(&line)?;
        } else if let Ok(trailer) = serde_json::from_str::<Trailer>(&line) {
            let right = trailer.records == records && trailer.sha256 == hex::encode(sum.finalize());
            ensure!(right, "verify the file: it was changed since it was written");
            ensure!(input.fill_buf()?.is_empty(), "verify the file: it goes on behind its end");
            break;
        } else {
            let record = serde_json::from_str(&line);
            each(record.with_context(|| format!("read line {number}"))?)?;
            records += 1;
        }
        sum.update(&line);
    }
    Ok(records)
}

fn check_header(line: &str) -> anyhow::Result<()> {
    let Ok(header) = serde_json::from_str::<Header>(line) else {
        bail!("read line 1: this is no export of recoup");
    };
    let version = header.recoup_export;
    ensure!(
        version <= VERSION,
        "read line 1: it was written by {} in format {version}, this recoup reads {VERSION}",
        header.written_by
    );
    Ok(())
}

/// Verifies the whole file; returns what a store holds once it is read in.
pub(super) fn verify(file: &Path) -> anyhow::Result<Moved> {
    let open = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut summing = Summing::default();
    read(io::BufReader::new(open), |record| summing.add(&canonical(record)?))?;
    Ok(summing.done())
}

/// Reads a verified file into a store that is empty, or holds a part of it already.
pub(super) async fn load(store: &dyn Store, file: &Path) -> anyhow::Result<u64> {
    let open = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut progress = Progress::new("imported");
    let (pages, mut loaded) = tokio::sync::mpsc::channel(2);
    let reader = std::thread::spawn(move || {
        let mut page = Vec::with_capacity(PAGE);
        read(io::BufReader::new(open), |record| {
            page.push(record);
            if page.len() == PAGE {
                pages.blocking_send(std::mem::take(&mut page)).context("hand over a page")?;
            }
            Ok(())
        })?;
        pages.blocking_send(page).context("hand over a page")
    });
    while let Some(page) = loaded.recv().await {
        let count = page.len();
        store.import(page).await?;
        progress.add(count);
    }
    match reader.join() {
        Ok(result) => result?,
        Err(_) => bail!("read {}", file.display()),
    }
    Ok(progress.done())
}

/// Copies a store into an empty one.
pub(super) async fn copy(from: &dyn Store, to: &dyn Store) -> anyhow::Result<u64> {
    let mut progress = Progress::new("copied");
    let mut last: Option<String> = None;
    loop {
        let page = from.export(last.as_deref(), PAGE).await?;
        let Some(end) = page.last() else { return Ok(progress.done()) };
        last = Some(end.key.clone());
        progress.add(page.len());
        to.import(page).await?;
    }
}

/// A count on a terminal, and silence elsewhere.
struct Progress {
    what: &'static str,
    count: u64,
    shown: bool,
}

impl Progress {
    /// Records between two lines.
    const STEP: u64 = 8 * PAGE as u64;

    fn new(what: &'static str) -> Self {
        Self { what, count: 0, shown: io::stderr().is_terminal() }
    }

    fn add(&mut self, records: usize) {
        let before = self.count / Self::STEP;
        self.count += records as u64;
        if self.shown && self.count / Self::STEP > before {
            let _ = write!(io::stderr(), "\r{} {} records", self.what, self.count);
        }
    }

    fn done(&self) -> u64 {
        if self.shown && self.count >= Self::STEP {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    async fn exported() -> Vec<u8> {
        let store = MemoryStore::new([1; 32]);
        let now = jiff::Timestamp::from_second(5).unwrap();
        store.put_test_clock(now).await.unwrap();
        let mut bytes = Vec::new();
        let moved = write(&store, &mut bytes).await.unwrap();
        assert_eq!((moved.records, &moved), (2, &sum(&store).await.unwrap()));
        bytes
    }

    #[tokio::test]
    async fn a_file_vouches_for_every_byte() {
        let good = exported().await;
        assert_eq!(read(&good[..], |_| Ok(())).unwrap(), 2);
        for cut in 0..good.len() {
            assert!(read(&good[..cut], |_| Ok(())).is_err(), "cut off after {cut}");
        }
        let text = String::from_utf8(good.clone()).unwrap();
        let changed = text.replacen("1970", "1971", 1);
        assert!(read(changed.as_bytes(), |_| Ok(())).is_err());
        let mut lines: Vec<&str> = text.lines().collect();
        lines.remove(1);
        assert!(read((lines.join("\n") + "\n").as_bytes(), |_| Ok(())).is_err());
        assert!(read(format!("{text}{text}").as_bytes(), |_| Ok(())).is_err());
    }

    #[tokio::test]
    async fn a_file_of_a_later_format_is_refused() {
        let text = String::from_utf8(exported().await).unwrap();
        let later = text.replacen("\"recoup_export\":1", "\"recoup_export\":2", 1);
        let error = read(later.as_bytes(), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("format 2"), "{error}");
    }
}
