//! `recoup parse`: what a webhook body says, in recoup's words.
//!
//! Why here: the same parser as the service's, so that a captured body can be looked at and kept as
//! a test.
//!
//! What must stay true: no signature is checked; one JSON document on stdout, an error too.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::offline::{Captured, NOT_WELL, finish, gateway, print_json};
use crate::core::event::Event;

const EXAMPLES: &str = "\
Examples:
  recoup parse --gateway stripe --body event.json
  curl -s https://example.com/captured.json | recoup parse --gateway stripe --body -
  recoup parse --gateway http --body event.json --header 'webhook-id: msg_1'

Prints {\"events\":[…]}: always JSON. A body that is no event:
{\"error\":{\"code\":\"malformed_body\",\"message\"}} and exit code 1.
No signature is checked: that is `recoup verify`.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The kind: stripe, adyen, braintree, mercadopago, wompi, checkout, http.
    #[arg(long, value_name = "KIND")]
    gateway: String,
    #[command(flatten)]
    captured: Captured,
    /// Print JSON (it always does).
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(parse(args))
}

fn parse(args: Args) -> anyhow::Result<ExitCode> {
    let gateway = gateway(&args.gateway)?;
    let webhook = args.captured.read()?;
    match (gateway.parse)(&webhook.request(Timestamp::UNIX_EPOCH)) {
        Ok(events) => {
            let events = events.iter().map(public).collect::<Result<Vec<Value>, _>>()?;
            print_json(&json!({ "events": events }))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let message = error.to_string();
            print_json(&json!({ "error": { "code": "malformed_body", "message": message } }))?;
            Ok(ExitCode::from(NOT_WELL))
        }
    }
}

/// The interface's shape: an id that is not known (no `webhook-id` was given) is null, and what
/// only the core needs is left out.
fn public(event: &Event) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(event)?;
    if event.id.is_empty() {
        value["id"] = Value::Null;
    }
    if let Some(decline) = value.get_mut("decline").and_then(Value::as_object_mut) {
        decline.remove("min_delay_seconds");
    }
    Ok(value)
}
