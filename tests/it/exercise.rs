//! What must hold for any bytes from outside: what `fuzz/` and the seeded tests share.
//!
//! What must stay true: nothing panics; nothing that was not signed is authentic; an amount is a
//! whole number of minor units that every JSON keeps; ids and texts are not empty; what was masked
//! holds no card number; no token opens a case but the one that we made.

use jiff::Timestamp;
use recoup::channel::callback::Callbacks;
use recoup::channel::callback::postmark::PostmarkCallbacks;
use recoup::channel::callback::resend::ResendCallbacks;
use recoup::channel::callback::sendgrid::SendgridCallbacks;
use recoup::channel::callback::twilio::TwilioCallbacks;
use recoup::channel::callback::whatsapp::WhatsappCallbacks;
use recoup::config::{Config, Surroundings};
use recoup::core::card_number;
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

/// Chooses a message provider by the first byte; nothing that it did not sign is authentic, and
/// whatever it says is read or refused.
pub fn callback_any(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let secret = || SecretString::from(SECRETS[0]);
    let readers: [Box<dyn Callbacks>; 5] = [
        Box::new(PostmarkCallbacks::new(vec![secret()])),
        Box::new(ResendCallbacks::new(vec![secret()])),
        Box::new(SendgridCallbacks::new(vec![secret()])),
        Box::new(TwilioCallbacks::new(secret())),
        Box::new(WhatsappCallbacks::new(secret(), None)),
    ];
    let reader = &readers[usize::from(*first) % readers.len()];
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let url = Some("https://pay.example/callbacks/x");
    let request = WebhookRequest { body: rest, headers: &headers, url, now: Timestamp::UNIX_EPOCH };
    assert!(reader.verify(&request).is_err(), "it was never signed");
    for notice in reader.read(&request).into_iter().flatten() {
        assert!(!notice.id.is_empty(), "{notice:?}");
    }
    if let Ok(query) = std::str::from_utf8(rest) {
        let _ = reader.answer_challenge(query);
    }
}

/// A merchant file is taken, or every problem says something.
pub fn config_any(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(problems) = Config::read(text, "recoup.toml", &Surroundings::default()) {
        assert!(!problems.0.is_empty());
        assert!(problems.0.iter().all(|problem| !problem.message.is_empty()));
    }
}

/// No text opens a case; the one that would is the one that we made.
pub fn token_any(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let key = [7; 32];
    if let Some(case) = recoup::http::link::case_of(&key, &text) {
        assert_eq!(recoup::http::link::token_for(&key, &case), text);
    }
}

/// What was masked holds no card number, and what was zeroed is as long as before.
pub fn card_numbers_any(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let masked = card_number::masked(&text);
    assert!(!card_number::stands_in(masked.as_bytes()), "{masked}");
    assert_eq!(masked == text, !card_number::stands_in(text.as_bytes()));
    if let Some(zeroed) = card_number::zeroed(data) {
        assert_eq!(zeroed.len(), data.len());
        assert!(!card_number::stands_in(&zeroed), "{}", String::from_utf8_lossy(&zeroed));
    }
}

/// Tables that people hand over: a log of attempts, fees, a world; records of an export.
pub fn table_any(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = recoup::lab::backtest::fees::read(text);
        let _ = text.parse::<recoup::core::money::Money>();
    }
    let fees = recoup::lab::backtest::fees::read("[a]\napproved = 1.0\n");
    if let Ok(fees) = fees {
        let _ = recoup::lab::backtest::log::read(data, &fees);
    }
    if let Ok(record) = serde_json::from_slice::<recoup::store::ExportRecord>(data) {
        assert!(serde_json::to_string(&record).is_ok());
    }
}
