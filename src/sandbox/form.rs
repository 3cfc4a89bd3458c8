//! Forms with brackets, as Stripe's API takes them: `a[b]=1`, `expand[]=x`, `items[0][price]=p`.
//!
//! Why here: Stripe's own clients send nothing else.
//!
//! What must stay true: what is not in brackets stays a plain key; nothing is ever refused here, a
//! handler says what it misses.

use serde_json::{Map, Value};

/// Decodes a form or a query to nested objects; all leaves are text.
pub(crate) fn decode(text: &str) -> Value {
    let mut root = Value::Object(Map::new());
    for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
        insert(&mut root, &path(&key), Value::String(value.into_owned()));
    }
    root
}

/// `a[b][]` as `a`, `b`, and the empty name.
fn path(key: &str) -> Vec<String> {
    let Some((head, rest)) = key.split_once('[') else { return vec![key.to_owned()] };
    let mut path = vec![head.to_owned()];
    path.extend(rest.split('[').map(|part| part.trim_end_matches(']').to_owned()));
    path
}

fn insert(at: &mut Value, path: &[String], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if name.is_empty() || name.chars().all(|c| c.is_ascii_digit()) && !at.is_object() {
        push(at, name, rest, value);
    } else if let Some(child) = object_child(at, name) {
        insert(child, rest, value);
    }
}

fn object_child<'a>(at: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    at.as_object_mut().map(|map| map.entry(name).or_insert(Value::Null))
}

fn push(at: &mut Value, index: &str, rest: &[String], value: Value) {
    if !at.is_array() {
        *at = Value::Array(Vec::new());
    }
    let Some(list) = at.as_array_mut() else { return };
    let index = index.parse().unwrap_or(list.len()).min(list.len());
    if index == list.len() {
        list.push(Value::Null);
    }
    insert(&mut list[index], rest, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn brackets_nest() {
        for (form, decoded) in [
            ("", json!({})),
            ("a=1&b=x+y%26", json!({"a": "1", "b": "x y&"})),
            (
                "flow_data[type]=p&flow_data[after][url]=u",
                json!({"flow_data": {"type": "p", "after": {"url": "u"}}}),
            ),
            ("expand[]=a&expand[]=b.c", json!({"expand": ["a", "b.c"]})),
            ("expand[0]=a&expand[1]=b", json!({"expand": ["a", "b"]})),
            (
                "items[0][price]=p&items[0][n]=2&items[1][price]=q",
                json!({"items": [{"price": "p", "n": "2"}, {"price": "q"}]}),
            ),
            ("metadata[case[x]]=1", json!({"metadata": {"case": {"x": "1"}}})),
        ] {
            assert_eq!(decode(form), decoded, "{form}");
        }
    }
}
