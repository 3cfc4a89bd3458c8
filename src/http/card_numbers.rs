//! No request of a person or a program brings in a card number.
//!
//! Why here: whatever a route would do with a field, a card number in it is a mistake that must
//! not reach the store, so it is refused before any route reads the request.
//!
//! What must stay true: the answer does not repeat it. Webhooks and callbacks are not refused but
//! masked where they are read: the event in them must not be lost. A record of what was learned is
//! numbers throughout, and is passed over.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use super::problem::FieldError;
use super::{MAX_BODY, Problem};
use crate::core::card_number;

/// What is not looked into.
const LEARNING: &str = "/api/v1/learning";

/// Lets requests without a card number through.
pub(super) async fn refuse(request: Request, next: Next) -> Result<Response, Problem> {
    if request.uri().path().starts_with(LEARNING) {
        return Ok(next.run(request).await);
    }
    if stands_in_address(request.uri()) {
        return Err(refused());
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
        let detail = "the body broke off, or is longer than 256 KiB";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    })?;
    if stands_in_body(&body) {
        return Err(refused().with_errors(fields(&body)));
    }
    Ok(next.run(Request::from_parts(head, Body::from(body))).await)
}

fn refused() -> Problem {
    metrics::counter!("recoup_card_numbers_total", "where" => "request").increment(1);
    let detail = "the request holds a card number: send the gateway's token, and nothing was kept";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "card_number", detail)
}

/// Which fields of a JSON body hold one.
fn fields(body: &[u8]) -> Vec<FieldError> {
    let mut found = Vec::new();
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        walk(&json, String::new(), &mut found);
    }
    let detail = "this looks like a card number: send the gateway's token".to_owned();
    found.into_iter().map(|pointer| FieldError { pointer, detail: detail.clone() }).collect()
}

fn walk(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| walk(item, format!("{pointer}/{at}"), found)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            // A name that is one is not repeated.
            let name = card_number::masked(&name);
            walk(field, format!("{pointer}/{name}"), found);
        }),
        Value::String(text) if card_number::stands_in(text.as_bytes()) => found.push(pointer),
        Value::Number(number) if card_number::is_one(&number.to_string()) => found.push(pointer),
        _ => {}
    }
}

fn stands_in_address(uri: &Uri) -> bool {
    let text = uri.to_string().replace("%20", " ").replace("%2D", "-").replace('+', " ");
    card_number::stands_in(text.as_bytes())
}

/// As it is, as a form, and as JSON whose letters are escaped.
fn stands_in_body(body: &[u8]) -> bool {
    let form = || body.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte });
    let escaped = || serde_json::from_slice(body).map(|json: Value| json.to_string());
    card_number::stands_in(body)
        || (body.contains(&b'+') && card_number::stands_in(&form().collect::<Vec<_>>()))
        || (body.contains(&b'\\')
            && escaped().is_ok_and(|text| card_number::stands_in(text.as_bytes())))
}
