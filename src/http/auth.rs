//! Who may come in: the admin token for programs, a signed session for the dashboard.
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
use super::{AppState, Problem};
use crate::gateway::signature::is_same;

/// How to set the admin token.
pub(super) const HOW_TO_SET: &str = "there is no admin token. Set `admin_token` under `[server]` \
    in the merchant file, e.g. { env = \"RECOUP_ADMIN_TOKEN\" }, and start again";

/// The cookie of a session.
const COOKIE: &str = "recoup_session";

/// How long a session lasts, in seconds.
const SESSION_S: i64 = 12 * 60 * 60;

/// Lets a program in by `Authorization: Bearer <admin_token>`.
pub(super) fn bearer(state: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = &state.admin_token else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "admin_token_not_set", HOW_TO_SET));
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(rest.trim())
    });
    if given.is_some_and(|given| is_token(token, given)) {
        return Ok(());
    }
    let detail = "send `Authorization: Bearer <admin_token>` with the token of the merchant file";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    Err(problem.with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"recoup\""))
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
