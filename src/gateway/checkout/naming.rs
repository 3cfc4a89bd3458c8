//! How a payment at Checkout.com names our invoice and attempt.
//!
//! Why here: its `reference` holds 50 characters by the published OpenAPI, 80 by newer pages, and
//! 30 with American Express: what fits the least always fits. Another billing gateway's invoice
//! with our attempt behind it is longer. What does not fit is named by the attempt alone; the
//! invoice is in `metadata` too, which webhooks and reads give back.
//!
//! What must stay true: the same attempt always has the same reference, since it is what finds it
//! after a time-out; what is written here is read back by [`of_object`].

use serde_json::{Value, json};

use crate::core::ids::AttemptId;
use crate::gateway::facts::{owned, text};
use crate::gateway::reference::{self, Named};

/// Characters that a `reference` may have for sure.
const MAX_REFERENCE: usize = 30;
const META_ATTEMPT: &str = "recoup_attempt";
const META_INVOICE: &str = "recoup_invoice";

/// The reference of an attempt.
pub(super) fn of_attempt(invoice: &str, attempt: &AttemptId) -> String {
    fitting(reference::of_attempt(invoice, attempt), invoice)
}

/// The reference of a pay-by-link.
pub(super) fn of_link(invoice: &str, key: &str) -> String {
    fitting(reference::of_link(invoice, key), invoice)
}

/// The reference as it is, else only what stands behind the invoice in it: `att_…`, `link_…`.
fn fitting(whole: String, invoice: &str) -> String {
    if whole.chars().count() <= MAX_REFERENCE {
        return whole;
    }
    let tail = whole.strip_prefix(invoice).unwrap_or(&whole);
    tail.trim_start_matches("-recoup-").to_owned()
}

/// What is noted on a payment beside its reference.
pub(super) fn metadata(invoice: &str, attempt: Option<&AttemptId>) -> Value {
    let mut noted = json!({ META_INVOICE: invoice });
    if let Some(attempt) = attempt {
        noted[META_ATTEMPT] = json!(attempt.as_str());
    }
    noted
}

/// What an object with `reference` and `metadata` names: the note first, else the reference.
pub(super) fn of_object(object: &Value) -> Option<Named> {
    let own = ["/reference", "/payment_reference"].into_iter().find_map(|at| text(object, at));
    let named = own.map(reference::read);
    let note = |name: &str| owned(object, &format!("/metadata/{name}"));
    let attempt = note(META_ATTEMPT).map(|id| AttemptId::from(id.as_str()));
    match note(META_INVOICE) {
        Some(invoice) => {
            let attempt = attempt.or_else(|| named.and_then(|named| named.attempt));
            Some(Named { invoice, attempt })
        }
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_however_long_the_invoice() {
        let attempt = AttemptId::from("att_0123456789abcdef0123");
        for invoice in ["in_1", "in_1MtHbELkdIwHu7ixl4OzzPMv", "ñandú-2026", &"x".repeat(300)] {
            let object = json!({
                "reference": of_attempt(invoice, &attempt),
                "metadata": metadata(invoice, Some(&attempt)),
            });
            assert!(object["reference"].as_str().unwrap().chars().count() <= MAX_REFERENCE);
            let wanted = Named { invoice: invoice.to_owned(), attempt: Some(attempt.clone()) };
            assert_eq!(of_object(&object), Some(wanted), "{object}");
            let link = json!({
                "reference": of_link(invoice, "recoup-page-case_1-00ff"),
                "metadata": metadata(invoice, None),
            });
            assert!(link["reference"].as_str().unwrap().chars().count() <= MAX_REFERENCE);
            let wanted = Named { invoice: invoice.to_owned(), attempt: None };
            assert_eq!(of_object(&link), Some(wanted), "{link}");
        }
        assert_eq!(of_attempt("in_1", &attempt), "att_0123456789abcdef0123");
    }

    #[test]
    fn a_merchants_own_reference_stays_as_it_is() {
        let named = of_object(&json!({"reference": "inv-1", "metadata": {"plan": "pro"}}));
        assert_eq!(named, Some(Named { invoice: "inv-1".into(), attempt: None }));
        assert_eq!(of_object(&json!({"metadata": []})), None);
    }
}
