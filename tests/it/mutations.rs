//! A short, seeded run of what `fuzz/` does for hours: our own fixtures, broken in many ways.
//!
//! What must stay true: the same seed breaks them in the same way on every machine.

use std::path::Path;

use fastrand::Rng;
use recoup::gateway::KINDS;
use recoup::gateway::kinds::Kind;

use crate::{braintree, exercise};

/// Broken bodies of each gateway.
const ROUNDS: usize = 3_000;

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
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks").join(kind.kind);
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".events.json"))
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
        for round in 0..ROUNDS {
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
        for round in 0..ROUNDS {
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
