//! Talking to Mercado Pago: one signed-in request, one answer, and what a refusal says.
//!
//! Why here: everything that is the same for all calls. What an answer means for a charge is in
//! `charge`, for a look-up in `look_up`, for the rest in `manage` and `complete`.
//!
//! What must stay true: every call that creates something has an idempotency key; a refusal's text
//! never holds the key, an address or a URL.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble, Words};
use crate::gateway::{CallError, GatewaySettings};

/// Mercado Pago's own address.
const API_BASE: &str = "https://api.mercadopago.com";

/// Its header for idempotency keys.
const KEY_HEADER: &str = "x-idempotency-key";

/// What an error of Mercado Pago's tells.
pub(super) const WORDS: Words =
    Words(&["/error", "/message", "/cause/0/code", "/cause/0/description"]);

/// Fields of a query.
pub(super) type Fields<'a> = &'a [(&'a str, &'a str)];

/// The API of one account.
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
        self.send(request).await
    }

    /// Creates something, once for each `key`, whatever the answer.
    pub(super) async fn post(
        &self,
        path: &[&str],
        body: &Value,
        key: &str,
    ) -> Result<Answer, Trouble> {
        self.send(self.api.post(path).header(KEY_HEADER, key).json(body)).await
    }

    /// Sets fields of something: to set them twice is to set them.
    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<Answer, Trouble> {
        self.send(self.api.put(path).json(body)).await
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

    /// A card token, good for one use, of a card that the customer has saved. The token only names
    /// the card: nothing is charged.
    pub(super) async fn card_token(
        &self,
        customer: &str,
        card: &str,
        key: &str,
    ) -> Result<Answer, Trouble> {
        let body = json!({ "card_id": card, "customer_id": customer });
        self.post(&["v1", "card_tokens"], &body, &format!("{key}-token")).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        self.api.send(request.bearer_auth(self.key.expose_secret())).await
    }
}

/// The results of a search; `None`: the answer is no list.
pub(super) fn results(list: &Value) -> Option<&[Value]> {
    list.get("results")?.as_array().map(Vec::as_slice)
}
