//! Sign-in at the merchant's own provider: there, and back.
//!
//! What must stay true: only the browser that was sent there comes back in; who is nobody here is
//! told so, and noted; what the provider says goes into no page and no log line.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, response};
use jiff::SignedDuration;
use serde::Deserialize;

use super::door::{count, door, is_foreign, let_in, nobody, note};
use super::{Trouble, bare_shell};
use crate::clock::real_now;
use crate::gateway::signature::is_same;
use crate::http::auth::{self, Cookie, Site, Transport};
use crate::http::pages::{come_in_page, problem_page};
use crate::http::people::audit::Outcome;
use crate::http::people::oidc::{Attempt, Oidc, Why};
use crate::http::people::{draw, users};
use crate::http::{AppState, page, see_other};

/// The browser's part of a sign-in that is under way.
const STATE: &str = "recoup_oidc";
/// How long somebody may take at the provider.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/login/oidc", post(leave)).route("/login/oidc/callback", get(come_back))
}

fn back(state: &AppState) -> String {
    format!("{}/login/oidc/callback", state.brand.public_url.trim_end_matches('/'))
}

/// `POST /login/oidc`: to the provider.
async fn leave(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Trouble> {
    let Some(oidc) = &state.oidc else { return Ok(see_other("/login")) };
    if is_foreign(&state, &headers) {
        let problem = "This form came from another site. Sign in here.";
        return Ok(door(&state, StatusCode::FORBIDDEN, Some(problem)).await);
    }
    let (secret, back) = (draw()?, back(&state));
    let attempt = Attempt { key: &state.link_key, state: &secret, back: &back };
    match oidc.begin(&attempt, real_now()).await {
        Ok(place) => {
            let cookie = Cookie { name: STATE, value: &secret, age: PATIENCE, site: Site::Lax };
            let cookie = cookie.header(Transport::of(&state, &headers));
            Ok(([(header::SET_COOKIE, cookie)], see_other(&place)).into_response())
        }
        Err(why) => Ok(turned_away(&state, oidc, &why).await),
    }
}

/// What the provider sends back.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

/// `GET /login/oidc/callback`: from the provider.
async fn come_back(
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, Trouble> {
    let Some(oidc) = &state.oidc else { return Ok(see_other("/login")) };
    let secret = auth::cookie_of(&headers, STATE).unwrap_or_default();
    if secret.is_empty() || !is_same(secret.as_bytes(), answer.state.as_bytes()) {
        let problem = "This sign-in was not begun here, or took too long. Begin again.";
        return Ok(door(&state, StatusCode::FORBIDDEN, Some(problem)).await);
    }
    let back = back(&state);
    let attempt = Attempt { key: &state.link_key, state: secret, back: &back };
    let now = real_now();
    let person = match oidc.finish(&attempt, &answer.code, now).await {
        Ok(person) => person,
        Err(why) => return Ok(turned_away(&state, oidc, &why).await),
    };
    let Some((id, user)) = users::of_provider(&*state.store, &person, now).await? else {
        let why = Why::Untrusted("its address is somebody else's here".to_owned());
        return Ok(turned_away(&state, oidc, &why).await);
    };
    let cookies = let_in(&state, &headers, (&id, &user), now).await?;
    let over = Cookie { name: STATE, value: "", age: SignedDuration::ZERO, site: Site::Lax };
    let over = [(header::SET_COOKIE, over.header(Transport::of(&state, &headers)))];
    // A cookie that no other site brings along does not come with its redirect either: the next
    // request has to be one of our own pages.
    let html = page(StatusCode::OK, come_in_page(&state.brand.name));
    let answer = (cookies, AppendHeaders(over), html).into_response();
    Ok(response::IntoResponse::into_response(answer))
}

async fn turned_away(state: &AppState, oidc: &Oidc, why: &Why) -> Response {
    count("refused");
    tracing::warn!(%why, "a sign-in by the provider was refused");
    note(state, &nobody("provider"), "sessions.begin", Outcome::Refused).await;
    let name = oidc.name();
    let (status, text) = match why {
        Why::Provider(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{name} does not answer as it should; the log says more. Try again later."),
        ),
        Why::Untrusted(_) => (
            StatusCode::FORBIDDEN,
            format!("What {name} says of you could not be verified; the log says more."),
        ),
        Why::NoRole => (
            StatusCode::FORBIDDEN,
            format!("You are known at {name}, and have no role here. An admin can give you one."),
        ),
    };
    page(status, problem_page(&bare_shell(&state.brand.name), "You did not come in", &text))
}
