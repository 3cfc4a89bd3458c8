//! Errors over HTTP: RFC 9457 problem JSON.
//!
//! Why here: one shape for every error, with a stable `code` that a program can act on.
//!
//! What must stay true: no problem holds a secret, a customer's data or an internal path.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::StoreError;

/// One field of a request that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    /// JSON pointer into the body, or the name of the query parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// An error as it is answered.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    item: Option<usize>,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem with its stable code and what to look at.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            item: None,
            errors: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// What to look at.
    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What to look at, with what does not fit, for a page.
    pub(super) fn in_words(&self) -> String {
        let told = self.0.errors.iter().map(|error| error.detail.as_str());
        let words = [self.0.detail.as_str()].into_iter().chain(told).collect::<Vec<_>>();
        format!("{}.", words.join(": "))
    }

    /// 404.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 400: the query.
    pub(super) fn query(parameter: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", "the query does not fit")
            .with_errors(vec![FieldError { pointer: parameter.to_owned(), detail: detail.into() }])
    }

    /// 400: the body is no JSON.
    pub(super) fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
    }

    /// 422: fields of the body.
    pub(super) fn fields(errors: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", "the body does not fit")
            .with_errors(errors)
    }

    /// The item of a batch that it is about.
    pub(super) fn with_item(mut self, item: Option<usize>) -> Self {
        self.0.item = item;
        self
    }

    /// The fields that it is about.
    pub(super) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.insert(name, HeaderValue::from_static(value));
        self
    }
}

/// The code in words: `no_signature_match` is "No signature match".
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = *self.0;
        let body = Body {
            kind: format!("/errors/{}", parts.code),
            title: title(parts.code),
            status: parts.status.as_u16(),
            code: parts.code,
            detail: &parts.detail,
            item: parts.item,
            errors: &parts.errors,
        };
        let mut response = (parts.status, axum::Json(body)).into_response();
        response.headers_mut().extend(parts.headers);
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            // Said once by the store itself, not for each request.
            StoreError::Away(_) => tracing::debug!(%error, "the store is away"),
            _ => tracing::error!(%error, "the store failed"),
        }
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "the store refused, and nothing was kept: send it again",
        )
        .with_header(header::RETRY_AFTER, "30")
    }
}
