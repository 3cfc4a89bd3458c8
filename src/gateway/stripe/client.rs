//! Talking to Stripe: one signed-in, versioned request, one answer, and what a refusal says.
//!
//! Why here: everything that is the same for all calls. What an answer means for a charge is in
//! `charge`, for a look-up in `look_up`, for the rest in `manage`.
//!
//! What must stay true: every call names [`API_VERSION`]; every call that changes something has an
//! idempotency key; a refusal's text never holds the key, an address or a URL.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble, Words};
use crate::gateway::{CallError, GatewaySettings};

/// The version whose shapes we read, sent with every call: the account's default version, which
/// anybody may move in the dashboard, decides nothing. Older shapes are read too.
pub const API_VERSION: &str = "2025-09-30.clover";

/// Stripe's own address.
const API_BASE: &str = "https://api.stripe.com";

/// What an error of Stripe's tells.
pub(super) const WORDS: Words =
    Words(&["/error/type", "/error/code", "/error/decline_code", "/error/message"]);

/// Fields of a form or a query.
pub(super) type Fields<'a> = &'a [(&'a str, &'a str)];

/// The API of one Stripe account.
#[derive(Debug, Clone)]
pub(super) struct Client {
    api: Api,
    key: SecretString,
}

impl Client {
    pub(super) fn new(settings: &GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let base = settings.api_base.as_deref().unwrap_or(API_BASE);
        Ok(Self {
            api: Api::new(base, timeouts)?.paced(settings, super::profile().requests_per_second),
            key: settings.api_key.clone(),
        })
    }

    /// Reads, whatever the answer.
    pub(super) async fn get(&self, path: &[&str], query: Fields<'_>) -> Result<Answer, Trouble> {
        let mut request = self.api.get(path);
        if !query.is_empty() {
            request = request.query(query);
        }
        self.api.send(self.signed_in(request)).await
    }

    /// Changes something, once for each `key`, whatever the answer.
    pub(super) async fn post(
        &self,
        path: &[&str],
        form: Fields<'_>,
        key: &str,
    ) -> Result<Answer, Trouble> {
        let request = self.api.post(path).header("idempotency-key", key).form(form);
        self.api.send(self.signed_in(request)).await
    }

    /// Reads an object.
    pub(super) async fn read(
        &self,
        what: &'static str,
        path: &[&str],
        query: Fields<'_>,
    ) -> Result<Value, CallError> {
        WORDS.object(what, self.get(path, query).await)
    }

    /// Changes something, once for each `key`, and gives the changed object.
    pub(super) async fn write(
        &self,
        what: &'static str,
        path: &[&str],
        form: Fields<'_>,
        key: &str,
    ) -> Result<Value, CallError> {
        WORDS.object(what, self.post(path, form, key).await)
    }

    /// Ends something. Stripe takes no key here: what has ended answers 404.
    pub(super) async fn delete(&self, path: &[&str]) -> Result<Answer, Trouble> {
        self.api.send(self.signed_in(self.api.delete(path))).await
    }

    fn signed_in(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(self.key.expose_secret()).header("stripe-version", API_VERSION)
    }
}

/// The `error` object of a refusal; `None` when the body is none of Stripe's.
pub(super) fn error_of(answer: &Answer) -> Option<Value> {
    let mut body = answer.object()?;
    body.get_mut("error").map(Value::take).filter(Value::is_object)
}

/// The error's `code`.
pub(super) fn code_of(error: &Value) -> &str {
    error["code"].as_str().unwrap_or_default()
}
