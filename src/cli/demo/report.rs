//! Telling the story: one plain line an event, and a table at the end.
//!
//! What must stay true: the lines come from the ledger, in its own words; the sums come from the
//! gateways' own books, not from ours.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::stage::{ADMIN_TOKEN, Actor, Stage};
use crate::core::case::{Case, RecoveredBy, State};
use crate::core::ledger::{EntryKind, LedgerEntry, with_times};
use crate::core::limits;
use crate::core::money::Money;

/// The zone in which the story is told: the merchant's.
const ZONE: &str = "America/Bogota";

/// Tells.
pub(super) struct Teller {
    json: bool,
    zone: TimeZone,
    told: BTreeMap<usize, u64>,
}

impl Teller {
    /// A teller; with `json` the story goes to stderr.
    pub(super) fn new(json: bool) -> Self {
        let zone = TimeZone::get(ZONE).unwrap_or(TimeZone::UTC);
        Self { json, zone, told: BTreeMap::new() }
    }

    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]
    fn say(&self, line: &str) {
        if self.json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }

    /// What is about to happen.
    pub(super) fn headline(&self, seed: u64, stage: &Stage) {
        self.say(&format!(
            "recoup {} · demo · nothing leaves this machine\n\
             store     sled, in a temporary folder\n\
             gateways  sandbox Stripe (billing) and sandbox Adyen (backup), over real HTTP\n\
             mail      caught by an SMTP sink, not sent\n\
             service   http://{}   story {seed}; times are the merchant's\n",
            env!("CARGO_PKG_VERSION"),
            stage.address
        ));
    }

    /// Tells what is new in the ledgers.
    pub(super) async fn tell_news(
        &mut self,
        stage: &Stage,
        actors: &[Actor],
    ) -> anyhow::Result<()> {
        for actor in actors {
            let Some(id) = actor.case() else { continue };
            let entries = stage.store.ledger(&id).await.context("read the ledger")?;
            let told = self.told.get(&actor.number).copied().unwrap_or(0);
            for entry in entries.iter().filter(|e| e.sequence > told && is_news(e)) {
                self.say(&self.line(actor, entry));
            }
            if let Some(last) = entries.last() {
                self.told.insert(actor.number, last.sequence);
            }
        }
        Ok(())
    }

    fn line(&self, actor: &Actor, entry: &LedgerEntry) -> String {
        let at = entry.at.to_zoned(self.zone.clone()).strftime("%a %d %b %H:%M").to_string();
        let name = actor.person.name;
        let mark = mark(entry.kind);
        format!("{at}  {mark} {name:<14} {}", self.in_zone(&entry.text))
    }

    /// Machine times in a sentence become the merchant's.
    fn in_zone(&self, text: &str) -> String {
        with_times(text, |at| at.to_zoned(self.zone.clone()).strftime("%a %d %b %H:%M").to_string())
    }

    /// The sums.
    pub(super) fn ending(&self, summary: &Summary) {
        self.say(&format!("\n{}", summary.table()));
        if self.json {
            #[expect(clippy::print_stdout, reason = "the one JSON document")]
            {
                println!("{}", summary.json());
            }
        }
    }

    /// Where to look while it stays up.
    pub(super) fn stay(&self, stage: &Stage) {
        self.say(&format!(
            "Dashboard  http://{}/   sign in with: {ADMIN_TOKEN}\nCtrl-C ends it.",
            stage.address
        ));
    }
}

fn is_news(entry: &LedgerEntry) -> bool {
    let decided = entry.decision.as_ref().map(|decision| decision.what.as_str());
    match entry.kind {
        EntryKind::AttemptSent => false,
        EntryKind::Message => entry.decision.is_none() && entry.text.starts_with("The "),
        EntryKind::Decided => matches!(decided, Some("ask_customer" | "attempt" | "wait")),
        _ => true,
    }
}

fn mark(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Opened => "✗",
        EntryKind::AttemptOutcome | EntryKind::AttemptSent => "↻",
        EntryKind::Message => "✉",
        EntryKind::Ended => "■",
        EntryKind::Flagged => "!",
        EntryKind::Person | EntryKind::Event => "←",
        EntryKind::Acted | EntryKind::Decided => "·",
    }
}

/// Count and sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: u64,
    minor: i64,
}

impl Sum {
    fn add(&mut self, amount: Money) {
        self.count += 1;
        self.minor += amount.minor;
    }

    fn json(self) -> Value {
        json!({"count": self.count, "amount": dollars(self.minor)})
    }

    fn row(self, what: &str) -> String {
        let amount = dollars(self.minor).map_or_else(String::new, |money| money.to_string());
        format!("  {what:<34}{:>4}{amount:>16}", self.count)
    }
}

fn dollars(minor: i64) -> Option<Money> {
    Some(Money::new(minor, "USD".parse().ok()?))
}

/// How the month ended.
pub(super) struct Summary {
    failed: Sum,
    recovered: Sum,
    by: BTreeMap<&'static str, Sum>,
    states: BTreeMap<&'static str, Sum>,
    charges: usize,
    double_charges: usize,
    messages: usize,
    limit_violations: usize,
    at_gateways: i64,
}

impl Summary {
    /// Reads it off the store, the mail sink, and the gateways' own books.
    pub(super) async fn of(stage: &Stage, actors: &[Actor]) -> anyhow::Result<Self> {
        let books = stage.sandbox.ledger();
        let kept = books.iter().filter(|capture| !capture.is_refunded());
        let mut summary = Self {
            failed: Sum::default(),
            recovered: Sum::default(),
            by: BTreeMap::new(),
            states: BTreeMap::new(),
            charges: books.len(),
            double_charges: stage.sandbox.double_charges().len(),
            messages: stage.mail.messages().len(),
            limit_violations: 0,
            at_gateways: kept.map(|capture| capture.amount.minor).sum(),
        };
        for actor in actors {
            let Some(id) = actor.case() else { continue };
            if let Some(case) = stage.store.case(&id).await.context("read a case")? {
                summary.count(&case);
                summary.count_violations(stage, &case).await?;
            }
        }
        Ok(summary)
    }

    fn count(&mut self, case: &Case) {
        self.failed.add(case.amount);
        if case.state != State::Recovered {
            return self.states.entry(case.state.as_str()).or_default().add(case.amount);
        }
        self.recovered.add(case.amount);
        let by = match case.recovered_by {
            Some(RecoveredBy::CardUpdate) => "card_update",
            Some(RecoveredBy::OtherGateway) => "other_gateway",
            Some(RecoveredBy::Retry) => "retry",
            Some(RecoveredBy::Elsewhere) | None => "elsewhere",
        };
        self.by.entry(by).or_default().add(case.amount);
    }

    async fn count_violations(&mut self, stage: &Stage, case: &Case) -> anyhow::Result<()> {
        let keys: Vec<_> = case.attempts.iter().filter_map(|a| a.card.clone()).collect();
        let cards = stage.store.cards(&keys).await.context("read the cards")?;
        self.limit_violations += cards.values().map(limits::violations).sum::<usize>();
        Ok(())
    }

    /// Nobody was charged twice, no limit was broken.
    pub(super) fn is_sound(&self) -> bool {
        self.double_charges == 0 && self.limit_violations == 0
    }

    fn json(&self) -> Value {
        let by = |what| self.by.get(what).copied().unwrap_or_default().json();
        json!({
            "failed": self.failed.json(),
            "recovered": self.recovered.json(),
            "by": {
                "retry": by("retry"),
                "other_gateway": by("other_gateway"),
                "card_update": by("card_update"),
                "elsewhere": by("elsewhere"),
            },
            "charges": self.charges,
            "double_charges": self.double_charges,
            "messages": self.messages,
            "limit_violations": self.limit_violations,
        })
    }

    fn table(&self) -> String {
        let mut lines = vec![self.failed.row("failed"), self.recovered.row("recovered")];
        let by = [
            ("retry", "  by a retry"),
            ("other_gateway", "  by the second gateway"),
            ("card_update", "  by a card update or confirmation"),
            ("elsewhere", "  paid by the customer meanwhile"),
        ];
        for (key, what) in by {
            lines.extend(self.by.get(key).map(|sum| sum.row(what)));
        }
        lines.extend(self.states.iter().map(|(state, sum)| sum.row(state)));
        let share = self.recovered.minor * 100 / self.failed.minor.max(1);
        let kept = dollars(self.at_gateways).map_or_else(String::new, |money| money.to_string());
        lines.push(format!(
            "\n  {share} % of the money came back · {} charges at the gateways ({kept}) · {} \
             charged twice · {} messages · {} network limits broken",
            self.charges, self.double_charges, self.messages, self.limit_violations
        ));
        lines.join("\n")
    }
}
