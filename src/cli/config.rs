//! `recoup config schema`: the JSON Schema of the merchant file.
//!
//! Why here: an editor completes and checks `recoup.toml` while it is written.
//!
//! What must stay true: it is made from the keys that the file is checked against.

use std::process::ExitCode;

use super::offline::print_json;
use crate::config::json_schema;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup config schema > recoup.schema.json

Name it in the first line of recoup.toml, and editors with a TOML language server use it:
  #:schema ./recoup.schema.json")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// It is JSON in any case.
    #[arg(long, hide = true, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the JSON Schema of the merchant file.
    Schema,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let _: bool = args.json;
    match args.what {
        What::Schema => print_json(&json_schema())?,
    }
    Ok(ExitCode::SUCCESS)
}
