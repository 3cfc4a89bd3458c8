//! Signatures as the senders make them: Stripe's header, Standard Webhooks, Adyen's two.
//!
//! Why here: the sandbox, `recoup trigger` and tests sign with this code, which is written apart
//! from the code that verifies. So a mistake in one is seen by the other.
//!
//! What must stay true: the first two derive their key differently from the same `whsec_`
//! prefix. Stripe takes the whole text; Standard Webhooks decodes what follows the prefix.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

/// A secret that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the webhook secret: `whsec_` and base64, or at Adyen hexadecimal")]
pub struct UnreadableSecret;

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes a key of any length; the error of `new_from_slice` cannot occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The `Stripe-Signature` header of `body`, sent at `at`.
pub fn stripe_signature(secret: &str, body: &[u8], at: Timestamp) -> String {
    let seconds = at.as_second().to_string();
    let digest = mac(secret.as_bytes(), &[seconds.as_bytes(), b".", body]);
    format!("t={seconds},v1={}", hex::encode(digest))
}

/// The `webhook-signature` header of `body` with id `id`, sent at `at`.
pub fn standard_signature(
    secret: &str,
    id: &str,
    body: &[u8],
    at: Timestamp,
) -> Result<String, UnreadableSecret> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(encoded).map_err(|_| UnreadableSecret)?;
    let seconds = at.as_second().to_string();
    let digest = mac(&key, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]);
    Ok(format!("v1,{}", STANDARD.encode(digest)))
}

/// The value of Adyen's `HmacSignature` header over `body`.
pub fn adyen_signature(secret: &str, body: &[u8]) -> Result<String, UnreadableSecret> {
    let key = hex::decode(secret).map_err(|_| UnreadableSecret)?;
    Ok(STANDARD.encode(mac(&key, &[body])))
}

/// A notification of Adyen's with the signature in each item; any other body as it is.
pub fn adyen_notification(secret: &str, body: &str) -> Result<String, UnreadableSecret> {
    let Ok(mut notification) = serde_json::from_str::<Value>(body) else {
        return Ok(body.to_owned());
    };
    let Some(items) = notification.get_mut("notificationItems").and_then(Value::as_array_mut)
    else {
        return Ok(body.to_owned());
    };
    for item in items.iter_mut().filter_map(|item| item.get_mut("NotificationRequestItem")) {
        let signature = adyen_signature(secret, adyen_text(item).as_bytes())?;
        item["additionalData"]["hmacSignature"] = json!(signature);
    }
    Ok(notification.to_string())
}

/// What Adyen signs of an item.
fn adyen_text(item: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let parts = [
        text(&item["pspReference"]),
        text(&item["originalReference"]),
        text(&item["merchantAccountCode"]),
        text(&item["merchantReference"]),
        text(&item["amount"]["value"]),
        text(&item["amount"]["currency"]),
        text(&item["eventCode"]),
        text(&item["success"]),
    ];
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripe_takes_the_whole_secret_as_its_key() {
        // Computed with Python's hmac module.
        assert_eq!(
            stripe_signature("whsec_abc", b"{}", Timestamp::from_second(1_700_000_000).unwrap()),
            "t=1700000000,v1=bad9ac117e973d721c232d46744158d75e3f1b44e36771e13d01b9e6a580bc72"
        );
    }

    #[test]
    fn adyen_signs_eight_fields_of_each_item_with_the_decoded_key() {
        // Computed with Python's hmac module.
        let body = r#"{"notificationItems":[{"NotificationRequestItem":{"pspReference":"P",
            "merchantAccountCode":"M","merchantReference":"R","eventCode":"AUTHORISATION",
            "amount":{"value":10,"currency":"EUR"},"success":"true"}}]}"#;
        let signed = adyen_notification("00FF", body).unwrap();
        assert!(signed.contains("DuMwXuh/H31ikh08u+AWcMjWAaClrb2R039ty+Ig1sE="), "{signed}");
        assert_eq!(adyen_notification("00FF", "{}").unwrap(), "{}");
        assert!(adyen_notification("no hex", body).is_err());
    }

    #[test]
    fn standard_webhooks_decodes_what_follows_the_prefix() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let signature =
            standard_signature("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2Vj", "msg_1", b"{}", at).unwrap();
        assert_eq!(signature, "v1,KE7u5ocDZIyqmKsvpxuUHWTtgVu7C1LQMK6vzhVTbpg=");
        assert!(standard_signature("whsec_%%%", "msg_1", b"{}", at).is_err());
    }
}
