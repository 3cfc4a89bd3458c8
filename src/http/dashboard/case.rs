//! `GET /cases/{id}` and what a person can do there.
//!
//! What must stay true: nothing acts without the session's csrf text; an action is an input of the
//! inbox like any other.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::asked::Asked;
use super::sample::{self, Sample};
use super::{Person, Sent, Trouble, assets, home, shell};
use crate::core::case::{Case, cards_around};
use crate::core::customer::Customer;
use crate::core::ids::CaseId;
use crate::core::input::OperatorAction;
use crate::http::api::unique;
use crate::http::pages::{CaseView, MESSAGE_POLICY, Shell, case_page};
use crate::http::{AppState, link, page, see_other};
use crate::store::InboxBody;

/// The inbox's name for people.
const SOURCE: &str = "api";
/// Longest note or reason.
const MAX_WORDS: usize = 500;

/// `GET /cases/{id}`.
pub(super) async fn show(
    State(state): State<AppState>,
    person: Person,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Trouble> {
    let told = match asked.text("done") {
        Some("mark-paid") => Some("Recorded as paid."),
        Some("note") => Some("Kept."),
        Some("pause") => Some("Paused."),
        Some("resume") => Some("Resumed."),
        Some("retry") => Some("Asked for a try now, as far as the networks allow."),
        Some("stop") => Some("Stopped."),
        Some("write") => Some("Asked for a message: the timeline says what became of it."),
        _ => None,
    };
    let shell = shell(&state, &person.session, told.map(str::to_owned));
    if asked.is_sample() {
        return made_up(&state, &id, shell);
    }
    let case = load(&state, &id).await?;
    let seen = format!("{}.{}", case.revision, case.ledger_sequence);
    if asked.text("seen") == Some(&seen) {
        return Ok(assets::unchanged());
    }
    let view = view(&state, case, shell, None).await?;
    Ok(page(StatusCode::OK, case_page(&view)))
}

fn made_up(state: &AppState, id: &str, shell: Shell) -> Result<Response, Trouble> {
    let sample = Sample::at(state.clock.now());
    let case = sample.case(&CaseId::from(id)).ok_or(Trouble::NoCase)?.clone();
    let view = CaseView {
        shell,
        customer: sample::customer_of(&case),
        ledger: sample::ledger(&case),
        messages: Vec::new(),
        link: None,
        cards: Vec::new(),
        refresh: format!("/cases/{}?sample=1", case.id),
        is_sample: true,
        case,
    };
    Ok(page(StatusCode::OK, case_page(&view)))
}

async fn load(state: &AppState, id: &str) -> Result<Case, Trouble> {
    state.store.case(&CaseId::from(id)).await?.ok_or(Trouble::NoCase)
}

async fn view(
    state: &AppState,
    case: Case,
    shell: Shell,
    link: Option<String>,
) -> Result<CaseView, Trouble> {
    let key = case.customer_key();
    let customer = state.store.customer(&key).await?;
    let around = customer.clone().unwrap_or_else(|| Customer::new(key));
    let keys: Vec<_> = cards_around(&around, Some(&case), &state.policy).into_iter().collect();
    let seen = format!("{}.{}", case.revision, case.ledger_sequence);
    Ok(CaseView {
        shell,
        customer,
        ledger: state.store.ledger(&case.id).await?,
        messages: state.store.messages_of(&case.id).await?,
        link,
        cards: state.store.cards(&keys).await?.into_values().collect(),
        refresh: format!("/cases/{}?seen={seen}", case.id),
        is_sample: false,
        case,
    })
}

/// `GET /cases/{id}/messages/{message}`: a mail exactly as sent, for a frame without rights.
pub(super) async fn message(
    State(state): State<AppState>,
    _person: Person,
    Path((id, message)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let messages = state.store.messages_of(&CaseId::from(id.as_str())).await?;
    let found = messages.into_iter().find(|one| one.id.as_str() == message);
    let html = found.and_then(|message| message.html).ok_or(Trouble::NoCase)?;
    Ok(framed(html))
}

/// A message in a frame of our own page.
pub(super) fn framed(html: String) -> Response {
    let mut response = Html(html).into_response();
    let policy = HeaderValue::from_static(MESSAGE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    assets::in_own_frame(response)
}

/// What a form on a case sends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ActionForm {
    #[serde(default)]
    text: String,
    #[serde(default)]
    until: String,
}

/// `POST /cases/{id}/{action}`.
pub(super) async fn act(
    State(state): State<AppState>,
    Path((id, action)): Path<(String, String)>,
    Sent { person, form }: Sent<ActionForm>,
) -> Result<Response, Trouble> {
    let found = load(&state, &id).await?;
    if action == "link" {
        let url = link::url(&state.brand.public_url, &state.link_key, &found.id);
        let shell = shell(&state, &person.session, None);
        let view = view(&state, found, shell, Some(url)).await?;
        return Ok(page(StatusCode::OK, case_page(&view)));
    }
    let order = read(&action, &form, &state)?;
    let body = InboxBody::Operator { case: found.id.clone(), action: order };
    state.append(SOURCE, unique(), body).await?;
    state.settle().await;
    Ok(see_other(&format!("/cases/{}?done={action}", found.id)))
}

fn read(action: &str, form: &ActionForm, state: &AppState) -> Result<OperatorAction, Trouble> {
    let words = form.text.trim().chars().take(MAX_WORDS).collect::<String>();
    Ok(match action {
        "mark-paid" => OperatorAction::MarkPaid,
        "note" if words.is_empty() => {
            return Err(Trouble::Asked("A note without words is none.".to_owned()));
        }
        "note" => OperatorAction::Note { text: words },
        "pause" => OperatorAction::Pause { until: until(form.until.trim(), state)? },
        "resume" => OperatorAction::Resume,
        "retry" => OperatorAction::Retry,
        "stop" => OperatorAction::Stop { reason: Some(words).filter(|text| !text.is_empty()) },
        "write" => OperatorAction::Write,
        _ => return Err(Trouble::NoCase),
    })
}

/// The beginning of that day, where the merchant is.
fn until(text: &str, state: &AppState) -> Result<Option<Timestamp>, Trouble> {
    if text.is_empty() {
        return Ok(None);
    }
    let day: Option<Date> = text.parse().ok();
    let at = day.and_then(|day| day.to_zoned(home::zone_of(state)).ok());
    let at = at.map(|at| at.timestamp()).filter(|at| *at > state.clock.now());
    let told = "A pause ends on a day that is still to come, e.g. 2030-01-31.";
    at.map(Some).ok_or_else(|| Trouble::Asked(told.to_owned()))
}
