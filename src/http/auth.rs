//! Who may come in: tokens for programs, and the cookies of people's sessions.
//!
//! Why here: one place reads what a request brings along to say who sends it.
//!
//! What must stay true: comparisons take the same time for every wrong value; no script sees a
//! cookie of ours; another site's request brings no session along.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::people::audit::Via;
use super::people::{Who, sessions, tokens};
use super::{AppState, Problem};
use crate::gateway::signature::is_same;
use crate::store::StoreError;

/// How to set the admin token.
pub(super) const HOW_TO_SET: &str = "there is no admin token. Set `admin_token` under `[server]` \
    in the merchant file, e.g. { env = \"RECOUP_ADMIN_TOKEN\" }, and start again; or open the link \
    that `recoup serve` prints, and make the first account";

/// How the program of our own commands names itself.
const OWN_AGENT: &str = "recoup/";

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

/// The cookie of a session.
pub(super) const SESSION: &str = "recoup_session";

/// The cookie of a browser that somebody has signed in with.
pub(super) const KNOWN: &str = "recoup_known";

/// A cookie that scripts do not see.
pub(super) struct Cookie<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) age: SignedDuration,
    pub(super) site: Site,
}

/// Whether it comes along when another site leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// Where somebody follows a link.
    Lax,
    /// Never.
    Strict,
}

/// The cookie of a session; an empty one ends it in the browser.
pub(super) fn session_cookie(token: &str) -> Cookie<'_> {
    let age = if token.is_empty() { SignedDuration::ZERO } else { sessions::SESSION };
    Cookie { name: SESSION, value: token, age, site: Site::Strict }
}

impl Cookie<'_> {
    /// As it is sent. A router that is mounted under a path moves its path there.
    pub(super) fn header(&self, transport: Transport) -> HeaderValue {
        let Self { name, value, age, site } = self;
        let secure = if transport == Transport::Tls { "; Secure" } else { "" };
        let age = age.as_secs();
        let text =
            format!("{name}={value}; Path=/; HttpOnly; SameSite={site:?}; Max-Age={age}{secure}");
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// How the browser reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

impl Transport {
    /// TLS where `public_url` says so, or the page that the form was on; but not where the browser
    /// says that it is elsewhere, without TLS: it would not send such a cookie back.
    pub(super) fn of(state: &AppState, headers: &HeaderMap) -> Self {
        let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        let public = &state.brand.public_url;
        let is_public = text(header::HOST)
            .is_some_and(|host| origin(public).split_once("://").is_some_and(|(_, it)| it == host));
        match text(header::ORIGIN) {
            Some(origin) if origin.starts_with("https://") => Self::Tls,
            Some(origin) if origin.starts_with("http://") && !is_public => Self::Plain,
            _ if public.starts_with("https://") => Self::Tls,
            _ => Self::Plain,
        }
    }
}

/// The scheme, host and port of an address.
pub(super) fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}

/// The value of a cookie.
pub(super) fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(known, value)| (known == name && !value.is_empty()).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_back_and_hidden_from_scripts() {
        let sent = session_cookie("abc").header(Transport::Tls);
        let text = sent.to_str().unwrap();
        assert!(text.contains("; HttpOnly; SameSite=Strict; Max-Age=43200; Secure"), "{text}");
        let mut headers = HeaderMap::new();
        let pair = format!("a=b; {}", text.split(';').next().unwrap());
        headers.insert(header::COOKIE, HeaderValue::from_str(&pair).unwrap());
        assert_eq!(cookie_of(&headers, SESSION), Some("abc"));
        assert_eq!(cookie_of(&headers, "session"), None);
        let gone = session_cookie("").header(Transport::Plain);
        assert!(gone.to_str().unwrap().ends_with("Max-Age=0"));
    }

    #[test]
    fn an_origin_has_no_path() {
        assert_eq!(origin("https://a.example/b/c"), "https://a.example");
        assert_eq!(origin("http://a.example:81"), "http://a.example:81");
        assert_eq!(origin("a/b"), "a");
    }
}
