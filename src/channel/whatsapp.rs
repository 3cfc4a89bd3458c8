//! WhatsApp through Meta's Cloud API.
//!
//! Why here: outside the day after a customer's own message only approved templates may go, so a
//! message is a template's name, its language and its variables.
//!
//! What must stay true: a message that may have been taken is [`Delivery::Unknown`] and is never
//! sent again; neither number nor token is ever logged or in an error.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::phone::{meaning, number_of};
use super::{Deliver, Delivery, Envelope};
use crate::core::customer::Channel;
use crate::core::event::Contact;
use crate::gateway::CallError;
use crate::gateway::wire::{self, Answer, Api, BuildError, Timeouts, Words};
use crate::message::whatsapp::{Template, TemplateCall};

/// Meta's own address, with the version that this speaks.
pub const GRAPH: &str = "https://graph.facebook.com/v23.0";

/// No WhatsApp at this number, or one that takes nothing from businesses.
const NOT_ON_WHATSAPP: i64 = 131_026;

/// The customer chose to get no such messages.
const NOT_WANTED: i64 = 131_050;

/// Too many for now: nothing was taken.
const BUSY: [i64; 5] = [4, 80_007, 130_429, 131_048, 131_056];

/// Pages of templates at most: ten thousand templates.
const PAGES: u32 = 40;

/// What of a refusal is told.
const WORDS: Words = Words(&["/error/code", "/error/error_subcode"]);

/// What the channel is made from.
pub struct WhatsappSettings {
    /// The sender.
    pub phone_number_id: String,
    /// The business account, for its templates.
    pub business_account_id: Option<String>,
    /// Signs in.
    pub access_token: SecretString,
    /// Meta's address, where it is not its own.
    pub api_base: Option<String>,
}

/// Delivers through the Cloud API.
pub struct WhatsappChannel {
    api: Api,
    settings: WhatsappSettings,
}

/// A template as Meta knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTemplate {
    /// Its name.
    pub name: String,
    /// Its language: `es_CO`.
    pub language: String,
    /// `APPROVED`, `PENDING`, `REJECTED`, `PAUSED`, `DISABLED`.
    pub status: String,
    /// `UTILITY`, where nobody moved it.
    pub category: String,
}

impl KnownTemplate {
    fn read(value: &Value) -> Self {
        let text =
            |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            language: text("language"),
            status: text("status"),
            category: text("category"),
        }
    }
}

impl WhatsappChannel {
    /// A channel of this sender.
    pub fn new(settings: WhatsappSettings) -> Result<Self, BuildError> {
        let base = settings.api_base.as_deref().unwrap_or(GRAPH);
        Ok(Self { api: Api::new(base, Timeouts::default())?, settings })
    }

    /// The templates that Meta knows of this business.
    pub async fn templates(&self) -> Result<Vec<KnownTemplate>, CallError> {
        let mut known = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let page = self.page_of_templates(after.as_deref()).await?;
            let data = page.pointer("/data").and_then(Value::as_array).cloned();
            known.extend(data.unwrap_or_default().iter().map(KnownTemplate::read));
            // Meta names the next page only where there is one.
            let more = page.pointer("/paging/next").is_some_and(Value::is_string);
            let cursor = page.pointer("/paging/cursors/after").and_then(Value::as_str);
            after = cursor.filter(|_| more).map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        Ok(known)
    }

    async fn page_of_templates(&self, after: Option<&str>) -> Result<Value, CallError> {
        let what = "list the WhatsApp templates";
        let path = [self.account(what)?, "message_templates"];
        let token = self.settings.access_token.expose_secret();
        let mut fields = vec![("fields", "name,language,status,category"), ("limit", "250")];
        fields.extend(after.map(|cursor| ("after", cursor)));
        let request = self.api.get(&path).bearer_auth(token).query(&fields);
        WORDS.object(what, wire::send(request).await)
    }

    /// Hands a template in for approval; Meta's word on it.
    pub async fn submit(&self, template: &Template) -> Result<String, CallError> {
        let what = "submit a WhatsApp template";
        let path = [self.account(what)?, "message_templates"];
        let token = self.settings.access_token.expose_secret();
        let request = self.api.post(&path).bearer_auth(token).json(&as_submitted(template));
        let object = WORDS.object(what, wire::send(request).await)?;
        Ok(object.get("status").and_then(Value::as_str).unwrap_or("PENDING").to_owned())
    }

    fn account(&self, what: &'static str) -> Result<&str, CallError> {
        let why = "set whatsapp.business_account_id in the merchant file".to_owned();
        let account = self.settings.business_account_id.as_deref();
        account.ok_or(CallError::Permanent { what, why })
    }
}

#[async_trait]
impl Deliver for WhatsappChannel {
    fn channel(&self) -> Channel {
        Channel::Whatsapp
    }

    fn reaches(&self, contact: &Contact) -> bool {
        number_of(contact).is_some()
    }

    async fn deliver(&self, envelope: &Envelope) -> Delivery {
        let Some(to) = number_of(&envelope.contact) else {
            return Delivery::Refused { answer: "not a valid phone number".to_owned() };
        };
        let Some(template) = &envelope.rendered.whatsapp else {
            return Delivery::Refused { answer: "there is no template for it".to_owned() };
        };
        let body = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": to.trim_start_matches('+'),
            "type": "template",
            "template": as_sent(template),
            "biz_opaque_callback_data": envelope.reference(),
        });
        let path = [self.settings.phone_number_id.as_str(), "messages"];
        let token = self.settings.access_token.expose_secret();
        let request = self.api.post(&path).bearer_auth(token).json(&body);
        meaning(wire::send(request).await, outcome)
    }
}

/// A template as Meta takes it: positional variables, each with an example.
fn as_submitted(template: &Template) -> Value {
    let mut body = json!({ "type": "BODY", "text": template.body });
    if !template.examples.is_empty() {
        body["example"] = json!({ "body_text": [template.examples] });
    }
    let mut components = vec![body];
    if let Some(button) = &template.button {
        components.push(json!({ "type": "BUTTONS", "buttons": [{
            "type": "URL", "text": button.text, "url": button.url, "example": [button.example],
        }] }));
    }
    json!({
        "name": template.name,
        "language": template.language,
        "category": "UTILITY",
        "parameter_format": "POSITIONAL",
        "components": components,
    })
}

fn as_sent(template: &TemplateCall) -> Value {
    let text = |text: &String| json!({ "type": "text", "text": text });
    let mut components = Vec::new();
    if !template.variables.is_empty() {
        let parameters: Vec<_> = template.variables.iter().map(text).collect();
        components.push(json!({ "type": "body", "parameters": parameters }));
    }
    if let Some(suffix) = &template.button {
        components.push(json!({
            "type": "button", "sub_type": "url", "index": "0", "parameters": [text(suffix)],
        }));
    }
    json!({
        "name": template.name,
        "language": { "policy": "deterministic", "code": template.language },
        "components": components,
    })
}

fn outcome(answer: &Answer) -> Delivery {
    let object = answer.object().unwrap_or_default();
    let code = object.pointer("/error/code").and_then(Value::as_i64).unwrap_or_default();
    let id = object.pointer("/messages/0/id").and_then(Value::as_str).unwrap_or_default();
    let words = WORDS.of(answer);
    match (answer.is_success(), code) {
        (true, _) if id.is_empty() => Delivery::Unknown { answer: words },
        (true, _) => Delivery::Accepted { answer: format!("accepted {id}") },
        (false, NOT_ON_WHATSAPP) => Delivery::Unreachable { answer: words },
        (false, NOT_WANTED) => Delivery::Unwanted { answer: words },
        (false, code) if BUSY.contains(&code) => Delivery::Later { answer: words },
        (false, _) => Delivery::Refused { answer: words },
    }
}
