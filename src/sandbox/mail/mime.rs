//! Reads the mail that recoup itself writes.
//!
//! Why here: the sink shows subject, text and HTML. It reads the few forms that our own mail has
//! (multipart, quoted-printable, base64, encoded words in UTF-8), and is no parser for others'.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A part: headers and body.
pub(super) struct Part<'a> {
    headers: Vec<(String, String)>,
    body: &'a str,
}

impl<'a> Part<'a> {
    /// Splits raw text at the first empty line.
    pub(super) fn of(raw: &'a str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = unfolded
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { headers, body }
    }

    fn raw_header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// A header's value, decoded.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.raw_header(name).map(decode_words)
    }

    /// The body of the first part of this type, decoded.
    pub(super) fn find(&self, wanted: &str) -> Option<String> {
        let kind = self.raw_header("content-type").unwrap_or("text/plain");
        if kind.starts_with(wanted) {
            return Some(self.text());
        }
        let boundary = kind.split_once("boundary=")?.1.trim_matches('"');
        let boundary = boundary.split(['"', ';']).next()?;
        let marker = format!("--{boundary}");
        self.body
            .split(&marker)
            .skip(1)
            .find_map(|part| Part::of(part.strip_prefix("\r\n")?).find(wanted))
    }

    fn text(&self) -> String {
        let bytes = match self.raw_header("content-transfer-encoding") {
            Some("base64") => {
                let packed: String = self.body.split_whitespace().collect();
                STANDARD.decode(packed).unwrap_or_default()
            }
            Some("quoted-printable") => quoted_printable(self.body),
            _ => self.body.as_bytes().to_vec(),
        };
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim_end().to_owned()
    }
}

/// `=C3=B1` → `ñ`; a `=` at the end of a line joins it with the next.
fn quoted_printable(text: &str) -> Vec<u8> {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| hex::decode(pair).ok());
        if let (b'=', Some(byte)) = (first, hex) {
            bytes.extend(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    bytes
}

/// `=?utf-8?b?…?=` and `=?utf-8?q?…?=` → text; white space between two of them is none.
fn decode_words(value: &str) -> String {
    let mut text = String::new();
    let mut after_word = false;
    for piece in value.split_inclusive(' ') {
        let decoded = decode_word(piece.trim_end());
        if after_word && decoded.is_some() {
            text.truncate(text.trim_end_matches(' ').len());
        }
        after_word = decoded.is_some();
        match decoded {
            Some(word) => {
                text.push_str(&word);
                text.push_str(&piece[piece.trim_end().len()..]);
            }
            None => text.push_str(piece),
        }
    }
    text.trim_end().to_owned()
}

fn decode_word(piece: &str) -> Option<String> {
    let inner = piece.strip_prefix("=?")?.strip_suffix("?=")?;
    let (_, coded) = inner.split_once('?')?;
    let (how, coded) = coded.split_once('?')?;
    let bytes = if how.eq_ignore_ascii_case("b") {
        STANDARD.decode(coded).ok()?
    } else {
        quoted_printable(&coded.replace('_', " "))
    };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded() {
        for (coded, text) in [
            ("plain words", "plain words"),
            ("Tu pago =?utf-8?b?bm8gcGFzw7M=?=", "Tu pago no pasó"),
            ("=?utf-8?b?Y2Fmw6k=?= =?utf-8?b?IG51YmU=?= x", "café nube x"),
            ("=?utf-8?Q?caf=C3=A9_nube?=", "café nube"),
        ] {
            assert_eq!(decode_words(coded), text);
        }
    }

    #[test]
    fn bodies_are_decoded() {
        assert_eq!(quoted_printable("a=C3=B1o =\r\nx = y"), "año x = y".as_bytes());
    }
}
