//! `recoup compact`: the store anew, without what it no longer holds.
//!
//! Why here: sled never shrinks its file, and what was erased stands in old pages until they are
//! written over. A fresh store has neither. The service does it by itself at its start when
//! something was erased since.
//!
//! What must stay true: whatever dies when, one whole store is there, under its name or at the next
//! opening; nobody else can write to it meanwhile.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::offline::{print_json, print_line};
use super::open::{StoreArgs, block_on};
use super::transfer;
use crate::store::Store as _;
use crate::store::sled::{SledStore, replace};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup compact
  recoup compact --store sled:/var/lib/recoup --json

The service must be stopped. It needs as much space again as the store has.")]
pub(super) struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let url = args.store.url()?;
    let Some(path) = url.strip_prefix("sled:") else {
        bail!("compact the store: only one in a directory (`sled:PATH`) has old pages");
    };
    let path = Path::new(path);
    drop(block_on(args.store.open_existing())?);
    let before = size_of(path);
    let records = block_on(compact(path))?;
    let after = size_of(path);
    if args.json {
        print_json(&json!({ "records": records, "bytes_before": before, "bytes_after": after }))?;
    } else {
        print_line(&format!("{records} records; {before} bytes before, {after} now"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts a fresh copy in the place of the store in this directory; how many records it holds.
pub(super) async fn compact(path: &Path) -> anyhow::Result<u64> {
    let from = SledStore::open(path)?;
    let copy = replace::copy_beside(path)?;
    let to = SledStore::open(&copy)?;
    let records = transfer::copy(&from, &to).await?;
    if let Some(restoring) = from.restored().await? {
        to.put_restored(restoring).await?;
    }
    to.check().context("verify the copy")?;
    to.close().await?;
    drop(to);
    from.close().await?;
    // The old one is still held: nobody opens it before the new one is in its place.
    replace::put_in_place(path)?;
    drop(from);
    Ok(records)
}

fn size_of(path: &Path) -> u64 {
    let files = path.read_dir().into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The same, where old pages hold what was erased. Where it cannot be done now, it is told.
pub(super) async fn if_erased(path: &Path) {
    if !replace::holds_erased(path) {
        return;
    }
    match compact(path).await {
        Ok(records) => tracing::info!(records, "the store was made anew, without what was erased"),
        Err(error) => {
            let why = format!("{error:#}");
            tracing::warn!(why, "old pages still hold what was erased; next start tries again");
        }
    }
}
