//! The description of the API: OpenAPI 3.1, made from the table of routes.
//!
//! Why here: programs and people read one document that cannot be behind the code.
//!
//! What must stay true: every route of the table is in it, with every parameter; every error has
//! the one shape of a problem, and every code of a problem is named.

use axum::Json;
use serde_json::{Map, Value, json};

use super::table::{BASE, JSON, Operation, Param};
use crate::core::schema::Schemas;
use crate::http::errors;
use crate::http::people::scope::Scope;

/// `GET /api/v1/openapi.json`: open to everybody, since it says nothing of anybody.
pub(in crate::http) async fn show() -> Json<Value> {
    Json(document())
}

/// The description of the API.
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    let operations = [super::quick(), super::slow()].map(super::table::Table::into_operations);
    for operation in operations.into_iter().flatten() {
        let path = paths.entry(format!("{BASE}{}", operation.path));
        let path = path.or_insert_with(|| json!({}));
        path[operation.method] = describe(&operation, &mut schemas);
    }
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    schemas.named("Problem", |_| problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "recoup",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Failed subscription payments on their way back.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The admin token, or a token of `recoup token create`. Each \
                        operation names the least scope that opens it: read, write or admin.",
                },
            },
            "schemas": schemas.into_json(),
            "responses": {
                "Problem": {
                    "description": "What was wrong, and what to do.",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
        },
    })
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<_> = in_path(operation).chain(in_query(operation)).collect();
    if operation.method == "post" {
        parameters.push(idempotency_key());
    }
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let rule = operation.rule();
    let mut described = json!({
        "operationId": id_of(operation),
        "summary": operation.summary,
        "tags": [operation.path.split('/').nth(1).unwrap_or_default()],
        "parameters": parameters,
        "security": [{ "token": [Scope::of(rule.needs())] }],
        "responses": {
            "200": {
                "description": "Done.",
                "content": content(operation, schemas),
            },
            "4XX": problem,
            "5XX": problem,
        },
    });
    if !rule.admins().is_empty() {
        let actions = rule.admins().join(", ");
        described["description"] = json!(format!("The scope `admin` is needed for: {actions}."));
    }
    if let Some(takes) = operation.takes {
        let mut content = json!({ "schema": takes(schemas) });
        if let Some(example) = &operation.example {
            content["example"] = example.clone();
        }
        described["requestBody"] = json!({ "content": { "application/json": content } });
    }
    described
}

/// `post_cases_id_retry`.
fn id_of(operation: &Operation) -> String {
    let path = operation.path.replace(['{', '}'], "").replace(['/', '-'], "_");
    format!("{}{path}", operation.method)
}

/// JSON as described; other kinds are texts.
fn content(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut content = Map::new();
    for kind in operation.kinds {
        let schema = match *kind {
            JSON => (operation.gives)(schemas),
            _ => json!({ "type": "string" }),
        };
        content.insert((*kind).to_owned(), json!({ "schema": schema }));
    }
    Value::Object(content)
}

fn in_path(operation: &Operation) -> impl Iterator<Item = Value> {
    let parts = operation.path.split('/');
    let names = parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let words = operation.parts.iter().find(|(part, _)| *part == name);
        let schema = match words {
            Some((_, words)) => json!({ "type": "string", "enum": words }),
            None => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    })
}

fn in_query(operation: &Operation) -> impl Iterator<Item = Value> {
    operation.query.iter().map(|Param { name, about, schema }| {
        // Of a route that gives nothing but a file it must be asked for.
        let required = *name == "format" && !operation.kinds.contains(&JSON);
        json!({
            "name": name, "in": "query", "description": about, "required": required,
            "schema": schema,
        })
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Under one key a request is done once, and answered the same for two days.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
    })
}

fn problem_schema() -> Value {
    let codes: Vec<_> = errors::PAGES.iter().map(|(code, _)| code).collect();
    json!({
        "type": "object",
        "description": "An error, as RFC 9457 says.",
        "properties": {
            "type": { "type": "string", "description": "Leads to what it means: /errors/{code}." },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "code": { "type": "string", "enum": codes },
            "detail": { "type": "string", "description": "What to look at." },
            "item": { "type": "integer", "description": "Which event of a batch." },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {
                            "type": "string",
                            "description": "JSON pointer into the body, or a query parameter.",
                        },
                        "detail": { "type": "string" },
                    },
                    "required": ["pointer", "detail"],
                },
            },
        },
        "required": ["type", "title", "status", "code", "detail"],
    })
}
