//! `recoup webhooks`: the events that go to the merchant's own systems.
//!
//! Why here: who builds the receiving end wants to see what was sent, what was answered, and to
//! have it sent again.
//!
//! What must stay true: a replay is the same event, under the same `webhook-id`.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::backend::{self, Backend, BackendArgs};
use super::list;
use super::offline::{print_json, print_line};
use crate::store::outbound::DeliveryState;

/// Puts an answer into words.
type Print = fn(&Value) -> String;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup webhooks list
  recoup webhooks list --state gave_up
  recoup webhooks show whd_019f…            what was sent, and what was answered
  recoup webhooks replay whd_019f…          the same event, once more, now
  recoup webhooks endpoints
  recoup webhooks test whe_1a2b3c4d5e6f     an event that only tests the way
  recoup webhooks enable whe_1a2b3c4d5e6f   after it answered 410

Newest first. Where events go is `[[webhooks]]` of the merchant file; docs/EVENTS.md says what they
hold. While no service runs, what is asked for is sent when one does.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// What became of each event.
    List {
        /// Only those in this state.
        #[arg(long, value_name = "STATE",
            value_parser = states())]
        state: Option<String>,
        /// Only those to this endpoint.
        #[arg(long, value_name = "ID")]
        endpoint: Option<String>,
        /// Only those about this case.
        #[arg(long, value_name = "ID")]
        case: Option<String>,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 20,
            value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// One delivery with its body and every try.
    Show(One),
    /// Send an event again.
    Replay(One),
    /// Where events go.
    Endpoints {
        #[command(flatten)]
        backend: BackendArgs,
    },
    /// Send an event that only tests the way.
    Test(One),
    /// Send to an endpoint again that has answered 410.
    Enable(One),
}

fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(DeliveryState::ALL.map(DeliveryState::as_str))
}

/// Which one.
#[derive(Debug, clap::Args)]
struct One {
    /// Its id.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let done = |(answer, print): (Value, Print)| -> anyhow::Result<ExitCode> {
        if json {
            print_json(&answer)?;
        } else {
            print_line(&print(&answer))?;
        }
        Ok(ExitCode::SUCCESS)
    };
    match args.what {
        What::List { state, endpoint, case, limit, backend } => {
            done(backend::run(&backend, async |backend| {
                let limit = limit.to_string();
                let mut query = vec![("limit", limit.as_str())];
                query.extend(list::given([
                    ("state", &state),
                    ("endpoint", &endpoint),
                    ("case", &case),
                ]));
                let found = backend.get(&["webhook-deliveries"], &query).await?;
                Ok((found, deliveries as Print))
            })?)
        }
        What::Show(one) => done(backend::run(&one.backend, async |backend| {
            let found = backend.get(&["webhook-deliveries", &one.id], &[]).await?;
            Ok((found, whole as Print))
        })?),
        What::Replay(one) => done(ask(&one, ["webhook-deliveries", "replay"], whole)?),
        What::Test(one) => done(ask(&one, ["webhook-endpoints", "test"], whole)?),
        What::Enable(one) => done(ask(&one, ["webhook-endpoints", "enable"], endpoint)?),
        What::Endpoints { backend } => done(backend::run(&backend, async |backend: &Backend| {
            let found = backend.get(&["webhook-endpoints"], &[]).await?;
            Ok((found, endpoints as Print))
        })?),
    }
}

fn ask(one: &One, [list, action]: [&str; 2], print: Print) -> anyhow::Result<(Value, Print)> {
    backend::run(&one.backend, async |backend| {
        Ok((backend.post(&[list, &one.id, action], &json!({})).await?, print))
    })
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.get("data").and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn deliveries(list: &Value) -> String {
    let lines: Vec<_> = rows(list).map(delivery).collect();
    let more = list.get("has_more").and_then(Value::as_bool).unwrap_or(false);
    match (lines.is_empty(), more) {
        (true, _) => "No deliveries.".to_owned(),
        (false, false) => lines.join("\n"),
        (false, true) => format!("{}\n\nThere are more: raise --limit", lines.join("\n")),
    }
}

/// One line: id, time, what, where it stands, the last answer.
fn delivery(one: &Value) -> String {
    let tries = one.get("tries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let last = tries.last().map_or_else(|| "not tried yet".to_owned(), answer);
    let (id, at, kind) = (text(one, "id"), text(one, "created_at"), text(one, "type"));
    let next = match one.get("next_try_at").and_then(Value::as_str) {
        Some(next) => format!(", again {next}"),
        None => String::new(),
    };
    format!("{id}  {at}  {kind:<17}  {:<9}  {last}{next}", text(one, "state"))
}

fn answer(one: &Value) -> String {
    let status = one.get("status").and_then(Value::as_u64);
    let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    match text(one, "answer") {
        "" => status,
        words => format!("{status} {words}"),
    }
}

fn whole(one: &Value) -> String {
    let mut lines = vec![delivery(one), format!("to {}", text(one, "url"))];
    for one in one.get("tries").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("  {}  {}", text(one, "at"), answer(one)));
    }
    if let Some(body) = one.get("body").filter(|body| !body.is_null()) {
        lines.push(format!("{body:#}"));
    }
    lines.join("\n")
}

fn endpoints(list: &Value) -> String {
    let lines: Vec<_> = rows(list).map(endpoint).collect();
    match lines.is_empty() {
        true => "No `[[webhooks]]` in the merchant file.".to_owned(),
        false => lines.join("\n"),
    }
}

fn endpoint(one: &Value) -> String {
    let state = match one.get("ended_at").and_then(Value::as_str) {
        Some(at) => format!("ended {at}: {}", text(one, "why")),
        None => "open".to_owned(),
    };
    format!("{}  {}  {state}", text(one, "id"), text(one, "url"))
}
