//! The sandbox's hosted pages: plain HTML that a person and a test can both use.
//!
//! Why here: both gateways have a page where the customer gives another card.
//!
//! What must stay true: nothing happens on GET; everything that is shown is escaped.

use super::cards;

/// Escapes text for HTML, attributes included.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn frame(title: &str, inner: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n\
         :root {{ color-scheme: light dark; }}\n\
         body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 3rem auto; \
         padding: 0 1rem; }}\n\
         label {{ display: block; padding: .25rem 0; }}\n\
         button {{ font: inherit; margin-top: 1rem; padding: .5rem 1rem; }}\n\
         </style></head><body><main>\n<p><small>recoup sandbox: no real money</small></p>\n\
         <h1>{title}</h1>\n{inner}\n</main></body></html>\n",
        title = escape(title),
    )
}

/// The page where a customer gives another card.
pub(crate) fn card_form(customer: &str, return_url: Option<&str>) -> String {
    let cards: String = cards::OFFERED
        .iter()
        .enumerate()
        .map(|(index, (number, does))| {
            let checked = if index == 0 { " checked" } else { "" };
            format!(
                "<label><input type=\"radio\" name=\"card\" value=\"{number}\"{checked}> {number}: \
                 {}</label>\n",
                escape(does)
            )
        })
        .collect();
    let back = return_url
        .map(|url| format!("<p><a href=\"{}\">Back without a change</a></p>", escape(url)))
        .unwrap_or_default();
    frame(
        "Update your card",
        &format!(
            "<p>Customer {}</p>\n<form method=\"post\"><fieldset><legend>Test card</legend>\n\
             {cards}</fieldset><button>Save card</button></form>\n{back}",
            escape(customer)
        ),
    )
}

/// The page of an open invoice.
pub(crate) fn invoice(what: &str, amount: &str, note: Option<&str>) -> String {
    let note = note.map(|n| format!("<p role=\"alert\">{}</p>\n", escape(n))).unwrap_or_default();
    frame(
        "Invoice",
        &format!(
            "{note}<p>{}</p>\n<p><strong>{}</strong></p>\n\
             <form method=\"post\"><button>Confirm and pay</button></form>",
            escape(what),
            escape(amount)
        ),
    )
}

/// A page that only says something.
pub(crate) fn message(title: &str, text: &str) -> String {
    frame(title, &format!("<p>{}</p>", escape(text)))
}
