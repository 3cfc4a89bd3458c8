//! What must never stand in a log line, and how it is found.

/// Looks for one kind of thing in a line.
type Look = fn(&str) -> bool;

/// What a line holds that it must not, each with its kind.
pub(crate) fn findings(line: &str, planted: &[(&'static str, String)]) -> Vec<&'static str> {
    let mut found = Vec::new();
    let looks: [(&'static str, Look); 5] = [
        ("a card number", has_card_number),
        ("an e-mail address", has_email),
        ("a phone number", has_phone),
        ("a secret", has_secret),
        ("a link", has_link),
    ];
    found.extend(looks.iter().filter(|(_, look)| look(line)).map(|(kind, _)| *kind));
    found.extend(planted.iter().filter(|(_, text)| line.contains(text)).map(|(kind, _)| *kind));
    found
}

/// 13 to 19 digits, in groups or not, that a network issues and whose check digit is right.
fn has_card_number(line: &str) -> bool {
    digit_runs(line).into_iter().any(|digits| {
        let windows = (13..=19).flat_map(|length| digits.windows(length));
        // A longer run of digits is no card: only whole runs count.
        windows.filter(|w| w.len() == digits.len()).any(|w| is_issued(w) && has_check_digit(w))
    })
}

/// Runs of digits; a single space or hyphen between two digits belongs to the run.
fn digit_runs(line: &str) -> Vec<Vec<u8>> {
    let (mut runs, mut run, mut gap) = (Vec::new(), Vec::new(), false);
    for c in line.chars() {
        match c.to_digit(10) {
            Some(digit) => {
                run.push(digit as u8);
                gap = false;
            }
            None if (c == ' ' || c == '-') && !run.is_empty() && !gap => gap = true,
            None => {
                runs.push(std::mem::take(&mut run));
                gap = false;
            }
        }
    }
    runs.push(run);
    runs.retain(|run| run.len() >= 13);
    runs
}

/// Whether a network issues numbers of this length with this beginning. Ids and addresses of
/// memory, which stand in trace lines, begin otherwise.
fn is_issued(digits: &[u8]) -> bool {
    let first = |count: usize| digits[..count].iter().fold(0_u32, |n, d| n * 10 + u32::from(*d));
    match digits.len() {
        15 => matches!(first(2), 34 | 37),
        14 => matches!(first(2), 36 | 38 | 39) || (300..=305).contains(&first(3)),
        13 => first(1) == 4,
        16..=19 => {
            first(1) == 4 || matches!(first(2), 35 | 50..=65) || (2221..=2720).contains(&first(4))
        }
        _ => false,
    }
}

fn has_check_digit(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0_u32, |sum, (place, digit)| {
        let digit = u32::from(*digit);
        let doubled = if digit > 4 { 2 * digit - 9 } else { 2 * digit };
        sum + if place % 2 == 1 { doubled } else { digit }
    });
    sum.is_multiple_of(10)
}

fn has_email(line: &str) -> bool {
    line.match_indices('@').any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let domain = &line[at + 1..];
        let end = domain.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-'));
        let domain = domain[..end.unwrap_or(domain.len())].trim_end_matches('.');
        let top = domain.rsplit_once('.').map(|(_, top)| top);
        before.is_some_and(|c| c.is_alphanumeric() || "._%+-".contains(c))
            && top.is_some_and(|top| top.len() > 1 && top.chars().all(char::is_alphabetic))
    })
}

/// `+` and eight to fifteen digits, in groups or not, as E.164 has it.
fn has_phone(line: &str) -> bool {
    line.match_indices('+').any(|(at, _)| {
        let rest = line[at + 1..].trim_start_matches('(');
        let number = rest.chars().take_while(|c| c.is_ascii_digit() || " -().".contains(*c));
        let digits = number.filter(char::is_ascii_digit).count();
        rest.starts_with(|c: char| c.is_ascii_digit()) && (8..=15).contains(&digits)
    })
}

fn has_secret(line: &str) -> bool {
    const BEGIN: [&str; 6] = ["whsec_", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "Bearer "];
    BEGIN.iter().any(|begin| {
        line.match_indices(begin).any(|(at, begin)| {
            let rest = line[at + begin.len()..].chars();
            rest.take_while(|c| c.is_alphanumeric() || "-_+/=".contains(*c)).count() >= 8
        })
    })
}

fn has_link(line: &str) -> bool {
    line.match_indices("/pay/").any(|(at, begin)| {
        let token = line[at + begin.len()..].chars();
        token.take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).count() >= 16
    })
}

#[test]
fn each_kind_is_found() {
    for (kind, line) in [
        ("a card number", r#"{"number":"4242424242424242"}"#),
        ("a card number", "card 4242 4242 4242 4242 was typed"),
        ("a card number", "3782-822463-10005"),
        ("a card number", "5555555555554444"),
        ("an e-mail address", "450 4.2.1 <ana.gomez+x@mail.example>: busy"),
        ("an e-mail address", r#""email":"a@b.co""#),
        ("a phone number", "to +573001234567"),
        ("a phone number", "call +57 (300) 123-45-67 now"),
        ("a secret", "tried whsec_MDEyMzQ1Njc4OTAx"),
        ("a secret", "sk_test_51NqabcdefgH"),
        ("a secret", "authorization: Bearer abcdefgh12345"),
        ("a link", "GET /pay/AbCdEfGhIjKlMnOpQrStUvWxYz012345678 200"),
    ] {
        assert_eq!(findings(line, &[]), [kind], "{line}");
    }
    let planted = [("the admin token", "opensesame".to_owned())];
    assert_eq!(findings("token=opensesame", &planted), ["the admin token"]);
}

#[test]
fn what_logs_are_full_of_is_passed_over() {
    for line in [
        "2026-11-21T23:42:17.123456Z TRACE mio::poll: token=Token(94210938203824)",
        "Token(139640210938203)",
        r#"{"case":"case_b3ba9a0e05554a3c7fe2","amount":2900}"#,
        "user@localhost listens on 127.0.0.1:8080",
        "4242424242424241 has a wrong check digit",
        "2026-01-05T13:00:00+00:00",
        "the hosted page is at /pay/{token}",
        "send `Authorization: Bearer <admin_token>`",
        "whsec_ is optional",
    ] {
        assert_eq!(findings(line, &[]), [""; 0], "{line}");
    }
}
