//! The JSON Schema of the merchant file, for editors.
//!
//! Why here: the keys are data (`keys`), so their schema is a walk over them.
//!
//! What must stay true: whatever `recoup check` takes, the schema takes; it may take more, since
//! what needs several keys or another file is checked there alone.

use serde_json::{Map, Value, json};

use super::keys::{Key, Kind, Need, ROOT};

/// The schema of the whole file.
pub fn json_schema() -> Value {
    let mut schema = table(ROOT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("recoup.toml");
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<_, _> =
        keys.iter().map(|key| (key.name.to_owned(), schema(&key.kind))).collect();
    let required = keys.iter().filter(|key| key.need == Need::Required);
    let required: Vec<_> = required.map(|key| key.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn schema(kind: &Kind) -> Value {
    let text = || json!({ "type": "string" });
    match kind {
        Kind::Amount => json!({ "type": ["number", "string"] }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Choice { known, later } => {
            let words: Vec<_> = known.iter().chain(*later).collect();
            json!({ "enum": words })
        }
        Kind::Hours => json!({ "type": "array", "items": { "type": "integer" }, "maxItems": 2 }),
        Kind::Integer(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Kind::List(of) => json!({ "type": "array", "items": schema(of) }),
        Kind::Named(keys) | Kind::PerCurrency(keys) => {
            json!({ "type": "object", "additionalProperties": table(keys) })
        }
        Kind::Schedule => json!({ "anyOf": [
            { "enum": ["smart", "even"] },
            {
                "type": "object",
                "properties": { "days": { "type": "array", "items": { "type": "integer" } } },
                "required": ["days"],
                "additionalProperties": false,
            },
        ] }),
        Kind::Secret => json!({ "anyOf": [
            text(),
            one_field("env"),
            one_field("file"),
        ] }),
        Kind::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Table(keys) => table(keys),
        Kind::Text(_) => text(),
    }
}

fn one_field(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": { name: { "type": "string" } },
        "required": [name],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_the_example_is_in_it() {
        let example: toml::Table = include_str!("../../recoup.example.toml").parse().unwrap();
        let schema = json_schema();
        for (name, _) in example {
            assert!(schema["properties"].get(&name).is_some(), "{name}");
        }
        let gateways = &schema["properties"]["gateways"]["items"];
        assert_eq!(gateways["required"], json!(["id", "kind"]));
        assert_eq!(gateways["additionalProperties"], json!(false));
    }
}
