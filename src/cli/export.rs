//! `recoup export`: the store as JSON lines.
//!
//! Why here: it is the backup, the compaction (sled never shrinks) and the way to another store.
//!
//! What must stay true: what `recoup import` reads gives the same store.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;

use super::open::{StoreArgs, block_on};
use super::transfer;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup export -o recoup.jsonl
  recoup export --store sled:/var/lib/recoup | zstd > recoup.jsonl.zst
  recoup export --store postgres://recoup@db.example/recoup -o recoup.jsonl

It says how many records there are and their SHA-256: the same as after an import elsewhere.
On sled the service must be stopped: a directory has one process at a time. In PostgreSQL the
export sees one moment, also while services run; stop them to move to another store.
The export holds personal data and the key of the links. Keep it as you keep the store.")]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// The file to write; without it, standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let to_terminal = args.output.is_none() && io::stdout().is_terminal();
    ensure!(!to_terminal, "export: it holds personal data; name a file with -o, or use a pipe");
    let sum = block_on(async {
        let store = args.store.open_existing().await?;
        let sum = match &args.output {
            Some(path) => transfer::write_file(&*store, path).await?,
            None => transfer::write(&*store, io::stdout().lock()).await?,
        };
        store.close().await?;
        Ok(sum)
    })?;
    let _ = writeln!(io::stderr(), "exported {sum}");
    Ok(ExitCode::SUCCESS)
}
