//! Reads queries and bodies, and says exactly which part does not fit.
//!
//! Why here: a program that sends a misspelled field must hear of it, not lose it.
//!
//! What must stay true: every problem names its field by a JSON pointer.

use std::collections::BTreeMap;

use axum::extract::RawQuery;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::http::Problem;
use crate::http::problem::FieldError;

/// Rows of a list, where the request does not say.
const DEFAULT_LIMIT: usize = 20;

/// Rows of a list at most.
const MAX_LIMIT: usize = 100;

/// A query with the parameters that a route knows.
pub(in crate::http) struct Query(BTreeMap<String, String>);

impl Query {
    /// Refuses parameters that the route does not know, or that are there twice.
    pub(in crate::http) fn read(RawQuery(raw): RawQuery, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let detail = format!("unknown parameter; there are: {}", known.join(", "));
                return Err(Problem::query(&name, detail));
            }
            if value.is_empty() {
                return Err(Problem::query(&name, "it is empty: leave it out"));
            }
            if parameters.insert(name.to_string(), value.to_string()).is_some() {
                return Err(Problem::query(&name, "it is there twice"));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter.
    pub(in crate::http) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that is a time.
    pub(in crate::http) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let wrong = || Problem::query(name, "it must be a time, e.g. 2030-01-31T09:00:00Z");
        self.get(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    /// `limit`.
    pub(in crate::http) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.0.get("limit") else { return Ok(DEFAULT_LIMIT) };
        match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
            _ => Err(Problem::query("limit", format!("it must be from 1 to {MAX_LIMIT}"))),
        }
    }
}

/// Reads a body as JSON; an empty one is an empty object.
pub(in crate::http) fn json(body: &[u8]) -> Result<Value, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|why| {
        Problem::malformed_json(format!(
            "the body is not JSON: line {}, column {}",
            why.line(),
            why.column()
        ))
    })
}

/// Refuses a body: the route takes none but an empty object.
pub(super) fn nothing(body: &[u8]) -> Result<(), Problem> {
    let mut errors = Vec::new();
    Fields::of(json(body)?, String::new(), &[], &mut errors);
    checked((), errors)
}

/// The fields of one JSON object; what is wrong is collected.
pub(in crate::http) struct Fields<'a> {
    object: Map<String, Value>,
    pointer: String,
    errors: &'a mut Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// The object at `pointer`, which may have the `known` fields.
    pub(in crate::http) fn of(
        value: Value,
        pointer: String,
        known: &[&str],
        errors: &'a mut Vec<FieldError>,
    ) -> Self {
        let object = match value {
            Value::Object(object) => object,
            _ => {
                let detail = "it must be an object".to_owned();
                errors.push(FieldError { pointer: pointer.clone(), detail });
                Map::new()
            }
        };
        let mut fields = Self { object, pointer, errors };
        let names: Vec<_> = fields.object.keys().cloned().collect();
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            fields.wrong(
                name,
                match known {
                    [] => "there are no fields here".to_owned(),
                    known => format!("unknown field; there are: {}", known.join(", ")),
                },
            );
        }
        fields
    }

    /// Notes what is wrong with a field.
    pub(in crate::http) fn wrong(&mut self, name: &str, detail: impl Into<String>) {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{escaped}", self.pointer);
        self.errors.push(FieldError { pointer, detail: detail.into() });
    }

    /// A field's value; null is absent.
    pub(in crate::http) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// A text that passes `check`.
    pub(in crate::http) fn text(
        &mut self,
        name: &str,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => match check(&text) {
                Ok(()) => Some(text),
                Err(detail) => {
                    self.wrong(name, detail);
                    None
                }
            },
            _ => {
                self.wrong(name, "it must be text");
                None
            }
        }
    }

    /// A text that must be there.
    pub(in crate::http) fn required_text(
        &mut self,
        name: &str,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Option<String> {
        if self.object.get(name).is_none_or(Value::is_null) {
            self.wrong(name, "it is missing");
            return None;
        }
        self.text(name, check)
    }

    /// True or false.
    pub(in crate::http) fn flag(&mut self, name: &str) -> Option<bool> {
        let flag = self.take(name)?.as_bool();
        if flag.is_none() {
            self.wrong(name, "it must be true or false");
        }
        flag
    }

    /// A value that its own type reads.
    pub(in crate::http) fn parsed<T: serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Option<T> {
        match serde_json::from_value(self.take(name)?) {
            Ok(value) => Some(value),
            Err(_) => {
                self.wrong(name, expected);
                None
            }
        }
    }
}

/// The value, unless something was wrong.
pub(in crate::http) fn checked<T>(value: T, errors: Vec<FieldError>) -> Result<T, Problem> {
    if errors.is_empty() { Ok(value) } else { Err(Problem::fields(errors)) }
}
