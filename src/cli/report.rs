//! `recoup report`: what came back, by what, and whether what was learned helped.
//!
//! Why here: the numbers of `GET /api/v1/reports/recovery`, for a person.
//!
//! What must stay true: every share stands beside its denominator; amounts of two currencies are
//! never added.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::backend::{self, BackendArgs};
use super::list;
use super::offline::{Usage, finish, print_file, print_json, print_line};
use super::show::{Zone, wrap};
use crate::core::money::Money;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup report
  recoup report --since 2026-01-01 --until 2026-04-01    cases that opened in the first quarter
  recoup report --json
  recoup report monthly --out november.html --month 2026-11      to be printed, or kept as PDF
  recoup report payments > payments.csv                          each capture, for accounting
  recoup report attempts > attempts.csv                          each attempt

A case counts when the 14th or 28th day after its failure is over; until then it is left out.
While no service runs, the store itself is read.")]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Only cases that opened from then on.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only cases that opened before.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Another report.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// A month as a page to be printed.
    Monthly(MonthlyArgs),
    /// What each gateway took: invoice, amount, fee, out-of-band mark, refund; as CSV.
    Payments(FileArgs),
    /// Every attempt that was sent, as CSV.
    Attempts(FileArgs),
}

#[derive(Debug, clap::Args)]
struct MonthlyArgs {
    /// Which month [default: the last one that is over].
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    backend: BackendArgs,
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// Only payments from then on.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only payments before.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    backend: BackendArgs,
}

/// The report, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Report {
    cases: u64,
    recovered: u64,
    windows: Vec<Window>,
    #[serde(default)]
    shadow: Option<Shadow>,
}

#[derive(Debug, Deserialize)]
struct Shadow {
    in_words: String,
    money: Vec<Owed>,
}

#[derive(Debug, Deserialize)]
struct Owed {
    owed: Money,
    paid: Money,
}

#[derive(Debug, Deserialize)]
struct Window {
    days: u32,
    too_young: u64,
    #[serde(flatten)]
    cases: Group,
    comparison: Option<Comparison>,
}

#[derive(Debug, Deserialize)]
struct Group {
    all: Share,
    retryable: Share,
    attempted: Share,
    recovered_by: RecoveredBy,
    attempts: u64,
    attempts_per_recovery: Option<f64>,
    money: Vec<MoneyShare>,
}

#[derive(Debug, Deserialize)]
struct Share {
    cases: u64,
    recovered: u64,
    share: Option<Interval>,
}

#[derive(Debug, Deserialize)]
struct Interval {
    estimate: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Deserialize)]
struct RecoveredBy {
    retry: u64,
    other_gateway: u64,
    card_update: u64,
    elsewhere: u64,
}

#[derive(Debug, Deserialize)]
struct MoneyShare {
    owed: Money,
    recovered: Money,
    share: Option<f64>,
    fees: Option<Money>,
    fees_per_recovery: Option<Money>,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    in_words: String,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        None => recovery(args),
        Some(What::Monthly(args)) => monthly(&args),
        Some(What::Payments(args)) => file("payments", &args),
        Some(What::Attempts(args)) => file("attempts", &args),
    }
}

fn monthly(args: &MonthlyArgs) -> anyhow::Result<ExitCode> {
    finish(backend::run(&args.backend, async |backend| {
        let query: Vec<_> = args.month.iter().map(|month| ("month", month.as_str())).collect();
        let page = backend.file(&["reports", "monthly"], &query).await?;
        std::fs::write(&args.out, page).with_context(|| format!("write {}", args.out.display()))?;
        print_line(&format!("{}: open it in a browser, and print it", args.out.display()))?;
        Ok(ExitCode::SUCCESS)
    }))
}

fn file(name: &str, args: &FileArgs) -> anyhow::Result<ExitCode> {
    finish(backend::run(&args.backend, async |backend| {
        let span = list::span(backend.zone(), args.since.as_deref(), args.until.as_deref())?;
        if name != "payments" && !span.is_empty() {
            return Err(Usage::new("--since and --until are for payments").into());
        }
        let query = [vec![("format", "csv")], list::parts(&span)].concat();
        print_file(&backend.file(&[name], &query).await?)?;
        Ok(ExitCode::SUCCESS)
    }))
}

fn recovery(args: Args) -> anyhow::Result<ExitCode> {
    finish(backend::run(&args.backend, async |backend| {
        let span = list::span(backend.zone(), args.since.as_deref(), args.until.as_deref())?;
        let report = backend.read_patiently(&["reports", "recovery"], &list::parts(&span)).await?;
        if args.json {
            print_json(&report)?;
        } else {
            print_line(&in_words(report)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }))
}

/// A moment that a flag names.
pub(super) fn moment(zone: &Zone, flag: &str, text: Option<&str>) -> Result<Option<String>, Usage> {
    let Some(text) = text else { return Ok(None) };
    let at: Option<Timestamp> = zone.parse(text);
    let wrong = || format!("{flag} {text}: a time reads 2026-01-31 or 2026-01-31T09:00:00Z");
    at.map(|at| Some(at.to_string())).ok_or_else(|| Usage::new(wrong()))
}

fn in_words(report: Value) -> anyhow::Result<String> {
    let report =
        Report::deserialize(report).context("read the report that the service answered")?;
    let Report { cases, recovered, windows, shadow } = report;
    let mut lines = Vec::new();
    if let Some(Shadow { in_words, money }) = shadow {
        lines.push(wrap("", None, &in_words));
        let line = |Owed { owed, paid }: &Owed| format!("  {paid} of {owed} was paid");
        lines.extend(money.iter().map(line));
        if cases == 0 {
            return Ok(lines.join("\n"));
        }
        lines.push(String::new());
    }
    lines.push(format!("{cases} payments failed; {recovered} are back so far."));
    for window in &windows {
        lines.push(String::new());
        window.tell(&mut lines);
    }
    Ok(lines.join("\n"))
}

impl Window {
    fn tell(&self, lines: &mut Vec<String>) {
        let Self { days, too_young, cases, comparison } = self;
        let young = match too_young {
            0 => String::new(),
            1 => " (1 case is not as old yet, and is left out)".to_owned(),
            many => format!(" ({many} cases are not as old yet, and are left out)"),
        };
        lines.push(format!("Back within {days} days{young}"));
        for (name, share) in [
            ("of all cases", &cases.all),
            ("of those that may be charged again", &cases.retryable),
            ("of those that were charged again", &cases.attempted),
        ] {
            lines.push(format!("  {name:<36}{}", share.in_words()));
        }
        for money in &cases.money {
            let share = money.share.map(|share| format!(": {:.1} %", share * 100.0));
            let name = format!("of what was owed in {}", money.owed.currency);
            let share = share.unwrap_or_default();
            lines.push(format!("  {name:<36}{} of {}{share}", money.recovered, money.owed));
        }
        let by = &cases.recovered_by;
        lines.push(format!(
            "  by a retry {}, another gateway {}, a card update {}, elsewhere {}",
            by.retry, by.other_gateway, by.card_update, by.elsewhere
        ));
        let each = cases.attempts_per_recovery.map(|each| format!(", {each:.2} for each recovery"));
        lines.push(format!("  {} attempts{}", cases.attempts, each.unwrap_or_default()));
        for money in &cases.money {
            if let (Some(fees), Some(each)) = (money.fees, money.fees_per_recovery) {
                lines.push(format!("  {fees} of fees, {each} for each recovery"));
            }
        }
        if let Some(comparison) = comparison {
            lines.push(wrap("  ", Some("  "), &comparison.in_words));
        }
    }
}

impl Share {
    fn in_words(&self) -> String {
        let Self { cases, recovered, share } = self;
        let Some(Interval { estimate, low, high }) = share else { return "none".to_owned() };
        let percent = |share: &f64| share * 100.0;
        format!(
            "{recovered} of {cases}: {:.1} % ({:.1} to {:.1})",
            percent(estimate),
            percent(low),
            percent(high)
        )
    }
}
