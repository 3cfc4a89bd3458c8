//! Requests against what the gateways publish: every field that a client sends is one that the
//! gateway's OpenAPI description knows, of its type, and none that it requires is left out.
//!
//! `openapi/*.json` are excerpts: for each operation the names of its fields, `!` behind those that
//! are required, and their types (`text`, `integer`, `bool`, `list`, `map`, `object`, or the fields
//! of the object). Adyen: Checkout API v72. Stripe: API 2026-10-28. Names and types only.
//!
//! What must stay true: a request to an operation that is in no excerpt fails the test.

use serde_json::{Map, Value};

use crate::dialect::{Dialect, dialects};
use crate::double::{Double, Reply, Seen};

const EXCERPTS: [(&str, &str); 2] = [
    ("adyen", include_str!("openapi/adyen.json")),
    ("stripe", include_str!("openapi/stripe.json")),
];

fn excerpt(name: &str) -> Option<Value> {
    let (_, text) = EXCERPTS.iter().find(|(kind, _)| *kind == name)?;
    Some(serde_json::from_str(text).unwrap())
}

/// The fields of an operation; `*` in its path is any one segment.
fn operation<'a>(excerpt: &'a Value, seen: &Seen) -> Option<&'a Value> {
    let asked: Vec<&str> = seen.path.split('/').collect();
    let matches = |operation: &str| {
        let (method, path) = operation.split_once(' ').unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let same = |(part, asked): (&&str, &&str)| *part == "*" || part == asked;
        method == seen.method && parts.len() == asked.len() && parts.iter().zip(&asked).all(same)
    };
    excerpt.as_object()?.iter().find(|(name, _)| matches(name)).map(|(_, fields)| fields)
}

/// What is wrong with a value; nothing, mostly.
fn wrong(value: &Value, wanted: &Value, at: &str) -> Vec<String> {
    match wanted {
        Value::Object(fields) => match value {
            Value::Object(sent) => wrong_fields(sent, fields, at),
            _ => vec![format!("{at}: is no object")],
        },
        Value::Array(_) => Vec::new(),
        Value::String(kind) => {
            let fits = match kind.as_str() {
                "text" => value.is_string(),
                "integer" => value.is_i64() || is_text(value, |t| t.parse::<i64>().is_ok()),
                "bool" => value.is_boolean() || is_text(value, |t| t == "true" || t == "false"),
                "list" => value.is_array(),
                "map" | "object" => value.is_object(),
                other => panic!("the excerpt has no type {other}"),
            };
            if fits { Vec::new() } else { vec![format!("{at}: is no {kind}: {value}")] }
        }
        _ => panic!("the excerpt is broken at {at}"),
    }
}

fn is_text(value: &Value, check: fn(&str) -> bool) -> bool {
    value.as_str().is_some_and(check)
}

fn wrong_fields(sent: &Map<String, Value>, fields: &Map<String, Value>, at: &str) -> Vec<String> {
    let mut wrongs = Vec::new();
    for (name, value) in sent {
        let wanted = fields.get(name).or_else(|| fields.get(&format!("{name}!")));
        match wanted {
            Some(wanted) => wrongs.extend(wrong(value, wanted, &format!("{at}/{name}"))),
            None => wrongs.push(format!("{at}/{name}: there is no such field")),
        }
    }
    let required = fields.keys().filter_map(|name| name.strip_suffix('!'));
    wrongs.extend(
        required.filter(|n| !sent.contains_key(*n)).map(|n| format!("{at}/{n}: is missing")),
    );
    wrongs
}

/// A form as the object that it stands for: `a[b]=c`, `a[]=c`.
fn form_as_object(seen: &Seen) -> Value {
    let mut object = Map::new();
    for (name, value) in seen.form() {
        let mut path: Vec<&str> = name.split('[').map(|part| part.trim_end_matches(']')).collect();
        let is_list = path.last() == Some(&"");
        if is_list {
            path.pop();
        }
        let leaf = path.pop().unwrap();
        let mut inner = &mut object;
        for part in path {
            let below = inner.entry(part).or_insert_with(|| Value::Object(Map::new()));
            inner = below.as_object_mut().unwrap();
        }
        if is_list {
            let list = inner.entry(leaf).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().unwrap().push(value.into());
        } else {
            inner.insert(leaf.to_owned(), value.into());
        }
    }
    Value::Object(object)
}

fn assert_fits(dialect: &Dialect, excerpt: &Value, double: &Double) {
    for seen in double.seen().iter().filter(|seen| seen.method != "GET") {
        let fields = operation(excerpt, seen);
        let fields = fields.unwrap_or_else(|| panic!("{}: in no excerpt", seen.line()));
        let is_form = seen.header("content-type").starts_with("application/x-www-form");
        let body = if is_form { form_as_object(seen) } else { seen.json() };
        let wrongs = wrong(&body, fields, "");
        assert!(wrongs.is_empty(), "{}: {}: {wrongs:#?}", dialect.name, seen.line());
    }
}

#[tokio::test]
async fn every_request_fits_what_the_gateway_publishes() {
    let mut checked = 0;
    for dialect in dialects() {
        let kind = dialect.gateway("http://127.0.0.1:1").profile().kind;
        let Some(excerpt) = excerpt(kind) else { continue };
        let (_, double) = dialect.charge(dialect.approved.clone()).await;
        assert_fits(&dialect, &excerpt, &double);
        let double = Double::new(vec![Reply::text(500, "{}"); 4]).await;
        let gateway = dialect.gateway(&double.base);
        let refund = dialect.refund_order();
        let _ = gateway.refund(&refund, "eff_1").await;
        let _ = gateway.hosted_session(&dialect.hosted_request()).await;
        let _ = gateway.mark_paid(&dialect.mark_paid_order(), "eff_2").await;
        let _ = gateway.check_access().await;
        assert_fits(&dialect, &excerpt, &double);
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} dialects were checked");
}

#[test]
fn what_does_not_fit_is_told() {
    let fields = serde_json::json!({ "amount!": { "value!": "integer" }, "note": "text" });
    let wrongs = |sent: Value| wrong(&sent, &fields, "");
    assert_eq!(wrongs(serde_json::json!({ "amount": { "value": 1 } })), Vec::<String>::new());
    assert_eq!(wrongs(serde_json::json!({ "note": "x" })), ["/amount: is missing"]);
    let odd = serde_json::json!({ "amount": { "value": 1.5 }, "nöte": "x" });
    assert_eq!(wrongs(odd).len(), 2);
}
