//! Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature` (or `svix-…`).
//!
//! Why here: the scheme of the `http` gateway: HMAC-SHA256 over `{id}.{timestamp}.{body}`, base64,
//! with the base64-decoded secret as key (Stripe, with the same `whsec_`, does not decode it).
//!
//! What must stay true: all three headers of one family; only `v1` counts, `v1a` and others are
//! skipped; base64 as the scheme's own libraries write it, with padding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::gateway::signature::{
    Signed, USUAL_CAUSES, check_time, no_match, texts, unix_seconds, usual_doubt,
};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

const FAMILIES: [&str; 2] = ["webhook", "svix"];
/// Bytes of an HMAC-SHA256.
const MAC_BYTES: usize = 32;

struct Headers<'a> {
    id: &'a str,
    time: &'a str,
    signature: &'a str,
}

/// The id of the message, of either family.
pub(super) fn message_id<'a>(request: &WebhookRequest<'a>) -> Option<&'a str> {
    FAMILIES.iter().find_map(|family| request.header(&format!("{family}-id"))).map(str::trim)
}

/// Whether the webhook is authentic, by any of the secrets.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let headers = headers(request)?;
    let malformed = |hint: &str| Rejection::new(RejectionCode::MalformedHeader, hint);
    let signed_at = unix_seconds(headers.time)
        .ok_or_else(|| malformed("the timestamp header is no number of seconds"))?;
    let items = || headers.signature.split_ascii_whitespace();
    if !items().any(is_readable) {
        return Err(malformed(
            "the signature header reads `v1,BASE64`, several with spaces between",
        ));
    }
    let signatures: Vec<Vec<u8>> =
        items().filter_map(|i| i.strip_prefix("v1,")).filter_map(decode).collect();
    let prefix = format!("{}.{}.", headers.id, headers.time);
    let keys: Vec<_> = secrets.iter().filter_map(|s| key(s.expose_secret())).collect();
    let matches = |body: &[u8]| {
        keys.iter().any(|key| Signed { key, prefix: &prefix }.matches_any(body, &signatures))
    };
    if matches(request.body) {
        return check_time(signed_at, request.now);
    }
    Err(no_match(why_not(&signatures, request, secrets, matches)))
}

/// The three headers of the first family that is whole.
fn headers<'a>(request: &WebhookRequest<'a>) -> Result<Headers<'a>, Rejection> {
    let whole = FAMILIES.iter().find_map(|family| {
        let get = |part: &str| request.header(&format!("{family}-{part}")).map(str::trim);
        Some(Headers { id: get("id")?, time: get("timestamp")?, signature: get("signature")? })
    });
    whole.ok_or_else(|| {
        let hint =
            "webhook-id, webhook-timestamp and webhook-signature (or svix-…) must all be there";
        Rejection::new(RejectionCode::MissingHeader, hint)
    })
}

/// Whether it is a signature of some version or spelling, rather than no signature at all.
fn is_readable(item: &str) -> bool {
    let versioned = item.starts_with('v') || item.starts_with('V') || item.contains(',');
    versioned || decode(item).is_some_and(|mac| mac.len() == MAC_BYTES) || hex::decode(item).is_ok()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The key's bytes: base64 behind an optional `whsec_`, with or without padding.
fn key(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok();
    key.filter(|key| !key.is_empty()).map(Zeroizing::new)
}

fn why_not(
    signatures: &[Vec<u8>],
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
    matches: impl Fn(&[u8]) -> bool,
) -> String {
    if signatures.is_empty() {
        return "the signature header has no readable `v1,BASE64`; other versions do not count"
            .to_owned();
    }
    if let Some(hint) = usual_doubt(request.body, secrets, matches) {
        return hint.to_owned();
    }
    if texts(secrets).any(|secret| key(secret).is_none()) {
        return "a given secret is not base64 (`whsec_` before it may be left out)".to_owned();
    }
    USUAL_CAUSES.to_owned()
}
