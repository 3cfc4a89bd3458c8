//! What the providers' signatures have in common.
//!
//! What must stay true: comparison takes constant time; no empty key matches.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretString};

/// Whether `signature` is the MAC of `parts` under `key`.
pub(super) fn is_mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    if key.is_empty() {
        return false;
    }
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(signature).is_ok()
}

/// Bytes from base64; none from anything else.
pub(super) fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text.trim()).unwrap_or_default()
}

/// Whether `given` is `wanted`, in constant time for one length.
pub(super) fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    !wanted.is_empty()
        && given.len() == wanted.len()
        && given.iter().zip(wanted).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// The texts of the secrets.
pub(super) fn texts(secrets: &[SecretString]) -> impl Iterator<Item = &str> {
    secrets.iter().map(|secret| secret.expose_secret())
}
