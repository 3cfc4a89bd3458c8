//! `recoup backtest`: what another routing would have earned, from a merchant's own log.
//!
//! What must stay true: the result goes to stdout, progress to stderr and only to a terminal; a bad
//! line is named, and left out only when that was asked for; exit code 1 says that the evidence
//! does not suffice to prefer our routing.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::offline::{NOT_WELL, Usage, finish, print_json, print_line, read_body};
use crate::lab::backtest::cold::{self, ColdOptions, ColdReport, Grain, Outages};
use crate::lab::backtest::log::{self, BadLine, Log};
use crate::lab::backtest::{self, BacktestOptions, BacktestReport, Judged, fees};

/// Bad lines that are shown before the rest is only counted.
const SHOWN: usize = 20;
/// After how many outcomes a cold start is looked at.
const MARKS: [usize; 3] = [1_000, 3_000, 10_000];

/// How finely made worlds tell attempts apart.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum GrainArg {
    /// By two facts at once.
    Coarse,
    /// By three facts at once.
    Fine,
}

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup backtest log.csv --fees fees.toml --value 50 --train-until 2026-02-01
  recoup backtest log.csv --fees fees.toml --value 50 --train-until 2026-02-01 --skip-bad --json
  recoup backtest log.csv --fees fees.toml --value 50 --cold-start --outages

The log is CSV with the columns attempted_at (RFC 3339), invoice, attempt (from 1), gateway,
country, network, three_ds (0, 1 or nothing), amount, approved (0 or 1); used where they are there:
propensity (with which probability the gateway was chosen), category (of the decline before),
technical (1: no bank was reached). The fees, in the log's own currency:

  [my_gateway]
  approved = 0.30        # taken when an attempt is approved
  approved_bps = 290     # and so much of the value, in basis points (optional)
  declined = 0.05        # taken when it is declined
  network_risk = 0.01    # what networks are expected to charge for a decline (optional)

Attempts before --train-until are learned from; on the others the logged routing, each gateway alone
and ours are compared. Exit code: 0 the evidence suffices to prefer ours, 1 it does not, 2 used
wrongly or the log has bad lines.")]
pub(super) struct Args {
    /// The log: a file, or `-` for standard input.
    #[arg(value_name = "LOG.csv")]
    log: PathBuf,
    /// What the gateways take, as TOML.
    #[arg(long, value_name = "F.toml")]
    fees: PathBuf,
    /// What an approved payment is worth, before fees.
    #[arg(long, value_name = "V")]
    value: String,
    /// Learn from what was attempted before this day (00:00 UTC) or moment.
    #[arg(long, value_name = "DATE", required_unless_present = "cold_start")]
    train_until: Option<String>,
    /// Leave bad lines out instead of refusing the log.
    #[arg(long)]
    skip_bad: bool,
    /// Watch the routing learn from nothing instead, in worlds made from the log.
    #[arg(long)]
    cold_start: bool,
    /// With gateways that fail at random for a while.
    #[arg(long, requires = "cold_start")]
    outages: bool,
    /// How finely the worlds tell attempts apart.
    #[arg(long, value_enum, default_value = "coarse", requires = "cold_start")]
    grain: GrainArg,
    /// How many worlds.
    #[arg(long, default_value_t = 8, requires = "cold_start")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    runs: u64,
    /// Of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(backtest(&args))
}

fn backtest(args: &Args) -> anyhow::Result<ExitCode> {
    let options = options(args)?;
    let log = read_log(args, &options)?;
    if args.cold_start {
        return cold_start(args, &log, options);
    }
    let terminal = std::io::stderr().is_terminal();
    let report = backtest::run(&log, &options, |doing| {
        if terminal {
            tell(doing);
        }
    });
    let report = report.map_err(|error| Usage::new(format!("failed to {error}")))?;
    if args.json {
        print_json(&serde_json::to_value(&report)?)?;
    } else {
        print(&report)?;
    }
    Ok(if report.suffices { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
}

fn options(args: &Args) -> anyhow::Result<BacktestOptions> {
    let name = args.fees.display();
    let text = std::fs::read_to_string(&args.fees)
        .map_err(|error| Usage::new(format!("the fees {name}: {error}")))?;
    let fees =
        fees::read(&text).map_err(|error| Usage::new(format!("{name}: failed to {error}")))?;
    let value = fees::exact(&args.value).filter(|value| *value > 0).ok_or_else(|| {
        Usage::new("--value is an amount above 0 with up to four decimals, e.g. 50")
    })?;
    let train_until = match &args.train_until {
        Some(text) => moment(text).ok_or_else(|| {
            Usage::new("--train-until is a day, e.g. 2026-02-01, or an RFC 3339 time")
        })?,
        None => Timestamp::MIN,
    };
    Ok(BacktestOptions { fees, value, train_until, seed: args.seed })
}

fn moment(text: &str) -> Option<Timestamp> {
    let midnight = |day: Date| day.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(|| midnight(text.parse().ok()?))
}

#[expect(
    clippy::print_stderr,
    reason = "what was left out is said where it does not mix with data"
)]
fn read_log(args: &Args, options: &BacktestOptions) -> anyhow::Result<Log> {
    let name = args.log.display();
    let log = log::read(&read_body(&args.log)?, &options.fees)
        .map_err(|bad| Usage::new(in_words(&name.to_string(), &bad)))?;
    if log.bad.is_empty() {
        return Ok(log);
    }
    let count = log.bad.len();
    let shown = log.bad.iter().take(SHOWN).map(|bad| in_words(&name.to_string(), bad));
    let mut lines: Vec<_> = shown.collect();
    if count > SHOWN {
        lines.push(format!("and {} more", count - SHOWN));
    }
    let lines = lines.join("\n  ");
    if !args.skip_bad {
        let help = "mend them, or leave them out with --skip-bad";
        return Err(Usage::new(format!("{count} bad lines; {help}\n  {lines}")).into());
    }
    eprintln!("recoup: {count} bad lines are left out\n  {lines}");
    Ok(log)
}

fn in_words(file: &str, bad: &BadLine) -> String {
    format!("{file}, line {}, field {}: {}", bad.line, bad.field, bad.why)
}

#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
fn tell(doing: &str) {
    eprint!("\r{doing:<40}\r");
}

fn print(report: &BacktestReport) -> std::io::Result<()> {
    print_line(&format!(
        "Learned from {} attempts, judged on {} of {} invoices; an approval is worth {:.2}.\n",
        report.trained, report.judged, report.invoices, report.value
    ))?;
    print_line(&format!(
        "{:<20} {:<26} {:<26} {:<22} {:>7}",
        "routing", "margin (SNIPS)", "margin (doubly robust)", "approved", "ESS"
    ))?;
    for policy in &report.policies {
        print_line(&row(policy))?;
    }
    print_line("")?;
    for above in &report.ours_above {
        let (snips, dr) = (above.snips, above.dr);
        print_line(&format!(
            "ours above {}: {:+.2} [{:+.2}, {:+.2}] by SNIPS, \
             {:+.2} [{:+.2}, {:+.2}] doubly robust",
            above.policy, snips.estimate, snips.low, snips.high, dr.estimate, dr.low, dr.high
        ))?;
    }
    for note in &report.notes {
        print_line(&format!("Note: {note}"))?;
    }
    if report.left_out > 0 {
        print_line(&format!("Note: {} bad lines were left out.", report.left_out))?;
    }
    print_line(&format!("\n{}", report.verdict))
}

fn row(policy: &Judged) -> String {
    let money = |figure: &backtest::estimate::Interval| {
        format!("{:.2} [{:.2}, {:.2}]", figure.estimate, figure.low, figure.high)
    };
    let share = &policy.success;
    let share = format!("{:.3} [{:.3}, {:.3}]", share.estimate, share.low, share.high);
    format!(
        "{:<20} {:<26} {:<26} {share:<22} {:>7.0}",
        policy.policy,
        money(&policy.snips),
        money(&policy.dr),
        policy.ess
    )
}

fn cold_start(args: &Args, log: &Log, backtest: BacktestOptions) -> anyhow::Result<ExitCode> {
    if log.lines.is_empty() {
        return Err(Usage::new("the log has no attempt to make a world from").into());
    }
    let outages = if args.outages { Outages::Random } else { Outages::None };
    let grain = match args.grain {
        GrainArg::Coarse => Grain::Coarse,
        GrainArg::Fine => Grain::Fine,
    };
    let options = ColdOptions { backtest, runs: args.runs, marks: MARKS.to_vec(), outages, grain };
    let terminal = std::io::stderr().is_terminal();
    let report = cold::run(log, &options, |run| {
        if terminal {
            tell(&format!("{run} of {} worlds", args.runs));
        }
    });
    if args.json {
        print_json(&serde_json::to_value(&report)?)?;
    } else {
        print_cold(&report).context("print the result")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_cold(report: &ColdReport) -> std::io::Result<()> {
    print_line(&format!(
        "{} worlds made from the log. Shares of the margin of an oracle that knows every \
         probability:\n",
        report.runs
    ))?;
    print_line(&format!(
        "{:>9}  {:<16} {:>13} {:>15} {:>13}",
        "outcomes", "ours so far", "last tenth", "without health", "best single"
    ))?;
    for mark in &report.marks {
        print_line(&format!(
            "{:>9}  {:<16} {:>13.3} {:>15.3} {:>13.3}",
            mark.outcomes,
            format!("{:.3} ± {:.3}", mark.share, 1.96 * mark.error),
            mark.lately,
            mark.without_health,
            mark.best_single
        ))?;
    }
    print_line(&format!(
        "\nThe best single gateway is known only afterwards. What was learned takes {} bytes.",
        report.state_bytes
    ))
}
