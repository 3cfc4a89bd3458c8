//! `recoup check`: validates the merchant file and the texts of messages, offline.
//!
//! Why here: a merchant finds out what is wrong before customers do.
//!
//! What must stay true: warnings alone are exit code 0; no secret is printed.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{Config, Problem, Severity, Surroundings, brand, locate};
use crate::message::lint::{self, Finding};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  recoup check\n  recoup check --config shop.toml --json\n\n\
    Exit code: 0 the file can be used, 1 it cannot, 2 used wrongly.")]
pub(super) struct Args {
    /// The merchant file [default: recoup.toml, where there is one].
    #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON document: {"ok", "problems": […]}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let path = locate(args.config);
    let loaded = Config::load(path.as_deref(), &Surroundings::of_process(Vec::new()));
    let problems = match loaded {
        Ok(config) => {
            let texts = lint::check(&brand(&config)).into_iter().map(problem);
            config.warnings.into_iter().chain(texts).collect()
        }
        Err(errors) => errors.0,
    };
    let ok = problems.iter().all(|p| p.severity == Severity::Warning);
    if args.json {
        print_json(ok, &problems)?;
    } else {
        let name = path.map_or("the environment".to_owned(), |p| p.display().to_string());
        print_plain(&name, &problems);
    }
    Ok(ExitCode::from(u8::from(!ok)))
}

/// A finding of the message check, as a problem of the file that the text is in.
fn problem(finding: Finding) -> Problem {
    let Finding { kind, channel, locale, rule, .. } = &finding;
    let what = format!("{} by {} in {locale}", kind.words(), channel.as_str());
    Problem {
        severity: if rule.is_advice() { Severity::Warning } else { Severity::Error },
        key: format!("messages.{}", rule.as_str()),
        message: format!("{what}: rule `{}`: {}", rule.as_str(), finding.message),
        file: finding.file,
        line: Some(finding.line),
        column: Some(1),
        caret: None,
        suggestion: None,
        cure: Some("docs/MESSAGES.md has the rules; `recoup preview` shows the message".to_owned()),
    }
}

#[expect(clippy::print_stdout, reason = "the command's data goes to stdout")]
fn print_json(ok: bool, problems: &[Problem]) -> anyhow::Result<()> {
    let document = serde_json::json!({ "ok": ok, "problems": problems });
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line's own output")]
fn print_plain(name: &str, problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => println!("{name}: ok"),
        (0, warnings) => println!("{name}: ok, with {}", plural(warnings, "warning")),
        (errors, 0) => eprintln!("{name}: {}", plural(errors, "error")),
        (errors, warnings) => {
            eprintln!("{name}: {}, {}", plural(errors, "error"), plural(warnings, "warning"));
        }
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
