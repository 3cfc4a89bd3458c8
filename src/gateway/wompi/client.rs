//! Talking to Wompi: one signed-in request, one answer, and what a refusal says.
//!
//! Why here: everything that is the same for all calls, the signature of what is sent among it.
//!
//! What must stay true: a refusal's text never holds a key, an address or a URL; a key of the test
//! environment never talks to production.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::core::money::Money;
use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble, Words};
use crate::gateway::{CallError, GatewaySettings};

/// Wompi's own addresses, and how the keys of its test environment begin.
const PRODUCTION: &str = "https://production.wompi.co";
const SANDBOX: &str = "https://sandbox.wompi.co";
const TEST_KEY: &str = "prv_test_";

/// What an error of Wompi's tells.
pub(super) const WORDS: Words = Words(&["/error/type", "/error/reason", "/error/message"]);

/// The API of one merchant.
#[derive(Debug, Clone)]
pub(super) struct Client {
    api: Api,
    key: SecretString,
    integrity: Option<SecretString>,
}

impl Client {
    pub(super) fn new(settings: &GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let is_test = settings.api_key.expose_secret().starts_with(TEST_KEY);
        let own = if is_test { SANDBOX } else { PRODUCTION };
        let base = settings.api_base.as_deref().unwrap_or(own);
        let integrity = settings.integrity_secret.clone();
        Ok(Self {
            api: Api::new(base, timeouts)?.paced(settings, super::profile().requests_per_second),
            key: settings.api_key.clone(),
            integrity,
        })
    }

    /// Reads the object (or list) in an answer's `data`.
    pub(super) async fn read(
        &self,
        what: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, CallError> {
        let mut request = self.api.get(path);
        if !query.is_empty() {
            request = request.query(query);
        }
        data_of(what, self.send(request).await)
    }

    /// Creates something, whatever the answer.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, Trouble> {
        self.send(self.api.post(path).json(body)).await
    }

    /// The signature of a transaction that is sent, where the merchant has a secret for it.
    pub(super) fn integrity(&self, reference: &str, amount: Money) -> Option<String> {
        let secret = self.integrity.as_ref()?.expose_secret();
        Some(integrity(reference, amount, secret))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        self.api.send(request.bearer_auth(self.key.expose_secret())).await
    }
}

/// What stands in the `data` of a successful answer.
pub(super) fn data_of(
    what: &'static str,
    sent: Result<Answer, Trouble>,
) -> Result<Value, CallError> {
    let mut object = WORDS.object(what, sent)?;
    let data = object.get_mut("data").map(Value::take).filter(|d| d.is_object() || d.is_array());
    let why = "the answer has no `data`".to_owned();
    data.ok_or(CallError::Transient { what, why })
}

fn integrity(reference: &str, amount: Money, secret: &str) -> String {
    let signed = format!("{reference}{}{}{secret}", amount.minor, amount.currency);
    hex::encode(Sha256::digest(signed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_check_value() {
        let amount = Money::new(2_490_000, "COP".parse().unwrap());
        let secret = "prod_integrity_Z5mMke9x0k8gpErbDqwrJXMqsI6SFli6";
        assert_eq!(
            integrity("sk8-438k4-xmxm392-sn2m", amount, secret),
            "37c8407747e595535433ef8f6a811d853cd943046624a0ec04662b17bbf33bf5"
        );
    }
}
