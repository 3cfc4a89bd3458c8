//! `recoup live`: from shadow mode to charging and writing, as one step that nobody takes by
//! accident.
//!
//! Why here: the step is one word of the merchant file. This says first what it means, asks, and
//! changes that word and nothing else.
//!
//! What must stay true: without a terminal it needs `--yes`; a file that does not pass `check` is
//! left as it is; nothing is charged or sent by this command.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::backend::{self, BackendArgs};
use super::offline::{NOT_WELL, Usage, finish, print_json, print_line};
use crate::config::{Config, Mode, Surroundings, locate};
use crate::core::case::State;
use crate::core::policy::NativeRetries;
use crate::store::{CaseFilter, Store};

/// The variable that wins over the file.
const VARIABLE: &str = "RECOUP__MODE";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup live                    says what changes, asks, and changes the merchant file
  recoup live --yes --config shop.toml

The service goes live when it is started again. What failed in shadow mode stays in shadow to its
end: nothing that was planned meanwhile is made up for. The way back: `recoup pause --all`.
Exit code: 0 the file says live, 1 it was left as it is, 2 used wrongly.")]
pub(super) struct Args {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Print one JSON document: {"file", "mode", "changed"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(go(&args))
}

fn go(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(path) = locate(args.backend.config()) else {
        bail!("find the merchant file: name it with --config");
    };
    let config = match Config::load(Some(&path), &Surroundings::of_process(Vec::new())) {
        Ok(config) => config,
        Err(problems) => bail!("read the merchant file\n{problems}"),
    };
    if config.mode == Mode::Live {
        return tell(args, &path, false);
    }
    if std::env::var_os(VARIABLE).is_some() {
        bail!("go live: the variable {VARIABLE} wins over {}; take it away", path.display());
    }
    if !args.yes {
        explain(args, &config)?;
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !terminal {
            let usage = "without a terminal --yes is needed: from then on customers are charged";
            return Err(Usage::new(usage.to_owned()).into());
        }
        if !confirmed()? {
            return Ok(ExitCode::from(NOT_WELL));
        }
    }
    change(&path)?;
    tell(args, &path, true)
}

/// What is different from then on.
#[expect(clippy::print_stderr, reason = "what is said before a question is no data")]
fn explain(args: &Args, config: &Config) -> anyhow::Result<()> {
    // Without a service or a store yet there is nothing to tell.
    let asked = backend::run(&args.backend, async |backend| {
        backend.read_patiently(&["reports", "recovery"], &[]).await
    });
    if let Ok(report) = asked
        && let Some(words) = report.pointer("/shadow/in_words").and_then(Value::as_str)
    {
        eprintln!("{words}\n");
    }
    eprintln!(
        "From the next start on, payments that fail are charged again and customers are written \
         to,\nin the name of {}. What failed until then stays in shadow to its end.",
        config.merchant.name
    );
    if let Some(first) = config.gateways.first()
        && first.native_retries == NativeRetries::Observe
    {
        eprintln!(
            "native_retries of `{}` is \"observe\": while it plans a retry of its own, recoup \
             only watches.",
            first.id
        );
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a question is no data")]
fn confirmed() -> anyhow::Result<bool> {
    eprint!("Go live? [y/N] ");
    std::io::stderr().flush().context("ask")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Changes the one word.
fn change(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
    let Some(span) = span_of_mode(&text) else {
        bail!("go live: {shown} has no `mode` at its top");
    };
    let mut changed = text;
    changed.replace_range(span, "\"live\"");
    let beside = PathBuf::from(format!("{shown}.new"));
    std::fs::write(&beside, changed).with_context(|| format!("write {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("write {shown}"))
}

/// Where the value of the top-level `mode` stands.
fn span_of_mode(text: &str) -> Option<Range<usize>> {
    let (document, _) = toml::de::DeTable::parse_recoverable(text);
    document.get_ref().get("mode").map(toml::Spanned::span)
}

fn tell(args: &Args, path: &Path, changed: bool) -> anyhow::Result<ExitCode> {
    let file = path.display().to_string();
    if args.json {
        print_json(&json!({ "file": file, "mode": "live", "changed": changed }))?;
    } else if changed {
        print_line(&format!("{file} says `mode = \"live\"`: restart `recoup serve`."))?;
    } else {
        print_line(&format!("{file} says `mode = \"live\"` already."))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A store with cases that are worked on is not run in shadow mode: an attempt whose outcome is
/// unknown, and the mark that an invoice is paid, would be left undone.
pub(super) async fn refuse_cases_at_work(store: &dyn Store) -> anyhow::Result<()> {
    let mut at_work = 0;
    for state in State::ALL.into_iter().filter(|state| !state.is_ended()) {
        let filter = CaseFilter { state: Some(state), ..CaseFilter::default() };
        let mut after = None;
        loop {
            let page = store.list_cases(&filter, after.as_ref(), 500).await?;
            at_work += page.data.iter().filter(|case| !case.shadow).count();
            after = page.data.last().map(|case| case.id.clone());
            if !page.has_more || after.is_none() {
                break;
            }
        }
    }
    if at_work > 0 {
        bail!(
            "start in shadow mode: {at_work} cases of this store are open that were begun live, \
             and would be left half done. To stop everything: mode = \"live\" and `recoup pause \
             --all`; to end them: `recoup stop CASE`; or another `store.url` for the trial"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_changed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("recoup.toml");
        let text = "# mode = \"shadow\" is for the first days\nmode = 'shadow'   # then live\n\n\
                    [merchant]\nname = \"Mode\"\n";
        std::fs::write(&file, text).unwrap();
        change(&file).unwrap();
        let changed = std::fs::read_to_string(&file).unwrap();
        assert_eq!(changed, text.replace("mode = 'shadow'", "mode = \"live\""));
        std::fs::write(&file, "[merchant]\nmode = \"shadow\"\n").unwrap();
        assert!(change(&file).is_err(), "a `mode` of another table is none");
    }
}
