//! Stripe's signature: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 over `{t}.{body}`, hex.
//!
//! Why here: the scheme is Stripe's own. The whole text of the secret is the key, `whsec_`
//! included; Standard Webhooks, with the same prefix, decodes it.
//!
//! What must stay true: exactly one `t`; only lower-case hex, as Stripe's own libraries compare it;
//! other schemes and other spellings are ignored.

use secrecy::{ExposeSecret as _, SecretString};

use crate::gateway::signature::{
    Signed, USUAL_CAUSES, check_time, no_match, texts, unix_seconds, usual_doubt,
};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

const HEADER: &str = "Stripe-Signature";

struct Header<'a> {
    time: &'a str,
    signed_at: i64,
    signatures: Vec<Vec<u8>>,
    schemes: usize,
}

/// Whether the webhook is authentic, by any of the secrets.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let Some(text) = request.header(HEADER) else {
        let hint = "no Stripe-Signature header: not from Stripe, or a proxy dropped it";
        return Err(Rejection::new(RejectionCode::MissingHeader, hint));
    };
    let header = read(text)?;
    let prefix = format!("{}.", header.time);
    let matches = |body: &[u8]| {
        secrets.iter().any(|secret| {
            let signed = Signed { key: secret.expose_secret().as_bytes(), prefix: &prefix };
            signed.matches_any(body, &header.signatures)
        })
    };
    if matches(request.body) {
        return check_time(header.signed_at, request.now);
    }
    Err(no_match(why_not(&header, request, secrets, matches)))
}

fn read(text: &str) -> Result<Header<'_>, Rejection> {
    let malformed = |hint: &str| Rejection::new(RejectionCode::MalformedHeader, hint);
    let items = || text.trim().split(',').filter_map(|item| item.split_once('='));
    let times: Vec<&str> = items().filter(|(key, _)| *key == "t").map(|(_, time)| time).collect();
    let [time] = times[..] else {
        return Err(malformed(if times.is_empty() {
            "the Stripe-Signature header has no `t=`: it reads `t=SECONDS,v1=HEX`"
        } else {
            "the Stripe-Signature header has more than one `t=`: which one is signed is not clear"
        }));
    };
    let signed_at = unix_seconds(time)
        .ok_or_else(|| malformed("`t=` in the Stripe-Signature header is no number of seconds"))?;
    let schemes = items().filter(|(key, _)| *key == "v1").count();
    let signatures = items().filter(|(key, _)| *key == "v1").filter_map(|(_, v)| lower_hex(v));
    Ok(Header { time, signed_at, signatures: signatures.collect(), schemes })
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    hex::decode(text).ok()
}

fn why_not(
    header: &Header<'_>,
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
    matches: impl Fn(&[u8]) -> bool,
) -> String {
    if header.schemes == 0 {
        return "the Stripe-Signature header has no `v1=` signature (as sent, without spaces); \
                other schemes do not count"
            .to_owned();
    }
    if header.signatures.is_empty() {
        return "no `v1=` in the Stripe-Signature header is lower-case hexadecimal".to_owned();
    }
    if let Some(hint) = usual_doubt(request.body, secrets, matches) {
        return hint.to_owned();
    }
    if texts(secrets).all(|secret| !secret.starts_with("whsec_")) {
        return format!("{USUAL_CAUSES}; no given secret begins with `whsec_`, as Stripe's do");
    }
    USUAL_CAUSES.to_owned()
}
