//! `recoup doctor`: goes online and says what is not well, with one fix for each problem.
//!
//! Why here: `check` reads the merchant file; this asks the gateways, the service and the public
//! address. What gateways can do is read from their profiles, what they know from their history.
//!
//! What must stay true: nothing is charged, sent or changed, but for `--repair`, which only appends
//! what webhooks would have brought; no secret is printed.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::compose;
use super::offline::{NOT_WELL, Usage, finish, print_json, print_line};
use crate::config::{Config, Surroundings, locate};
use crate::core::policy::NativeRetries;
use crate::gateway::Gateway;
use crate::gateway::history::Completeness;
use crate::gateway::wire::{self, Timeouts};

mod dns;
mod mail;
mod online;
mod report;

/// How long the public address may take.
const PUBLIC_TIME: Duration = Duration::from_secs(10);

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup doctor
  recoup doctor --json
  recoup doctor --reconcile                    which events and invoices never arrived?
  recoup doctor --reconcile --since 2026-11-01 --repair

Asks each gateway with a harmless read, which webhooks it sends where, and what the time is; the
public address; DNS about the sender of mails; WhatsApp about its templates; and the service (or,
while none runs, the store). With --reconcile: the events and open invoices that a gateway knows and
the store does not, and how complete the store is; --repair takes them in, as their webhooks would
have been.
Exit code: 0 all is well, 1 something is not, 2 used wrongly.")]
pub(super) struct Args {
    /// Compare with what the gateways know (those that tell: see the table).
    #[arg(long)]
    reconcile: bool,
    /// From when on: a date, or a time [default: 30 days ago].
    #[arg(long, value_name = "DATE", requires = "reconcile")]
    since: Option<String>,
    /// Take in what is missing.
    #[arg(long, requires = "reconcile")]
    repair: bool,
    /// Ask this resolver about the sender's domain [default: that of /etc/resolv.conf].
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns: Option<std::net::SocketAddr>,
    /// Print one JSON document: {"ok", "checks", "gateways", "reconcile"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What.
    pub(super) name: String,
    /// Whether it is well.
    pub(super) ok: bool,
    /// What was found.
    pub(super) detail: String,
    /// What mends it.
    pub(super) fix: Option<String>,
}

impl Check {
    fn well(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, detail: detail.into(), fix: None }
    }

    fn ill(name: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name: name.into(), ok: false, detail: detail.into(), fix: Some(fix.into()) }
    }
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) checks: Vec<Check>,
    /// As `GET /api/v1/gateways` tells them.
    pub(super) gateways: Vec<Value>,
    pub(super) reconcile: Option<Vec<Completeness>>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(examine(&args))
}

fn examine(args: &Args) -> anyhow::Result<ExitCode> {
    let since = args.since.as_deref().map(read_since).transpose()?;
    let path = locate(args.backend.config());
    let config = match Config::load(path.as_deref(), &Surroundings::of_process(Vec::new())) {
        Ok(config) => config,
        Err(problems) => anyhow::bail!("read the merchant file\n{problems}"),
    };
    let mut findings = Findings::default();
    findings.checks.extend(config.warnings.iter().map(|warning| Check {
        name: format!("merchant file: {}", warning.key),
        ok: true,
        detail: warning.message.clone(),
        fix: warning.cure.clone(),
    }));
    super::open::block_on(async {
        ask_gateways(&config, &mut findings).await?;
        findings.checks.push(public_address(&config.merchant.public_url).await);
        findings.checks.extend(online::clock(&config).await);
        if let Some(email) = &config.email {
            let conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            let server = args.dns.unwrap_or_else(|| dns::resolver(&conf));
            findings.checks.extend(mail::check(email, server).await);
        }
        #[cfg(feature = "whatsapp")]
        findings.checks.extend(online::templates(&config).await);
        findings.checks.push(online::mode(&config));
        Ok(())
    })?;
    ask_service(args, since, &mut findings)?;
    tell(args, &findings)
}

fn tell(args: &Args, findings: &Findings) -> anyhow::Result<ExitCode> {
    let whole = findings
        .reconcile
        .iter()
        .flatten()
        .all(|one| one.error.is_none() && one.missing.iter().all(|gap| gap.repaired));
    let ok = findings.checks.iter().all(|check| check.ok) && whole;
    if args.json {
        let mut document = json!({ "ok": ok });
        document["checks"] = serde_json::to_value(&findings.checks)?;
        document["gateways"] = json!(findings.gateways);
        document["reconcile"] = serde_json::to_value(&findings.reconcile)?;
        print_json(&document)?;
    } else {
        print_line(&report::in_words(findings))?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
}

/// A date (its beginning in UTC), or a time.
fn read_since(text: &str) -> Result<Timestamp, Usage> {
    let date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let at = text.parse::<Timestamp>().ok().or_else(|| Some(date()?.timestamp()));
    at.ok_or_else(|| Usage::new("--since is a date or a time, e.g. --since 2026-11-01"))
}

async fn ask_gateways(config: &Config, findings: &mut Findings) -> anyhow::Result<()> {
    let gateways = compose::gateways(config)?;
    for (index, (gateway, settings)) in gateways.iter().zip(&config.gateways).enumerate() {
        findings.checks.push(access(gateway.as_ref()).await);
        let at = format!("{}/webhooks/{}", config.merchant.public_url, gateway.id());
        findings.checks.extend(online::webhooks(gateway.as_ref(), &at).await);
        if index == 0 {
            findings.checks.push(native_retries(gateway.as_ref(), settings.native_retries));
        }
    }
    Ok(())
}

async fn access(gateway: &dyn Gateway) -> Check {
    let name = format!("{}: key", gateway.id());
    let rights = gateway.profile().rights;
    match gateway.check_access().await {
        Ok(read) => Check::well(name, read),
        Err(error) if error.is_transient() => {
            let fix = "see whether its address is right and reachable from here, then again";
            Check::ill(name, error.to_string(), fix)
        }
        Err(error) => {
            let fix = match rights.is_empty() {
                true => "see whether `api_key` is this account's".to_owned(),
                false => format!(
                    "see whether `api_key` is this account's and has the rights; {}",
                    rights.join("; ")
                ),
            };
            Check::ill(name, error.to_string(), fix)
        }
    }
}

/// What the billing gateway does by itself, and whether the merchant file fits it.
fn native_retries(gateway: &dyn Gateway, set: NativeRetries) -> Check {
    let (id, facts) = (gateway.id(), gateway.profile().native_retries);
    let name = format!("{id}: own retries");
    match (facts.what, set, facts.switch_off) {
        ("", _, _) => Check::well(name, "it has none"),
        (what, NativeRetries::Observe, _) => {
            let detail = format!("{what}; while it plans one, recoup only watches");
            Check::well(name, detail)
        }
        (what, NativeRetries::Off, Some(place)) => {
            let detail = format!("{what}; said to be off; recoup warns when one is planned");
            Check {
                fix: Some(format!("they are switched off at {place}")),
                ..Check::well(name, detail)
            }
        }
        (what, NativeRetries::Off, None) => {
            let detail = format!("{what}; they cannot be switched off");
            Check::ill(name, detail, format!("set native_retries = \"observe\" for `{id}`"))
        }
    }
}

/// Whether what links in messages begin with leads to a recoup.
async fn public_address(url: &str) -> Check {
    let name = "public address";
    let fix = "point DNS and TLS of `merchant.public_url` at the service, and start it";
    let times = Timeouts { connect: PUBLIC_TIME, total: PUBLIC_TIME };
    let answer = match wire::client(times) {
        Ok(client) => client.get(format!("{}/livez", url.trim_end_matches('/'))).send().await,
        Err(error) => return Check::ill(name, error.to_string(), fix),
    };
    match answer {
        Ok(answer) if answer.status().is_success() => Check::well(name, format!("{url} answers")),
        Ok(answer) => Check::ill(name, format!("{url}/livez answers {}", answer.status()), fix),
        Err(_) => Check::ill(name, format!("{url} does not answer from here"), fix),
    }
}

fn ask_service(
    args: &Args,
    since: Option<Timestamp>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let asked = backend::run(&args.backend, async |backend| {
        findings.gateways = gateways_of(backend).await?;
        let channels = backend.get(&["channels"], &[]).await?;
        let channels = channels["data"].as_array().cloned().unwrap_or_default();
        findings.checks.extend(channels.iter().map(channel_goes));
        if args.reconcile {
            let body = json!({ "since": since, "repair": args.repair });
            let answer = backend.post_patiently(&["reconcile"], &body).await?;
            findings.reconcile = Some(serde_json::from_value(answer["data"].clone())?);
        }
        Ok(if backend.applies() {
            "the service answers"
        } else {
            "no service runs; the store opens"
        })
    });
    match asked {
        Ok(which) => findings.checks.push(Check::well("service", which)),
        Err(error) => {
            let fix = "start `recoup serve`, or name its address with --url";
            findings.checks.push(Check::ill("service", format!("{error:#}"), fix));
        }
    }
    findings.checks.extend(findings.gateways.iter().flat_map(unknown_codes).collect::<Vec<_>>());
    Ok(())
}

/// Whether messages go by a channel.
fn channel_goes(channel: &Value) -> Check {
    let name = channel["channel"].as_str().unwrap_or_default();
    let title = format!("channel {name}");
    match channel["stop"]["why"].as_str() {
        None => Check::well(title, "messages go"),
        Some(why) => Check::ill(
            title,
            format!("stopped for all customers: {why}"),
            format!("find out why, mend it, then `recoup channels lift {name}`"),
        ),
    }
}

async fn gateways_of(backend: &Backend) -> anyhow::Result<Vec<Value>> {
    let answer = backend.get(&["gateways"], &[]).await?;
    Ok(answer["data"].as_array().cloned().unwrap_or_default())
}

/// Codes in no table are treated with caution; somebody should say what they mean.
fn unknown_codes(gateway: &Value) -> Option<Check> {
    let codes = gateway["unknown_declines"].as_array().filter(|codes| !codes.is_empty())?;
    let shown: Vec<_> = codes
        .iter()
        .map(|one| format!("{} ({})", one["code"].as_str().unwrap_or("?"), one["count"]))
        .collect();
    let id = gateway["id"].as_str().unwrap_or_default();
    Some(Check {
        fix: Some("add a row to the gateway's declines.csv, or report the code".to_owned()),
        ..Check::well(
            format!("{id}: decline codes"),
            format!("in no table, treated with caution: {}", shown.join(", ")),
        )
    })
}
