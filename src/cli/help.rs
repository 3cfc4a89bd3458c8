//! `recoup --help`: the commands, grouped by job.
//!
//! Why here: somebody who looks for "what do I type to see why" reads jobs, not an alphabet.
//!
//! What must stay true: every command is in the help, also one that is in no group.

use std::fmt::Write as _;

use clap::Command;

/// The jobs, and the commands that do them.
const GROUPS: [(&str, &[&str]); 8] = [
    ("Try it", &["demo", "sandbox", "trigger"]),
    ("Run it", &["init", "check", "doctor", "live", "whatsapp", "serve"]),
    ("Look", &["cases", "messages", "explain", "plan", "report", "reconcile", "preview"]),
    ("Act", &["retry", "pause", "resume", "stop", "link", "channels", "policy"]),
    ("People", &["user", "token", "audit"]),
    ("Webhooks", &["verify", "parse", "classify", "webhooks"]),
    ("Study", &["simulate", "backtest", "chaos"]),
    ("Store", &["export", "import", "backup", "compact", "forget", "learning"]),
];

/// The group of everything else.
const REST: &str = "Shell";

/// The examples below it.
const EXAMPLES: &str = "Examples:
  recoup demo                          the whole story on this machine, nothing leaves it
  recoup plan --event event.json       what would follow from this failed payment
  recoup serve --config recoup.toml    the service
  recoup explain in_42                 why a case stands where it stands

`recoup COMMAND --help` has examples for each command. Data goes to stdout, messages to stderr.
Exit code: 0 done, 1 the thing asked about is not well, 2 used wrongly.";

/// The command line with the grouped help.
pub(super) fn grouped(command: Command) -> Command {
    let jobs = jobs(&command);
    command
        .help_template(format!(
            "{{name}} {{version}}\n{{about}}\n\n{{usage-heading}} {{usage}}\n\n{jobs}\
             Options:\n{{options}}{{after-help}}"
        ))
        .after_help(EXAMPLES)
}

fn jobs(command: &Command) -> String {
    let known: Vec<_> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let width = known.iter().map(|c| c.get_name().len()).max().unwrap_or(0);
    let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
    let rest: Vec<&str> =
        known.iter().map(|c| c.get_name()).filter(|name| !grouped.contains(name)).collect();
    let mut text = String::new();
    for (job, names) in GROUPS.iter().copied().chain([(REST, rest.as_slice())]) {
        let of_job = names.iter().filter_map(|name| known.iter().find(|c| c.get_name() == *name));
        let lines: String = of_job.fold(String::new(), |mut lines, command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let about = about.trim_end_matches('.');
            // Writing to a text cannot fail.
            let _ = writeln!(lines, "  {:<width$}  {about}", command.get_name());
            lines
        });
        if !lines.is_empty() {
            let _ = writeln!(text, "{job}:\n{lines}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_no_group_is_shown_all_the_same() {
        let command = Command::new("x")
            .subcommand(Command::new("serve").about("Serve."))
            .subcommand(Command::new("brand-new").about("New."));
        let text = jobs(&command);
        assert_eq!(text, "Run it:\n  serve      Serve\n\nShell:\n  brand-new  New\n\n");
    }
}
