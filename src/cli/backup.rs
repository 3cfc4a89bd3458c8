//! `recoup backup`: a copy of the store that opens as it is.
//!
//! Why here: copying sled's files while it runs gives files of different moments. This reads every
//! record, checks it, and writes it into a fresh store in another directory: a copy without gaps,
//! and without the space that the old one no longer needs.
//!
//! What must stay true: the copy is complete and durable when the command ends with success.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use super::open::{StoreArgs, block_on};
use super::transfer;
use crate::clock::real_now;
use crate::store::sled::SledStore;
use crate::store::{Restoring, Store as _};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup backup /backups/recoup-2026-11-21
  RECOUP__STORE__URL=sled:/backups/recoup-2026-11-21 recoup serve    (starts from the copy)

The service must be stopped: a store has one process at a time.")]
pub(super) struct Args {
    /// The directory to copy into: new, or empty.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shown = args.directory.display();
    let occupied = args.directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!occupied, "back up into {shown}: the directory is not empty");
    let records = block_on(async {
        let from = args.store.open_existing().await?;
        let to = SledStore::open(&args.directory)?;
        let records = transfer::copy(&*from, &to).await?;
        to.check().with_context(|| format!("verify the copy in {shown}"))?;
        // Whoever starts from it does so later: what happened until then it does not know.
        to.put_restored(Restoring { at: real_now(), is_over: false }).await?;
        to.close().await?;
        from.close().await?;
        Ok(records)
    })?;
    let _ = writeln!(io::stderr(), "copied {records} records to {shown}");
    Ok(ExitCode::SUCCESS)
}
