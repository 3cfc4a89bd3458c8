//! Talking to Adyen's Checkout API: one signed-in request, one answer.
//!
//! Why here: everything that is the same for all calls. What an answer means for a charge is in
//! `charge`, the rest in `manage`.
//!
//! What must stay true: every call that changes something has an idempotency key, which Adyen reads
//! to 64 characters; the merchant's account stands in every body.

use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::gateway::GatewaySettings;
use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble, Words};

/// The version whose fields are sent and read.
const VERSION: &str = "v72";
/// Adyen's test environment. The live one has an address of each merchant's own.
const API_BASE: &str = "https://checkout-test.adyen.com";
/// The longest key that Adyen takes.
const KEY_MAX: usize = 64;

/// What an error of Adyen's tells.
pub(super) const WORDS: Words = Words(&["/errorType", "/errorCode", "/message"]);

/// The API of one merchant account.
#[derive(Debug, Clone)]
pub(super) struct Client {
    api: Api,
    key: SecretString,
    pub(super) account: String,
}

impl Client {
    pub(super) fn new(settings: &GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let base = versioned(settings.api_base.as_deref().unwrap_or(API_BASE));
        Ok(Self {
            api: Api::new(&base, timeouts)?.paced(settings, super::profile().requests_per_second),
            key: settings.api_key.clone(),
            account: settings.account.clone().unwrap_or_default(),
        })
    }

    /// Changes something, once for each `key`, whatever the answer.
    pub(super) async fn post(
        &self,
        path: &[&str],
        body: Value,
        key: &str,
    ) -> Result<Answer, Trouble> {
        let request = self.api.post(path).header("idempotency-key", short(key));
        self.send(request.json(&self.with_account(body))).await
    }

    /// Asks something. Adyen has reads that are posted; they change nothing and have no key.
    pub(super) async fn ask(&self, path: &[&str], body: Value) -> Result<Answer, Trouble> {
        self.send(self.api.post(path).json(&self.with_account(body))).await
    }

    fn with_account(&self, mut body: Value) -> Value {
        if let Value::Object(fields) = &mut body {
            fields.insert("merchantAccount".to_owned(), json!(self.account));
        }
        body
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        self.api.send(request.header("x-api-key", self.key.expose_secret())).await
    }
}

/// The address with the version, unless it has one. Live addresses have `/checkout` before it.
fn versioned(base: &str) -> String {
    let plain = base.trim_end_matches('/');
    let last = plain.rsplit('/').next().unwrap_or_default();
    let version = last.strip_prefix('v').unwrap_or_default();
    if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) {
        return plain.to_owned();
    }
    let live = Url::parse(plain).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        host.ends_with("-checkout-live.adyenpayments.com") && url.path() == "/"
    });
    format!("{plain}{}/{VERSION}", if live { "/checkout" } else { "" })
}

/// A key that Adyen takes: itself, else its digest.
fn short(key: &str) -> String {
    if key.len() <= KEY_MAX {
        return key.to_owned();
    }
    hex::encode(Sha256::digest(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_appended_once() {
        let live = "https://prefix-checkout-live.adyenpayments.com";
        for (given, called) in [
            (API_BASE, "https://checkout-test.adyen.com/v72".to_owned()),
            ("https://checkout-test.adyen.com/v71/", "https://checkout-test.adyen.com/v71".into()),
            ("http://127.0.0.1:9000/adyen", "http://127.0.0.1:9000/adyen/v72".into()),
            ("http://127.0.0.1:9000/vault", "http://127.0.0.1:9000/vault/v72".into()),
            (live, format!("{live}/checkout/v72")),
            (&format!("{live}/checkout"), format!("{live}/checkout/v72")),
        ] {
            assert_eq!(versioned(given), called);
        }
    }

    #[test]
    fn a_long_key_is_shortened_always_in_the_same_way() {
        assert_eq!(short("recoup-att_1"), "recoup-att_1");
        let long = "recoup-page-".repeat(9);
        assert_eq!(short(&long), short(&long));
        assert_eq!(short(&long).len(), KEY_MAX);
        assert_ne!(short(&long), short(&format!("{long}x")));
    }
}
