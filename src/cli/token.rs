//! `recoup token`: programs that call the API, each with a token of its own.
//!
//! What must stay true: a token is printed once, alone on stdout; no list shows one.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::backend::{self, BackendArgs};
use super::offline::{print_json, print_line};
use super::show::{Zone, columns, text};
use crate::http::Scope;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup token create billing --scope read        prints the token, this once
  recoup token create shop --scope write
  recoup token create grafana --scope metrics     opens /metrics and nothing else
  recoup token list
  recoup token revoke billing                     it opens nothing any more

read sees what a viewer sees; write acts on cases and customers as support does; admin may do what
the admin token may. Only a digest of a token is stored: who loses it makes another.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token; it is printed this once.
    Create {
        /// What it is for, in a word or two.
        name: String,
        /// What it opens; several times for several.
        #[arg(long, required = true, value_name = "SCOPE",
            value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)))]
        scope: Vec<String>,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// All tokens: name, beginning, scopes, last use.
    List {
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Take a token back.
    Revoke {
        /// Its name or its id.
        token: String,
        #[command(flatten)]
        backend: BackendArgs,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (What::Create { backend, .. } | What::List { backend } | What::Revoke { backend, .. }) =
        &args.what;
    backend::run(backend, async |backend| {
        let answer = match &args.what {
            What::Create { name, scope, .. } => {
                let body = json!({ "name": name, "scopes": scope });
                backend.post(&["tokens"], &body).await?
            }
            What::List { .. } => backend.get(&["tokens"], &[]).await?,
            What::Revoke { token, .. } => backend.delete(&["tokens", token]).await?,
        };
        if args.json {
            print_json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        print_line(&match &args.what {
            What::Create { .. } => text(&answer, "token"),
            What::List { .. } => table(&answer, backend.zone()),
            What::Revoke { .. } => format!("{} opens nothing any more.", text(&answer, "name")),
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

fn table(answer: &Value, zone: &Zone) -> String {
    let rows = answer.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return "No tokens.".to_owned();
    }
    let row = |row: &Value| {
        let scopes = row.get("scopes").and_then(Value::as_array).into_iter().flatten();
        let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
        let used = text(row, "last_used_at");
        let used = if used.is_empty() { "never".to_owned() } else { zone.localize(&used) };
        vec![text(row, "name"), text(row, "prefix"), scopes.join(","), used]
    };
    columns(&["NAME", "BEGINS", "SCOPES", "LAST USED"], rows.iter().map(row).collect())
}
