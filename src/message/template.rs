//! Templates: how every text file of ours is filled in.
//!
//! Why here: messages and pages share one way of escaping. A name that is not given is an error,
//! so a misspelt one cannot reach a customer as a gap.
//!
//! What must stay true: everything but `.txt` is HTML, and every value in it is escaped.

use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value};

/// An environment with these files. One that does not parse is missing, and a test says which.
pub(crate) fn environment(files: &'static [(&'static str, &'static str)]) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| {
        if name.ends_with(".txt") { AutoEscape::None } else { AutoEscape::Html }
    });
    env.set_formatter(write_value);
    for (name, source) in files {
        let _ = env.add_template(name, source);
    }
    env
}

/// Escapes what HTML needs. Unlike minijinja's own, it leaves `/` alone: links stay readable.
fn write_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if value.is_none() {
        return Err(minijinja::Error::new(
            minijinja::ErrorKind::InvalidOperation,
            "it is not known",
        ));
    }
    let text = value.to_string();
    let is_html = matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe();
    let written = if is_html { out.write_str(&escape(&text)) } else { out.write_str(&text) };
    written.map_err(|_| minijinja::Error::new(minijinja::ErrorKind::WriteFailure, "no room"))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
