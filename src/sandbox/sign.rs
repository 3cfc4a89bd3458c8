//! Signatures as the senders make them: Stripe's header and Standard Webhooks.
//!
//! Why here: the sandbox, `recoup trigger` and tests sign with this code, which is written apart
//! from the code that verifies. So a mistake in one is seen by the other.
//!
//! What must stay true: the two schemes derive their key differently from the same `whsec_`
//! prefix. Stripe takes the whole text; Standard Webhooks decodes what follows the prefix.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// A secret that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the webhook secret as `whsec_` and base64")]
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
    fn standard_webhooks_decodes_what_follows_the_prefix() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let signature =
            standard_signature("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2Vj", "msg_1", b"{}", at).unwrap();
        assert_eq!(signature, "v1,KE7u5ocDZIyqmKsvpxuUHWTtgVu7C1LQMK6vzhVTbpg=");
        assert!(standard_signature("whsec_%%%", "msg_1", b"{}", at).is_err());
    }
}
