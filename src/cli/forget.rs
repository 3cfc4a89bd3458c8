//! `recoup forget`: a person's data goes, the books stay.
//!
//! Why here: a customer may ask for it, and the law may after some years.
//!
//! What must stay true: exit code 1 means that somebody who was named is not forgotten, and why is
//! on stderr.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::offline::{NOT_WELL, print_json, print_line};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup forget cus_42
  recoup forget cus_42 --stop               their open cases end first
  cut -d, -f1 leavers.csv | recoup forget -
  recoup forget --expired                   what [retention] no longer keeps, now

Name, addresses, phone, wallet, the words of messages and raw events go. Amounts, invoices,
payments, outcomes and decisions stay, under a reference that names nobody. Old pages of the file
go with the next start of the service, or with `recoup compact`.")]
pub(super) struct Args {
    /// The billing gateway's ids of customers; `-` reads them from stdin, one a line.
    #[arg(value_name = "CUSTOMER", required_unless_present = "expired")]
    customers: Vec<String>,
    /// End their open cases first.
    #[arg(long)]
    stop: bool,
    /// Erase what is older than `[retention]` allows.
    #[arg(long, conflicts_with_all = ["customers", "stop"])]
    expired: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let customers = named(&args.customers)?;
    backend::run(&args.backend, async |backend| {
        if args.expired {
            let done = backend.post_patiently(&["retention"], &json!({})).await?;
            print(&done, args.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let (mut done, mut failed) = (Vec::new(), false);
        for customer in &customers {
            match forget(backend, customer, args.stop).await {
                Ok(one) => done.push(one),
                Err(error) => {
                    say(&format!("{customer}: failed to {error:#}"));
                    failed = true;
                }
            }
        }
        if args.json {
            print_json(&json!({ "forgotten": done }))?;
        } else {
            done.iter().try_for_each(|one| print(one, false))?;
        }
        Ok(if failed { ExitCode::from(NOT_WELL) } else { ExitCode::SUCCESS })
    })
}

async fn forget(backend: &Backend, customer: &str, stop: bool) -> anyhow::Result<Value> {
    backend.post_patiently(&["customers", customer, "forget"], &json!({ "stop": stop })).await
}

fn named(customers: &[String]) -> anyhow::Result<Vec<String>> {
    if customers != ["-"] {
        return Ok(customers.to_vec());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("read customers from stdin")?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn print(done: &Value, as_json: bool) -> std::io::Result<()> {
    if as_json {
        return print_json(done);
    }
    let count = |what: &str| done["erased"][what].as_u64().unwrap_or_default();
    let who = done["reference"].as_str().map_or_else(String::new, |who| format!("{who}: "));
    print_line(&format!(
        "{who}{} customers, {} cases, {} messages, {} raw events and inputs erased",
        count("customers"),
        count("cases"),
        count("messages"),
        count("inputs"),
    ))
}

#[expect(clippy::print_stderr, reason = "the command line's own messages go to stderr")]
fn say(text: &str) {
    eprintln!("recoup: {text}");
}
