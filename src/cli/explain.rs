//! `recoup explain`: the ledger of a case, in words.
//!
//! Why here: "why did you (not) charge my customer?" must have an answer that a person can read.
//!
//! What must stay true: every entry is shown, in its order; nothing is made up.

use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{self, BackendArgs};
use super::offline::{print_json, print_line};
use super::show::{CaseView, TIME_WIDTH, Zone, find_case, id_of, wrap};
use crate::core::ledger::Decision;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup explain case_b3ba9a0e05554a3c7fe2
  recoup explain in_42                              by its invoice
  recoup explain in_42 --json

Signs: ✗ opened   · decided, done   ↻ an attempt and its outcome   ✉ message
       ← told by a gateway or a person   ! to look at   ■ ended")]
pub(super) struct Args {
    /// The case, or its invoice.
    #[arg(value_name = "CASE")]
    case: String,
    /// Print one JSON document: {"case", "ledger": […]}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// A ledger entry as the API shows it.
#[derive(Debug, Deserialize)]
struct Entry {
    at: Timestamp,
    kind: String,
    text: String,
    decision: Option<Decision>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    backend::run(&args.backend, async |backend| {
        let case = find_case(backend, &args.case).await?;
        let mut list = backend.get(&["cases", id_of(&case)?, "ledger"], &[]).await?;
        let ledger = list.get_mut("data").map(Value::take).unwrap_or_default();
        if args.json {
            print_json(&json!({ "case": case, "ledger": ledger }))?;
        } else {
            let ledger = Vec::<Entry>::deserialize(ledger);
            let ledger = ledger.context("read the ledger that the service answered")?;
            print_line(&in_words(&CaseView::read(&case)?, &ledger, backend.zone()))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn in_words(case: &CaseView, ledger: &[Entry], zone: &Zone) -> String {
    let mut lines = vec![case.header(zone), String::new()];
    let indent = " ".repeat(TIME_WIDTH + 4);
    for entry in ledger {
        let first = format!("{}  {} ", zone.show(entry.at), mark(&entry.kind));
        lines.push(wrap(&first, None, &zone.localize(&entry.text)));
        let Some(decision) = &entry.decision else { continue };
        if !entry.text.contains(&decision.why) {
            let why = zone.localize(&decision.why);
            lines.push(wrap(&format!("{indent}why: "), None, &why));
        }
        for one in &decision.considered {
            lines.push(wrap(
                &format!("{indent}considered: "),
                None,
                &zone.localize(&one.to_string()),
            ));
        }
    }
    lines.push(format!("\nTimes are {}.", zone.name()));
    lines.join("\n")
}

/// One sign a kind, as in the demo; a kind that is not known yet has none.
fn mark(kind: &str) -> char {
    match kind {
        "acted" | "decided" => '·',
        "attempt_outcome" | "attempt_sent" => '↻',
        "ended" => '■',
        "event" | "person" => '←',
        "flagged" => '!',
        "message" => '✉',
        "opened" => '✗',
        _ => ' ',
    }
}
