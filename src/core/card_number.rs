//! Card numbers: how one is told from other digits, and how it is made unreadable.
//!
//! Why here: recoup works with tokens; a card number in it is somebody's mistake (design I9, I10).
//! It may turn up in a field of the API, a column of a wallet, a webhook, an answer or a log line,
//! and one piece finds it in all of them.
//!
//! What must stay true: only what a network issues, in the groups in which it is printed, with a
//! right check digit and with nothing of a word around it is a card number: ids of gateways, times
//! and shares are left alone. What was masked is found no more.

use std::borrow::Cow;
use std::ops::Range;

/// How many digits a card number has.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// The groups in which card numbers are written; one group of any length is one, too.
const GROUPS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];

/// Whether this text is a card number, whatever its groups.
pub fn is_one(text: &str) -> bool {
    let plain = text.trim().bytes().filter(|byte| !is_gap(*byte));
    let digits: Vec<u8> = plain.collect();
    digits.iter().all(u8::is_ascii_digit) && is_issued(&digits) && has_check_digit(&digits)
}

/// Whether one stands in this text.
pub fn stands_in(text: &[u8]) -> bool {
    next(text, 0).is_some()
}

/// The text with each one as its last four.
pub fn masked(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(mut found) = next(bytes, 0) else { return Cow::Borrowed(text) };
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    loop {
        out.push_str(&text[copied..found.start]);
        out.push_str("****");
        out.push_str(&text[found.end - 4..found.end]);
        copied = found.end;
        match next(bytes, copied) {
            Some(more) => found = more,
            None => break,
        }
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The bytes with the middle of each one as zeros; `None` where there is none. The length and the
/// kind of each byte stay: what was JSON is JSON, and an id that only looked like a card number is
/// still one and the same id.
pub fn zeroed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut found = next(bytes, 0)?;
    let mut out = bytes.to_vec();
    loop {
        let digits: Vec<usize> = found.clone().filter(|at| out[*at].is_ascii_digit()).collect();
        let middle = &digits[6..digits.len() - 4];
        for at in middle {
            out[*at] = b'0';
        }
        // Zeros may have a right check digit, too: one digit more breaks it.
        if next(&out[..found.end], found.start).is_some() {
            out[middle[0]] = b'1';
        }
        match next(&out, found.end) {
            Some(more) => found = more,
            None => return Some(out),
        }
    }
}

/// The first one that begins at `from` or later.
fn next(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while at < text.len() {
        let length = digits_at(text, at);
        if length == 0 {
            at += 1;
            continue;
        }
        if begins_alone(text, at)
            && let Some(found) = starts_here(text, at)
        {
            return Some(found);
        }
        at += length;
    }
    None
}

fn digits_at(text: &[u8], at: usize) -> usize {
    text[at.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'-')
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Nothing of a word before it, and no whole number whose fraction it is.
fn begins_alone(text: &[u8], at: usize) -> bool {
    match text[..at] {
        [.., whole, b'.'] if whole.is_ascii_digit() => false,
        [.., before] => !is_of_a_word(before),
        [] => true,
    }
}

/// The card number whose first digit stands at `at`, in one group or in several.
fn starts_here(text: &[u8], at: usize) -> Option<Range<usize>> {
    let alone = [digits_at(text, at)];
    let in_groups = GROUPS.iter().copied().chain(std::iter::once(&alone[..]));
    in_groups.filter_map(|groups| in_these_groups(text, at, groups)).max_by_key(|found| found.end)
}

fn in_these_groups(text: &[u8], at: usize, groups: &[usize]) -> Option<Range<usize>> {
    let (mut end, mut digits) = (at, Vec::new());
    for (number, length) in groups.iter().enumerate() {
        if number > 0 {
            end += usize::from(is_gap(*text.get(end)?));
        }
        if digits_at(text, end) != *length {
            return None;
        }
        digits.extend_from_slice(&text[end..end + length]);
        end += length;
    }
    let alone = text.get(end).is_none_or(|after| !is_of_a_word(*after));
    (alone && is_issued(&digits) && has_check_digit(&digits)).then_some(at..end)
}

/// Whether a network issues numbers of this length with this beginning.
fn is_issued(digits: &[u8]) -> bool {
    if !LENGTHS.contains(&digits.len()) {
        return false;
    }
    let first = |count: usize| digits[..count].iter().fold(0, |n, d| n * 10 + u32::from(*d - b'0'));
    match digits.len() {
        15 => matches!(first(2), 34 | 37),
        14 => matches!(first(2), 36 | 38 | 39) || (300..=305).contains(&first(3)),
        13 => first(1) == 4,
        _ => {
            first(1) == 4
                || matches!(first(2), 35 | 50..=65 | 67)
                || (2221..=2720).contains(&first(4))
        }
    }
}

/// Luhn's check digit.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0_u32, |sum, (place, digit)| {
        let digit = u32::from(*digit - b'0');
        let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
        sum + if place % 2 == 1 { doubled } else { digit }
    });
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: [&str; 12] = [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782-822463-10005",
        "30569309025904",
        "3056 930902 5904",
        "6011111111111117",
        "3566002020360505",
        "6205500000000000004",
    ];

    #[test]
    fn every_network_is_known_wherever_it_stands() {
        for card in CARDS {
            assert!(is_one(card), "{card}");
            let last = &card[card.len() - 4..];
            for (before, after) in [("", ""), ("\"", "\""), ("card: ", "."), ("2026-01-05 ", " x")]
            {
                let text = format!("{before}{card}{after}");
                assert!(stands_in(text.as_bytes()), "{text}");
                assert_eq!(masked(&text), format!("{before}****{last}{after}"));
                let zeroed = zeroed(text.as_bytes()).unwrap();
                assert_eq!(zeroed.len(), text.len());
                assert!(!stands_in(&zeroed), "{}", String::from_utf8_lossy(&zeroed));
            }
        }
        let two = "4242424242424242 and 5555 5555 5555 4444";
        assert_eq!(masked(two), "****4242 and ****4444");
        assert!(!stands_in(&zeroed(two.as_bytes()).unwrap()));
    }

    #[test]
    fn other_digits_are_left_alone() {
        for other in [
            "4242424242424241",
            "42424242424242424242",
            "8415718297204926",
            "pm_4242424242424242",
            "x4242424242424242",
            "4242424242424242a",
            "0.4242424242424242",
            "4242 4242 4242",
            "1767618000000000000",
            "+57 301 555 0199",
            "550e8400-4242-4242-4242-424242424242",
            "424242424242424",
            "",
        ] {
            assert!(!stands_in(other.as_bytes()), "{other}");
            assert_eq!(masked(other), other);
            assert_eq!(zeroed(other.as_bytes()), None);
        }
        assert!(!is_one("4242424242424242 or so") && !is_one(""));
        assert!(is_one("42424 24242 424242"), "a whole field is one in any groups");
    }

    #[test]
    fn an_id_that_looks_like_one_stays_one_and_the_same() {
        let body = br#"{"invoice":"4111111111111111","amount":4111111111111111}"#;
        let zeroed = zeroed(body).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&zeroed).unwrap();
        assert_eq!(read["invoice"].as_str().unwrap(), read["amount"].to_string());
    }
}
