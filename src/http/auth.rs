//! Who may come in: tokens for programs, a signed session for the dashboard.
//!
//! Why here: one place compares secrets. A session is a signed expiry, derived from the admin
//! token: nothing is stored, and another token ends every session.
//!
//! What must stay true: without an admin token nothing opens; comparisons take the same time for
//! every wrong value; a form without the session's own csrf text changes nothing.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::link::sign;
use super::people::audit::Via;
use super::people::{Who, tokens};
use super::{AppState, Problem};
use crate::gateway::signature::is_same;
use crate::store::StoreError;

/// How to set the admin token.
pub(super) const HOW_TO_SET: &str = "there is no admin token. Set `admin_token` under `[server]` \
    in the merchant file, e.g. { env = \"RECOUP_ADMIN_TOKEN\" }, and start again";

/// How the program of our own commands names itself.
const OWN_AGENT: &str = "recoup/";

/// The cookie of a session.
const COOKIE: &str = "recoup_session";

/// How long a session lasts, in seconds.
const SESSION_S: i64 = 12 * 60 * 60;

/// Lets a program in by `Authorization: Bearer`, with the admin token or one of its own.
pub(super) async fn bearer(state: &AppState, headers: &HeaderMap) -> Result<Who, Problem> {
    let who = holder(state, headers).await?;
    who.ok_or_else(|| if state.admin_token.is_some() { unauthorized() } else { not_set() })
}

/// Lets whoever scrapes the metrics in.
pub(super) async fn scraper(state: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
    let token = state.metrics_token.as_ref();
    if token.is_some_and(|token| is_token(token, given(headers))) {
        return Ok(());
    }
    match holder(state, headers).await? {
        Some(who) if who.metrics => Ok(()),
        Some(_) => {
            let detail = "this takes `metrics_token`, or a token with the scope `metrics`";
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
        }
        None if state.admin_token.is_none() && token.is_none() => Err(not_set()),
        None => Err(unauthorized()),
    }
}

async fn holder(state: &AppState, headers: &HeaderMap) -> Result<Option<Who>, StoreError> {
    let given = given(headers);
    if state.admin_token.as_ref().is_some_and(|token| is_token(token, given)) {
        return Ok(Some(Who::root()));
    }
    tokens::holder(&*state.store, given).await
}

fn not_set() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "admin_token_not_set", HOW_TO_SET)
}

/// The token of a request.
fn given(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.split_once(' ')) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => "",
    }
}

/// 401.
pub(super) fn unauthorized() -> Problem {
    let detail = "send `Authorization: Bearer …` with the admin token of the merchant file, or one \
                  of `recoup token create`";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    problem.with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"recoup\"")
}

/// By which way a program came: our own commands say so.
pub(super) fn way(headers: &HeaderMap) -> Via {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    match agent {
        Some(agent) if agent.starts_with(OWN_AGENT) => Via::CommandLine,
        _ => Via::Api,
    }
}

/// Compares digests, so that neither length nor content shows in the time.
pub(super) fn is_token(token: &SecretString, given: &str) -> bool {
    is_same(&Sha256::digest(token.expose_secret()), &Sha256::digest(given))
}

/// A session of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// What its forms must send back.
    pub(super) csrf: String,
}

/// A new session's cookie.
pub(super) fn cookie(token: &SecretString, now: Timestamp, transport: Transport) -> HeaderValue {
    let expires = (now.as_second() + SESSION_S).to_string();
    let value = format!("{expires}.{}", mac(token, "session", &expires));
    set_cookie(&value, SESSION_S, transport)
}

/// The cookie that ends a session in the browser.
pub(super) fn no_cookie() -> HeaderValue {
    set_cookie("", 0, Transport::Plain)
}

/// How the browser reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

impl Transport {
    /// By the page that the form was on: a proxy may have ended the TLS.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        match origin {
            Some(origin) if origin.starts_with("https://") => Self::Tls,
            _ => Self::Plain,
        }
    }
}

fn set_cookie(value: &str, age: i64, transport: Transport) -> HeaderValue {
    let secure = if transport == Transport::Tls { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The session that a request belongs to, if it is ours and has not expired.
pub(super) fn session(
    token: &SecretString,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<Session> {
    let value = cookies(headers).find_map(|(name, value)| (name == COOKIE).then_some(value))?;
    let (expires, signature) = value.split_once('.')?;
    if !is_same(signature.as_bytes(), mac(token, "session", expires).as_bytes()) {
        return None;
    }
    let expires_at: i64 = expires.parse().ok()?;
    (now.as_second() < expires_at).then(|| Session { csrf: mac(token, "csrf", value) })
}

impl Session {
    /// Whether a form was on one of this session's pages.
    pub(super) fn sent(&self, csrf: &str) -> bool {
        is_same(self.csrf.as_bytes(), csrf.as_bytes())
    }
}

fn mac(token: &SecretString, purpose: &str, text: &str) -> String {
    hex::encode(sign(token.expose_secret().as_bytes(), &format!("recoup:{purpose}:{text}")))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("a=b; {pair}")).unwrap());
        headers
    }

    #[test]
    fn a_session_ends_by_time_and_with_the_token() {
        let token = SecretString::from("token");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |s: i64| Timestamp::from_second(1_800_000_000 + s).unwrap();
        let headers = headers(&cookie(&token, now, Transport::Plain));
        let first = session(&token, &headers, at(SESSION_S - 1)).unwrap();
        assert!(first.sent(&first.csrf) && !first.sent("") && !first.sent("0"));
        assert_eq!(session(&token, &headers, at(SESSION_S)), None);
        assert_eq!(session(&SecretString::from("other"), &headers, now), None);
    }

    #[test]
    fn a_session_that_was_made_longer_by_hand_is_none() {
        let token = SecretString::from("token");
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let made = cookie(&token, now, Transport::Tls);
        let text = made.to_str().unwrap();
        assert!(text.ends_with("; Secure") && text.contains("HttpOnly; SameSite=Strict"));
        let longer = HeaderValue::from_str(&text.replacen("=18", "=98", 1)).unwrap();
        assert_eq!(session(&token, &headers(&longer), now), None);
        assert_eq!(session(&token, &HeaderMap::new(), now), None);
    }
}
