//! `recoup verify`: is a captured webhook authentic, and if not, why?
//!
//! Why here: "signature mismatch" costs integrators hours; this says which check failed and what
//! usually causes it, offline.
//!
//! What must stay true: exit 0 valid, 1 not, 2 used wrongly; no secret is ever printed.

use std::process::ExitCode;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use super::offline::{Captured, NOT_WELL, Usage, finish, gateway, print_json, print_line};
use crate::clock::real_now;
use crate::gateway::Rejection;

const EXAMPLES: &str = "\
Examples:
  recoup verify --gateway stripe --secret-env STRIPE_WEBHOOK_SECRET --body event.json \\
      --header 'Stripe-Signature: t=1760000000,v1=f995…' --now 1760000003
  recoup verify --gateway http --secret whsec_MDEy… --body - < event.json \\
      --header 'webhook-id: msg_1' --header 'webhook-timestamp: 1760000000' \\
      --header 'webhook-signature: v1,sqQTws…'

Exit code: 0 valid, 1 not valid, 2 used wrongly.
With --json: {\"valid\",\"code\",\"item\",\"hint\"}, code one of missing_header, malformed_header,
malformed_body, no_signature_match, timestamp_too_old, timestamp_in_future.
Give several secrets while one is rotated: any of them may have signed.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The kind: stripe, adyen, braintree, mercadopago, wompi, checkout, http.
    #[arg(long, value_name = "KIND")]
    gateway: String,
    /// A webhook secret; repeat for more. Others on this machine can see it: prefer --secret-env.
    #[arg(long = "secret", value_name = "SECRET")]
    secrets: Vec<String>,
    /// The environment variable that holds a webhook secret; repeat for more.
    #[arg(long = "secret-env", value_name = "NAME")]
    secret_envs: Vec<String>,
    #[command(flatten)]
    captured: Captured,
    /// Judge as if the webhook had arrived at this time (unix seconds).
    #[arg(long, value_name = "UNIX", allow_hyphen_values = true)]
    now: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(verify(args))
}

fn verify(args: Args) -> anyhow::Result<ExitCode> {
    let gateway = gateway(&args.gateway)?;
    let secrets = secrets(args.secrets, &args.secret_envs)?;
    let now = args.now.map_or_else(|| Ok(real_now()), from_unix)?;
    let webhook = args.captured.read()?;
    let verdict = (gateway.verify)(&webhook.request(now), &secrets);
    if args.json {
        print_json(&as_json(&verdict))?;
    } else {
        print_line(&in_words(&verdict))?;
    }
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
}

fn from_unix(seconds: i64) -> Result<Timestamp, Usage> {
    let far = || Usage::new("--now is unix seconds, e.g. --now 1760000000");
    Timestamp::from_second(seconds).map_err(|_| far())
}

fn secrets(given: Vec<String>, names: &[String]) -> Result<Vec<SecretString>, Usage> {
    let from_env = names.iter().map(|name| {
        std::env::var(name).map_err(|_| {
            Usage::new(format!("the environment variable {name} is not set, or not text"))
        })
    });
    let all: Vec<String> =
        given.into_iter().map(Ok).chain(from_env).collect::<Result<_, Usage>>()?;
    if all.is_empty() {
        return Err(Usage::new("a secret is needed: --secret-env NAME, or --secret SECRET"));
    }
    if all.iter().any(|secret| secret.trim().is_empty()) {
        return Err(Usage::new("a given secret is empty"));
    }
    Ok(all.into_iter().map(SecretString::from).collect())
}

fn as_json(verdict: &Result<(), Rejection>) -> serde_json::Value {
    let no = verdict.as_ref().err();
    json!({
        "valid": no.is_none(),
        "code": no.map(|no| no.code.as_str()),
        "item": no.and_then(|no| no.item),
        "hint": no.map(|no| &no.hint),
    })
}

fn in_words(verdict: &Result<(), Rejection>) -> String {
    match verdict {
        Ok(()) => "valid: the signature matches and is from now".to_owned(),
        Err(no) => {
            let item = no.item.map(|item| format!(", item {item}")).unwrap_or_default();
            format!("not valid: {}{item}\n  {}", no.code.as_str(), no.hint)
        }
    }
}
