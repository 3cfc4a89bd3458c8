//! `GET /gateways`: health, acceptance, declines that no table knows, webhooks that were refused.
//!
//! What must stay true: a webhook is taken again only where it is authentic by what is configured
//! now; what is missing is taken in as its webhook would have been.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::SignedDuration;
use serde::Deserialize;

use super::asked::Asked;
use super::{Person, Sent, Trouble, shell};
use crate::core::case::AttemptOutcome;
use crate::core::ids::GatewayId;
use crate::core::learning::health::Gate;
use crate::core::report::facts::{Facts, Tried};
use crate::core::report::stats::Tally;
use crate::http::book::Shelf;
use crate::http::pages::{GatewayCard, GatewaysView, RefusedRow, gateways_page};
use crate::http::refused::Refused;
use crate::http::{AppState, page, see_other, webhooks};

/// How far back acceptance is counted, and gateways are asked for what is missing.
const REACH: SignedDuration = SignedDuration::from_hours(24 * 30);

/// `GET /gateways`.
pub(super) async fn show(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    let told = match asked.text("done") {
        Some("taken") => Some("Taken in: it is authentic now."),
        Some("known") => Some("It had arrived again meanwhile; it is taken off this list."),
        Some("refused") => Some("Refused again: see the reason below."),
        Some("compared") => Some("Compared; what was missing is taken in."),
        _ => None,
    };
    let shell = shell(&state, &person.session, told.map(str::to_owned));
    let shelf = state.book.look(&state.store).await?;
    let learned = state.store.learned().await?;
    let now = state.clock.now();
    let cards = state.gateways.iter().enumerate().map(|(index, gateway)| {
        let id = gateway.id();
        let profile = gateway.profile();
        let counted = Counted::of(&shelf, id, |tried| now.duration_since(tried.at) < REACH);
        let gate = learned.routing.health(id).gate(now);
        GatewayCard {
            id: id.to_string(),
            name: profile.name.to_owned(),
            billing: index == 0,
            health: match gate {
                Gate::Open => None,
                Gate::Probe => Some("failed lately; the next attempt there is a probe".to_owned()),
                Gate::Closed(until) => Some(format!("closed until {until}: it failed five times")),
            },
            approved: counted.answered,
            errors: counted.errors,
            undecided: counted.undecided,
            unknown: counted.unknown.into_iter().collect(),
            tells_history: profile.tells_history,
            cases_href: Asked::default().with("gateway", id).href("/cases"),
        }
    });
    let view = GatewaysView {
        shell,
        cards: cards.collect(),
        refused: state.refused.all().iter().map(row).collect(),
    };
    Ok(page(StatusCode::OK, gateways_page(&view)))
}

/// What is counted of one gateway.
#[derive(Default)]
struct Counted {
    /// Approved of those that a bank answered.
    answered: Tally,
    errors: u64,
    undecided: u64,
    unknown: BTreeMap<String, u64>,
}

impl Counted {
    fn of(shelf: &Shelf, id: &GatewayId, is_recent: impl Fn(&Tried) -> bool) -> Self {
        let mut counted = Self::default();
        for case in shelf.cases() {
            counted.add(case, id, &is_recent);
        }
        counted
    }

    fn add(&mut self, case: &Facts, id: &GatewayId, is_recent: impl Fn(&Tried) -> bool) {
        for tried in case.tried.iter().filter(|tried| tried.gateway == *id && is_recent(tried)) {
            match tried.outcome {
                AttemptOutcome::Approved => self.answered.add(true),
                AttemptOutcome::Declined => self.answered.add(false),
                AttemptOutcome::Error => self.errors += 1,
                AttemptOutcome::Unknown | AttemptOutcome::Withheld => self.undecided += 1,
            }
        }
        for (_, code) in case.unknown.iter().filter(|(gateway, _)| gateway == id) {
            *self.unknown.entry(code.clone()).or_default() += 1;
        }
    }
}

fn row(refused: &Refused) -> RefusedRow {
    RefusedRow {
        number: refused.number,
        gateway: refused.gateway.clone(),
        at: refused.at,
        code: refused.code,
        hint: refused.hint.clone(),
        bytes: refused.arrived.as_ref().map(|arrived| arrived.body.len()),
    }
}

/// What a form on the page sends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ActionForm {
    #[serde(default)]
    number: u64,
}

/// `POST /gateways/{id}/{action}`.
pub(super) async fn act(
    State(state): State<AppState>,
    Path((_, action)): Path<(String, String)>,
    Sent { form, .. }: Sent<ActionForm>,
) -> Result<Response, Trouble> {
    let done = match action.as_str() {
        "replay" => replay(&state, form.number).await?,
        "compare" => {
            let since = state.clock.now() - REACH;
            // A request that is given up must not leave a repair half told.
            let engine = state.engine.clone();
            let work = tokio::spawn(async move { engine.reconcile(since, true).await });
            let broke = |_| Trouble::Asked("Comparing broke off.".to_owned());
            work.await.map_err(broke)??;
            "compared"
        }
        _ => return Err(Trouble::Asked("There is no such action.".to_owned())),
    };
    Ok(see_other(&format!("/gateways?done={done}")))
}

async fn replay(state: &AppState, number: u64) -> Result<&'static str, Trouble> {
    let gone = || Trouble::Asked("This webhook is not kept any more.".to_owned());
    let refused = state.refused.find(number).ok_or_else(gone)?;
    Ok(match webhooks::take_again(state, &refused).await {
        Ok(true) => "known",
        Ok(false) => "taken",
        Err(_) => "refused",
    })
}
