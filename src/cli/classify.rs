//! `recoup classify`: what a decline code means, and what follows from it.
//!
//! Why here: the first question about any failed payment, answered by the same tables that the
//! service decides with.
//!
//! What must stay true: an unknown code is an answer (`unknown`, exit 0), not an error.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::offline::{Usage, finish, gateway, print_json};
use crate::core::decline::{
    Advice, Classified, OtherGateway, RawDecline, RetryMode, bare_code, policy,
};
use crate::gateway::facts::network;

const EXAMPLES: &str = "\
Examples:
  recoup classify --gateway stripe --code insufficient_funds
  recoup classify --gateway stripe --code do_not_honor --network visa --network-code 41
  recoup classify --network mastercard --network-code 51 --advice 24
  recoup classify --network mastercard --network-code 65 --region DE

Always prints JSON: category (why), advice (what was ordered), and
  retry              later           on the retry schedule, not before min_delay_seconds
                     soon            a technical fault: in minutes or hours
                     after_customer  once the customer confirmed or changed the card
                     after_check     once the outcome of this attempt is known
                     no              not with this card
  min_delay_seconds  the wait that the network stated, from the decline; null: none
  other_gateway      whether another gateway may try
  source             what decided: advice, network_code, gateway_code, text, none
  raw                what was asked
A code in no table: category unknown, advice none, exit code 0.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The kind of gateway whose code it is; may be left out for a raw network code.
    #[arg(long, value_name = "KIND")]
    gateway: Option<String>,
    /// The gateway's code.
    #[arg(long)]
    code: Option<String>,
    /// Free text, where there is only text.
    #[arg(long)]
    text: Option<String>,
    /// The card's network: visa, mastercard, amex, …
    #[arg(long)]
    network: Option<String>,
    /// The issuer's code, e.g. 51.
    #[arg(long, value_name = "CODE")]
    network_code: Option<String>,
    /// The network's number of advice (24), or the gateway's word (`do_not_try_again`).
    #[arg(long)]
    advice: Option<String>,
    /// Where the merchant is acquired: a country, or EEA; some codes differ.
    #[arg(long)]
    region: Option<String>,
    /// Print JSON (it always does).
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(classify(args))
}

fn classify(args: Args) -> anyhow::Result<ExitCode> {
    // Without a gateway: the common words, in which Stripe's and most merchants' codes are.
    let gateway = gateway(args.gateway.as_deref().unwrap_or("http"))?;
    let asked = [&args.code, &args.text, &args.network_code, &args.advice];
    if asked.iter().all(|fact| fact.as_deref().is_none_or(|text| text.trim().is_empty())) {
        let what = "something to classify is needed: --code, --network-code, --advice or --text";
        return Err(Usage::new(what).into());
    }
    let found = (gateway.classify)(&raw_of(&args));
    print_json(&as_json(&found, &args))?;
    Ok(ExitCode::SUCCESS)
}

fn raw_of(args: &Args) -> RawDecline {
    let given = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let advice = given(&args.advice).map(|advice| bare_code(&advice).to_owned());
    let is_number = |text: &String| text.bytes().all(|b| b.is_ascii_digit());
    RawDecline {
        code: given(&args.code),
        network_code: given(&args.network_code),
        advice_code: advice.clone().filter(|advice| !is_number(advice)),
        network_advice_code: advice.filter(is_number),
        network: given(&args.network).as_deref().and_then(network),
        text: given(&args.text),
        region: given(&args.region),
    }
}

fn as_json(found: &Classified, args: &Args) -> Value {
    let decline = &found.decline;
    let policy = policy(decline.category);
    json!({
        "category": decline.category,
        "advice": decline.advice,
        "retry": retry(decline.advice, policy.retry, decline.min_delay_seconds),
        "min_delay_seconds": decline.min_delay_seconds,
        "other_gateway": other_gateway(decline.advice, policy.other_gateway),
        "source": found.source,
        "raw": {
            "gateway": args.gateway,
            "code": args.code,
            "text": args.text,
            "network": args.network,
            "network_code": args.network_code,
            "advice": args.advice,
            "region": args.region,
        },
    })
}

/// The order is stronger than the category.
fn retry(advice: Advice, mode: RetryMode, wait: Option<u64>) -> &'static str {
    match (advice, mode) {
        (Advice::Never, _) => "no",
        (Advice::CheckStatus, _) => "after_check",
        (Advice::UpdateCredentials | Advice::Authenticate, _) => "after_customer",
        (Advice::RetryAfter, RetryMode::Soon) if wait.is_none() => "soon",
        (Advice::RetryAfter, _) => "later",
        (Advice::None, RetryMode::Schedule) => "later",
        (Advice::None, RetryMode::Soon) => "soon",
        (Advice::None, RetryMode::AfterCustomer) => "after_customer",
        (Advice::None, RetryMode::Never) => "no",
    }
}

fn other_gateway(advice: Advice, allowed: OtherGateway) -> bool {
    let open = matches!(advice, Advice::None | Advice::RetryAfter);
    open && allowed != OtherGateway::Never
}
