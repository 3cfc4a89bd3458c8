//! The tables of codes: a gateway's own, the issuers', the network's numbers of advice, phrases.
//!
//! Why here: what a code means is data in CSV files; this is their one reader.
//!
//! What must stay true: a shipped table has no row that cannot be read (tests hold it); reading a
//! table never panics.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Advice, Category};

/// What one code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// Why.
    pub category: Category,
    /// What is ordered.
    pub advice: Advice,
    /// The word is ambiguous: a specific issuer's code decides instead.
    pub yields: bool,
}

/// A table of decline codes that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the table of decline codes: {0}")]
pub struct BadTable(String);

/// One gateway's codes.
#[derive(Debug, Clone, Default)]
pub struct DeclineTable(HashMap<String, Meaning>);

#[derive(Deserialize)]
struct CodeRow {
    code: String,
    category: Category,
    advice: Advice,
    #[serde(default)]
    yields: Option<String>,
}

impl DeclineTable {
    /// Reads a table with the columns `code`, `category`, `advice`; more are allowed.
    pub fn from_csv(text: &str) -> Result<Self, BadTable> {
        let mut codes = HashMap::new();
        for row in rows::<CodeRow>(text)? {
            let meaning = Meaning {
                category: row.category,
                advice: row.advice,
                yields: row.yields.is_some_and(|word| word == "yes"),
            };
            if codes.insert(row.code.clone(), meaning).is_some() {
                return Err(BadTable(format!("`{}` is there twice", row.code)));
            }
        }
        Ok(Self(codes))
    }

    /// What `code` means: as written, else lower-cased with underscores ("Do Not Honor").
    pub fn get(&self, code: &str) -> Option<Meaning> {
        let code = code.trim();
        self.0.get(code).or_else(|| self.0.get(&folded(code))).copied()
    }

    /// All codes, in no order.
    pub fn codes(&self) -> impl Iterator<Item = (&str, Meaning)> {
        self.0.iter().map(|(code, meaning)| (code.as_str(), *meaning))
    }
}

fn folded(code: &str) -> String {
    code.chars().map(|c| if c == ' ' || c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

fn rows<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, BadTable> {
    csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(text.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| BadTable(error.to_string()))
}

#[derive(Deserialize)]
struct NetworkRow {
    network: String,
    region: String,
    code: String,
    category: Category,
    advice: Advice,
}

type NetworkCodes = HashMap<(String, String, String), Meaning>;

static NETWORK_CODES: LazyLock<NetworkCodes> =
    LazyLock::new(|| network_codes(include_str!("../data/network_codes.csv")).unwrap_or_default());

fn network_codes(text: &str) -> Result<NetworkCodes, BadTable> {
    let read = rows::<NetworkRow>(text)?.into_iter().map(|row| {
        let meaning = Meaning { category: row.category, advice: row.advice, yields: false };
        ((row.network, row.region, row.code), meaning)
    });
    Ok(read.collect())
}

/// What the issuer's `code` means; the most specific row wins. One digit is `0` and the digit.
pub(super) fn network_meaning(
    code: &str,
    network: Option<&str>,
    region: Option<&str>,
) -> Option<Meaning> {
    let code = two_digits(code).to_ascii_uppercase();
    let network = network.unwrap_or("*");
    let region = region.filter(|region| is_european(region)).map_or("*", |_| "europe");
    [(network, region), (network, "*"), ("*", "*")].into_iter().find_map(|(network, region)| {
        let key = (network.to_owned(), region.to_owned(), code.clone());
        NETWORK_CODES.get(&key).copied()
    })
}

/// `5` as `05`, as some gateways drop the zero.
fn two_digits(code: &str) -> String {
    let code = code.trim();
    if code.len() == 1 && code.bytes().all(|b| b.is_ascii_digit()) {
        format!("0{code}")
    } else {
        code.to_owned()
    }
}

/// Where strong customer authentication applies: the EEA, Switzerland, the United Kingdom.
fn is_european(region: &str) -> bool {
    const COUNTRIES: [&str; 32] = [
        "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR",
        "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE",
        "SI", "SK",
    ];
    const WORDS: [&str; 5] = ["EEA", "EU", "EUROPE", "SCA", "UK"];
    let region = region.trim().to_ascii_uppercase();
    COUNTRIES.contains(&region.as_str()) || WORDS.contains(&region.as_str())
}

/// What a network's number orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// The order.
    pub(super) advice: Advice,
    /// With a stated wait: how long.
    pub(super) min_delay_seconds: Option<u64>,
    /// What the number tells of the reason.
    pub(super) category: Option<Category>,
    /// The reason holds against every code.
    pub(super) firm: bool,
}

#[derive(Deserialize)]
struct AdviceRow {
    number: String,
    advice: Advice,
    min_delay_h: Option<u64>,
    category: Option<Category>,
    firm: Option<String>,
}

static MASTERCARD_ADVICE: LazyLock<HashMap<String, Order>> = LazyLock::new(|| {
    mastercard_advice(include_str!("../data/mastercard_advice.csv")).unwrap_or_default()
});

fn mastercard_advice(text: &str) -> Result<HashMap<String, Order>, BadTable> {
    let read = rows::<AdviceRow>(text)?.into_iter().map(|row| {
        let order = Order {
            advice: row.advice,
            min_delay_seconds: row.min_delay_h.map(|hours| hours * 3600),
            category: row.category,
            firm: row.firm.is_some_and(|word| word == "yes"),
        };
        (row.number, order)
    });
    Ok(read.collect())
}

/// What a network's number of advice orders. Numbers of two digits are Mastercard's, on whatever
/// card they come: obeying one too many costs less than a re-send against advice. On Visa a single
/// digit is the category of the decline.
pub(super) fn network_order(number: &str, network: Option<&str>) -> Option<Order> {
    let number = number.trim();
    if network == Some("visa") && number.len() == 1 {
        let advice = match number {
            "1" => Advice::Never,
            "2" | "4" => Advice::None,
            "3" => Advice::UpdateCredentials,
            _ => return None,
        };
        return Some(Order { advice, min_delay_seconds: None, category: None, firm: false });
    }
    MASTERCARD_ADVICE.get(&two_digits(number)).copied()
}

/// What a gateway's word orders: Stripe's, which others pass on.
pub(super) fn word_order(word: &str) -> Option<Order> {
    let (advice, category) = match folded(word.trim()).as_str() {
        "do_not_try_again" => (Advice::Never, Category::GenericDecline),
        "try_again_later" => (Advice::RetryAfter, Category::GenericDecline),
        "confirm_card_data" => (Advice::UpdateCredentials, Category::InvalidCardData),
        _ => return None,
    };
    Some(Order { advice, min_delay_seconds: None, category: Some(category), firm: false })
}

#[derive(Deserialize)]
struct PhraseRow {
    phrase: String,
    category: Category,
    advice: Advice,
}

static PHRASES: LazyLock<Vec<PhraseRow>> =
    LazyLock::new(|| rows(include_str!("../data/decline_phrases.csv")).unwrap_or_default());

/// What free text usually means.
pub(super) fn phrase_meaning(text: &str) -> Option<Meaning> {
    let text = text.to_lowercase().replace('_', " ");
    PHRASES.iter().find(|row| text.contains(&row.phrase)).map(|row| Meaning {
        category: row.category,
        advice: row.advice,
        yields: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_row_can_be_read() {
        assert!(network_codes(include_str!("../data/network_codes.csv")).unwrap().len() > 110);
        assert_eq!(
            mastercard_advice(include_str!("../data/mastercard_advice.csv")).unwrap().len(),
            19
        );
        assert!(rows::<PhraseRow>(include_str!("../data/decline_phrases.csv")).unwrap().len() > 50);
    }

    #[test]
    fn a_phrase_is_reachable_and_lower_case() {
        let phrases: Vec<PhraseRow> = rows(include_str!("../data/decline_phrases.csv")).unwrap();
        for row in phrases {
            assert_eq!(row.phrase, row.phrase.to_lowercase());
            let found = phrase_meaning(&row.phrase).unwrap();
            assert_eq!(
                (found.category, found.advice),
                (row.category, row.advice),
                "{}",
                row.phrase
            );
        }
    }

    #[test]
    fn a_table_with_a_word_it_does_not_know_is_refused() {
        for bad in [
            "code,category,advice\nx,no_such_category,none\n",
            "code,category,advice\nx,unknown,perhaps\n",
            "code,category,advice\nx,unknown,none\nx,unknown,never\n",
        ] {
            assert!(DeclineTable::from_csv(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_code_differs_by_network_and_region() {
        let read = |code, network, region| {
            let found = network_meaning(code, network, region).unwrap();
            (found.category, found.advice)
        };
        let limit = (Category::LimitExceeded, Advice::None);
        let present = (Category::AuthenticationRequired, Advice::Authenticate);
        assert_eq!(read("65", Some("mastercard"), Some("EEA")), present);
        assert_eq!(read("65", Some("mastercard"), Some("de")), present);
        assert_eq!(read("65", Some("mastercard"), Some("US")), limit);
        assert_eq!(read("65", Some("visa"), Some("EEA")), limit);
        assert_eq!(read("65", None, None), limit);
        assert_eq!(read("70", Some("visa"), None), present);
        assert_eq!(read("70", Some("mastercard"), None), (Category::GenericDecline, Advice::None));
        assert_eq!(
            read("82", Some("visa"), None),
            (Category::InvalidCardData, Advice::UpdateCredentials)
        );
        assert_eq!(read("82", Some("mastercard"), None), (Category::NotPermitted, Advice::None));
        assert_eq!(read("46", Some("amex"), None), (Category::AccountClosed, Advice::Never));
        assert_eq!(read("5", None, None), (Category::GenericDecline, Advice::None));
        assert_eq!(read("r1", None, None), (Category::ConsentRevoked, Advice::Never));
        assert_eq!(network_meaning("ZZ", Some("visa"), None), None);
    }
}
