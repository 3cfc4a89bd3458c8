//! `recoup channels`: how messages are received on each channel, what is stopped, and lifting it.
//!
//! Why here: a channel that too many people report as unwanted stops by itself. Whoever has found
//! out why lets it go on, with one command.
//!
//! What must stay true: the same routes as the API's; while no service runs an order is kept, and
//! applied when one does.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::offline::{NOT_WELL, finish, print_json, print_line};
use super::show::Zone;
use crate::core::customer::Channel;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup channels                                   what goes, what is stopped, and why
  recoup channels --json | jq '.data[].complaint_rate'
  recoup channels lift email                        let it go on; it is counted anew from now
  recoup channels stop sms --reason 'the sender is being changed'

E-mail stops by itself at the ceilings of [reminders.ceilings]; messages then go by the next channel
that reaches the customer, and wait where there is none.
Exit code: 0 everything goes, 1 a channel is stopped, 2 used wrongly.")]
pub(super) struct Args {
    #[command(subcommand)]
    order: Option<Order>,
    /// Print one JSON document: {\"data\": […], \"has_more\"}, or the channel.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Let a channel that is stopped go on.
    Lift {
        /// Which.
        channel: Way,
    },
    /// Send nothing by a channel until it is lifted.
    Stop {
        /// Which.
        channel: Way,
        /// Why, for whoever lifts it.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// A channel, as an argument.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Way {
    Email,
    Sms,
    Whatsapp,
}

impl From<Way> for Channel {
    fn from(way: Way) -> Self {
        match way {
            Way::Email => Self::Email,
            Way::Sms => Self::Sms,
            Way::Whatsapp => Self::Whatsapp,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(backend::run(&args.backend, async |backend| match &args.order {
        None => list(backend, args.json).await,
        Some(Order::Lift { channel }) => {
            order(backend, args.json, &[Channel::from(*channel).as_str(), "lift"], &json!({})).await
        }
        Some(Order::Stop { channel, reason }) => {
            let body = reason.as_ref().map_or_else(|| json!({}), |why| json!({ "reason": why }));
            order(backend, args.json, &[Channel::from(*channel).as_str(), "stop"], &body).await
        }
    }))
}

async fn list(backend: &Backend, as_json: bool) -> anyhow::Result<ExitCode> {
    let answer = backend.get(&["channels"], &[]).await?;
    let channels = answer["data"].as_array().cloned().unwrap_or_default();
    if as_json {
        print_json(&answer)?;
    } else {
        for channel in &channels {
            print_line(&in_words(channel, backend.zone()))?;
        }
    }
    let stopped = channels.iter().any(|channel| channel["state"] == "stopped");
    Ok(if stopped { ExitCode::from(NOT_WELL) } else { ExitCode::SUCCESS })
}

async fn order(
    backend: &Backend,
    as_json: bool,
    order: &[&str; 2],
    body: &Value,
) -> anyhow::Result<ExitCode> {
    let channel = backend.post(&["channels", order[0], order[1]], body).await?;
    if as_json {
        print_json(&channel)?;
    } else if backend.applies() {
        print_line(&in_words(&channel, backend.zone()))?;
    } else {
        print_line("Kept; it is applied when a service runs.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(channel: &Value, zone: &Zone) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&channel["channel"]);
    let state = match channel["stop"].as_object() {
        None => "goes".to_owned(),
        Some(stop) => {
            let at = stop["at"].as_str().and_then(|at| at.parse().ok());
            let at = at.map_or_else(String::new, |at| format!(" since {}", zone.show(at)));
            format!("STOPPED{at}: {}", text(&stop["why"]))
        }
    };
    let count = |key: &str| channel[key].as_u64().unwrap_or_default();
    let share = |key: &str| match channel[key].as_f64() {
        Some(share) => format!(" ({:.2} %)", share * 100.0),
        None => String::new(),
    };
    format!(
        "{name:<9} {state}\n          {} messages in {} days; reported as unwanted {}{}; addresses \
         that nothing reaches {}{}",
        count("messages"),
        count("days"),
        count("complaints"),
        share("complaint_rate"),
        count("bounces"),
        share("bounce_rate"),
    )
}
