//! `recoup user`: the people who sign in.
//!
//! What must stay true: a password is never typed here; a link is printed once.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::backend::{self, BackendArgs};
use super::offline::{print_json, print_line};
use super::show::{Zone, columns, text};
use crate::core::access::Role;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup user add ana@company.example --role support    prints a link by which she sets a password
  recoup user list
  recoup user role ana@company.example viewer
  recoup user reset ana@company.example                  ends her sessions; prints another link
  recoup user remove ana@company.example                 her sessions end at once

viewer sees everything but people, tokens and the audit list; support acts on cases and customers;
admin may do everything. A link works once, within 30 minutes. While no service runs, the store
itself is asked.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

fn roles() -> PossibleValuesParser {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make an account, and a link to set its password.
    Add {
        /// Their e-mail address.
        email: String,
        /// What they may do.
        #[arg(long, value_name = "ROLE", default_value = "viewer", value_parser = roles())]
        role: String,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// All accounts.
    List {
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Give somebody another role.
    Role {
        /// Their e-mail address.
        email: String,
        /// What they may do from now on.
        #[arg(value_parser = roles())]
        role: String,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Take somebody's password and sessions away; print a link to set another.
    Reset(One),
    /// Take an account away; its sessions end at once.
    Remove(One),
}

/// Who.
#[derive(Debug, clap::Args)]
struct One {
    /// Their e-mail address, or the id of the account.
    email: String,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let backend = match &args.what {
        What::Add { backend, .. } | What::List { backend } | What::Role { backend, .. } => backend,
        What::Reset(one) | What::Remove(one) => &one.backend,
    };
    backend::run(backend, async |backend| {
        let answer = match &args.what {
            What::Add { email, role, .. } => {
                backend.post(&["users"], &json!({ "email": email, "role": role })).await?
            }
            What::List { .. } => backend.get(&["users"], &[]).await?,
            What::Role { email, role, .. } => {
                let body = json!({ "role": role }).to_string();
                backend.put_text(&["users", email], body).await?
            }
            What::Reset(one) => backend.post(&["users", &one.email, "reset"], &json!({})).await?,
            What::Remove(one) => backend.delete(&["users", &one.email]).await?,
        };
        if args.json {
            print_json(&answer)?;
        } else {
            print_line(&said(&args.what, &answer, backend.zone()))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn said(what: &What, answer: &Value, zone: &Zone) -> String {
    match what {
        What::Add { .. } | What::Reset(_) => format!(
            "Open this to set a password; it works once, within 30 minutes:\n{}",
            text(answer, "link")
        ),
        What::List { .. } => table(answer, zone),
        What::Role { .. } => format!("{} is {} now.", text(answer, "email"), text(answer, "role")),
        What::Remove(_) => format!("{} cannot sign in any more.", text(answer, "email")),
    }
}

fn table(answer: &Value, zone: &Zone) -> String {
    let rows = answer.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        return "Nobody has an account yet; `recoup user add ADDRESS` makes one.".to_owned();
    }
    let row = |row: &Value| {
        let has = row.get("has_password").and_then(Value::as_bool).unwrap_or(false);
        let has = if has { "set" } else { "not set yet" };
        let since = zone.localize(&text(row, "created_at"));
        vec![text(row, "email"), text(row, "role"), has.to_owned(), since]
    };
    columns(&["ADDRESS", "ROLE", "PASSWORD", "SINCE"], rows.iter().map(row).collect())
}
