//! What must hold for any webhook at all: the properties that `fuzz/` and the seeded test share.
//!
//! What must stay true: nothing panics; nothing that was not signed is authentic; an amount is a
//! whole number of minor units that every JSON keeps; ids and texts are not empty.

use jiff::Timestamp;
use recoup::core::event::Event;
use recoup::gateway::kinds::Kind;
use recoup::gateway::{KINDS, WebhookRequest};
use secrecy::SecretString;

/// The largest amount that every JSON implementation keeps exactly.
const MAX_EXACT: i64 = 1 << 53;
/// A secret that no input is signed with; also as hexadecimal, and as a pair of keys.
const SECRETS: [&str; 3] =
    ["whsec_bm9ib2R5IHNpZ25zIHdpdGggdGhpcw==", "00ff00ff00ff", "public_1:private_1"];

/// The headers in which gateways sign.
const HEADERS: [&str; 9] = [
    "stripe-signature",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "hmacsignature",
    "x-signature",
    "x-request-id",
    "x-event-checksum",
    "cko-signature",
];

fn chosen(data: &[u8]) -> Option<(&'static Kind, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((&KINDS[usize::from(*first) % KINDS.len()], rest))
}

/// Chooses a kind by the first byte and verifies the rest.
pub fn verify_any(data: &[u8]) {
    if let Some((kind, rest)) = chosen(data) {
        verify(kind, rest);
    }
}

/// Chooses a kind by the first byte and parses the rest.
pub fn parse_any(data: &[u8]) {
    if let Some((kind, rest)) = chosen(data) {
        parse(kind, rest);
    }
}

/// One line a header, an empty line, the body; the first line is the query of the address.
pub fn verify(kind: &Kind, data: &[u8]) {
    let (head, body) = match data.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (&data[..0], data),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n');
    let url = format!("https://pay.example/webhooks/x?{}", lines.next().unwrap_or_default());
    let headers: Vec<(String, String)> =
        HEADERS.iter().zip(lines).map(|(name, value)| ((*name).to_owned(), value.into())).collect();
    let secrets = SECRETS.map(SecretString::from);
    for now in [0, 1_795_200_000] {
        let now = Timestamp::from_second(now).unwrap_or_default();
        let request = WebhookRequest { body, headers: &headers, url: Some(&url), now };
        let verdict = (kind.verify)(&request, &secrets);
        let hint = verdict.expect_err("it was never signed").hint;
        assert!(!hint.is_empty());
        assert!(!SECRETS.iter().any(|secret| hint.contains(secret)), "{hint}");
    }
}

/// Parses a body with and without the headers of the http gateway.
pub fn parse(kind: &Kind, body: &[u8]) {
    let headers = [("webhook-id".to_owned(), "msg_1".to_owned())];
    for headers in [&headers[..], &[]] {
        let url = Some("https://pay.example/webhooks/x?data.id=7&type=payment");
        let request = WebhookRequest { body, headers, url, now: Timestamp::UNIX_EPOCH };
        if let Ok(events) = (kind.parse)(&request) {
            events.iter().for_each(check);
        }
    }
}

fn check(event: &Event) {
    if let Some(amount) = event.amount {
        assert!((0..=MAX_EXACT).contains(&amount.minor), "{amount}");
    }
    let ids = [&event.invoice, &event.subscription, &event.customer, &event.payment];
    assert!(ids.into_iter().flatten().all(|id| !id.is_empty()), "{event:?}");
    if let Some(method) = &event.payment_method {
        assert!(method.last4.as_ref().is_none_or(|last4| last4.len() == 4), "{method:?}");
    }
}
