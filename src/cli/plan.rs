//! `recoup plan`: a dry run: every attempt and message of a case, with time, text and why.
//!
//! Why here: before recoup touches a real customer, its merchant wants to see what it would do.
//!
//! What must stay true: nothing is charged, sent or written; an event needs no service, no store
//! and no merchant file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use serde_json::Value;

use super::backend::{self, BackendArgs};
use super::compose::policy_of;
use super::offline::{Usage, finish, gateway, print_json, print_line, read_body};
use super::policy;
use super::show::{TIME_WIDTH, Zone, find_case, id_of, words, wrap};
use crate::clock::real_now;
use crate::config::{Config, Surroundings, brand, locate};
use crate::core::case::customer_key;
use crate::core::case::step::Around;
use crate::core::customer::{Customer, PaymentMethod};
use crate::core::decline::RawDecline;
use crate::core::event::{Event, PaymentMethodFacts};
use crate::core::ids::{CardKey, GatewayId};
use crate::gateway::WebhookRequest;
use crate::gateway::kinds::Kind;
use crate::lab::plan::{self, Frame, NetworkFees, Plan, PlanStep, What};

/// The gateway of an event, where nobody says otherwise and there is no merchant file.
const DEFAULT_KIND: &str = "stripe";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["case", "event", "diff"])))]
#[command(after_help = "Examples:
  recoup plan --event event.json                    a captured webhook; needs no merchant file
  recoup plan --event event.json --decline lost_card
  recoup plan --event event.json --gateway stripe --token-at http
  recoup trigger payment_failed --decline insufficient_funds --secret x --print --json |
    jq -r .body | recoup plan --event -
  recoup plan in_42                                 a case that there is
  recoup plan --diff new.toml                       what another merchant file would change

Signs: ↻ attempt   ✉ message   - no message   · decided   ! to look at   ■ how it ends

Every attempt is taken to be declined in the same way, and nobody does anything. An event is
planned from the time that it says it happened at. Nothing is charged, sent or written.")]
pub(super) struct Args {
    /// The case, or its invoice.
    #[arg(value_name = "CASE")]
    case: Option<String>,
    /// The body of a gateway's webhook instead: a file, or `-` for standard input.
    #[arg(long, value_name = "FILE|-")]
    event: Option<PathBuf>,
    /// Another merchant file: what it would change for every case that is under way.
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
    /// Whose event it is: a gateway of the merchant file, or a kind. [default: the billing gateway]
    #[arg(long, value_name = "KIND|ID", requires = "event")]
    gateway: Option<String>,
    /// Take it to be declined for this reason, by the gateway's code.
    #[arg(long, value_name = "CODE", requires = "event")]
    decline: Option<String>,
    /// Take this gateway to hold a token of the customer's card, too; repeat for more.
    #[arg(long, value_name = "KIND|ID", requires = "event")]
    token_at: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.diff {
        return finish(policy::diff(file, &args.backend, args.json));
    }
    finish(match (&args.event, &args.case) {
        (Some(event), _) => of_event(&args, event),
        (None, Some(case)) => of_case(&args, case),
        (None, None) => Err(Usage::new("give a case, or an event with --event").into()),
    })
}

fn of_case(args: &Args, case: &str) -> anyhow::Result<ExitCode> {
    backend::run(&args.backend, async |backend| {
        let case = find_case(backend, case).await?;
        let plan = backend.get(&["cases", id_of(&case)?, "plan"], &[]).await?;
        show(args, &plan, backend.zone())
    })
}

fn of_event(args: &Args, path: &std::path::Path) -> anyhow::Result<ExitCode> {
    let config = config(args)?;
    let billing = billing(args, &config)?;
    let body = read_body(path)?;
    let now = real_now();
    let request = WebhookRequest { body: &body, headers: &[], url: None, now };
    let events = (billing.parse)(&request).context("plan for this event")?;
    let policy = policy_of(&config);
    let brand = brand(&config);
    for mut event in events.iter().cloned() {
        if let Some(code) = &args.decline {
            let raw = RawDecline { code: Some(code.clone()), ..RawDecline::default() };
            event.decline = Some((billing.classify)(&raw).decline);
        }
        let now = event.occurred_at.unwrap_or(now);
        let around = around(args, &config, &event)?;
        let frame = Frame { policy: &policy, brand: &brand, now };
        if let Some(plan) = plan::of_event(&event, around, frame) {
            if event.decline.is_none() {
                say("the event does not tell why it was declined; the service would ask the \
                     gateway. Give --decline CODE to plan for a reason");
            }
            let zone = Zone::of(&config.merchant.time_zone);
            return show(args, &serde_json::to_value(plan)?, &zone);
        }
    }
    bail!("plan for this event: it opens no case; {}", why_none(&events))
}

fn why_none(events: &[Event]) -> String {
    let Some(event) = events.first() else { return "there is no event in it".to_owned() };
    let kind = serde_json::to_value(event.kind).unwrap_or_default();
    let missing = match (&event.invoice, &event.amount) {
        _ if !matches!(kind.as_str(), Some("payment_failed" | "action_required")) => "",
        (None, _) => ", and this one names no invoice",
        (_, None) => ", and this one names no amount",
        _ => ", and nothing is owed by this one",
    };
    let kind = kind.as_str().unwrap_or("other").to_owned();
    format!("it is `{kind}`: a case opens for a payment_failed or action_required{missing}")
}

/// The merchant file; without one the shipped defaults, with a gateway of each kind that is named.
fn config(args: &Args) -> anyhow::Result<Config> {
    let read = |problems| anyhow::anyhow!("read the merchant file\n{problems}");
    if let Some(path) = locate(args.backend.config()) {
        let loaded = Config::load(Some(&path), &Surroundings::of_process(Vec::new()));
        return loaded.map_err(read);
    }
    say("there is no merchant file: planned by the shipped defaults");
    let kind = args.gateway.as_deref().unwrap_or(DEFAULT_KIND);
    let mut kinds = vec![gateway(kind)?.kind];
    for kind in &args.token_at {
        let kind = gateway(kind)?.kind;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let gateways: String = kinds.iter().map(|kind| made_up_gateway(kind)).collect();
    let text = format!("{MADE_UP_MERCHANT}{gateways}");
    Config::read(&text, "the shipped defaults", &Surroundings::default()).map_err(read)
}

/// What the shipped defaults lack to be a merchant file.
const MADE_UP_MERCHANT: &str = "[merchant]\nname = \"Your company\"\n\
    public_url = \"https://pay.company.example\"\n\
    [email]\nsmtp_url = \"smtp://127.0.0.1:25\"\nfrom = \"Your company <billing@example.com>\"\n";

fn made_up_gateway(kind: &str) -> String {
    format!(
        "[[gateways]]\nid = \"{kind}\"\nkind = \"{kind}\"\n\
         api_base = \"https://{kind}.example\"\napi_key = \"not-used\"\n\
         webhook_secrets = [\"whsec_bm90LXVzZWQtbm90LXVzZWQtbm90LXVzZWQ=\"]\n"
    )
}

/// The billing gateway: only failures that it tells open a case.
fn billing(args: &Args, config: &Config) -> anyhow::Result<&'static Kind> {
    let Some(first) = config.gateways.first() else { bail!("plan: there is no gateway") };
    if let Some(named) = &args.gateway {
        let id = find_gateway(config, named)?;
        if id != first.id {
            bail!(
                "plan for an event of `{id}`: only failures that the billing gateway (`{}`) tells \
                 open a case",
                first.id
            );
        }
    }
    Ok(gateway(first.kind.as_str())?)
}

/// By its id, else the first of the kind.
fn find_gateway(config: &Config, named: &str) -> Result<GatewayId, Usage> {
    let by_id = config.gateways.iter().find(|gateway| gateway.id.as_str() == named);
    let by_kind = || config.gateways.iter().find(|gateway| gateway.kind.as_str() == named);
    by_id.or_else(by_kind).map(|gateway| gateway.id.clone()).ok_or_else(|| {
        let ids: Vec<_> = config.gateways.iter().map(|gateway| gateway.id.as_str()).collect();
        Usage::new(format!("no gateway `{named}` in the merchant file; it has: {}", ids.join(", ")))
    })
}

/// The customer, with the tokens that are to be assumed.
fn around(args: &Args, config: &Config, event: &Event) -> Result<Around, Usage> {
    let key = customer_key(event.customer.as_deref(), event.invoice.as_deref().unwrap_or_default());
    let mut customer = Customer::new(key);
    for named in &args.token_at {
        let gateway = find_gateway(config, named)?;
        let facts = event.payment_method.clone().unwrap_or_default();
        let facts = PaymentMethodFacts { token: Some("taken to be there".into()), ..facts };
        customer.put_method(&PaymentMethod {
            card: CardKey::of_token(&gateway, "taken to be there"),
            gateway,
            facts,
            gateway_customer: None,
            network_transaction_id: None,
            default: true,
            consent: true,
            former_exp: None,
        });
    }
    let (cards, learned, siblings, stopped) = Default::default();
    Ok(Around { customer, cards, learned, siblings, stopped, held: false })
}

fn show(args: &Args, plan: &Value, zone: &Zone) -> anyhow::Result<ExitCode> {
    if args.json {
        print_json(plan)?;
    } else {
        let plan = Plan::deserialize(plan).context("read the plan that the service answered")?;
        print_line(&in_words(&plan, zone))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(plan: &Plan, zone: &Zone) -> String {
    let category = serde_json::to_value(plan.decline.category).unwrap_or_default();
    let category = words(category.as_str().unwrap_or("unknown"));
    let code = plan.decline.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    let customer = plan.customer.as_deref().unwrap_or("not named");
    let mut lines = vec![
        format!("{}  {}, invoice {}, customer {customer}", plan.case, plan.amount, plan.invoice),
        "A dry run: nothing is charged, sent or written.".to_owned(),
        wrap(
            "",
            None,
            &format!(
                "Every attempt is taken to be declined: {category}{code}; nobody does anything."
            ),
        ),
        String::new(),
    ];
    plan.steps.iter().for_each(|step| step_in_words(step, zone, &mut lines));
    let end = plan.ends.at.map(|at| zone.show(at)).unwrap_or_default();
    let state = serde_json::to_value(plan.ends.state).unwrap_or_default();
    let state = words(state.as_str().unwrap_or_default());
    let ends = format!("{state}: {}.", zone.localize(&plan.ends.reason));
    lines.push(wrap(&format!("{end:<TIME_WIDTH$}  ■ "), None, &ends));
    lines.extend([String::new(), wrap("", None, &fees_in_words(&plan.network_fees))]);
    lines.push(format!("\nTimes are {}.", zone.name()));
    lines.join("\n")
}

fn fees_in_words(fees: &NetworkFees) -> String {
    let first = match fees.billed_attempts {
        0 => "Network fees: none, every attempt stays under the limits.".to_owned(),
        billed => format!("Network fees: {billed} attempts break a limit. This is a defect."),
    };
    match fees.if_broken.is_empty() {
        true => first,
        false => format!("{first} The card's network would bill {}.", fees.if_broken.join("; ")),
    }
}

fn step_in_words(step: &PlanStep, zone: &Zone, lines: &mut Vec<String>) {
    let indent = " ".repeat(TIME_WIDTH + 4);
    let first = format!("{}  {} ", zone.show(step.at), mark(step.what));
    lines.push(wrap(&first, None, &zone.localize(&step.text)));
    if let Some(why) = step.why.as_ref().filter(|why| !step.text.contains(*why)) {
        lines.push(wrap(&format!("{indent}why: "), None, &zone.localize(why)));
    }
    for one in &step.considered {
        lines.push(wrap(&format!("{indent}considered: "), None, &zone.localize(&one.to_string())));
    }
    let Some(message) = &step.message else { return };
    let quote = format!("{indent}| ");
    if !message.subject.is_empty() {
        lines.push(wrap(&quote, Some(&quote), &format!("Subject: {}", message.subject)));
        lines.push(quote.trim_end().to_owned());
    }
    let text = message.text.trim_end().lines();
    lines.extend(text.map(|line| wrap(&quote, Some(&quote), line)));
    lines.push(String::new());
}

fn mark(what: What) -> char {
    match what {
        What::AskCustomer | What::Close | What::Note | What::Wait => '·',
        What::Attempt => '↻',
        What::Flag => '!',
        What::Message => '✉',
        What::NoMessage => '-',
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own messages go to stderr")]
fn say(text: &str) {
    eprintln!("recoup: {text}");
}
