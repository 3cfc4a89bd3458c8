//! `GET /messages`: what went out and what became of it; and every message in every language.
//!
//! What must stay true: the numbers are those of `GET /api/v1/reports/messages`; a message stands
//! in a frame without rights.

use std::collections::HashMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::Asked;
use super::{Person, Trouble, case, sample, shell};
use crate::core::case::Case;
use crate::core::customer::Channel;
use crate::core::ids::CaseId;
use crate::core::policy::MessageKind;
use crate::core::report::messages::MessageReport;
use crate::core::report::select::Span;
use crate::http::csv::{self, Table};
use crate::http::pages::{MessagesView, PreviewView, Recent, messages_page, preview_page};
use crate::http::{AppState, Problem, page};
use crate::message::gallery::{self, Shown, Wanted};
use crate::message::locale::Locale;

/// Messages that the page lists.
const ROWS: usize = 25;
/// Messages of one file at most: who wants more asks the API, page by page.
const FILE_ROWS: usize = 20_000;
/// Channels in the order of the preview.
const CHANNELS: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Whatsapp];

/// `GET /messages`.
pub(super) async fn show(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    if asked.text("format").is_some() {
        let recent = recent(&state, FILE_ROWS).await?;
        let rows = recent.iter().map(|one| csv::message(&one.record, one.case.as_ref()));
        return Ok(csv::answer(Table::Messages, rows.collect()));
    }
    let shown = sample::shown(&state, &asked).await?;
    let report = MessageReport::of(shown.shelf().cases(), Span::default());
    let made_up = asked.is_sample();
    let view = MessagesView {
        shell: shell(&state, &person.session, None),
        report,
        recent: if made_up { Vec::new() } else { recent(&state, ROWS).await? },
        csv: "/messages?format=csv".to_owned(),
        is_sample: made_up,
        sample_href: Asked::default().with("sample", "1").href("/messages"),
    };
    Ok(page(StatusCode::OK, messages_page(&view)))
}

/// The newest messages with their cases.
async fn recent(state: &AppState, at_most: usize) -> Result<Vec<Recent>, Trouble> {
    let mut cases: HashMap<CaseId, Option<Case>> = HashMap::new();
    let (mut recent, mut after) = (Vec::new(), None);
    while recent.len() < at_most {
        let limit = (at_most - recent.len()).min(500);
        let page = state.store.list_messages(after.as_ref(), limit).await?;
        after = page.data.last().map(|record| record.id.clone());
        for record in page.data {
            if !cases.contains_key(&record.case) {
                cases.insert(record.case.clone(), state.store.case(&record.case).await?);
            }
            let case = cases.get(&record.case).cloned().flatten();
            recent.push(Recent { record, case });
        }
        if !page.has_more || after.is_none() {
            break;
        }
    }
    Ok(recent)
}

/// `GET /messages/preview`: every message in one language.
pub(super) async fn preview(
    State(state): State<AppState>,
    person: Person,
    asked: Asked,
) -> Result<Response, Trouble> {
    let locales = state.brand.texts.locales();
    let own = asked.text("of").unwrap_or(&state.brand.locale);
    let locale = known(own)?;
    let messages = rendered(&state, &locale, MessageKind::ALL.to_vec())?;
    let mut locales: Vec<_> = locales.into_iter().map(|locale| locale.tag).collect();
    if !locales.contains(&locale.tag) {
        locales.insert(0, locale.tag.clone());
    }
    let shell = shell(&state, &person.session, None);
    let view = PreviewView { shell, locale: locale.tag, locales, messages };
    Ok(page(StatusCode::OK, preview_page(&view)))
}

/// `GET /messages/preview/{locale}/{kind}`: the mail of this kind, for a frame.
pub(super) async fn preview_body(
    State(state): State<AppState>,
    _person: Person,
    Path((locale, kind)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let kind = MessageKind::ALL.into_iter().find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| Trouble::Asked("There is no such message.".to_owned()))?;
    let shown = rendered(&state, &known(&locale)?, vec![kind])?;
    let html = shown.into_iter().find_map(|shown| shown.html).ok_or(Trouble::NoCase)?;
    Ok(case::framed(html))
}

fn known(tag: &str) -> Result<Locale, Trouble> {
    gallery::locale(tag).ok_or_else(|| Trouble::Asked(format!("There are no texts in “{tag}”.")))
}

/// With everything known; the other variants are `recoup preview`'s.
fn rendered(
    state: &AppState,
    locale: &Locale,
    kinds: Vec<MessageKind>,
) -> Result<Vec<Shown>, Trouble> {
    let (locales, channels) = (vec![locale.clone()], CHANNELS.to_vec());
    let shown = gallery::show(&state.brand, &Wanted { locales, kinds, channels });
    let shown = shown.map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Trouble::Store(Problem::new(status, "internal", error.to_string()))
    })?;
    Ok(shown.into_iter().filter(|shown| shown.variant == "full").collect())
}
