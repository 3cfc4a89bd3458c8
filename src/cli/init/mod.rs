//! `recoup init`: writes a merchant file and the list of its secrets.
//!
//! Why here: from nothing to a file that `recoup check` takes, in five questions, each with a
//! default and the reason why it is asked.
//!
//! What must stay true: nothing that is there is written over; without a terminal nothing is asked;
//! no secret is asked for, written or printed: the file names variables.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

mod ask;
mod files;

use ask::Answers;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  recoup init\n  recoup init --yes --dir shop\n\n\
    Without a terminal the defaults are taken, as with --yes. Files that are there are never \
    written over.\n\nExit code: 0 written, 1 not written, 2 used wrongly.")]
pub(super) struct Args {
    /// Ask nothing, take the defaults.
    #[arg(long, short)]
    yes: bool,
    /// Where the files go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Print one JSON document: {"files", "answers", "next"}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let paths = [args.dir.join("recoup.toml"), args.dir.join(".env.example")];
    refuse_existing(&paths)?;
    let suggested = Answers::suggested(&args.dir);
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let answers = if args.yes || !terminal {
        suggested
    } else {
        ask::all(suggested, &mut std::io::stdin().lock(), &mut std::io::stderr().lock())?
    };
    let texts = [files::merchant_file(&answers), files::environment(&answers)];
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("make the folder {}", args.dir.display()))?;
    for (path, text) in paths.iter().zip(&texts) {
        write_new(path, text)?;
    }
    tell(&args, &paths, &answers)?;
    Ok(ExitCode::SUCCESS)
}

/// Both files or none: what is there stays as it is.
fn refuse_existing(paths: &[PathBuf]) -> anyhow::Result<()> {
    match paths.iter().find(|path| path.exists()) {
        Some(path) => bail!(
            "write {}: it is there already; move it away, or choose another folder with --dir",
            path.display()
        ),
        None => Ok(()),
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("write {}", path.display()))
}

#[expect(clippy::print_stdout, reason = "the command's data goes to stdout")]
fn tell(args: &Args, paths: &[PathBuf], answers: &Answers) -> anyhow::Result<()> {
    let next = files::next_steps(&args.dir, answers);
    if args.json {
        let document = serde_json::json!({ "files": paths, "answers": answers, "next": next });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    for path in paths {
        println!("wrote {}", path.display());
    }
    println!("\nNext:");
    for (number, step) in next.iter().enumerate() {
        println!("  {}. {step}", number + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Severity, Surroundings};

    /// The variables that `.env.example` names, filled with something of the right form.
    fn filled(environment: &str) -> Surroundings {
        let names = environment.lines().filter_map(|line| line.split_once('='));
        let names = names.filter(|(name, _)| !name.starts_with('#'));
        let value = |name: &str| match name {
            "STRIPE_API_KEY" => "rk_test_1234567890".to_owned(),
            "STRIPE_WEBHOOK_SECRET" => "whsec_1234567890".to_owned(),
            "SMTP_URL" => "smtps://user:pass@mail.example.com".to_owned(),
            _ => "ab".repeat(32),
        };
        let env = names.map(|(name, _)| (name.to_owned(), value(name))).collect();
        Surroundings { env, flags: Vec::new() }
    }

    #[test]
    fn what_it_writes_is_a_merchant_file_for_every_gateway() {
        for gateway in ask::GATEWAYS {
            let mut answers = Answers::suggested(Path::new("cafe-nube"));
            assert_eq!(answers.name, "Cafe nube");
            gateway.clone_into(&mut answers.gateway);
            answers.name = "Café \"Nube\" \\ Söhne".into();
            let text = files::merchant_file(&answers);
            let around = filled(&files::environment(&answers));
            let config = Config::read(&text, "recoup.toml", &around)
                .unwrap_or_else(|errors| panic!("{gateway}: {errors}\n{text}"));
            assert_eq!(config.merchant.name, answers.name);
            let secrets = |p: &&crate::config::Problem| p.message.contains("variable");
            assert_eq!(config.warnings.iter().filter(secrets).count(), 0, "{gateway}");
            assert!(config.warnings.iter().all(|p| p.severity == Severity::Warning));
        }
    }

    #[test]
    fn a_file_that_is_there_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let args = || Args { yes: true, dir: dir.path().to_owned(), json: false };
        run(args()).unwrap();
        let file = dir.path().join("recoup.toml");
        std::fs::write(&file, "mine").unwrap();
        std::fs::remove_file(dir.path().join(".env.example")).unwrap();
        let error = run(args()).unwrap_err().to_string();
        assert!(error.contains("is there already") && error.contains("--dir"), "{error}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
        assert!(!dir.path().join(".env.example").exists(), "both files or none");
    }
}
