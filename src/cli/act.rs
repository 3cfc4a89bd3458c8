//! `recoup retry`, `pause`, `resume`, `stop`, `link`: what the dashboard's buttons do.
//!
//! Why here: a person's action is an input of the inbox like any other. While a service runs, it is
//! applied before the answer; while none runs, it is kept until one does.
//!
//! What must stay true: these commands charge nobody themselves; exit code 1 means that nothing was
//! changed, and why is on stderr.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::offline::{NOT_WELL, Usage, finish, print_json, print_line};
use super::show::{CaseView, find_case, id_of};

/// What every action takes.
#[derive(Debug, clap::Args)]
struct On {
    /// The case, or its invoice.
    #[arg(value_name = "CASE")]
    case: String,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// What actions take that can be on everything.
#[derive(Debug, clap::Args)]
struct OnOrAll {
    /// The case, or its invoice.
    #[arg(value_name = "CASE", required_unless_present = "all", conflicts_with = "all")]
    case: Option<String>,
    /// Everything at once, also what fails from now on.
    #[arg(long)]
    all: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

impl OnOrAll {
    /// The case; `None`: everything.
    fn one(self) -> Result<On, (bool, BackendArgs)> {
        match self.case {
            Some(case) => Ok(On { case, json: self.json, backend: self.backend }),
            None => Err((self.json, self.backend)),
        }
    }
}

/// Arguments of `retry`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup retry case_b3ba9a0e05554a3c7fe2
  recoup retry in_42                                by its invoice

The schedule does not hold it; the rules of the card networks do. While no service runs, the
action is kept and is applied when one does.")]
pub(super) struct RetryArgs {
    #[command(flatten)]
    on: On,
}

/// Arguments of `pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup pause in_42
  recoup pause in_42 --until 2026-01-31             that day's first moment, in the merchant's zone
  recoup pause in_42 --until 2026-01-31T09:00:00Z
  recoup pause --all                                the panic switch: holds everything at once

Nothing is charged and nobody is written to meanwhile. An attempt that is under way is still
looked up. --all survives restarts and holds what fails from now on too, until `recoup resume
--all`; webhooks are taken as ever, and what is paid ends.")]
pub(super) struct PauseArgs {
    #[command(flatten)]
    on: OnOrAll,
    /// Go on by itself then. [default: when resumed]
    #[arg(long, value_name = "TIME", conflicts_with = "all")]
    until: Option<String>,
}

/// Arguments of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup resume in_42
  recoup resume case_b3ba9a0e05554a3c7fe2 --json
  recoup resume --all                               ends `recoup pause --all`

After --all each case goes on at a moment of its own within the hour. Cases that were paused one by
one stay paused.")]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    on: OnOrAll,
}

/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup stop in_42
  recoup stop in_42 --reason 'paid by bank transfer next week'

The case ends for good: no attempt and no message after that. The invoice and the subscription
stay as they are.")]
pub(super) struct StopArgs {
    #[command(flatten)]
    on: On,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Arguments of `link`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup link in_42
  recoup link case_b3ba9a0e05554a3c7fe2 --json

Who has the link can change the card of this customer's payment: treat it as a secret.")]
pub(super) struct LinkArgs {
    #[command(flatten)]
    on: On,
}

/// Runs `retry`.
pub(super) fn retry(args: RetryArgs) -> anyhow::Result<ExitCode> {
    act(&args.on, "retry", json!({}))
}

/// Runs `pause`.
pub(super) fn pause(args: PauseArgs) -> anyhow::Result<ExitCode> {
    let until = args.until.as_deref();
    let on = match args.on.one() {
        Ok(on) => on,
        Err(all) => return everything(all, Switch::Hold),
    };
    finish(backend::run(&on.backend, async |backend| {
        let at = until.map(|text| {
            let wrong = format!("--until {text}: a time reads 2026-01-31 or 2026-01-31T09:00:00Z");
            backend.zone().parse(text).ok_or_else(|| Usage::new(wrong))
        });
        let body = match at.transpose()? {
            Some(at) => json!({ "until": at }),
            None => json!({}),
        };
        act_by(backend, &on, ("pause", body)).await
    }))
}

/// Runs `resume`.
pub(super) fn resume(args: ResumeArgs) -> anyhow::Result<ExitCode> {
    match args.on.one() {
        Ok(on) => act(&on, "resume", json!({})),
        Err(all) => everything(all, Switch::GoOn),
    }
}

/// Which way the switch over everything is set.
#[derive(Debug, Clone, Copy)]
enum Switch {
    Hold,
    GoOn,
}

fn everything((json, backend): (bool, BackendArgs), switch: Switch) -> anyhow::Result<ExitCode> {
    backend::run(&backend, async |backend| {
        let told = match switch {
            Switch::Hold => backend.post(&["hold"], &json!({})).await?,
            Switch::GoOn => backend.delete(&["hold"]).await?,
        };
        if json {
            print_json(&told)?;
            return Ok(ExitCode::SUCCESS);
        }
        match told.get("since").and_then(Value::as_str).and_then(|since| since.parse().ok()) {
            Some(since) => print_line(&format!(
                "Everything is held since {}: nothing is charged and nobody is written to. \
                 `recoup resume --all` ends it.",
                backend.zone().show(since).replace("  ", " ")
            ))?,
            None => print_line("Nothing is held: cases go on, each within the hour.")?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `stop`.
pub(super) fn stop(args: StopArgs) -> anyhow::Result<ExitCode> {
    let body = match args.reason {
        Some(reason) => json!({ "reason": reason }),
        None => json!({}),
    };
    act(&args.on, "stop", body)
}

/// Runs `link`.
pub(super) fn link(args: LinkArgs) -> anyhow::Result<ExitCode> {
    let on = &args.on;
    backend::run(&on.backend, async |backend| {
        let case = find_case(backend, &on.case).await?;
        let link = backend.post(&["cases", id_of(&case)?, "link"], &json!({})).await?;
        if on.json {
            print_json(&link)?;
        } else {
            print_line(link.get("url").and_then(Value::as_str).unwrap_or_default())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn act(on: &On, action: &str, body: Value) -> anyhow::Result<ExitCode> {
    backend::run(&on.backend, async |backend| act_by(backend, on, (action, body)).await)
}

async fn act_by(
    backend: &Backend,
    on: &On,
    (action, body): (&str, Value),
) -> anyhow::Result<ExitCode> {
    let case = find_case(backend, &on.case).await?;
    let before = CaseView::read(&case)?;
    if let Some(why) = in_vain(action, &before) {
        show(backend, on, &case)?;
        say(&format!("nothing was changed: {why}"));
        return Ok(ExitCode::from(NOT_WELL));
    }
    let after = backend.post(&["cases", &before.id, action], &body).await?;
    show(backend, on, &after)?;
    if !backend.applies() {
        say("kept; applied when `recoup serve` runs. Until then the case stands as shown");
    }
    Ok(ExitCode::SUCCESS)
}

/// Why an action would change nothing.
fn in_vain(action: &str, case: &CaseView) -> Option<&'static str> {
    match (action, case.state.as_str()) {
        _ if case.is_ended() => Some("the case is over"),
        ("resume", "paused") => None,
        ("resume", _) => Some("the case is not paused"),
        ("retry", "attempting") => Some("an attempt is under way"),
        ("retry", "awaiting_outcome") => {
            Some("the outcome of an attempt is unknown; nothing else is charged until it is known")
        }
        _ => None,
    }
}

fn show(backend: &Backend, on: &On, case: &Value) -> anyhow::Result<()> {
    if on.json {
        print_json(case)?;
    } else {
        print_line(&CaseView::read(case)?.header(backend.zone()))?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the command line's own messages go to stderr")]
fn say(text: &str) {
    eprintln!("recoup: {text}");
}
