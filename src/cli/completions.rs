//! `recoup completions`: a script for the shell's completion.
//!
//! Why here: made from the command line's own definition, so it is never behind.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup completions bash > ~/.local/share/bash-completion/completions/recoup
  recoup completions zsh > ~/.zfunc/_recoup
  recoup completions fish > ~/.config/fish/completions/recoup.fish
  recoup completions powershell >> $PROFILE")]
pub(super) struct Args {
    /// Which shell.
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "recoup", &mut script);
    match std::io::stdout().lock().write_all(&script) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
