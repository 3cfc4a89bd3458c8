//! The merchant file as a tree in which every value knows where it was written.
//!
//! Why here: defaults, file, environment and command line are laid over one another before they
//! are checked, and a problem must still point at the line that it comes from.
//!
//! What must stay true: tables are merged key by key; everything else is replaced as a whole.

use std::collections::BTreeMap;
use std::ops::Range;

use secrecy::zeroize::Zeroize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// In the shipped defaults.
    Defaults,
    /// In this environment variable.
    Env(String),
    /// In the merchant file, at these bytes.
    File(Range<usize>),
    /// On the command line.
    Flag,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// A key of a table.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) key_at: At,
    pub(super) node: Node,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Array(Vec<Node>),
    Bool(bool),
    Float(f64),
    Integer(i64),
    /// A date: nothing in the merchant file is one.
    Other(&'static str),
    Table(BTreeMap<String, Field>),
    Text(String),
}

impl Value {
    /// Overwrites every text in it: some are secrets.
    pub(super) fn wipe(&mut self) {
        match self {
            Self::Array(items) => items.iter_mut().for_each(|item| item.value.wipe()),
            Self::Table(fields) => fields.values_mut().for_each(|field| field.node.value.wipe()),
            Self::Text(text) => text.zeroize(),
            Self::Bool(_) | Self::Float(_) | Self::Integer(_) | Self::Other(_) => {}
        }
    }

    /// What it is, in words.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => "a list",
            Self::Bool(_) => "true or false",
            Self::Float(_) => "a number with decimals",
            Self::Integer(_) => "a whole number",
            Self::Other(name) => name,
            Self::Table(_) => "a table",
            Self::Text(_) => "text",
        }
    }
}

/// Turns a parsed document into a tree.
pub(super) fn from_document(document: &Spanned<DeTable<'_>>, in_file: InFile) -> Node {
    // What is missing at the top is missing at the end of the file.
    let end = document.span().end;
    Node { at: in_file.at(end..end), value: Value::Table(from_table(document.get_ref(), in_file)) }
}

/// Which text the spans are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InFile {
    Defaults,
    Merchant,
}

impl InFile {
    fn at(self, span: Range<usize>) -> At {
        match self {
            Self::Defaults => At::Defaults,
            Self::Merchant => At::File(span),
        }
    }
}

fn from_table(table: &DeTable<'_>, in_file: InFile) -> BTreeMap<String, Field> {
    let field = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let node = from_value(value, in_file);
        (key.get_ref().to_string(), Field { key_at: in_file.at(key.span()), node })
    };
    table.iter().map(field).collect()
}

fn from_value(value: &Spanned<DeValue<'_>>, in_file: InFile) -> Node {
    let content = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number that is too large"), Value::Integer),
        DeValue::Float(number) => {
            number.as_str().parse().map_or(Value::Other("a number"), Value::Float)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| from_value(item, in_file)).collect())
        }
        DeValue::Table(table) => Value::Table(from_table(table, in_file)),
    };
    Node { at: in_file.at(value.span()), value: content }
}

impl Node {
    /// Lays `over` over this tree.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(mine), Value::Table(theirs)) => {
                self.at = over.at;
                for (key, field) in theirs {
                    match mine.get_mut(&key) {
                        None => {
                            mine.insert(key, field);
                        }
                        Some(old) => {
                            old.key_at = field.key_at;
                            old.node.merge(field.node);
                        }
                    }
                }
            }
            (mine, theirs) => {
                *mine = theirs;
                self.at = over.at;
            }
        }
    }

    /// Sets the text at `path`; tables and list items on the way are made where they are missing.
    /// Fails at a list index that leaves a gap.
    pub(super) fn set(&mut self, path: &[String], text: &str, at: &At) -> Result<(), usize> {
        let Some((first, rest)) = path.split_first() else {
            *self = Self { at: at.clone(), value: Value::Text(text.to_owned()) };
            return Ok(());
        };
        let container = |next: Option<&String>| match next.map(|n| n.parse::<usize>()) {
            Some(Ok(_)) => Value::Array(Vec::new()),
            _ => Value::Table(BTreeMap::new()),
        };
        if !matches!(self.value, Value::Table(_) | Value::Array(_)) {
            *self = Self { at: at.clone(), value: container(Some(first)) };
        }
        let empty = || Self { at: at.clone(), value: container(rest.first()) };
        match &mut self.value {
            Value::Array(items) => {
                let index = first.parse::<usize>().map_err(|_| items.len())?;
                if index > items.len() {
                    return Err(items.len());
                }
                if index == items.len() {
                    items.push(empty());
                }
                items[index].set(rest, text, at)
            }
            Value::Table(fields) => fields
                .entry(first.clone())
                .or_insert_with(|| Field { key_at: at.clone(), node: empty() })
                .node
                .set(rest, text, at),
            _ => Ok(()),
        }
    }

    /// The node at a dotted path, e.g. `gateways.0.id`.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            node = match &node.value {
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                Value::Table(fields) => &fields.get(part)?.node,
                _ => return None,
            };
        }
        Some(node)
    }

    /// Where the node at `path` was written, or the nearest one above it.
    pub(super) fn place(&self, path: &str) -> At {
        let mut path = path;
        loop {
            if let Some(node) = self.find(path) {
                return node.at.clone();
            }
            match path.rsplit_once('.') {
                Some((above, _)) => path = above,
                None => return self.at.clone(),
            }
        }
    }

    /// The same as JSON, for the typed values.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Array(items) => items.iter().map(Self::to_json).collect(),
            Value::Bool(flag) => (*flag).into(),
            Value::Float(number) => (*number).into(),
            Value::Integer(number) => (*number).into(),
            Value::Other(_) => serde_json::Value::Null,
            Value::Table(fields) => {
                fields.iter().map(|(key, field)| (key.clone(), field.node.to_json())).collect()
            }
            Value::Text(text) => text.as_str().into(),
        }
    }
}
