//! Signatures of webhooks: what the schemes have in common.
//!
//! Why here: HMAC, the tolerance of the clock and the choice of the reason are the same for every
//! gateway; only the header and what is signed differ. What providers of messages report is
//! verified by the same pieces.
//!
//! What must stay true: the raw bytes are signed, never parsed ones; comparison takes constant
//! time; time is judged only after a signature matched, so that a forger learns nothing from it; an
//! empty key never matches; no hint holds a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::{Rejection, RejectionCode};

/// How far a sender's clock may be from ours, both ways; exactly this far is still accepted.
pub const TOLERANCE_S: i64 = 300;

/// One way to have signed: the key, and what is signed before the body.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The key's bytes.
    pub(super) key: &'a [u8],
    /// What stands before the body, e.g. `1760000000.`.
    pub(super) prefix: &'a str,
}

impl Signed<'_> {
    /// Whether `signature` is the HMAC-SHA256 of prefix and body. Constant time.
    pub(super) fn matches(self, body: &[u8], signature: &[u8]) -> bool {
        is_mac::<Hmac<Sha256>>(self.key, &[self.prefix.as_bytes(), body], signature)
    }

    /// Whether any of the signatures is right.
    pub(super) fn matches_any(self, body: &[u8], signatures: &[Vec<u8>]) -> bool {
        signatures.iter().any(|signature| self.matches(body, signature))
    }
}

/// Whether `signature` is the MAC of `parts` under `key`. Constant time; no empty key matches.
pub(crate) fn is_mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    if key.is_empty() {
        return false;
    }
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(signature).is_ok()
}

/// The `webhook-signature` of the Standard Webhooks scheme, over `{id}.{timestamp}.{body}`. A
/// secret that is no base64 is its own bytes.
pub(crate) fn sign_standard(secret: &SecretString, (id, at): (&str, i64), body: &str) -> String {
    let key = standard_key(secret);
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&key) else { return String::new() };
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The bytes of a Standard Webhooks secret.
pub(crate) fn standard_key(secret: &SecretString) -> Zeroizing<Vec<u8>> {
    let secret = secret.expose_secret();
    let bare = secret.strip_prefix("whsec_").unwrap_or(secret);
    Zeroizing::new(STANDARD.decode(bare).unwrap_or_else(|_| secret.as_bytes().to_vec()))
}

/// Whether two digests are the same, in constant time for one length.
pub(crate) fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// The texts of the secrets.
pub(crate) fn texts(secrets: &[SecretString]) -> impl Iterator<Item = &str> {
    secrets.iter().map(|secret| secret.expose_secret())
}

/// What usually causes that nothing matched: a changed body, a wrong secret, else the usual.
pub(super) fn usual_doubt(
    body: &[u8],
    secrets: &[SecretString],
    matches: impl Fn(&[u8]) -> bool,
) -> Option<&'static str> {
    alteration(body, matches).or_else(|| texts(secrets).find_map(doubt_about))
}

/// A time in a header: seconds, digits only.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether a matching signature is from now.
pub(super) fn check_time(signed_at: i64, now: Timestamp) -> Result<(), Rejection> {
    let age = now.as_second().saturating_sub(signed_at);
    if age > TOLERANCE_S {
        let hint = format!(
            "the signature is right, but {age} seconds old (at most {TOLERANCE_S}): a replay, a \
             slow queue in between, or a fast clock; for a stored webhook give the time with --now"
        );
        return Err(Rejection::new(RejectionCode::TimestampTooOld, hint));
    }
    if age < -TOLERANCE_S {
        let ahead = age.saturating_neg();
        let hint = format!(
            "the signature is right, but from {ahead} seconds in the future (at most \
             {TOLERANCE_S}): the clock here is slow, or the sender signs in milliseconds"
        );
        return Err(Rejection::new(RejectionCode::TimestampInFuture, hint));
    }
    Ok(())
}

/// What was done to a body whose signature would match otherwise; `None`: it is not that.
///
/// `matches` says whether a body has a right signature. Only for the hint: such a body is still
/// refused.
fn alteration(body: &[u8], matches: impl Fn(&[u8]) -> bool) -> Option<&'static str> {
    if let Some(shorter) = body.strip_suffix(b"\n")
        && (matches(shorter) || shorter.strip_suffix(b"\r").is_some_and(&matches))
    {
        return Some(
            "the body has a line end that was not sent (an editor or `echo` added it): without it \
             the signature matches",
        );
    }
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let compact = serde_json::to_vec(&value).ok()?;
    let pretty = serde_json::to_vec_pretty(&value).ok()?;
    (matches(&compact) || matches(&pretty)).then_some(
        "the body was parsed and written again before verification: with other spacing the \
         signature matches. Verify the raw bytes as they arrived, before any JSON middleware",
    )
}

/// What is wrong with a secret at first sight; never the secret itself.
fn doubt_about(secret: &str) -> Option<&'static str> {
    const API_KEYS: [&str; 5] = ["sk_", "rk_", "pk_", "Bearer ", "sk-"];
    if API_KEYS.iter().any(|prefix| secret.trim_start().starts_with(prefix)) {
        return Some(
            "a given secret is an API key; the signing secret of the webhook endpoint is needed",
        );
    }
    if secret.trim() != secret {
        return Some("a given secret has a space or a line end around it");
    }
    None
}

/// The refusal when nothing matched.
pub(super) fn no_match(hint: impl Into<String>) -> Rejection {
    Rejection::new(RejectionCode::NoSignatureMatch, hint)
}

/// What to look at when there is no better hint.
pub(super) const USUAL_CAUSES: &str = "no signature matches: another endpoint's secret (each \
     endpoint has its own; test, live and command-line ones differ), or the body was changed on \
     the way (parsed before verification, another encoding, a proxy)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answer_of_rfc_4231() {
        let expected =
            hex::decode("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
                .unwrap();
        let signed = Signed { key: b"Jefe", prefix: "what do ya want " };
        assert!(signed.matches(b"for nothing?", &expected));
        assert!(!signed.matches(b"for nothing!", &expected));
        assert!(!signed.matches(b"for nothing?", &expected[..31]));
        assert!(!signed.matches(b"for nothing?", &[]));
    }

    #[test]
    fn an_empty_key_never_matches() {
        let signature =
            hex::decode("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
                .unwrap();
        assert!(!Signed { key: b"", prefix: "" }.matches(b"", &signature));
    }

    #[test]
    fn time_is_taken_to_the_second_both_ways() {
        let now = Timestamp::from_second(1_760_000_000).unwrap();
        for (signed_at, code) in [
            (1_760_000_000 - 300, None),
            (1_760_000_000 + 300, None),
            (1_760_000_000 - 301, Some(RejectionCode::TimestampTooOld)),
            (1_760_000_000 + 301, Some(RejectionCode::TimestampInFuture)),
            (0, Some(RejectionCode::TimestampTooOld)),
            (i64::MAX, Some(RejectionCode::TimestampInFuture)),
        ] {
            assert_eq!(check_time(signed_at, now).err().map(|r| r.code), code, "{signed_at}");
        }
    }

    #[test]
    fn a_time_is_digits_only() {
        assert_eq!(unix_seconds("1760000000"), Some(1_760_000_000));
        for bad in ["", "-1", "+1", "1.5", "1e9", " 1", "0x1", "99999999999999999999", "١"] {
            assert_eq!(unix_seconds(bad), None, "{bad}");
        }
    }
}
