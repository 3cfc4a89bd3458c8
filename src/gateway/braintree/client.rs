//! Talking to Braintree: one signed-in request, one answer, and what a refusal says.
//!
//! Why here: everything that is the same for all calls. Requests are JSON and answers XML, as
//! Braintree's own Node library has it: its API takes either, and only XML is sure in answers.
//!
//! What must stay true: every call names [`API_VERSION`]; a body that is not Braintree's XML is no
//! object; no text that leaves here holds a key.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::xml;
use crate::gateway::wire::{Answer, Api, BuildError, Timeouts, Trouble, Words};
use crate::gateway::{CallError, GatewaySettings};

/// The version whose shapes we read; Braintree's libraries send the same.
const API_VERSION: &str = "6";

/// Production. The sandbox is `https://api.sandbox.braintreegateway.com`.
const API_BASE: &str = "https://api.braintreegateway.com";

/// What a refusal of Braintree's tells: its message holds those of all its errors.
pub(super) const WORDS: Words = Words(&["/api_error_response/message"]);

/// The API of one Braintree merchant.
#[derive(Debug, Clone)]
pub(super) struct Client {
    api: Api,
    merchant: String,
    public: SecretString,
    private: SecretString,
}

impl Client {
    pub(super) fn new(settings: &GatewaySettings, timeouts: Timeouts) -> Result<Self, BuildError> {
        let base = settings.api_base.as_deref().unwrap_or(API_BASE);
        Ok(Self {
            api: Api::new(base, timeouts)?.paced(settings, super::profile().requests_per_second),
            merchant: settings.account.clone().unwrap_or_default(),
            public: settings.public_key.clone().unwrap_or_default(),
            private: settings.api_key.clone(),
        })
    }

    /// Reads, whatever the answer.
    pub(super) async fn get(&self, path: &[&str]) -> Result<Answer, Trouble> {
        self.send(self.api.get(&self.path(path))).await
    }

    /// Reads the first page of a list, whatever the answer.
    pub(super) async fn first_page(&self, path: &[&str]) -> Result<Answer, Trouble> {
        self.send(self.api.get(&self.path(path)).query(&[("page", "1")])).await
    }

    /// Creates or searches, whatever the answer.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, Trouble> {
        self.send(self.api.post(&self.path(path)).json(body)).await
    }

    /// Changes something, whatever the answer.
    pub(super) async fn put(&self, path: &[&str], body: &Value) -> Result<Answer, Trouble> {
        self.send(self.api.put(&self.path(path)).json(body)).await
    }

    /// Asks for an action that takes no fields, whatever the answer.
    pub(super) async fn act(&self, path: &[&str]) -> Result<Answer, Trouble> {
        self.send(self.api.put(&self.path(path)).body("")).await
    }

    /// The object of this name in an answer that went through.
    pub(super) fn object(
        what: &'static str,
        name: &str,
        sent: Result<Answer, Trouble>,
    ) -> Result<Value, CallError> {
        let mut body = WORDS.object(what, sent)?;
        let object = body.get_mut(name).map(Value::take);
        object.ok_or_else(|| CallError::Transient { what, why: format!("no {name} in the answer") })
    }

    fn path<'a>(&'a self, path: &[&'a str]) -> Vec<&'a str> {
        let merchant: [&str; 2] = ["merchants", &self.merchant];
        merchant.into_iter().chain(path.iter().copied()).collect()
    }

    /// The answer's XML becomes JSON of the same shape, so that all that reads answers reads these.
    async fn send(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let request = request
            .basic_auth(self.public.expose_secret(), Some(self.private.expose_secret()))
            .header("x-apiversion", API_VERSION)
            .header("accept", "application/xml");
        let mut answer = self.api.send(request).await?;
        let read = std::str::from_utf8(&answer.body).ok().and_then(xml::read);
        answer.body = read.map(|value| value.to_string().into_bytes()).unwrap_or_default();
        Ok(answer)
    }
}

/// Whether a refusal names one of these validation errors, wherever it stands.
pub(super) fn names_error(answer: &Answer, codes: &[&str]) -> bool {
    let body = answer.object().unwrap_or_default();
    body.pointer("/api_error_response/errors").is_some_and(|errors| has_code(errors, codes))
}

/// Not deep: the XML was not.
fn has_code(errors: &Value, codes: &[&str]) -> bool {
    match errors {
        Value::Object(fields) => {
            let own = fields.get("code").and_then(Value::as_str);
            own.is_some_and(|code| codes.contains(&code.trim()))
                || fields.values().any(|field| has_code(field, codes))
        }
        Value::Array(items) => items.iter().any(|item| has_code(item, codes)),
        _ => false,
    }
}
