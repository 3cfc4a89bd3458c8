//! Amounts and reasons in a person's language.
//!
//! Why here: messages and the hosted page must show the same amount and the same
//! words, so there is one place that writes them.
//!
//! What must stay true: an amount is exact to the minor unit, whatever CLDR would round; lost,
//! stolen and suspected fraud are never named.

use super::locale::{Language, Locale};
use super::texts;
use crate::core::decline::Category;
use crate::core::money::Money;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;

pub use super::calendar::{date, on_date, short_date};

/// `amount` as a person of this locale writes it: `$29.00`, `$ 29.000,50`, `29,00 €`.
pub fn money(amount: Money, locale: &Locale) -> String {
    by_cldr(amount, locale).unwrap_or_else(|| amount.to_string())
}

/// CLDR's placement and symbol around the exact number.
///
/// CLDR shows COP 29000.50 as `$ 29.001`. So it only lays out a zero; its digits are replaced by
/// the whole amount, with every decimal that the amount needs.
fn by_cldr(amount: Money, locale: &Locale) -> Option<String> {
    let tag: icu_locale_core::Locale = locale.tag.parse().ok()?;
    let currency = CurrencyType::try_from_str(&amount.currency.code().to_ascii_lowercase()).ok()?;
    let layout = CurrencyFormatter::try_new_symbol((&tag).into(), currency, Default::default());
    let zero = layout.ok()?.format_fixed_decimal(&Decimal::from(0)).to_string();
    let first = zero.find('0')?;
    let last = zero.rfind('0')?;
    let shown_decimals = zero[first..=last].chars().filter(char::is_ascii_digit).count() - 1;
    let number = exact(amount, shown_decimals);
    let digits = DecimalFormatter::try_new((&tag).into(), Default::default()).ok()?;
    let number = digits.format(&number).to_string();
    let sign = if amount.minor < 0 { "-" } else { "" };
    let text = format!("{sign}{}{number}{}", &zero[..first], &zero[last + 1..]);
    Some(if is_ambiguous(&text, amount.currency.code(), tag.id.region) {
        format!("{text}\u{a0}{}", amount.currency)
    } else {
        text
    })
}

/// The amount without its sign, with `decimals` decimals, or with all where those would round it.
fn exact(amount: Money, decimals: usize) -> Decimal {
    let exponent = i16::from(amount.currency.exponent());
    let mut number = Decimal::from(amount.minor.unsigned_abs());
    number.multiply_pow10(-exponent);
    let wanted = i16::try_from(decimals).unwrap_or(exponent);
    number.absolute.trim_end();
    let needed = -*number.absolute.magnitude_range().start();
    number.absolute.pad_end(if needed > wanted { -exponent } else { -wanted });
    number
}

/// A bare `$` says nothing to a person whose own money is another dollar or peso.
fn is_ambiguous(text: &str, code: &str, region: Option<icu_locale_core::subtags::Region>) -> bool {
    let bare = text.contains('$') && !text.chars().any(char::is_alphabetic);
    bare && region.is_some_and(|region| home_of_dollar_sign(region.as_str()) != Some(code))
}

/// The currency that people of a region mean by a bare `$`.
fn home_of_dollar_sign(region: &str) -> Option<&'static str> {
    Some(match region {
        "AR" => "ARS",
        "AU" => "AUD",
        "CA" => "CAD",
        "CL" => "CLP",
        "CO" => "COP",
        "DO" => "DOP",
        "HK" => "HKD",
        "MX" => "MXN",
        "NZ" => "NZD",
        "SG" => "SGD",
        "TW" => "TWD",
        "UY" => "UYU",
        "EC" | "GU" | "PR" | "SV" | "US" | "VI" => "USD",
        _ => return None,
    })
}

/// Why it did not go through, in neutral words that end a sentence.
pub fn reason(category: Category, language: Language) -> &'static str {
    texts::shipped_reason(reason_key(category), language)
}

/// Which of the reasons is told. Lost, stolen and suspected fraud read like any other "no" of a
/// bank.
pub(super) fn reason_key(category: Category) -> &'static str {
    match category {
        Category::AccountClosed => "reasons.account_closed",
        Category::AuthenticationRequired => "reasons.authentication_required",
        Category::ConsentRevoked => "reasons.consent_revoked",
        Category::CredentialOutdated => "reasons.credential_outdated",
        Category::GatewayRiskBlock => "reasons.gateway_risk_block",
        Category::InsufficientFunds => "reasons.insufficient_funds",
        Category::InvalidCardData => "reasons.invalid_card_data",
        Category::IssuerUnavailable => "reasons.issuer_unavailable",
        Category::LimitExceeded => "reasons.limit_exceeded",
        Category::NotPermitted => "reasons.not_permitted",
        Category::MerchantError | Category::OutcomeUnknown | Category::ProcessingError => {
            "reasons.technical"
        }
        Category::FraudSuspected
        | Category::GenericDecline
        | Category::LostOrStolen
        | Category::NotADecline
        | Category::Unknown => "reasons.declined",
    }
}

/// Spaces that do not break, as plain ones: for channels where they cost a whole segment.
pub fn plain_spaces(text: &str) -> String {
    text.replace(['\u{a0}', '\u{202f}'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::locale::choose;

    fn shown(minor: i64, code: &str, tag: &str) -> String {
        let amount = Money::new(minor, code.parse().unwrap());
        plain_spaces(&money(amount, &choose(Some(tag), "en")))
    }

    #[test]
    fn money_is_exact_in_every_currency() {
        for (minor, code, tag, text) in [
            (2900, "USD", "en-US", "$29.00"),
            (2900, "USD", "en", "$29.00"),
            (123_456_789, "USD", "en-US", "$1,234,567.89"),
            (2900, "EUR", "es-ES", "29,00 €"),
            (2900, "EUR", "en-IE", "€29.00"),
            (2_900_000, "COP", "es-CO", "$ 29.000"),
            (2_900_050, "COP", "es-CO", "$ 29.000,50"),
            (2_900_001, "COP", "es-CO", "$ 29.000,01"),
            (29_900, "MXN", "es-MX", "$299.00"),
            (2900, "JPY", "en-US", "¥2,900"),
            (29_900, "CLP", "es-CL", "$29.900"),
            (2900, "KWD", "en-US", "KWD 2.900"),
            (2905, "KWD", "es-ES", "2,905 KWD"),
            (2900, "BRL", "pt-BR", "R$ 29,00"),
            (123_456, "EUR", "pt-PT", "1234,56 €"),
            (123_456, "EUR", "fr-FR", "1 234,56 €"),
            (1_234_567, "EUR", "it-IT", "12.345,67 €"),
            (5, "USD", "en-US", "$0.05"),
            (0, "USD", "en-US", "$0.00"),
            (-2900, "USD", "en-US", "-$29.00"),
        ] {
            assert_eq!(shown(minor, code, tag), text, "{minor} {code} in {tag}");
        }
    }

    #[test]
    fn a_dollar_sign_away_from_home_has_its_code() {
        for (code, tag, text) in [
            ("USD", "es-CO", "US$ 29,00"),
            ("USD", "es-MX", "US$29.00"),
            ("CAD", "en-US", "CA$29.00"),
            ("CAD", "en-CA", "$29.00"),
            ("USD", "en-CO", "$29.00 USD"),
            ("USD", "en-IN", "$29.00 USD"),
            ("AUD", "en-AU", "$29.00"),
        ] {
            assert_eq!(shown(2900, code, tag), text, "{code} in {tag}");
        }
    }

    #[test]
    fn no_amount_loses_a_minor_unit() {
        for tag in ["en-US", "es-CO", "es-ES", "es", "en-GB", "es-CL", "pt", "pt-PT", "fr", "it"] {
            for code in ["USD", "COP", "JPY", "KWD", "CLP", "EUR", "MXN", "UYU", "ISK"] {
                for minor in [1, 9, 10, 99, 100, 101, 12_345, 2_900_050, 99_999_999] {
                    let text = shown(minor, code, tag);
                    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                    let exponent =
                        u32::from(code.parse::<crate::core::money::Currency>().unwrap().exponent());
                    let value: i64 = digits.parse().unwrap();
                    let whole = minor / 10_i64.pow(exponent) * 10_i64.pow(exponent) == minor;
                    assert!(
                        value == minor || (whole && value * 10_i64.pow(exponent) == minor),
                        "{minor} {code} in {tag}: {text}"
                    );
                }
            }
        }
    }

    #[test]
    fn lost_stolen_and_fraud_read_like_any_other_refusal() {
        for language in Language::ALL {
            for category in [Category::LostOrStolen, Category::FraudSuspected] {
                assert_eq!(reason(category, language), reason(Category::GenericDecline, language));
            }
        }
    }
}
