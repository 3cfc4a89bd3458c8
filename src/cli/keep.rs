//! Backups while the service runs: an export of one moment into a folder, every so many hours.
//!
//! Why here: a store has one process at a time, so whoever runs it has to make its backups too.
//!
//! What must stay true: a file is whole or not there; the newest are kept and nothing else in the
//! folder is touched; a backup that fails is said loudly, and stops nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::transfer;
use crate::clock::real_now;
use crate::config::Backup;
use crate::store::Store;

/// How a file is named: `recoup-20261126T150000Z.jsonl`.
const NAME: &str = "recoup-%Y%m%dT%H%M%SZ.jsonl";
/// When one that failed is tried again.
const AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// Makes backups until it is aborted. The first is due at once where the newest file is too old.
pub(super) async fn run(store: Arc<dyn Store>, settings: Backup) {
    let every = SignedDuration::from_hours(i64::from(settings.every_hours));
    let mut due = newest(&settings.dir).map_or(Timestamp::MIN, |last| last + every);
    loop {
        let wait = due.duration_since(real_now()).as_secs().max(0).unsigned_abs();
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let began = real_now();
        due = match once(&*store, &settings, began).await {
            Ok(records) => {
                let took = real_now().duration_since(began).as_secs_f64();
                tracing::info!(records, took, "a backup was written");
                count("written");
                metrics::gauge!("recoup_backup_last_timestamp_seconds")
                    .set(began.as_second() as f64);
                began + every
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "no backup; again in 15 minutes");
                count("failed");
                real_now() + AGAIN
            }
        };
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("recoup_backups_total", "outcome" => outcome).increment(1);
}

/// Writes one file, then removes the oldest above what is kept.
async fn once(store: &dyn Store, settings: &Backup, now: Timestamp) -> anyhow::Result<u64> {
    let dir = &settings.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("make the folder {}", dir.display()))?;
    let path = dir.join(now.strftime(NAME).to_string());
    let frozen = store.freeze().await.context("hold the store still")?;
    let written = transfer::write_file(store, &path).await;
    drop(frozen);
    let written = written?;
    let files = files(dir);
    let surplus = files.len().saturating_sub(settings.keep as usize);
    for (_, old) in &files[..surplus] {
        std::fs::remove_file(old).with_context(|| format!("remove {}", old.display()))?;
    }
    Ok(written.records)
}

/// The backups in a folder, oldest first.
fn files(dir: &Path) -> Vec<(Timestamp, PathBuf)> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let at = jiff::civil::DateTime::strptime(NAME, name).ok()?;
            Some((at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(), path))
        })
        .collect();
    files.sort();
    files
}

fn newest(dir: &Path) -> Option<Timestamp> {
    files(dir).last().map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::GatewayId;
    use crate::store::sled::SledStore;
    use crate::store::{InboxBody, InboxRecord};

    fn input(number: u32) -> InboxRecord {
        InboxRecord {
            source: GatewayId::from("stripe"),
            id: format!("evt_{number}"),
            received_at: Timestamp::UNIX_EPOCH,
            body: InboxBody::Webhook { body: b"{}".to_vec(), headers: Vec::new() },
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backup_is_of_one_moment_while_writes_go_on_and_opens_as_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SledStore::open(&dir.path().join("store")).unwrap());
        let to = dir.path().join("backups");
        let settings = Backup { dir: to.clone(), every_hours: 24, keep: 2 };
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(to.join("notes.txt"), "mine").unwrap();
        let writer = {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..3_000 {
                    store.append(vec![input(number)]).await.unwrap();
                }
            })
        };
        for hour in 0..4 {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
            once(&*store, &settings, at).await.unwrap();
        }
        writer.await.unwrap();
        let kept = files(&to);
        assert_eq!(kept.len(), 2, "the newest two");
        assert_eq!(newest(&to).unwrap().as_second(), 3 * 3600);
        assert!(to.join("notes.txt").exists(), "what is not ours stays");
        let copy = SledStore::open(&dir.path().join("copy")).unwrap();
        for (_, file) in &kept[1..] {
            transfer::load(&copy, file).await.unwrap();
        }
        // Every index follows from its records: a copy of several moments has inputs that nobody
        // waits for, or waits for inputs that are not there.
        copy.check().unwrap();
        let inputs = copy.inbox(Timestamp::MAX, usize::MAX).await.unwrap();
        assert!(inputs.iter().zip(0..).all(|(entry, n)| entry.record.id == format!("evt_{n}")));
    }
}
