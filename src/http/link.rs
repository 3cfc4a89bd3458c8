//! Card-update links: the token in `{public_url}/pay/{token}`.
//!
//! Why here: the token names its case and proves that we made it, so nothing is stored for it and
//! it outlives the case. 128 bits of HMAC-SHA256 under a key that only the store holds.
//!
//! What must stay true: a token opens one case; a wrong one costs the same time as a right one;
//! tokens are never logged. Links are in customers' mailboxes: the format is a contract.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::core::ids::CaseId;
use crate::gateway::signature::is_same;

/// Bytes of the digest in a case's id.
const ID: usize = 10;

/// Longest token that is looked at: a longer one is none.
pub(super) const MAX_TOKEN: usize = 64;

/// Bytes of the signature.
const SIGNATURE: usize = 16;

/// The token that opens `case`.
pub fn token_for(key: &[u8; 32], case: &CaseId) -> String {
    let digits = case.as_str().strip_prefix("case_").unwrap_or_default();
    let mut bytes = hex::decode(digits).unwrap_or_default();
    bytes.extend_from_slice(&signature(key, case));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The case that `token` opens; `None` when we did not make it.
pub fn case_of(key: &[u8; 32], token: &str) -> Option<CaseId> {
    // A token of the wrong form is compared too, so that it takes the same time.
    let token = if token.len() <= MAX_TOKEN { token } else { "" };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|b| b.len() == ID + SIGNATURE);
    let bytes = bytes.unwrap_or_else(|| vec![0; ID + SIGNATURE]);
    let (digest, claimed) = bytes.split_at(ID);
    let case = CaseId(format!("case_{}", hex::encode(digest)));
    is_same(&signature(key, &case), claimed).then_some(case)
}

/// The link to the hosted page of `case`.
pub fn url(public_url: &str, key: &[u8; 32], case: &CaseId) -> String {
    format!("{}/pay/{}", public_url.trim_end_matches('/'), token_for(key, case))
}

/// Where a `POST` stops the reminders of `case`: the one-click link of its mails.
pub fn unsubscribe_url(public_url: &str, key: &[u8; 32], case: &CaseId) -> String {
    format!("{}/unsubscribe/{}", public_url.trim_end_matches('/'), token_for(key, case))
}

fn signature(key: &[u8; 32], case: &CaseId) -> [u8; SIGNATURE] {
    let full = sign(key, &format!("pay:{}", case.as_str()));
    let mut short = [0; SIGNATURE];
    short.copy_from_slice(&full[..SIGNATURE]);
    short
}

/// HMAC-SHA256 over `text`.
pub(super) fn sign(key: &[u8], text: &str) -> [u8; 32] {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::GatewayId;

    const KEY: [u8; 32] = [7; 32];

    fn case(invoice: &str) -> CaseId {
        CaseId::of(&GatewayId::from("stripe"), invoice)
    }

    #[test]
    fn a_token_opens_its_case_and_no_other() {
        let token = token_for(&KEY, &case("in_1"));
        assert_eq!(case_of(&KEY, &token), Some(case("in_1")));
        assert_ne!(token, token_for(&KEY, &case("in_2")));
        assert_eq!(case_of(&[8; 32], &token), None, "another key");
        // A golden value: links are in customers' mailboxes.
        assert_eq!(token.len(), 35);
    }

    #[test]
    fn every_changed_or_cut_token_is_refused() {
        let token = token_for(&KEY, &case("in_1"));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(case_of(&KEY, &URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(case_of(&KEY, &URL_SAFE_NO_PAD.encode(&bytes[..length])), None);
        }
        // The signature of one case on the id of another.
        let other = URL_SAFE_NO_PAD.decode(token_for(&KEY, &case("in_2"))).unwrap();
        let mixed = [&bytes[..ID], &other[ID..]].concat();
        assert_eq!(case_of(&KEY, &URL_SAFE_NO_PAD.encode(mixed)), None);
        for text in ["", "x", "%", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(case_of(&KEY, text), None);
        }
    }
}
