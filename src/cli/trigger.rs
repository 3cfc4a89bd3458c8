//! `recoup trigger`: sends one correctly signed webhook.
//!
//! Why here: to see what recoup does with a failed payment of *your* customer must not take an
//! account, a login or the internet.
//!
//! What must stay true: the secret is never printed; exit code 0 means that the receiver has taken
//! the event.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::clock::real_now;
use crate::core::money::{Currency, Money};
use crate::sandbox::sample::{self, Happening, Sample, Wanted};
use crate::sandbox::sign::UnreadableSecret;
use crate::sandbox::{Kind, Refusal, Shape, deliver};

const EXAMPLES: &str = "Events:
  payment_failed, payment_succeeded, voided, subscription_cancelled, payment_method_updated,
  disputed, refunded, action_required

Examples:
  recoup trigger payment_failed --decline insufficient_funds --secret-env STRIPE_WEBHOOK_SECRET
  recoup trigger payment_failed --customer cus_42 --invoice in_42 --amount 29000 --currency cop
  recoup trigger payment_succeeded --invoice in_42
  recoup trigger payment_failed --gateway adyen --secret-env ADYEN_WEBHOOK_SECRET
  recoup trigger payment_failed --gateway http --url http://127.0.0.1:8080/webhooks/backup
  recoup trigger disputed --print                      as a curl command, without sending it

With --decline, Stripe's invoice.payment_failed carries its payments expanded, so the code is
learned without an API call; without it, it looks as Stripe sends it by default. The http gateway
has no event for action_required: it is a payment_failed with code authentication_required.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What happened, e.g. payment_failed.
    event: String,
    /// Which kind of gateway sends it: stripe or http.
    #[arg(long, value_name = "KIND", default_value = "stripe", value_parser = kind)]
    gateway: Kind,
    /// The customer's id.
    #[arg(long, value_name = "ID", default_value = "cus_trigger")]
    customer: String,
    /// The invoice's id. Another invoice is another case.
    #[arg(long, value_name = "ID", default_value = "in_trigger")]
    invoice: String,
    /// Minor units: 2900 is 29.00 USD.
    #[arg(long, value_name = "N", default_value_t = 2900,
        value_parser = clap::value_parser!(i64).range(1..))]
    amount: i64,
    /// ISO 4217.
    #[arg(long, value_name = "CODE", default_value = "usd", value_parser = currency)]
    currency: Currency,
    /// Why it was declined, by the gateway's code, e.g. insufficient_funds.
    #[arg(long, value_name = "CODE")]
    decline: Option<String>,
    /// Where to send it. [default: http://127.0.0.1:8080/webhooks/{gateway}]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The webhook secret. [default: from STRIPE_WEBHOOK_SECRET, ADYEN_WEBHOOK_SECRET or
    /// HTTP_WEBHOOK_SECRET]
    #[arg(long, value_name = "SECRET", conflicts_with = "secret_env")]
    secret: Option<String>,
    /// The environment variable that holds the webhook secret.
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// The version of Stripe's API that the event is written in.
    #[arg(long, value_name = "VERSION", default_value = "2025-03-31.basil")]
    stripe_version: String,
    /// Print it as a curl command, and send nothing.
    #[arg(long)]
    print: bool,
    /// One JSON document.
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "adyen" => Ok(Kind::Adyen),
        "stripe" => Ok(Kind::Stripe),
        "http" => Ok(Kind::Http),
        _ => Err("the kinds are adyen, stripe and http".to_owned()),
    }
}

fn currency(text: &str) -> Result<Currency, String> {
    text.parse().map_err(|_| "this is no ISO 4217 currency code".to_owned())
}

/// Used wrongly: exit code 2.
fn wrong(message: &str) -> ExitCode {
    // Where stderr is gone, the exit code still tells.
    let _ = writeln!(std::io::stderr(), "recoup: {message}");
    ExitCode::from(2)
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(happening) = Happening::find(&args.event) else {
        return Ok(wrong(&unknown_event(&args.event)));
    };
    let secret = match secret(&args) {
        Ok(secret) => secret,
        Err(message) => return Ok(wrong(&message)),
    };
    warn_of_unknown_code(args.decline.as_deref());
    let wanted = Wanted {
        gateway: args.gateway,
        happening,
        customer: args.customer.clone(),
        invoice: args.invoice.clone(),
        amount: Money::new(args.amount, args.currency),
        decline: args.decline.clone(),
        at: real_now(),
        shape: Shape::of_version(&args.stripe_version),
    };
    let Some(sample) = sample::sample(&wanted) else {
        return Ok(wrong(&format!("{} has no event `{}`", args.gateway.as_str(), args.event)));
    };
    let signed = sign(args.gateway, &secret, &sample);
    let Ok((body, headers)) = signed else {
        return Ok(wrong(
            "this secret cannot be read: that of the http gateway is `whsec_` and base64, that of \
             adyen is hexadecimal",
        ));
    };
    let default = || format!("http://127.0.0.1:8080/webhooks/{}", args.gateway.as_str());
    let sent = Sent { url: args.url.clone().unwrap_or_else(default), sample, body, headers };
    if args.print {
        return print(&sent, args.json);
    }
    tokio::runtime::Runtime::new().context("start the runtime")?.block_on(send(sent, args.json))
}

type Signed = (String, Vec<(&'static str, String)>);

fn sign(gateway: Kind, secret: &str, sample: &Sample) -> Result<Signed, UnreadableSecret> {
    let body = deliver::sealed(gateway, secret, &sample.body.to_string())?;
    let headers = deliver::headers(gateway, secret, (&sample.id, &body), real_now())?;
    Ok((body, headers))
}

fn unknown_event(given: &str) -> String {
    let names: Vec<_> = Happening::names().collect();
    let nearest = Happening::nearest(given);
    let nearest = nearest.map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
    format!("there is no event `{given}`.{nearest}\nThe events are: {}", names.join(", "))
}

fn warn_of_unknown_code(code: Option<&str>) {
    let Some(code) = code.filter(|code| !Refusal::known_codes().any(|known| known == *code)) else {
        return;
    };
    let near = Refusal::known_codes()
        .max_by(|a, b| strsim::jaro_winkler(code, a).total_cmp(&strsim::jaro_winkler(code, b)));
    let near = near.filter(|near| strsim::jaro_winkler(code, near) > 0.8);
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    // Only a remark: any code may be sent.
    let _ = writeln!(
        std::io::stderr(),
        "recoup: `{code}` is no code that the sandbox knows{hint} It is sent as it is."
    );
}

fn secret(args: &Args) -> Result<String, String> {
    if let Some(secret) = &args.secret {
        return Ok(secret.clone());
    }
    let usual = match args.gateway {
        Kind::Adyen => "ADYEN_WEBHOOK_SECRET",
        Kind::Stripe => "STRIPE_WEBHOOK_SECRET",
        Kind::Http => "HTTP_WEBHOOK_SECRET",
    };
    let name = args.secret_env.as_deref().unwrap_or(usual);
    std::env::var(name).ok().filter(|secret| !secret.is_empty()).ok_or_else(|| {
        format!("no webhook secret: {name} is not set. Set it, or give --secret or --secret-env")
    })
}

/// A webhook, ready to go.
struct Sent {
    url: String,
    sample: Sample,
    body: String,
    headers: Vec<(&'static str, String)>,
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("write to stdout")
}

fn print(sent: &Sent, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let headers: serde_json::Map<String, serde_json::Value> =
            sent.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        say(&json!({ "event": sent.sample.kind, "id": sent.sample.id, "url": sent.url,
            "headers": headers, "body": sent.body })
        .to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let headers: String = sent
        .headers
        .iter()
        .map(|(name, value)| format!(" \\\n  -H {}", quote(&format!("{name}: {value}"))))
        .collect();
    say(&format!(
        "curl -X POST {}{headers} \\\n  --data-binary {}",
        quote(&sent.url),
        quote(&sent.body)
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn send(sent: Sent, json: bool) -> anyhow::Result<ExitCode> {
    let client = deliver::client().context("make the webhook client")?;
    let request = sent
        .headers
        .iter()
        .fold(client.post(&sent.url), |request, (name, value)| request.header(*name, value));
    let answer = request.body(sent.body).send().await;
    let (status, text) = match answer {
        Ok(answer) => (Some(answer.status().as_u16()), answer.text().await.unwrap_or_default()),
        Err(error) if error.is_builder() => {
            return Ok(wrong(&format!("`{}` is no address to send to", sent.url)));
        }
        Err(_) => (None, String::new()),
    };
    let taken = status.is_some_and(|status| (200..300).contains(&status));
    let verdict = verdict(status, &text);
    if json {
        say(&json!({ "event": sent.sample.kind, "id": sent.sample.id, "url": sent.url,
            "status": status, "taken": taken, "verdict": verdict })
        .to_string())?;
    } else {
        let shown = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        say(&format!("--> POST {} {} {} [{shown}]", sent.url, sent.sample.kind, sent.sample.id))?;
        say(&verdict)?;
    }
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What the answer means, and what to look at.
fn verdict(status: Option<u16>, body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let code = problem.get("code").and_then(serde_json::Value::as_str);
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    match status {
        Some(200..300) => "taken: the event is stored and will be applied".to_owned(),
        Some(401) => format!("refused{code}: is this the secret of that endpoint?"),
        Some(404) => {
            "refused: no gateway with this id; the path ends with its id in recoup.toml".to_owned()
        }
        Some(status) => format!("refused with {status}{code}"),
        None => "nobody answered: is `recoup serve` running there?".to_owned(),
    }
}
