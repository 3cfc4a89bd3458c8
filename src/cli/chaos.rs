//! `recoup chaos`: made histories that go wrong, and the rules that hold all the same.
//!
//! What must stay true: the result goes to stdout, progress to stderr and only to a terminal; a
//! violation is told with the command that repeats it.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::real_now;
use crate::lab::chaos::{self, ChaosOptions, ChaosReport, Scenario, StoreKind, Violation};

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
  recoup chaos --runs 1000000                       on all cores; the trace hash stays the same
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
    /// On how many threads; left out: one for each core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Leave these draws out: what a shortened story is told without.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    without: Vec<u64>,
    /// So many lines of the story of a violation at most.
    #[arg(long, value_name = "LINES", default_value_t = 90)]
    story: usize,
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
    let without = args.without.iter().copied().collect();
    let new = ChaosOptions::new(args.seed, args.runs);
    let options = ChaosOptions { store, scenario, without, story: args.story, ..new };
    let terminal = std::io::stderr().is_terminal();
    let threads = args.threads.unwrap_or_else(threads);
    let began = real_now();
    let report = chaos::run_on(&options, threads, |report| {
        if terminal {
            progress(report, args.runs, began);
        }
    });
    let measured = Measured::of(&report, threads, began);
    print(&report, &measured, &args)?;
    Ok(ExitCode::from(u8::from(report.violations > 0)))
}

/// How fast it was: no part of the report, which is the same for the same seeds.
#[derive(Debug, Serialize)]
struct Measured {
    threads: usize,
    seconds: f64,
    seeds_per_second: f64,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a ChaosReport,
    #[serde(flatten)]
    measured: &'a Measured,
}

impl Measured {
    fn of(report: &ChaosReport, threads: usize, began: Timestamp) -> Self {
        let seconds = real_now().duration_since(began).as_secs_f64();
        Self { threads, seconds, seeds_per_second: speed(report, began) }
    }
}

fn speed(report: &ChaosReport, began: Timestamp) -> f64 {
    let seconds = real_now().duration_since(began).as_secs_f64();
    report.runs as f64 / seconds.max(0.001)
}

/// One thread for each core.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read_scenario(path: &PathBuf) -> anyhow::Result<Scenario> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("read {name}"))?;
    toml::from_str(&text).with_context(|| format!("understand the scenario in {name}"))
}

#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
fn progress(report: &ChaosReport, runs: u64, began: Timestamp) {
    let end = if report.runs == runs { "\n" } else { "" };
    let speed = speed(report, began);
    eprint!(
        "\r{} of {runs} histories, {speed:.0} a second, {} violations{end}",
        report.runs, report.violations
    );
}

#[expect(clippy::print_stdout, reason = "the result")]
fn print(report: &ChaosReport, measured: &Measured, args: &Args) -> anyhow::Result<()> {
    if args.json {
        let all = Told { report, measured };
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{} histories from seed {}: {}", report.runs, report.seed, verdict(report));
    println!(
        "  trace hash {}; {:.0} histories a second on {} threads",
        report.trace_hash, measured.seeds_per_second, measured.threads
    );
    for (name, count) in &report.counts {
        println!("  {count:>9}  {}", name.replace('_', " "));
    }
    for violation in &report.found {
        println!("\n{} in history {}: {}", violation.rule, violation.seed, violation.what);
        println!("  repeat it: {}", repeat(violation, args));
        println!("  keep it:   {}", regression(violation, args));
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

/// The line of `tests/chaos/regressions.txt` that replays it.
fn regression(violation: &Violation, args: &Args) -> String {
    let name = args.scenario.as_ref().and_then(|path| path.file_stem());
    let name = name.map_or_else(|| "-".into(), |name| name.to_string_lossy());
    format!("{} {name} {}", violation.seed, violation.what)
}

fn repeat(violation: &Violation, args: &Args) -> String {
    let mut command = format!("recoup chaos --seed {} --runs 1", violation.seed);
    if !violation.without.is_empty() {
        let without: Vec<_> = violation.without.iter().map(u64::to_string).collect();
        command.push_str(&format!(" --without {}", without.join(",")));
    }
    if matches!(args.store, Over::Sled) {
        command.push_str(" --store sled");
    }
    if let Some(path) = &args.scenario {
        command.push_str(&format!(" --scenario {}", path.display()));
    }
    command
}
