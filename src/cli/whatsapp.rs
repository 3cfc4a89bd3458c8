//! `recoup whatsapp templates`: the templates that messages name, and whether WhatsApp has approved
//! them.
//!
//! Why here: WhatsApp delivers to somebody who did not write first only by approved templates. A
//! text that changed is another template, and has to be handed in before it can go out.
//!
//! What must stay true: a template that WhatsApp knows is never handed in twice; no token is
//! printed; nothing is sent to a customer.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::offline::{NOT_WELL, Usage, finish, print_json, print_line};
use super::{channels, open};
use crate::channel::whatsapp::{KnownTemplate, WhatsappChannel};
use crate::config::{Config, Surroundings, brand, locate};
use crate::message::whatsapp::{Template, templates};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  recoup whatsapp templates                          what there is, and what WhatsApp says of it
  recoup whatsapp templates --submit                 hand in what WhatsApp does not know
  recoup whatsapp templates --language es --language pt_BR --json

It needs whatsapp.business_account_id in the merchant file.
Exit code: 0 all are approved (or handed in), 1 some are not, 2 used wrongly.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one JSON document: {\"templates\": […]}.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the templates with their states, or hand in those that are missing.
    Templates {
        /// Hand in what WhatsApp does not know yet, as category utility.
        #[arg(long)]
        submit: bool,
        /// Only this language, as WhatsApp spells it: es, pt_BR. May be given several times.
        #[arg(long, value_name = "LANGUAGE")]
        language: Vec<String>,
        /// The merchant file [default: recoup.toml, where there is one].
        #[arg(long, short, value_name = "FILE", env = "RECOUP_CONFIG")]
        config: Option<PathBuf>,
    },
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let What::Templates { submit, language, config } = args.what;
    finish(open::block_on(async move {
        let (wanted, channel) = prepare(config, &language)?;
        let known = channel.templates().await?;
        let mut rows = Vec::new();
        for template in &wanted {
            let state = match (state_of(template, &known), submit) {
                (Some(known), _) => known.status.clone(),
                (None, false) => "MISSING".to_owned(),
                (None, true) => format!("SUBMITTED: {}", channel.submit(template).await?),
            };
            rows.push((template, state));
        }
        tell(&rows, args.json)?;
        let well = |state: &str| state == "APPROVED" || state.starts_with("SUBMITTED");
        let all_well = rows.iter().all(|(_, state)| well(state));
        Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::from(NOT_WELL) })
    }))
}

/// The templates of the merchant's texts, and the way to WhatsApp.
fn prepare(
    config: Option<PathBuf>,
    languages: &[String],
) -> anyhow::Result<(Vec<Template>, WhatsappChannel)> {
    let config = Config::load(locate(config).as_deref(), &Surroundings::of_process(Vec::new()));
    let config = config.context("read the merchant file")?;
    let section = config.whatsapp.as_ref().context(
        "find [whatsapp] in the merchant file: it takes phone_number_id, access_token and \
         business_account_id (docs/CHANNELS.md)",
    )?;
    let mut all = templates(&brand(&config)).context("render the templates")?;
    for language in languages {
        if !all.iter().any(|template| template.language == language) {
            let mut there: Vec<_> = all.iter().map(|template| template.language).collect();
            there.sort_unstable();
            there.dedup();
            let there = there.join(", ");
            return Err(Usage::new(format!("--language {language}: there are {there}")).into());
        }
    }
    all.retain(|t| languages.is_empty() || languages.iter().any(|wanted| wanted == t.language));
    Ok((all, channels::whatsapp(section).context("set up [whatsapp]")?))
}

/// Every template of the merchant's texts with WhatsApp's state of it.
pub(super) async fn states(
    config: &Config,
    channel: &WhatsappChannel,
) -> anyhow::Result<Vec<(String, String)>> {
    let wanted = templates(&brand(config)).context("render the templates")?;
    let known = channel.templates().await?;
    let state = |template: &Template| {
        let state = state_of(template, &known).map_or("MISSING", |known| known.status.as_str());
        (format!("{} {}", template.language, template.name), state.to_owned())
    };
    Ok(wanted.iter().map(state).collect())
}

fn state_of<'a>(template: &Template, known: &'a [KnownTemplate]) -> Option<&'a KnownTemplate> {
    known.iter().find(|k| k.name == template.name && k.language == template.language)
}

fn tell(rows: &[(&Template, String)], as_json: bool) -> std::io::Result<()> {
    if as_json {
        let rows = rows.iter().map(|(template, state)| row(template, state));
        return print_json(&json!({ "templates": rows.collect::<Vec<_>>() }));
    }
    for (template, state) in rows {
        print_line(&format!("{state:<10} {:<6} {}", template.language, template.name))?;
    }
    let missing = rows.iter().filter(|(_, state)| state == "MISSING").count();
    if missing > 0 {
        let it = if missing == 1 { "1 template is" } else { "some templates are" };
        print_line(&format!("\n{it} missing: `recoup whatsapp templates --submit` hands them in"))?;
    }
    Ok(())
}

fn row(template: &Template, state: &str) -> Value {
    json!({
        "name": template.name,
        "language": template.language,
        "kind": template.kind.as_str(),
        "state": state,
        "body": template.body,
        "examples": template.examples,
        "button": template.button,
    })
}
