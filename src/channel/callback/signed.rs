//! What the providers' signatures have in common.
//!
//! What must stay true: comparison takes constant time; no empty key matches.

use crate::gateway::signature;
pub(super) use crate::gateway::signature::{is_mac, texts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes from base64; none from anything else.
pub(super) fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text.trim()).unwrap_or_default()
}

/// Whether `given` is `wanted`, in constant time for one length; nothing is an empty word.
pub(super) fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    !wanted.is_empty() && signature::is_same(given, wanted)
}
