//! `recoup audit`: who did what.
//!
//! What must stay true: newest first; what is left out is said.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::backend::{self, BackendArgs};
use super::list;
use super::offline::{print_json, print_line};
use super::show::{Zone, columns, text, words};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup audit
  recoup audit --limit 200
  recoup audit --json

Every change by a person, a program or a command, every sign-in, and what was refused for its role:
newest first, of the last 400 days.")]
pub(super) struct Args {
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print one JSON document: {"data": […], "has_more"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    backend::run(&args.backend, async |backend| {
        let (entries, has_more) = list::read(backend, "audit", &[], args.limit).await?;
        if args.json {
            print_json(&json!({ "data": entries, "has_more": has_more }))?;
        } else if entries.is_empty() {
            print_line("Nothing was done yet.")?;
        } else {
            print_line(&table(&entries, backend.zone()))?;
            if has_more {
                let shown = entries.len();
                print_line(&format!("\n{shown} shown; there are more: raise --limit"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn table(entries: &[Value], zone: &Zone) -> String {
    let row = |entry: &Value| {
        let at = zone.localize(&text(entry, "at"));
        let via = words(&text(entry, "via"));
        let [who, what, about] = ["who", "what", "about"].map(|name| text(entry, name));
        vec![at, who, via, what, about, text(entry, "outcome")]
    };
    let heads = ["WHEN", "WHO", "BY", "WHAT", "ABOUT", "OUTCOME"];
    columns(&heads, entries.iter().map(row).collect())
}
