//! `recoup learning`: what was learned, shown, taken elsewhere, taken over, forgotten.
//!
//! Why here: what was learned is data. It moves to another machine, or is shared between merchants,
//! without a case or a customer in it.
//!
//! What must stay true: a record that could not have been learned changes nothing; a change stands
//! in one order with the cases that teach meanwhile.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::offline::{Usage, finish, print_json, print_line, read_body};
use crate::core::learning::Learned;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup learning show
  recoup learning export -o learned.json
  recoup learning import learned.json              begin with it, in place of what there is
  recoup learning import learned.json --merge      add it to what there is
  recoup learning reset --yes

The record holds counters only: no case, no customer, no card. What is old has faded by the time it
is added. Merge a record once: it is counted each time. `recoup export` has it, too, with everything
else. While no service runs, a change is kept and is applied when one does.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// How much was learned of what.
    Show {
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Write the record.
    Export {
        /// The file to write; without it, standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Begin with a record, or add it.
    Import {
        /// The record; `-` for standard input.
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// Add it to what there is.
        #[arg(long)]
        merge: bool,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Forget everything that was learned.
    Reset {
        /// Do it.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        backend: BackendArgs,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let json = args.json;
    finish(match args.what {
        What::Show { backend } => backend::run(&backend, async |backend| {
            let record = backend.get(&["learning"], &[]).await?;
            show(&record, json)
        }),
        What::Export { output, backend } => backend::run(&backend, async |backend| {
            let record = backend.get(&["learning"], &[]).await?;
            match &output {
                Some(path) => std::fs::write(path, format!("{record}\n"))
                    .with_context(|| format!("write {}", path.display()))?,
                None => print_line(&record.to_string())?,
            }
            Ok(ExitCode::SUCCESS)
        }),
        What::Import { file, merge, backend } => {
            let text = String::from_utf8(read_body(&file)?);
            let text = text.map_err(|_| Usage::new(format!("{} is no text", file.display())))?;
            Learned::read(&text).with_context(|| format!("import {}", file.display()))?;
            backend::run(&backend, async |backend| {
                if merge {
                    backend.post_text(&["learning", "merge"], text.clone()).await?;
                } else {
                    backend.put_text(&["learning"], text.clone()).await?;
                }
                told(backend, json)
            })
        }
        What::Reset { yes: false, .. } => {
            Err(Usage::new("everything that was learned is forgotten: add --yes to do it").into())
        }
        What::Reset { backend, .. } => backend::run(&backend, async |backend| {
            backend.delete(&["learning"]).await?;
            told(backend, json)
        }),
    })
}

fn show(record: &Value, json: bool) -> anyhow::Result<ExitCode> {
    let text = record.to_string();
    let learned = Learned::read(&text).context("read what the service answered")?;
    let cases: serde_json::Map<_, _> = learned
        .timing
        .cases()
        .into_iter()
        .map(|(group, cases)| {
            let name = serde_json::to_value(group).unwrap_or_default();
            (name.as_str().unwrap_or_default().to_owned(), json!(cases))
        })
        .collect();
    if json {
        let (version, bytes) = (learned.version, text.len());
        print_json(&json!({ "version": version, "cases": cases, "bytes": bytes }))?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line("Cases that ended and taught days, by what the bank said; old ones count less:")?;
    for (name, cases) in &cases {
        print_line(&format!("  {name:<10}{:>10.1}", cases.as_f64().unwrap_or(0.0)))?;
    }
    print_line(&format!("The record has {} bytes.", text.len()))?;
    Ok(ExitCode::SUCCESS)
}

fn told(backend: &Backend, json: bool) -> anyhow::Result<ExitCode> {
    let applied = backend.applies();
    if json {
        print_json(&json!({ "applied": applied }))?;
    } else if applied {
        print_line("Done.")?;
    } else {
        print_line("Kept; applied when `recoup serve` runs.")?;
    }
    Ok(ExitCode::SUCCESS)
}
