//! Braintree's XML as loose values, so that it is read as every other gateway's JSON is.
//!
//! Why here: notifications and answers are XML in one style (Rails'): `type="array"` is a list,
//! `nil="true"` is nothing, names are written with `-` or `_`. This turns it into the same shape
//! that Braintree's own libraries make of it.
//!
//! What must stay true: no document makes this panic or use more than a few times its own size; a
//! document type (and with it any entity of its own) is refused; names have `_`; amounts stay text.

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

/// How deep elements may be nested. A transaction of a subscription of a notification is at 8.
const MAX_DEPTH: usize = 32;
/// How many nodes a document may have. A page of fifty transactions has some 15 000.
const MAX_NODES: u32 = 200_000;

/// A document as an object with one field, its root. `None`: it is no XML, has a document type, or
/// is nested too deep or too large.
pub(super) fn read(text: &str) -> Option<Value> {
    // The parser goes over the elements in a loop, however deep they are; `value` below does not.
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    let mut object = Map::new();
    object.insert(name(root), value(root, 0)?);
    Some(Value::Object(object))
}

fn name(node: Node<'_, '_>) -> String {
    node.tag_name().name().replace('-', "_")
}

fn value(node: Node<'_, '_>, depth: usize) -> Option<Value> {
    let mut children = node.children().filter(Node::is_element).peekable();
    if depth > MAX_DEPTH {
        return None;
    }
    if node.attribute("nil") == Some("true") {
        return Some(Value::Null);
    }
    if node.attribute("type") == Some("array") {
        return children.map(|child| value(child, depth + 1)).collect();
    }
    if children.peek().is_none() {
        return Some(leaf(node));
    }
    let mut object = Map::new();
    for child in children {
        add(&mut object, name(child), value(child, depth + 1)?);
    }
    Some(Value::Object(object))
}

/// A name that comes twice is a list, as in a page of search results.
fn add(object: &mut Map<String, Value>, name: String, value: Value) {
    match object.get_mut(&name) {
        None => drop(object.insert(name, value)),
        Some(Value::Array(items)) => items.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn leaf(node: Node<'_, '_>) -> Value {
    let text = node.text().unwrap_or_default();
    match node.attribute("type") {
        Some("integer") => text.trim().parse::<i64>().map_or(Value::Null, Value::from),
        Some("boolean") => Value::Bool(text.trim() == "true"),
        _ => Value::String(text.to_owned()),
    }
}

/// One or several of something, however they were written.
pub(super) fn several(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_style_of_braintree_is_read_as_its_libraries_read_it() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <a-b><n type="integer">7</n><bad type="integer">x</bad><yes type="boolean">true</yes>
            <nothing nil="true"/><empty></empty><amount>49.90</amount>
            <list type="array"><item>x</item><item>y</item></list><none type="array"/>
            <twice><id>1</id></twice><twice><id>2</id></twice><twice><id>3</id></twice></a-b>"#;
        let wanted = json!({ "a_b": {
            "n": 7, "bad": null, "yes": true, "nothing": null, "empty": "", "amount": "49.90",
            "list": ["x", "y"], "none": [], "twice": [{"id": "1"}, {"id": "2"}, {"id": "3"}],
        } });
        assert_eq!(read(text), Some(wanted));
    }

    #[test]
    fn what_could_harm_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxxxxxx">]><a>&x;</a>"#;
        let wide = format!("<a>{}</a>", "<b/>".repeat(300_000));
        for text in ["", "<", "<a>", "<a></b>", "{}", "<html>paid</html", &deep, bomb, &wide] {
            assert_eq!(read(text), None, "{}", text.chars().take(40).collect::<String>());
        }
        let long = format!("<a>{}</a>", "x".repeat(1024 * 1024));
        assert!(read(&long).is_some());
    }
}
