//! Checks of single texts in the merchant file.
//!
//! Why here: each says what is wrong in words that complete "`key` …", without the file around it.

use std::net::SocketAddr;

use icu_locale_core::LanguageIdentifier;

use super::error::nearest;
use super::schema::StoreUrl;
use crate::core::decline::Category;
use crate::core::money::Money;

/// Names that the inbox uses for people: no gateway may have them.
const RESERVED_IDS: [&str; 3] = ["api", "cli", "page"];

/// Longest id of a gateway: it is in URLs, keys and metrics.
const MAX_ID: usize = 40;

pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

pub(super) fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
}

pub(super) fn http_url(text: &str) -> Result<(), String> {
    let parsed = url::Url::parse(text).map_err(|why| format!("is not a URL: {why}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err("is not an http:// or https:// URL".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("has a query or a fragment, which is not possible here".to_owned());
    }
    Ok(())
}

/// Whether a URL goes over the open network without TLS.
pub(super) fn is_plain_remote(text: &str) -> bool {
    let Ok(parsed) = url::Url::parse(text) else { return false };
    let host = parsed.host_str().unwrap_or_default();
    let local = host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.starts_with("127.");
    parsed.scheme() == "http" && !local
}

pub(super) fn address(text: &str) -> Result<(), String> {
    let parsed: Result<lettre::Address, _> = text.parse();
    parsed.map(|_| ()).map_err(|why| format!("is not an e-mail address: {why}"))
}

pub(super) fn mailbox(text: &str) -> Result<(), String> {
    let parsed: Result<lettre::message::Mailbox, _> = text.parse();
    parsed.map(|_| ()).map_err(|why| format!("is not `Name <address>`: {why}"))
}

pub(super) fn phone(text: &str) -> Result<(), String> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let clean = text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    if clean && (5..=20).contains(&digits) {
        Ok(())
    } else {
        Err("is not a phone number".to_owned())
    }
}

pub(super) fn locale(text: &str) -> Result<(), String> {
    let parsed: Result<LanguageIdentifier, _> = text.parse();
    match parsed {
        Ok(id) if !id.language.is_unknown() => Ok(()),
        _ => Err("is not a language tag such as `es-CO`".to_owned()),
    }
}

pub(super) fn time_zone(text: &str) -> Result<(), String> {
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("is not an IANA time zone such as `America/Bogota`".to_owned()),
    }
}

pub(super) fn country(text: &str) -> Result<(), String> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err("is not a country's two capital letters, e.g. `CO`".to_owned())
    }
}

pub(super) fn tag(text: &str) -> Result<(), String> {
    crate::core::customer::check_tag(text).map_err(|why| why.to_owned())
}

pub(super) fn amount(text: &str) -> Result<(), String> {
    let parsed: Result<Money, _> = text.parse();
    parsed.map(|_| ()).map_err(|_| "is not an amount such as `29.00 USD`".to_owned())
}

pub(super) fn category(text: &str) -> Result<(), String> {
    let name = |category| serde_json::to_value(category).ok()?.as_str().map(str::to_owned);
    let known: Vec<String> = Category::ALL.into_iter().filter_map(name).collect();
    if known.iter().any(|name| name == text) {
        return Ok(());
    }
    let hint = match nearest(text, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the categories are: {}", known.join(", ")),
    };
    Err(format!("is no decline category; {hint}"))
}

pub(super) fn color(text: &str) -> Result<(), String> {
    let hex = text.strip_prefix('#').unwrap_or_default();
    if hex.len() == 6 && hex.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err("is not a color such as `#5b3fd6`".to_owned())
    }
}

pub(super) fn listen(text: &str) -> Result<(), String> {
    let numeric = text.replacen("localhost", "127.0.0.1", 1);
    let parsed: Result<SocketAddr, _> = numeric.parse();
    parsed.map(|_| ()).map_err(|_| "is not an address with a port, e.g. `127.0.0.1:8080`".into())
}

pub(super) fn header_name(text: &str) -> Result<(), String> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plain
        .then_some(())
        .ok_or_else(|| "must be the name of a header, e.g. \"x-forwarded-for\"".to_owned())
}

pub(super) fn sns_topic(text: &str) -> Result<(), String> {
    let parts: Vec<_> = text.split(':').collect();
    let whole = matches!(parts[..], ["arn", partition, "sns", region, account, name]
        if partition.starts_with("aws") && [region, account, name].iter().all(|p| !p.is_empty()));
    let example = "arn:aws:sns:eu-west-1:123456789012:mail";
    whole.then_some(()).ok_or_else(|| format!("is no topic of SNS, e.g. `{example}`"))
}

pub(super) fn store(text: &str) -> Result<(), String> {
    match StoreUrl::try_from(text.to_owned()) {
        Ok(_) => Ok(()),
        Err(why) => Err(format!("does not fit: {why}")),
    }
}

pub(super) fn gateway_id(text: &str) -> Result<(), String> {
    let clean = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if text.is_empty() || text.len() > MAX_ID || !text.chars().all(clean) {
        return Err(format!(
            "is not an id: small letters, digits, `_` and `-`, {MAX_ID} characters at most"
        ));
    }
    if RESERVED_IDS.contains(&text) {
        return Err(format!("is reserved: {}", RESERVED_IDS.join(", ")));
    }
    Ok(())
}
