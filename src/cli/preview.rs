//! `recoup preview`: every message in every language and on every channel, side by side.
//!
//! Why here: whoever owns the brand reads what customers will read, before any customer does.
//!
//! What must stay true: nothing is sent but the one message of `--to`, to the one address named
//! there; the pages are made from the same renderer as messages are, and load nothing from
//! anywhere.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum as _;

use super::channel::Way;
use super::offline::{NOT_WELL, Usage, finish, print_json, print_line};
use crate::channel::{Delivery, Envelope};
use crate::clock::real_now;
use crate::config::{Config, Surroundings, brand, locate};
use crate::core::customer::Channel;
use crate::core::ids::{CaseId, MessageId};
use crate::core::policy::MessageKind;
use crate::message::gallery::{self, Shown, Wanted};
use crate::message::{self, Brand, sample};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup preview                                  writes preview/index.html, and says where
  recoup preview --locale pt-BR --kind card_update
  recoup preview --out /tmp/texts --config shop.toml
  recoup preview --channel sms --json | jq '.messages[] | [.locale, .sms.segments, .text]'
  recoup preview --to me@shop.example --kind card_update --locale it
  recoup preview --to +573005550100                one text message, as a customer gets it

Without a merchant file, a made brand is shown. Nothing is sent without --to: then one message of a
made customer goes to that address through the channels of the merchant file, and the provider's own
words come back. Exit code: 0 taken, 1 not taken, 2 used wrongly.")]
pub(super) struct Args {
    /// Only this locale, e.g. es-CO. [default: every locale that has texts]
    #[arg(long, value_name = "LOCALE")]
    locale: Option<String>,
    /// Only this kind of message.
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<Way>,
    /// Send one message to this address or number: card_update, in the merchant's language.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "out")]
    to: Option<String>,
    /// Where the gallery is written.
    #[arg(long, value_name = "DIR", default_value = "preview")]
    out: PathBuf,
    /// The merchant file [default: recoup.toml, where there is one].
    #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON document, and write no files: {"messages": […]}, or what became of the one.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    PaymentFailed,
    CardUpdate,
    ConfirmBank,
    LastNotice,
    Recovered,
}

impl From<Kind> for MessageKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::PaymentFailed => Self::PaymentFailed,
            Kind::CardUpdate => Self::CardUpdate,
            Kind::ConfirmBank => Self::ConfirmBank,
            Kind::LastNotice => Self::LastNotice,
            Kind::Recovered => Self::Recovered,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    finish(match &args.to {
        Some(to) => send_one(&args, to),
        None => preview(&args),
    })
}

/// Sends one message of a made customer.
fn send_one(args: &Args, to: &str) -> anyhow::Result<ExitCode> {
    let mail = to.contains('@');
    let channel = match args.channel {
        Some(channel) => channel.into(),
        None if mail => Channel::Email,
        None => Channel::Sms,
    };
    if mail != (channel == Channel::Email) {
        return Err(Usage::new("--to is an e-mail address or a number, as --channel says").into());
    }
    let path = locate(args.config.clone());
    let path = path.ok_or_else(|| Usage::new("to send, a merchant file is needed: --config"))?;
    let config = Config::load(Some(&path), &Surroundings::of_process(Vec::new()));
    let config = config.context("read the merchant file")?;
    let envelope = envelope(args, &brand(&config), (channel, to))?;
    let delivery = super::open::block_on(async {
        let channels = super::channels::deliver(&config)?;
        let of_kind = channels.iter().find(|known| known.channel() == channel);
        let by = of_kind.with_context(|| format!("find [{}] set up", channel.as_str()))?;
        Ok(by.deliver(&envelope).await)
    })?;
    tell(args, &envelope, channel, &delivery)
}

fn envelope(
    args: &Args,
    brand: &Brand,
    (channel, to): (Channel, &str),
) -> anyhow::Result<Envelope> {
    let tag = args.locale.as_deref().unwrap_or(&brand.locale);
    let locale = gallery::locale(tag).ok_or_else(|| unknown_locale(tag))?;
    let kind = args.kind.map_or(MessageKind::CardUpdate, MessageKind::from);
    let order = sample::order(kind, channel, &locale).context("make the message")?;
    let mut contact = order.contact.clone();
    match channel {
        Channel::Email => contact.email = Some(to.to_owned()),
        Channel::Sms | Channel::Whatsapp => contact.phone = Some(to.to_owned()),
    }
    let rendered = message::render(&order, brand, &sample::link(brand));
    let rendered = rendered.context("render the message")?;
    let id = MessageId(format!("msg_preview_{}", real_now().as_millisecond()));
    let case = CaseId("case_preview".to_owned());
    Ok(Envelope { id, case, contact, rendered, stop_link: None })
}

fn tell(
    args: &Args,
    envelope: &Envelope,
    channel: Channel,
    delivery: &Delivery,
) -> anyhow::Result<ExitCode> {
    let (status, answer) = match delivery {
        Delivery::Accepted { answer } => ("accepted", answer),
        Delivery::Later { answer } => ("later", answer),
        Delivery::Refused { answer } => ("refused", answer),
        Delivery::Unreachable { answer } => ("unreachable", answer),
        Delivery::Unwanted { answer } => ("unwanted", answer),
        Delivery::Unknown { answer } => ("uncertain", answer),
    };
    let taken = status == "accepted";
    if args.json {
        let rendered = &envelope.rendered;
        print_json(&serde_json::json!({
            "channel": channel, "status": status, "answer": answer, "locale": rendered.locale,
            "subject": rendered.subject, "text": rendered.text,
        }))?;
    } else {
        let by = channel.as_str();
        print_line(&format!("By {by}: {status}. The provider's words: {answer}"))?;
    }
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
}

fn preview(args: &Args) -> anyhow::Result<ExitCode> {
    let brand = brand_of(args)?;
    let wanted = Wanted {
        locales: match &args.locale {
            Some(tag) => vec![gallery::locale(tag).ok_or_else(|| unknown_locale(tag))?],
            None => brand.texts.locales(),
        },
        kinds: args.kind.map_or_else(|| MessageKind::ALL.to_vec(), |kind| vec![kind.into()]),
        channels: match args.channel {
            Some(channel) => vec![channel.into()],
            None => Way::value_variants().iter().map(|way| (*way).into()).collect(),
        },
    };
    let shown = gallery::show(&brand, &wanted).context("render the messages")?;
    if args.json {
        print_json(&serde_json::json!({ "messages": shown }))?;
        return Ok(ExitCode::SUCCESS);
    }
    write(args, &shown)?;
    Ok(ExitCode::SUCCESS)
}

fn unknown_locale(tag: &str) -> Usage {
    Usage::new(format!("there are no texts in `{tag}`; there are en, es, fr, it and pt"))
}

fn brand_of(args: &Args) -> anyhow::Result<Brand> {
    let Some(path) = locate(args.config.clone()) else { return Ok(sample::brand()) };
    let config = Config::load(Some(&path), &Surroundings::of_process(Vec::new()));
    Ok(brand(&config.context("read the merchant file")?))
}

fn write(args: &Args, shown: &[Shown]) -> anyhow::Result<()> {
    let folder = &args.out;
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    for (name, content) in gallery::files(shown)? {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    let index = folder.join("index.html");
    print_line(&format!("{} messages: {}", shown.len(), index.display()))?;
    Ok(())
}
