//! Mercado Pago's signature: `x-signature: ts=…,v1=…`, HMAC-SHA256 over a manifest, hex.
//!
//! Why here: what is signed is not the body but `id:{data.id of the query};request-id:{header};
//! ts:{ts};`. So an authentic webhook proves only that something happened to that id.
//!
//! What must stay true: a part that is missing is dropped with its label; `data.id` is the query's,
//! decoded as a form is, never the body's; only lower-case hex, as the gateway's own libraries
//! compare it; no tolerance of time, since it re-sends for days with the same signature.
//!
//! Unproven: that an id with letters is signed in lower case. It is tried as it is, then so.

use hmac::Hmac;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::webhook::query_value;
use crate::gateway::signature::{USUAL_CAUSES, is_mac, no_match, usual_doubt};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

const HEADER: &str = "x-signature";
const REQUEST_ID: &str = "x-request-id";

/// Whether the webhook is authentic, by any of the secrets.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let Some(text) = request.header(HEADER) else {
        let hint = "no x-signature header: an IPN or a QR notification, which are not signed, a \
                    sender that is not Mercado Pago, or a proxy that dropped it";
        return Err(Rejection::new(RejectionCode::MissingHeader, hint));
    };
    let header = read(text)?;
    let manifests = manifests(request, header.time);
    let mac = header.signature.and_then(lower_hex);
    let matches = |manifest: &String| {
        secrets.iter().any(|secret| {
            let key = secret.expose_secret().as_bytes();
            mac.as_deref()
                .is_some_and(|mac| is_mac::<Hmac<Sha256>>(key, &[manifest.as_bytes()], mac))
        })
    };
    if manifests.iter().any(matches) {
        return Ok(());
    }
    Err(no_match(why_not(&header, request, secrets)))
}

struct Header<'a> {
    time: &'a str,
    signature: Option<&'a str>,
}

/// Keys in any case, parts in any order, spaces around them; of repeated parts the last one counts,
/// as in the gateway's own libraries.
fn read(text: &str) -> Result<Header<'_>, Rejection> {
    let malformed = |hint: &str| Rejection::new(RejectionCode::MalformedHeader, hint);
    let part = |name: &str| {
        let parts = text.split(',').filter_map(|part| part.split_once('='));
        let named = parts.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).rfind(|value| !value.is_empty())
    };
    let time = part("ts").ok_or_else(|| {
        malformed("the x-signature header has no `ts=`: it reads `ts=DIGITS,v1=HEX`")
    })?;
    if !time.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed("`ts=` in the x-signature header is no number"));
    }
    Ok(Header { time, signature: part("v1") })
}

/// What may have been signed: with the id as it is, and in lower case.
fn manifests(request: &WebhookRequest<'_>, time: &str) -> Vec<String> {
    let id = request.query().and_then(|query| query_value(query, "data.id"));
    let request_id = request.header(REQUEST_ID).map(str::trim);
    let of = |id: Option<&str>| {
        let id = id.map_or_else(String::new, |id| format!("id:{id};"));
        let request_id = request_id.map_or_else(String::new, |id| format!("request-id:{id};"));
        format!("{id}{request_id}ts:{time};")
    };
    let lower = id.as_deref().map(str::to_lowercase).filter(|lower| Some(lower) != id.as_ref());
    let as_it_is = of(id.as_deref());
    [Some(as_it_is), lower.map(|lower| of(Some(&lower)))].into_iter().flatten().collect()
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    hex::decode(text).ok().filter(|_| lower)
}

fn why_not(header: &Header<'_>, request: &WebhookRequest<'_>, secrets: &[SecretString]) -> String {
    let Some(signature) = header.signature else {
        return "the x-signature header has no `v1=` signature; other versions do not count"
            .to_owned();
    };
    if lower_hex(signature).is_none() {
        return "`v1=` in the x-signature header is not lower-case hexadecimal".to_owned();
    }
    if let Some(hint) = usual_doubt(request.body, secrets, |_| false) {
        return hint.to_owned();
    }
    let query = request.query().unwrap_or_default();
    if query_value(query, "data.id").is_none() {
        return "the address has no `data.id` in its query, which is what Mercado Pago signs: \
                give the whole address with --url, or let the proxy keep the query"
            .to_owned();
    }
    if request.header(REQUEST_ID).is_none() {
        return "there is no x-request-id header, which Mercado Pago signs: a proxy dropped it"
            .to_owned();
    }
    format!("{USUAL_CAUSES}; x-request-id and the query's `data.id` are signed and must be as sent")
}
