//! `recoup demo`: the whole story on this machine, in under a minute.
//!
//! Why here: a newcomer sees a month of recovery before reading a line of documentation. Forty
//! made-up customers fail to pay; the real service gets back what can be got back.
//!
//! What must stay true: nothing leaves this machine; the same seed prints the same story; it ends
//! by itself.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

mod people;
mod report;
mod stage;

use people::{Person, Plot};
use report::Teller;
use stage::{Actor, Stage};

/// The story begins on this day, whenever it is told.
const START: &str = "2026-01-05T13:00:00Z";
/// Days that pass.
const DAYS: i64 = 42;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  recoup demo\n  recoup demo --seed 7\n  \
    recoup demo --stay    keeps the dashboard up afterwards\n  recoup demo --json    ends with one \
    JSON document on stdout")]
pub(super) struct Args {
    /// Another story; the same number tells the same one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep service and dashboard up until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Print one JSON document; the story goes to stderr.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::telemetry::start_logging("error");
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    runtime.block_on(tell(args))
}

async fn tell(args: Args) -> anyhow::Result<ExitCode> {
    let start: Timestamp = START.parse().context("read the day on which the story begins")?;
    let stage = Stage::set_up(args.seed, start).await?;
    let mut teller = Teller::new(args.json);
    teller.headline(args.seed, &stage);
    let mut actors = Vec::new();
    for (number, person) in people::draw(args.seed).into_iter().enumerate() {
        actors.push(stage.enter(number + 1, person, start).await?);
    }
    stage.schedule_outage(start);
    play(&stage, &mut actors, &mut teller, start).await?;
    let summary = report::Summary::of(&stage, &actors).await?;
    let sound = summary.is_sound();
    teller.ending(&summary);
    if args.stay {
        teller.stay(&stage);
        tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    }
    stage.tear_down().await?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What customers do, by the time at which they do it.
#[derive(Debug, Clone)]
enum Deed {
    /// The subscription is billed, and the payment fails.
    Bill,
    /// They cancel.
    Cancel,
    /// They follow the link of a mail.
    Follow(String),
    /// They pay by hand on the gateway's page of the invoice.
    Pay,
}

type Agenda = BTreeMap<(Timestamp, usize), Deed>;

/// Lets the days pass, from one moment at which something happens to the next.
async fn play(
    stage: &Stage,
    actors: &mut [Actor],
    teller: &mut Teller,
    start: Timestamp,
) -> anyhow::Result<()> {
    let end = start + SignedDuration::from_hours(24 * DAYS);
    let mut agenda = first_agenda(actors, start);
    let mut mails_read = 0;
    loop {
        let deed = agenda.first_key_value().map(|((at, _), _)| *at);
        let due = stage.store.next_due().await.context("ask the store")?;
        let Some(next) = [deed, due].into_iter().flatten().min().filter(|at| *at < end) else {
            return stage.advance(end).await;
        };
        stage.advance(next.max(stage.clock.now())).await?;
        while let Some(entry) = agenda.first_entry().filter(|e| e.key().0 <= stage.clock.now()) {
            let ((_, index), deed) = entry.remove_entry();
            perform(stage, &mut actors[index], deed).await?;
            stage.advance(stage.clock.now()).await?;
        }
        read_mail(stage, actors, &mut mails_read, &mut agenda);
        teller.tell_news(stage, actors).await?;
    }
}

fn first_agenda(actors: &[Actor], start: Timestamp) -> Agenda {
    let hours = |h: i64| start + SignedDuration::from_hours(h);
    let mut agenda = Agenda::new();
    for (index, Actor { person, .. }) in actors.iter().enumerate() {
        let fails = person.fails_after_h;
        agenda.insert((hours(fails), index), Deed::Bill);
        match person.plot {
            Plot::Cancels => drop(agenda.insert((hours(fails + 4 * 24), index), Deed::Cancel)),
            Plot::PaysMeanwhile => drop(agenda.insert((hours(fails + 5 * 24), index), Deed::Pay)),
            _ => {}
        }
    }
    agenda
}

async fn perform(stage: &Stage, actor: &mut Actor, deed: Deed) -> anyhow::Result<()> {
    match deed {
        Deed::Bill => actor.invoice = stage.sandbox.bill(&actor.subscription),
        Deed::Cancel => stage.sandbox.cancel_subscription(&actor.subscription),
        Deed::Follow(link) => stage.follow_link(&link, actor.number).await?,
        Deed::Pay => {
            let invoice = actor.invoice.as_deref().and_then(|id| stage.sandbox.invoice(id));
            let url = invoice.context("find the invoice")?.hosted_invoice_url;
            stage.use_page(&url, actor.number).await?;
        }
    }
    Ok(())
}

/// Customers who act on a mail do so a day after it came.
fn read_mail(stage: &Stage, actors: &[Actor], read: &mut usize, agenda: &mut Agenda) {
    let mails = stage.mail.messages();
    for mail in &mails[*read..] {
        let to = mail.to.first().map(String::as_str).unwrap_or_default();
        let index = actors.iter().position(|a| to.contains(&address(a.number)));
        let link = mail.text.split_whitespace().find(|word| word.contains("/pay/"));
        if let (Some(index), Some(link)) = (index, link)
            && acts_on_mail(&actors[index].person)
        {
            let at = stage.clock.now() + SignedDuration::from_hours(26);
            agenda.entry((at, index)).or_insert_with(|| Deed::Follow(link.to_owned()));
        }
    }
    *read = mails.len();
}

fn acts_on_mail(person: &Person) -> bool {
    matches!(person.plot, Plot::Confirms | Plot::Expired | Plot::Stolen)
}

fn address(number: usize) -> String {
    format!("customer{number}@example.com")
}
