//! `recoup reconcile`: what each gateway says was captured, against the ledger, by day.
//!
//! Why here: the books are closed by a person; this tells them what differs before they do.
//!
//! What must stay true: it reads only; a gateway that cannot list what it captured is named.

use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::backend::{self, BackendArgs};
use super::list;
use super::offline::{NOT_WELL, finish, print_json, print_line};
use crate::core::money::Money;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup reconcile                                        the last 30 days
  recoup reconcile --since 2026-11-01 --until 2026-12-01
  recoup reconcile --json

Exit code 1 where anything differs. Nothing is written, here or at the gateways. Gateways whose API
lists no captures are named; what they say is in their own reports.")]
pub(super) struct Args {
    /// From then on.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before then.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Vec<OfGateway>,
}

#[derive(Debug, Deserialize)]
struct OfGateway {
    gateway: String,
    compared: bool,
    #[serde(default)]
    why_not: String,
    #[serde(default)]
    days: Vec<Day>,
    #[serde(default)]
    differences: Vec<Difference>,
    #[serde(default)]
    others: u64,
}

#[derive(Debug, Deserialize)]
struct Day {
    day: String,
    there: Money,
    here: Money,
    captures: u64,
    booked: u64,
}

#[derive(Debug, Deserialize)]
struct Difference {
    day: String,
    payment: Option<String>,
    invoice: Option<String>,
    case: Option<String>,
    text: String,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(backend::run(&args.backend, async |backend| {
        let span = list::span(backend.zone(), args.since.as_deref(), args.until.as_deref())?;
        let answer = backend.read_patiently(&["reports", "captures"], &list::parts(&span)).await?;
        let found = read(&answer)?;
        match args.json {
            true => print_json(&answer)?,
            false => print_line(&in_words(&found))?,
        }
        let differs = found.data.iter().any(|one| !one.differences.is_empty());
        Ok(if differs { ExitCode::from(NOT_WELL) } else { ExitCode::SUCCESS })
    }))
}

fn read(answer: &Value) -> anyhow::Result<Answer> {
    Answer::deserialize(answer).context("read the comparison that the service answered")
}

fn in_words(answer: &Answer) -> String {
    let mut lines = Vec::new();
    for one in &answer.data {
        one.tell(&mut lines);
    }
    lines.join("\n")
}

impl OfGateway {
    fn tell(&self, lines: &mut Vec<String>) {
        let Self { gateway, compared, why_not, days, differences, others } = self;
        if !compared {
            lines.push(format!("{gateway}: not compared ({why_not})"));
            return;
        }
        let said = match differences.len() {
            0 => "nothing differs".to_owned(),
            1 => "1 difference".to_owned(),
            many => format!("{many} differences"),
        };
        lines.push(format!("{gateway}: {said}; {others} captures are about no case of ours"));
        for Day { day, there, here, captures, booked } in days {
            let mark = if there == here && captures == booked { ' ' } else { '!' };
            lines.push(format!(
                "{mark} {day}  gateway {there} in {captures}  ledger {here} in {booked}"
            ));
        }
        for Difference { day, payment, invoice, case, text } in differences {
            let known = [payment, invoice, case];
            let known: Vec<_> = known.into_iter().flatten().map(String::as_str).collect();
            lines.push(format!("  {day}  {}: {text}", known.join(", ")));
        }
    }
}
