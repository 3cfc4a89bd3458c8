//! `recoup cases`: the list of cases.
//!
//! Why here: what the dashboard's list shows, for a terminal and for scripts.
//!
//! What must stay true: newest first; what is left out is said.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::backend::{self, BackendArgs};
use super::list;
use super::offline::{print_file, print_json, print_line};
use super::show::{CaseView, Zone, words};
use crate::core::case::State;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup cases
  recoup cases --state awaiting_customer
  recoup cases --customer cus_42 --json
  recoup cases --csv > cases.csv
  recoup cases --url https://pay.company.example       a service elsewhere

Newest first. While no service runs, the store itself is read.
`recoup explain CASE` says why a case stands where it stands.")]
pub(super) struct Args {
    /// Only cases in this state.
    #[arg(long, value_name = "STATE",
        value_parser = PossibleValuesParser::new(State::ALL.map(State::as_str)))]
    state: Option<String>,
    /// Only cases of this customer.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only the case of this invoice.
    #[arg(long, value_name = "ID")]
    invoice: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print every case that passes, of all pages, as CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON document: {"data": […], "has_more"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    backend::run(&args.backend, async |backend| {
        if args.csv {
            let mut query = filters(&args);
            query.push(("format", "csv"));
            print_file(&backend.file(&["cases"], &query).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let (cases, has_more) = list::read(backend, "cases", &filters(&args), args.limit).await?;
        if args.json {
            print_json(&json!({ "data": cases, "has_more": has_more }))?;
        } else {
            print_table(&cases, has_more, backend.zone())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn filters(args: &Args) -> Vec<list::Part<'_>> {
    list::given([("state", &args.state), ("customer", &args.customer), ("invoice", &args.invoice)])
}

fn print_table(cases: &[Value], has_more: bool, zone: &Zone) -> anyhow::Result<()> {
    if cases.is_empty() {
        return Ok(print_line("No cases.")?);
    }
    let mut rows = vec![["CASE", "STATE", "AMOUNT", "CUSTOMER", "NEXT"].map(str::to_owned)];
    for case in cases {
        let case = CaseView::read(case)?;
        rows.push([
            case.id.clone(),
            words(&case.state),
            case.amount.to_string(),
            case.customer.clone().unwrap_or_else(|| "-".to_owned()),
            case.next_line(zone),
        ]);
    }
    print_line(&table(&rows))?;
    if has_more {
        print_line(&format!("\n{} shown; there are more: raise --limit", cases.len()))?;
    }
    print_line(&format!("\nTimes are {}.", zone.name()))?;
    Ok(())
}

/// Columns as wide as their widest cell; amounts to the right.
fn table(rows: &[[String; 5]]) -> String {
    const AMOUNT: usize = 2;
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if column == AMOUNT { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
