//! Wompi's signature: a checksum in the body, SHA-256 over the values that the body names, the
//! event's time and the secret.
//!
//! Why here: the scheme is Wompi's own. `signature.properties` lists paths inside `data`; their
//! values, `timestamp` and the events secret are written one after another and hashed. The header
//! `X-Event-Checksum` repeats the checksum.
//!
//! What must stay true: the list is never assumed, but the id and the status of the very object
//! that the event is about must be in it; hex in any
//! case; no tolerance of time, since an event is sent again a day later as it was. There is nothing
//! between the values, so digits can move from the time to the amount and back: a time that cannot
//! be one is refused, and what is not signed is read again before anything is decided.

use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::gateway::facts::text;
use crate::gateway::signature::{USUAL_CAUSES, is_same, no_match, texts, usual_doubt};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

const TRANSACTION_UPDATED: &str = "transaction.updated";
const HEADER: &str = "X-Event-Checksum";

/// Times of events: from 2017, when Wompi began, to when seconds get an eleventh digit.
const PLAUSIBLE: std::ops::Range<i64> = 1_483_228_800..10_000_000_000;

/// Whether the webhook is authentic, by any of the secrets.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let body: Value = serde_json::from_slice(request.body)
        .map_err(|error| malformed(&format!("the body is not JSON: {error}")))?;
    let signed = read(&body)?;
    let checksum = hex::decode(signed.checksum).unwrap_or_default();
    let repeated = request.header(HEADER).map(str::trim);
    if repeated.is_some_and(|header| !header.eq_ignore_ascii_case(signed.checksum)) {
        return Err(no_match("the X-Event-Checksum header is not the checksum of the body"));
    }
    let right = |secret: &str| {
        let hash = Sha256::digest(format!("{}{}{secret}", signed.values, signed.time).as_bytes());
        !secret.is_empty() && is_same(&hash, &checksum)
    };
    if !texts(secrets).any(right) {
        let doubt = usual_doubt(request.body, secrets, |_| false);
        return Err(no_match(doubt.unwrap_or(USUAL_CAUSES)));
    }
    signed.covers_what_matters()
}

fn malformed(hint: &str) -> Rejection {
    Rejection::new(RejectionCode::MalformedBody, hint)
}

struct Signed<'a> {
    checksum: &'a str,
    properties: Vec<&'a str>,
    values: String,
    time: String,
    event: &'a str,
}

fn read(body: &Value) -> Result<Signed<'_>, Rejection> {
    if !body.is_object() {
        return Err(malformed("the body is no JSON object"));
    }
    let Some(checksum) = text(body, "/signature/checksum") else {
        let hint = "the body has no `signature.checksum`: not from Wompi, or changed on the way";
        return Err(Rejection::new(RejectionCode::MissingHeader, hint));
    };
    let listed = body.pointer("/signature/properties").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| malformed("the body has no list `signature.properties`"))?;
    let properties: Option<Vec<&str>> = listed.iter().map(Value::as_str).collect();
    let properties =
        properties.ok_or_else(|| malformed("`signature.properties` is no list of paths"))?;
    let time = body.get("timestamp").and_then(written);
    let time = time.ok_or_else(|| malformed("the body has no `timestamp`"))?;
    let data = body.get("data").unwrap_or(&Value::Null);
    let values: Option<String> = properties.iter().map(|path| written(at(data, path)?)).collect();
    let values = values.ok_or_else(|| {
        no_match("a path in `signature.properties` leads to no value: the body was changed")
    })?;
    let event = text(body, "/event").unwrap_or_default();
    Ok(Signed { checksum, properties, values, time, event })
}

/// What stands at a dotted path.
fn at<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(data, |value, name| value.get(name))
}

/// A value as it is written when it is joined to text.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        _ => None,
    }
}

impl Signed<'_> {
    /// A checksum that is right, and says nothing of what happened to what.
    fn covers_what_matters(&self) -> Result<(), Rejection> {
        // The object that the event is about: paths elsewhere in `data` would prove nothing of it.
        let object = if self.event == TRANSACTION_UPDATED { "transaction" } else { "" };
        let covers = |path: &str, wanted: &str| {
            path.strip_suffix(wanted).is_some_and(|of| object.is_empty() || of == object)
        };
        for wanted in [".id", ".status"] {
            if !self.properties.iter().any(|path| covers(path, wanted)) {
                return Err(no_match(format!(
                    "the checksum is right, but covers no `{object}{wanted}`: it proves nothing"
                )));
            }
        }
        match self.time.parse().is_ok_and(|time| PLAUSIBLE.contains(&time)) {
            true => Ok(()),
            false => Err(no_match(
                "the checksum is right, but `timestamp` is no time of an event: digits were moved \
                 between it and the amount",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signed(event: &str, paths: [&str; 2]) -> Result<(), Rejection> {
        let time = 1_783_000_000;
        let checksum = hex::encode(Sha256::digest(format!("1APPROVED{time}secret")));
        let body = json!({
            "event": event, "timestamp": time,
            "data": {
                "transaction": { "id": "1", "status": "APPROVED" },
                "note": { "id": "1", "status": "APPROVED" },
            },
            "signature": { "properties": paths, "checksum": checksum },
        });
        let body = serde_json::to_vec(&body).unwrap();
        let now = "2026-07-02T12:00:00Z".parse().unwrap();
        let request = WebhookRequest { body: &body, headers: &[], url: None, now };
        verify(&request, &[SecretString::from("secret")])
    }

    #[test]
    fn what_is_signed_is_the_transaction_itself() {
        let own = ["transaction.id", "transaction.status"];
        let elsewhere = ["note.id", "note.status"];
        assert_eq!(signed("transaction.updated", own), Ok(()));
        let refused = signed("transaction.updated", elsewhere).unwrap_err();
        assert_eq!(refused.code, RejectionCode::NoSignatureMatch);
        assert_eq!(signed("note.updated", elsewhere), Ok(()));
    }
}
