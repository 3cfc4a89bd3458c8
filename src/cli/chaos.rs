//! `recoup chaos`: made histories that go wrong, and the rules that hold all the same.
//!
//! What must stay true: the result goes to stdout, progress to stderr and only to a terminal; a
//! violation is told with the command that repeats it.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::lab::chaos::{self, ChaosOptions, ChaosReport, Scenario, StoreKind};

/// Over which store.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Over {
    Memory,
    Sled,
}

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup chaos --runs 200
  recoup chaos --seed 42 --runs 1 --store sled      one history again, over the embedded store

Exit code: 0 no rule was broken, 1 one was; each violation is printed with the command that
repeats it.")]
pub struct Args {
    /// The first history; the others follow by number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many histories.
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// Which store they run over.
    #[arg(long, value_enum, default_value = "memory")]
    store: Over,
    /// A TOML file that says how rough the world is.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let scenario = match &args.scenario {
        Some(path) => read_scenario(path)?,
        None => Scenario::default(),
    };
    let store = match args.store {
        Over::Memory => StoreKind::Memory,
        Over::Sled => StoreKind::Sled,
    };
    let options = ChaosOptions { store, scenario, ..ChaosOptions::new(args.seed, args.runs) };
    let terminal = std::io::stderr().is_terminal();
    let report = chaos::run_with(&options, |report| {
        if terminal && (report.runs % 50 == 0 || report.runs == args.runs) {
            progress(report, args.runs);
        }
    });
    print(&report, &args)?;
    Ok(ExitCode::from(u8::from(report.violations > 0)))
}

fn read_scenario(path: &PathBuf) -> anyhow::Result<Scenario> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("read {name}"))?;
    toml::from_str(&text).with_context(|| format!("understand the scenario in {name}"))
}

#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
fn progress(report: &ChaosReport, runs: u64) {
    let end = if report.runs == runs { "\n" } else { "" };
    eprint!("\r{} of {runs} histories, {} violations{end}", report.runs, report.violations);
}

#[expect(clippy::print_stdout, reason = "the result")]
fn print(report: &ChaosReport, args: &Args) -> anyhow::Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    println!("{} histories from seed {}: {}", report.runs, report.seed, verdict(report));
    for (name, count) in &report.counts {
        println!("  {count:>9}  {}", name.replace('_', " "));
    }
    for violation in &report.found {
        println!("\n{} in history {}: {}", violation.rule, violation.seed, violation.what);
        println!("  repeat it: {}", repeat(violation.seed, args));
        for line in &violation.story {
            println!("    {line}");
        }
    }
    Ok(())
}

fn verdict(report: &ChaosReport) -> String {
    match report.violations {
        0 => "no rule was broken".to_owned(),
        count => format!("{count} violations in {} histories", report.violating_runs),
    }
}

fn repeat(seed: u64, args: &Args) -> String {
    let mut command = format!("recoup chaos --seed {seed} --runs 1");
    if matches!(args.store, Over::Sled) {
        command.push_str(" --store sled");
    }
    if let Some(path) = &args.scenario {
        command.push_str(&format!(" --scenario {}", path.display()));
    }
    command
}
