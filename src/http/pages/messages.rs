//! The messages' pages: what became of them, and how each reads in each language.
//!
//! What must stay true: every rate stands beside its denominator and its ceiling; what a machine
//! opened is told apart from what a person did.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::desk::around;
use super::words::{title, when};
use super::{Shell, fill};
use crate::core::case::Case;
use crate::core::report::facts::Fate;
use crate::core::report::messages::{COMPLAINTS, ENOUGH, MessageReport, Tally};
use crate::message::gallery::Shown;
use crate::store::MessageRecord;

/// What went out.
#[derive(Debug, Clone)]
pub struct MessagesView {
    /// Around it.
    pub shell: Shell,
    /// The numbers.
    pub report: MessageReport,
    /// The newest.
    pub recent: Vec<Recent>,
    /// All as CSV.
    pub csv: String,
    /// Whether it is made up.
    pub is_sample: bool,
    /// Where it is made up.
    pub sample_href: String,
}

/// A message with its case.
#[derive(Debug, Clone)]
pub struct Recent {
    /// As it was sent.
    pub record: MessageRecord,
    /// Its case.
    pub case: Option<Case>,
}

/// Every message in one language.
#[derive(Debug, Clone)]
pub struct PreviewView {
    /// Around it.
    pub shell: Shell,
    /// Which language.
    pub locale: String,
    /// Others.
    pub locales: Vec<String>,
    /// The messages.
    pub messages: Vec<Shown>,
}

/// `GET /messages`.
pub fn messages_page(view: &MessagesView) -> String {
    let report = &view.report;
    let page = context! {
        here => "messages",
        sample => view.is_sample,
        sample_href => view.sample_href.clone(),
        csv => view.csv.clone(),
        total => (report.total.sent() > 0).then(|| row("All", &report.total)),
        warnings => report.warnings(),
        ceilings => ceilings(&report.total),
        tables => [
            table("By step", &report.by_step, step),
            table("By kind", &report.by_kind, title),
            table("By channel", &report.by_channel, title),
            table("By language", &report.by_locale, str::to_owned),
        ],
        recent => view.recent.iter().map(|one| recent(one, &view.shell)).collect::<Vec<_>>(),
    };
    fill("messages.html", context! { ..page, ..around(&view.shell) })
}

fn step(key: &str) -> String {
    if key == "none" { "Of no step".to_owned() } else { format!("Step {key}") }
}

fn table(title: &str, tallies: &BTreeMap<String, Tally>, name: impl Fn(&str) -> String) -> Value {
    let rows = tallies.iter().map(|(key, tally)| row(&name(key), tally));
    context! { title, rows => rows.collect::<Vec<_>>() }
}

fn row(name: &str, tally: &Tally) -> Value {
    let share = |fate: Fate| tally.share(fate).map(|share| format!("{:.0} %", share * 100.0));
    let cell = |fate: Fate| context! { count => tally.count(fate), share => share(fate) };
    context! {
        name,
        sent => tally.sent(),
        cells => [
            cell(Fate::Delivered),
            cell(Fate::Opened),
            cell(Fate::Prefetched),
            cell(Fate::Clicked),
            cell(Fate::Acted),
            cell(Fate::Undelivered),
        ],
    }
}

/// Complaints and what is stopped, each with what providers allow.
fn ceilings(total: &Tally) -> Vec<Value> {
    let (aim, ceiling) = COMPLAINTS;
    let exact = |share: f64| format!("{:.2} %", share * 100.0);
    let one = |what: &str, fate: Fate, limit: Option<f64>| {
        let rate = total.share(fate);
        let tells = total.sent() >= ENOUGH;
        let over = limit.is_some_and(|limit| tells && rate.is_some_and(|rate| rate >= limit));
        context! {
            what,
            count => total.count(fate),
            rate => rate.map(exact),
            limit => limit.map(exact),
            over,
            tells,
        }
    };
    vec![
        one("Reported as unwanted", Fate::Complained, Some(aim)),
        one(
            "Reported as unwanted, where providers turn mail away",
            Fate::Complained,
            Some(ceiling),
        ),
        one("Stopped the reminders", Fate::Unsubscribed, None),
        one("Did not arrive", Fate::Undelivered, Some(UNDELIVERED)),
    ]
}

/// Senders whose messages do not arrive this often are looked at.
const UNDELIVERED: f64 = 0.05;

fn recent(one: &Recent, shell: &Shell) -> Value {
    let record = &one.record;
    let subject = match record.subject.as_str() {
        "" => title(record.kind.as_str()),
        subject => subject.to_owned(),
    };
    context! {
        subject,
        href => format!("/cases/{}", record.case),
        to => record.to.clone(),
        channel => record.channel.as_str(),
        locale => record.locale.clone(),
        at => when(record.at, shell),
        iso => record.at.to_string(),
    }
}

/// `GET /messages/preview`.
pub fn preview_page(view: &PreviewView) -> String {
    let chips = view.locales.iter().map(|tag| {
        context! {
            label => tag.clone(),
            href => format!("/messages/preview?of={tag}"),
            current => *tag == view.locale,
        }
    });
    let shown = view.messages.iter().map(|shown| {
        let is_mail = shown.html.is_some();
        context! {
            kind => title(shown.kind.as_str()),
            channel => shown.channel.as_str(),
            subject => shown.subject.clone(),
            text => shown.text.clone(),
            src => is_mail.then(|| {
                format!("/messages/preview/{}/{}", view.locale, shown.kind.as_str())
            }),
            template => shown.template.clone(),
        }
    });
    let page = context! {
        here => "messages",
        locale => view.locale.clone(),
        chips => chips.collect::<Vec<_>>(),
        shown => shown.collect::<Vec<_>>(),
    };
    fill("preview.html", context! { ..page, ..around(&view.shell) })
}
