//! The gateways' page.
//!
//! What must stay true: acceptance stands beside its denominator and its interval; nothing of a
//! refused webhook's body is shown.

use jiff::Timestamp;
use minijinja::{Value, context};

use super::desk::around;
use super::words::{title, when};
use super::{Shell, fill};
use crate::core::ledger::with_times;
use crate::core::report::stats::Tally;

/// One gateway.
#[derive(Debug, Clone)]
pub struct GatewayCard {
    /// Its id in the merchant file.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it owns the invoices.
    pub billing: bool,
    /// What is not well; `None`: nothing.
    pub health: Option<String>,
    /// Approved, of the attempts of 30 days that a bank answered.
    pub approved: Tally,
    /// Attempts that failed for a technical reason.
    pub errors: u64,
    /// Attempts of which nobody knows yet.
    pub undecided: u64,
    /// Codes in no table, and how often.
    pub unknown: Vec<(String, u64)>,
    /// Whether it can be asked for what never arrived.
    pub tells_history: bool,
    /// Its cases.
    pub cases_href: String,
}

/// A webhook that was refused.
#[derive(Debug, Clone)]
pub struct RefusedRow {
    /// Names it.
    pub number: u64,
    /// At whose address.
    pub gateway: String,
    /// When.
    pub at: Timestamp,
    /// Which check it failed.
    pub code: &'static str,
    /// What to look at.
    pub hint: String,
    /// Its length, where it is kept.
    pub bytes: Option<usize>,
}

/// The page.
#[derive(Debug, Clone)]
pub struct GatewaysView {
    /// Around it.
    pub shell: Shell,
    /// The gateways.
    pub cards: Vec<GatewayCard>,
    /// What was refused, the newest first.
    pub refused: Vec<RefusedRow>,
}

/// `GET /gateways`.
pub fn gateways_page(view: &GatewaysView) -> String {
    let shell = &view.shell;
    let page = context! {
        here => "gateways",
        cards => view.cards.iter().map(|one| card(one, shell)).collect::<Vec<_>>(),
        refused => view.refused.iter().map(|one| refused(one, shell)).collect::<Vec<_>>(),
    };
    fill("gateways.html", context! { ..page, ..around(shell) })
}

fn card(card: &GatewayCard, shell: &Shell) -> Value {
    let share = card.approved.share();
    let percent = |share: f64| (share * 100.0).round();
    context! {
        id => card.id.clone(),
        name => card.name.clone(),
        billing => card.billing,
        health => card.health.as_ref().map(|text| with_times(text, |at| when(at, shell))),
        approved => card.approved.recovered,
        answered => card.approved.cases,
        share => share.map(|share| {
            let (at, low, high) = (share.estimate, share.low, share.high);
            format!("{} % ({} to {} %)", percent(at), percent(low), percent(high))
        }),
        low => share.map_or(0.0, |share| percent(share.low)),
        width => share.map_or(0.0, |share| percent(share.high) - percent(share.low)),
        estimate => share.map_or(0.0, |share| percent(share.estimate)),
        errors => card.errors,
        undecided => card.undecided,
        unknown => card.unknown.clone(),
        tells_history => card.tells_history,
        cases_href => card.cases_href.clone(),
    }
}

fn refused(row: &RefusedRow, shell: &Shell) -> Value {
    context! {
        number => row.number,
        gateway => row.gateway.clone(),
        at => when(row.at, shell),
        iso => row.at.to_string(),
        code => title(row.code),
        hint => row.hint.clone(),
        bytes => row.bytes,
    }
}
