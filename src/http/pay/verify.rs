//! `/verify`: was this message really ours?
//!
//! Why here: who gets a message about money should be able to ask. The answer is computed from the
//! link alone.
//!
//! What must stay true: nothing is read from the store, so the answer tells neither whether a case
//! exists nor how it stands; a genuine token on a foreign site is not genuine.

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use url::Url;

use super::visit::browser_locale;
use crate::http::pages::{Verdict, verify_page};
use crate::http::{AppState, link, page};

/// Longest text that is looked at.
const MAX_TEXT: usize = 4_000;

/// `GET /verify`.
pub(super) async fn show(State(state): State<AppState>, headers: HeaderMap) -> Response {
    page(StatusCode::OK, verify_page(&state.brand, &browser_locale(&state, &headers), None))
}

/// What was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Question {
    text: String,
}

/// `POST /verify`.
pub(super) async fn judge(
    State(state): State<AppState>,
    headers: HeaderMap,
    form: Result<Form<Question>, axum::extract::rejection::FormRejection>,
) -> Response {
    let text = form.map(|form| form.0.text).unwrap_or_default();
    let verdict = verdict(&state.brand.public_url, &state.link_key, &text);
    let locale = browser_locale(&state, &headers);
    page(StatusCode::OK, verify_page(&state.brand, &locale, Some(verdict)))
}

/// Whether every link in the text is one of ours; a text without any link may be the code alone.
fn verdict(public_url: &str, key: &[u8; 32], text: &str) -> Verdict {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Verdict::NotGenuine;
    }
    let words = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| "<>()[]\"'.,;:!?«»“”".contains(c)));
    let mut genuine = 0;
    for word in words {
        let links = word.contains("://") || word.to_ascii_lowercase().starts_with("www.");
        let ours = if links {
            token_of(public_url, word)
        } else {
            without_scheme(public_url, word).or_else(|| Some(word.to_owned()))
        };
        let signed = ours.is_some_and(|token| link::case_of(key, &token).is_some());
        match (signed, links) {
            (true, _) => genuine += 1,
            // One foreign link is enough to spoil it.
            (false, true) => return Verdict::NotGenuine,
            (false, false) => {}
        }
    }
    if genuine > 0 { Verdict::Genuine } else { Verdict::NotGenuine }
}

/// The token in a link of exactly our site.
fn token_of(public_url: &str, word: &str) -> Option<String> {
    let (ours, theirs) = (Url::parse(public_url).ok()?, Url::parse(word).ok()?);
    let same = ours.scheme() == theirs.scheme()
        && ours.host() == theirs.host()
        && ours.port_or_known_default() == theirs.port_or_known_default()
        && theirs.username().is_empty()
        && theirs.password().is_none();
    let rest = theirs.path().strip_prefix(ours.path().trim_end_matches('/'))?;
    let token = rest.strip_prefix("/pay/")?.split('/').next()?;
    same.then(|| token.to_owned())
}

/// A link as people type it, `pay.example.com/pay/…`.
fn without_scheme(public_url: &str, word: &str) -> Option<String> {
    let (scheme, _) = public_url.split_once("://")?;
    word.contains("/pay/").then(|| token_of(public_url, &format!("{scheme}://{word}"))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{CaseId, GatewayId};

    const KEY: [u8; 32] = [7; 32];
    const OURS: &str = "https://pay.nube.example/shop";

    #[test]
    fn only_our_own_links_are_genuine_and_a_copied_token_is_not() {
        let token = link::token_for(&KEY, &CaseId::of(&GatewayId::from("first"), "in_1"));
        let yes = [
            format!("https://pay.nube.example/shop/pay/{token}"),
            format!("https://PAY.nube.example:443/shop/pay/{token}?done=card"),
            format!("pay.nube.example/shop/pay/{token}"),
            format!("  {token} "),
            format!("Hola Ana, tu pago no pasó: https://pay.nube.example/shop/pay/{token}."),
        ];
        for text in yes {
            assert_eq!(verdict(OURS, &KEY, &text), Verdict::Genuine, "{text}");
        }
        let no = [
            String::new(),
            "hello".into(),
            "x".repeat(5000),
            format!("https://pay.nube.example.evil.example/shop/pay/{token}"),
            format!("https://pay.nube.example@evil.example/shop/pay/{token}"),
            format!("https://user@pay.nube.example/shop/pay/{token}"),
            format!("http://pay.nube.example/shop/pay/{token}"),
            format!("https://pay.nube.example:8443/shop/pay/{token}"),
            // A letter that only looks like ours.
            OURS.replace("nube", "nub\u{435}") + "/pay/" + &token,
            format!("https://pay.nube.example/pay/{token}"),
            format!("www.evil.example/shop/pay/{token}"),
            format!("https://pay.nube.example/shop/pay/{}", &token[1..]),
            format!("https://pay.nube.example/shop/pay/{token} or https://evil.example/x"),
            "https://pay.nube.example/shop/pay/".into(),
            "javascript:alert(1)".into(),
        ];
        for text in no {
            assert_eq!(verdict(OURS, &KEY, &text), Verdict::NotGenuine, "{text}");
        }
    }
}
