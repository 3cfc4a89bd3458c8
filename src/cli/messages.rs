//! `recoup messages`: what went out, and what became of it.
//!
//! Why here: whoever is asked "did you write to me?" finds the message as it was sent, with the
//! provider's own words; and the report tells what messages did.
//!
//! What must stay true: newest first; what is left out is said; addresses are printed to whoever
//! has the admin token, and are in no log.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::list;
use super::offline::{finish, print_file, print_json, print_line};
use super::show::Zone;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup messages
  recoup messages --channel email --status failed
  recoup messages --case case_b3ba9a0e05554a3c7fe2 --text       with what they say
  recoup messages --customer cus_42 --json
  recoup messages --csv > messages.csv
  recoup messages --report                          by step, kind, channel and language
  recoup messages --report --since 2026-11-01T00:00:00Z --json

Newest first. While no service runs, the store itself is read.")]
pub(super) struct Args {
    /// Only messages of this case.
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
    /// Only messages to this customer.
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only messages by this channel.
    #[arg(long, value_name = "CHANNEL",
        value_parser = PossibleValuesParser::new(["email", "sms", "whatsapp"]))]
    channel: Option<String>,
    /// Only messages of this kind.
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(
        ["payment_failed", "card_update", "confirm_bank", "last_notice", "recovered"]))]
    kind: Option<String>,
    /// Only messages in this language.
    #[arg(long, value_name = "LOCALE")]
    locale: Option<String>,
    /// Only messages that stand so.
    #[arg(long, value_name = "STATUS",
        value_parser = PossibleValuesParser::new(["sent", "failed", "uncertain", "withheld"]))]
    status: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// With what they say.
    #[arg(long)]
    text: bool,
    /// What became of all messages, by step, kind, channel and language.
    #[arg(long, conflicts_with_all = ["case", "customer", "channel", "kind", "locale", "status"])]
    report: bool,
    /// Of the report: messages from this time on.
    #[arg(long, value_name = "RFC3339", requires = "report")]
    since: Option<String>,
    /// Of the report: messages before this time.
    #[arg(long, value_name = "RFC3339", requires = "report")]
    until: Option<String>,
    /// Print every message that passes, of all pages, as CSV.
    #[arg(long, conflicts_with_all = ["json", "report", "text"])]
    csv: bool,
    /// Print one JSON document: {"data": […], "has_more"}, or the report.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(backend::run(&args.backend, async |backend| {
        match args.report {
            true => report(backend, &args).await?,
            false => tell(backend, &args).await?,
        }
        Ok(ExitCode::SUCCESS)
    }))
}

async fn tell(backend: &Backend, args: &Args) -> anyhow::Result<()> {
    if args.csv {
        let mut query = filters(args);
        query.push(("format", "csv"));
        return Ok(print_file(&backend.file(&["messages"], &query).await?)?);
    }
    let (messages, has_more) = list::read(backend, "messages", &filters(args), args.limit).await?;
    if args.json {
        return Ok(print_json(&json!({ "data": messages, "has_more": has_more }))?);
    }
    if messages.is_empty() {
        return Ok(print_line("No messages.")?);
    }
    for message in &messages {
        print_line(&in_words(message, args.text, backend.zone()))?;
    }
    if has_more {
        print_line(&format!("\n{} shown; there are more: raise --limit", messages.len()))?;
    }
    print_line(&format!("\nTimes are {}.", backend.zone().name()))?;
    Ok(())
}

fn filters(args: &Args) -> Vec<list::Part<'_>> {
    list::given([
        ("case", &args.case),
        ("customer", &args.customer),
        ("channel", &args.channel),
        ("kind", &args.kind),
        ("locale", &args.locale),
        ("status", &args.status),
    ])
}

/// What happened to a message, in the order in which it usually does.
const HAPPENED: [(&str, &str); 9] = [
    ("delivered_at", "delivered"),
    ("prefetched_at", "fetched by a machine"),
    ("opened_at", "opened"),
    ("clicked_at", "link followed"),
    ("acted_at", "customer acted"),
    ("undelivered_at", "not delivered"),
    ("complained_at", "reported as unwanted"),
    ("unsubscribed_at", "unsubscribed"),
    ("in_place_of", "in place of one that did not arrive"),
];

fn in_words(message: &Value, whole: bool, zone: &Zone) -> String {
    let text = |key: &str| message[key].as_str().unwrap_or_default();
    let at = text("at").parse().map_or_else(|_| text("at").to_owned(), |at| zone.show(at));
    let happened: Vec<_> = HAPPENED
        .iter()
        .filter(|(key, _)| !message["happened"][*key].is_null())
        .map(|(_, words)| *words)
        .collect();
    let then = match happened.is_empty() {
        true => String::new(),
        false => format!(" · {}", happened.join(", ")),
    };
    let mut lines = vec![
        format!(
            "{at}  {:<9} {:<14} {:<5} {}{then}",
            text("channel"),
            text("kind"),
            text("locale"),
            text("status")
        ),
        format!("    {} · {} · to {}", text("id"), text("case"), text("to")),
    ];
    if !text("answer").is_empty() {
        lines.push(format!("    the provider: {}", text("answer")));
    }
    if whole {
        lines.extend(Some(format!("    {}", text("subject"))).filter(|line| line.trim() != ""));
        lines.extend(text("text").lines().map(|line| format!("    | {line}")));
    }
    lines.join("\n")
}

async fn report(backend: &Backend, args: &Args) -> anyhow::Result<()> {
    let span = [("since", &args.since), ("until", &args.until)];
    let query: Vec<_> =
        span.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let report = backend.read_patiently(&["reports", "messages"], &query).await?;
    if args.json {
        return Ok(print_json(&report)?);
    }
    print_line(&format!("{:<16} {}", "", COLUMNS.map(|(_, title)| title).join("  ")))?;
    print_line(&row("all", &report["total"]))?;
    for (group, title) in
        [("by_step", "step"), ("by_kind", ""), ("by_channel", ""), ("by_locale", "")]
    {
        print_line("")?;
        for (key, tally) in report[group].as_object().into_iter().flatten() {
            print_line(&row(format!("{title} {key}").trim(), tally))?;
        }
    }
    for warning in report["warnings"].as_array().into_iter().flatten() {
        print_line(&format!("\n! {}", warning.as_str().unwrap_or_default()))?;
    }
    Ok(())
}

/// The columns of the report.
const COLUMNS: [(&str, &str); 10] = [
    ("sent", "sent"),
    ("failed", "failed"),
    ("uncertain", "uncertain"),
    ("delivered", "delivered"),
    ("opened", "opened"),
    ("clicked", "clicked"),
    ("acted", "acted"),
    ("undelivered", "bounced"),
    ("complained", "complained"),
    ("unsubscribed", "unsubscribed"),
];

fn row(name: &str, tally: &Value) -> String {
    let cells = COLUMNS.map(|(key, title)| {
        let width = title.chars().count();
        let count = tally[key].as_u64().or_else(|| tally["by_status"][key].as_u64());
        format!("{:>width$}", count.unwrap_or_default())
    });
    format!("{name:<16} {}", cells.join("  "))
}
