//! The command line: one file a command.
//!
//! Why here: only `cli` puts concrete stores, gateways and channels together.
//!
//! What must stay true: data goes to stdout, messages to stderr; exit code 0 is done, 1 is "the
//! thing asked about is not well", 2 is "used wrongly".

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod act;
mod audit;
mod backend;
mod backtest;
mod backup;
mod cases;
mod channel;
mod channels;
mod chaos;
mod check;
mod classify;
mod compact;
mod completions;
mod compose;
mod config;
mod demo;
mod doctor;
pub mod embed;
mod explain;
mod export;
mod forget;
mod help;
mod import;
mod init;
mod keep;
mod learning;
mod list;
mod live;
mod merchants;
mod messages;
mod offline;
mod open;
mod openapi;
mod parse;
mod plan;
mod policy;
mod preview;
mod reconcile;
mod report;
mod run;
mod sandbox;
mod serve;
mod show;
mod simulate;
mod tell;
mod token;
mod transfer;
mod trigger;
mod user;
mod verify;
mod wallet;
mod webhooks;
#[cfg(feature = "whatsapp")]
mod whatsapp;

/// Gets failed subscription payments back.
#[derive(Debug, Parser)]
#[command(name = "recoup", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole story on this machine, in under a minute.
    Demo(demo::Args),
    /// Write a merchant file, in five questions.
    Init(init::Args),
    /// Run the service.
    Serve(serve::Args),
    /// Validate the merchant file, offline.
    Check(check::Args),
    /// Go online and say what is not well, with one fix each.
    Doctor(doctor::Args),
    /// Leave shadow mode: from then on charge and write.
    Live(live::Args),
    /// Run the sandbox gateways alone.
    Sandbox(sandbox::Args),
    /// Send one correctly signed webhook.
    Trigger(trigger::Args),
    /// Check a captured webhook, offline.
    Verify(verify::Args),
    /// Print the normalized events of a webhook body.
    Parse(parse::Args),
    /// Say what a decline code means and what follows.
    Classify(classify::Args),
    /// Dry run: every attempt and message with time and why.
    Plan(plan::Args),
    /// Every message in every language, side by side.
    Preview(preview::Args),
    /// The ledger of a case, in words.
    Explain(explain::Args),
    /// List cases.
    Cases(cases::Args),
    /// What came back, by what, and whether what was learned helped.
    Report(report::Args),
    /// What each gateway says was captured, against the ledger, by day.
    Reconcile(reconcile::Args),
    /// How messages are received on each channel; stopping and lifting.
    Channels(channel::Args),
    /// What went out, and what became of it.
    Messages(messages::Args),
    /// Policies that cases keep, and moving cases to another.
    Policy(policy::Args),
    /// Try a case now.
    Retry(act::RetryArgs),
    /// Hold a case.
    Pause(act::PauseArgs),
    /// Let a case go on.
    Resume(act::ResumeArgs),
    /// End a case.
    Stop(act::StopArgs),
    /// Print a case's card-update link.
    Link(act::LinkArgs),
    /// Write the store as JSON lines.
    Export(export::Args),
    /// What was learned: show it, take it elsewhere, take it over.
    Learning(learning::Args),
    /// Read a store, or a wallet of payment methods.
    Import(import::Args),
    /// Copy the store consistently.
    Backup(backup::Args),
    /// Make the store anew, without what it no longer holds.
    Compact(compact::Args),
    /// Erase a customer's personal data, and keep the books.
    Forget(forget::Args),
    /// Say what another routing would have earned, from a log.
    Backtest(backtest::Args),
    /// Run made histories that go wrong, and check every promise.
    Chaos(chaos::Args),
    /// Play a schedule over a known or made world, and compare it.
    Simulate(simulate::Args),
    /// Who did what.
    Audit(audit::Args),
    /// People who sign in: roles, passwords.
    User(user::Args),
    /// Programs that call the API, each with a token of its own.
    Token(token::Args),
    /// Events to the merchant's own systems: list, replay, test.
    Webhooks(webhooks::Args),
    /// List and hand in the templates of WhatsApp messages.
    #[cfg(feature = "whatsapp")]
    Whatsapp(whatsapp::Args),
    /// The merchant file's JSON Schema, for editors.
    Config(config::Args),
    /// Print the API's description, OpenAPI 3.1.
    Openapi(openapi::Args),
    /// Print shell completions.
    Completions(completions::Args),
}

/// Parses the command line, runs the command, reports its error.
pub fn main() -> ExitCode {
    crate::telemetry::report_panics(&[crate::store::sled::OPENING]);
    let mut command = help::grouped(Cli::command());
    let mut matches = command.get_matches_mut();
    let cli = Cli::from_arg_matches_mut(&mut matches)
        .unwrap_or_else(|error| error.format(&mut command).exit());
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own messages go to stderr")]
fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("recoup: failed to {error:#}");
    ExitCode::from(1)
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Init(args) => init::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Live(args) => live::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Trigger(args) => trigger::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Parse(args) => parse::run(args),
        Command::Classify(args) => classify::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Cases(args) => cases::run(args),
        Command::Report(args) => report::run(args),
        Command::Reconcile(args) => reconcile::run(args),
        Command::Channels(args) => channel::run(args),
        Command::Messages(args) => messages::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Retry(args) => act::retry(args),
        Command::Pause(args) => act::pause(args),
        Command::Resume(args) => act::resume(args),
        Command::Stop(args) => act::stop(args),
        Command::Link(args) => act::link(args),
        Command::Export(args) => export::run(args),
        Command::Learning(args) => learning::run(args),
        Command::Import(args) => import::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Compact(args) => compact::run(args),
        Command::Forget(args) => forget::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::Chaos(args) => chaos::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Token(args) => token::run(args),
        Command::User(args) => user::run(args),
        Command::Webhooks(args) => webhooks::run(args),
        #[cfg(feature = "whatsapp")]
        Command::Whatsapp(args) => whatsapp::run(args),
        Command::Config(args) => config::run(args),
        Command::Openapi(args) => openapi::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        help::grouped(Cli::command()).debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_speaks_json() {
        let without_json = ["serve", "completions", "export", "import", "backup", "demo"];
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let json = command.get_arguments().any(|argument| argument.get_id() == "json");
            assert!(json || without_json.contains(&name), "{name} has no --json");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("recoup ") || name == "demo", "{name} has no examples");
        }
    }
}
