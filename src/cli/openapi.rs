//! `recoup openapi`: the description of the API.
//!
//! Why here: a client is generated, and a change reviewed, without a running service.
//!
//! What must stay true: it is what the service answers at `/api/v1/openapi.json`.

use std::process::ExitCode;

use super::offline::print_json;
use crate::http;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup openapi > openapi.json
  recoup openapi | schemathesis run - --url http://127.0.0.1:8080

The same document is at /api/v1/openapi.json of a service.")]
pub(super) struct Args {
    /// It is JSON in any case.
    #[arg(long, hide = true)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let _: bool = args.json;
    print_json(&http::openapi())?;
    Ok(ExitCode::SUCCESS)
}
