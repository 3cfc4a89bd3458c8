//! Words and numbers of the dashboard: one way to name a state, a time, an amount.
//!
//! Why here: every page of the dashboard shows them, for people of the merchant, in English.
//!
//! What must stay true: an amount is exact; what is not known is said, and not left out.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Shell;
use crate::core::case::{RecoveredBy, State};
use crate::core::customer::Channel;
use crate::core::decline::Category;
use crate::core::money::Money;
use crate::message::format;
use crate::message::locale::{Language, Locale};

/// What brought a payment back.
pub fn recovered_by(by: RecoveredBy) -> &'static str {
    match by {
        RecoveredBy::CardUpdate => "Card update",
        RecoveredBy::Elsewhere => "Customer or gateway by themselves",
        RecoveredBy::OtherGateway => "Another gateway",
        RecoveredBy::Retry => "Retry",
    }
}

/// How many messages had gone out.
pub fn after_messages(number: usize) -> String {
    match number {
        0 => "Without any message".to_owned(),
        1 => "After 1 message".to_owned(),
        many => format!("After {many} messages"),
    }
}

/// The channel of the last message.
pub fn channel(channel: Option<Channel>) -> &'static str {
    match channel {
        None => "None",
        Some(Channel::Email) => "E-mail",
        Some(Channel::Sms) => "Text message",
        Some(Channel::Whatsapp) => "WhatsApp",
    }
}

/// An amount in English.
pub fn money(amount: Money) -> String {
    let english = Locale { language: Language::En, tag: "en".to_owned() };
    format::money(amount, &english)
}

/// A share in percent, rounded to whole ones.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `1 case`, `2 cases`.
pub fn many(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The merchant's zone.
pub fn zone(shell: &Shell) -> TimeZone {
    TimeZone::get(&shell.time_zone).unwrap_or(TimeZone::UTC)
}

/// The time in the merchant's zone; the year only where it is another.
pub fn when(at: Timestamp, shell: &Shell) -> String {
    let zone = zone(shell);
    let now = shell.now.to_zoned(zone.clone());
    let at = at.to_zoned(zone);
    let form = if at.year() == now.year() { "%a %-d %b, %H:%M" } else { "%-d %b %Y, %H:%M" };
    at.strftime(form).to_string()
}

/// `in 3 days`, `now`, `2 hours ago`.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let (number, unit) = match seconds.unsigned_abs() {
        s if s < 60 => return "now".to_owned(),
        s if s < 3_600 => (s / 60, "minute"),
        s if s < 2 * 86_400 => (s / 3_600, "hour"),
        s => (s / 86_400, "day"),
    };
    let unit = if number == 1 { unit.to_owned() } else { format!("{unit}s") };
    if seconds > 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// A state, named.
pub fn label(state: State) -> String {
    title(state.as_str())
}

/// `awaiting_customer` → `Awaiting customer`.
pub fn title(snake: &str) -> String {
    let words = snake.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The word of the API.
pub fn snake(value: impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

/// For the merchant's own people: what it is, named.
pub fn decline(category: Category) -> &'static str {
    match category {
        Category::AccountClosed => "Account closed",
        Category::AuthenticationRequired => "Authentication required",
        Category::ConsentRevoked => "Consent revoked",
        Category::CredentialOutdated => "Card outdated",
        Category::FraudSuspected => "Fraud suspected",
        Category::GatewayRiskBlock => "Blocked by the gateway's rules",
        Category::GenericDecline => "Declined without a reason",
        Category::InsufficientFunds => "Insufficient funds",
        Category::InvalidCardData => "Invalid card data",
        Category::IssuerUnavailable => "Bank unavailable",
        Category::LimitExceeded => "Limit exceeded",
        Category::LostOrStolen => "Lost or stolen",
        Category::MerchantError => "Merchant error",
        Category::NotADecline => "Not a decline",
        Category::NotPermitted => "Not permitted",
        Category::OutcomeUnknown => "Outcome unknown",
        Category::ProcessingError => "Processing error",
        Category::Unknown => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_in_words() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, text) in [
            (0, "now"),
            (90, "in 1 minute"),
            (7200, "in 2 hours"),
            (3 * 86_400, "in 3 days"),
            (-86_400 * 5, "5 days ago"),
        ] {
            assert_eq!(distance(Timestamp::from_second(1_000_000 + seconds).unwrap(), now), text);
        }
    }
}
