//! `recoup import`: a store from an export, or payment methods from a table.
//!
//! Why here: the way back from a backup, the way between stores, and how recoup learns in bulk
//! which tokens the other gateways hold for a customer.
//!
//! What must stay true: an export goes only into a store that is empty; of a table with a mistake
//! nothing is taken.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use super::open::{StoreArgs, block_on};
use super::{transfer, wallet};
use crate::clock::real_now;
use crate::store::Restoring;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  recoup import recoup.jsonl --store sled:data/new
  recoup import recoup.jsonl --store postgres://recoup@db.example/recoup --moved
  recoup import payment-methods wallet.csv"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// A file that `recoup export` wrote.
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// The store moves: nothing has run on it since the export. Else what happened since is looked
    /// up at the gateways before anything is charged.
    #[arg(long)]
    moved: bool,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Customers' payment methods at all gateways, as CSV.
    #[command(after_help = wallet::HELP)]
    PaymentMethods {
        /// The table.
        #[arg(value_name = "CSV")]
        file: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match (args.what, args.file) {
        (Some(What::PaymentMethods { file, store }), _) => import_wallet(&file, &store),
        (None, Some(file)) => {
            import_export(&file, &args.store, Restoring { at: real_now(), is_over: args.moved })
        }
        (None, None) => anyhow::bail!("import: no file is named"),
    }
}

fn import_export(file: &Path, store: &StoreArgs, restoring: Restoring) -> anyhow::Result<ExitCode> {
    let shown = file.display();
    let promised = transfer::verify(file).with_context(|| format!("import {shown}"))?;
    let sum = block_on(async {
        let store = store.open().await?;
        let loaded = transfer::load(&*store, file).await;
        let there = transfer::sum(&*store).await;
        if loaded.is_ok() {
            store.put_restored(restoring).await?;
        }
        store.close().await?;
        loaded.with_context(|| format!("import {shown}"))?;
        there.with_context(|| format!("read back what {shown} brought"))
    })?;
    ensure!(
        sum == promised,
        "import {shown}: the store holds {sum}, and the file {promised}; start anew with an empty \
         store"
    );
    let _ = writeln!(io::stderr(), "imported {sum}; read back, they are those of the file");
    Ok(ExitCode::SUCCESS)
}

fn import_wallet(file: &Path, store: &StoreArgs) -> anyhow::Result<ExitCode> {
    let shown = file.display();
    let table = std::fs::read(file).with_context(|| format!("open {shown}"))?;
    let wallets = wallet::read(&table).with_context(|| format!("import {shown}"))?;
    let methods: usize = wallets.values().map(Vec::len).sum();
    let customers = wallets.len();
    let records = wallet::inputs(wallets, real_now());
    block_on(async {
        let store = store.open().await?;
        for page in records.chunks(wallet::PAGE) {
            store.append(page.to_vec()).await?;
        }
        store.close().await?;
        Ok(())
    })?;
    let _ = writeln!(
        io::stderr(),
        "imported {methods} payment methods of {customers} customers; the service applies them \
         when it runs"
    );
    Ok(ExitCode::SUCCESS)
}
