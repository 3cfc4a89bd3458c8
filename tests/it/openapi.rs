//! The description of the API, held against what the routes answer.
//!
//! What must stay true: every answer fits its schema, with no field that the schema does not name;
//! every route that is described is there, and asks for the token.

use serde_json::{Value, json};

use crate::http_samples::case;
use crate::http_support::Service;

/// Why a value does not fit a schema; of the words of JSON Schema those that the description uses.
fn misfit(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return misfit(document, target, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let misfits: Vec<_> = any.iter().map(|one| misfit(document, one, value, at)).collect();
        return misfits.iter().all(Option::is_some).then(|| format!("{at}: {misfits:?}"));
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number"));
    if !fits {
        return Some(format!("{at}: {value} is not {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Some(format!("{at}: {value} is not one of {words:?}"));
    }
    if let Value::Array(items) = value {
        let items = items.iter().enumerate();
        return items
            .filter_map(|(n, item)| misfit(document, &schema["items"], item, &format!("{at}/{n}")))
            .next();
    }
    let (Value::Object(fields), Some(properties)) = (value, schema["properties"].as_object())
    else {
        return None;
    };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Some(format!("{at}: `{name}` is missing"));
        }
    }
    fields
        .iter()
        .filter_map(|(name, value)| match properties.get(name) {
            Some(schema) => misfit(document, schema, value, &format!("{at}/{name}")),
            None => Some(format!("{at}: `{name}` is not in the description")),
        })
        .next()
}

#[tokio::test]
async fn what_the_routes_answer_is_what_is_described() {
    let service = Service::with_cases(3).await;
    let document = service.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document, recoup::http::openapi());
    let id = case(1).id;
    for (path, template) in [
        ("/cases".to_owned(), "/cases"),
        (format!("/cases/{id}"), "/cases/{id}"),
        (format!("/cases/{id}/ledger"), "/cases/{id}/ledger"),
        ("/test-clock".to_owned(), "/test-clock"),
        ("/webhook-deliveries".to_owned(), "/webhook-deliveries"),
        ("/webhook-endpoints".to_owned(), "/webhook-endpoints"),
    ] {
        let answer = service.api("GET", &path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let gives = &document["paths"][format!("/api/v1{template}")]["get"]["responses"]["200"];
        let schema = &gives["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{template} is not described");
        assert_eq!(misfit(&document, schema, &answer.json(), &path), None);
    }
    let problem = service.api("GET", "/cases/case_0", "").await;
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    assert_eq!(misfit(&document, &schema, &problem.json(), "problem"), None);
    let leads_to = service.get(problem.json()["type"].as_str().unwrap()).await;
    assert!(leads_to.text.contains("`not_found`, HTTP 404"), "{}", leads_to.text);
    service.get("/errors/nonsense").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn every_route_that_is_described_is_there_and_closed() {
    let service = Service::with_cases(1).await;
    let document = service.get("/api/v1/openapi.json").await.json();
    let mut routes = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let request = axum::http::Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(path.replace(['{', '}'], ""))
                .body(axum::body::Body::empty());
            service.send(request.unwrap()).await.is_problem(401, "unauthorized");
            routes += 1;
        }
    }
    assert!(routes > 25, "only {routes}");
}

#[test]
fn the_validator_finds_what_it_is_for() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } },
        "required": ["a"] });
    let document = json!({});
    assert_eq!(misfit(&document, &schema, &json!({ "a": "x" }), ""), None);
    for wrong in [json!({}), json!({ "a": 1 }), json!({ "a": "x", "b": 1 }), json!([])] {
        assert!(misfit(&document, &schema, &wrong, "").is_some(), "{wrong}");
    }
}
