//! `recoup preview`: every message in every language and on every channel, side by side.
//!
//! Why here: whoever owns the brand reads what customers will read, before any customer does.
//!
//! What must stay true: nothing is sent; the pages are made from the same renderer as messages are,
//! and load nothing from anywhere.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum as _;

use super::offline::{Usage, finish, print_json, print_line};
use crate::config::{Config, Surroundings, brand, locate};
use crate::core::customer::Channel;
use crate::core::policy::MessageKind;
use crate::message::gallery::{self, Shown, Wanted};
use crate::message::{Brand, sample};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup preview                                  writes preview/index.html, and says where
  recoup preview --locale pt-BR --kind card_update
  recoup preview --out /tmp/texts --config shop.toml
  recoup preview --channel sms --json | jq '.messages[] | [.locale, .sms.segments, .text]'

Without a merchant file, a made brand is shown. Nothing is sent.")]
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
    /// Where the gallery is written.
    #[arg(long, value_name = "DIR", default_value = "preview")]
    out: PathBuf,
    /// The merchant file [default: recoup.toml, where there is one].
    #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON document, and write no files: {"messages": […]}.
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

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Way {
    Email,
    Sms,
    Whatsapp,
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
    finish(preview(&args))
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
