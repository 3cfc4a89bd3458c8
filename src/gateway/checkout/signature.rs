//! Checkout.com's signature: `Cko-Signature`, HMAC-SHA256 over the raw body, lower-case hex.
//!
//! Why here: the scheme is Checkout.com's own. The key is the text of the signature key that the
//! webhook action of the workflow was given.
//!
//! What must stay true: the raw bytes are signed; there is no time in the scheme, so a replay is
//! known only by the event's id; only lower-case hex, as its documentation makes it.

use secrecy::{ExposeSecret as _, SecretString};

use crate::gateway::signature::{Signed, USUAL_CAUSES, no_match, usual_doubt};
use crate::gateway::{Rejection, RejectionCode, WebhookRequest};

const HEADER: &str = "Cko-Signature";

/// Whether the webhook is authentic, by any of the secrets.
pub(super) fn verify(
    request: &WebhookRequest<'_>,
    secrets: &[SecretString],
) -> Result<(), Rejection> {
    let Some(text) = request.header(HEADER).map(str::trim) else {
        let hint = "no Cko-Signature header: not from Checkout.com, the webhook action has no \
                    signature key, or a proxy dropped it";
        return Err(Rejection::new(RejectionCode::MissingHeader, hint));
    };
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let hint = "the Cko-Signature header is no hexadecimal text";
        return Err(Rejection::new(RejectionCode::MalformedHeader, hint));
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(no_match("the Cko-Signature header is not lower-case hexadecimal"));
    }
    let signature = hex::decode(text).unwrap_or_default();
    let matches = |body: &[u8]| {
        secrets.iter().any(|secret| {
            let key = secret.expose_secret().as_bytes();
            Signed { key, prefix: "" }.matches(body, &signature)
        })
    };
    if matches(request.body) {
        return Ok(());
    }
    let doubt = usual_doubt(request.body, secrets, matches);
    Err(no_match(doubt.unwrap_or(USUAL_CAUSES)))
}
