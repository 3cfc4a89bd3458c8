//! Stored bytes: how a record is framed.
//!
//! Why here: sled checks its own log, but not that what it gives back is what was put in. Each row
//! is `[version][crc32 of version and payload, big-endian][payload]`; the payload is JSON. A record
//! that is too long for one row is cut into parts: its own row then says only how many there are.
//!
//! What must stay true:
//! - a frame once released stays readable (`fixtures/stores/v1`);
//! - no row is longer than [`LONGEST_ROW`]. sled keeps up to twenty rows in a page and moves a page
//!   over 128 KiB into a file of its own, which neither its `flush` nor our `fdatasync` of the
//!   database makes durable.

/// What a person can do about a store that is damaged or does not open.
pub(crate) const CURE: &str = "keep the directory as it is, restore the last backup into a new one \
     (`recoup import FILE --store sled:NEW`), and start with that: every open attempt is then \
     looked up at its gateway before anything is charged";

/// The version of the frame and of the JSON in it.
pub(crate) const VERSION: u8 = 1;

/// Set in the version byte of a row whose record stands in parts.
const IN_PARTS: u8 = 0x80;

/// Version and checksum.
const HEADER: usize = 5;

/// The longest row, with its header: 20 of them and their keys stay under 128 KiB.
pub(crate) const LONGEST_ROW: usize = 5 * 1024;

/// What a row holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Row<'a> {
    /// The record.
    Whole(&'a [u8]),
    /// The record was cut into parts.
    Parts(Parts),
}

/// What a row says of the record that was cut into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    /// How many parts.
    pub(crate) count: u32,
    /// The checksum over all: parts of two versions of a record are never taken for one.
    checksum: u32,
}

impl Parts {
    fn of(payload: &[u8], count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self { count, checksum: crc32fast::hash(payload) }
    }

    /// Whether this is the record that was cut.
    pub(crate) fn make(self, payload: &[u8]) -> bool {
        crc32fast::hash(payload) == self.checksum
    }

    fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.count) << 32 | u64::from(self.checksum)).to_be_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u64::from_be_bytes(bytes.try_into().ok()?);
        Some(Self { count: (both >> 32) as u32, checksum: both as u32 })
    }
}

/// A record, framed: its row, and its parts where it needs any.
pub(crate) struct Framed {
    /// The row under the record's own key.
    pub(crate) row: Vec<u8>,
    /// The rows of its parts, in order.
    pub(crate) parts: Vec<Vec<u8>>,
}

/// Frames a record.
pub(crate) fn frame(payload: &[u8]) -> Framed {
    if payload.len() + HEADER <= LONGEST_ROW {
        return Framed { row: row(VERSION, payload), parts: Vec::new() };
    }
    let parts: Vec<Vec<u8>> =
        payload.chunks(LONGEST_ROW - HEADER).map(|part| row(VERSION, part)).collect();
    let summary = Parts::of(payload, parts.len()).to_bytes();
    Framed { row: row(VERSION | IN_PARTS, &summary), parts }
}

fn row(version: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(version);
    bytes.extend(checksum(version, payload));
    bytes.extend(payload);
    bytes
}

fn checksum(version: u8, payload: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(payload);
    hasher.finalize().to_be_bytes()
}

/// Reads a row; the error says what is wrong with it.
pub(crate) fn unframe(bytes: &[u8]) -> Result<Row<'_>, String> {
    let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
        return Err(format!("it is cut off after {} bytes", bytes.len()));
    };
    let version = header[0] & !IN_PARTS;
    if version != VERSION {
        return Err(format!("it has version {version}, this recoup reads {VERSION}"));
    }
    if checksum(header[0], payload) != header[1..] {
        return Err("its checksum does not match".to_owned());
    }
    if header[0] & IN_PARTS == 0 {
        return Ok(Row::Whole(payload));
    }
    let parts = Parts::from_bytes(payload);
    parts.map(Row::Parts).ok_or_else(|| "its number of parts is unreadable".to_owned())
}

/// Bytes as base64 text in JSON.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(input)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_whole_or_in_parts() {
        assert_eq!(unframe(&frame(b"{}").row), Ok(Row::Whole(b"{}")));
        let long = vec![b'x'; 3 * LONGEST_ROW];
        let framed = frame(&long);
        let Ok(Row::Parts(parts)) = unframe(&framed.row) else { panic!("not in parts") };
        assert_eq!(parts.count, 4);
        let mut back = Vec::new();
        for part in &framed.parts {
            assert!(part.len() <= LONGEST_ROW);
            let Ok(Row::Whole(bytes)) = unframe(part) else { panic!("a part in parts") };
            back.extend(bytes);
        }
        assert_eq!(back, long);
        assert!(parts.make(&back) && !parts.make(&back[1..]));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let good = frame(br#"{"state":"scheduled"}"#).row;
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unframe(&bad).is_err(), "bit {bit} went unseen");
        }
        assert!(unframe(&good[..4]).is_err());
        assert!(unframe(&good[..good.len() - 1]).is_err());
    }
}
