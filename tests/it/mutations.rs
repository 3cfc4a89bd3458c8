//! A short, seeded run of what `fuzz/` does for hours: our own fixtures, broken in many ways.
//!
//! What must stay true: the same seed breaks them in the same way on every machine.

use std::path::Path;

use fastrand::Rng;
use recoup::gateway::KINDS;
use recoup::gateway::kinds::Kind;

use crate::http_samples::case;
use crate::http_support::{LINK_KEY, Service};
use crate::{braintree, exercise};

/// Broken bodies of each gateway; the environment may ask for more, as many minutes as there are.
const ROUNDS: usize = 3_000;
const ROUNDS_FROM: &str = "RECOUP_FUZZ_ROUNDS";

fn rounds() -> usize {
    crate::death::rounds(ROUNDS_FROM, ROUNDS)
}

/// What JSON, XML and forms can be broken with.
const PIECES: [&str; 18] = [
    "null",
    "-1",
    "0",
    "1e400",
    "9007199254740993",
    "29.005",
    "\"\"",
    "\"\\u0000\"",
    "{}",
    "[]",
    "true",
    "</",
    "<!--",
    "&#x0;",
    "%ff",
    "\u{202e}",
    "}}}}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

fn fixtures(kind: &Kind) -> Vec<Vec<u8>> {
    files_of(&format!("webhooks/{}", kind.kind))
}

fn files_of(folder: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with(".events.json"))
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn broken(rng: &mut Rng, whole: &[u8]) -> Vec<u8> {
    let mut body = whole.to_vec();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(0..=body.len());
        match rng.u8(0..6) {
            0 => body.truncate(at),
            1 if at < body.len() => body[at] ^= 1 << rng.u8(0..8),
            2 => {
                let end = rng.usize(at..=body.len());
                body.drain(at..end.min(at + 40));
            }
            3 => {
                let end = rng.usize(at..=body.len()).min(at + 200);
                let twice = body[at..end].to_vec();
                body.splice(at..at, twice);
            }
            4 => {
                let piece = PIECES[rng.usize(..PIECES.len())];
                body.splice(at..at, piece.bytes());
            }
            _ => replace_a_value(rng, &mut body),
        }
    }
    body
}

/// Puts another value behind a colon: the likeliest way to the type that nobody thought of.
fn replace_a_value(rng: &mut Rng, body: &mut Vec<u8>) {
    let colons: Vec<usize> =
        body.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at + 1).collect();
    if colons.is_empty() {
        return;
    }
    let from = colons[rng.usize(..colons.len())];
    let to = body[from..].iter().position(|b| b",}]\n".contains(b)).map_or(from, |n| from + n);
    let piece = PIECES[rng.usize(..PIECES.len())];
    body.splice(from..to, piece.bytes());
}

#[test]
fn no_broken_body_makes_a_parser_panic_or_yields_what_cannot_be() {
    for (seed, kind) in KINDS.iter().enumerate() {
        let mut rng = Rng::with_seed(seed as u64);
        let whole = fixtures(kind);
        for round in 0..rounds() {
            let mut data = vec![seed as u8];
            let body = broken(&mut rng, &whole[round % whole.len()]);
            // What is signed is a form around XML: that is broken too, by every other round.
            let wrapped = kind.kind == "braintree" && round % 2 == 0;
            data.extend(if wrapped { braintree::form(&body) } else { body });
            exercise::parse_any(&data);
        }
    }
}

#[test]
fn no_unsigned_webhook_is_authentic_or_makes_a_verifier_panic() {
    for (seed, kind) in KINDS.iter().enumerate() {
        let mut rng = Rng::with_seed(1_000 + seed as u64);
        let whole = fixtures(kind);
        for round in 0..rounds() {
            let mut data = vec![seed as u8];
            data.extend(head(&mut rng).bytes());
            data.extend(broken(&mut rng, &whole[round % whole.len()]));
            exercise::verify_any(&data);
        }
    }
}

/// A query and some headers, near to what gateways send.
fn head(rng: &mut Rng) -> String {
    const VALUES: [&str; 9] = [
        "",
        "t=1795200000,v1=00",
        "ts=1795200000,v1=00ff",
        "msg_1",
        "1795200000",
        "v1,AAAA",
        "c2lnbmF0dXJl",
        "00ff00ff",
        "\u{0}",
    ];
    let lines = rng.usize(0..10);
    let mut head = "data.id=7&type=payment".to_owned();
    for _ in 0..lines {
        head.push('\n');
        head.push_str(VALUES[rng.usize(..VALUES.len())]);
    }
    head.push_str("\n\n");
    head
}

#[test]
fn depth_and_length_are_bounded() {
    for kind in KINDS {
        for text in ["[", "{\"a\":", "<a>", "bt_payload="] {
            exercise::parse(kind, text.repeat(100_000).as_bytes());
        }
        for whole in fixtures(kind).into_iter().take(3) {
            let long = String::from_utf8_lossy(&whole).replacen(":\"", &long_start(), 1);
            exercise::parse(kind, long.as_bytes());
        }
    }
}

fn long_start() -> String {
    format!(":\"{}", "x".repeat(1024 * 1024))
}

#[test]
fn no_broken_callback_makes_a_reader_panic_or_is_authentic() {
    let whole = files_of("callbacks");
    let mut rng = Rng::with_seed(2_000);
    for round in 0..rounds() {
        let mut data = vec![round as u8];
        data.extend(broken(&mut rng, &whole[round / 5 % whole.len()]));
        exercise::callback_any(&data);
    }
}

#[test]
fn no_broken_merchant_file_makes_its_reader_panic() {
    let mut rng = Rng::with_seed(3_000);
    for _ in 0..rounds() / 10 {
        let whole = include_bytes!("../../recoup.example.toml");
        let from = rng.usize(0..whole.len() / 2);
        let part = if rng.bool() { &whole[..] } else { &whole[from..from + whole.len() / 2] };
        exercise::config_any(&broken(&mut rng, part));
    }
}

#[test]
fn no_broken_token_opens_a_case() {
    let mut rng = Rng::with_seed(4_000);
    let token = recoup::http::link::token_for(&[7; 32], &case(1).id);
    exercise::token_any(token.as_bytes());
    for _ in 0..rounds() {
        exercise::token_any(&broken(&mut rng, token.as_bytes()));
    }
}

#[test]
fn what_is_masked_holds_no_card_number() {
    const BITS: [&str; 14] = [
        "4242",
        "4242424242424242",
        "5555",
        "378282246310005",
        " ",
        "-",
        "  ",
        ".",
        "\"",
        "0",
        "1",
        "4111111111111111",
        "é",
        "x",
    ];
    let mut rng = Rng::with_seed(5_000);
    for _ in 0..rounds() * 10 {
        let text: String = (0..rng.usize(0..14)).map(|_| BITS[rng.usize(..BITS.len())]).collect();
        exercise::card_numbers_any(text.as_bytes());
    }
}

#[test]
fn no_broken_table_makes_its_reader_panic() {
    let mut rng = Rng::with_seed(6_000);
    let log = &files_of("backtest").concat()[..4_000];
    let record = br#"{"key":"case/case_1","value":{"id":"case_1","revision":1}}"#;
    let fees = b"[stripe]\napproved = 5.0\ndeclined = 2.0\n";
    for round in 0..rounds() / 2 {
        let whole: &[u8] = [log, &record[..], &fees[..], b"29.00 USD"][round % 4];
        exercise::table_any(&broken(&mut rng, whole));
    }
}

#[tokio::test]
async fn no_broken_request_makes_a_route_panic() {
    let service = Service::with_cases(2).await;
    let mut rng = Rng::with_seed(7_000);
    let case_path = format!("/cases/{}", case(1).id);
    let token = recoup::http::link::token_for(&LINK_KEY, &case(2).id);
    let whole: [(&str, String, &str); 7] = [
        (
            "PUT",
            "/customers/cus_1".into(),
            r#"{"email":"a@b.example","tags":["vip"],"channels":["sms"]}"#,
        ),
        (
            "PUT",
            "/customers/cus_1/payment-methods".into(),
            r#"[{"gateway":"first","token":"t","network":"visa","last4":"4242","exp":"2030-01"}]"#,
        ),
        ("POST", format!("{case_path}/pause"), r#"{"until":"2030-01-31T09:00:00Z"}"#),
        ("POST", format!("{case_path}/stop"), r#"{"reason":"paid"}"#),
        ("POST", "/test-clock/advance".into(), r#"{"by_seconds":1}"#),
        ("POST", "/policies".into(), r#"{"version":"x","schedule":"smart"}"#),
        ("POST", "/learning/merge".into(), r#"{"version":1,"days":{}}"#),
    ];
    for round in 0..rounds() / 4 {
        let (method, path, body) = &whole[round % whole.len()];
        let body = broken(&mut rng, body.as_bytes());
        let answer = service.api(method, path, &String::from_utf8_lossy(&body)).await;
        assert_ne!(answer.status, 500, "{method} {path} broke over {body:?}");
        let form = String::from_utf8_lossy(&broken(&mut rng, b"date=2030-01-31&x=1")).into_owned();
        let door = ["more-time", "retry", "stop-reminders"][round % 3];
        let answer = service.form(&format!("/pay/{token}/{door}"), &form, None).await;
        assert_ne!(answer.status, 500, "{door} broke over {form:?}");
    }
}
