//! SMS: how many segments a text costs.
//!
//! Why here: 160 characters of the GSM alphabet are one segment; a single character outside of it
//! makes every segment 70. The table is the default alphabet of 3GPP TS 23.038, §6.2.1.
//!
//! What must stay true: a text is never robbed of its accents; the count is what a carrier bills.

/// The default alphabet: one septet each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./\
    0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table: an escape and a septet each.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// What a text costs as SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// `GSM-7` or `UCS-2`.
    pub encoding: &'static str,
    /// Septets, or 16-bit units.
    pub units: usize,
    /// Segments that are billed.
    pub segments: usize,
}

/// Counts the segments of `text`.
pub fn cost(text: &str) -> Cost {
    let septets: Option<Vec<usize>> = text.chars().map(septets).collect();
    match septets {
        Some(sizes) => Cost {
            encoding: "GSM-7",
            units: sizes.iter().sum(),
            segments: segments(&sizes, 160, 153),
        },
        None => {
            let sizes: Vec<usize> = text.chars().map(char::len_utf16).collect();
            Cost {
                encoding: "UCS-2",
                units: sizes.iter().sum(),
                segments: segments(&sizes, 70, 67),
            }
        }
    }
}

/// The characters of `text` that are not in the GSM alphabet, each once.
pub fn outside_gsm(text: &str) -> Vec<char> {
    let mut found: Vec<char> = text.chars().filter(|c| septets(*c).is_none()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// A character of two units is not divided between two segments.
fn segments(sizes: &[usize], single: usize, part: usize) -> usize {
    if sizes.iter().sum::<usize>() <= single {
        return 1;
    }
    let (mut count, mut used) = (1, 0);
    for size in sizes {
        if used + size > part {
            count += 1;
            used = 0;
        }
        used += size;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (&'static str, usize, usize) {
        let cost = cost(text);
        (cost.encoding, cost.units, cost.segments)
    }

    #[test]
    fn the_alphabet_is_that_of_the_standard() {
        // 128 places, of which one is the escape.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENDED.chars().count(), 10);
        assert!(outside_gsm("Café Nube à Genève: ñ ü Ç @ €").is_empty());
        assert_eq!(outside_gsm("ação, así\u{a0}"), ['\u{a0}', 'ã', 'ç', 'í']);
    }

    #[test]
    fn segments_are_counted_as_they_are_billed() {
        assert_eq!(of(""), ("GSM-7", 0, 1));
        assert_eq!(of(&"a".repeat(160)), ("GSM-7", 160, 1));
        assert_eq!(of(&"a".repeat(161)), ("GSM-7", 161, 2));
        assert_eq!(of(&"a".repeat(306)), ("GSM-7", 306, 2));
        assert_eq!(of(&"a".repeat(307)), ("GSM-7", 307, 3));
        assert_eq!(of(&"€".repeat(80)), ("GSM-7", 160, 1));
        // The 77th euro sign does not fit into what is left of 153 septets.
        assert_eq!(of(&"€".repeat(153)), ("GSM-7", 306, 3));
        assert_eq!(of(&"ã".repeat(70)), ("UCS-2", 70, 1));
        assert_eq!(of(&"ã".repeat(71)), ("UCS-2", 71, 2));
        assert_eq!(of(&"😀".repeat(35)), ("UCS-2", 70, 1));
        // 33 emoji to a segment of 67.
        assert_eq!(of(&"😀".repeat(67)), ("UCS-2", 134, 3));
    }
}
