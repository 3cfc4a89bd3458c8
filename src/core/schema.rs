//! What the types that are shown look like, as JSON Schema.
//!
//! Why here: the API's description is made from the very types that are serialized. `shown!`
//! writes a structure's serialization and its schema from one text, so the two cannot part.
//!
//! What must stay true: every field that is serialized is in the schema, and is always there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::case::news::News;
use super::case::{AttemptOutcome, Next, RecoveredBy, State};
use super::customer::Channel;
use super::decline::{Advice, Category};
use super::event::NativeRetry;
use super::ids::{AttemptId, CaseId, EffectId, GatewayId, MessageId};
use super::ledger::{Decision, EntryKind};
use super::money::Money;
use super::policy::MessageKind;
use super::trial::Arm;

/// The schemas that have a name.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<&'static str, Value>);

impl Schemas {
    /// A reference to the schema of this name, made when it is first asked for.
    pub fn named(&mut self, name: &'static str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            let schema = make(self);
            self.0.insert(name, schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All of them, by their names.
    pub fn into_json(self) -> Value {
        json!(self.0)
    }
}

/// A type that says what it looks like when it is serialized.
pub trait Described {
    /// Its schema.
    fn schema(all: &mut Schemas) -> Value;
}

/// An object of which every field is always there.
pub fn object(doc: &str, fields: Vec<(&str, &str, Value)>) -> Value {
    let mut properties = serde_json::Map::new();
    for (name, doc, mut schema) in fields {
        if schema.get("$ref").is_none() {
            schema["description"] = json!(doc.trim());
        }
        properties.insert(name.trim_start_matches("r#").to_owned(), schema);
    }
    let required: Vec<_> = properties.keys().cloned().collect();
    json!({
        "type": "object",
        "description": doc.trim(),
        "properties": properties,
        "required": required,
    })
}

/// A page of a list.
pub fn list<T: Described>(all: &mut Schemas) -> Value {
    let data = <Vec<T> as Described>::schema(all);
    object("A page of a list.", vec![("data", "The rows.", data), has_more()])
}

fn has_more() -> (&'static str, &'static str, Value) {
    ("has_more", "Whether there are more behind the last.", json!({ "type": "boolean" }))
}

/// Defines structures with their serialization and their schema.
macro_rules! shown {
    ($(
        $(#[doc = $doc:literal])*
        as $name:literal $ty:ident $(<$life:lifetime>)? {
            $($(#[doc = $about:literal])* $field:ident: $of:ty),* $(,)?
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, serde::Serialize)]
        pub struct $ty $(<$life>)? {
            $($(#[doc = $about])* pub $field: $of),*
        }

        impl $(<$life>)? $crate::core::schema::Described for $ty $(<$life>)? {
            fn schema(all: &mut $crate::core::schema::Schemas) -> serde_json::Value {
                all.named($name, |all| {
                    let fields = vec![$((
                        stringify!($field),
                        concat!($($about),*),
                        <$of as $crate::core::schema::Described>::schema(all),
                    )),*];
                    $crate::core::schema::object(concat!($($doc),*), fields)
                })
            }
        }
    )*};
}
pub(crate) use shown;

/// Describes enums by their variants. A variant that is left out does not compile.
macro_rules! one_of {
    ($($name:literal $ty:ident { $($variant:ident),* $(,)? })*) => {$(
        impl $crate::core::schema::Described for $ty {
            fn schema(all: &mut $crate::core::schema::Schemas) -> serde_json::Value {
                const _: fn($ty) = |one| match one { $($ty::$variant => {})* };
                let all_of_it = serde_json::json!([$($ty::$variant),*]);
                all.named($name, |_| {
                    serde_json::json!({ "type": "string", "enum": all_of_it })
                })
            }
        }
    )*};
}
pub(crate) use one_of;

macro_rules! plain {
    ($($ty:ty => $schema:tt)*) => {$(
        impl Described for $ty {
            fn schema(_: &mut Schemas) -> Value {
                json!($schema)
            }
        }
    )*};
}

plain! {
    bool => { "type": "boolean" }
    u16 => { "type": "integer", "minimum": 0, "maximum": 65535 }
    u32 => { "type": "integer", "minimum": 0 }
    u64 => { "type": "integer", "minimum": 0 }
    String => { "type": "string" }
    str => { "type": "string" }
    Timestamp => { "type": "string", "format": "date-time" }
    AttemptId => { "type": "string", "pattern": "^att_" }
    CaseId => { "type": "string", "pattern": "^case_" }
    EffectId => { "type": "string", "pattern": "^eff_" }
    GatewayId => { "type": "string" }
    MessageId => { "type": "string", "pattern": "^msg_" }
    Value => {}
}

impl<T: Described + ?Sized> Described for &T {
    fn schema(all: &mut Schemas) -> Value {
        T::schema(all)
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema(all: &mut Schemas) -> Value {
        json!({ "type": "array", "items": T::schema(all) })
    }
}

impl<T: Described> Described for [T] {
    fn schema(all: &mut Schemas) -> Value {
        Vec::<T>::schema(all)
    }
}

impl<T: Described> Described for Option<T> {
    fn schema(all: &mut Schemas) -> Value {
        let mut schema = T::schema(all);
        match schema.get("type").cloned() {
            Some(kind) => {
                schema["type"] = json!([kind, "null"]);
                schema
            }
            None => json!({ "anyOf": [schema, { "type": "null" }] }),
        }
    }
}

impl Described for Money {
    fn schema(all: &mut Schemas) -> Value {
        all.named("Money", |all| {
            let fields = vec![
                ("minor", "Minor units: 2900 USD is $29.00.", json!({ "type": "integer" })),
                ("currency", "ISO 4217, upper case.", String::schema(all)),
                ("exponent", "The currency's decimals: USD 2, JPY 0.", u32::schema(all)),
            ];
            object("An amount in minor units of its currency.", fields)
        })
    }
}

impl Described for Next {
    fn schema(all: &mut Schemas) -> Value {
        all.named("Next", |all| {
            let fields = vec![
                ("at", "When.", Option::<Timestamp>::schema(all)),
                ("what", "What: attempt, look_up, reminder, wait …", String::schema(all)),
                ("why", "Why, in one plain sentence.", String::schema(all)),
            ];
            object("The next step.", fields)
        })
    }
}

impl Described for Decision {
    fn schema(all: &mut Schemas) -> Value {
        all.named("Decision", |all| {
            let fields = vec![
                ("what", "What was decided.", String::schema(all)),
                ("at", "When it is to happen.", Option::<Timestamp>::schema(all)),
                ("via", "Through which gateway or channel.", Option::<String>::schema(all)),
                ("why", "Why, in one plain sentence.", String::schema(all)),
            ];
            let mut schema = object("A decision with its reason.", fields);
            schema["properties"]["considered"] = json!({
                "type": "array",
                "description": "What else was possible, and why it was not taken.",
                "items": {
                    "type": "object",
                    "properties": {
                        "text": { "type": "string" },
                        "gateway": { "type": "string" },
                        "p": { "type": "number", "minimum": 0, "maximum": 1 },
                        "value": Money::schema(all),
                        "left": { "type": "integer", "minimum": 0 },
                        "propensity": { "type": "number", "minimum": 0, "maximum": 1 },
                        "why_not": { "type": "string" },
                    },
                    "required": ["text"],
                },
            });
            schema
        })
    }
}

one_of! {
    "CaseState" State {
        Monitoring, Scheduled, Attempting, AwaitingOutcome, AwaitingCustomer, Paused, Recovered,
        Exhausted, Stopped,
    }
    "RecoveredBy" RecoveredBy { Retry, OtherGateway, CardUpdate, Elsewhere }
    "AttemptOutcome" AttemptOutcome { Approved, Declined, Error, Unknown, Withheld }
    "NativeRetry" NativeRetry { None, Planned }
    "Channel" Channel { Email, Sms, Whatsapp }
    "MessageKind" MessageKind { PaymentFailed, CardUpdate, ConfirmBank, LastNotice, Recovered }
    "Arm" Arm { Holdout, Smart }
    "Advice" Advice {
        Authenticate, CheckStatus, Never, None, RetryAfter, UpdateCredentials,
    }
    "Category" Category {
        AccountClosed, AuthenticationRequired, ConsentRevoked, CredentialOutdated, FraudSuspected,
        GatewayRiskBlock, GenericDecline, InsufficientFunds, InvalidCardData, IssuerUnavailable,
        LimitExceeded, LostOrStolen, MerchantError, NotADecline, NotPermitted, OutcomeUnknown,
        ProcessingError, Unknown,
    }
    "EventType" News {
        CaseOpened, AttemptScheduled, AttemptFailed, MessageSent, MessageFailed, LinkOpened,
        CardUpdated, BannerChanged, CaseRecovered, CaseExhausted, CaseStopped,
    }
    "EntryKind" EntryKind {
        Acted, AttemptSent, AttemptOutcome, Decided, Ended, Event, Flagged, Message, Opened, Person,
    }
}
