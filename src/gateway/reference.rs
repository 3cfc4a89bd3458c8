//! References: how an attempt is named at a gateway that has no invoices of ours.
//!
//! Why here: many gateways carry one text of the merchant's with each payment and give it back in
//! webhooks and searches. It must name the invoice, for a person who looks at the gateway's console
//! and for a webhook that comes back, and the attempt, since it has to be unique.
//!
//! What must stay true: what [`of_attempt`] writes, [`read`] reads back, for every invoice; the
//! reference of an attempt never changes, since it is what finds the attempt after a time-out; only
//! letters, digits, `-` and `_` are added, which every gateway takes.

use crate::core::ids::AttemptId;

/// What stands between the invoice and the attempt.
pub const MARK: &str = "-recoup-";

/// The reference of an attempt: `in_1-recoup-att_0123…`.
pub fn of_attempt(invoice: &str, attempt: &AttemptId) -> String {
    format!("{invoice}{MARK}{attempt}")
}

/// The reference of something else that is made for an invoice (a pay-by-link): `key` is its
/// idempotency key.
pub fn of_link(invoice: &str, key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let tail: String = key.chars().rev().take(24).map(plain).collect();
    format!("{invoice}{MARK}link_{}", tail.chars().rev().collect::<String>())
}

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The invoice, without what recoup appended.
    pub invoice: String,
    /// The attempt, where the reference is one of ours.
    pub attempt: Option<AttemptId>,
}

/// Reads a reference: one of ours, or the merchant's own as it is.
pub fn read(reference: &str) -> Named {
    match reference.rsplit_once(MARK) {
        Some((invoice, tail)) if !invoice.is_empty() && is_ours(tail) => Named {
            invoice: invoice.to_owned(),
            attempt: tail.starts_with("att_").then(|| AttemptId::from(tail)),
        },
        _ => Named { invoice: reference.to_owned(), attempt: None },
    }
}

fn is_ours(tail: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (tail.starts_with("att_") || tail.starts_with("link_")) && tail.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let attempt = AttemptId::from("att_0123456789abcdef0123");
        for invoice in ["in_1", "INV-2026-7", "a-recoup-b", "x-recoup-att_9", "ñ:/"] {
            let read = read(&of_attempt(invoice, &attempt));
            assert_eq!(read, Named { invoice: invoice.into(), attempt: Some(attempt.clone()) });
        }
        let link = of_link("in_1", "recoup-page-case_1-00ff");
        assert_eq!(read(&link), Named { invoice: "in_1".into(), attempt: None }, "{link}");
    }

    #[test]
    fn a_merchants_own_reference_stays_as_it_is() {
        for own in ["in_1", "", "-recoup-att_1", "order-recoup-7", "order-recoup-att_1:2"] {
            assert_eq!(read(own), Named { invoice: own.into(), attempt: None });
        }
    }
}
