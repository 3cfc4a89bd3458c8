//! `recoup sandbox`: the sandbox gateways alone, for a developer's own integration.
//!
//! Why here: it prints what a merchant file needs to point at them, ready to paste.
//!
//! What must stay true: the first thing printed is an address that already answers.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use tokio::sync::broadcast;

use crate::clock::{Clock, real_now};
use crate::sandbox::{Delivery, Kind, MERCHANT_ACCOUNT, Sandbox, SandboxOptions, Secrets, Shape};

const EXAMPLES: &str = "Examples:
  recoup sandbox                                       gateways on 127.0.0.1:9000
  recoup sandbox --webhook-url http://127.0.0.1:8080   and webhooks to recoup serve
  recoup sandbox --seed 7 --test-clock 2026-11-01T09:00:00Z --json

While it runs:
  curl -X POST 127.0.0.1:9000/_sandbox/subscribe \\
    -d '{\"card\":\"tok_insufficient_funds\",\"amount\":2900,\"currency\":\"usd\"}'
  curl -X POST 127.0.0.1:9000/_sandbox/subscriptions/SUB/bill     a failed payment, with webhooks
  curl 127.0.0.1:9000/_sandbox/ledger                             what was really charged";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where webhooks go; without a path they go to /webhooks/stripe, /webhooks/adyen and
    /// /webhooks/http.
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// The same seed gives the same ids, keys and outcomes. [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Time stands at TIME and moves only by POST /_sandbox/clock/advance.
    #[arg(long, value_name = "TIME")]
    test_clock: Option<jiff::Timestamp>,
    /// The version of Stripe's API that events are written in.
    #[arg(long, value_name = "VERSION", default_value = "2025-03-31.basil")]
    stripe_version: String,
    /// Days between the retries of Stripe's own and of Adyen's Auto Rescue, e.g. 3,5,7. [default:
    /// they do not retry]
    #[arg(long, value_name = "DAYS", value_delimiter = ',')]
    native_retries: Vec<i64>,
    /// One JSON document with addresses, keys and secrets; then one line for each webhook.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Runtime::new().context("start the runtime")?.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| real_now().as_millisecond().unsigned_abs());
    let sandbox = Sandbox::start(SandboxOptions {
        listen: args.listen,
        webhook_url: args.webhook_url.clone(),
        seed,
        clock: args.test_clock.map_or(Clock::System, Clock::test),
        stripe_shape: Shape::of_version(&args.stripe_version),
        native_retry_days: args.native_retries.clone(),
        ..SandboxOptions::default()
    })
    .await?;
    let deliveries = sandbox.hear_deliveries();
    let text = if args.json { as_json(&sandbox, seed) } else { as_text(&sandbox, seed) };
    say(&text)?;
    if args.webhook_url.is_none() && !args.json {
        say("\nNo --webhook-url: events are kept, and sent nowhere. Ctrl-C ends it.")?;
    }
    tokio::select! {
        done = narrate(deliveries, args.json) => done?,
        ended = until_told() => ended?,
    }
    sandbox.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("write to stdout")
}

fn as_json(sandbox: &Sandbox, seed: u64) -> String {
    let secrets = sandbox.secrets();
    json!({
        "address": format!("http://{}", sandbox.address()),
        "seed": seed,
        "stripe": {
            "api_base": sandbox.api_base(Kind::Stripe),
            "api_key": secrets.stripe_api_key,
            "webhook_secret": secrets.stripe_webhook_secret,
        },
        "adyen": {
            "api_base": sandbox.api_base(Kind::Adyen),
            "api_key": secrets.adyen_api_key,
            "webhook_secret": secrets.adyen_webhook_secret,
            "merchant_account": MERCHANT_ACCOUNT,
        },
        "http": {
            "api_base": sandbox.api_base(Kind::Http),
            "api_key": secrets.http_api_key,
            "webhook_secret": secrets.http_webhook_secret,
        },
        "control": format!("http://{}/_sandbox", sandbox.address()),
    })
    .to_string()
}

fn as_text(sandbox: &Sandbox, seed: u64) -> String {
    let control = format!("http://{}/_sandbox", sandbox.address());
    let secrets = sandbox.secrets();
    let gateways = Kind::ALL.map(|kind| snippet(sandbox, kind, secrets));
    format!(
        "The sandbox gateways are up (seed {seed}). Nothing here is real: no money, no cards.\n\n\
         Put this into recoup.toml:\n\n{}\n\n\
         Control: {control}   (recoup sandbox --help shows how)\n\
         Charges: {control}/ledger",
        gateways.join("\n\n"),
    )
}

/// A gateway of the merchant file. The keys protect nothing, so they are printed as they are.
fn snippet(sandbox: &Sandbox, kind: Kind, secrets: &Secrets) -> String {
    let (key, secret) = match kind {
        Kind::Adyen => (&secrets.adyen_api_key, &secrets.adyen_webhook_secret),
        Kind::Stripe => (&secrets.stripe_api_key, &secrets.stripe_webhook_secret),
        Kind::Http => (&secrets.http_api_key, &secrets.http_webhook_secret),
    };
    let account = match kind {
        Kind::Adyen => format!("\nmerchant_account = \"{MERCHANT_ACCOUNT}\""),
        Kind::Http | Kind::Stripe => String::new(),
    };
    format!(
        "[[gateways]]\nid = \"{kind}\"\nkind = \"{kind}\"\napi_base = \"{}\"\n\
         api_key = \"{key}\"\nwebhook_secrets = [\"{secret}\"]{account}",
        sandbox.api_base(kind),
        kind = kind.as_str(),
    )
}

/// One line for each try to deliver a webhook.
async fn narrate(mut deliveries: broadcast::Receiver<Delivery>, json: bool) -> anyhow::Result<()> {
    loop {
        match deliveries.recv().await {
            Ok(delivery) if json => say(&serde_json::to_string(&delivery)?)?,
            Ok(delivery) => say(&line(&delivery))?,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        }
    }
}

fn line(delivery: &Delivery) -> String {
    let status = delivery.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
    let again =
        if delivery.attempt > 1 { format!(" (try {})", delivery.attempt) } else { String::new() };
    format!(
        "--> {} {} {} [{status}]{again}",
        delivery.gateway.as_str(),
        delivery.kind,
        delivery.event,
    )
}

async fn until_told() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended.context("listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}
