//! `recoup policy`: which versions there are, and moving cases to another; `recoup plan --diff`.
//!
//! Why here: a case keeps the policy that it began with. Who changes the merchant file and wants it
//! to hold for cases under way says so, and sees first what it would do to them.
//!
//! What must stay true: `--dry-run` and `--diff` change nothing; a case is moved by an input of the
//! inbox, once; without a service nothing is applied, only kept.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::compose::policy_of;
use super::offline::{NOT_WELL, finish, print_json, print_line};
use super::show::{Zone, find_case, id_of, words};
use crate::config::{Config, Surroundings};
use crate::core::case::State;
use crate::core::policy::Policy;
use crate::lab::change::{Change, Outlook};

/// Cases in one answer of the API.
const PAGE: &str = "100";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup policy list                                     versions, and the open cases of each
  recoup policy show pol_0a1b2c3d4e5f60718293
  recoup plan --diff recoup.toml                         what moving would change
  recoup policy migrate --to recoup.toml --all --dry-run
  recoup policy migrate --to recoup.toml --all
  recoup policy migrate --to recoup.toml --case in_42

A changed merchant file holds for new cases; open ones keep the policy that they began with. A move
starts nothing over: the window counts from where it began, and attempts that were made are made.
Restart the service with the new file first, so that it has the gateways that the file names.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The versions, and how many open cases each has.
    List {
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// One version, with everything that it says.
    Show {
        /// The version.
        #[arg(value_name = "VERSION")]
        version: String,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Move open cases to the policy of a merchant file.
    Migrate(Migrate),
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["case", "all"])))]
struct Migrate {
    /// The merchant file.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// This case, by its id or its invoice.
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
    /// Every open case.
    #[arg(long)]
    all: bool,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// A version as the API shows it.
#[derive(Debug, Deserialize)]
struct Version {
    version: String,
    current: bool,
    open_cases: u64,
    schedule: Value,
    max_attempts: u32,
    window_days: u32,
    holdout: f64,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let json = args.json;
    finish(match args.what {
        What::List { backend } => backend::run(&backend, async |b| list(b, json).await),
        What::Show { version, backend } => backend::run(&backend, async |backend| {
            let found = backend.get(&["policies", &version], &[]).await?;
            if json {
                print_json(&found)?;
            } else {
                print_line(&Version::deserialize(&found)?.line())?;
                let policy = found.get("policy").cloned().unwrap_or_default();
                print_line(&serde_json::to_string_pretty(&policy)?)?;
            }
            Ok(ExitCode::SUCCESS)
        }),
        What::Migrate(args) => backend::run(&args.backend, async |backend| {
            let policy = read(&args.to)?;
            let change = Wanted::of(backend, &policy, args.case.as_deref()).await?;
            if args.dry_run {
                return change.show(backend.zone(), json);
            }
            migrate(backend, &policy, &change, json).await
        }),
    })
}

/// What the policy of this file would change for every open case.
pub(super) fn diff(file: &Path, backend: &BackendArgs, json: bool) -> anyhow::Result<ExitCode> {
    backend::run(backend, async |backend| {
        Wanted::of(backend, &read(file)?, None).await?.show(backend.zone(), json)
    })
}

fn read(file: &Path) -> anyhow::Result<Policy> {
    let config = Config::load(Some(file), &Surroundings::of_process(Vec::new()));
    let config =
        config.map_err(|problems| anyhow::anyhow!("read {}\n{problems}", file.display()))?;
    Ok(policy_of(&config))
}

impl Version {
    fn line(&self) -> String {
        let schedule = self.schedule.as_str().map_or_else(|| self.schedule.to_string(), words);
        let Self { version, open_cases, max_attempts, window_days, .. } = self;
        let current = if self.current { ", holds for new cases" } else { "" };
        let holdout = match self.holdout {
            0.0 => String::new(),
            share => format!(", {} % held out", share * 100.0),
        };
        format!(
            "{version}  {schedule}, {max_attempts} attempts in {window_days} days{holdout}: \
             {open_cases} open cases{current}"
        )
    }
}

async fn list(backend: &Backend, json: bool) -> anyhow::Result<ExitCode> {
    let list = backend.read_patiently(&["policies"], &[]).await?;
    if json {
        print_json(&list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let versions = list.get("data").cloned().unwrap_or_default();
    for version in Vec::<Version>::deserialize(versions).context("read the list of policies")? {
        print_line(&version.line())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What would change, case by case.
struct Wanted {
    version: String,
    cases: Vec<Change>,
}

impl Wanted {
    async fn of(backend: &Backend, policy: &Policy, case: Option<&str>) -> anyhow::Result<Self> {
        let body = serde_json::to_value(policy)?;
        let mut wanted = Self { version: policy.version(), cases: Vec::new() };
        if let Some(named) = case {
            let case = find_case(backend, named).await?;
            wanted.page(backend, &body, &[("case", id_of(&case)?)]).await?;
            return Ok(wanted);
        }
        for state in State::ALL.into_iter().filter(|state| !state.is_ended()) {
            let mut after: Option<String> = None;
            loop {
                let mut query = vec![("state", state.as_str()), ("limit", PAGE)];
                query.extend(after.as_deref().map(|after| ("starting_after", after)));
                after = wanted.page(backend, &body, &query).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(wanted)
    }

    /// Takes over one page; what to go on from, if there is more.
    async fn page(
        &mut self,
        backend: &Backend,
        policy: &Value,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Option<String>> {
        let mut page = backend.ask_with(&["policies", "diff"], query, policy).await?;
        let data = page.get_mut("data").map(Value::take).unwrap_or_default();
        let cases = Vec::<Change>::deserialize(data).context("read what would change")?;
        self.cases.extend(cases);
        let more = page.get("has_more").and_then(Value::as_bool) == Some(true);
        let last = page.get("last").and_then(Value::as_str).map(str::to_owned);
        Ok(last.filter(|_| more))
    }

    fn summary(&self) -> Value {
        let of = |kind: fn(&Change) -> bool| self.cases.iter().filter(|c| kind(c)).count();
        let sum = |of: fn(&Outlook) -> usize| {
            let now: usize = self.cases.iter().map(|case| of(&case.now)).sum();
            let then = |case: &Change| of(case.then.as_ref().unwrap_or(&case.now));
            json!({ "now": now, "then": self.cases.iter().map(then).sum::<usize>() })
        };
        json!({
            "cases": self.cases.len(),
            "changed": of(|case| case.changed),
            "not_movable": of(|case| case.not_moved.is_some()),
            "attempts": sum(|outlook| outlook.attempts),
            "messages": sum(|outlook| outlook.messages),
        })
    }

    fn show(&self, zone: &Zone, json: bool) -> anyhow::Result<ExitCode> {
        let summary = self.summary();
        if json {
            let version = &self.version;
            print_json(&json!({ "version": version, "summary": summary, "data": self.cases }))?;
            return Ok(ExitCode::SUCCESS);
        }
        for case in self.cases.iter().filter(|case| case.changed || case.not_moved.is_some()) {
            print_line(&line(case, zone))?;
        }
        print_line(&format!(
            "{} open cases; {} would change, {} cannot be moved. Attempts to come: {}, then {}; \
             messages: {}, then {}. Nothing was changed.",
            summary["cases"],
            summary["changed"],
            summary["not_movable"],
            summary["attempts"]["now"],
            summary["attempts"]["then"],
            summary["messages"]["now"],
            summary["messages"]["then"]
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn line(change: &Change, zone: &Zone) -> String {
    let at = |at| zone.show(at).replace("  ", " ");
    let outlook = |o: &Outlook| {
        let next = o.next_attempt_at.map_or_else(|| "no attempt".to_owned(), at);
        let end = o.ends_at.map_or_else(|| "open".to_owned(), at);
        let (attempts, messages) = (o.attempts, o.messages);
        format!("next {next}, {attempts} attempts, {messages} messages, ends {end}")
    };
    let head = format!("{}  {}", change.case, change.invoice);
    match (&change.then, &change.not_moved) {
        (Some(then), _) => {
            format!("{head}\n  now   {}\n  then  {}", outlook(&change.now), outlook(then))
        }
        (None, why) => format!("{head}\n  {}", why.as_deref().unwrap_or("cannot be moved")),
    }
}

async fn migrate(
    backend: &Backend,
    policy: &Policy,
    wanted: &Wanted,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let version = wanted.version.as_str();
    backend.post(&["policies"], &serde_json::to_value(policy)?).await?;
    let (mut moved, mut refused) = (Vec::new(), Vec::new());
    for change in &wanted.cases {
        if let Some(why) = &change.not_moved {
            refused.push(json!({ "case": change.case, "why": why }));
        } else if change.policy_version != version {
            let body = json!({ "to": version });
            backend.post(&["cases", &change.case, "policy"], &body).await?;
            moved.push(change.case.clone());
        }
    }
    let (applied, count) = (backend.applies(), moved.len());
    if json {
        print_json(&json!({
            "version": version, "moved": moved, "not_moved": refused, "applied": applied
        }))?;
    } else {
        let later = if applied { "" } else { "; kept, and applied when `recoup serve` runs" };
        print_line(&format!(
            "{count} cases moved to {version}, {} not moved, {} had it already{later}.",
            refused.len(),
            wanted.cases.len() - count - refused.len()
        ))?;
    }
    let well = refused.is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
}
