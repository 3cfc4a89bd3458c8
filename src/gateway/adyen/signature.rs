//! Adyen's two signatures: in each item of a notification, or in a header over the whole body.
//!
//! Why here: the schemes are Adyen's own. Standard notifications sign eight fields of each item,
//! joined by `:`, in `additionalData.hmacSignature`; tokenization webhooks sign the raw body in the
//! header `HmacSignature`. Both are HMAC-SHA256 in base64, with the hex-decoded key. Which of them
//! applies is told by the body: only the first kind has `notificationItems`.
//!
//! What must stay true: every item is verified, one good one vouches for no other; a `:` may stand
//! in the merchant's reference alone, since anywhere else the same signed text would read as other
//! fields; there is no timestamp, so a repetition is told by the event's id.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::gateway::signature::{Signed, USUAL_CAUSES, no_match, texts, usual_doubt};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

const HEADER: &str = "HmacSignature";

/// What is signed of an item, in this order.
const FIELDS: [&str; 8] = [
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    MERCHANTS_OWN,
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
];
/// The one field whose text is not Adyen's.
const MERCHANTS_OWN: &str = "/merchantReference";

/// Whether the webhook is authentic, by any of the keys.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let body: Option<Value> = serde_json::from_slice(request.body).ok();
    match body {
        Some(body) if body.get("notificationItems").is_some() => items(&body, secrets),
        None if request.header(HEADER).is_none() => Err(malformed("the body is no JSON")),
        _ => header(request, secrets),
    }
}

/// The items of a notification; `None`: it has none that can be read.
pub(super) fn items_of(body: &Value) -> Option<&[Value]> {
    let items = body.get("notificationItems")?.as_array()?;
    (!items.is_empty()).then_some(items)
}

/// What an item holds.
pub(super) fn inner(item: &Value) -> Option<&Value> {
    item.get("NotificationRequestItem").filter(|item| item.is_object())
}

fn items(body: &Value, secrets: &[SecretString]) -> Result<(), Rejection> {
    let items = items_of(body).ok_or_else(|| malformed("`notificationItems` has no items"))?;
    for (index, item) in items.iter().enumerate() {
        one(item, secrets).map_err(|no| Rejection { item: Some(index), ..no })?;
    }
    Ok(())
}

fn one(item: &Value, secrets: &[SecretString]) -> Result<(), Rejection> {
    let item = inner(item).ok_or_else(|| {
        malformed("an item of `notificationItems` has no NotificationRequestItem")
    })?;
    let signature = match item.pointer("/additionalData/hmacSignature") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err(not_base64("`hmacSignature` is no text")),
    };
    if signature.trim().is_empty() {
        let hint = "an item has no additionalData.hmacSignature: switch HMAC signatures on for \
                    this webhook (Customer Area, Developers, Webhooks, Security)";
        return Err(Rejection::new(RejectionCode::MissingHeader, hint));
    }
    let signature = read(signature)?;
    let text = signed_text(item)?;
    if matches(text.as_bytes(), &signature, secrets) {
        return Ok(());
    }
    Err(no_match(doubt_about_keys(secrets).unwrap_or(USUAL_CAUSES)))
}

fn header(request: &WebhookRequest<'_>, secrets: &[SecretString]) -> Result<(), Rejection> {
    let Some(text) = request.header(HEADER) else {
        let hint = "no HmacSignature header, and the body has no `notificationItems`, whose items \
                    would be signed each";
        return Err(Rejection::new(RejectionCode::MissingHeader, hint));
    };
    let signature = read(text.trim())?;
    let matches = |body: &[u8]| matches(body, &signature, secrets);
    if matches(request.body) {
        return Ok(());
    }
    let doubt = usual_doubt(request.body, secrets, matches);
    Err(no_match(doubt.or_else(|| doubt_about_keys(secrets)).unwrap_or(USUAL_CAUSES)))
}

/// The bytes of a signature. Another spelling (hex, without padding) is readable and never right:
/// it is no bytes at all.
fn read(text: &str) -> Result<Vec<u8>, Rejection> {
    let spelled =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_');
    if !text.bytes().all(spelled) {
        return Err(not_base64("the signature has characters that base64 has not"));
    }
    Ok(STANDARD.decode(text).unwrap_or_default())
}

fn matches(message: &[u8], signature: &[u8], secrets: &[SecretString]) -> bool {
    secrets
        .iter()
        .filter_map(|secret| key(secret.expose_secret()))
        .any(|key| Signed { key: &key, prefix: "" }.matches(message, signature))
}

fn key(secret: &str) -> Option<Zeroizing<Vec<u8>>> {
    hex::decode(secret).ok().map(Zeroizing::new)
}

/// The text that is signed of an item. What is absent is empty.
pub(super) fn signed_text(item: &Value) -> Result<String, Rejection> {
    let mut parts = Vec::with_capacity(FIELDS.len());
    for field in FIELDS {
        let part = match item.pointer(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(yes)) => yes.to_string(),
            Some(_) => return Err(malformed("a signed field of an item is no single value")),
        };
        if field != MERCHANTS_OWN && part.contains(':') {
            return Err(no_match("a field of Adyen's own has a `:`, as if it were two fields"));
        }
        parts.push(part);
    }
    Ok(parts.join(":"))
}

fn doubt_about_keys(secrets: &[SecretString]) -> Option<&'static str> {
    if texts(secrets).any(|secret| secret.trim() != secret) {
        return Some("a given secret has a space or a line end around it");
    }
    texts(secrets).any(|secret| key(secret).is_none()).then_some(
        "a given secret is no hexadecimal text: the HMAC key of the webhook (Customer Area, \
         Developers, Webhooks, Security) has 64 digits and letters from A to F; an API key is none",
    )
}

fn malformed(hint: &str) -> Rejection {
    Rejection::new(RejectionCode::MalformedBody, hint)
}

fn not_base64(hint: &str) -> Rejection {
    Rejection::new(RejectionCode::MalformedHeader, hint)
}
