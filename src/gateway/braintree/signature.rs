//! Braintree's signature: form fields `bt_signature` (`PUBLIC|HEX`, several with `&` between) and
//! `bt_payload` (base64 with line ends).
//!
//! Why here: the scheme is Braintree's own: HMAC-SHA1 over the payload's text, with the SHA-1
//! digest of the private key as key. The pair of API keys is what signs: a secret is
//! `PUBLIC:PRIVATE`.
//!
//! What must stay true: the payload's text is signed, before base64 is undone; only the signature
//! beside a public key of ours counts, the first one as in Braintree's own libraries; the whole
//! digest is compared (its Node library compares only as much as was sent); lower-case hex only.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::{Digest as _, Sha1};

use crate::gateway::signature::{is_mac, no_match, texts, usual_doubt};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

type Mac = Hmac<Sha1>;

/// A field of a form; an empty one is absent.
pub(super) fn field(body: &[u8], name: &str) -> Option<String> {
    let mut fields = url::form_urlencoded::parse(body);
    let value = fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    value.filter(|value| !value.trim().is_empty())
}

/// A pair of API keys.
#[derive(Clone, Copy)]
struct Pair<'a> {
    public: &'a str,
    private: &'a str,
}

fn pairs(secrets: &[SecretString]) -> impl Iterator<Item = Pair<'_>> {
    texts(secrets).filter_map(|text| {
        let (public, private) = text.split_once(':')?;
        (!public.is_empty() && !private.is_empty()).then_some(Pair { public, private })
    })
}

/// Whether the webhook is authentic, by any of the pairs.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let missing = |name: &str| {
        let hint = format!("the body has no `{name}`: not a form of Braintree's, or it was parsed");
        Rejection::new(RejectionCode::MissingHeader, hint)
    };
    let signature = field(request.body, "bt_signature").ok_or_else(|| missing("bt_signature"))?;
    let payload = field(request.body, "bt_payload").ok_or_else(|| missing("bt_payload"))?;
    let signed = signed(&signature);
    if signed.is_empty() {
        let hint = "`bt_signature` reads `PUBLIC_KEY|HEX`, several with `&` between";
        return Err(Rejection::new(RejectionCode::MalformedHeader, hint));
    }
    if !payload.bytes().all(is_of_payload) {
        let hint = "`bt_payload` is no base64: was `+` turned into a space, or the form decoded \
                    twice?";
        return Err(Rejection::new(RejectionCode::MalformedBody, hint));
    }
    let matches = |payload: &str| pairs(secrets).any(|pair| is_signed(&signed, payload, pair));
    if matches(&payload) {
        return Ok(());
    }
    let in_body = |body: &[u8]| field(body, "bt_payload").is_some_and(|payload| matches(&payload));
    Err(no_match(why_not(&signed, secrets, usual_doubt(request.body, secrets, in_body))))
}

/// Public keys and the signatures beside them.
fn signed(signature: &str) -> Vec<(&str, &str)> {
    signature.trim().split('&').filter_map(|pair| pair.split_once('|')).collect()
}

fn is_of_payload(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'=' | b'/' | b'\n')
}

/// Some frameworks take the last line end off a field, so it is tried with one more too.
fn is_signed(signed: &[(&str, &str)], payload: &str, pair: Pair<'_>) -> bool {
    let beside = signed.iter().find(|(public, _)| *public == pair.public);
    let Some(mac) = beside.and_then(|(_, text)| lower_hex(text)) else { return false };
    let key = Sha1::digest(pair.private);
    let payload = payload.as_bytes();
    is_mac::<Mac>(&key, &[payload], &mac) || is_mac::<Mac>(&key, &[payload, b"\n"], &mac)
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    lower.then(|| hex::decode(text).ok()).flatten()
}

fn why_not(
    signed: &[(&str, &str)],
    secrets: &[SecretString],
    doubt: Option<&'static str>,
) -> &'static str {
    if pairs(secrets).next().is_none() {
        return "no given secret is a pair of keys: Braintree's are given as PUBLIC:PRIVATE";
    }
    if !pairs(secrets).any(|pair| signed.iter().any(|(public, _)| *public == pair.public)) {
        return "no signature is beside a public key of ours: another merchant's or environment's \
                keys (sandbox and production differ), or a key that was replaced";
    }
    doubt.unwrap_or(
        "the signature beside our public key does not match: another private key, or `bt_payload` \
         was changed on the way (its line ends are signed too)",
    )
}

/// The answer to `GET ?bt_challenge=…`, by which Braintree checks that the address is ours.
pub(super) fn answer_challenge(query: &str, secrets: &[SecretString]) -> Result<String, Rejection> {
    let missing = || {
        let hint = "the query has no `bt_challenge`: Braintree's webhooks are posted";
        Rejection::new(RejectionCode::MissingHeader, hint)
    };
    let challenge = field(query.as_bytes(), "bt_challenge").ok_or_else(missing)?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    // Only this much is ever signed for whoever asks: no payload of an event is so short.
    if !(20..=32).contains(&challenge.len()) || !challenge.bytes().all(is_hex) {
        let hint = "`bt_challenge` is 20 to 32 lower-case hexadecimal digits";
        return Err(Rejection::new(RejectionCode::MalformedHeader, hint));
    }
    let unconfigured = || no_match("there is no pair of keys to answer with");
    let pair = pairs(secrets).next().ok_or_else(unconfigured)?;
    let mut mac = Mac::new_from_slice(&Sha1::digest(pair.private))
        .map_err(|_| no_match("the private key cannot sign"))?;
    mac.update(challenge.as_bytes());
    Ok(format!("{}|{}", pair.public, hex::encode(mac.finalize().into_bytes())))
}

/// The pair as one secret: `PUBLIC:PRIVATE`.
pub(super) fn pair(public: &SecretString, private: &SecretString) -> SecretString {
    SecretString::from(format!("{}:{}", public.expose_secret(), private.expose_secret()))
}
