//! Reads a signed ID token (JWS, RFC 7515), with the keys that its provider publishes (RFC 7517).
//!
//! Why here: what is needed of it is small, and the signatures are verified by `ring`, which we are
//! built on anyway.
//!
//! What must stay true: how a token is verified is said by the key, never by the token alone; what
//! is not signed, or with a secret, is refused; nothing of a token is believed before its
//! signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest token that is read.
const LONGEST: usize = 64 * 1024;

/// The keys that a provider publishes.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::http) struct Keys {
    keys: Vec<Value>,
}

/// One key; what we do not know of is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Key {
    kid: Option<String>,
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum Bad {
    #[error("it is no signed token")]
    Form,
    #[error("its provider has no such key")]
    Key,
    #[error("its signature does not fit")]
    Signature,
}

/// What a token says, if one of these keys has signed it.
pub(in crate::http) fn verify(token: &str, keys: &Keys) -> Result<Map<String, Value>, Bad> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Bad::Form)?;
    let (head, body) = signed.split_once('.').ok_or(Bad::Form)?;
    if token.len() > LONGEST || body.contains('.') {
        return Err(Bad::Form);
    }
    let head: Head = serde_json::from_slice(&decode(head)?).map_err(|_| Bad::Form)?;
    if head.crit.is_some() {
        return Err(Bad::Form);
    }
    let signature = decode(signature)?;
    let known = keys.keys.iter().filter_map(|key| Key::deserialize(key).ok());
    let mut fitting = known.filter(|key| key.fits(&head)).peekable();
    fitting.peek().ok_or(Bad::Key)?;
    if !fitting.any(|key| key.signed(&head.alg, signed.as_bytes(), &signature)) {
        return Err(Bad::Signature);
    }
    serde_json::from_slice(&decode(body)?).map_err(|_| Bad::Form)
}

fn decode(text: &str) -> Result<Vec<u8>, Bad> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Bad::Form)
}

impl Key {
    fn fits(&self, head: &Head) -> bool {
        let same = |known: &Option<String>, said: &str| known.as_deref().is_none_or(|k| k == said);
        same(&self.alg, &head.alg)
            && same(&self.purpose, "sig")
            && (head.kid.is_none() || head.kid == self.kid)
    }

    fn signed(&self, alg: &str, text: &[u8], signature: &[u8]) -> bool {
        self.verify(alg, text, signature).is_some()
    }

    fn verify(&self, alg: &str, text: &[u8], signature: &[u8]) -> Option<()> {
        let curve = |algorithm: &'static dyn VerificationAlgorithm, key: Vec<u8>| {
            UnparsedPublicKey::new(algorithm, key).verify(text, signature).ok()
        };
        let part = |text: &str| decode(text).ok();
        match (self.kty.as_str(), self.crv.as_str(), alg) {
            ("RSA", _, "RS256" | "PS256") => {
                let key = RsaPublicKeyComponents { n: part(&self.n)?, e: part(&self.e)? };
                let algorithm = match alg {
                    "RS256" => &RSA_PKCS1_2048_8192_SHA256,
                    _ => &RSA_PSS_2048_8192_SHA256,
                };
                key.verify(algorithm, text, signature).ok()
            }
            ("EC", "P-256", "ES256") => curve(&ECDSA_P256_SHA256_FIXED, self.point()?),
            ("EC", "P-384", "ES384") => curve(&ECDSA_P384_SHA384_FIXED, self.point()?),
            ("OKP", "Ed25519", "EdDSA") => curve(&ED25519, part(&self.x)?),
            _ => None,
        }
    }

    /// As `ring` takes a point: not compressed.
    fn point(&self) -> Option<Vec<u8>> {
        Some([vec![4], decode(&self.x).ok()?, decode(&self.y).ok()?].concat())
    }
}
