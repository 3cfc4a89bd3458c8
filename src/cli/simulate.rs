//! `recoup simulate`: what a schedule would have recovered, in a world that is known or made.
//!
//! What must stay true: the result goes to stdout, progress to stderr and only to a terminal; a
//! line that was left out is counted and said.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::offline::{Usage, finish, print_json, print_line};
use crate::lab::simulate::issuer::Model;
use crate::lab::simulate::model_file;
use crate::lab::simulate::tally::Difference;
use crate::lab::simulate::{self, MadeBy, Named, Options, Part, Report, Setting, world};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup simulate --world test.jsonl --train train.jsonl --attempts 3 --against tuned
  recoup simulate --train train.jsonl --folds 2 --attempts 1 --against tuned --against even
  recoup simulate --world test.jsonl --schedule days=3,8,15 --json
  recoup simulate --issuer-model --country CO --cases 20000 --gateways 2 --against tuned
  recoup simulate --issuer-model --country CO,US,EU --draw 1,2,3 --against tuned
  recoup simulate --print-model > my-banks.toml
  recoup simulate --issuer-model --model my-banks.toml --country US --against even

A world has one failed charge a line:
  {\"case\":\"c1\",\"customer\":\"u1\",\"group\":\"a\",\"failed_on\":\"2026-03-01\",
   \"category\":\"insufficient_funds\",\"past\":[[\"2026-01-30\",true]],\"opens\":[12,13,14]}
`opens`: the days after the failure on which a charge would be approved; for several gateways, which
are used in turn, {\"gateway_a\":[…],\"gateway_b\":[…]}. No schedule sees it.

The schedules: `smart` learns from the training file, else from the cases' past alone; `tuned` has
the best fixed days of the training file; `even`; `days=3,8,15`. --against plays another over the
same cases and gives the difference with its 95 % interval, by customer.

The issuer model is made up: --print-model prints its numbers with their sources, and --model plays
numbers of your own in a file of the same form. `smart` and `tuned` learn from a history of it that
is drawn apart.")]
pub struct Args {
    /// The cases to play.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// The cases to learn from.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Instead of a world: deal the training file's customers into so many parts, and play each
    /// by what was learned from the others.
    #[arg(long, value_name = "N", requires = "train", conflicts_with = "world",
          value_parser = clap::value_parser!(u64).range(2..=100))]
    folds: Option<u64>,
    /// The schedule: smart, even, tuned or days=3,8,15.
    #[arg(long, default_value = "smart", value_parser = schedule)]
    schedule: Named,
    /// A schedule to compare it with; repeat for more.
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule)]
    against: Vec<Named>,
    /// Attempts on the schedule at most.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=20))]
    attempts: Option<u32>,
    /// Days in which attempts are made.
    #[arg(long, value_name = "D", default_value_t = 28,
          value_parser = clap::value_parser!(u32).range(1..=60))]
    window: u32,
    /// Instead of a file: cases of the built-in issuer model.
    #[arg(long, conflicts_with_all = ["world", "train", "folds", "skip_bad"])]
    issuer_model: bool,
    /// The model's numbers from this file, in place of the built-in ones.
    #[arg(long, value_name = "FILE", requires = "issuer_model")]
    model: Option<PathBuf>,
    /// Print the built-in numbers as such a file, and do nothing else.
    #[arg(long)]
    print_model: bool,
    /// The country of the model's paydays: CO, US or EU, or one of the file's; several after
    /// commas.
    #[arg(
        long,
        value_name = "COUNTRY",
        value_delimiter = ',',
        default_value = "CO",
        requires = "issuer_model"
    )]
    country: Vec<String>,
    /// Which draw of the model's numbers; 0 is its own; several after commas.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "0",
        requires = "issuer_model"
    )]
    draw: Vec<u64>,
    /// Cases of the model, for each country and draw.
    #[arg(long, value_name = "N", default_value_t = 20_000, requires = "issuer_model",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    cases: u64,
    /// Cases of the history that is learned from.
    #[arg(long, value_name = "N", default_value_t = 20_000, requires = "issuer_model",
          value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    train_cases: u64,
    /// How the attempts of that history were made: on days spread at random, evenly spaced, or by
    /// the smart schedule itself, learning on the way.
    #[arg(long, value_enum, default_value = "spread", requires = "issuer_model")]
    history: History,
    /// Gateways of the model, used in turn.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "issuer_model",
          value_parser = clap::value_parser!(u8).range(1..=8))]
    gateways: u8,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out lines that cannot be read, and count them.
    #[arg(long)]
    skip_bad: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// How a history's attempts were made.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum History {
    Spread,
    Even,
    Itself,
}

/// Attempts where nothing else is said.
const ATTEMPTS: u32 = 4;

fn schedule(text: &str) -> Result<Named, String> {
    match text {
        "smart" => Ok(Named::Smart),
        "even" => Ok(Named::Even),
        "tuned" => Ok(Named::Tuned),
        _ => days(text).map(Named::Days).ok_or_else(|| {
            "must be smart, even, tuned, or days= and ascending days from 1 to 60".to_owned()
        }),
    }
}

fn days(text: &str) -> Option<Vec<u32>> {
    let days = text.strip_prefix("days=")?.split(',');
    let days = days.map(|day| day.trim().parse().ok()).collect::<Option<Vec<u32>>>()?;
    let ascending = days.windows(2).all(|two| two[0] < two[1]);
    let within = days.iter().all(|day| (1..=60).contains(day));
    (ascending && within && days.len() <= 20).then_some(days)
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(simulated(&args))
}

fn simulated(args: &Args) -> anyhow::Result<ExitCode> {
    if args.print_model {
        print_line(model_file::SHIPPED.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = options(args);
    let report =
        if args.issuer_model { of_model(args, &options)? } else { of_files(args, &options)? };
    if args.json {
        print_json(&serde_json::to_value(&report)?)?;
    } else {
        print_line(&in_words(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args) -> Options {
    let listed = match &args.schedule {
        Named::Days(days) => days.len() as u32,
        _ => ATTEMPTS,
    };
    Options {
        schedule: args.schedule.clone(),
        against: args.against.clone(),
        attempts: args.attempts.unwrap_or(listed),
        window: args.window,
        seed: args.seed,
    }
}

fn of_model(args: &Args, options: &Options) -> anyhow::Result<Report> {
    let file = match &args.model {
        Some(path) => model_file::read(path)?,
        None => model_file::shipped(),
    };
    let gateways = usize::from(args.gateways);
    let mut settings = Vec::new();
    for country in &args.country {
        for draw in &args.draw {
            let Some(model) = Model::new(&file, country, *draw, gateways) else {
                let known: Vec<_> = file.calendars.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(
                    Usage::new(format!("no country `{country}` in the model: {known}")).into()
                );
            };
            let (cases, train_cases) = (args.cases, args.train_cases);
            let history = match args.history {
                History::Spread => MadeBy::Spread,
                History::Even => MadeBy::Even,
                History::Itself => MadeBy::Itself,
            };
            let group = format!("{country} draw {draw}");
            settings.push(Setting { model, gateways, cases, train_cases, history, group });
        }
    }
    let mut progress = Progress::default();
    let report = simulate::of_models(&settings, options, |share| progress.show(share));
    progress.end();
    Ok(report)
}

fn of_files(args: &Args, options: &Options) -> anyhow::Result<Report> {
    let bad = if args.skip_bad { world::BadLines::Skip } else { world::BadLines::Refuse };
    let read = |path: &PathBuf| world::read(path, bad);
    let train = args.train.as_ref().map(read).transpose()?;
    let (train, skipped) = train.map_or((Vec::new(), 0), |train| (train.cases, train.skipped));
    let schedules = [std::slice::from_ref(&options.schedule), &options.against].concat();
    if train.is_empty() && schedules.contains(&Named::Tuned) {
        return Err(Usage::new("`tuned` is found on a training file: give one with --train").into());
    }
    let mut progress = Progress::default();
    let mut report = match (&args.world, args.folds) {
        (Some(path), _) => {
            let world = read(path)?;
            let mut report =
                simulate::of_world(&world.cases, &train, options, |share| progress.show(share));
            report.skipped_lines = world.skipped;
            report
        }
        (None, Some(folds)) => {
            simulate::cross_validated(&train, folds, options, |share| progress.show(share))
        }
        (None, None) => {
            let usage = "give the cases to play with --world, or --train and --folds";
            return Err(Usage::new(usage).into());
        }
    };
    progress.end();
    report.skipped_lines += skipped;
    if report.skipped_lines > 0 {
        say(&format!("{} bad lines were left out", report.skipped_lines));
    }
    Ok(report)
}

/// A share on a terminal's last line; nothing where there is none.
#[derive(Default)]
struct Progress {
    shown: Option<u32>,
}

impl Progress {
    #[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
    fn show(&mut self, share: f64) {
        let percent = (share * 100.0) as u32;
        if self.shown != Some(percent) && std::io::stderr().is_terminal() {
            self.shown = Some(percent);
            eprint!("\r{percent:>3} %");
        }
    }

    #[expect(clippy::print_stderr, reason = "progress is for the person at the terminal")]
    fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r     \r");
        }
    }
}

fn in_words(report: &Report) -> String {
    let Report { max_attempts, window_days, .. } = report;
    let [low, high] = report.recovered_share_interval.map(|bound| bound * 100.0);
    let mut lines = vec![
        format!("{}, at most {max_attempts} attempts in {window_days} days", report.schedule),
        format!("{}  (95 %: {low:.1} to {high:.1})", part_in_words("all", &report.sums)),
    ];
    if report.by_group.len() > 1 {
        lines.extend(report.by_group.iter().map(|(name, part)| part_in_words(name, part)));
    }
    for other in &report.against {
        lines.push(String::new());
        lines.push(format!("against {}", other.schedule));
        let all = (part_in_words("all", &other.sums), &other.difference);
        let groups = other.by_group.iter().filter(|_| other.by_group.len() > 1);
        let groups =
            groups.map(|(name, group)| (part_in_words(name, &group.sums), &group.difference));
        lines.extend(
            std::iter::once(all)
                .chain(groups)
                .map(|(part, difference)| format!("{part}; {}", difference_in_words(difference))),
        );
    }
    if report.training_cases > 0 {
        lines.push(format!("\nLearned from {} cases.", report.training_cases));
    }
    lines.join("\n")
}

fn difference_in_words(difference: &Difference) -> String {
    let [low, high] = difference.difference_interval.map(|bound| bound * 100.0);
    let points = difference.difference * 100.0;
    format!("we {points:+.2} points, 95 % {low:+.2} to {high:+.2}")
}

fn part_in_words(name: &str, part: &Part) -> String {
    let share = part.recovered_share * 100.0;
    let name = if name.is_empty() { "no group" } else { name };
    format!(
        "  {name:<10} {} of {} recovered, {share:.2} %, {:.2} attempts a case",
        part.recovered, part.cases, part.attempts_per_case
    )
}

#[expect(clippy::print_stderr, reason = "the command line's own messages go to stderr")]
fn say(text: &str) {
    eprintln!("recoup: {text}");
}
