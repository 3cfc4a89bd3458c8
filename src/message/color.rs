//! The merchant's color, and the text that can be read on it.
//!
//! Why here: mail and pages paint a button in a color that we have never seen. Which text is
//! readable on it is computed (WCAG 2.2, contrast), not hoped for.
//!
//! What must stay true: text on the brand color has a contrast of 4.5 at least.

/// Used where the merchant gave none, or one that is no color.
const DEFAULT: Color = Color { red: 0x2f, green: 0x4b, blue: 0xd8 };

/// An sRGB color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

impl Color {
    /// The brand's color, from `#rrggbb` or `#rgb`.
    pub fn of_brand(text: Option<&str>) -> Self {
        text.and_then(Self::parse).unwrap_or(DEFAULT)
    }

    fn parse(text: &str) -> Option<Self> {
        let hex = text.trim().strip_prefix('#')?;
        if !hex.is_ascii() {
            return None;
        }
        let wide: String = match hex.len() {
            3 => hex.chars().flat_map(|c| [c, c]).collect(),
            6 => hex.to_owned(),
            _ => return None,
        };
        let part = |at: usize| u8::from_str_radix(&wide[at..at + 2], 16).ok();
        Some(Self { red: part(0)?, green: part(2)?, blue: part(4)? })
    }

    /// `#rrggbb`.
    pub fn to_hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }

    /// Black or white, whichever is easier to read on it.
    pub fn ink(self) -> &'static str {
        if self.contrast(WHITE) >= self.contrast(BLACK) { "#ffffff" } else { "#000000" }
    }

    /// The contrast ratio of two colors, 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let share = f64::from(part) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

const WHITE: Color = Color { red: 255, green: 255, blue: 255 };
const BLACK: Color = Color { red: 0, green: 0, blue: 0 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_on_any_color_can_be_read() {
        for value in (0..=0xff_ffff_u32).step_by(0x0003_0d07) {
            let color = Color::parse(&format!("#{value:06x}")).unwrap();
            let ink = Color::parse(color.ink()).unwrap();
            assert!(color.contrast(ink) >= 4.5, "{}", color.to_hex());
        }
    }

    #[test]
    fn what_is_no_color_is_the_default() {
        for text in [None, Some(""), Some("red"), Some("#12"), Some("#ñññ"), Some("#gggggg")] {
            assert_eq!(Color::of_brand(text), DEFAULT, "{text:?}");
        }
        assert_eq!(Color::of_brand(Some("#5b3")).to_hex(), "#55bb33");
        assert_eq!(Color::of_brand(Some("#5B3FD6")).to_hex(), "#5b3fd6");
    }
}
