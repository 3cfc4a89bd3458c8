//! The list of cases, and what it is filtered by, in words.
//!
//! What must stay true: the list says how many there are, and which filters made it so.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::desk::around;
use super::home::chips;
use super::words::{self, decline, label, money, title, when};
use super::{Chip, Shell, fill};
use crate::core::case::Case;
use crate::core::customer::Channel;

/// The list of cases.
#[derive(Debug, Clone)]
pub struct CasesView {
    /// Around it.
    pub shell: Shell,
    /// This page's cases.
    pub cases: Vec<Case>,
    /// Names of their customers by the billing gateway's id, as far as known.
    pub names: BTreeMap<String, String>,
    /// How many there are on all pages.
    pub total: usize,
    /// The number of the first on this page, from 1.
    pub first: usize,
    /// The filters, in words.
    pub filters: Vec<String>,
    /// The states, each with its list.
    pub chips: Vec<Chip>,
    /// What was typed.
    pub query: String,
    /// What a search keeps: names and values.
    pub hidden: Vec<(String, String)>,
    /// Where older cases are.
    pub older: Option<String>,
    /// Where newer cases are.
    pub newer: Option<String>,
    /// Where the same list is as CSV.
    pub csv: String,
    /// Where all cases are.
    pub clear: String,
    /// Where the page asks for itself.
    pub refresh: String,
    /// Whether anything is filtered.
    pub is_filtered: bool,
    /// Whether it is made up.
    pub is_sample: bool,
}

/// `GET /cases`.
pub fn cases_page(view: &CasesView) -> String {
    let rows: Vec<Value> = view.cases.iter().map(|case| row(case, view)).collect();
    let page = context! {
        here => "cases",
        heading => heading(view),
        filters => view.filters.clone(),
        chips => chips(&view.chips),
        query => view.query.clone(),
        hidden => view.hidden.clone(),
        older => view.older.clone(),
        newer => view.newer.clone(),
        csv => view.csv.clone(),
        clear => view.clear.clone(),
        refresh => view.refresh.clone(),
        filtered => view.is_filtered,
        sample => view.is_sample,
        rows,
    };
    fill("cases.html", context! { ..page, ..around(&view.shell) })
}

fn heading(view: &CasesView) -> String {
    let total = words::many(view.total as u64, "case");
    let last = view.first + view.cases.len() - 1;
    match view.cases.is_empty() || view.total == view.cases.len() {
        true => total,
        false => format!("{total}, {} to {last}", view.first),
    }
}

fn row(case: &Case, view: &CasesView) -> Value {
    let shell = &view.shell;
    let customer = case.customer.as_ref();
    let name = customer.and_then(|id| view.names.get(id)).or(customer);
    let made_up = if view.is_sample { "?sample=1" } else { "" };
    context! {
        href => format!("/cases/{}{made_up}", case.id),
        customer => name.map_or("Unknown customer", String::as_str),
        invoice => case.invoice.clone(),
        amount => money(case.amount),
        state => case.state.as_str(),
        state_label => label(case.state),
        decline => case.decline.as_ref().map_or("", |d| decline(d.category)),
        next => if case.state.is_ended() { case.reason.clone() } else { title(&case.next.what) },
        next_at => case.next.at.filter(|_| !case.state.is_ended()).map(|at| when(at, shell)),
        next_iso => case.next.at.map(|at| at.to_string()),
        opened => when(case.opened_at, shell),
        opened_iso => case.opened_at.to_string(),
    }
}

/// What a list is filtered by, each filter in a few words.
pub fn filter_in_words<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let told = pairs.filter_map(|(name, value)| {
        let words = title(value).to_lowercase();
        Some(match name {
            "state" => words,
            "since" => format!("failed from {value}"),
            "until" => format!("failed before {value}"),
            "back_since" => format!("back from {value}"),
            "back_until" => format!("back before {value}"),
            "currency" => format!("in {}", value.to_uppercase()),
            "decline" => format!("began with: {words}"),
            "by" => format!("brought back by: {words}"),
            "via" => format!("money came in through {value}"),
            "gateway" => format!("billed by {value}"),
            "step" => words::after_messages(value.parse().ok()?).to_lowercase(),
            "channel" => format!("last channel: {}", channel(value)),
            "arm" if value == "holdout" => "held out of the smart schedule".to_owned(),
            "arm" => "on the smart schedule".to_owned(),
            "window" => format!("older than {value} days"),
            "back" => "back within these days".to_owned(),
            "q" => format!("about “{value}”"),
            _ => return None,
        })
    });
    told.collect()
}

fn channel(value: &str) -> &'static str {
    let known = [Channel::Email, Channel::Sms, Channel::Whatsapp];
    words::channel(known.into_iter().find(|channel| channel.as_str() == value))
}
