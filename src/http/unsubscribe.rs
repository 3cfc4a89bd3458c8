//! `/unsubscribe/{token}`: the one-click link in the header of our mails (RFC 8058).
//!
//! Why here: the mail program posts it by itself when the reader says "unsubscribe", without a
//! browser, so it is answered with a plain 200 and no redirect.
//!
//! What must stay true: it stops every reminder, as the door on the page does: who unsubscribes
//! from one channel does not want to be found on the next; `GET` changes nothing (design I9); a
//! token that we did not make is answered like one that we did.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};

use super::link::{self, MAX_TOKEN};
use super::pay::SOURCE;
use super::{AppState, Problem, see_other};
use crate::core::consent::{Consent, Standing};
use crate::core::customer::Channel;
use crate::core::input::PageAction;
use crate::store::InboxBody;

/// `POST`: no more reminders.
pub(super) async fn stop(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let Some(id) = link::case_of(&state.link_key, &token) else { return Ok(done()) };
    let Some(case) = state.store.case(&id).await? else { return Ok(done()) };
    let said = Consent {
        channel: Channel::Email,
        standing: Standing::OptedOut,
        at: state.clock.now(),
        how: "email:one-click".to_owned(),
    };
    let (customer, action) = (case.customer_key(), PageAction::StopReminders);
    let inputs = vec![
        (format!("{id}:one-click"), InboxBody::Consent { customer, said }),
        (format!("{id}:stop-reminders"), InboxBody::Page { case: id, action }),
    ];
    state.append_all(SOURCE, inputs).await?;
    state.settle().await;
    Ok(done())
}

/// `GET`: a person followed it: on to the page, where the same door is.
pub(super) async fn show(State(state): State<AppState>, Path(token): Path<String>) -> Response {
    let mounted = url::Url::parse(&state.brand.public_url).map(|url| url.path().to_owned());
    let mounted = mounted.unwrap_or_default();
    let short = if token.len() <= MAX_TOKEN { token.as_str() } else { "" };
    let plain = short.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let token = if plain { short } else { "" };
    see_other(&format!("{}/pay/{token}", mounted.trim_end_matches('/')))
}

fn done() -> Response {
    "No more reminders.\n".into_response()
}
